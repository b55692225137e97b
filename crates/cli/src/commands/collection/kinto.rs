//! The protocol of Kinto as a client sees it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderName, Method, StatusCode, Uri, header};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::batch::{Inner, Part};
use crate::api::{Answer, Api, Request};
use crate::failure::{Failure, OrUnknown as _};
use crate::output::safe;
use crate::transport::Transport;

/// A server that speaks the protocol.
pub struct Kinto {
    api: Api,
    /// `Authorization` for a server that is not ours.
    authorization: Option<Zeroizing<String>>,
    /// What to do when it does not know who asks; `None`: what is said of our own.
    who: Option<&'static str>,
}

/// `GET /v1/`, as far as it is used here.
#[derive(Debug, Deserialize)]
pub struct Root {
    /// What the server allows.
    pub settings: Settings,
    /// What it can do, by name.
    pub capabilities: Map<String, Value>,
}

/// What a server allows.
#[derive(Debug, Deserialize)]
pub struct Settings {
    /// The most requests in a batch.
    pub batch_max_requests: usize,
}

/// An object with who may do what.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Object {
    /// Its data, with `id` and `last_modified`.
    pub data: Map<String, Value>,
    /// Empty for who may not write the object.
    #[serde(default)]
    pub permissions: Map<String, Value>,
}

const TOTALS: [HeaderName; 2] =
    [HeaderName::from_static("total-objects"), HeaderName::from_static("total-records")];
const NEXT_PAGE: HeaderName = HeaderName::from_static("next-page");

/// How often something is tried when a server has too much to do.
const TRIES: u32 = 6;

/// The longest that is waited between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

impl Kinto {
    /// The server that commands speak to.
    pub fn here(api: Api) -> Self {
        Self { api, authorization: None, who: None }
    }

    /// A server elsewhere.
    ///
    /// - `url`: with or without `/v1` at its end.
    /// - `credentials`: `NAME:PASSWORD`, or `Bearer TOKEN`.
    /// - `ca`: PEM of the only certification authorities to trust.
    ///
    /// # Errors
    /// If the URL or the certificates are malformed.
    pub fn at(url: &str, credentials: Option<&str>, ca: Option<&[u8]>) -> Result<Self, Failure> {
        let url = url.trim_end_matches('/');
        let api = Api::new(Transport::remote(url.strip_suffix("/v1").unwrap_or(url), None, ca)?);
        let authorization = credentials.map(|credentials| {
            let basic = || format!("Basic {}", BASE64.encode(credentials));
            let bearer = credentials.starts_with("Bearer ");
            Zeroizing::new(if bearer { credentials.to_owned() } else { basic() })
        });
        Ok(Self { api, authorization, who: None })
    }

    /// Says what to do when the server does not know who asks, or does not let them.
    #[must_use]
    pub fn with_hint(mut self, hint: &'static str) -> Self {
        self.who = Some(hint);
        self
    }

    fn good(&self, answer: Answer, what: &str) -> Result<Answer, Failure> {
        let unknown = matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        good(answer, what).map_err(|failure| match self.who {
            Some(hint) if unknown => failure.hint(hint),
            _ => failure,
        })
    }

    /// The client of what is not in the protocol.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Where it is, for the person.
    pub fn place(&self) -> String {
        self.api.place()
    }

    /// A request to a path below `/v1`.
    pub fn request(&self, method: Method, path: &str) -> Request {
        let request = Request::new(method, &format!("/v1{path}"));
        match &self.authorization {
            Some(authorization) => request.header(header::AUTHORIZATION, authorization.as_str()),
            None => request,
        }
    }

