//! Three ways to carry a request to a server; the answer is the same.

use std::convert::Infallible;
use std::fmt;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody as _};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tower::ServiceExt as _;
use zeroize::Zeroizing;

use crate::api::{Answer, Request};
use crate::failure::{Failure, OrUnknown as _};

/// The longest answer that is read: a bundle of log entries has at most 16 MiB.
const MAX_ANSWER: usize = 64 << 20;

/// For the whole of a request. Making an RSA key takes seconds on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(120);

/// For a body that comes in pieces; the server ends it long before if nothing comes.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What carries the requests.
pub enum Transport {
    /// HTTP to a server somewhere.
    Remote(Remote),
    /// HTTP over the control socket of the server that runs on the local data directory. Whoever may open
    /// it is the principal `admin`.
    Socket(PathBuf),
    /// No server: its router in this process, over the data directory.
    InProcess(Box<Router>),
}

/// A server somewhere.
pub struct Remote {
    client: reqwest::Client,
    /// `https://host[:port][/prefix]`, without a slash at the end.
    base: String,
    authorization: Option<HeaderValue>,
    /// The same token, for the surface that wants it in `X-API-Key`.
    api_key: Option<HeaderValue>,
}

impl Transport {
    /// To the server at `url`.
    ///
    /// - `token`: what `Authorization: Bearer` gets.
    /// - `ca`: PEM of the only certification authorities to trust.
    ///
    /// # Errors
    /// If the URL, the token or the certificates are malformed.
    pub fn remote(url: &str, token: Option<&Zeroizing<String>>, ca: Option<&[u8]>) -> Result<Self, Failure> {
        let (base, scheme, host) = check_url(url)?;
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            // A redirection would take the token elsewhere.
            .redirect(reqwest::redirect::Policy::none());
        if is_loopback(&host) {
            builder = builder.no_proxy();
        }
        if let Some(pem) = ca {
            let certificates = reqwest::Certificate::from_pem_bundle(pem)
                .or_unknown("the file of --ca has no certificate that can be read")?;
            builder = builder.tls_certs_only(certificates);
        } else if scheme == "http" {
            // Spares loading the system's certificates, which a small machine may not even have.
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().or_unknown("cannot set up TLS")?;
        let authorization = token.map(|token| secret_header("Bearer ", token)).transpose()?;
        let api_key = token.map(|token| secret_header("", token)).transpose()?;
        Ok(Self::Remote(Remote { client, base, authorization, api_key }))
    }

    /// To the server that runs on the data directory `data`; `None` if none does.
    ///
    /// # Errors
    /// If there is one that does not let us in.
    pub async fn beside(data: &Path) -> Result<Option<Self>, Failure> {
        let socket = data.join("run").join("control.sock");
        match UnixStream::connect(&socket).await {
            Ok(_) => Ok(Some(Self::Socket(socket))),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                Ok(None)
            }
            Err(error) => Err(Failure::file("connect to", &socket, &error).hint(
                "only the user who runs the server may use its data directory; others use `--server URL`",
            )),
        }
    }

    /// To a router in this process.
    pub fn in_process(router: Router) -> Self {
        Self::InProcess(Box::new(router))
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn send(&self, request: Request) -> Result<Answer, Failure> {
        let request = self.build(request)?;
        let answer = async { read(self.exchange(request).await?, self).await };
        match self {
            // Nothing can be silent in this process, and an RSA key takes as long as it takes.
            Self::InProcess(_) => answer.await,
            _ => in_time(self, answer).await?,
        }
    }

    /// Sends a request and writes the body of a good answer to `out` as it comes, however long it is. The
    /// answer that is returned has the body of a refusal only.
    ///
    /// # Errors
    /// When no answer came, when it broke off, and when `out` fails.
    pub async fn download(&self, request: Request, out: &mut (dyn Write + Send)) -> Result<Answer, Failure> {
        let response = in_time(self, self.exchange(self.build(request)?)).await??;
        if !response.status().is_success() {
            return in_time(self, read(response, self)).await?;
        }
        let (parts, mut body) = response.into_parts();
        while let Some(frame) = in_time(self, body.frame()).await? {
            let frame = frame.map_err(|error| no_answer(self, error))?;
            if let Some(bytes) = frame.data_ref() {
                out.write_all(bytes).or_unknown("cannot write what was received")?;
            }
        }
        Ok(Answer { status: parts.status, headers: parts.headers, body: Bytes::new() })
    }

    /// Sends a request whose body comes in pieces, and reads the whole answer. It takes as long as the body takes.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn upload(&self, request: Request, body: Body) -> Result<Answer, Failure> {
        let request = self.build(request)?.map(|_| body);
        read(self.exchange(request).await?, self).await
    }

