//! What a request says: parameters in the query, in a form or in a JSON document, and the body as the payload
//! itself. One thing is said in one place only.

use axum::body::Body;
use bytes::Bytes;
use countersign_core::tags::Error;
use countersign_records::tag::AuthorityName;
use http::{HeaderMap, Uri};

use super::error::Refusal;
use crate::body::Arriving;

mod decode;

pub use decode::Kind;

/// The longest query.
pub const QUERY_BYTES: usize = 8 << 10;

/// The largest body: a payload of 1 MiB, and room for signatures or for how a document writes it.
const BODY_BYTES: u64 = 2 << 20;

/// The most parameters of a request.
const MOST: usize = 1000;

/// The parameters of a request that nobody has taken yet.
#[derive(Debug, Default)]
pub struct Given {
    params: Vec<Param>,
    /// The body, where that is the payload itself.
    raw: Option<Bytes>,
    /// The body as it came, until it is taken.
    body: Bytes,
}

#[derive(Debug)]
struct Param {
    name: String,
    value: Vec<u8>,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Query,
    Body,
}

impl Given {
    /// The parameters in the query.
    ///
    /// # Errors
    /// `too-long`, `bad-request`.
    pub fn query(uri: &Uri) -> Result<Self, Refusal> {
        let query = uri.query().unwrap_or_default();
        if query.len() > QUERY_BYTES {
            return Err(Error::QueryTooLong { limit: QUERY_BYTES }.into());
        }
        let mut given = Self::default();
        given.add_encoded(query.as_bytes(), Place::Query)?;
        Ok(given)
    }

    /// Adds what is in the body.
    ///
    /// # Errors
    /// `too-large`, `unsupported-media-type`; `bad-request` for a form or document that cannot be read;
    /// `ambiguous` for what is in the query too.
    pub async fn with_body(self, headers: &HeaderMap, body: Body, ceiling: u64) -> Result<Self, Refusal> {
        let body = Arriving::new(headers, body, BODY_BYTES.min(ceiling))?;
        let kind = Kind::of(headers);
        let bytes = body.all().await?;
        self.with_bytes(kind?, bytes)
    }

    /// Adds what is in a body that is here.
    ///
    /// # Errors
    /// `bad-request`, `ambiguous`.
    pub fn with_bytes(mut self, kind: Kind, bytes: Bytes) -> Result<Self, Refusal> {
        self.body = bytes.clone();
        match kind {
            _ if bytes.is_empty() => {}
            Kind::Raw => self.raw = Some(bytes),
            Kind::Form => self.add_encoded(&bytes, Place::Body)?,
            Kind::Json => self.add_json(&bytes)?,
        }
        let query = self.params.iter().filter(|param| param.place == Place::Query);
        let in_body = |name: &str| self.params.iter().any(|p| p.place == Place::Body && p.name == name);
        // A body has few names or the query has: both are bounded.
        match query.map(|param| param.name.as_str()).find(|name| in_body(name)) {
            Some(name) => Err(ambiguous(format!("`{}` is in the query and in the body", shown(name)))),
            None => Ok(self),
        }
    }

    /// Takes the body as it came: what an idempotency key is compared by.
    pub fn take_body(&mut self) -> Bytes {
        std::mem::take(&mut self.body)
    }

    /// Whether anything of this name is given.
    pub fn has(&self, name: &str) -> bool {
        self.params.iter().any(|param| param.name == name)
    }

    /// Takes a parameter that may be given once.
    ///
    /// # Errors
    /// `ambiguous` if it is given twice.
    fn bytes(&mut self, name: &str) -> Result<Option<Vec<u8>>, Refusal> {
        let mut values = self.all(name);
        match values.pop() {
            Some(_) if !values.is_empty() => Err(ambiguous(format!("`{name}` is given twice"))),
            value => Ok(value),
        }
    }

    fn all(&mut self, name: &str) -> Vec<Vec<u8>> {
        self.params.extract_if(.., |param| param.name == name).map(|param| param.value).collect()
    }

