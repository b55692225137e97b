//! Bundles of authorities.

use countersign_model::{KeyType, RawSignature, ToSign, canonical, strict_json};
use countersign_records::authorities::{self, Bundle, Content};

/// The signed bytes are in canonical form, and what a bundle says can be signed and read again.
pub fn key_bundle(data: &[u8]) {
    let Ok(bundle) = Bundle::parse(data) else { return };
    let signed = bundle.signed_bytes();
    let value = strict_json::parse(signed).expect("canonical JSON is JSON");
    assert_eq!(canonical::python(&value).expect("it had integers only"), signed);

    for key in bundle.content().authorities.values().flat_map(|authority| &authority.keys) {
        let listed = bundle.content().revocations.iter().any(|revocation| revocation.key == key.id);
        assert!(!listed || key.revoked.is_some());
    }
    let (bytes, again) = written(bundle.content());
    assert_eq!(written(&again).0, bytes);
}

fn written(content: &Content) -> (Vec<u8>, Content) {
    let (to_sign, pending) = authorities::prepare(content, KeyType::Ed25519).expect("it was read");
    let root = countersign_model::KeyId::of_spki(b"");
    let document = authorities::finish(pending, &root, &RawSignature(vec![7; 64])).expect("it was prepared");
    let bundle = Bundle::parse(&document).expect("our own bundle is read again");
    assert_eq!(to_sign, ToSign::Message(bundle.signed_bytes().to_vec()));
    (document, bundle.into_content())
}
