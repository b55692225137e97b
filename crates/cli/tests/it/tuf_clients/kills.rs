//! Readers refresh in a loop while the server is killed at every moment of its publications: what they are shown
//! always verifies and never goes back, and what was acknowledged is there.
//!
//! `COUNTERSIGN_TUF_KILLS` is the number of kills.
#![allow(clippy::print_stdout, reason = "the figures are the result of these tests")]

mod readers;
mod shared;
mod writers;

use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use countersign_testkit::server::{Engine, TestServer};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::people::{Person, bootstrap, done, first_root, online_key};
use crate::appliance::target;
use crate::native::PROGRAM;
use shared::Shared;

/// In a usual run of the tests, on each database.
const KILLS: u64 = 20;

/// Roots are followed one by one, and a client follows 256 in one refresh.
const MOST_ROOTS: u64 = 200;

#[tokio::test(flavor = "multi_thread")]
async fn kills_on_sqlite_show_no_reader_anything_that_does_not_verify() {
    kills(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_on_postgres_show_no_reader_anything_that_does_not_verify() {
    kills(Engine::Postgres).await;
}

async fn kills(engine: Engine) {
    let kills = std::env::var("COUNTERSIGN_TUF_KILLS").ok();
    let kills: u64 = kills.and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    // A copy: a build beside a long run must not change the program under test.
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("countersign");
    std::fs::copy(PROGRAM, &program).unwrap();
    let mut server = TestServer::start(&program, engine).await.unwrap();
    let people = [Person::new(1), Person::new(2)];
    let mut root = first_root(&people, 2, &online_key(&server).await);
    people.iter().for_each(|person| person.sign(&mut root));
    let bins = json!({"expiration": 7, "number_of_delegated_bins": 4});
    done(&server, "POST", "bootstrap/", &bootstrap(&root, ("bins", bins))).await;

    let shared = Shared::new(&server, root.clone());
    let watcher = Watcher::start(directory.path(), &shared);
    let mut tasks = readers::start(&shared);
    tasks.extend(writers::start(&shared, people));
    for round in 0..kills {
        shared.allow_roots(1 + (round + 1) * MOST_ROOTS.min(kills * 2) / kills);
        moment(&shared, round).await;
        server.kill().unwrap();
        // Every fourth time the key host dies as well, in the middle of signing.
        let place = ["log-before-append", "log-after-sync", "before-answer"][round as usize / 4 % 3];
        let points =
            if round % 4 == 3 { format!("{place}=kill@{}", shared.random(3, 40)) } else { String::new() };
        server.set_env("COUNTERSIGN_FAILPOINTS", &points);
        server.run().await.unwrap_or_else(|error| panic!("round {round}: {error}"));
        shared.moved_to(&server.url);
        watcher.moved_to(&server.url);
        if round % 100 == 99 {
            println!("{engine:?}: {} kills; {}", round + 1, shared.figures());
        }
    }
    // A slow machine has done little between kills.
    for _ in 0..600 {
        if shared.was_used() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    shared.stop();
    end(tasks, &server).await;
    let python = watcher.stop();
    println!("{kills} kills of the TUF service on {engine:?}: {}; python-tuf: {python}", shared.figures());
    let surprises = shared.surprises();
    assert!(surprises.is_empty(), "{}\n{}", surprises.join("\n"), server.stderr());
    assert_eq!(python["wrong"], json!([]));
    assert!(python["refreshes"].as_u64() > Some(0) && shared.was_used(), "{}", shared.figures());
    readers::nothing_acknowledged_is_lost(&shared, &root.to_bytes()).await;
    assert!(server.stop().await.unwrap().success());
}

/// Soon after something was accepted, so in the middle of its publication; or at any time. Now and then something
/// ends before.
async fn moment(shared: &Shared, round: u64) {
    if round.is_multiple_of(3) {
        let _ = tokio::time::timeout(Duration::from_secs(2), shared.ended.notified()).await;
    }
    if round.is_multiple_of(2) {
        let _ = tokio::time::timeout(Duration::from_millis(500), shared.submitted.notified()).await;
        tokio::time::sleep(Duration::from_micros(shared.random(0, 40_000))).await;
    } else {
        tokio::time::sleep(Duration::from_millis(shared.random(0, 200))).await;
    }
}

async fn end(tasks: Vec<JoinHandle<()>>, server: &TestServer) {
    for task in tasks {
        let ended = tokio::time::timeout(Duration::from_secs(120), task).await;
        ended.unwrap_or_else(|_| panic!("a task does not end:\n{}", server.stderr())).unwrap();
    }
}

/// python-tuf in a loop, in a process of its own.
struct Watcher {
    child: Child,
    url: std::path::PathBuf,
}

impl Watcher {
    fn start(directory: &std::path::Path, shared: &Arc<Shared>) -> Self {
        let (url, root) = (directory.join("url"), directory.join("1.root.json"));
        std::fs::write(&url, shared.url()).unwrap();
        std::fs::write(&root, shared.first_root.to_bytes()).unwrap();
        let python = target("test-venv").join("bin/python");
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/tuf/watcher.py");
        let child = std::process::Command::new(&python)
            .arg(program)
            .args([&url, &root])
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}: run scripts/install-test-tools", python.display()));
        Self { child, url }
    }

    fn moved_to(&self, url: &str) {
        let new = self.url.with_extension("new");
        std::fs::write(&new, url).unwrap();
        std::fs::rename(&new, &self.url).unwrap();
    }

    /// Ends it; its figures.
    fn stop(mut self) -> Value {
        drop(self.child.stdin.take());
        let output = self.child.wait_with_output().unwrap();
        assert!(output.status.success());
        serde_json::from_slice(&output.stdout).unwrap()
    }
}