    async fn exchange(
        &self,
        request: http::Request<Body>,
    ) -> Result<http::Response<axum::body::Body>, Failure> {
        match self {
            Self::Remote(remote) => remote.exchange(request).await,
            Self::Socket(path) => exchange_over_socket(path, request).await,
            Self::InProcess(router) => {
                let sent: Result<_, Infallible> = (**router).clone().oneshot(request).await;
                let Ok(response) = sent;
                Ok(response)
            }
        }
    }

    fn build(&self, request: Request) -> Result<http::Request<Body>, Failure> {
        let uri = match self {
            Self::Remote(remote) => format!("{}{}", remote.base, request.path),
            Self::Socket(_) | Self::InProcess(_) => request.path,
        };
        let mut builder = http::Request::builder().method(request.method).uri(uri);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        match self {
            Self::Remote(remote) => {
                let (name, token) = if request.api_key {
                    (API_KEY, &remote.api_key)
                } else {
                    (header::AUTHORIZATION, &remote.authorization)
                };
                if let Some(token) = token {
                    builder = builder.header(name, token);
                }
            }
            Self::Socket(_) | Self::InProcess(_) => builder = builder.header(header::HOST, "localhost"),
        }
        if request.body.is_empty() && !request.streams && builder.method_ref() == Some(&http::Method::POST) {
            builder = builder.header(header::CONTENT_LENGTH, 0);
        }
        builder.body(Body::new(Full::new(request.body))).or_unknown("cannot make the request")
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remote(remote) => f.write_str(&remote.base),
            Self::Socket(path) => write!(f, "the server at `{}`", path.display()),
            Self::InProcess(_) => f.write_str("the local data directory"),
        }
    }
}

impl Remote {
    async fn exchange(
        &self,
        request: http::Request<Body>,
    ) -> Result<http::Response<axum::body::Body>, Failure> {
        let (parts, body) = request.into_parts();
        let streams = body.size_hint().exact().is_none();
        let body = if streams {
            reqwest::Body::wrap_stream(body.into_data_stream())
        } else {
            let body = body.collect().await.or_unknown("cannot make the request")?;
            body.to_bytes().into()
        };
        let mut request = reqwest::Request::try_from(http::Request::from_parts(parts, body))
            .or_unknown("cannot make the request")?;
        if streams {
            *request.timeout_mut() = Some(UPLOAD_TIMEOUT);
        }
        let response =
            self.client.execute(request).await.map_err(|error| no_answer(self, root_cause(&error)))?;
        Ok(http::Response::from(response).map(axum::body::Body::new))
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

async fn exchange_over_socket(
    path: &Path,
    request: http::Request<Body>,
) -> Result<http::Response<axum::body::Body>, Failure> {
    let place = path.display();
    let stream = UnixStream::connect(path).await.map_err(|error| no_answer(&place, error))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| no_answer(&place, error))?;
    // Ends by itself when the answer was read or dropped.
    tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(|error| no_answer(&place, error))?;
    Ok(response.map(axum::body::Body::new))
}

async fn in_time<T>(place: &Transport, work: impl Future<Output = T>) -> Result<T, Failure> {
    let done = tokio::time::timeout(TIMEOUT, work).await;
    done.map_err(|_| no_answer(place, "no answer in time"))
}

async fn read(
    response: http::Response<axum::body::Body>,
    place: &dyn fmt::Display,
) -> Result<Answer, Failure> {
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| no_answer(place, error))?;
    Ok(Answer { status: parts.status, headers: parts.headers, body: body.to_bytes() })
}

