//! How parameters are written: in a query or a form, and in a JSON document.

use countersign_model::strict_json;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::{Given, Place, bad, shown};
use crate::surfaces::tags::error::Refusal;

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `application/json`.
    Json,
    /// The payload itself, or an artifact.
    Raw,
}

impl Kind {
    /// By `Content-Type`; a body that says nothing is raw.
    ///
    /// # Errors
    /// `unsupported-media-type`.
    pub fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let mut values = headers.get_all(CONTENT_TYPE).iter();
        let unsupported = || {
            let message = "the body is `text/plain`, `application/octet-stream`, `application/json` or \
                           `application/x-www-form-urlencoded`";
            Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", message)
        };
        let Some(value) = values.next() else { return Ok(Self::Raw) };
        let value = value.to_str().ok().filter(|_| values.next().is_none()).ok_or_else(unsupported)?;
        let kind = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            "text/plain" | "application/octet-stream" => Ok(Self::Raw),
            "application/json" => Ok(Self::Json),
            "application/x-www-form-urlencoded" => Ok(Self::Form),
            _ => Err(unsupported()),
        }
    }
}

/// The longest name of a parameter, in bytes.
const LONGEST_NAME: usize = 256;

impl Given {
    /// Reads `a=b&c=d` (the URL standard's `application/x-www-form-urlencoded`). Values are bytes: they need
    /// not be UTF-8.
    pub(super) fn add_encoded(&mut self, text: &[u8], place: Place) -> Result<(), Refusal> {
        for pair in text.split(|b| *b == b'&').filter(|pair| !pair.is_empty()) {
            let end = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
            let value = decode(pair.get(end + 1..).unwrap_or_default())?;
            let name = decode(&pair[..end])?;
            let name =
                String::from_utf8(name).map_err(|_| bad("the name of a parameter is not UTF-8".into()))?;
            check_name(&name)?;
            self.add(name, value, place)?;
        }
        Ok(())
    }

    /// Reads an object of texts, numbers, switches, and lists of texts.
    pub(super) fn add_json(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let malformed = || bad("the body is not a JSON object whose members stand once".into());
        let Ok(Value::Object(document)) = strict_json::parse(bytes) else { return Err(malformed()) };
        for (name, value) in document {
            // Each item of a list has the name: a long one would be there many times.
            check_name(&name)?;
            let items = match value {
                Value::Null => continue,
                Value::Array(items) => items,
                one => vec![one],
            };
            // An empty list is as an empty text: said, and nothing.
            let items = if items.is_empty() { vec![Value::String(String::new())] } else { items };
            for item in items {
                let value = match item {
                    Value::String(text) => text.into_bytes(),
                    Value::Number(number) => number.to_string().into_bytes(),
                    Value::Bool(truth) => truth.to_string().into_bytes(),
                    _ => return Err(bad(format!("the member `{}` has the wrong form", shown(&name)))),
                };
                self.add(name.clone(), value, Place::Body)?;
            }
        }
        Ok(())
    }
}

fn check_name(name: &str) -> Result<(), Refusal> {
    if name.len() > LONGEST_NAME {
        return Err(bad(format!("the name of a parameter has more than {LONGEST_NAME} bytes")));
    }
    Ok(())
}

/// Decodes `%XX`, and `+` as a space.
fn decode(text: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        out.push(match first {
            b'+' => b' ',
            b'%' => {
                let (digits, after) = after.split_first_chunk::<2>().ok_or_else(bad_escape)?;
                rest = after;
                let mut byte = [0];
                hex::decode_to_slice(digits, &mut byte).map_err(|_| bad_escape())?;
                byte[0]
            }
            other => *other,
        });
    }
    Ok(out)
}

fn bad_escape() -> Refusal {
    bad("`%` is followed by two hex digits".into())
}
