//! What the crate promises, and that it agrees with the older program and with OpenSSL.

#![allow(clippy::unwrap_used)]

mod authorities;
mod collections;
mod golden;
mod hazards;
mod head;
mod openssl;
mod properties;
mod support;
