//! Entity tags: `"HEX"`, SHA-256 of what they stand for (RFC 9110, 8.8.3). A tag's is that of its payload, that
//! of any other answer is of its bytes.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use countersign_model::digest::sha256;
use http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// The entity tags that a client names in `If-Match` or `If-None-Match`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntityTags {
    any: bool,
    strong: Vec<[u8; 32]>,
    weak: Vec<[u8; 32]>,
}

impl EntityTags {
    /// Reads a field; `None` if the request does not have it. What is no entity tag of ours matches nothing.
    pub fn of(headers: &HeaderMap, name: &HeaderName) -> Option<Self> {
        let mut fields = headers.get_all(name).iter().peekable();
        fields.peek()?;
        let mut found = Self::default();
        for field in fields {
            found.add(field.as_bytes());
        }
        Some(found)
    }

    /// Whether it is `*`: whatever is there.
    pub fn any(&self) -> bool {
        self.any
    }

    /// Those that stand for exactly these bytes: what `If-Match` compares.
    pub fn into_strong(self) -> Vec<[u8; 32]> {
        self.strong
    }

    /// Whether the client has this: what `If-None-Match` compares. A proxy may have made the tag weak on the way.
    pub fn have(&self, sha256: &[u8; 32]) -> bool {
        self.any || self.strong.contains(sha256) || self.weak.contains(sha256)
    }

    fn add(&mut self, field: &[u8]) {
        let mut rest = field.trim_ascii();
        self.any |= rest == b"*";
        while !rest.is_empty() {
            let (weak, quoted) = match rest.strip_prefix(b"W/") {
                Some(quoted) => (true, quoted),
                None => (false, rest),
            };
            // Others may have commas in their tags.
            let end = |text: &[u8], byte: u8| text.iter().position(|b| *b == byte).unwrap_or(text.len());
            if let Some(inside) = quoted.strip_prefix(b"\"") {
                let (text, after) = inside.split_at(end(inside, b'"'));
                if !after.is_empty() {
                    self.note(text, weak);
                }
                rest = after;
            }
            rest = rest.get(end(rest, b',') + 1..).unwrap_or_default().trim_ascii_start();
        }
    }

    fn note(&mut self, text: &[u8], weak: bool) {
        if let Some(digest) = hex_digest(text) {
            if weak { self.weak.push(digest) } else { self.strong.push(digest) }
        }
    }
}

/// SHA-256 in hex, of either case.
pub(super) fn hex_digest(text: impl AsRef<[u8]>) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    hex::decode_to_slice(text, &mut digest).ok()?;
    Some(digest)
}

/// The answer with its entity tag, or 304 if the client has it.
pub(super) fn conditional(headers: &HeaderMap, sha256: &[u8; 32], mut response: Response) -> Response {
    if EntityTags::of(headers, &IF_NONE_MATCH).is_some_and(|tags| tags.have(sha256)) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Body::empty();
        response.headers_mut().remove(CONTENT_TYPE);
    }
    if let Ok(tag) = HeaderValue::try_from(format!("\"{}\"", hex::encode(sha256))) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// As [`conditional`], of the bytes that `answer` makes an answer of.
pub(super) fn unless_known(
    headers: &HeaderMap,
    body: impl Into<Bytes>,
    answer: impl FnOnce(Bytes) -> Response,
) -> Response {
    let body = body.into();
    conditional(headers, &sha256(&body), answer(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "1111111111111111111111111111111111111111111111111111111111111111";

    fn tags(fields: &[&str]) -> EntityTags {
        let fields = fields.iter().map(|field| (IF_NONE_MATCH, field.parse().unwrap()));
        EntityTags::of(&fields.collect(), &IF_NONE_MATCH).unwrap()
    }

    #[test]
    fn a_client_names_what_it_has() {
        let mine = format!("\"{ONE}\"");
        for fields in [
            vec!["*"],
            vec![mine.as_str()],
            vec![" \"x\" , W/\"y\",", &mine],
            vec![&format!("W/{mine}")],
            vec![&format!("\"a,b\",{mine}")],
        ] {
            assert!(tags(&fields).have(&[0x11; 32]), "{fields:?}");
        }
        for fields in [
            vec![""],
            vec![ONE],
            vec![&mine[..65]],
            vec!["\"*\""],
            vec!["\"x,*,y\""],
            vec!["\"x\", *"],
            vec![&format!("\"a,{mine}")],
            vec![&format!("w/{mine}")],
        ] {
            assert!(!tags(&fields).have(&[0x11; 32]), "{fields:?}");
        }
        assert_eq!(EntityTags::of(&HeaderMap::new(), &IF_NONE_MATCH), None);
    }

    #[test]
    fn a_weak_one_does_not_stand_for_the_very_bytes() {
        let both = tags(&[&format!("W/\"{ONE}\", \"{}\"", "2".repeat(64))]);
        assert_eq!((both.any(), both.into_strong()), (false, vec![[0x22; 32]]));
    }
}
