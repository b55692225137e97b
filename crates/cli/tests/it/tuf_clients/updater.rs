//! python-tuf's `Updater`: through every publication, and against a mirror that lies.

use countersign_testkit::server::Engine;

use super::{client, server};

async fn reads(engine: Engine, what: &str) {
    let server = server(engine).await;
    client("test-venv", what, &server).succeeds(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_tuf_reads_hash_bins_through_every_publication_and_refuses_every_lie_on_sqlite() {
    reads(Engine::Sqlite, "updater.py bins").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_tuf_reads_hash_bins_through_every_publication_and_refuses_every_lie_on_postgres() {
    reads(Engine::Postgres, "updater.py bins").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_tuf_reads_roles_of_people_also_when_they_are_deleted() {
    for engine in Engine::ALL {
        reads(engine, "updater.py roles").await;
    }
}
