//! What holds for the workspace as a whole, read from `cargo metadata`, `cargo tree` and the sources.

#![allow(clippy::unwrap_used, reason = "a test that cannot read the workspace has failed")]

mod architecture;
mod dependencies;
mod licence;
mod sources;
mod workspace;
