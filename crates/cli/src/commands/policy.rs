//! `policy`: who may do what.

use std::path::Path;

use countersign_model::strict_json;
use http::{Method, header};
use serde_json::{Value, json};

use crate::api::{BASE, Request};
use crate::args::PolicyCommand;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::files;
use crate::output::{Field, card, table};

const COLUMNS: [Field<'_>; 7] = [
    ("ID", "/id"),
    ("EFFECT", "/effect"),
    ("PRINCIPALS", "/principals"),
    ("ACTIONS", "/actions"),
    ("RESOURCES", "/resources"),
    ("FORMATS", "/formats"),
    ("SCHEMES", "/schemes"),
];

/// Requests that would be decided otherwise, and how.
const CHANGED: [Field<'_>; 9] = [
    ("INDEX", "/index"),
    ("TIME", "/time"),
    ("PRINCIPAL", "/principal"),
    ("ACTION", "/action"),
    ("RESOURCE", "/resource"),
    ("FORMAT", "/format"),
    ("SCHEME", "/scheme"),
    ("ALLOWED THEN", "/allowed"),
    ("REASON", "/reason"),
];

/// Runs a command of `policy`.
pub async fn run(context: &Context, command: PolicyCommand) -> Result<Outcome, Failure> {
    match command {
        PolicyCommand::Show => {
            let answer = context.api().await?.get("/policy").await?;
            context.out.document(&answer.body, show)?;
            Ok(Outcome::Done)
        }
        PolicyCommand::Set { file } => set(context, &file).await,
        PolicyCommand::Check { principal, action, resource, format, scheme } => {
            let mut document = json!({ "principal": principal, "action": action, "resource": resource });
            if let Some(format) = format {
                document["format"] = format.into();
            }
            if let Some(scheme) = scheme {
                document["scheme"] = scheme.as_str().into();
            }
            let answer = context.api().await?.post("/policy/check", &document).await?;
            let decision: Value = answer.json()?;
            let allowed = decision["allowed"].as_bool().unwrap_or(false);
            context.out.document(&answer.body, |decision| {
                let word = if allowed { "allowed" } else { "denied" };
                let reason = decision["reason"].as_str().unwrap_or("no reason given");
                crate::output::safe(&format!("{word}: {reason}"))
            })?;
            Ok(if allowed { Outcome::Done } else { Outcome::No })
        }
        PolicyCommand::Test { file, last } => {
            let rules = read_rules(&file)?.rules;
            let document = json!({ "rules": rules, "last": last });
            let answer = context.api().await?.post("/policy/test", &document).await?;
            context.out.document(&answer.body, |document| {
                let changed = document["changed"].as_array().map_or(&[][..], Vec::as_slice);
                table(changed, &CHANGED, "none of these requests would be decided otherwise")
            })?;
            Ok(Outcome::Done)
        }
    }
}

fn show(policy: &Value) -> String {
    let rules = policy["rules"].as_array().map_or(&[][..], Vec::as_slice);
    let head = card(policy, &[("version", "/version"), ("hash", "/hash")]);
    format!("{head}\n{}", table(rules, &COLUMNS, "no rules: nobody may do anything"))
}

/// Rules from a file, perhaps with the version of the policy that they were edited from.
struct Rules {
    version: Option<u64>,
    rules: Value,
}

fn read_rules(file: &Path) -> Result<Rules, Failure> {
    parse_rules(&files::read_small(file)?).map_err(|why| {
        Failure::unknown(format!("`{}` has no rules: {why}", file.display()))
            .hint("it has the form `{\"rules\":[…]}`, as `countersign policy show --json` prints it")
    })
}

fn parse_rules(text: &[u8]) -> Result<Rules, String> {
    let mut document = strict_json::parse(text).map_err(|error| format!("not JSON: {error}"))?;
    if document.is_array() {
        return Ok(Rules { version: None, rules: document });
    }
    let rules = document.get_mut("rules").map(Value::take).filter(Value::is_array);
    let rules = rules.ok_or("there is no list `rules`")?;
    Ok(Rules { version: document["version"].as_u64(), rules })
}

async fn set(context: &Context, file: &Path) -> Result<Outcome, Failure> {
    let new = read_rules(file)?;
    let api = context.api().await?;
    let current = api.get("/policy").await?;
    let version = current.json::<Value>()?["version"].as_u64();
    if new.version.is_some() && new.version != version {
        return Err(Failure::refused(format!(
            "the file was made from version {} of the policy, and version {} is in force",
            new.version.unwrap_or_default(),
            version.unwrap_or_default()
        ))
        .hint("take `policy show --json` again and repeat your changes"));
    }
    let etag = current.header(&header::ETAG).ok_or_else(|| Failure::unknown("the policy has no ETag"))?;
    let request = Request::new(Method::PUT, &format!("{BASE}/policy"))
        .header(header::IF_MATCH, etag)
        .json(&json!({ "rules": new.rules }))?;
    let answer = api.call(request).await?;
    context.out.document(&answer.body, show)?;
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_from_a_list_or_from_what_show_prints() {
        assert_eq!(parse_rules(b"[]").unwrap().rules, json!([]));
        let shown = parse_rules(br#"{"version":3,"hash":"sha256:x","rules":[{"id":"a"}]}"#).unwrap();
        assert_eq!((shown.version, shown.rules), (Some(3), json!([{"id":"a"}])));
        for bad in [b"".as_slice(), b"{}", b"1", br#"{"rules":1}"#, br#"{"rules":[],"rules":[]}"#] {
            assert!(parse_rules(bad).is_err());
        }
    }
}
