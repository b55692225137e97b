//! Opened keys, by the hash of the blob they were opened from.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use countersign_model::key::PrivateKey as _;
use countersign_model::public_key::Verifiers;
use countersign_model::{KeyId, RawSignature, Scheme, ToSign, digest};

use super::pool::lock;
use crate::seal::{BlobHeader, DataKeys};
use crate::soft::SoftKey;
use crate::wire::HostError;

/// A key ready to sign.
pub(super) struct LoadedKey {
    pub(super) header: BlobHeader,
    pub(super) id: KeyId,
    pub(super) key: SoftKey,
    verifiers: Verifiers,
}

impl LoadedKey {
    /// Opens a blob and parses what is in it.
    ///
    /// # Errors
    /// [`HostError::BadBlob`], also if the private key is not the one that the header names.
    pub(super) fn open(keys: &DataKeys, blob: &[u8]) -> Result<Self, HostError> {
        let (header, pkcs8) = keys.open(blob)?;
        let key = SoftKey::from_pkcs8(header.key_type, &pkcs8).map_err(|_| HostError::BadBlob)?;
        if digest::sha256(key.public().spki()) != header.id {
            return Err(HostError::BadBlob);
        }
        let id = key.public().id();
        Ok(Self { header, id, key, verifiers: Verifiers::default() })
    }

    /// Checks a signature as a stranger would.
    pub(super) fn verify(&self, scheme: Scheme, to_sign: &ToSign, signature: &RawSignature) -> bool {
        self.verifiers.verify(self.key.public(), scheme, to_sign, signature).is_ok()
    }
}

/// At most twice this many keys are held open: two generations, and the older one is dropped whole.
const GENERATION: usize = 2048;

/// A bounded cache.
#[derive(Default)]
pub(super) struct KeyCache {
    generations: Mutex<[HashMap<[u8; 32], Arc<LoadedKey>>; 2]>,
}

impl KeyCache {
    /// The key of `blob`, if it was opened lately.
    pub(super) fn get(&self, blob: &[u8]) -> Option<Arc<LoadedKey>> {
        let hash = digest::sha256(blob);
        let mut generations = lock(&self.generations);
        if let Some(key) = generations[0].get(&hash) {
            return Some(Arc::clone(key));
        }
        let key = generations[1].remove(&hash)?;
        generations[0].insert(hash, Arc::clone(&key));
        Some(key)
    }

    /// The key of `blob`, opened now if need be. Takes up to half a millisecond for RSA.
    pub(super) fn get_or_open(&self, keys: &DataKeys, blob: &[u8]) -> Result<Arc<LoadedKey>, HostError> {
        if let Some(key) = self.get(blob) {
            return Ok(key);
        }
        let key = Arc::new(LoadedKey::open(keys, blob)?);
        let mut generations = lock(&self.generations);
        if generations[0].len() >= GENERATION {
            generations[1] = std::mem::take(&mut generations[0]);
        }
        generations[0].insert(digest::sha256(blob), Arc::clone(&key));
        Ok(key)
    }
}
