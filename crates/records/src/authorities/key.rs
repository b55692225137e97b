//! The keys of an authority.

use std::collections::BTreeSet;

use countersign_model::public_key::PublicKeyError;
use countersign_model::{KeyId, KeyType, PublicKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::timestamp;
use crate::tag::AuthorityName;

/// A key of an authority, and when it counts. In JSON the form KEY of the [module](super).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct AuthorityKey {
    /// Of the public key.
    pub id: KeyId,
    /// What kind of key it is, in the words of [`algorithm_of`].
    pub algorithm: String,
    /// The key.
    pub public_key: PublicKey,
    /// From this second on.
    pub not_before: Timestamp,
    /// Up to and with this second; without it, for as long as it is not revoked.
    pub not_after: Option<Timestamp>,
    /// Set once, never taken back.
    pub revoked: Option<KeyRevocation>,
    /// A key for signatures of artifacts' own bytes: it never counts for a tag, and a tag key never for
    /// bytes.
    pub detached: bool,
}

/// That a key no longer counts, and for which signatures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRevocation {
    /// When it was said.
    #[serde(with = "timestamp")]
    pub at: Timestamp,
    /// From this second on no signature counts; without it, none ever made.
    #[serde(with = "timestamp::option", default)]
    pub from: Option<Timestamp>,
    /// Up to and with this second, where only a window is in doubt; without it, for good.
    #[serde(with = "timestamp::option", default)]
    pub until: Option<Timestamp>,
    /// Why, in the words of who revoked it.
    #[serde(default)]
    pub reason: String,
}

/// An authority with all its keys, newest last. In JSON the document of one authority.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenKeys")]
pub struct AuthorityKeys {
    /// Its name.
    pub name: AuthorityName,
    /// Each key once.
    pub keys: Vec<AuthorityKey>,
}

/// A KEY whose members contradict one another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyMismatch {
    /// The `pem` is not a public key.
    #[error(transparent)]
    Pem(#[from] PublicKeyError),
    /// The `id` is not that of the `pem`.
    #[error("the key says its id is `{written}`, but it is `{actual}`")]
    Id {
        /// What is written.
        written: KeyId,
        /// What the public key gives.
        actual: KeyId,
    },
    /// The `algorithm` is not that of the `pem`.
    #[error("the key says it is `{written}`, but it is `{actual}`")]
    Algorithm {
        /// What is written, escaped and cut.
        written: String,
        /// What the public key is.
        actual: String,
    },
}

/// A key that stands twice among those of one authority: it could be revoked in one place and good in the
/// other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("authority `{name}` has key `{id}` twice")]
pub struct DuplicateKey {
    /// The authority.
    pub name: AuthorityName,
    /// The key.
    pub id: KeyId,
}

impl AuthorityKey {
    /// A key for tags that is good from `not_before` on.
    pub fn new(public_key: PublicKey, not_before: Timestamp) -> Self {
        Self {
            id: public_key.id(),
            algorithm: algorithm_of(public_key.key_type()),
            public_key,
            not_before,
            not_after: None,
            revoked: None,
            detached: false,
        }
    }
}

impl AuthorityKeys {
    /// An authority with these keys, newest last.
    ///
    /// # Errors
    /// [`DuplicateKey`].
    pub fn new(name: AuthorityName, keys: Vec<AuthorityKey>) -> Result<Self, DuplicateKey> {
        let mut ids = BTreeSet::new();
        match keys.iter().find(|key| !ids.insert(&key.id)) {
            Some(twice) => Err(DuplicateKey { id: twice.id.clone(), name }),
            None => Ok(Self { name, keys }),
        }
    }

    /// The key with this id.
    pub fn key(&self, id: &KeyId) -> Option<&AuthorityKey> {
        self.keys.iter().find(|key| key.id == *id)
    }
}

/// The word for a kind of key in the documents of authorities: `rsa-2048`, `rsa-3072`, `rsa-4096`, `ec-p256`,
/// `ec-p384`, `ec-p521`; and for keys that were made elsewhere also other sizes of RSA, `ec-secp256k1` and
/// `ed25519`.
pub fn algorithm_of(key_type: KeyType) -> String {
    match key_type {
        KeyType::Rsa(_) | KeyType::Ed25519 => key_type.to_string(),
        KeyType::P256 | KeyType::P384 | KeyType::P521 | KeyType::Secp256k1 => format!("ec-{key_type}"),
    }
}

/// The kind of key that a word of [`algorithm_of`] means.
pub fn key_type_of(algorithm: &str) -> Option<KeyType> {
    let key_type = algorithm.strip_prefix("ec-").unwrap_or(algorithm).parse().ok()?;
    (algorithm_of(key_type) == algorithm).then_some(key_type)
}

/// KEY as it stands in JSON.
#[derive(Serialize, Deserialize)]
struct Written {
    id: KeyId,
    algorithm: String,
    pem: String,
    #[serde(with = "timestamp")]
    not_before: Timestamp,
    #[serde(with = "timestamp::option", default)]
    not_after: Option<Timestamp>,
    #[serde(default)]
    revoked: Option<KeyRevocation>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    detached: bool,
}

impl TryFrom<Written> for AuthorityKey {
    type Error = KeyMismatch;

    fn try_from(written: Written) -> Result<Self, KeyMismatch> {
        let public_key = PublicKey::from_pem(&written.pem)?;
        let actual = public_key.id();
        if written.id != actual {
            return Err(KeyMismatch::Id { written: written.id, actual });
        }
        let algorithm = algorithm_of(public_key.key_type());
        if written.algorithm != algorithm {
            let shown = written.algorithm.chars().take(80).flat_map(char::escape_debug).collect();
            return Err(KeyMismatch::Algorithm { written: shown, actual: algorithm });
        }
        Ok(Self {
            id: actual,
            algorithm,
            public_key,
            not_before: written.not_before,
            not_after: written.not_after,
            revoked: written.revoked,
            detached: written.detached,
        })
    }
}

impl From<AuthorityKey> for Written {
    fn from(key: AuthorityKey) -> Self {
        Self {
            id: key.id,
            algorithm: key.algorithm,
            pem: key.public_key.to_pem(),
            not_before: key.not_before,
            not_after: key.not_after,
            revoked: key.revoked,
            detached: key.detached,
        }
    }
}

#[derive(Deserialize)]
struct WrittenKeys {
    name: AuthorityName,
    keys: Vec<AuthorityKey>,
}

impl TryFrom<WrittenKeys> for AuthorityKeys {
    type Error = DuplicateKey;

    fn try_from(written: WrittenKeys) -> Result<Self, DuplicateKey> {
        Self::new(written.name, written.keys)
    }
}
