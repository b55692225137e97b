//! The native API over HTTP, on the real binary and on both databases.

mod errors;
mod idempotency;
mod keys;
mod log;
mod matrix;
mod people;
mod policy;
mod signing;

use countersign_testkit::server::{Engine, TestServer};
use serde_json::{Value, json};

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_countersign");

/// A server on each database, one after the other.
pub async fn servers() -> Vec<TestServer> {
    let mut servers = Vec::new();
    for engine in Engine::ALL {
        servers.push(TestServer::start(PROGRAM, engine).await.unwrap());
    }
    servers
}

/// Makes a key; the answer is its document.
pub async fn make_key(server: &TestServer, name: &str, key_type: &str) -> Value {
    let made = server.post("/keys", &json!({"name": name, "type": key_type})).await.unwrap();
    assert_eq!(made.status, 201, "{}", made.problem());
    made.json()
}

/// Standard base64.
pub fn b64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// The bytes of standard base64.
pub fn unb64(value: &Value) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(value.as_str().unwrap()).unwrap()
}
