//! Signed collections as their clients see them.

mod attachments;
mod batch;
mod bindings;
mod changesets;
mod hazards;
mod http;
mod replay;
mod who;
