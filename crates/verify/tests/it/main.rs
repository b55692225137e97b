//! What the crate promises.

#![allow(clippy::unwrap_used)]

mod authority;
mod bundle;
mod collection;
mod format;
mod log;
mod raw;
mod support;
mod tag;
