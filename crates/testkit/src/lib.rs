//! Development only: test server, databases, drivers for outside tools.

pub mod postgres;
pub mod server;
