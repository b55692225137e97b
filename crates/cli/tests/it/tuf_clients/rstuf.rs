//! RSTUF's command line, unmodified: ceremony, signatures of several people, artifacts, updates, delegations.

use countersign_testkit::server::Engine;

use super::{client, server};

async fn runs(engine: Engine, what: &str) {
    let server = server(engine).await;
    client("rstuf-venv", what, &server).succeeds(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_of_rstuf_runs_a_repository_of_hash_bins_on_sqlite() {
    runs(Engine::Sqlite, "rstuf.py bins").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_of_rstuf_runs_a_repository_of_hash_bins_on_postgres() {
    runs(Engine::Postgres, "rstuf.py bins").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_of_rstuf_runs_a_repository_of_peoples_roles() {
    runs(Engine::Sqlite, "rstuf.py roles").await;
}