    /// Sends a request that may be sent again, and waits while the server has too much to do.
    ///
    /// # Errors
    /// When no answer came.
    async fn send(&self, make: impl Fn() -> Result<Request, Failure>) -> Result<Answer, Failure> {
        let mut tries = 1;
        loop {
            let answer = self.api.send(make()?).await?;
            let busy = matches!(answer.status.as_u16(), 429 | 502 | 503 | 504);
            if !busy || tries == TRIES {
                return Ok(answer);
            }
            let asked = answer.header(&header::RETRY_AFTER).and_then(|text| text.parse().ok());
            let wait = asked.map_or(Duration::from_secs(1 << tries), Duration::from_secs);
            tokio::time::sleep(wait.min(LONGEST_WAIT)).await;
            tries += 1;
        }
    }

    /// `GET` of a path below `/v1`.
    ///
    /// # Errors
    /// What the server said, or that no answer came.
    pub async fn get(&self, path: &str) -> Result<Answer, Failure> {
        self.good(self.send(|| Ok(self.request(Method::GET, path))).await?, path)
    }

    /// The root document.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn root(&self) -> Result<Root, Failure> {
        self.get("/").await?.json().map_err(|failure| {
            failure.hint(format!("{} does not speak the protocol of Kinto at `/v1/`", self.place()))
        })
    }

    /// An object; `None` if there is none.
    ///
    /// # Errors
    /// As [`get`](Self::get), also for who may not know whether there is one.
    pub async fn find(&self, path: &str) -> Result<Option<Object>, Failure> {
        let answer = self.send(|| Ok(self.request(Method::GET, path))).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        self.good(answer, path)?.json().map(Some)
    }

    /// All objects of a list, page by page.
    ///
    /// - `path`: with a query, if there is one.
    ///
    /// # Errors
    /// As [`get`](Self::get), and if the list does not end.
    pub async fn list(&self, path: &str) -> Result<Vec<Map<String, Value>>, Failure> {
        let mut all = Vec::new();
        self.each(path, |object| all.push(object)).await?;
        Ok(all)
    }

    /// As [`list`](Self::list), one after the other: only a page is held.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub async fn each(&self, path: &str, mut see: impl FnMut(Map<String, Value>)) -> Result<(), Failure> {
        let mut next = Some(path.to_owned());
        while let Some(path) = next {
            let answer = self.get(&path).await?;
            let page: Page = answer.json()?;
            next = answer.header(&NEXT_PAGE).map(below_v1).transpose()?;
            if page.data.is_empty() && next.is_some() {
                return Err(Failure::unknown("the server's list does not end"));
            }
            page.data.into_iter().for_each(&mut see);
        }
        Ok(())
    }

    /// One page of a list.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn page(&self, path: &str) -> Result<Vec<Map<String, Value>>, Failure> {
        self.get(path).await?.json::<Page>().map(|page| page.data)
    }

    /// How many objects a list has; `None` if the server does not say.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn count(&self, path: &str) -> Result<Option<u64>, Failure> {
        let answer = self.good(self.send(|| Ok(self.request(Method::HEAD, path))).await?, path)?;
        Ok(TOTALS.iter().find_map(|name| answer.header(name)?.parse().ok()))
    }

    /// Writes an object.
    ///
    /// - `condition`: `If-Match` or `If-None-Match` with its value.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn write(
        &self,
        method: Method,
        path: &str,
        condition: Option<(HeaderName, String)>,
        body: &Value,
    ) -> Result<Answer, Failure> {
        let make = || {
            let mut request = self.request(method.clone(), path);
            if let Some((name, value)) = &condition {
                request = request.header(name.clone(), value.clone());
            }
            request.json(body)
        };
        self.good(self.send(make).await?, path)
    }

    /// Sends requests as one batch, which has no more than the server takes. Answers are in the same order.
    ///
    /// # Errors
    /// As [`get`](Self::get); of the requests in it only what undoes all.
    pub async fn batch(&self, requests: &[Inner]) -> Result<Vec<Part>, Failure> {
        #[derive(Deserialize)]
        struct Answers {
            responses: Vec<Part>,
        }
        let requests: Vec<Value> = requests.iter().map(Inner::to_json).collect();
        let wanted = requests.len();
        let body = json!({ "requests": requests });
        let answer = self.write(Method::POST, "/batch", None, &body).await?;
        let Answers { responses } = answer.json()?;
        if responses.len() != wanted {
            return Err(Failure::unknown("the server's batch has not as many answers as requests"));
        }
        match responses.iter().find(|part| part.status >= 500) {
            Some(part) => Err(part.failure("a request of a batch")),
            None => Ok(responses),
        }
    }
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Map<String, Value>>,
}

