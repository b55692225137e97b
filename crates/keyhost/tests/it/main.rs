//! The key host as a process: what it signs is in the log, whatever happens to it.

mod house;
mod import;
mod log;
mod restart;
mod sandbox;
mod sign;
