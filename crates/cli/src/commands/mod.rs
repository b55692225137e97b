//! A file for each family of commands: requests in, text or the API's document out.

pub mod authority;
pub mod backup;
pub mod cert;
pub mod collection;
pub mod demo;
pub mod doctor;
pub mod key;
pub mod log;
pub mod manual;
pub mod policy;
pub mod principal;
pub mod seal;
pub mod secureboot;
pub mod serve;
pub mod sign;
pub mod tag;
pub mod token;
pub mod tuf;
pub mod verify;

use crate::args::Command;
use crate::context::Context;
use crate::failure::{Failure, Outcome};

/// Runs a command.
///
/// # Errors
/// Why it was not done.
pub async fn run(context: &Context, command: Command) -> Result<Outcome, Failure> {
    match command {
        Command::Demo(options) => demo::run(context, &options).await,
        Command::Doctor => doctor::run(context).await,
        Command::Key(command) => key::run(context, command).await,
        Command::Principal(command) => principal::run(context, command).await,
        Command::Token(command) => token::run(context, command).await,
        Command::Policy(command) => policy::run(context, command).await,
        Command::Sign(options) => sign::run(context, &options).await,
        Command::Verify(options) => verify::run(context, &options).await,
        Command::Cert(command) => cert::run(context, command).await,
        Command::SecureBoot(command) => secureboot::run(context, command).await,
        Command::Tag(command) => tag::run(context, command).await,
        Command::Authority(command) => authority::run(context, command).await,
        Command::Collection(command) => collection::run(context, command).await,
        Command::Tuf(command) => tuf::run(context, command).await,
        Command::Log(command) => log::run(context, command).await,
        Command::Backup(command) => backup::run(context, command).await,
        Command::Seal(command) => seal::run(context, command).await,
        Command::Completions { shell } => manual::completions(context, shell),
        Command::Man { dir } => manual::man(context, dir.as_deref()),
        // Dispatched before the runtime starts.
        Command::Serve(_) => Ok(Outcome::Done),
    }
}