/// The answer, if it is a good one.
///
/// - `what`: what was asked for, for the person.
///
/// # Errors
/// What the server said.
pub fn good(answer: Answer, what: &str) -> Result<Answer, Failure> {
    if answer.status.is_success() {
        return Ok(answer);
    }
    if answer.status.is_redirection() {
        let to = answer.header(&header::LOCATION).unwrap_or_default();
        let message = format!("the server sends `{what}` elsewhere: `{}`", safe(to));
        return Err(Failure::unknown(message).hint("give that address"));
    }
    Err(refusal(answer.status, answer.body, what))
}

/// A refusal in the server's words; where it has none, in ours.
pub fn refusal(status: StatusCode, body: bytes::Bytes, what: &str) -> Failure {
    let document: Option<Value> = serde_json::from_slice(&body).ok();
    let said = document.as_ref().and_then(|document| document["message"].as_str());
    let (said, missing) = (said.map(safe), status == StatusCode::NOT_FOUND);
    let mut failure = Failure::of_answer(status, body);
    // A batch shows what it was asked, with a query.
    let what = safe(what.split('?').next().unwrap_or(what));
    failure.message = match said {
        Some(said) => format!("{said} (`{what}`)"),
        None if missing && document.is_some() => format!("there is no `{what}`"),
        None => failure.message,
    };
    if status == StatusCode::PRECONDITION_FAILED {
        failure = failure.hint("somebody was faster: look at it again");
    }
    failure
}

/// Path and query of a URL from `/v1` on: where a server says it is, is not where we reach it.
fn below_v1(url: &str) -> Result<String, Failure> {
    let uri: Uri = url.parse().or_unknown("the server's next page is not a URL")?;
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    let below = path.find("/v1/").and_then(|at| path.get(at + 3..));
    below
        .map(str::to_owned)
        .ok_or_else(|| Failure::unknown("the server's next page is not one of its own").hint(url.to_owned()))
}

/// The member `last_modified`; 0 where there is none.
pub fn last_modified(data: &Map<String, Value>) -> i64 {
    data.get("last_modified").and_then(Value::as_i64).unwrap_or_default()
}

/// A text member; empty where there is none.
pub fn text<'a>(data: &'a Map<String, Value>, name: &str) -> &'a str {
    data.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// What the record says: all but when it was written, and by which schema.
pub fn content(data: &Map<String, Value>) -> Map<String, Value> {
    let mut content = data.clone();
    content.remove("last_modified");
    content.remove("schema");
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_asked_of_the_server_that_we_reach() {
        let url = "http://inside:8888/v1/buckets/b/collections?_limit=1&_token=a%3D";
        assert_eq!(below_v1(url).unwrap(), "/buckets/b/collections?_limit=1&_token=a%3D");
        assert_eq!(below_v1("https://h/prefix/v1/buckets").unwrap(), "/buckets");
        assert!(below_v1("https://h/other").is_err());
    }

    #[test]
    fn a_refusal_is_in_the_servers_words_or_names_what_is_missing() {
        let refused = |status, body: &'static str| {
            refusal(StatusCode::from_u16(status).unwrap(), body.into(), "/buckets/b?_since=1")
        };
        let failure = refused(400, r#"{"errno":109,"message":"Collection already signed"}"#);
        assert_eq!((failure.code(), &*failure.message), (1, "Collection already signed (`/buckets/b`)"));
        let failure = refused(404, r#"{"errno":110,"details":{}}"#);
        assert_eq!((failure.code(), &*failure.message), (1, "there is no `/buckets/b`"));
        assert_eq!(refused(503, "").code(), 2);
    }
}
