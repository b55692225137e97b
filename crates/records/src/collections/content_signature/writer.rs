//! The message, hashed as it is written: a collection may be larger than memory should be.

use countersign_model::digest::Hasher;
use countersign_model::{Digest, ToSign};

use super::{ContentSignatureError, Mode, PREFIX, Pending, Profile};

/// A message in the making. It takes records one after another and keeps none of them.
#[derive(Clone)]
pub struct Writer {
    hasher: Hasher,
    profile: Profile,
    mode: Mode,
    last: Option<String>,
}

impl Writer {
    /// A message without records.
    pub fn new(profile: Profile, mode: Mode) -> Self {
        let mut hasher = Hasher::new(mode.hash());
        match profile {
            Profile::Modern => {
                hasher.update(PREFIX);
                hasher.update(b"{\"data\":[");
            }
            Profile::Seed => hasher.update(b"["),
        }
        Self { hasher, profile, mode, last: None }
    }

    /// Adds a live record.
    ///
    /// - `id`: comes after that of the record before, by code points.
    /// - `canonical`: the record's text, modern by
    ///   [`content_signature`](countersign_model::canonical::content_signature()), seed by
    ///   [`python_compact`](countersign_model::canonical::python_compact). It is not looked at.
    ///
    /// # Errors
    /// [`ContentSignatureError::Order`].
    pub fn record(&mut self, id: &str, canonical: &str) -> Result<(), ContentSignatureError> {
        match &mut self.last {
            Some(last) if last.as_str() >= id => {
                return Err(ContentSignatureError::Order { id: id.to_owned() });
            }
            Some(last) => {
                self.hasher.update(b",");
                // The room of the one before is used again.
                last.clear();
                last.push_str(id);
            }
            None => self.last = Some(id.to_owned()),
        }
        self.hasher.update(canonical.as_bytes());
        Ok(())
    }

    /// Ends the message.
    ///
    /// - `last_modified`: the timestamp of the list of records, in milliseconds; the seed does not sign it.
    pub fn finish(mut self, last_modified: i64) -> (ToSign, Pending) {
        match self.profile {
            Profile::Modern => {
                self.hasher.update(format!("],\"last_modified\":\"{last_modified}\"}}").as_bytes());
            }
            Profile::Seed => self.hasher.update(b"]"),
        }
        (ToSign::Digest(self.hasher.finish()), Pending::new(self.profile, self.mode))
    }
}

/// Prepares content of any kind: the modern profile puts [`PREFIX`] before it.
pub fn prepare(profile: Profile, mode: Mode, content: &[u8]) -> (ToSign, Pending) {
    let mut hasher = Hasher::new(mode.hash());
    if profile == Profile::Modern {
        hasher.update(PREFIX);
    }
    hasher.update(content);
    (ToSign::Digest(hasher.finish()), Pending::new(profile, mode))
}

/// Prepares content of which only the digest is here, with the prefix already in it.
///
/// # Errors
/// [`ContentSignatureError::Digest`] for a digest of another hash than the mode's.
pub fn prepare_digest(
    profile: Profile,
    mode: Mode,
    digest: Digest,
) -> Result<(ToSign, Pending), ContentSignatureError> {
    if digest.alg() != mode.hash() {
        return Err(ContentSignatureError::Digest { mode, given: digest.alg() });
    }
    Ok((ToSign::Digest(digest), Pending::new(profile, mode)))
}
