//! Kills the processes of a server that works, many times, and then looks whether anything is missing.
//!
//! `COUNTERSIGN_TORTURE_ROUNDS` is the number of times that the server is started and killed; in each round
//! the key host dies some times before.

use std::time::{Duration, Instant};

use countersign_testkit::server::{Engine, TestServer};

use super::super::native::PROGRAM;
use super::check::check;
use super::clients::Clients;

/// Where the key host dies.
const PLACES: [&str; 5] =
    ["log-before-append", "log-after-append", "log-after-sync", "after-sign", "before-answer"];

/// Two of each place and database, in a usual run of the tests.
const ROUNDS: u64 = 10;

/// How often the key host dies in a round. Its guardian waits longer each time.
const DEATHS: usize = 3;

/// After this a round goes on with fewer.
const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn torture_on_sqlite_leaves_no_signature_unlogged_and_loses_no_write() {
    torture(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn torture_on_postgres_leaves_no_signature_unlogged_and_loses_no_write() {
    torture(Engine::Postgres).await;
}

async fn torture(engine: Engine) {
    let rounds = std::env::var("COUNTERSIGN_TORTURE_ROUNDS").ok();
    let rounds: u64 = rounds.and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS);
    let mut random = Random::new();
    // A copy: a build beside a long run must not change the program under test.
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("countersign");
    std::fs::copy(PROGRAM, &program).unwrap();
    let mut server = TestServer::start(&program, engine).await.unwrap();
    let clients = Clients::start(&server).await;
    let (mut host_deaths, mut server_deaths) = (0, 0);
    for round in 0..rounds {
        server.kill().unwrap();
        server_deaths += 1;
        let place = PLACES[round as usize % PLACES.len()];
        server.set_env("COUNTERSIGN_FAILPOINTS", &format!("{place}=kill@{}", random.between(5, 60)));
        server.run().await.unwrap_or_else(|error| panic!("round {round}, {place}: {error}"));
        clients.shared.moved_to(&server.url);
        host_deaths += deaths(&server).await;
        // At work, or while the key host is being started again.
        tokio::time::sleep(Duration::from_millis(random.between(0, 300))).await;
        if round % 50 == 49 {
            println!("{engine:?}: {} kills in {} rounds", host_deaths + server_deaths, round + 1);
        }
    }
    server.kill().unwrap();
    server.set_env("COUNTERSIGN_FAILPOINTS", "");
    server.run().await.unwrap();
    server_deaths += 1;
    clients.shared.moved_to(&server.url);
    let ledger = clients.stop().await;
    let report = check(&server, ledger).await;
    println!(
        "torture on {engine:?}: {} kills ({host_deaths} of the key host, {server_deaths} of the server); {}",
        host_deaths + server_deaths,
        report.figures()
    );
    report.assert_clean();
    assert!(host_deaths as u64 >= rounds, "the key host died only {host_deaths} times in {rounds} rounds");
    assert!(server.stop().await.unwrap().success());
}

/// Waits until the key host has died some times.
async fn deaths(server: &TestServer) -> usize {
    let begun = Instant::now();
    loop {
        let count = server.stderr().matches("the key host died").count();
        if count >= DEATHS || begun.elapsed() > PATIENCE {
            return count;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Numbers that differ from run to run (xorshift): what matters is when things happen, and that is never the same.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        Self(now.as_nanos() as u64 | 1)
    }

    fn between(&mut self, low: u64, high: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        low + self.0 % (high - low)
    }
}
