//! `countersign tuf` where no server runs: the command does the work itself. And what can be interrupted, and is old.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use countersign_testkit::server::Engine;
use serde_json::Value;

use crate::collection::{Desk, Said};
use crate::server::{countersign, text};

fn openssl(desk: &Desk) {
    let words = ["genpkey", "-algorithm", "ed25519", "-out", "ana.pem"];
    let done =
        std::process::Command::new("openssl").args(words).current_dir(&desk.directory).output().unwrap();
    assert!(done.status.success());
}

/// A repository with so many bins, which one person signs.
fn begin(desk: &Desk, bins: u32) {
    openssl(desk);
    desk.admin(&format!("tuf init -o plan.json --root-key ana=ana.pem --threshold 1 --bins {bins}")).good();
    desk.admin("tuf ceremony --file plan.json --key ana.pem --yes").good();
}

fn publish(desk: &Desk, name: &str) -> Said {
    desk.write(name, format!("content of {name}"));
    desk.admin(&format!("tuf publish {name}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_the_command_makes_and_publishes_a_repository() {
    for engine in Engine::ALL {
        let mut desk = Desk::on(engine).await;
        desk.server.stop().await.unwrap();
        begin(&desk, 2);
        assert_eq!(desk.admin("tuf status --json").json()["state"], "finished");
        publish(&desk, "a.txt").good();
        publish(&desk, "b.txt").good();
        desk.admin("tuf remove b.txt").good();
        desk.admin("tuf online").good();
        desk.admin("tuf root edit --days 7 --key ana.pem --yes").good();
        desk.admin("tuf root rotate fresh --key ana.pem --yes").good();
        desk.admin("tuf export out --targets").good();
        desk.admin("tuf verify out --root out/metadata/1.root.json --targets").good();
        let said =
            desk.admin("tuf download out a.txt --root out/metadata/1.root.json --to got --metadata-dir m");
        said.good();
        assert_eq!(fs::read_to_string(desk.path("got")).unwrap(), "content of a.txt");

        // One that is cut short anywhere is done by whoever comes next.
        for pause in [30, 200, 600] {
            let name = format!("cut-{pause}.txt");
            desk.write(&name, "cut");
            let mut cut = countersign(&["--data", text(desk.server.data()), "tuf", "publish", &name]);
            let mut cut = cut.current_dir(&desk.directory).spawn().unwrap();
            tokio::time::sleep(Duration::from_millis(pause)).await;
            cut.kill().unwrap();
            cut.wait().unwrap();
            publish(&desk, &format!("after-{pause}.txt")).good();
        }
        desk.server.run().await.unwrap();
        let url = desk.server.url.clone();
        desk.anybody(&format!("tuf verify {url} --root out/metadata/1.root.json --targets")).good();
        for name in ["a.txt", "after-30.txt", "after-600.txt"] {
            let line = format!(
                "tuf download {url} {name} --root out/metadata/1.root.json --to got --metadata-dir m"
            );
            desk.anybody(&line).good();
        }
    }
}

fn metadata(desk: &Desk) -> PathBuf {
    desk.server.data().join("files/metadata")
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Makes files `days` old.
fn age(directory: &Path, days: u64, which: impl Fn(&str) -> bool) {
    let then = SystemTime::now() - Duration::from_secs(days * 86_400);
    for name in names(directory).into_iter().filter(|name| which(name)) {
        fs::File::open(directory.join(name)).unwrap().set_modified(then).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gc_removes_what_no_snapshot_that_is_valid_can_name() {
    for engine in Engine::ALL {
        let mut desk = Desk::on(engine).await;
        begin(&desk, 2);
        for name in ["a", "b", "c", "d", "e", "f"] {
            publish(&desk, name).good();
        }
        desk.admin("tuf remove a").good();
        desk.write("b", "another b");
        desk.admin("tuf publish b").good();
        desk.admin("tuf root edit --days 7 --key ana.pem --yes").good();
        let (before, directory) = (names(&metadata(&desk)), metadata(&desk));
        let nothing = desk.admin("tuf gc --dry-run --json").json();
        assert_eq!(
            (&nothing["metadata"], &nothing["targets"], &nothing["bytes"]),
            (&0.into(), &0.into(), &0.into())
        );

        // Snapshots 1 to 5 are old. The fifth was the newest until a moment ago: clients may have it.
        let version = |name: &str| name.split('.').next().unwrap().parse::<u64>().unwrap_or(0);
        let is_snapshot = |name: &str| name.ends_with(".snapshot.json");
        age(&directory, 40, |name| is_snapshot(name) && version(name) <= 5);
        age(&directory, 40, |name| name.ends_with("root.json") || name == "timestamp.json");
        let would = desk.admin("tuf gc --dry-run --json").json();
        assert_eq!(would["metadata"], 4, "{would}");
        assert_eq!(names(&directory), before, "nothing was removed");
        let text = desk.admin("tuf gc --dry-run").good();
        assert!(
            text.starts_with("4 metadata files and 0 target files, ") && text.contains("would be"),
            "{text}"
        );
        let token = desk.server.principal("reader", &["reader"]).await.unwrap();
        desk.write("token", token);
        desk.anybody("--token-file token tuf gc").is(1, "");

        // Also where no server runs.
        desk.server.stop().await.unwrap();
        let did: Value = desk.admin("tuf gc --json").json();
        assert_eq!((&did["metadata"], &did["bytes"]), (&would["metadata"], &would["bytes"]));
        let kept = |name: &&String| !(is_snapshot(name) && version(name) <= 4);
        assert_eq!(names(&directory), before.iter().filter(kept).cloned().collect::<Vec<_>>());

        // What is the newest stays, and the version before it, however old they are; roots always.
        age(&directory, 400, |_| true);
        desk.admin("tuf gc").good();
        desk.server.run().await.unwrap();
        let left = names(&directory);
        for role in ["bins-0", "bins-1", "snapshot", "targets"] {
            let end = format!(".{role}.json");
            let of = |names: &[String]| names.iter().filter(|n| n.ends_with(&end)).map(|n| version(n)).max();
            assert_eq!(of(&left), of(&before), "{role}");
            assert!(left.iter().filter(|name| name.ends_with(&end)).count() <= 2, "{left:?}");
        }
        assert!(left.contains(&"1.root.json".into()) && left.contains(&"2.root.json".into()), "{left:?}");
        // Target files are younger than that: the database knows when they came.
        assert_eq!(names(&desk.server.data().join("files/targets")).len(), 7);
        desk.admin("tuf export out --targets").good();
        desk.admin("tuf verify out --root out/metadata/1.root.json --targets").good();
        publish(&desk, "g").good();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_was_cut_short_goes_on_where_it_stopped() {
    let desk = Desk::on(Engine::Sqlite).await;
    begin(&desk, 1024);
    for name in ["a", "b"] {
        publish(&desk, name).good();
    }
    let mut cut = countersign(&["--data", text(desk.server.data()), "tuf", "export", "out", "--targets"]);
    let mut cut = cut.current_dir(&desk.directory).spawn().unwrap();
    let directory = desk.path("out/metadata");
    while !directory.is_dir() || names(&directory).len() < 100 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    cut.kill().unwrap();
    cut.wait().unwrap();
    let before = names(&directory);
    assert!(before.len() < 1000 && !before.contains(&"timestamp.json".to_owned()), "{}", before.len());
    // What was cut in the middle is not taken for a file.
    fs::write(directory.join("1.bins-3ff.json"), "{\"signatures\":[").unwrap();
    let said = desk.admin("tuf export out --targets --json");
    let document = said.json();
    said.good();
    let (there, written) =
        (document["files_there"].as_u64().unwrap(), document["files_written"].as_u64().unwrap());
    assert_eq!(there + written, 1024 + 4, "{document}");
    assert!(there >= 99, "{document}");
    desk.admin("tuf verify out --root out/metadata/1.root.json --targets").good();
    let left: Vec<String> = names(&directory).into_iter().filter(|name| !name.ends_with(".json")).collect();
    assert!(left.len() <= 1, "{left:?}");
}
