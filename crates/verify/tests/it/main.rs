//! What the crate promises.

#![allow(clippy::unwrap_used)]

mod log;
mod raw;
mod support;
mod tag;
