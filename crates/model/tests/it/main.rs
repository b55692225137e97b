//! That the crate agrees with the programs of others.

#![allow(clippy::unwrap_used)]

mod canonical;
