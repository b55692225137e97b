//! Use-cases over a real key host and SQLite in a temporary directory.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod authorities;
mod backup;
mod keys;
mod log;
mod nodes;
mod people;
mod policy;
mod publication;
mod signing;
mod startup;
mod support;
mod tags;
