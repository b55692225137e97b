//! The key host as a process: what it signs is in the log, whatever happens to it.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test stops at the first surprise")]

mod archive;
mod house;
mod import;
mod log;
mod mac;
mod restart;
mod sandbox;
mod sign;
