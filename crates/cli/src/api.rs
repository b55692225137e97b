//! The native API as a client sees it: one small client, whatever carries the requests.

use std::ops::ControlFlow;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, StatusCode, header};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::failure::{Failure, Kind, OrUnknown as _};
use crate::files;
use crate::transport::Transport;

/// Where the native API begins.
pub const BASE: &str = "/countersign/v1";

/// Speaks to a server: far away, beside us, or inside this process.
pub struct Api {
    transport: Transport,
}

/// A request in the making.
pub struct Request {
    pub(crate) method: Method,
    /// Path and query, from the server's root.
    pub(crate) path: String,
    pub(crate) headers: Vec<(HeaderName, String)>,
    pub(crate) body: Bytes,
    /// Whether the body comes in pieces, from elsewhere.
    pub(crate) streams: bool,
    /// Whether the token goes into `X-API-Key`, where the signing appliance looks for it.
    pub(crate) api_key: bool,
}

/// What came back, whole.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// Who answers (`GET /countersign/v1/`), as far as it is used here.
#[derive(Debug, Deserialize)]
pub struct Service {
    /// The server's version.
    pub version: String,
    /// The signing log of the node that answers.
    pub log: ServiceLog,
}

/// The log in the service document.
#[derive(Debug, Deserialize)]
pub struct ServiceLog {
    /// Its origin.
    pub origin: String,
    /// Its verifier key, `NAME+ID+KEY`.
    pub public_key: String,
}

/// The answer to a request to sign, as far as it is used here.
#[derive(Clone, Debug, Deserialize)]
pub struct Signed {
    /// The scheme.
    pub scheme: String,
    /// The signature, in base64.
    signature: String,
    /// Where it is in the log.
    pub log: LogPlace,
}

/// A place in a signing log.
#[derive(Clone, Debug, Deserialize)]
pub struct LogPlace {
    /// Which log.
    pub origin: String,
    /// Which entry, from 0.
    pub index: u64,
}

impl Signed {
    /// The signature's bytes.
    ///
    /// # Errors
    /// [`Kind::Unknown`] if the server's answer is not base64.
    pub fn signature(&self) -> Result<Vec<u8>, Failure> {
        BASE64
            .decode(&self.signature)
            .map_err(|_| Failure::unknown("the server's answer has a signature that is not base64"))
    }
}

impl Api {
    /// A client over `transport`.
    pub fn new(transport: Transport) -> Self {
        Self { transport }
    }

    /// Where the requests go, for the person.
    pub fn place(&self) -> String {
        self.transport.to_string()
    }

    /// Sends a request and returns the answer, whatever its status.
    ///
    /// # Errors
    /// [`Kind::Unknown`] when no answer came.
    pub async fn send(&self, request: Request) -> Result<Answer, Failure> {
        self.transport.send(request).await
    }

    /// Sends a request and returns the answer if it is a good one.
    ///
    /// # Errors
    /// What the server said, or that no answer came.
    pub async fn call(&self, request: Request) -> Result<Answer, Failure> {
        self.send(request).await?.good()
    }

