//! What signatures by OpenSSL are worth, by the keys of their authority over time.

use countersign_model::PublicKey;
use countersign_records::tag::{AuthorityName, TagFile, WeakKeys};
use countersign_verify::authority::{
    AuthorityKey, AuthorityKeys, Judgement, KeyRevocation, Status, judge, judge_detached,
};
use jiff::Timestamp;

use crate::support::{Signed, fixture, text};

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn public(path: &str) -> PublicKey {
    PublicKey::from_pem(&text(path)).unwrap()
}

fn key(path: &str) -> AuthorityKey {
    AuthorityKey::new(public(path), time("2026-01-01T00:00:00Z"))
}

fn name(name: &str) -> AuthorityName {
    name.parse().unwrap()
}

fn authority(of: &str, keys: Vec<AuthorityKey>) -> AuthorityKeys {
    AuthorityKeys::new(name(of), keys).unwrap()
}

fn revocation(from: Option<&str>, until: Option<&str>) -> Option<KeyRevocation> {
    let (from, until) = (from.map(time), until.map(time));
    Some(KeyRevocation { at: time("2026-06-10T00:00:00Z"), from, until, reason: "lost".into() })
}

/// The judgement about alpha in a file that alpha, bravo and Charlie signed.
fn alpha(keys: Vec<AuthorityKey>, recorded: Option<&str>, at: &str) -> Judgement {
    let bytes = fixture("example.signed");
    let file = TagFile::parse(&bytes).unwrap();
    judge(&file, &authority("alpha", keys), recorded.map(time), time(at), WeakKeys::Refuse)
}

const NOW: &str = "2026-07-01T12:00:00Z";

#[test]
fn a_signature_by_any_key_of_the_authority_is_valid_and_names_the_key() {
    let [old, new] = [key("keys/alpha.pub"), key("keys/delta.pub")];
    let id = old.id.clone();
    for keys in [vec![old.clone()], vec![old.clone(), new.clone()], vec![new, old]] {
        let judgement = alpha(keys, None, NOW);
        assert_eq!((judgement.status, judgement.key.as_ref()), (Status::Valid, Some(&id)));
        assert!(judgement.is_valid());
    }
}

#[test]
fn every_type_of_key_is_judged() {
    for (folder, of) in [
        ("keys", "alpha"),
        ("keys", "delta"),
        ("keys", "Charlie"),
        ("keys", "bravo"),
        ("keys", "echo-384"),
        ("more", "foxtrot-521"),
        ("more", "golf-k1"),
    ] {
        let bytes = fixture(&format!("openssl/{of}.signed"));
        let file = TagFile::parse(&bytes).unwrap();
        let keys = authority(of, vec![key(&format!("{folder}/{of}.pub"))]);
        let judgement = judge(&file, &keys, None, time(NOW), WeakKeys::Refuse);
        assert!(judgement.is_valid(), "{of}: {judgement:?}");
    }
}

#[test]
fn what_does_not_count_has_a_status_a_code_and_a_message() {
    let bytes = fixture("example.signed");
    let twice = [&bytes[..], b"=== SIGNATURE alpha\nAAAA\n"].concat();
    let changed = [b"x", &bytes[..]].concat();
    let good = vec![key("keys/alpha.pub")];
    for (case, file, of, keys, status, code, message) in [
        (
            "other key",
            &bytes,
            "alpha",
            vec![key("keys/delta.pub")],
            "invalid",
            "invalid-signature",
            "invalid signature for alpha",
        ),
        (
            "changed text",
            &changed,
            "alpha",
            good.clone(),
            "invalid",
            "invalid-signature",
            "invalid signature for alpha",
        ),
        (
            "two blocks",
            &twice,
            "alpha",
            good.clone(),
            "invalid",
            "invalid-signature",
            "duplicate signature block for alpha",
        ),
        (
            "no block",
            &bytes,
            "delta",
            vec![key("keys/delta.pub")],
            "missing",
            "not-signed",
            "not signed by delta",
        ),
        ("no key", &bytes, "alpha", vec![], "unknown", "unknown-authority", "alpha has no key"),
        (
            "key of another",
            &bytes,
            "bravo",
            good.clone(),
            "invalid",
            "invalid-signature",
            "invalid signature for bravo",
        ),
    ] {
        let file = TagFile::parse(file).unwrap();
        let got = judge(&file, &authority(of, keys), None, time(NOW), WeakKeys::Refuse);
        let status_and_code = (got.status.as_str(), got.status.code(), got.message.as_str());
        assert_eq!(status_and_code, (status, Some(code), message), "{case}");
        assert_eq!(got.key, None, "{case}");
    }
}

#[test]
fn a_key_counts_from_its_first_to_its_last_second() {
    let mut old = key("keys/alpha.pub");
    old.not_after = Some(time("2026-09-01T00:00:00Z"));
    let at = |at: &str| {
        let judgement = alpha(vec![old.clone(), key("keys/delta.pub")], None, at);
        assert_eq!(judgement.key.as_ref(), Some(&old.id));
        (judgement.status, judgement.message)
    };
    assert_eq!(at("2026-01-01T00:00:00Z").0, Status::Valid);
    assert_eq!(at("2026-09-01T00:00:00.9Z").0, Status::Valid);
    let early = (Status::NotYetValid, "key of alpha is not valid before 2026-01-01T00:00:00Z".to_owned());
    assert_eq!(at("2025-12-31T23:59:59.9Z"), early);
    assert_eq!(
        at("2026-09-01T00:00:01Z"),
        (Status::Expired, "key of alpha expired 2026-09-01T00:00:00Z".into())
    );
    assert_eq!(Status::Expired.as_str(), "invalid", "the documents have no word for it");
    assert_eq!(Status::Expired.code(), Some("expired-key"));
}

