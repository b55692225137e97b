//! Who has signed, and who is missing (specification 4.2.1, 5.1).

use std::collections::{BTreeMap, BTreeSet};

use crate::metadata::Document;
use crate::root::{Keys, Role};

/// The signatures of one document, counted for one role.
///
/// What is counted are public keys, not key ids: a key that stands under two ids counts once. Signatures that do
/// not verify, or are by keys that the role does not have, do not count and do no harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// How many must sign.
    pub threshold: u64,
    /// Ids of the keys that have signed, in the role's order; one id for each public key.
    pub have: Vec<String>,
    /// Ids of the keys that have not, in the role's order; one id for each public key.
    pub missing: Vec<String>,
}

/// Too few have signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{have} of the {threshold} signatures that role `{role}` needs are there and valid")]
pub struct NotMet {
    /// The role.
    pub role: String,
    /// How many of its keys have signed.
    pub have: usize,
    /// How many must.
    pub threshold: u64,
}

impl Tally {
    /// Counts the signatures of `document` by the keys of `role`, which are in `keys`.
    pub fn of(document: &Document, keys: &Keys, role: &Role) -> Self {
        let message = document.signed_bytes();
        let signatures: BTreeMap<&str, &str> = document.signatures().map(|s| (s.keyid, s.sig)).collect();
        let mut have = Vec::new();
        let mut signed = BTreeSet::new();
        for (keyid, key) in role.keys(keys) {
            let Some(signature) = signatures.get(keyid) else { continue };
            if !signed.contains(key.public_value()) && key.verify(&message, signature).is_ok() {
                signed.insert(key.public_value());
                have.push(keyid.to_owned());
            }
        }
        let mut missing = Vec::new();
        for (keyid, key) in role.keys(keys) {
            if signed.insert(key.public_value()) {
                missing.push(keyid.to_owned());
            }
        }
        Self { threshold: role.threshold, have, missing }
    }

    /// Whether enough have signed.
    pub fn is_met(&self) -> bool {
        self.have.len() as u64 >= self.threshold
    }

    /// How many signatures are still needed.
    pub fn needed(&self) -> u64 {
        self.threshold.saturating_sub(self.have.len() as u64)
    }
}

/// Checks that enough keys of `role` have signed `document`. `name`: the role's name, for the message.
///
/// # Errors
/// [`NotMet`].
pub fn verify(document: &Document, keys: &Keys, role: &Role, name: &str) -> Result<(), NotMet> {
    let tally = Tally::of(document, keys, role);
    if tally.is_met() {
        return Ok(());
    }
    Err(NotMet { role: name.to_owned(), have: tally.have.len(), threshold: tally.threshold })
}
