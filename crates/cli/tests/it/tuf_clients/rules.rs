//! `countersign tuf` as a client, by the rules of the TUF project's conformance tests. `make conformance` runs those
//! tests themselves.

use crate::collection_clients::Client;
use crate::native::PROGRAM;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_client_keeps_every_rule_of_the_specification() {
    Client::python_in("tuf", "test-venv", "rules.py").env("COUNTERSIGN", PROGRAM).succeeds_alone().await;
}
