//! Signatures made by `openssl dgst -sha256 -sign`.

use countersign_records::tag::{Payload, Tag, TagError, TagFile, WeakKeys};

use crate::support::{fixture, name, public_key};

const KEYS: [(&str, &str, &str); 7] = [
    ("alpha", "keys", "rsa-2048"),
    ("delta", "keys", "rsa-3072"),
    ("Charlie", "keys", "rsa-4096"),
    ("bravo", "keys", "p256"),
    ("echo-384", "keys", "p384"),
    ("foxtrot-521", "more", "p521"),
    ("golf-k1", "more", "secp256k1"),
];

#[test]
fn what_openssl_signs_verifies_for_every_type_of_key() {
    for (authority, folder, key_type) in KEYS {
        let key = public_key(&format!("{folder}/{authority}.pub"));
        assert_eq!(key.key_type().to_string(), key_type);
        let bytes = fixture(&format!("openssl/{authority}.signed"));
        let file = TagFile::parse(&bytes).unwrap();
        assert_eq!(file.verify(&name(authority), &key, WeakKeys::Refuse), Ok(()), "{authority}");
        assert_eq!(file.payload(), fixture("openssl/payload"));

        // And the block is one that we keep, and write as `base64` did.
        assert_eq!(Tag::parse(&bytes).unwrap().to_bytes(), bytes, "{authority}");
    }
}

#[test]
fn a_signature_moved_to_another_payload_or_authority_does_not_verify() {
    for (authority, folder, _) in KEYS {
        let key = public_key(&format!("{folder}/{authority}.pub"));
        let signed = Tag::parse(&fixture(&format!("openssl/{authority}.signed"))).unwrap();
        let mut other = Tag::new(Payload::new("build=43\n").unwrap());
        other.put(signed.block(&name(authority)).unwrap().clone());
        let bytes = other.to_bytes();
        let file = TagFile::parse(&bytes).unwrap();
        let invalid = TagError::InvalidSignature { name: name(authority) };
        assert_eq!(file.verify(&name(authority), &key, WeakKeys::Refuse), Err(invalid));
    }
}

#[test]
fn a_public_key_may_stand_in_a_certificate_or_in_pkcs1() {
    for (authority, path) in [("Charlie", "more/certificate.pub"), ("alpha", "more/pkcs1.pub")] {
        let bytes = fixture(&format!("openssl/{authority}.signed"));
        let file = TagFile::parse(&bytes).unwrap();
        assert_eq!(file.verify(&name(authority), &public_key(path), WeakKeys::Refuse), Ok(()));
    }
}
