//! What an authority's signature is worth, by its keys over time and what is revoked.
//!
//! A signature in a file has no time of its own. So where a key is revoked for a part of its life only, what
//! counts is when the service's log recorded the signature; without such an entry it is not believed.

use countersign_model::{Digest, Encoding, KeyId, PublicKey, RawSignature, ToSign, time};
use countersign_records::tag::{self, AuthorityName, TagError, TagFile, WeakKeys};
use jiff::Timestamp;

pub use countersign_records::authorities::{
    AuthorityKey, AuthorityKeys, DuplicateKey, KeyMismatch, KeyRevocation,
};

/// The verdict in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// The authority signed this text, and its word counts.
    Valid,
    /// The signature is not one of the authority's keys over this text, or the key is too weak.
    Invalid,
    /// The authority did not sign.
    Missing,
    /// The key that signed is revoked, for this signature too.
    Revoked,
    /// The key that signed counts from a later time on.
    NotYetValid,
    /// The key that signed counted up to an earlier time.
    Expired,
    /// There is no such authority, or it has no key.
    Unknown,
}

/// What became of one authority's signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub status: Status,
    /// The key that made the signature, if one of the authority's did.
    pub key: Option<KeyId>,
    /// The verdict as a sentence; of a signature that counts `valid`.
    pub message: String,
}

impl Status {
    /// The word for it in documents. An expired key is `invalid` there; [`code`](Self::code) tells it apart.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Invalid | Self::Expired => "invalid",
            Self::Missing => "missing",
            Self::Revoked => "revoked",
            Self::NotYetValid => "not-yet-valid",
            Self::Unknown => "unknown",
        }
    }

    /// The error code of the tag service for it; `None` when it is valid.
    pub fn code(self) -> Option<&'static str> {
        match self {
            Self::Valid => None,
            Self::Invalid => Some("invalid-signature"),
            Self::Missing => Some("not-signed"),
            Self::Revoked => Some("revoked"),
            Self::NotYetValid => Some("not-yet-valid"),
            Self::Expired => Some("expired-key"),
            Self::Unknown => Some("unknown-authority"),
        }
    }

    /// One sentence for the person who reads the terminal.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Valid => "nothing to do",
            Self::Invalid => "the text was changed after signing, or another key signed it: do not trust it",
            Self::Missing => "ask the authority to sign it",
            Self::Revoked => "do not trust it; if the text is good, the authority can sign it again",
            Self::NotYetValid => "is the clock right? else ask the authority which key it signs with",
            Self::Expired => "the authority can sign it again with its current key",
            Self::Unknown => "is the name right? the service lists its authorities at `/authorities/`",
        }
    }
}

impl Judgement {
    /// Whether the signature counts.
    pub fn is_valid(&self) -> bool {
        self.status == Status::Valid
    }

    /// The judgement about an authority that nobody knows.
    pub fn unknown(name: &AuthorityName) -> Self {
        Self { status: Status::Unknown, key: None, message: format!("unknown authority {name}") }
    }

    fn no(status: Status, message: impl ToString) -> Self {
        Self { status, key: None, message: message.to_string() }
    }
}

/// Judges the signature of one authority in `file`.
///
/// - `keys`: the authority with all its keys; those for detached signatures are passed over.
/// - `recorded`: when the service's log recorded this signature, if it did.
/// - `at`: the time at which the keys must be valid. A revocation counts whenever it was said.
///
/// Times are compared by whole seconds, first and last included.
pub fn judge(
    file: &TagFile<'_>,
    keys: &AuthorityKeys,
    recorded: Option<Timestamp>,
    at: Timestamp,
    weak: WeakKeys,
) -> Judgement {
    if let Err(error) = file.block(&keys.name) {
        let missing = matches!(error, TagError::NotSigned { .. });
        return Judgement::no(if missing { Status::Missing } else { Status::Invalid }, error);
    }
    let made_by = |key: &PublicKey| file.verify(&keys.name, key, WeakKeys::Allow).is_ok();
    judge_key(keys, keys.keys.iter().filter(|key| !key.detached), made_by, recorded, at, weak)
}

