//! Randomness, and request ids.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::rand;
use countersign_model::RequestId;
use countersign_model::token::base32;

use crate::error::Error;

/// `N` random bytes from the system's generator.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| Error::Internal("the random generator failed".into()))?;
    Ok(bytes)
}

/// Makes request ids that do not repeat: a random prefix for the process and a counter. No system call.
#[derive(Debug)]
pub(crate) struct RequestIds {
    prefix: String,
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new() -> Result<Self, Error> {
        Ok(Self { prefix: base32(&bytes::<10>()?), next: AtomicU64::new(1) })
    }

    pub(crate) fn next(&self) -> RequestId {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!("{}-{number}", self.prefix).parse().expect("16 letters, a dash and at most 20 digits")
    }
}
