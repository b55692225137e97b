//! Use-cases over a real key host and SQLite in a temporary directory.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod authorities;
mod backup;
mod collection_autograph;
mod collection_autograph_chains;
mod collection_chains;
mod collection_signing;
mod collection_signing_reading;
mod collection_signing_seed;
mod collection_signing_site;
mod collection_signing_trust;
mod collection_webhooks;
mod collections;
mod keys;
mod log;
mod nodes;
mod people;
mod policy;
mod publication;
mod signing;
mod startup;
mod support;
mod tags;
