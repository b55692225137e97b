//! Real sockets: slow clients, large heads, early refusals, TLS, the control socket, the end.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use countersign_server::app::{Front, Meta};
use countersign_server::auth::Peer;
use countersign_server::body::Arriving;
use countersign_server::listener::{self, Serving};
use countersign_server::metrics::Metrics;
use countersign_server::tls::{Certificate, Files};
use rustls::pki_types::pem::PemObject as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

async fn length(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = match Arriving::new(&parts.headers, body, 1 << 20) {
        Ok(body) => body.all().await,
        Err(problem) => Err(problem),
    };
    body.map_or_else(|problem| problem.into_response(), |bytes| bytes.len().to_string().into_response())
}

async fn peer(request: Request) -> String {
    let peer = request.extensions().get::<Meta>().map(|meta| meta.peer);
    (if peer == Some(Peer::Control) { "control" } else { "network" }).to_owned()
}

async fn late() -> Response {
    tokio::time::sleep(Duration::from_millis(300)).await;
    Response::new(Body::from("late"))
}

struct Server {
    address: std::net::SocketAddr,
    stop: watch::Sender<bool>,
    serving: Serving,
    accepting: tokio::task::JoinHandle<()>,
}

async fn serve(certificate: Option<Arc<Certificate>>, connections: usize) -> Server {
    let router =
        Router::new().route("/length", post(length)).route("/peer", get(peer)).route("/late", get(late));
    let front = Front::new(router, Arc::new(Metrics::default()), || "made".parse().unwrap());
    let (stop, stopping) = watch::channel(false);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = Serving { front, stop: stopping, alive: None };
    let accepting =
        tokio::spawn(listener::accept_network(listener, certificate, connections, serving.clone()));
    Server { address, stop, serving, accepting }
}

/// Sends `request` and reads until the server closes.
async fn exchange(server: &Server, request: &str) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_body_that_stops_half_way_is_answered_408_and_the_connection_closed() {
    let server = serve(None, 8).await;
    tokio::time::pause();
    let request = "POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf";
    let answer = exchange(&server, request).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("countersign-request-id: made\r\n"), "{answer}");
    assert!(answer.contains("urn:countersign:problem:request-timeout"), "{answer}");
}

#[tokio::test]
async fn a_head_that_stops_half_way_is_answered_408_and_an_idle_connection_just_closed() {
    let server = serve(None, 8).await;
    tokio::time::pause();
    let answer = exchange(&server, "GET /peer HTTP/1.1\r\nHost: x\r\nX-Sl").await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("countersign-request-id: made\r\n"), "{answer}");
    assert_eq!(exchange(&server, "").await, "");
}

