//! Use-cases over a real key host and SQLite in a temporary directory.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod authorities;
mod backup;
mod collection_autograph;
mod collection_autograph_chains;
mod collection_chains;
mod collection_signing;
mod collection_signing_history;
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
mod tuf_adopt;
mod tuf_bounds;
mod tuf_delegations;
mod tuf_faults;
mod tuf_host;
mod tuf_keys;
mod tuf_nodes;
mod tuf_people;
mod tuf_publish;
mod tuf_restart;
mod tuf_sign;
mod tuf_sign_override;
mod tuf_sign_roles;
mod tuf_steps;