#[test]
fn a_revocation_counts_for_what_was_recorded_in_its_time_and_for_all_that_was_not_recorded() {
    const FROM: Option<&str> = Some("2026-06-01T00:00:00Z");
    const UNTIL: Option<&str> = Some("2026-06-02T00:00:00Z");
    for (from, until, recorded, status) in [
        // Without a beginning: every signature.
        (None, None, None, Status::Revoked),
        (None, None, Some("2026-02-01T00:00:00Z"), Status::Revoked),
        (None, UNTIL, Some("2026-02-01T00:00:00Z"), Status::Revoked),
        (None, UNTIL, Some("2026-06-03T00:00:00Z"), Status::Revoked),
        // From a time on.
        (FROM, None, None, Status::Revoked),
        (FROM, None, Some("2026-05-31T23:59:59.999Z"), Status::Valid),
        (FROM, None, Some("2026-06-01T00:00:00Z"), Status::Revoked),
        (FROM, None, Some("2026-06-20T00:00:00Z"), Status::Revoked),
        // In a window.
        (FROM, UNTIL, None, Status::Revoked),
        (FROM, UNTIL, Some("2026-05-31T23:59:59.999Z"), Status::Valid),
        (FROM, UNTIL, Some("2026-06-01T12:00:00Z"), Status::Revoked),
        (FROM, UNTIL, Some("2026-06-02T00:00:00.999Z"), Status::Revoked),
        (FROM, UNTIL, Some("2026-06-02T00:00:01Z"), Status::Valid),
    ] {
        let mut key = key("keys/alpha.pub");
        key.revoked = revocation(from, until);
        let judgement = alpha(vec![key], recorded, NOW);
        assert_eq!(judgement.status, status, "{from:?} {until:?} {recorded:?}");
        let said = judgement.message.starts_with("key of alpha was revoked 2026-06-10T00:00:00Z");
        assert_eq!(said, status == Status::Revoked, "{}", judgement.message);
    }
}

#[test]
fn a_revocation_counts_also_where_signatures_are_judged_at_an_earlier_time() {
    let mut key = key("keys/alpha.pub");
    key.revoked = revocation(None, None);
    assert_eq!(alpha(vec![key], None, "2026-02-01T00:00:00Z").status, Status::Revoked);
}

#[test]
fn the_revocation_of_one_key_leaves_the_others_alone() {
    let mut lost = key("keys/delta.pub");
    lost.revoked = revocation(None, None);
    assert!(alpha(vec![key("keys/alpha.pub"), lost], None, NOW).is_valid());
}

#[test]
fn a_weak_key_counts_only_where_it_is_asked_for() {
    let bytes = fixture("openssl/weak.signed");
    let file = TagFile::parse(&bytes).unwrap();
    let mut keys = authority("weak", vec![key("more/weak.pub")]);
    let got = judge(&file, &keys, None, time(NOW), WeakKeys::Refuse);
    assert_eq!((got.status, got.message.as_str()), (Status::Invalid, "weak key for weak"));
    assert!(judge(&file, &keys, None, time(NOW), WeakKeys::Allow).is_valid());
    keys.keys[0].revoked = revocation(None, None);
    assert_eq!(judge(&file, &keys, None, time(NOW), WeakKeys::Allow).status, Status::Revoked);
}

#[test]
fn a_detached_key_never_counts_for_a_tag_and_a_tag_key_never_for_bytes() {
    let signed = Signed::by("keys", "bravo", "ecdsa-sha256");
    let digest = countersign_model::HashAlg::Sha256.digest(&signed.payload);
    let detached = |keys: Vec<AuthorityKey>| {
        let keys = authority("bravo", keys);
        judge_detached(&digest, &signed.signature, &keys, None, time(NOW), WeakKeys::Refuse).status
    };
    let as_tag = |keys: Vec<AuthorityKey>| {
        let bytes = fixture("openssl/bravo.signed");
        let file = TagFile::parse(&bytes).unwrap();
        judge(&file, &authority("bravo", keys), None, time(NOW), WeakKeys::Refuse).status
    };
    let (tag_key, mut bytes_key, other) =
        (key("keys/bravo.pub"), key("keys/bravo.pub"), key("keys/alpha.pub"));
    bytes_key.detached = true;
    assert_eq!(detached(vec![other.clone(), bytes_key.clone()]), Status::Valid);
    assert_eq!(detached(vec![tag_key.clone()]), Status::Unknown);
    assert_eq!(as_tag(vec![tag_key]), Status::Valid);
    assert_eq!(as_tag(vec![other, bytes_key]), Status::Invalid);
}

#[test]
fn a_detached_signature_is_judged_for_every_type_of_key() {
    for (folder, of, scheme) in [
        ("keys", "alpha", "rsa-pkcs1-sha256"),
        ("keys", "bravo", "ecdsa-sha256"),
        ("keys", "echo-384", "ecdsa-sha256"),
        ("more", "foxtrot-521", "ecdsa-sha256"),
    ] {
        let mut signed = Signed::by(folder, of, scheme);
        let mut only = key(&format!("{folder}/{of}.pub"));
        only.detached = true;
        let keys = authority(of, vec![only]);
        let mut status = |change: u8| {
            signed.signature[10] ^= change;
            let digest = countersign_model::HashAlg::Sha256.digest(&signed.payload);
            judge_detached(&digest, &signed.signature, &keys, None, time(NOW), WeakKeys::Refuse).status
        };
        assert_eq!(status(0), Status::Valid, "{of}");
        assert_eq!(status(1), Status::Invalid, "{of}");
    }
}
