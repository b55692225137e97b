//! What the crate promises, and that it agrees with an independent implementation.

#![allow(clippy::unwrap_used)]

mod checkpoint;
mod log_proof;
mod note;
mod proof;
mod support;
mod tile;
mod tree;
