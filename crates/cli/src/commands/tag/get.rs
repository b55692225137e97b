//! `tag get`: a tag as it is stored, or its text after it was checked.

use std::path::Path;

use countersign_records::tag::TagFile;
use serde_json::{Value, json};

use super::judge::{Judge, Judged};
use super::{path, put_text};
use crate::api::Request;
use crate::args::Get;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::files::{self, Mode};
use crate::output::{Field, table};

const COLUMNS: [Field<'_>; 5] = [
    ("VERSION", "/version"),
    ("AUTHORITIES", "/authorities"),
    ("CREATED", "/created"),
    ("HIDDEN", "/hidden"),
    ("SHA-256", "/payload_sha256"),
];

/// Fetches a tag.
pub async fn run(context: &Context, options: &Get) -> Result<Outcome, Failure> {
    if options.versions {
        return versions(context, &options.name).await;
    }
    if options.authorities.is_empty() {
        return signed_file(context, options).await;
    }
    let api = context.api().await?;
    let judge = Judge::new(context, &api, &options.authorities, &options.log).await?;
    let judged = judge.judge(&options.name, options.version).await?;
    if !judged.is_valid() {
        return Err(judged.failure());
    }
    put(context, options.output.as_deref(), &judged.payload, || document(&judged))
}

async fn versions(context: &Context, name: &str) -> Result<Outcome, Failure> {
    let request = Request::get(&format!("{}?versions=1", path(name)?));
    let answer = context.api().await?.call(request).await?;
    context.out.document(&answer.body, |document| {
        let versions = document["versions"].as_array().map_or(&[][..], Vec::as_slice);
        table(versions, &COLUMNS, "no versions")
    })?;
    Ok(Outcome::Done)
}

/// The signed file, byte by byte as the server has it. It is not checked here.
async fn signed_file(context: &Context, options: &Get) -> Result<Outcome, Failure> {
    let query = options.version.map(|version| format!("?version={version}")).unwrap_or_default();
    let request = Request::get(&format!("{}{query}", path(&options.name)?));
    let answer = context.api().await?.call(request).await?;
    let blocks = TagFile::parse(&answer.body).map_or(0, |file| file.blocks().len());
    let noun = if blocks == 1 { "signature" } else { "signatures" };
    put(context, options.output.as_deref(), &answer.body, || {
        let mut document = json!({ "name": options.name });
        put_text(&mut document, "signed", &answer.body);
        document
    })?;
    context.out.say(&format!("nothing was checked: {blocks} {noun}; `--authority NAME` checks them"));
    Ok(Outcome::Done)
}

/// Writes bytes to the file or to standard output, where a script may want a document instead.
fn put(
    context: &Context,
    output: Option<&Path>,
    bytes: &[u8],
    document: impl FnOnce() -> Value,
) -> Result<Outcome, Failure> {
    if let Some(file) = output {
        files::write(file, bytes, Mode::Public)?;
        context.out.say(&format!("wrote `{}`", file.display()));
    }
    if context.out.is_json() {
        context.out.value(&document(), |_| String::new())?;
    } else if output.is_none() {
        context.out.bytes(bytes)?;
    }
    Ok(Outcome::Done)
}

fn document(judged: &Judged) -> Value {
    let mut document = json!({ "valid": true, "name": judged.name, "version": judged.version,
        "authorities": judged.authorities() });
    put_text(&mut document, "payload", &judged.payload);
    document
}
