//! The real binary, as a user runs it.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod appliance;
mod collection;
mod collection_clients;
mod collection_import;
mod command_line;
mod faults;
mod formats;
mod native;
mod openssl;
mod operations;
mod publication;
mod server;
mod tag;
mod tag_service;
mod tags;
mod token;
mod tuf;
mod tuf_adopt;
mod tuf_clients;
mod tuf_elsewhere;
mod tuf_local;
mod tuf_signers;
