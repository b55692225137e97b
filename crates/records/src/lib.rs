//! Signed records. Pure: no file, socket, clock, randomness or logger.
//!
//! - [`tag`]: a text file that carries the signatures of several authorities below its own lines.
//! - [`authorities`]: who may sign tags with which keys over time, one by one and as a signed bundle.
//! - [`collections`]: records under review, published with content signatures, as Kinto and Remote Settings have
//!   them.

pub mod authorities;
pub mod collections;
pub mod tag;
