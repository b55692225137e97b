//! `serve`: the server, and the processes that it starts from the same binary.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::process::ExitCode;

use countersign_core::Secret;
use countersign_keyhost::{guardian, host};
use countersign_server::config::{Config, SealSource};
use countersign_server::{ServeError, ServeOptions};
use tracing_subscriber::EnvFilter;

use crate::args::{Passphrase, Serve};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::secret::{self, Prompt};

/// Runs as one of the server's own processes (guardian, key host) if the command line says so. These are
/// started by the server and by nobody else, so they are not in the help.
pub fn run_as_child(words: &[OsString]) -> Option<ExitCode> {
    let (command, rest) = words.get(1..)?.split_first()?;
    if command == guardian::GUARDIAN_COMMAND {
        Some(guardian::main(rest))
    } else if command == guardian::HOST_COMMAND {
        Some(host::main(rest))
    } else {
        None
    }
}

/// Runs the server until it is told to stop.
pub fn run(context: &Context, options: &Serve) -> Result<Outcome, Failure> {
    let data = context.local_data()?;
    start_log();
    let listen = options.listen.as_deref().map(str::parse).transpose().map_err(|_| {
        let given = options.listen.as_deref().unwrap_or_default();
        Failure::unknown(format!("`--listen {given}` is not an address"))
            .hint("it has the form 127.0.0.1:8080 or [::1]:8080; port 0 takes any free one")
    })?;
    let mut serve = ServeOptions::new(data);
    serve.listen = listen;
    serve.config = options.config.clone();
    serve.passphrase = passphrase_at_start(data, options.config.as_deref())?;
    countersign_server::run(serve).map_err(|error| failure(&error))?;
    Ok(Outcome::Done)
}

/// The server's own log goes to standard error: text for a person, JSON lines for a collector.
/// `COUNTERSIGN_LOG` says how much, as in `info,countersign::access=warn`.
fn start_log() {
    let filter = EnvFilter::try_from_env("COUNTERSIGN_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    if io::stderr().is_terminal() {
        builder.with_ansi(false).init();
    } else {
        builder.json().flatten_event(true).init();
    }
}

/// The passphrase of the seal key, if it is typed and somebody is there to type it. A server that was
/// started by another program waits for `countersign seal unlock` instead.
fn passphrase_at_start(data: &Path, config: Option<&Path>) -> Result<Option<Secret>, Failure> {
    if io::stdin().is_terminal() || !is_typed(data, config)? {
        return typed_passphrase(data, config, &Passphrase { passphrase_file: None });
    }
    tracing::warn!("the seal key's passphrase is to be typed: waiting for `countersign seal unlock`");
    Ok(None)
}

fn is_typed(data: &Path, config: Option<&Path>) -> Result<bool, Failure> {
    let config = Config::load(data, config).map_err(|error| failure(&error.into()))?;
    Ok(config.seal.source == SealSource::Prompt)
}

/// The passphrase of the seal key where the configuration says that it is typed, from the file that is
/// named or from a prompt.
pub fn typed_passphrase(
    data: &Path,
    config: Option<&Path>,
    typed: &Passphrase,
) -> Result<Option<Secret>, Failure> {
    if !is_typed(data, config)? {
        return Ok(None);
    }
    let prompt = if data.join("host").exists() { Prompt::Existing } else { Prompt::New };
    let passphrase = secret::passphrase(typed, "the seal key", prompt)?;
    Ok(Some(Secret(passphrase.as_bytes().to_vec())))
}

/// Why the server did not start, for the person.
pub fn failure(error: &ServeError) -> Failure {
    let failure = Failure::unknown(error.to_string());
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
