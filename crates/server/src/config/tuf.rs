//! `[tuf]`: the TUF repository service.

use std::time::Duration;

use countersign_core::tuf::Settings;
use serde::Deserialize;

use super::ConfigError;

/// `[tuf]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tuf {
    /// Whether the surface answers.
    pub enabled: bool,
    /// Whether who overrides or stops a signing must prove that they hold a root key. Default `optional`.
    pub sign_proof: SignProof,
    /// The least time between two publications of artifacts, in milliseconds: what comes in between goes together.
    /// Default 0: what comes while one is made.
    pub group_for_ms: u32,
    /// The most requests that are published together. Default 1000.
    pub group_of: u32,
    /// Whether target files can be uploaded and fetched here. Default: yes.
    pub host_targets: bool,
    /// The largest target file that can be uploaded, in MiB. Default 16 384.
    pub target_mib: u64,
    /// The most that all target files that are kept here may take, in GiB. Default 1024.
    pub hosted_gib: u64,
    /// What uploads leave free on the disk of the published files, in MiB. Default 1024.
    pub reserve_mib: u64,
}

impl Default for Tuf {
    fn default() -> Self {
        Self {
            enabled: true,
            sign_proof: SignProof::Optional,
            group_for_ms: 0,
            group_of: 1_000,
            host_targets: true,
            target_mib: 16 << 10,
            hosted_gib: 1 << 10,
            reserve_mib: 1 << 10,
        }
    }
}

/// Whether who overrides or stops a signing must prove that they hold a root key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignProof {
    /// Checked if given.
    Optional,
    /// Always.
    Required,
}

impl Tuf {
    /// What the use-cases are told.
    pub fn settings(&self) -> Settings {
        Settings {
            proof_required: self.sign_proof == SignProof::Required,
            group_for: Duration::from_millis(u64::from(self.group_for_ms)),
            group_of: self.group_of as usize,
            host_targets: self.host_targets,
            target_bytes: self.target_mib << 20,
            hosted_bytes: self.hosted_gib << 30,
            reserve_bytes: self.reserve_mib << 20,
            enabled: self.enabled,
        }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let bad = |key, why: &str| Err(ConfigError::Value { key, why: why.into() });
        if self.group_for_ms > 60_000 {
            return bad("tuf.group_for_ms", "0 to 60 000");
        }
        if !(1..=100_000).contains(&self.group_of) {
            return bad("tuf.group_of", "1 to 100 000");
        }
        if !(1..=16 << 20).contains(&self.target_mib) {
            return bad("tuf.target_mib", "1 to 16 777 216");
        }
        if !(1..=16 << 20).contains(&self.hosted_gib) {
            return bad("tuf.hosted_gib", "1 to 16 777 216");
        }
        if self.reserve_mib > 16 << 20 {
            return bad("tuf.reserve_mib", "0 to 16 777 216");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_use_cases() {
        assert_eq!(Tuf::default().settings(), Settings::default());
    }
}
