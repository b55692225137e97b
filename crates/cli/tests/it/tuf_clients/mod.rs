//! The TUF service as others use it: RSTUF's command line at a terminal, python-tuf, awslabs' tough, and readers
//! that go on while the server is killed, on the real binary and on both databases. What the programs in Python do
//! is in `tests/clients/tuf`.

mod kills;
pub mod people;
mod reader;
mod rstuf;
mod rules;
mod tough;
mod updater;

use countersign_testkit::server::{Engine, TestServer};

use crate::appliance::target;
use crate::collection_clients::Client;
use crate::native::PROGRAM;

/// A server, and nothing in its repository yet.
async fn server(engine: Engine) -> TestServer {
    TestServer::start(PROGRAM, engine).await.unwrap()
}

/// A program of `tests/clients/tuf`, told of the server.
fn client(venv: &str, name: &str, server: &TestServer) -> Client {
    Client::python_in("tuf", venv, name)
        .env("SERVER", &server.url)
        .env("TOKEN", &server.token)
        .env("RSTUF", target("rstuf-venv").join("bin/rstuf").to_str().unwrap())
}