fn no_answer(place: &(impl fmt::Display + ?Sized), error: impl fmt::Display) -> Failure {
    Failure::unknown(format!("no answer from {place}: {error}"))
        .hint("is the server running, and is the address right? `countersign doctor` looks closer")
}

/// The innermost reason: the outer ones only repeat the address.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// Base, scheme and host of a server's URL.
fn check_url(url: &str) -> Result<(String, String, String), Failure> {
    let bad = |why: &str| {
        Failure::unknown(format!("`{url}` is not the address of a server: {why}"))
            .hint("it has the form https://sign.example.org or http://127.0.0.1:8080")
    };
    let uri: Uri = url.parse().map_err(|_| bad("it is not a URL"))?;
    let scheme = uri.scheme_str().ok_or_else(|| bad("it does not begin with https:// or http://"))?;
    if !matches!(scheme, "http" | "https") {
        return Err(bad("it does not begin with https:// or http://"));
    }
    if uri.query().is_some() {
        return Err(bad("it has a query"));
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(bad("a token does not belong in a URL"));
    }
    let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| bad("it has no host"))?;
    Ok((url.trim_end_matches('/').to_owned(), scheme.to_owned(), host.to_owned()))
}

/// Whether a host is this machine.
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

fn secret_header(before: &str, token: &Zeroizing<String>) -> Result<HeaderValue, Failure> {
    let text = Zeroizing::new(format!("{before}{}", token.as_str()));
    let mut value = HeaderValue::from_str(&text).map_err(|_| {
        Failure::unknown("the token has characters that no token has").hint("it begins with `cst_`")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use http::HeaderMap;

    use super::*;

    fn echo() -> Router {
        let show = |headers: HeaderMap, uri: Uri| async move {
            let authorization = headers.get(header::AUTHORIZATION).map(|v| v.to_str().unwrap().to_owned());
            format!("{uri} {}", authorization.as_deref().unwrap_or("-"))
        };
        Router::new().route("/{*path}", get(show))
    }

    async fn ask(transport: &Transport) -> String {
        let answer = transport.send(Request::get("/countersign/v1/keys?limit=1")).await.unwrap();
        String::from_utf8(answer.body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_request_is_the_same_over_all_three() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("run")).unwrap();
        let listener = tokio::net::UnixListener::bind(directory.path().join("run/control.sock")).unwrap();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let service = hyper_util::service::TowerToHyperService::new(echo());
                let connection = hyper::server::conn::http1::Builder::new();
                tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
            }
        });
        let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", tcp.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(tcp, echo()).await });

        let want = "/countersign/v1/keys?limit=1";
        let socket = Transport::beside(directory.path()).await.unwrap().unwrap();
        assert_eq!(ask(&socket).await, format!("{want} -"));
        assert_eq!(ask(&Transport::in_process(echo())).await, format!("{want} -"));
        let token = Zeroizing::new("cst_x".to_owned());
        let remote = Transport::remote(&url, Some(&token), None).unwrap();
        assert_eq!(ask(&remote).await, format!("{want} Bearer cst_x"));
    }

    #[tokio::test]
    async fn no_server_is_not_knowing() {
        let remote = Transport::remote("http://127.0.0.1:1", None, None).unwrap();
        let failure = remote.send(Request::get("/healthz")).await.unwrap_err();
        assert_eq!(failure.code(), 2);
        assert!(failure.message.contains("http://127.0.0.1:1"), "{}", failure.message);
    }

    #[test]
    fn an_address_is_a_url_without_token_or_query() {
        for good in ["http://127.0.0.1:8080", "https://sign.example.org/", "https://example.org/sign"] {
            assert!(check_url(good).is_ok(), "{good}");
        }
        for bad in ["", "sign.example.org", "ftp://x", "https://", "https://a?b", "https://t@host", "/x"] {
            assert!(check_url(bad).is_err(), "{bad}");
        }
    }
}
