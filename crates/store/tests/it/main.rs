//! What the store promises, on both engines.

#![allow(clippy::unwrap_used)]

mod appliance;
mod authorities;
mod autograph;
mod collections;
mod collections_bulk;
mod collections_entries;
mod collections_equal;
mod collections_speed;
mod content_chains;
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
mod tuf;
mod tuf_artifacts;
mod tuf_roles;
mod tuf_speed;