/// Judges a detached signature of an artifact's own bytes by one authority.
///
/// - `digest`: SHA-256 of the bytes.
/// - `signature`: RSA as long as the modulus, ECDSA in DER.
/// - Only keys for detached signatures count; the rest is as in [`judge`].
pub fn judge_detached(
    digest: &Digest,
    signature: &[u8],
    keys: &AuthorityKeys,
    recorded: Option<Timestamp>,
    at: Timestamp,
    weak: WeakKeys,
) -> Judgement {
    let to_sign = ToSign::Digest(*digest);
    let made_by = |key: &PublicKey| {
        let signature = RawSignature::decode(signature, key.key_type().ecdsa_width(), Encoding::Der);
        let scheme = tag::scheme_for(key.key_type());
        scheme.zip(signature.ok()).is_some_and(|(scheme, raw)| key.verify(scheme, &to_sign, &raw).is_ok())
    };
    judge_key(keys, keys.keys.iter().filter(|key| key.detached), made_by, recorded, at, weak)
}

/// Finds the key that made the signature, newest first, and says what it is worth.
fn judge_key<'a>(
    authority: &AuthorityKeys,
    keys: impl DoubleEndedIterator<Item = &'a AuthorityKey>,
    made_by: impl Fn(&PublicKey) -> bool,
    recorded: Option<Timestamp>,
    at: Timestamp,
    weak: WeakKeys,
) -> Judgement {
    let name = &authority.name;
    let mut keys = keys.rev().peekable();
    if keys.peek().is_none() {
        return Judgement::no(Status::Unknown, format!("{name} has no key"));
    }
    let Some(key) = keys.find(|key| made_by(&key.public_key)) else {
        return Judgement::no(Status::Invalid, TagError::InvalidSignature { name: name.clone() });
    };
    let (status, message) = worth(key, name, recorded, at, weak);
    Judgement { status, key: Some(key.id.clone()), message }
}

fn worth(
    key: &AuthorityKey,
    name: &AuthorityName,
    recorded: Option<Timestamp>,
    at: Timestamp,
    weak: WeakKeys,
) -> (Status, String) {
    if let Some(message) = key.revoked.as_ref().and_then(|r| revoked(r, name, recorded)) {
        return (Status::Revoked, message);
    }
    if key.public_key.is_weak() && weak == WeakKeys::Refuse {
        return (Status::Invalid, TagError::WeakKey { name: name.clone() }.to_string());
    }
    if at.as_second() < key.not_before.as_second() {
        let from = time::seconds(key.not_before);
        return (Status::NotYetValid, format!("key of {name} is not valid before {from}"));
    }
    if let Some(end) = key.not_after.filter(|end| at.as_second() > end.as_second()) {
        return (Status::Expired, format!("key of {name} expired {}", time::seconds(end)));
    }
    (Status::Valid, "valid".to_owned())
}

/// Why the revocation concerns a signature recorded at this time; `None` if it does not.
fn revoked(revocation: &KeyRevocation, name: &AuthorityName, recorded: Option<Timestamp>) -> Option<String> {
    let KeyRevocation { at, from, until, .. } = revocation;
    let said = format!("key of {name} was revoked {}", time::seconds(*at));
    // A window without a beginning is none: everything before its end is in doubt, and so is the rest.
    let Some(from) = from else { return Some(said) };
    let Some(recorded) = recorded else {
        return Some(format!("{said} for a time, and no log says when this signature was made"));
    };
    let before = recorded.as_second() < from.as_second();
    let after = until.is_some_and(|until| recorded.as_second() > until.as_second());
    let recorded = time::seconds(recorded);
    (!before && !after).then(|| format!("{said}, for this signature of {recorded} too"))
}
