//! The guided ceremony at a terminal, as a person sees it; `tests/clients/tuf/guided.py` is the person.

use super::*;
use crate::collection_clients::Client;
use crate::native::PROGRAM;

#[tokio::test(flavor = "multi_thread")]
async fn people_at_a_terminal_make_and_sign_the_first_root() {
    let desk = Desk::on(Engine::Sqlite).await;
    keys(&desk);
    let directory = desk.directory.path();
    openssl(directory, "genpkey -algorithm ed25519 -aes-256-cbc -pass pass:correct -out ana.pem");
    openssl(directory, "pkey -in ana.pem -passin pass:correct -pubout -out ana.pub");
    Client::python_in("tuf", "test-venv", "guided.py")
        .env("PROGRAM", PROGRAM)
        .env("DATA", desk.server.data().to_str().unwrap())
        .env("DIRECTORY", directory.to_str().unwrap())
        .succeeds(&desk.server)
        .await;
    let status = desk.admin("tuf status --json").json();
    assert_eq!(status["state"], "finished");
    assert_eq!(status["settings"]["number_of_delegated_bins"], 4);
    assert_eq!(status["settings"]["root_threshold"], 2);
}
