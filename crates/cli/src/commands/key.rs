//! `key`: make, list, show, import, export, retire, revoke.

use countersign_model::Name;
use serde::Serialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::api::{Answer, escape};
use crate::args::{KeyCommand, KeyOptions, Passphrase};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::files::{self, Mode};
use crate::output::{Field, card, table};
use crate::secret::{self, Prompt};

const COLUMNS: [Field<'_>; 6] = [
    ("NAME", "/name"),
    ("TYPE", "/type"),
    ("STATE", "/state"),
    ("EXPORTABLE", "/exportable"),
    ("FORMATS", "/formats"),
    ("CREATED", "/created"),
];

const FIELDS: [Field<'_>; 11] = [
    ("name", "/name"),
    ("id", "/id"),
    ("type", "/type"),
    ("schemes", "/schemes"),
    ("state", "/state"),
    ("revoked", "/revoked/at"),
    ("reason", "/revoked/reason"),
    ("exportable", "/exportable"),
    ("formats", "/formats"),
    ("backend", "/backend"),
    ("created", "/created"),
];

/// Runs a command of `key`.
pub async fn run(context: &Context, command: KeyCommand) -> Result<Outcome, Failure> {
    match command {
        KeyCommand::Create { name, key_type, options } => {
            let mut document = json!({ "name": name, "type": key_type });
            add_options(&mut document, &options);
            let answer = context.api().await?.post("/keys", &document).await?;
            show(context, &answer)
        }
        KeyCommand::List => {
            let body = context.api().await?.list("/keys", "keys").await?;
            context.out.document(&body, |document| {
                let keys = document["keys"].as_array().map_or(&[][..], Vec::as_slice);
                table(keys, &COLUMNS, "no keys yet: `countersign key create NAME --type p384` makes one")
            })?;
            Ok(Outcome::Done)
        }
        KeyCommand::Show { name, pem } => {
            let path = format!("/keys/{}", escape(name.as_str()));
            if pem && !context.out.is_json() {
                let answer = context.api().await?.get(&format!("{path}.pem")).await?;
                context.out.bytes(&answer.body)?;
                return Ok(Outcome::Done);
            }
            show(context, &context.api().await?.get(&path).await?)
        }
        KeyCommand::Import { file, name, passphrase, options } => {
            import(context, &file, &name, &passphrase, &options).await
        }
        KeyCommand::Export { name, output, passphrase } => export(context, &name, &output, &passphrase).await,
        KeyCommand::Retire { name } => {
            let path = format!("/keys/{}/retire", escape(name.as_str()));
            show(context, &context.api().await?.post(&path, &json!({})).await?)
        }
        KeyCommand::Revoke { name, reason } => {
            let path = format!("/keys/{}/revoke", escape(name.as_str()));
            show(context, &context.api().await?.post(&path, &json!({ "reason": reason })).await?)
        }
    }
}

fn add_options(document: &mut Value, options: &KeyOptions) {
    if options.exportable {
        document["exportable"] = true.into();
    }
    if !options.formats.is_empty() {
        document["formats"] = options.formats.clone().into();
    }
}

fn show(context: &Context, answer: &Answer) -> Result<Outcome, Failure> {
    context.out.document(&answer.body, |key| {
        let pem = key["public_key"].as_str().unwrap_or_default();
        format!("{}\n{pem}", card(key, &FIELDS))
    })?;
    Ok(Outcome::Done)
}

/// What is sent to import a key. Holds secrets: serialised once, into a buffer that is wiped.
#[derive(Serialize)]
struct Import<'a> {
    name: &'a Name,
    pem: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    passphrase: Option<&'a str>,
    exportable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    formats: Option<&'a [String]>,
}

async fn import(
    context: &Context,
    file: &std::path::Path,
    name: &Name,
    passphrase: &Passphrase,
    options: &KeyOptions,
) -> Result<Outcome, Failure> {
    let pem = secret::read_pem(file)?;
    // Traditional PEM encryption (`DEK-Info`) is told apart by the server, with the reason.
    let encrypted = pem.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----");
    let given = encrypted || passphrase.passphrase_file.is_some();
    let passphrase: Option<Zeroizing<String>> =
        given.then(|| secret::passphrase(passphrase, "the private key", Prompt::Existing)).transpose()?;
    let document = Import {
        name,
        pem: &pem,
        passphrase: passphrase.as_ref().map(|passphrase| passphrase.as_str()),
        exportable: options.exportable,
        formats: Some(options.formats.as_slice()).filter(|formats| !formats.is_empty()),
    };
    let answer = context.api().await?.post("/keys/import", &document).await?;
    context.out.say("the file that you imported from still holds the key: keep it offline, or destroy it");
    show(context, &answer)
}

async fn export(
    context: &Context,
    name: &Name,
    output: &std::path::Path,
    passphrase: &Passphrase,
) -> Result<Outcome, Failure> {
    #[derive(Serialize)]
    struct Export<'a> {
        passphrase: &'a str,
    }

    let passphrase = secret::passphrase(passphrase, "the exported key", Prompt::New)?;
    let path = format!("/keys/{}/export", escape(name.as_str()));
    let answer = context.api().await?.post(&path, &Export { passphrase: &passphrase }).await?;
    let document: Value = answer.json()?;
    let pem = document["pem"].as_str().ok_or_else(|| Failure::unknown("the server's answer has no key"))?;
    if files::is_dash(output) {
        context.out.document(&answer.body, |_| pem.to_owned())?;
        return Ok(Outcome::Done);
    }
    files::write_new(output, pem.as_bytes(), Mode::Private)?;
    context.out.say(&format!("wrote `{}`, encrypted with the passphrase", output.display()));
    if context.out.is_json() {
        context.out.document(&answer.body, |_| String::new())?;
    }
    Ok(Outcome::Done)
}
