//! The surfaces over HTTP: shape, connections, and the whole contract against a real key host.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot go on should say where")]

mod appliance;
mod appliance_authenticator;
mod appliance_transfer;
mod authorities;
mod autograph;
mod collections;
mod collections_outside;
mod connection;
mod formats;
mod idempotency;
mod log;
mod native;
mod process;
mod publication;
mod serve;
mod shape;
mod signing;
mod support;
mod tags;
mod tuf;
