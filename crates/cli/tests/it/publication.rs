//! The publication log of the real binary: read with the command line, and killed while it publishes.

use std::time::{Duration, Instant};

use countersign_store::{Store, StoreConfig};
use countersign_testkit::server::{Engine, TestServer};
use serde_json::Value;

use crate::native::PROGRAM;
use crate::server::{done, output, text};

/// The database of a server, opened beside it: what is written here a second node could have written.
async fn beside(server: &TestServer) -> Store {
    let configuration = std::fs::read_to_string(server.data().join("countersign.toml")).unwrap();
    let configured = configuration.split('"').find(|text| text.starts_with("postgres"));
    let sqlite = || format!("sqlite:{}", server.data().join("db/countersign.db").display());
    Store::open(&StoreConfig::new(configured.map_or_else(sqlite, str::to_owned))).await.unwrap()
}

fn leaves(from: u64, count: u64) -> Vec<Vec<u8>> {
    (from..from + count).map(|number| format!("{{\"n\":{number}}}").into_bytes()).collect()
}

/// Waits until the checkpoint has `size` entries.
async fn covered(server: &TestServer, size: u64) {
    let begun = Instant::now();
    loop {
        let answer = server.send(server.anonymous("GET", "/tags/log/checkpoint")).await.unwrap();
        let note = String::from_utf8_lossy(&answer.body).into_owned();
        if note.lines().nth(1) == Some(&size.to_string()) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{size} entries: {note}\n{}", server.stderr());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_publication_log_is_read_proved_and_watched_by_the_command_line() {
    for engine in Engine::ALL {
        let server = TestServer::start(PROGRAM, engine).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| text(&directory.path().join(name)).to_owned();
        // Without a token: it is open to all.
        let log = |words: &[&str]| [&["--server", &server.url, "log"], words].concat().join(" ");
        let run = |words: &[&str]| done(&log(words).split(' ').collect::<Vec<_>>());
        let store = beside(&server).await;
        store.publish_leaves(&leaves(0, 300)).await.unwrap();
        store.mask_publication_entry(7).await.unwrap();
        covered(&server, 300).await;

        let head: Value = serde_json::from_str(&run(&["head", "--publication", "--json"])).unwrap();
        let (origin, key) = (&head["logs"][0]["origin"], head["logs"][0]["public_key"].as_str().unwrap());
        assert!(origin.as_str().unwrap().starts_with("publication-"));
        assert_eq!(head["logs"][0]["size"], 300);
        assert!(run(&["verify", "--publication", "--key", key]).starts_with("valid: 300 entries"));
        let state = path("state");
        let monitor = ["monitor", "--publication", "--once", "--state", &state, "--key", key];
        assert_eq!(run(&monitor).lines().count(), 300);

        for index in ["7", "299"] {
            let proof = path(index);
            run(&["prove", index, "--publication", "-o", &proof]);
            let verified = done(&["log", "verify", "--publication", &proof, "--key", key]);
            assert!(verified.starts_with(&format!("valid: entry {index} is in log publication-")));
        }
        std::fs::write(path("299.entry"), "{\"n\":298}").unwrap();
        let proof = path("299");
        assert_eq!(output(&["log", "verify", "--publication", &proof, "--key", key]).status.code(), Some(1));

        store.publish_leaves(&leaves(300, 5)).await.unwrap();
        covered(&server, 305).await;
        let new = run(&monitor);
        assert_eq!(
            (new.lines().count(), new.lines().next()),
            (5, Some(r#"{"entry":{"n":300},"index":300}"#))
        );
        store.close().await;
    }
}

/// Kills while something is published, for each database.
const KILLS: u64 = 12;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_while_it_publishes_goes_on_with_the_same_log() {
    for engine in Engine::ALL {
        let mut server = TestServer::start(PROGRAM, engine).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("state");
        let mut size = 0;
        let mut seen = 0;
        for kill in 0..KILLS {
            let store = beside(&server).await;
            let until = Instant::now() + Duration::from_millis(100 + 83 * kill % 1000);
            while Instant::now() < until {
                store.publish_leaves(&leaves(size, 37)).await.unwrap();
                size += 37;
                tokio::time::sleep(Duration::from_millis(60)).await;
            }
            store.close().await;
            server.kill().unwrap();
            server.run().await.unwrap();
            // Whatever anybody saw before is the beginning of what is shown now.
            let watch = ["--server", &server.url, "log", "monitor", "--publication", "--once", "--state"];
            seen += done(&[&watch[..], &[text(&state)]].concat()).lines().count() as u64;
        }
        covered(&server, size).await;
        let watch = ["--server", &server.url, "log", "monitor", "--publication", "--once", "--state"];
        seen += done(&[&watch[..], &[text(&state)]].concat()).lines().count() as u64;
        assert_eq!(seen, size, "every entry was shown once");
        let whole = done(&["--server", &server.url, "log", "verify", "--publication"]);
        assert!(whole.starts_with(&format!("valid: {size} entries")), "{whole}");
    }
}