    /// Takes a parameter that is text.
    ///
    /// # Errors
    /// `ambiguous` if it is given twice, `bad-request` if it is not UTF-8.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        self.bytes(name)?.map(|value| utf8(name, value)).transpose()
    }

    /// Takes a number.
    ///
    /// # Errors
    /// As [`Self::text`], and `bad-request` for another text.
    pub fn number<T: std::str::FromStr>(&mut self, name: &str) -> Result<Option<T>, Refusal> {
        let parse =
            |text: String| text.parse().map_err(|_| bad(format!("`{name}` is not a number in its range")));
        self.text(name)?.map(parse).transpose()
    }

    /// Takes a switch: `1` or `true`, `0` or `false`; not given, it is off.
    ///
    /// # Errors
    /// As [`Self::text`], and `bad-request` for another text.
    pub fn switch(&mut self, name: &str) -> Result<bool, Refusal> {
        match self.text(name)?.as_deref() {
            None | Some("0" | "false") => Ok(false),
            Some("1" | "true") => Ok(true),
            Some(_) => Err(bad(format!("`{name}` is `1` or `0`"))),
        }
    }

    /// Takes the authorities: `authorities=a,b` or `authority=a`, also several times. `None` if they are not
    /// mentioned; each stands once in the list, in the order of the request.
    ///
    /// # Errors
    /// `ambiguous` for both words, `bad-name`.
    pub fn authorities(&mut self) -> Result<Option<Vec<AuthorityName>>, Refusal> {
        let (one, many) = (self.all("authority"), self.all("authorities"));
        if !one.is_empty() && !many.is_empty() {
            return Err(ambiguous("`authority` and `authorities` are both given".into()));
        }
        if one.is_empty() && many.is_empty() {
            return Ok(None);
        }
        let mut names: Vec<AuthorityName> = Vec::new();
        for value in one.into_iter().chain(many) {
            let text = utf8("authorities", value)?;
            for name in text.split(',').filter(|_| !text.is_empty()) {
                let name = name.parse().map_err(Error::from)?;
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            if names.len() > MOST {
                return Err(bad(format!("more than {MOST} authorities")));
            }
        }
        Ok(Some(names))
    }

    /// Takes the payload: `payload`, `content`, each also with `_base64`, or the body itself.
    ///
    /// # Errors
    /// `ambiguous` if it is given in more than one way; `bad-request` for malformed base64.
    pub fn payload(&mut self) -> Result<Option<Vec<u8>>, Refusal> {
        let mut found = self.raw.take().map(Vec::from);
        for name in ["payload", "content", "payload_base64", "content_base64"] {
            let Some(value) = self.bytes(name)? else { continue };
            let value = if name.ends_with("_base64") { base64(name, &value)? } else { value };
            if found.replace(value).is_some() {
                return Err(ambiguous("the payload is given in more than one place".into()));
            }
        }
        Ok(found)
    }

    /// Takes the parameters of a job, `param.NAME`, in their order.
    ///
    /// # Errors
    /// `bad-request` if one is not UTF-8.
    pub fn job(&mut self) -> Result<Vec<(String, String)>, Refusal> {
        let params: Vec<Param> =
            self.params.extract_if(.., |param| param.name.starts_with("param.")).collect();
        params.into_iter().map(|param| Ok((param.name.clone(), utf8(&param.name, param.value)?))).collect()
    }

    /// Refuses what is left: a misspelt parameter must not be as if absent.
    ///
    /// # Errors
    /// `bad-request`, `ambiguous` for a body where none is expected.
    pub fn done(self) -> Result<(), Refusal> {
        if let Some(param) = self.params.first() {
            let hint = match param.place {
                Place::Query => "",
                Place::Body => ": to send a file as it is, say `Content-Type: text/plain`",
            };
            return Err(bad(format!("the parameter `{}` is not known here{hint}", shown(&param.name))));
        }
        match self.raw {
            Some(_) => Err(ambiguous("a body is given beside what says all there is to say".into())),
            None => Ok(()),
        }
    }

    fn add(&mut self, name: String, value: Vec<u8>, place: Place) -> Result<(), Refusal> {
        if self.params.len() >= MOST {
            return Err(bad(format!("more than {MOST} parameters")));
        }
        self.params.push(Param { name, value, place });
        Ok(())
    }
}

fn base64(name: &str, text: &[u8]) -> Result<Vec<u8>, Refusal> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).map_err(|_| bad(format!("`{name}` is not base64")))
}

fn utf8(name: &str, value: Vec<u8>) -> Result<String, Refusal> {
    String::from_utf8(value).map_err(|_| bad(format!("`{}` is not UTF-8", shown(name))))
}

/// What a client wrote, so that it can be shown: escaped and cut.
fn shown(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_debug).collect()
}

pub(super) fn bad(why: String) -> Refusal {
    Error::BadRequest(why).into()
}

