//! kinto-http of Python and of JavaScript, and kinto.js.

use countersign_testkit::server::Engine;

use super::{Client, server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clients_of_kinto_do_all_that_they_can() {
    for engine in Engine::ALL {
        let server = server(engine).await;
        Client::node("kinto_http_client.cjs").of(&server).await.succeeds(&server).await;
        Client::node("kinto_client.cjs").of(&server).await.succeeds(&server).await;
        // The last: at its end it deletes every bucket that it can.
        Client::python("test-venv", "kinto_http_client.py").of(&server).await.succeeds(&server).await;
    }
}
