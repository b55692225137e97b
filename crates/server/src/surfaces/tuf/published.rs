//! `/metadata/NAME`: metadata files, for everybody.
//!
//! `timestamp.json` is asked about before a copy is used; all others have a version in their names and never change.
//! What is not there is 404, never anything else: clients try roots until one is missing.

use std::borrow::Cow;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use countersign_core::tuf::serve::{self, Form, Gzip, Served};
use countersign_tuf::names::file_name;
use http::header::{
    ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, VARY,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use percent_encoding::percent_decode_str;

use super::error::Refusal;
use crate::app::App;

/// Where the files are.
const PREFIX: &str = "/metadata/";

/// How long what never changes may be kept.
pub const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// `GET /metadata/NAME`.
pub async fn read(State(app): State<App>, request: Request) -> Result<Response, Refusal> {
    let path = request.uri().path();
    let name = path.strip_prefix(PREFIX).and_then(stored_name).ok_or_else(Refusal::not_found)?;
    let form = if takes_gzip(request.headers()) { Form::Gzip } else { Form::Plain };
    let served = serve::metadata(&app.ctx, &name, form).await?.ok_or_else(Refusal::not_found)?;
    Ok(answer(request.headers(), served))
}

/// The name that a file has here for one that a client asks for: clients encode different characters.
///
/// `None` for what is no name of metadata: `VERSION.ROLE.json` and `timestamp.json` are.
pub fn stored_name(asked: &str) -> Option<Cow<'_, str>> {
    if asked == "timestamp.json" {
        return Some(Cow::Borrowed(asked));
    }
    let decoded = percent_decode_str(asked).decode_utf8().ok()?;
    let (version, role) = decoded.strip_suffix(".json")?.split_once('.')?;
    let plain = !version.starts_with('0') && version.bytes().all(|b| b.is_ascii_digit());
    let version = version.parse().ok().filter(|_| plain)?;
    (!role.is_empty()).then(|| Cow::Owned(file_name(role, Some(version))))
}

fn answer(headers: &HeaderMap, served: Served) -> Response {
    let Served { bytes, gzip, etag, immutable } = served;
    // Nobody knows yet whether it will be compressed for others, unless that makes it no smaller.
    let varies = gzip != Gzip::Useless;
    let gzip = match gzip {
        Gzip::Made(gzip) if takes_gzip(headers) => Some(gzip),
        _ => None,
    };
    // Another tag for other bytes (RFC 9110, 8.8.3.3).
    let tag = match gzip {
        Some(_) => Cow::Owned(compressed(&etag)),
        None => Cow::Borrowed(etag.as_str()),
    };
    let mut response = if knows(headers, &etag) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        let encoded = gzip.is_some();
        let mut response = Response::new(Body::from(gzip.unwrap_or(bytes)));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if encoded {
            response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    };
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    if varies {
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    }
    let cache = if immutable { FOR_EVER } else { HeaderValue::from_static("no-cache") };
    headers.insert(CACHE_CONTROL, cache);
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// The entity tag of the compressed form.
fn compressed(etag: &str) -> String {
    format!("{}-gzip\"", etag.trim_end_matches('"'))
}

/// Whether the client has what this tag stands for, in either form: the content is the same.
pub fn knows(headers: &HeaderMap, etag: &str) -> bool {
    let is_it = |given: &str| {
        let given = given.trim();
        let given = given.strip_prefix("W/").unwrap_or(given);
        given == "*" || given == etag || given == compressed(etag)
    };
    let fields = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    fields.flat_map(|field| field.split(',')).any(is_it)
}

/// Whether the client takes gzip (RFC 9110, 12.5.3).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let fields = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let (mut named, mut any) = (None, None);
    for coding in fields.flat_map(|field| field.split(',')) {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let refused = parts.any(|part| {
            let weight = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
            weight.is_some_and(|weight| weight.parse::<f32>().is_ok_and(|weight| weight <= 0.0))
        });
        if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            named = Some(!refused);
        } else if name == "*" {
            any = Some(!refused);
        }
    }
    named.or(any).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn headers(name: http::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn a_file_is_found_however_its_name_is_encoded() {
        for (asked, stored) in [
            ("timestamp.json", "timestamp.json"),
            ("1.root.json", "1.root.json"),
            ("12.bins-3f.json", "12.bins-3f.json"),
            ("2.My_Team.json", "2.My_Team.json"),
            ("2.My%5fTeam.json", "2.My_Team.json"),
            ("2.a.b.json", "2.a.b.json"),
            ("3.caf%c3%a9.json", "3.caf%C3%A9.json"),
            ("3.a%2fb.json", "3.a%2Fb.json"),
        ] {
            assert_eq!(stored_name(asked).as_deref(), Some(stored), "{asked}");
        }
        for asked in [
            "",
            "root.json",
            "1.root",
            "01.root.json",
            "0.root.json",
            "+1.root.json",
            "1..json",
            "x.root.json",
        ] {
            assert_eq!(stored_name(asked), None, "{asked}");
        }
        assert_eq!(stored_name("99999999999999999999.root.json"), None);
        assert_eq!(stored_name("1.%ff.json"), None, "not UTF-8");
    }

    #[test]
    fn gzip_is_for_who_takes_it() {
        for (field, takes) in [
            ("gzip", true),
            ("gzip, deflate, br", true),
            ("br;q=1.0, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("identity", false),
            ("*", true),
            ("gzip;q=0, *", false),
        ] {
            assert_eq!(takes_gzip(&headers(ACCEPT_ENCODING, field)), takes, "{field}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }

    #[test]
    fn each_form_has_a_tag_of_its_own_and_who_has_one_has_both() {
        let served = Served {
            bytes: Bytes::from_static(b"{}"),
            gzip: Gzip::Made(Bytes::from_static(b"z")),
            etag: "\"1\"".into(),
            immutable: false,
        };
        let plain = answer(&HeaderMap::new(), served.clone());
        assert_eq!((plain.status(), &plain.headers()[ETAG]), (StatusCode::OK, &"\"1\"".parse().unwrap()));
        let small = answer(&headers(ACCEPT_ENCODING, "gzip"), served.clone());
        assert_eq!(small.headers()[CONTENT_ENCODING], "gzip");
        assert_eq!(small.headers()[ETAG], "\"1-gzip\"");
        for tag in ["\"1\"", "W/\"1-gzip\"", "\"0\", \"1\"", "*"] {
            let known = answer(&headers(IF_NONE_MATCH, tag), served.clone());
            assert_eq!(known.status(), StatusCode::NOT_MODIFIED, "{tag}");
        }
        assert_eq!(answer(&headers(IF_NONE_MATCH, "\"2\""), served).status(), StatusCode::OK);
    }
}
