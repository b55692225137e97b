use countersign_model::{Encoding, HashAlg, RawSignature, Scheme, ToSign};
use countersign_verify::raw::{self, RawError};

use crate::support::Signed;

#[test]
fn what_openssl_signed_is_valid_and_nothing_else_is() {
    for (folder, authority, scheme) in [
        ("keys", "alpha", "rsa-pkcs1-sha256"),
        ("keys", "bravo", "ecdsa-sha256"),
        ("keys", "echo-384", "ecdsa-sha256"),
        ("more", "foxtrot-521", "ecdsa-sha256"),
    ] {
        let mut signed = Signed::by(folder, authority, scheme);
        assert_eq!(signed.verify(), Ok(()), "{authority}");
        signed.payload.push(b'\n');
        assert_eq!(signed.verify(), Err(RawError::Invalid), "{authority}");
        signed.payload.pop();
        let last = signed.signature.len() - 1;
        signed.signature[last] ^= 1;
        assert_eq!(signed.verify(), Err(RawError::Invalid), "{authority}");
    }
}

#[test]
fn an_ecdsa_signature_is_read_in_the_form_that_was_named_only() {
    let signed = Signed::by("keys", "bravo", "ecdsa-sha256");
    let (key, scheme, content) = (&signed.key, signed.scheme, signed.content());
    let raw = RawSignature::decode(&signed.signature, Some(32), Encoding::Der).unwrap().0;
    assert_eq!(raw::verify(key, scheme, &content, &raw, Encoding::Raw), Ok(()));
    let error = RawError::Encoding { encoding: Encoding::Der };
    assert_eq!(raw::verify(key, scheme, &content, &raw, Encoding::Der), Err(error));
    assert_eq!(error.to_string(), "not an ECDSA signature in the form DER");
    let error = RawError::Encoding { encoding: Encoding::Raw };
    assert_eq!(raw::verify(key, scheme, &content, &signed.signature, Encoding::Raw), Err(error));
}

#[test]
fn a_question_that_makes_no_sense_is_not_answered_with_invalid() {
    let signed = Signed::by("keys", "bravo", "ecdsa-sha256");
    let verify = |scheme, content: &ToSign| {
        raw::verify(&signed.key, scheme, content, &signed.signature, Encoding::Der).unwrap_err()
    };
    let scheme = Scheme::RsaPkcs1(HashAlg::Sha256);
    let content = ToSign::of_message(scheme, &signed.payload);
    assert!(matches!(verify(scheme, &content), RawError::SchemeMismatch { .. }));
    let content = ToSign::of_message(Scheme::Ecdsa(HashAlg::Sha384), &signed.payload);
    assert!(matches!(verify(signed.scheme, &content), RawError::Unsuitable { .. }));
}

#[test]
fn a_weak_key_is_not_believed() {
    let signed = Signed::by("more", "weak", "rsa-pkcs1-sha256");
    assert!(matches!(signed.verify(), Err(RawError::WeakKey { .. })));
}
