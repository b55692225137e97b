//! `authority`: who vouches for tags, and with which keys.

mod bundle;
mod export;

use countersign_model::time;
use countersign_records::tag::AuthorityName;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::api::{Answer, Api, Request, escape};
use crate::args::{AuthorityCommand, CreateAuthority, RevokeKey, RotateKey};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::files;
use crate::output::{Field, card, safe, table};

/// Where authorities are in the tags API.
pub const AUTHORITIES: &str = "/authorities";

const COLUMNS: [Field<'_>; 4] =
    [("NAME", "/name"), ("KEYS", "/keys"), ("THRESHOLD", "/threshold"), ("CURRENT KEY", "/current")];

const FIELDS: [Field<'_>; 2] = [("name", "/name"), ("updated", "/updated")];

const KEY_COLUMNS: [Field<'_>; 6] = [
    ("KEY", "/id"),
    ("TYPE", "/algorithm"),
    ("FROM", "/not_before"),
    ("UNTIL", "/not_after"),
    ("DETACHED", "/detached"),
    ("REVOKED", "/revoked/at"),
];

/// Runs a command of `authority`.
pub async fn run(context: &Context, command: AuthorityCommand) -> Result<Outcome, Failure> {
    match command {
        AuthorityCommand::Create(options) => {
            let api = context.api().await?;
            show(context, &post(&api, &format!("{AUTHORITIES}/"), &new_authority(&options)).await?)
        }
        AuthorityCommand::Rotate(options) => {
            change(context, &options.name, "rotate", &rotation(&options)).await
        }
        AuthorityCommand::Register { name, file, detached } => {
            let pem = files::read_small(&file)?;
            let pem = std::str::from_utf8(&pem)
                .map_err(|_| Failure::unknown(format!("`{}` is not PEM: it is not text", file.display())))?;
            // A private key must not leave by a slip.
            if pem.contains("PRIVATE KEY") {
                return Err(Failure::unknown(format!("`{}` has a private key in it", file.display()))
                    .hint("register the public half: `openssl pkey -in FILE -pubout`"));
            }
            let mut document = json!({ "pem": pem });
            if detached {
                document["detached"] = true.into();
            }
            change(context, &name, "keys", &document).await
        }
        AuthorityCommand::Revoke(options) => {
            change(context, &options.name, "revoke", &revocation(&options)).await
        }
        AuthorityCommand::List => list(context).await,
        AuthorityCommand::Show { name, pem } => {
            let pem = pem && !context.out.is_json();
            let extension = if pem { ".pub" } else { "" };
            let request = Request::get(&format!("{}{extension}", path(&name)));
            let answer = context.api().await?.call(request).await?;
            if pem {
                context.out.bytes(&answer.body)?;
                return Ok(Outcome::Done);
            }
            show(context, &answer)
        }
        AuthorityCommand::Export { dir } => export::run(context, &dir).await,
        AuthorityCommand::Bundle(options) => bundle::run(context, &options).await,
    }
}

fn new_authority(options: &CreateAuthority) -> Value {
    let CreateAuthority { name, algorithm, threshold, principals, detached } = options;
    let mut document = json!({ "name": name, "algorithm": algorithm.as_str(), "threshold": threshold });
    if !principals.is_empty() {
        document["principals"] = json!(principals);
    }
    if *detached {
        document["detached"] = true.into();
    }
    document
}

fn rotation(options: &RotateKey) -> Value {
    let mut document = json!({});
    if let Some(algorithm) = options.algorithm {
        document["algorithm"] = algorithm.as_str().into();
    }
    put_time(&mut document, "not_after", options.not_after);
    if options.detached {
        document["detached"] = true.into();
    }
    document
}

fn revocation(options: &RevokeKey) -> Value {
    let mut document = json!({ "key": options.key, "reason": options.reason });
    put_time(&mut document, "from", options.from);
    put_time(&mut document, "until", options.until);
    document
}

fn put_time(document: &mut Value, member: &str, at: Option<Timestamp>) {
    if let Some(at) = at {
        document[member] = time::seconds(at).into();
    }
}

async fn change(
    context: &Context,
    name: &AuthorityName,
    what: &str,
    document: &impl Serialize,
) -> Result<Outcome, Failure> {
    let api = context.api().await?;
    show(context, &post(&api, &format!("{}/{what}", path(name)), document).await?)
}

async fn post(api: &Api, path: &str, document: &impl Serialize) -> Result<Answer, Failure> {
    api.call(Request::post(path).json(document)?).await
}

async fn list(context: &Context) -> Result<Outcome, Failure> {
    let answer = context.api().await?.call(Request::get(&format!("{AUTHORITIES}/"))).await?;
    context.out.document(&answer.body, |document| {
        let authorities = document["authorities"].as_array().map_or(&[][..], Vec::as_slice);
        table(authorities, &COLUMNS, "no authorities yet: `countersign authority create NAME` makes one")
    })?;
    Ok(Outcome::Done)
}

fn show(context: &Context, answer: &Answer) -> Result<Outcome, Failure> {
    context.out.document(&answer.body, |authority| {
        let keys = authority["keys"].as_array().map_or(&[][..], Vec::as_slice);
        let reasons = keys.iter().filter_map(|key| {
            let (id, reason) = (key["id"].as_str()?, key.pointer("/revoked/reason")?.as_str()?);
            Some(safe(&format!("{id} was revoked: {reason}\n")))
        });
        let reasons: String = reasons.collect();
        format!("{}\n{}{reasons}", card(authority, &FIELDS), table(keys, &KEY_COLUMNS, "no keys"))
    })?;
    Ok(Outcome::Done)
}

fn path(name: &AuthorityName) -> String {
    format!("{AUTHORITIES}/{}", escape(name.as_str()))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Command};

    fn command(line: &str) -> AuthorityCommand {
        match Cli::try_parse_from(line.split(' ')).unwrap().command {
            Command::Authority(command) => command,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn requests_have_the_members_that_were_given_and_no_others() {
        let AuthorityCommand::Create(plain) = command("countersign authority create ci") else { panic!() };
        assert_eq!(new_authority(&plain), json!({"name":"ci","algorithm":"ec-p256","threshold":1}));
        let line = "countersign authority create ci --type rsa-2048 --threshold 2 --principal a --principal b --detached";
        let AuthorityCommand::Create(full) = command(line) else { panic!() };
        assert_eq!(
            new_authority(&full),
            json!({"name":"ci","algorithm":"rsa-2048","threshold":2,"principals":["a","b"],"detached":true})
        );
        let line = "countersign authority revoke ci --key k --reason lost --from 2026-01-02T03:04:05+01:00";
        let AuthorityCommand::Revoke(revoke) = command(line) else { panic!() };
        assert_eq!(revocation(&revoke), json!({"key":"k","reason":"lost","from":"2026-01-02T02:04:05Z"}));
        let AuthorityCommand::Rotate(rotate) = command("countersign authority rotate ci") else { panic!() };
        assert_eq!(rotation(&rotate), json!({}));
    }
}
