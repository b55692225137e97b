//! A client of ours on the repository that RSTUF published.

use countersign_tuf::client::{Client, ClientError, Local};

use crate::repo::{Files, find, kept, refresh};
use crate::support::{path, time};

fn files() -> Files {
    let entries = std::fs::read_dir(path("metadata")).unwrap();
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.unwrap();
        (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())
    };
    entries.map(read).collect()
}

#[test]
fn it_is_followed_from_its_first_root_to_its_files() {
    let files = files();
    let now = time("2026-11-21T00:00:00Z");
    let mut client = Client::new(&files["1.root.json"], Local::default(), now).unwrap();
    refresh(&mut client, &files).unwrap();
    assert_eq!(client.root().version(), 3);
    assert_eq!(client.timestamp().unwrap().version(), 3);
    assert_eq!(client.snapshot().unwrap().version(), 3);
    let found = find(&mut client, &files, "dist/one-1.0.tar.gz").unwrap().unwrap();
    assert!(found.length > 0);
    assert_eq!(find(&mut client, &files, "dist/two-1.0.tar.gz"), Ok(None), "it was removed");

    let (root, local) = kept(&client);
    let mut again = Client::new(&root, local, now).unwrap();
    let mut asked = Vec::new();
    while let Some(wanted) = again.needs() {
        asked.push(wanted.name.clone());
        match files.get(&wanted.name) {
            Some(file) => again.give(file.clone()).unwrap(),
            None => again.give_missing().unwrap(),
        }
    }
    assert_eq!(asked, ["4.root.json", "timestamp.json"], "what is there is not fetched again");
}

#[test]
fn it_expires() {
    let files = files();
    let now = time("2026-11-21T21:45:55Z");
    let mut client = Client::new(&files["1.root.json"], Local::default(), now).unwrap();
    assert!(matches!(refresh(&mut client, &files), Err(ClientError::Expired { .. })));
    assert!(client.timestamp().is_none());
}