fn ambiguous(why: String) -> Refusal {
    Error::Ambiguous(why).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use http::header::CONTENT_TYPE;

    fn query(text: &str) -> Result<Given, Refusal> {
        Given::query(&format!("/tags/a?{text}").parse().unwrap())
    }

    async fn with(query_text: &str, kind: &'static str, body: &str) -> Result<Given, Refusal> {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
        query(query_text)?.with_body(&headers, Body::from(body.to_owned()), u64::MAX).await
    }

    fn code(refusal: &Refusal) -> String {
        format!("{refusal:?}").split('"').nth(1).unwrap_or_default().to_owned()
    }

    #[test]
    fn values_are_bytes() {
        let mut given = query("payload=a+b%0A%ff%2B&x").unwrap();
        assert_eq!(given.payload().unwrap().unwrap(), b"a b\n\xff+");
        assert_eq!(given.text("x").unwrap().as_deref(), Some(""));
        given.done().unwrap();
        for bad in ["a=%", "a=%1", "a=%zz", "%ff=a"] {
            assert_eq!(code(&query(bad).unwrap_err()), "bad-request", "{bad}");
        }
    }

    #[tokio::test]
    async fn the_payload_comes_from_one_place() {
        for (in_query, kind, body) in [
            ("payload=x", "text/plain", ""),
            ("", "text/plain", "x"),
            ("", "application/octet-stream", "x"),
            ("", "application/json", r#"{"payload":"x"}"#),
            ("", "application/json", r#"{"content_base64":"eA=="}"#),
            ("", "application/x-www-form-urlencoded", "content=x"),
        ] {
            let mut given = with(in_query, kind, body).await.unwrap();
            assert_eq!(given.payload().unwrap().unwrap(), b"x", "{in_query} {body}");
            given.done().unwrap();
        }
        for (in_query, kind, body) in [
            ("payload=x", "text/plain", "x"),
            ("payload=x&content=x", "text/plain", ""),
            ("payload=x&payload=x", "text/plain", ""),
            ("payload=x", "application/json", r#"{"payload":"x"}"#),
            ("content=x", "application/json", r#"{"payload":"x"}"#),
            ("content=x", "application/x-www-form-urlencoded", "payload_base64=eA=="),
        ] {
            let refused = match with(in_query, kind, body).await {
                Ok(mut given) => given.payload().unwrap_err(),
                Err(refused) => refused,
            };
            assert_eq!(code(&refused), "ambiguous", "{in_query} {body}");
        }
    }

    #[tokio::test]
    async fn authorities_are_named_in_either_way_but_not_in_both() {
        for (in_query, body) in [
            ("authorities=a,b", ""),
            ("authority=a&authority=b&authority=a", ""),
            ("", r#"{"authorities":["a","b"]}"#),
        ] {
            let names = with(in_query, "application/json", body).await.unwrap().authorities().unwrap();
            let names: Vec<String> = names.unwrap().iter().map(ToString::to_string).collect();
            assert_eq!(names, ["a", "b"], "{in_query} {body}");
        }
        assert_eq!(query("").unwrap().authorities().unwrap(), None);
        assert_eq!(query("authorities=").unwrap().authorities().unwrap(), Some(Vec::new()));
        assert_eq!(
            code(&query("authority=a&authorities=b").unwrap().authorities().unwrap_err()),
            "ambiguous"
        );
        assert_eq!(code(&query("authorities=a,,b").unwrap().authorities().unwrap_err()), "bad-name");
        assert_eq!(code(&query("authorities=../a").unwrap().authorities().unwrap_err()), "bad-name");
    }

    #[tokio::test]
    async fn what_is_misspelt_or_left_over_is_refused() {
        assert_eq!(code(&query("authorites=a").unwrap().done().unwrap_err()), "bad-request");
        assert_eq!(code(&with("", "text/plain", "x").await.unwrap().done().unwrap_err()), "ambiguous");
        assert_eq!(code(&query("versions=yes").unwrap().switch("versions").unwrap_err()), "bad-request");
        for body in ["[]", "{", r#"{"payload":"x","payload":"y"}"#, r#"{"payload":{}}"#] {
            assert_eq!(code(&with("", "application/json", body).await.unwrap_err()), "bad-request", "{body}");
        }
        let long = format!(r#"{{"{}":["",""]}}"#, "n".repeat(257));
        assert_eq!(code(&with("", "application/json", &long).await.unwrap_err()), "bad-request");
        let many = "a&".repeat(MOST + 1);
        assert_eq!(code(&query(&many).unwrap_err()), "bad-request");
        assert_eq!(code(&with("", "text/html", "x").await.unwrap_err()), "unsupported-media-type");
        assert_eq!(code(&query(&"a".repeat(QUERY_BYTES + 1)).unwrap_err()), "too-long");
    }
}
