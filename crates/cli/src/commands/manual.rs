//! `completions` and `man`: made from the command line's own types.

use std::path::Path;

use clap::CommandFactory as _;

use crate::args::Cli;
use crate::context::Context;
use crate::failure::{Failure, OrUnknown as _, Outcome};

/// Prints the script that completes commands in a shell.
pub fn completions(context: &Context, shell: clap_complete::Shell) -> Result<Outcome, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "countersign", &mut script);
    context.out.bytes(&script)?;
    Ok(Outcome::Done)
}

/// Prints the main page, or writes the pages of all commands into `directory`.
pub fn man(context: &Context, directory: Option<&Path>) -> Result<Outcome, Failure> {
    let Some(directory) = directory else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page).or_unknown("cannot write the page")?;
        context.out.bytes(&page)?;
        return Ok(Outcome::Done);
    };
    std::fs::create_dir_all(directory).map_err(|error| Failure::file("make", directory, &error))?;
    clap_mangen::generate_to(Cli::command(), directory)
        .map_err(|error| Failure::file("write into", directory, &error))?;
    context.out.say(&format!("wrote the pages into `{}`", directory.display()));
    Ok(Outcome::Done)
}
