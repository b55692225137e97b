//! Names of tags.

use countersign_core::tags::TagName;

/// A name is a path as it stands, below where it is put, and belongs to no signature.
pub fn tag_name(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(name) = text.parse::<TagName>() else { return };
    assert_eq!(name.as_str(), text);
    assert!(text.len() <= 200 && !text.ends_with(".sig"));
    let uri: http::Uri = format!("/tags/{text}").parse().expect("no character of a name is escaped");
    assert_eq!((uri.path(), uri.query()), (format!("/tags/{text}").as_str(), None));
    assert!(text.split('/').all(|segment| !segment.is_empty() && !segment.starts_with('.')));
}
