//! A reader who polls, takes differences, and believes what verifies.

use countersign_testkit::server::Engine;

use super::{Client, server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_has_what_was_published_and_believes_nothing_else() {
    for engine in Engine::ALL {
        let server = server(engine).await;
        Client::python("test-venv", "reader.py").of(&server).await.succeeds(&server).await;
    }
}
