//! Requests as the use-cases take them: conditions, query, body.
//!
//! What is malformed in a header or a body is put into the [`Call`], because it is looked at only when the caller
//! may do what is asked.

use std::borrow::Cow;

use bytes::Bytes;
use countersign_core::collections::call::{BadBody, Behavior, Form, IfMatch, IfNoneMatch};
use countersign_core::collections::{Body, Call, Conditions, Invalid, Location, Method, Target};
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderName, IF_MATCH, IF_NONE_MATCH};
use percent_encoding::percent_decode;
use serde_json::Value;

/// The query, decoded.
pub type Query = Vec<(String, String)>;

/// A request for `target`.
///
/// - `method`: one of those that lists and objects answer.
pub fn call(
    method: Method,
    target: Target,
    headers: &HeaderMap,
    query: Query,
    body: Result<Option<Body>, BadBody>,
) -> Call {
    let mut conditions = conditions(headers);
    let behavior = match behavior(headers) {
        Ok(behavior) => behavior,
        Err(invalid) => {
            conditions.malformed.get_or_insert(invalid);
            Behavior::Full
        }
    };
    Call { method, target, conditions, query, body, behavior }
}

/// The method of lists and objects that an HTTP method is.
pub fn method(method: &http::Method) -> Option<Method> {
    Some(match *method {
        http::Method::GET => Method::Get,
        http::Method::HEAD => Method::Head,
        http::Method::POST => Method::Post,
        http::Method::PUT => Method::Put,
        http::Method::PATCH => Method::Patch,
        http::Method::DELETE => Method::Delete,
        _ => return None,
    })
}

/// `If-Match` and `If-None-Match`: an integer in quotes, or `*`.
pub fn conditions(headers: &HeaderMap) -> Conditions {
    let mut conditions = Conditions::default();
    let malformed = |name: &str| {
        let description = "The value should be integer between double quotes.".into();
        Some(Invalid { location: Location::Header, name: Some(name.into()), description })
    };
    if let Some(value) = headers.get(IF_MATCH) {
        conditions.if_match = match value.as_bytes() {
            b"*" => Some(IfMatch::Any),
            text => quoted(text).map(IfMatch::Timestamp),
        };
        if conditions.if_match.is_none() {
            conditions.malformed = malformed("If-Match");
        }
    }
    if let Some(value) = headers.get(IF_NONE_MATCH) {
        conditions.if_none_match = match value.as_bytes() {
            b"*" => Some(IfNoneMatch::Any),
            text => quoted(text).map(IfNoneMatch::Timestamp),
        };
        if conditions.if_none_match.is_none() {
            conditions.malformed = malformed("If-None-Match");
        }
    }
    conditions
}

/// A number of milliseconds in double quotes.
fn quoted(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn behavior(headers: &HeaderMap) -> Result<Behavior, Invalid> {
    const NAME: HeaderName = HeaderName::from_static("response-behavior");
    match headers.get(NAME).map(http::HeaderValue::as_bytes) {
        None | Some(b"full") => Ok(Behavior::Full),
        Some(b"light") => Ok(Behavior::Light),
        Some(b"diff") => Ok(Behavior::Diff),
        Some(other) => {
            let shown: String = String::from_utf8_lossy(other).chars().take(40).collect();
            Err(Invalid {
                location: Location::Header,
                name: Some("Response-Behavior".into()),
                description: format!("\"{shown}\" is not one of full, light, diff"),
            })
        }
    }
}

/// Decodes a query as forms have it. A parameter without `=` has an empty value.
///
/// # Errors
/// What is not UTF-8.
pub fn query(text: &str) -> Result<Query, Invalid> {
    let decoded = |text: &str| -> Result<String, Invalid> {
        let spaced: Cow<'_, str> =
            if text.contains('+') { text.replace('+', " ").into() } else { text.into() };
        let bytes = percent_decode(spaced.as_bytes()).decode_utf8();
        Ok(bytes.map_err(|_| not_utf8())?.into_owned())
    };
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decoded(name)?, decoded(value)?))
        })
        .collect()
}

fn not_utf8() -> Invalid {
    Invalid { location: Location::Querystring, name: None, description: "the query is not UTF-8".into() }
}

/// Reads a body of any length.
///
/// # Errors
/// [`BadBody`].
pub fn body(method: Method, headers: &HeaderMap, bytes: &Bytes) -> Result<Option<Body>, BadBody> {
    if bytes.is_empty() || !matches!(method, Method::Post | Method::Put | Method::Patch) {
        return Ok(None);
    }
    let form = form(method, headers)?;
    let value = json(bytes).map_err(BadBody::Malformed)?;
    Ok(Some(Body { form, value }))
}

