//! A log that is older than the database knows: the server does not start on it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use countersign_testkit::server::{Engine, TestServer};
use serde_json::json;

use super::super::native::{PROGRAM, b64, make_key};

async fn sign(server: &TestServer, count: usize) {
    let item = json!({"key": "k", "message": b64(b"x")});
    let answer = server.post("/sign", &json!({"items": vec![item; count]})).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.problem());
}

/// Every file below a directory with its bytes.
fn content(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                files.insert(path.clone(), std::fs::read(path).unwrap());
            }
        }
    }
    files
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

/// A server whose log has grown since `copy` was made of it.
async fn grown(engine: Engine, first: usize, then: usize) -> (TestServer, tempfile::TempDir) {
    let aside = tempfile::tempdir().unwrap();
    let mut server = TestServer::start(PROGRAM, engine).await.unwrap();
    make_key(&server, "k", "ed25519").await;
    sign(&server, first).await;
    server.stop().await.unwrap();
    copy(&server.data().join("log"), &aside.path().join("log"));
    server.run().await.unwrap();
    sign(&server, then).await;
    server.stop().await.unwrap();
    (server, aside)
}

async fn refuses_and_changes_nothing(server: &mut TestServer) {
    let parts = ["log", "host", "files", "node", "admin.token"].map(|part| server.data().join(part));
    let all = || -> Vec<_> {
        let read = |part: &PathBuf| {
            if part.is_dir() { content(part) } else { [(part.clone(), std::fs::read(part).unwrap())].into() }
        };
        parts.iter().map(read).collect()
    };
    let before = all();
    // As often as a supervisor tries.
    for _ in 0..2 {
        let error = server.run().await.expect_err("it must not start").to_string();
        assert!(error.contains("the server ended with exit status: 2"), "{error}");
        assert!(
            error.contains("rolled back") || error.contains("not those that the database knows"),
            "{error}"
        );
        assert!(error.contains("hint: "), "{error}");
        assert!(!server.data().join("run/address").exists(), "it never listened");
        for (before, after) in before.iter().zip(all()) {
            let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(before), names(&after), "files came or went");
            assert!(*before == after, "a file was changed");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_put_back_is_refused_and_left_as_it_is() {
    for engine in Engine::ALL {
        for (first, then) in [(5, 5), (300, 300)] {
            let (mut server, aside) = grown(engine, first, then).await;
            let log = server.data().join("log");
            copy(&log, &aside.path().join("newer"));
            std::fs::remove_dir_all(&log).unwrap();
            copy(&aside.path().join("log"), &log);
            refuses_and_changes_nothing(&mut server).await;

            // With the right one it goes on.
            std::fs::remove_dir_all(&log).unwrap();
            copy(&aside.path().join("newer"), &log);
            server.run().await.unwrap();
            sign(&server, 1).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_cut_is_refused_and_left_as_it_is() {
    for engine in Engine::ALL {
        let (mut server, _) = grown(engine, 5, 5).await;
        let journal = content(&server.data().join("log"))
            .into_keys()
            .find(|path| path.parent().is_some_and(|parent| parent.ends_with("journal")))
            .unwrap();
        let length = std::fs::metadata(&journal).unwrap().len();
        let file = std::fs::OpenOptions::new().write(true).open(&journal).unwrap();
        file.set_len(length - 10).unwrap();
        drop(file);
        refuses_and_changes_nothing(&mut server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_gone_is_not_begun_again() {
    for engine in Engine::ALL {
        let (mut server, _) = grown(engine, 5, 5).await;
        let log = server.data().join("log");
        std::fs::remove_dir_all(&log).unwrap();
        std::fs::create_dir(&log).unwrap();
        refuses_and_changes_nothing(&mut server).await;
    }
}
