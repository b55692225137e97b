//! Heads of tags about bytes.

use countersign_records::tag::head::Head;
use countersign_records::tag::{Payload, TagFile};

/// What is read as a head has one spelling, is safe to sign and is seen whole; and no value, whatever it is,
/// makes another line.
pub fn tag_head(data: &[u8]) {
    if let Ok(head) = Head::parse(data) {
        assert!(Head::is_head(data));
        let payload = head.to_payload();
        let whole = data.strip_suffix(b"\n").unwrap_or(data);
        assert_eq!(payload.as_bytes().strip_suffix(b"\n"), Some(whole));
        assert_eq!(Payload::new(data).as_ref(), Ok(&payload));
        assert_eq!(head.fields().count() + 1, payload.line_count());
    }

    let Ok(text) = std::str::from_utf8(data) else { return };
    let (key, value) = text.split_once('=').unwrap_or(("param.X", text));
    let digest = countersign_model::HashAlg::Sha256.digest(data);
    let Ok(head) = Head::new("a", &digest).and_then(|head| head.with(key, value)) else { return };
    let payload = head.to_payload();
    assert_eq!(payload.line_count(), 4);
    assert_eq!(Head::parse(payload.as_bytes()).expect("our own head is read again"), head);
    let file = TagFile::parse(payload.as_bytes()).expect("a head is a payload");
    assert_eq!((file.payload(), file.blocks().len()), (payload.as_bytes(), 0));
}