    /// `GET` of a path below the native API.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn get(&self, path: &str) -> Result<Answer, Failure> {
        self.call(Request::get(&format!("{BASE}{path}"))).await
    }

    /// `POST` of a JSON document to a path below the native API.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn post(&self, path: &str, document: &impl Serialize) -> Result<Answer, Failure> {
        self.call(Request::post(&format!("{BASE}{path}")).json(document)?).await
    }

    /// `POST` of a JSON document to a path below the native API, whose answer goes to `out` as it comes.
    ///
    /// # Errors
    /// As [`call`](Self::call), and if `out` fails.
    pub async fn download(
        &self,
        path: &str,
        document: &impl Serialize,
        out: &mut (dyn std::io::Write + Send),
    ) -> Result<(), Failure> {
        let request = Request::post(&format!("{BASE}{path}")).json(document)?;
        self.fetch(request, out).await?.good().map(drop)
    }

    /// Sends a request; the body of a good answer goes to `out` as it comes, however long it is, and what is
    /// returned has the body of a refusal only.
    ///
    /// # Errors
    /// [`Kind::Unknown`] when no answer came, and if `out` fails.
    pub async fn fetch(
        &self,
        request: Request,
        out: &mut (dyn std::io::Write + Send),
    ) -> Result<Answer, Failure> {
        self.transport.download(request, out).await
    }

    /// Sends a request with a file as its body, read as it is sent, and returns the answer if it is a good one.
    ///
    /// # Errors
    /// As [`call`](Self::call), and if the file cannot be read.
    pub async fn upload(&self, request: Request, file: &Path) -> Result<Answer, Failure> {
        self.upload_any(request, file).await?.good()
    }

    /// As [`upload`](Self::upload), with the answer whatever its status.
    ///
    /// # Errors
    /// [`Kind::Unknown`] when no answer came, and if the file cannot be read.
    pub async fn upload_any(&self, mut request: Request, file: &Path) -> Result<Answer, Failure> {
        request.streams = true;
        let request = request.header(header::CONTENT_TYPE, "application/octet-stream");
        let (pieces, arriving) = tokio::sync::mpsc::channel::<std::io::Result<Bytes>>(4);
        let file = file.to_owned();
        let reading = tokio::task::spawn_blocking(move || {
            let read = files::feed(&file, |piece| {
                match pieces.blocking_send(Ok(Bytes::copy_from_slice(piece))) {
                    Ok(()) => ControlFlow::Continue(()),
                    // The server answered already.
                    Err(_) => ControlFlow::Break(()),
                }
            });
            if read.is_err() {
                // Half a file must not look like a whole one.
                let _ = pieces.blocking_send(Err(std::io::Error::other("the file cannot be read")));
            }
            read
        });
        let body = futures_util::stream::unfold(arriving, async |mut arriving| {
            arriving.recv().await.map(|piece| (piece, arriving))
        });
        let answer = self.transport.upload(request, axum::body::Body::from_stream(body)).await;
        reading.await.or_unknown("reading was interrupted")??;
        answer
    }

    /// Whether this process is its own server.
    pub fn is_in_process(&self) -> bool {
        matches!(self.transport, Transport::InProcess(_))
    }

    /// All pages of a list as one document: `{"MEMBER":[…],"next":null}`.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn list(&self, path: &str, member: &str) -> Result<Bytes, Failure> {
        self.pages(&format!("{BASE}{path}?"), member).await
    }

    /// As [`list`](Self::list), of a path from the server's root with the beginning of a query: `/tags/?` or
    /// `/tags/?prefix=a&`.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn pages(&self, path: &str, member: &str) -> Result<Bytes, Failure> {
        let get = async |page: String| self.call(Request::get(&format!("{path}{page}"))).await;
        let first = get(format!("limit={PAGE}")).await?;
        let mut document: Value = first.json()?;
        let mut next = next_page(&document);
        if next.is_none() {
            // One page: the document is the API's own, byte by byte.
            return Ok(first.body);
        }
        let mut items = take_items(&mut document, member)?;
        while let Some(after) = next {
            let mut page: Value = get(format!("limit={PAGE}&after={}", escape(&after))).await?.json()?;
            let more = take_items(&mut page, member)?;
            next = next_page(&page);
            if more.is_empty() && next.is_some() {
                return Err(Failure::unknown("the server's list does not end"));
            }
            items.extend(more);
        }
        document[member] = Value::Array(items);
        document["next"] = Value::Null;
        Ok(Bytes::from(document.to_string()))
    }

    /// The service document.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn service(&self) -> Result<Service, Failure> {
        self.get("/").await?.json()
    }
}

/// Items of a page of a list: the most that the API gives.
const PAGE: usize = 1000;

fn next_page(document: &Value) -> Option<String> {
    document.get("next").and_then(Value::as_str).map(str::to_owned)
}

fn take_items(document: &mut Value, member: &str) -> Result<Vec<Value>, Failure> {
    match document.get_mut(member).map(Value::take) {
        Some(Value::Array(items)) => Ok(items),
        _ => Err(Failure::unknown(format!("the server's answer has no list `{member}`"))),
    }
}

impl Request {
    /// A request for a path, from the server's root.
    pub fn new(method: Method, path: &str) -> Self {
        Self {
            method,
            path: path.to_owned(),
            headers: Vec::new(),
            body: Bytes::new(),
            streams: false,
            api_key: false,
        }
    }

    /// `GET`.
    pub fn get(path: &str) -> Self {
        Self::new(Method::GET, path)
    }

