//! What the store promises, on both engines.

#![allow(clippy::unwrap_used)]

mod data_keys;
mod files;
mod heads;
mod idempotency;
mod keys;
mod meta;
mod open;
mod policy;
mod principals;
#[cfg(feature = "s3")]
mod s3;
mod snapshot;
mod support;
mod tasks;
mod tokens;
