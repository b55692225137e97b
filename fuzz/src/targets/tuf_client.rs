//! A TUF client on a repository that is out to harm it.

use countersign_tuf::client::{Client, Local, Lookup};
use countersign_tuf::metadata::Document;

/// Between the files of an input.
const BETWEEN: &[u8] = b"\n--\n";

/// The trusted root, then the files in the order in which they are given; an empty one is a file that is missing.
/// Whatever comes, the client ends, and what it trusts can be read.
pub fn tuf_client(data: &[u8]) {
    let now = "2026-11-21T00:00:00Z".parse().expect("a constant");
    let mut files = split(data).into_iter();
    let Some(root) = files.next() else { return };
    let Ok(mut client) = Client::new(root, Local::default(), now) else { return };
    for file in files {
        let wanted = match client.find("dist/one-1.0.tar.gz") {
            Ok(Lookup::Needs(wanted)) => wanted,
            Ok(Lookup::Found(_) | Lookup::Absent) | Err(_) => break,
        };
        let given = if file.is_empty() { client.give_missing() } else { client.give(file.to_vec()) };
        if given.is_err() {
            assert_eq!(client.needs(), Some(wanted), "what is refused is still needed");
        }
    }
    for (role, bytes) in client.trusted() {
        let document = Document::parse(bytes).expect("what is trusted was read");
        assert!(document.version() > 0 && document.signatures().next().is_some(), "{role}");
    }
}

fn split(data: &[u8]) -> Vec<&[u8]> {
    let mut files = Vec::new();
    let mut rest = data;
    while let Some(at) = rest.windows(BETWEEN.len()).position(|window| window == BETWEEN) {
        files.push(&rest[..at]);
        rest = &rest[at + BETWEEN.len()..];
    }
    files.push(rest);
    files
}
