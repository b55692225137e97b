//! `run`: a whole server on a data directory, from its start to its end.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use countersign_server::{ServeError, ServeOptions, local};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

use crate::support::key_host;

fn options(data: &Path) -> ServeOptions {
    let mut options = ServeOptions::new(data);
    options.listen = Some("127.0.0.1:0".parse().unwrap());
    options.program = Some(key_host());
    options
}

/// On a thread of its own: the server confines the thread that runs it.
async fn run(options: ServeOptions) -> Result<(), ServeError> {
    let (answer, answered) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || answer.send(countersign_server::run(options)));
    answered.await.unwrap()
}

async fn address(data: &Path) -> String {
    for _ in 0..600 {
        if let Ok(text) = std::fs::read_to_string(data.join("run/address")) {
            return text.trim().strip_prefix("http://").unwrap().to_owned();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the server did not start");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_starts_answers_and_ends_when_it_is_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_owned();
    let server = tokio::spawn(run(options(&data)));
    let address = address(&data).await;

    let mut network = TcpStream::connect(&address).await.unwrap();
    network
        .write_all(b"GET /countersign/v1/whoami HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    network.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");

    let control = data.join("run/control.sock");
    assert_eq!(std::fs::metadata(&control).unwrap().permissions().mode() & 0o777, 0o600);
    let mut socket = UnixStream::connect(&control).await.unwrap();
    socket
        .write_all(b"GET /countersign/v1/whoami HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains(r#""principal":"admin""#), "{answer}");

    assert!(matches!(local(&data, None, Some(key_host())).await, Err(ServeError::Start(_))), "it is in use");

    // Signals come to this process, where the server listens to them.
    let me = std::process::id().to_string();
    assert!(Command::new("kill").args(["-TERM", &me]).status().unwrap().success());
    server.await.unwrap().unwrap();
    assert!(!data.join("run/address").exists() && !control.exists());

    let local = local(&data, None, Some(key_host())).await.unwrap();
    local.close().await;
}

#[tokio::test]
async fn a_server_refuses_to_start_with_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("countersign.toml"), "lisen = 1").unwrap();
    let error = run(options(dir.path())).await.unwrap_err();
    assert!(error.to_string().contains("lisen") && error.hint().is_some(), "{error}");

    std::fs::write(dir.path().join("countersign.toml"), "[tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"")
        .unwrap();
    let error = run(options(dir.path())).await.unwrap_err();
    assert!(error.to_string().contains("c.pem"), "{error}");

    std::fs::remove_file(dir.path().join("countersign.toml")).unwrap();
    let mut unmounted = options(&dir.path().join("data"));
    let config = dir.path().join("outside.toml");
    std::fs::write(&config, format!("[storage]\nrequire_mount = {:?}", dir.path())).unwrap();
    unmounted.config = Some(config);
    let error = run(unmounted).await.unwrap_err();
    assert!(matches!(error, ServeError::Mount(_)) && error.hint().is_some(), "{error}");
    assert!(!dir.path().join("data").exists(), "nothing was begun");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut options = options(dir.path());
    options.listen = Some(taken.local_addr().unwrap());
    assert!(matches!(run(options).await, Err(ServeError::Listen { .. })));
}
