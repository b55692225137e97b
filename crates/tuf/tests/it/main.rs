//! What the crate promises, and that it agrees with RSTUF and with python-tuf.

#![allow(clippy::unwrap_used)]

mod artifact;
mod bins;
mod canonical;
mod client;
mod delegation;
mod edit;
mod golden;
mod keys;
mod metadata;
mod patterns;
mod proof;
mod publication;
mod python;
mod repo;
mod root;
mod support;
mod text;
