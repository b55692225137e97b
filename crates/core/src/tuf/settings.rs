//! What the configuration says of the TUF service.

use std::time::Duration;

/// `[tuf]`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether overriding and stopping a signing need a proof of possession.
    pub proof_required: bool,
    /// The least time between two publications of artifacts: what comes in between goes together.
    pub group_for: Duration,
    /// The most requests that go together.
    pub group_of: usize,
    /// Whether target files can be uploaded and fetched here.
    pub host_targets: bool,
    /// The most bytes of a target file that is uploaded.
    pub target_bytes: u64,
    /// The most bytes of all target files that are kept here.
    pub hosted_bytes: u64,
    /// Bytes that uploads leave free on the disk: the database and the signing log may be there too.
    pub reserve_bytes: u64,
    /// Whether the service runs at all.
    pub enabled: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            proof_required: false,
            group_for: Duration::ZERO,
            group_of: 1_000,
            host_targets: true,
            target_bytes: 16 << 30,
            hosted_bytes: 1 << 40,
            reserve_bytes: 1 << 30,
            enabled: true,
        }
    }
}
