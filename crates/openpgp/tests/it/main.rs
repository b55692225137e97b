//! Keys and signatures of ours before other programs, and theirs before us.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod judges;
mod library;
mod policy;
mod signer;
mod theirs;

/// A file of `fixtures/openpgp`.
fn fixture(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/openpgp/");
    std::fs::read(format!("{folder}{name}")).unwrap_or_else(|e| panic!("{name}: {e}"))
}
