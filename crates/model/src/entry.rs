//! Entries of the signing log: one line of canonical JSON each.

use serde::{Deserialize, Serialize};

use crate::format::Format;
use crate::name::{KeyId, KeyName, Name, PrincipalName, RequestId};
use crate::scheme::Scheme;
use crate::surface::Surface;

/// What a key did, or what changed trust. Written before it happens.
///
/// The fields stand in the order of their names, so that serialising is canonical (RFC 8785).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// How the signature is written; `None` for changes of trust.
    pub format: Option<Format>,
    /// `sha256:HEX` of what the caller gave; `None` when only a digest was given.
    pub input: Option<String>,
    /// The key that signs or is changed.
    pub key: Option<KeyName>,
    /// Its id.
    pub key_id: Option<KeyId>,
    /// The node whose log this is: the log's origin.
    pub node: Name,
    /// What is done.
    pub op: Op,
    /// `sha256:HEX` of the policy that allowed it.
    pub policy: String,
    /// Who caused it.
    pub principal: PrincipalName,
    /// The request.
    pub request_id: RequestId,
    /// The scheme; the member is left out for changes of trust.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub scheme: Option<Scheme>,
    /// What was named: a file, an artifact, a principal, in the caller's words, at most 256 characters.
    pub subject: Option<String>,
    /// The surface that was asked.
    pub surface: Surface,
    /// When, by the key host's clock: RFC 3339 with milliseconds.
    pub time: String,
    /// `sha256:HEX` of [`crate::ToSign::fingerprint`].
    pub to_sign: Option<String>,
    /// The version of this form: 1.
    pub v: u8,
}

/// What an entry says was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the names are the documentation")]
pub enum Op {
    Sign,
    KeyCreate,
    KeyImport,
    KeyExport,
    KeyRetire,
    KeyRevoke,
    PolicySet,
    PrincipalCreate,
    PrincipalDisable,
    TokenCreate,
    TokenRevoke,
    /// An authority was made, or its keys changed: `subject` begins with its name.
    AuthoritySet,
    /// A tag was hidden, restored, or written without a signature made here: `subject` begins with its name.
    TagWrite,
    /// Metadata of the TUF repository that people sign was submitted, signed, overridden or stopped, or came into
    /// force: `subject` says which, of what role and version, and with what digest.
    TufChange,
    /// The first entry of a log that goes on from another after a restore: `subject` names the old
    /// origin, size and root.
    LogContinue,
    /// All that is sealed left under a passphrase.
    BackupCreate,
    /// The data keys were put under another seal key; `subject` says of which kind: `file` or `passphrase`.
    SealRotate,
}

/// An entry must fit in a log's entry bundle, whose lengths are 16 bits.
pub const MAX_ENTRY_BYTES: usize = 65_535;

impl Entry {
    /// The leaf of the log: canonical JSON without a line end.
    pub fn to_canonical(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an entry has only texts and a small number")
    }

    /// Reads a leaf.
    ///
    /// # Errors
    /// If it is not an entry, or not in canonical form.
    pub fn parse(leaf: &[u8]) -> Result<Self, BadEntry> {
        let entry: Self = serde_json::from_slice(leaf).map_err(|e| BadEntry(e.to_string()))?;
        if entry.to_canonical() != leaf {
            return Err(BadEntry("it is not in canonical form".into()));
        }
        Ok(entry)
    }
}

/// A leaf that is not an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a log entry: {0}")]
pub struct BadEntry(String);

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Entry {
        Entry {
            format: Some(Format::Raw),
            input: Some(crate::digest::sha256_text(b"x")),
            key: Some("release".parse().unwrap()),
            key_id: Some(KeyId::of_spki(b"k")),
            node: "node-1".parse().unwrap(),
            op: Op::Sign,
            policy: crate::digest::sha256_text(b"p"),
            principal: "admin".parse().unwrap(),
            request_id: "r1".parse().unwrap(),
            scheme: Some(Scheme::Ed25519),
            subject: Some("a\n\"é\u{1f600}\u{1}".into()),
            surface: Surface::Native,
            time: "2026-01-02T03:04:05.000Z".into(),
            to_sign: Some(crate::digest::sha256_text(b"x")),
            v: 1,
        }
    }

    #[test]
    fn a_leaf_is_canonical_json_and_goes_round() {
        for scheme in [Some(Scheme::Ed25519), None] {
            let entry = Entry { scheme, ..example() };
            let leaf = entry.to_canonical();
            let value = crate::strict_json::parse(&leaf).unwrap();
            assert_eq!(leaf, crate::canonical::rfc8785(&value));
            assert_eq!(value.get("scheme").is_some(), scheme.is_some());
            assert_eq!(Entry::parse(&leaf), Ok(entry));
        }
    }

    #[test]
    fn another_form_of_the_same_entry_is_refused() {
        let leaf = String::from_utf8(example().to_canonical()).unwrap();
        assert!(Entry::parse(format!(" {leaf}").as_bytes()).is_err());
        assert!(Entry::parse(leaf.replace("\"v\":1", "\"v\":1,\"w\":1").as_bytes()).is_err());
    }
}
