//! Connections: TCP with or without TLS, and the control socket.
//!
//! One loop a socket. A handshake or a request that hangs holds its own task only, never the loop.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, mpsc, watch};

use crate::app::Front;
use crate::auth::Peer;
use crate::body::SILENCE;
use crate::patience::Patience;
use crate::refusal::{self, Unasked};
use crate::tls::Certificate;

/// The longest head of a request, in bytes. The number of its headers is at most 100 (hyper's own limit).
const HEAD_BYTES: usize = 64 << 10;

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a closed connection is still read from, so that the client gets the answer before the end.
const LINGER: Duration = Duration::from_secs(2);

/// Connections to the control socket at a time: it never waits for those of the network.
const CONTROL_CONNECTIONS: usize = 64;

/// What connections share.
#[derive(Clone)]
pub struct Serving {
    /// Answers requests.
    pub front: Front,
    /// Becomes true when nothing new is to be accepted.
    pub stop: watch::Receiver<bool>,
    /// Held as long as a connection lives.
    pub alive: Option<mpsc::Sender<Infallible>>,
}

/// Where a connection comes from, in the extensions of its requests.
///
/// An IPv6 address stands for its network of 64 bits: who has one address has as many as they like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Remote(IpAddr);

impl Remote {
    /// Of the other end's address.
    pub fn new(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
            address => address,
        })
    }
}

impl Remote {
    /// The address that stands for it.
    pub fn address(self) -> std::net::IpAddr {
        self.0
    }
}

impl std::fmt::Display for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Accepts connections from the network, at most `connections` at a time, until it is told to stop.
pub async fn accept_network(
    listener: TcpListener,
    certificate: Option<Arc<Certificate>>,
    connections: usize,
    mut serving: Serving,
) {
    let places = Arc::new(Semaphore::new(connections));
    while let Some(place) = next_place(&places, &mut serving.stop).await {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut serving.stop) => return,
        };
        let Some((tcp, remote)) = accepted_or_pause(accepted).await else { continue };
        let remote = Some(Remote::new(remote.ip()));
        // Answers are small: waiting to fill a packet would only delay them.
        let _ = tcp.set_nodelay(true);
        let acceptor = certificate.as_ref().map(|certificate| certificate.acceptor());
        let serving = serving.clone();
        tokio::spawn(async move {
            match acceptor {
                None => connection(tcp, Peer::Network, remote, serving).await,
                Some(acceptor) => match tokio::time::timeout(HANDSHAKE, acceptor.accept(tcp)).await {
                    Ok(Ok(tls)) => connection(tls, Peer::Network, remote, serving).await,
                    Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                    Err(_) => tracing::debug!("a TLS handshake took too long"),
                },
            }
            drop(place);
        });
    }
}

/// Accepts connections on the control socket until it is told to stop.
pub async fn accept_control(listener: UnixListener, mut serving: Serving) {
    let places = Arc::new(Semaphore::new(CONTROL_CONNECTIONS));
    while let Some(place) = next_place(&places, &mut serving.stop).await {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut serving.stop) => return,
        };
        let Some(unix) = accepted_or_pause(accepted.map(|(unix, _)| unix)).await else { continue };
        let serving = serving.clone();
        tokio::spawn(async move {
            connection(unix, Peer::Control, None, serving).await;
            drop(place);
        });
    }
}

/// Makes the control socket, for this user only, in the place of one that a dead process left.
///
/// # Errors
/// If it cannot be made, for instance because the path is longer than 107 bytes.
pub fn bind_control(path: &Path) -> io::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt as _;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Its directory has mode 0700, so nobody else can come in between.
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// A place for one more connection; `None` when it is time to stop.
async fn next_place(
    places: &Arc<Semaphore>,
    stop: &mut watch::Receiver<bool>,
) -> Option<tokio::sync::OwnedSemaphorePermit> {
    tokio::select! {
        place = Arc::clone(places).acquire_owned() => place.ok(),
        () = stopped(stop) => None,
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that who could say so is gone, which says the same.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Too many open files and the like pass; a loop that spins on them helps nobody.
async fn accepted_or_pause<T>(accepted: io::Result<T>) -> Option<T> {
    match accepted {
        Ok(stream) => Some(stream),
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

/// Serves one connection to its end.
pub async fn connection<S>(stream: S, peer: Peer, remote: Option<Remote>, serving: Serving)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Serving { front, mut stop, alive } = serving;
    let answering = front.clone();
    let asked = Arc::new(AtomicBool::new(false));
    let stream = Unasked::new(Patience::new(stream, SILENCE), Arc::clone(&asked));
    let service = service_fn(move |request: http::Request<Incoming>| -> Answering {
        asked.store(true, Ordering::Relaxed);
        let front = answering.clone();
        let mut request = request.map(Body::new);
        if let Some(remote) = remote {
            request.extensions_mut().insert(remote);
        }
        Box::pin(async move { Ok(front.answer(request, peer).await) })
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(SILENCE)
        .max_header_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);

    let mut stopping = false;
    let ended = loop {
        tokio::select! {
            biased;
            ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => break ended,
            () = stopped(&mut stop), if !stopping => {
                stopping = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };

    let parts = connection.into_parts();
    let (mut stream, mut refused) = parts.io.into_inner().into_parts();
    // A head that stopped half way. A connection that was only idle is closed without a word.
    if ended.is_err_and(|error| error.is_timeout()) && !parts.read_buf.is_empty() {
        refused = Some(StatusCode::REQUEST_TIMEOUT);
    }
    if let Some(status) = refused {
        let answer = refusal::answer(status, &refusal::problem_of(status), &front.new_request_id());
        let _ = tokio::time::timeout(LINGER, stream.write_all(&answer)).await;
    }
    let _ = tokio::time::timeout(LINGER, linger(&mut stream)).await;
    drop(alive);
}

type Answering = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

/// Closes our side, then reads until the client has closed its own: closing with bytes unread would reset
/// the connection, and could take the answer from the client before it was read.
async fn linger(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    let mut ignored = [0; 4096];
    if stream.shutdown().await.is_ok() {
        while matches!(stream.read(&mut ignored).await, Ok(count) if count > 0) {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_network_are_one() {
        let shown = |text: &str| Remote::new(text.parse().unwrap()).to_string();
        assert_eq!(shown("192.0.2.7"), "192.0.2.7");
        assert_eq!(shown("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(shown("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }
}
