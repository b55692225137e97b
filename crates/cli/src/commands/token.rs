//! `token`: give out, list, revoke; tokens, and Hawk pairs.

use std::path::{Path, PathBuf};

use countersign_model::time;
use http::Method;
use serde_json::{Value, json};

use crate::api::{Answer, BASE, Request, escape};
use crate::args::{Expiry, TokenCommand};
use crate::context::Context;
use crate::failure::{Failure, OrUnknown as _, Outcome};
use crate::files::{self, Mode};
use crate::output::{Field, card, table};

const COLUMNS: [Field<'_>; 7] = [
    ("ID", "/id"),
    ("KIND", "/kind"),
    ("LABEL", "/label"),
    ("CREATED", "/created"),
    ("EXPIRES", "/expires"),
    ("LAST USED", "/last_used"),
    ("REVOKED", "/revoked"),
];

const HAWK_PAIR: [Field<'_>; 2] = [("id", "/id"), ("secret", "/secret")];

/// Runs a command of `token`.
pub async fn run(context: &Context, command: TokenCommand) -> Result<Outcome, Failure> {
    match command {
        TokenCommand::Create { principal, label, expires, actions, resources, hawk, output } => {
            let mut document = json!({});
            if let Some(label) = label {
                document["label"] = label.into();
            }
            if let Some(expires) = expires {
                document["expires"] = expires_at(expires, jiff::Timestamp::now())?;
            }
            if !actions.is_empty() {
                document["actions"] = actions.into();
            }
            if !resources.is_empty() {
                document["resources"] = resources.into();
            }
            let kind = if hawk { "hawk" } else { "tokens" };
            let path = format!("/principals/{}/{kind}", escape(principal.as_str()));
            let answer = context.api().await?.post(&path, &document).await?;
            if hawk { show_hawk(context, &answer, output) } else { show_token(context, &answer, output) }
        }
        TokenCommand::List { principal } => {
            let path = format!("/principals/{}/tokens", escape(principal.as_str()));
            let body = context.api().await?.list(&path, "tokens").await?;
            context.out.document(&body, |document| {
                let tokens = document["tokens"].as_array().map_or(&[][..], Vec::as_slice);
                table(tokens, &COLUMNS, "no tokens")
            })?;
            Ok(Outcome::Done)
        }
        TokenCommand::Revoke { id } => {
            let path = format!("{BASE}/tokens/{}", escape(&id));
            let answer = context.api().await?.call(Request::new(Method::DELETE, &path)).await?;
            if context.out.is_json() && answer.body.is_empty() {
                // The API answers with nothing (204); a script still gets a document.
                context.out.value(&json!({ "id": id, "revoked": true }), |_| String::new())?;
            }
            context.out.say(&format!("`{id}` is refused from now on"));
            Ok(Outcome::Done)
        }
    }
}

/// Shows or keeps the token that was made.
fn show_token(context: &Context, answer: &Answer, output: Option<PathBuf>) -> Result<Outcome, Failure> {
    let made: Value = answer.json()?;
    let token = made["token"].as_str().ok_or_else(|| Failure::unknown("the server's answer has no token"))?;
    match output {
        Some(file) => keep(context, &file, token, &made)?,
        None => context.out.document(&answer.body, |_| token.to_owned())?,
    }
    say_end(context, &made);
    Ok(Outcome::Done)
}

/// Shows the Hawk pair that was made, or keeps its secret and shows its id.
fn show_hawk(context: &Context, answer: &Answer, output: Option<PathBuf>) -> Result<Outcome, Failure> {
    let made: Value = answer.json()?;
    let part = |name: &str| {
        let missing = || Failure::unknown(format!("the server's answer has no `{name}`"));
        made[name].as_str().ok_or_else(missing)
    };
    let (id, secret) = (part("id")?, part("secret")?);
    match output {
        Some(file) => {
            keep(context, &file, secret, &made)?;
            context.out.value(&json!({ "id": id, "expires": made["expires"] }), |_| id.to_owned())?;
        }
        None => context.out.document(&answer.body, |pair| card(pair, &HAWK_PAIR))?,
    }
    say_end(context, &made);
    Ok(Outcome::Done)
}

/// Writes a secret into a file of its own.
fn keep(context: &Context, file: &Path, secret: &str, made: &Value) -> Result<(), Failure> {
    if let Err(failure) = files::write_new(file, format!("{secret}\n").as_bytes(), Mode::Private) {
        let id = made["id"].as_str().unwrap_or_default();
        let hint = format!("nobody has the secret now: `countersign token revoke {id}`, and try again");
        return Err(failure.hint(hint));
    }
    context.out.say(&format!("wrote the secret to `{}`", file.display()));
    Ok(())
}

fn say_end(context: &Context, made: &Value) {
    match made["expires"].as_str() {
        Some(expires) => context.out.say(&format!("it ends at {expires}, and is shown this once only")),
        None => context.out.say("it never ends, and is shown this once only"),
    }
}

/// The time as the API takes it; null for never.
fn expires_at(expiry: Expiry, now: jiff::Timestamp) -> Result<Value, Failure> {
    let at = match expiry {
        Expiry::Never => return Ok(Value::Null),
        Expiry::At(at) => at,
        Expiry::In(seconds) => {
            now.checked_add(jiff::SignedDuration::from_secs(seconds)).or_unknown("there is no such time")?
        }
    };
    if at <= now {
        return Err(Failure::unknown(format!("`--expires {}` is in the past", time::seconds(at))));
    }
    Ok(time::seconds(at).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_from_now_and_the_past_is_refused() {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(expires_at(Expiry::Never, now).unwrap(), Value::Null);
        assert_eq!(expires_at(Expiry::In(86_400), now).unwrap(), "2026-01-02T00:00:00Z");
        assert!(expires_at(Expiry::At("2025-12-31T00:00:00Z".parse().unwrap()), now).is_err());
    }
}
