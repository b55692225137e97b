//! `multipart/form-data` (RFC 7578) with a file, and with what else is to be written to its record.

use std::convert::Infallible;

use bytes::{Bytes, BytesMut};
use countersign_core::collections::{Error, Invalid, Location};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use multer::{Field, Multipart};
use serde_json::Value;

use super::parse;

/// What was sent.
#[derive(Debug, PartialEq)]
pub struct Form {
    /// `attachment`.
    pub file: File,
    /// `data`: members of the record.
    pub data: Option<Value>,
    /// `permissions` of the record.
    pub permissions: Option<Value>,
}

/// A file.
#[derive(Clone, PartialEq, Eq)]
pub struct File {
    /// Its name without folders: up to 255 bytes, no control characters.
    pub name: String,
    /// What it says that it is, such as `image/png`.
    pub mimetype: String,
    /// All of it.
    pub content: Bytes,
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "File({:?}, {:?}, {} bytes)", self.name, self.mimetype, self.content.len())
    }
}

/// The boundary between the parts of a form.
///
/// # Errors
/// [`Error::UnsupportedMediaType`] for anything that is no form.
pub fn boundary(headers: &HeaderMap) -> Result<String, Error> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    multer::parse_boundary(kind).map_err(|_| {
        Error::UnsupportedMediaType("Content-Type header should be one of ['multipart/form-data']".into())
    })
}

/// Reads a form. Parts of other names are ignored; of those with one name the last one counts.
///
/// # Errors
/// [`Error::Invalid`] for what is no form, and for one without a file.
pub async fn read(body: Bytes, boundary: String) -> Result<Form, Error> {
    let body = futures_util::stream::iter([Ok::<_, Infallible>(body)]);
    let mut parts = Multipart::new(body, boundary);
    let (mut file, mut data, mut permissions) = (None, None, None);
    for _ in 0..MOST_PARTS {
        let Some(part) = parts.next_field().await.map_err(malformed)? else {
            let file = file.ok_or_else(|| Error::invalid(Location::Body, "attachment", "Required"))?;
            return Ok(Form { file, data, permissions });
        };
        match part.name() {
            Some("attachment") => file = Some(self::file(part).await?),
            Some("data") => data = Some(json("data", part).await?),
            Some("permissions") => permissions = Some(json("permissions", part).await?),
            _ => {}
        }
    }
    Err(Error::invalid(Location::Body, "", "The form has too many parts"))
}

/// Parts of a form at most.
const MOST_PARTS: usize = 16;

async fn file(part: Field<'_>) -> Result<File, Error> {
    let name = part.file_name().map(plain_name).filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Error::invalid(Location::Body, "attachment", "Filename is required."))?;
    let mimetype =
        part.content_type().map_or("application/octet-stream", |kind| kind.essence_str()).to_owned();
    Ok(File { name, mimetype, content: content(part).await? })
}

async fn json(name: &str, part: Field<'_>) -> Result<Value, Error> {
    let bytes = content(part).await?;
    parse::json(&bytes).map_err(|invalid| Error::Invalid(Invalid { name: Some(name.into()), ..invalid }))
}

/// All of a part. One that came in a piece is not copied.
async fn content(mut part: Field<'_>) -> Result<Bytes, Error> {
    let Some(first) = part.chunk().await.map_err(malformed)? else { return Ok(Bytes::new()) };
    let mut all: Option<BytesMut> = None;
    while let Some(more) = part.chunk().await.map_err(malformed)? {
        all.get_or_insert_with(|| BytesMut::from(&first[..])).extend_from_slice(&more);
    }
    Ok(all.map_or(first, BytesMut::freeze))
}

/// A name without folders and control characters.
fn plain_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut plain: String = last.chars().filter(|c| !c.is_control()).collect();
    while plain.len() > 255 {
        plain.pop();
    }
    let only_dots = plain.bytes().all(|b| b == b'.');
    if only_dots { String::new() } else { plain }
}

fn malformed(error: multer::Error) -> Error {
    Error::invalid(Location::Body, "", format!("The form cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    async fn read(body: &str) -> Result<Form, String> {
        let body = body.replace('\n', "\r\n");
        super::read(body.into_bytes().into(), "X".into()).await.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_file_is_read_with_what_belongs_to_its_record() {
        let body = "--X\nContent-Disposition: form-data; name=\"data\"\n\n{\"a\":1}\n\
                    --X\nContent-Disposition: form-data; name=\"attachment\"; filename=\"../b/c\u{e9}.png\"\n\
                    Content-Type: image/png\n\n--Y\u{0}\n\n--X--\n";
        let form = read(body).await.unwrap();
        assert_eq!((form.file.name.as_str(), form.file.mimetype.as_str()), ("c\u{e9}.png", "image/png"));
        assert_eq!(&form.file.content[..], b"--Y\0\r\n");
        assert_eq!((form.data, form.permissions), (Some(json!({"a": 1})), None));
    }

    #[tokio::test]
    async fn what_is_no_form_or_has_no_file_is_malformed() {
        let part = |head: &str| format!("--X\nContent-Disposition: form-data; {head}\n\nx\n--X--\n");
        for (body, why) in [
            (part("name=\"other\""), "attachment in body: Required"),
            (part("name=\"attachment\""), "attachment in body: Filename is required."),
            (part("name=\"attachment\"; filename=\"..\""), "attachment in body: Filename is required."),
            (part("name=\"data\""), "data in body: Invalid JSON"),
            (part("name=\"a\"").replace("--X--\n", "").repeat(20) + "--X--\n", "The form has too many parts"),
            ("nonsense".into(), "The form cannot be read"),
            (String::new(), "The form cannot be read"),
        ] {
            let refused = read(&body).await.unwrap_err();
            assert!(refused.starts_with(why), "{body}: {refused}");
        }
    }

    #[test]
    fn only_forms_have_a_boundary() {
        let of = |kind: &str| boundary(&HeaderMap::from_iter([(CONTENT_TYPE, kind.parse().unwrap())]));
        assert_eq!(of("multipart/form-data; boundary=\"a b\"").unwrap(), "a b");
        for bad in ["application/json", "multipart/form-data", ""] {
            assert!(matches!(of(bad), Err(Error::UnsupportedMediaType(_))), "{bad}");
        }
    }
}
