//! Faults on the whole server: processes killed at every place of the signing path, full and failing disks, a
//! database that goes away, a log that was put back. What clients were told stays true through all of them.
#![allow(clippy::print_stdout, reason = "the figures are the result of these tests")]

mod check;
mod clients;
mod database;
mod log_disk;
mod rollback;
mod stranger;
mod torture;