    /// `POST`.
    pub fn post(path: &str) -> Self {
        Self::new(Method::POST, path)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Shows the token as the signing appliance wants it: in `X-API-Key`.
    #[must_use]
    pub fn with_api_key(mut self) -> Self {
        self.api_key = true;
        self
    }

    /// Adds a JSON document as the body. It may hold a secret: the buffer is wiped when it was sent.
    ///
    /// # Errors
    /// Only if `document` cannot be written as JSON.
    pub fn json(self, document: &impl Serialize) -> Result<Self, Failure> {
        let not_json = |error| Failure::unknown(format!("cannot write the request: {error}"));
        // Sized before it is filled: a buffer that grows leaves copies behind.
        let mut size = Counter(0);
        serde_json::to_writer(&mut size, document).map_err(not_json)?;
        let mut body = Zeroizing::new(Vec::with_capacity(size.0));
        serde_json::to_writer(&mut *body, document).map_err(not_json)?;
        Ok(self.body("application/json", Bytes::from_owner(body)))
    }

    /// Adds bytes as the body.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: Bytes) -> Self {
        self.body = body;
        self.header(header::CONTENT_TYPE, content_type)
    }
}

/// Counts what is written to it.
struct Counter(usize);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Answer {
    /// The answer, if its status is a good one.
    ///
    /// # Errors
    /// What the server said.
    pub fn good(self) -> Result<Self, Failure> {
        if self.status.is_success() { Ok(self) } else { Err(Failure::of_answer(self.status, self.body)) }
    }

    /// The body as a document.
    ///
    /// # Errors
    /// [`Kind::Unknown`] if it is not one.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(|error| Failure {
            kind: Kind::Unknown,
            message: format!("the server's answer is not what was expected: {error}"),
            hint: Some("is this the address of a countersign server of this version?".into()),
            document: None,
        })
    }

    /// A header as text.
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// `text` as one segment of a path or one value of a query (RFC 3986, 2.3).
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Standard base64 with padding, as the API writes bytes.
pub fn base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

#[cfg(test)]
mod tests {
    use axum::Json;
    use axum::Router;
    use axum::extract::RawQuery;
    use axum::routing::{get, post};
    use serde_json::json;

    use super::*;

    fn api(router: Router) -> Api {
        Api::new(Transport::in_process(router))
    }

    #[test]
    fn the_name_of_a_surfaces_key_is_one_segment() {
        assert_eq!(escape("appliance/cert/a b@c"), "appliance%2Fcert%2Fa%20b%40c");
        assert_eq!(escape("release-2026.a_b"), "release-2026.a_b");
    }

    #[tokio::test]
    async fn pages_of_a_list_are_read_to_the_end() {
        let pages = |RawQuery(query): RawQuery| async move {
            Json(match query.as_deref() {
                Some("limit=1000") => json!({"keys":[{"name":"a"}],"next":"a"}),
                Some("limit=1000&after=a") => json!({"keys":[{"name":"b"}],"next":null}),
                other => panic!("asked for {other:?}"),
            })
        };
        let router = Router::new().route("/countersign/v1/keys", get(pages));
        let document: Value =
            serde_json::from_slice(&api(router).list("/keys", "keys").await.unwrap()).unwrap();
        assert_eq!(document, json!({"keys":[{"name":"a"},{"name":"b"}],"next":null}));
    }

    #[tokio::test]
    async fn a_single_page_is_the_servers_document_byte_by_byte() {
        let text = "{ \"keys\": [],  \"next\": null }";
        let router = Router::new().route("/countersign/v1/keys", get(move || async move { text }));
        assert_eq!(api(router).list("/keys", "keys").await.unwrap(), text);
    }

    #[tokio::test]
    async fn a_refusal_of_the_server_is_a_failure_with_its_words() {
        let refuse = || async { (StatusCode::FORBIDDEN, Json(json!({"detail":"no","hint":"ask"}))) };
        let router = Router::new().route("/countersign/v1/keys", post(refuse));
        let failure = api(router).post("/keys", &json!({})).await.unwrap_err();
        assert_eq!((failure.code(), failure.message.as_str()), (1, "no"));
        assert_eq!(failure.hint.as_deref(), Some("ask"));
    }

    #[tokio::test]
    async fn the_body_arrives_with_its_type() {
        let echo = |headers: HeaderMap, body: Bytes| async move {
            format!("{:?} {body:?}", headers[header::CONTENT_TYPE])
        };
        let router = Router::new().route("/x", post(echo));
        let request = Request::post("/x").json(&json!({"a":1})).unwrap();
        let answer = api(router).call(request).await.unwrap();
        assert_eq!(answer.body, r#""application/json" b"{\"a\":1}""#);
    }
}
