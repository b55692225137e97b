//! Guardian and key host without anything else, for this crate's tests. The product has them as hidden
//! subcommands of `countersign`.

use std::ffi::OsString;
use std::process::ExitCode;

use countersign_keyhost::{guardian, host};

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    match words.split_first() {
        Some((command, rest)) if command == guardian::GUARDIAN_COMMAND => guardian::main(rest),
        Some((command, rest)) if command == guardian::HOST_COMMAND => host::main(rest),
        _ => ExitCode::from(2),
    }
}
