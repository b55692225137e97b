//! Signed records. Pure: no file, socket, clock, randomness or logger.
//!
//! - [`tag`]: a text file that carries the signatures of several authorities below its own lines.

pub mod tag;