#[tokio::test]
async fn a_head_with_too_much_in_it_is_refused() {
    let server = serve(None, 8).await;
    let many: String = (0..101).map(|i| format!("X-{i}: 1\r\n")).collect();
    let long = format!("X: {}\r\n", "y".repeat(80 << 10));
    for headers in [many, long] {
        let answer = exchange(&server, &format!("GET /peer HTTP/1.1\r\nHost: x\r\n{headers}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{}", &answer[..answer.len().min(200)]);
        assert!(answer.contains(r#""type":"urn:countersign:problem:too-large""#), "{answer}");
    }
}

#[tokio::test]
async fn what_is_no_request_gets_a_problem_document_too() {
    let server = serve(None, 8).await;
    for (request, status) in [
        ("NONSENSE\r\n\r\n".to_owned(), 400),
        ("GET /pe er HTTP/1.1\r\nHost: x\r\n\r\n".into(), 400),
        ("GET /peer HTTP/1.1\r\nHost x\r\n\r\n".into(), 400),
        ("POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}".into(), 400),
        (format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(65_000)), 404),
    ] {
        let request = request.replace("Host: x", "Host: x\r\nConnection: close");
        let answer = exchange(&server, &request).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(head.contains("content-type: application/problem+json"), "{answer}");
        assert!(head.contains("countersign-request-id: made"), "{answer}");
        let document: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(
            (&document["status"], &document["request_id"]),
            (&status.into(), &"made".into()),
            "{body}"
        );
    }
    // Behind a request on the same connection the library's own answer stands.
    let both = exchange(&server, "GET /peer HTTP/1.1\r\nHost: x\r\n\r\nNONSENSE\r\n\r\n").await;
    assert!(both.starts_with("HTTP/1.1 200 ") && both.contains("HTTP/1.1 400 Bad Request"), "{both}");
}

#[tokio::test]
async fn a_client_that_sends_far_too_much_still_gets_the_refusal() {
    let server = serve(None, 8).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = "POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    // A client that does not look at the answer before it has sent all.
    let chunk = vec![b'x'; 1 << 20];
    for _ in 0..50 {
        if stream.write_all(&chunk).await.is_err() {
            break;
        }
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn two_lengths_are_refused() {
    let server = serve(None, 8).await;
    let request = "POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab";
    let answer = exchange(&server, request).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

#[tokio::test]
async fn more_connections_than_allowed_wait_their_turn() {
    let server = serve(None, 1).await;
    let first = TcpStream::connect(server.address).await.unwrap();
    let second = exchange(&server, "GET /peer HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    tokio::pin!(second);
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut second).await.is_err());
    drop(first);
    assert!(second.await.ends_with("network"));
}

#[tokio::test]
async fn the_control_socket_is_for_its_owner_and_says_so_to_the_routes() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = serve(None, 8).await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    std::fs::write(&path, "left by a dead process").unwrap();
    let listener = listener::bind_control(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    tokio::spawn(listener::accept_control(listener, server.serving.clone()));

    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(b"GET /peer HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("control"), "{answer}");
}

#[tokio::test]
async fn the_end_waits_for_what_was_accepted_and_accepts_no_more() {
    let server = serve(None, 8).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /late HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.stop.send_replace(true);
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("late"), "{answer}");
    server.accepting.await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The common name that the server's certificate is trusted under, or an error.
async fn shake(server: &Server, trusted: &str) -> Result<(), String> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_file(fixture(trusted)).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let tcp = TcpStream::connect(server.address).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let mut tls = connector.connect(name, tcp).await.map_err(|e| e.to_string())?;
    tls.write_all(b"GET /peer HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    tls.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("network"), "{answer}");
    Ok(())
}

#[tokio::test]
async fn a_new_certificate_is_taken_without_a_restart_and_a_bad_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files { certificate: dir.path().join("cert.pem"), key: dir.path().join("key.pem") };
    let put = |certificate: &str, key: &str| {
        std::fs::copy(fixture(certificate), &files.certificate).unwrap();
        std::fs::copy(fixture(key), &files.key).unwrap();
    };
    put("cert.pem", "key.pem");
    let certificate = Arc::new(Certificate::load(files.clone()).unwrap());
    assert!(!certificate.is_stale());
    let server = serve(Some(Arc::clone(&certificate)), 8).await;
    shake(&server, "cert.pem").await.unwrap();
    assert!(shake(&server, "cert2.pem").await.is_err());

    put("cert2.pem", "key.pem");
    assert!(certificate.is_stale());
    assert!(certificate.reload().is_err(), "the key is not the certificate's");
    shake(&server, "cert.pem").await.unwrap();

    put("cert2.pem", "key2.pem");
    certificate.reload().unwrap();
    shake(&server, "cert2.pem").await.unwrap();
}

#[tokio::test]
async fn a_handshake_that_hangs_does_not_stop_others() {
    let files = Files { certificate: fixture("cert.pem"), key: fixture("key.pem") };
    let server = serve(Some(Arc::new(Certificate::load(files).unwrap())), 8).await;
    let _silent = TcpStream::connect(server.address).await.unwrap();
    shake(&server, "cert.pem").await.unwrap();
}