/// What `Content-Type` says of the body; none is as JSON.
///
/// # Errors
/// [`BadBody::MediaType`], with the protocol's words for it.
pub fn form(method: Method, headers: &HeaderMap) -> Result<Form, BadBody> {
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(Form::Json) };
    let kind =
        value.to_str().unwrap_or("?").split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match (kind.as_str(), method) {
        ("" | "application/json", _) => Ok(Form::Json),
        ("application/merge-patch+json", Method::Patch) => Ok(Form::MergePatch),
        ("application/json-patch+json", Method::Patch) => Ok(Form::JsonPatch),
        (_, Method::Patch) => Err(BadBody::MediaType(
            "Content-Type header should be one of ['application/json', 'application/merge-patch+json', \
             'application/json-patch+json']"
                .into(),
        )),
        _ => Err(BadBody::MediaType("Content-Type header should be one of ['application/json']".into())),
    }
}

/// Reads JSON. Of members that are there twice the last counts; a number is an integer of 64 bits or a double;
/// nothing is nested deeper than 127 levels.
///
/// # Errors
/// The first thing that is wrong, with its place and without the text around it.
pub fn json(bytes: &[u8]) -> Result<Value, Invalid> {
    serde_json::from_slice(bytes).map_err(|error| Invalid {
        location: Location::Body,
        name: Some(String::new()),
        description: format!("Invalid JSON: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn conditions_are_integers_in_quotes() {
        let read = |name, value| conditions(&headers(&[(name, value)]));
        assert_eq!(read("if-match", "*").if_match, Some(IfMatch::Any));
        assert_eq!(read("if-match", "\"5\"").if_match, Some(IfMatch::Timestamp(5)));
        assert_eq!(read("if-none-match", "*").if_none_match, Some(IfNoneMatch::Any));
        assert_eq!(read("if-none-match", "\"5\"").if_none_match, Some(IfNoneMatch::Timestamp(5)));
        for bad in ["5", "abc", "\"\"", "\"-5\"", "\"5", "\"99999999999999999999\"", "W/\"5\"", ""] {
            for (name, shown) in [("if-match", "If-Match"), ("if-none-match", "If-None-Match")] {
                let malformed = read(name, bad).malformed.unwrap();
                assert_eq!(
                    malformed.to_string(),
                    format!("{shown} in header: The value should be integer between double quotes."),
                    "{bad}"
                );
            }
        }
    }

    #[test]
    fn a_query_is_decoded_as_forms_are() {
        let decoded = query("a=1&b=%C3%BC*&like_s=a+b%2B&flag&=x&&_since=%22123%22").unwrap();
        let expected =
            [("a", "1"), ("b", "ü*"), ("like_s", "a b+"), ("flag", ""), ("", "x"), ("_since", "\"123\"")];
        assert_eq!(decoded, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(query("a=%ff").is_err());
        assert_eq!(query("").unwrap(), []);
    }

    #[test]
    fn what_is_not_json_is_malformed_whatever_is_wrong_with_it() {
        let deep = format!("{}{}", "[".repeat(60_000), "]".repeat(60_000));
        for bad in [
            &b"{\"data\":{"[..],
            b"{\"data\":{\"f\":NaN}}",
            b"{\"data\":{\"f\":1E400}}",
            b"{\"data\":{\"a\":\"\\ud800\"}}",
            b"{\"data\":{\"a\":\"\\udc00\\ud800\"}}",
            b"{\"data\":{\"a\":\"\xff\xfe\"}}",
            b"\xef\xbb\xbf{}",
            b"{} x",
            b" ",
            deep.as_bytes(),
        ] {
            let bytes = Bytes::copy_from_slice(bad);
            let refused = body(Method::Put, &HeaderMap::new(), &bytes).unwrap_err();
            let BadBody::Malformed(invalid) = refused else { panic!("{refused:?}") };
            assert!(invalid.to_string().starts_with("Invalid JSON: "), "{invalid}");
        }
    }

    #[test]
    fn numbers_keep_what_they_can_and_the_last_of_two_members_counts() {
        let value =
            json(br#"{"a":1,"a":2,"u":18446744073709551615,"i":-9223372036854775808,"z":-0.0}"#).unwrap();
        assert_eq!(
            value.to_string(),
            r#"{"a":2,"i":-9223372036854775808,"u":18446744073709551615,"z":-0.0}"#
        );
        assert!(json(b"12345678901234567890123").unwrap().is_f64());
        assert_eq!(json(b"\"x\\u0000y\"").unwrap(), "x\0y");
    }

    #[test]
    fn the_content_type_decides_how_a_body_is_meant() {
        let read = |method, kind: &str| form(method, &headers(&[("content-type", kind)]));
        assert_eq!(form(Method::Put, &HeaderMap::new()), Ok(Form::Json));
        assert_eq!(read(Method::Put, "Application/JSON; charset=utf-8"), Ok(Form::Json));
        assert_eq!(read(Method::Put, ""), Ok(Form::Json));
        assert_eq!(read(Method::Patch, "application/merge-patch+json"), Ok(Form::MergePatch));
        assert_eq!(read(Method::Patch, "application/json-patch+json"), Ok(Form::JsonPatch));
        for (method, kind) in [
            (Method::Put, "text/plain"),
            (Method::Put, "application/merge-patch+json"),
            (Method::Patch, "application/jsonx"),
        ] {
            assert!(matches!(read(method, kind), Err(BadBody::MediaType(_))), "{kind}");
        }
    }
}
