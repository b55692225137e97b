use countersign_records::tag::{AuthorityName, TagFile, WeakKeys};
use countersign_verify::tag::{At, TagProblem, TrustedKey, verify};
use jiff::Timestamp;

use crate::support::{fixture, text};

fn verdict(authority: &str, key: &str, at: At) -> Result<(), TagProblem> {
    let bytes = fixture("example.signed");
    let file = TagFile::parse(&bytes).unwrap();
    let authority: AuthorityName = authority.parse().unwrap();
    let trusted = TrustedKey::from_pem(&text(key)).unwrap();
    let id = verify(&file, &authority, &trusted, at, WeakKeys::Refuse)?;
    assert_eq!(id, trusted.key.id());
    Ok(())
}

fn at(time: &str) -> At {
    At::Time(time.parse().unwrap())
}

#[test]
fn each_authority_of_a_file_has_a_verdict() {
    for authority in ["alpha", "bravo", "Charlie"] {
        assert_eq!(verdict(authority, &format!("keys/{authority}.pub"), At::AnyTime), Ok(()));
    }
    let problem = verdict("delta", "keys/delta.pub", At::AnyTime).unwrap_err();
    assert_eq!((problem.status(), problem.to_string()), ("missing", "not signed by delta".into()));
    let problem = verdict("alpha", "keys/delta.pub", At::AnyTime).unwrap_err();
    assert_eq!((problem.status(), problem.to_string()), ("invalid", "invalid signature for alpha".into()));
}

#[test]
fn a_certificate_beside_the_key_says_when_the_key_is_valid() {
    for key in ["keys/Charlie.pub", "more/certificate.pub"] {
        let trusted = TrustedKey::from_pem(&text(key)).unwrap();
        let time = |text: &str| text.parse::<Timestamp>().ok();
        assert_eq!(trusted.not_before, time("2026-11-20T21:05:51Z"));
        assert_eq!(trusted.not_after, time("2036-11-17T21:05:51Z"));

        assert_eq!(verdict("Charlie", key, At::AnyTime), Ok(()), "no time, no expiry");
        assert_eq!(verdict("Charlie", key, at("2026-11-20T21:05:51Z")), Ok(()), "the first second");
        assert_eq!(verdict("Charlie", key, at("2036-11-17T21:05:51.9Z")), Ok(()), "the last second");
        let early = verdict("Charlie", key, at("2026-11-20T21:05:50Z")).unwrap_err();
        assert_eq!(early.status(), "not-yet-valid");
        let late = verdict("Charlie", key, at("2036-11-17T21:05:52Z")).unwrap_err();
        assert_eq!(late.to_string(), "key of Charlie expired 2036-11-17T21:05:51Z");
    }
}

#[test]
fn a_key_without_a_certificate_or_with_that_of_another_key_has_no_times() {
    let both = text("keys/alpha.pub") + &text("more/certificate.pub");
    for pem in [text("keys/alpha.pub"), both] {
        let trusted = TrustedKey::from_pem(&pem).unwrap();
        assert_eq!((trusted.not_before, trusted.not_after), (None, None));
    }
    assert_eq!(verdict("alpha", "keys/alpha.pub", at("1970-01-01T00:00:00Z")), Ok(()));
}
