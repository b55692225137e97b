//! The command line: program `countersign`, and `stags` when called by that name.
//!
//! Everything that acts on a server is an HTTP request of the native API or of the tags API, whatever carries
//! it, so that working locally and remotely gives the same output by construction.
//!
//! ```text
//! args.rs         the command line as types
//! commands/       a file for each family: requests in, text or the API's document out
//! tag.rs          the two commands with the grammar of `stags`
//! publication.rs  the publication log as a client sees it
//! seen.rs         what is remembered of servers between runs
//! api.rs          the APIs as a client sees them
//! transport.rs    what carries a request: TLS, the control socket, or this process
//! failure.rs      why it did not work, the hint, the exit code
//! output.rs       the only place that prints
//! ```

mod api;
mod args;
mod commands;
mod context;
mod failure;
mod files;
mod output;
mod publication;
mod secret;
mod seen;
mod tag;
mod transport;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

use crate::args::{Cli, Command, TagCommand, Words};
use crate::context::Context;
use crate::failure::{Failure, OrUnknown as _, Outcome};
use crate::output::Output;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    if let Some(code) = commands::serve::run_as_child(&words) {
        return code;
    }
    if program_name(&words) == "stags" {
        return tag::run("stags", words.get(1..).unwrap_or_default());
    }
    // Two commands of `tag` have the grammar of another program: their words are not for our parser.
    if let Some(words) = tag::words_of_stags(&words) {
        return tag::run("countersign", &words);
    }
    let matches = Cli::command().get_matches_from(&words);
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let output = if cli.global.json { Output::Json } else { Output::Text };
    let context = match Context::new(&cli.global, &matches, output) {
        Ok(context) => context,
        Err(failure) => return output.finish(Err(failure)),
    };
    match cli.command {
        // It starts processes and threads as it needs them.
        Command::Serve(options) => output.finish(commands::serve::run(&context, &options)),
        // With options before `tag`, their words come through our parser after all.
        Command::Tag(TagCommand::Sign(words)) => stags("sign", words, output),
        Command::Tag(TagCommand::Payload(words)) => stags("payload", words, output),
        command => output.finish(run_async(&context, command)),
    }
}

fn stags(command: &str, words: Words, output: Output) -> ExitCode {
    let json = output.is_json().then(|| "--json".into());
    let words: Vec<OsString> = json.into_iter().chain([command.into()]).chain(words.rest).collect();
    tag::run("countersign", &words)
}

fn run_async(context: &Context, command: Command) -> Result<Outcome, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .or_unknown("cannot start the runtime")?;
    let result = runtime.block_on(async {
        let result = commands::run(context, command).await;
        context.close().await;
        result
    });
    // A read of standard input that never ends must not keep the process.
    runtime.shutdown_background();
    result
}

fn program_name(words: &[OsString]) -> &OsStr {
    words.first().and_then(|word| Path::new(word).file_name()).unwrap_or_default()
}
