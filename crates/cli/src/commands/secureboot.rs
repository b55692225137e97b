//! `secureboot`: new keys for machines that have old ones.
//!
//! ```text
//! holder.rs     a certificate, and where its key is
//! present.rs    what a machine holds
//! plan.rs       which updates, in which order, and what is not safe
//! appliance.rs  the signing appliance as a client sees it
//! signing.rs    the updates, signed and judged
//! readme.rs     what to do with them
//! ```

mod appliance;
mod holder;
mod plan;
mod present;
mod readme;
mod signing;

use std::io::ErrorKind;
use std::path::Path;

use countersign_pki::efi_var::AuthenticatedVariable;
use countersign_pki::x509::Certificate;
use jiff::Timestamp;
use serde_json::json;

use self::holder::Holder;
use self::plan::{Step, Wish};
use self::present::Present;
use crate::api::Api;
use crate::args::{Rotate, SecureBootCommand};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::files::{self, Mode};
use crate::output::table;

/// Runs a command of `secureboot`.
///
/// # Errors
/// Why it was not done.
pub async fn run(context: &Context, command: SecureBootCommand) -> Result<Outcome, Failure> {
    match command {
        SecureBootCommand::Rotate(options) => rotate(context, &options).await,
    }
}

/// Everything is signed and judged before anything is written.
async fn rotate(context: &Context, options: &Rotate) -> Result<Outcome, Failure> {
    check_is_free(&options.out)?;
    let api = context.api().await?;
    let wish = read(&api, options).await?;
    let present = match &options.present {
        Some(directory) => Present::of_machine(directory)?,
        None => Present::of_appliance(&api, &wish.pk, &wish.kek, &wish.db).await?,
    };
    let steps = plan::plan(&wish, &present, Timestamp::now())
        .map_err(|error| Failure::refused(error.to_string()).hint(error.hint()))?;
    let names: Vec<String> = (1..).zip(&steps).map(|(number, step)| name(number, step)).collect();
    if !present.of_machine {
        context.out.say("warning: no machine was looked at: what others put into KEK or db is not kept");
    }
    if options.dry_run {
        return show(context, &steps, &names, None);
    }
    let updates = signing::sign_all(&api, &steps, &present).await?;
    write(&options.out, &names, &updates, &readme::text(&steps, &names, present.of_machine))?;
    show(context, &steps, &names, Some(&updates))?;
    context.out.say(&format!("wrote {} updates and README.txt to `{}`", names.len(), options.out.display()));
    Ok(Outcome::Done)
}

async fn read(api: &Api, options: &Rotate) -> Result<Wish, Failure> {
    Ok(Wish {
        pk: Holder::find(api, &options.pk).await?,
        new_pk: Holder::find_all(api, &options.new_pk).await?.pop(),
        kek: Holder::find_all(api, &options.kek).await?,
        new_kek: Holder::find_all(api, &options.new_kek).await?.pop(),
        db: Holder::find_all(api, &options.db).await?,
        new_db: Holder::find_all(api, &options.new_db).await?.pop(),
        append: options.append,
        owner: options.owner,
    })
}

/// `01-KEK.auth`
fn name(number: usize, step: &Step) -> String {
    format!("{number:02}-{}.auth", step.variable)
}

/// Updates of two rotations in one directory would be taken in the wrong order.
fn check_is_free(directory: &Path) -> Result<(), Failure> {
    let mut entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Failure::file("read", directory, &error)),
    };
    if entries.next().is_none() {
        return Ok(());
    }
    Err(Failure::unknown(format!("`{}` is not empty", directory.display()))
        .hint("choose a directory that is not there yet"))
}

fn write(directory: &Path, names: &[String], updates: &[Vec<u8>], readme: &str) -> Result<(), Failure> {
    std::fs::create_dir_all(directory).map_err(|error| Failure::file("make", directory, &error))?;
    for (name, update) in names.iter().zip(updates) {
        files::write_new(&directory.join(name), update, Mode::Public)?;
    }
    files::write_new(&directory.join("README.txt"), readme.as_bytes(), Mode::Public)
}

/// The steps as a table; with `--json` the times of the updates too, once they are signed.
fn show(
    context: &Context,
    steps: &[Step],
    names: &[String],
    updates: Option<&[Vec<u8>]>,
) -> Result<Outcome, Failure> {
    let rows = steps.iter().zip(names).enumerate().map(|(at, (step, name))| {
        let holds: Vec<String> = step.lists.certificates().map(subject).collect();
        let mut row = json!({
            "file": name, "variable": step.variable.name(), "write": if step.append { "append" } else { "replace" },
            "signed_by": step.signer.document(), "holds": holds,
        });
        let update = updates.and_then(|updates| updates.get(at));
        if let Some(Ok(update)) = update.map(|update| AuthenticatedVariable::parse(update))
            && !step.append
        {
            row["time"] = update.time.to_string().into();
        }
        row
    });
    let document = json!({ "signed": updates.is_some(), "steps": rows.collect::<Vec<_>>() });
    context.out.value(&document, |document| {
        let columns =
            [("FILE", "/file"), ("WRITE", "/write"), ("SIGNED BY", "/signed_by/name"), ("HOLDS", "/holds")];
        let rows = document["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
        table(rows, &columns, "there is nothing to do")
    })?;
    Ok(Outcome::Done)
}

fn subject(der: &[u8]) -> String {
    Certificate::from_der(der)
        .map_or_else(|_| "?".to_owned(), |certificate| certificate.subject().to_string())
}
