//! The contract, from outside: statuses, errors, headers, messages, signatures.

use countersign_testkit::server::Engine;

use super::{Client, server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_numbered_check_of_the_contract_holds() {
    for engine in Engine::ALL {
        let server = server(engine).await;
        Client::python("test-venv", "-m contract").of(&server).await.succeeds(&server).await;
    }
}
