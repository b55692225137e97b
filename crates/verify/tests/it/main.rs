//! What the crate promises.

#![allow(clippy::unwrap_used)]

mod authority;
mod bundle;
mod format;
mod log;
mod raw;
mod support;
mod tag;
