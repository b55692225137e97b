//! What the store promises, on both engines.

#![allow(clippy::unwrap_used)]

mod appliance;
mod authorities;
mod data_keys;
mod files;
mod heads;
mod idempotency;
mod keys;
mod meta;
mod open;
mod policy;
mod principals;
mod publication;
#[cfg(feature = "s3")]
mod s3;
mod snapshot;
mod support;
mod tag_requests;
mod tags;
mod tasks;
mod tokens;
