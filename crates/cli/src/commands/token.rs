//! `token`: give out, list, revoke.

use countersign_model::time;
use http::Method;
use serde_json::{Value, json};

use crate::api::{BASE, Request, escape};
use crate::args::{Expiry, TokenCommand};
use crate::context::Context;
use crate::failure::{Failure, OrUnknown as _, Outcome};
use crate::files::{self, Mode};
use crate::output::{Field, table};

const COLUMNS: [Field<'_>; 6] = [
    ("ID", "/id"),
    ("LABEL", "/label"),
    ("CREATED", "/created"),
    ("EXPIRES", "/expires"),
    ("LAST USED", "/last_used"),
    ("REVOKED", "/revoked"),
];

/// Runs a command of `token`.
pub async fn run(context: &Context, command: TokenCommand) -> Result<Outcome, Failure> {
    match command {
        TokenCommand::Create { principal, label, expires, actions, resources, output } => {
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
            create(context, principal.as_str(), &document, output.as_deref()).await
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
            context.out.say(&format!("token `{id}` is refused from now on"));
            Ok(Outcome::Done)
        }
    }
}

async fn create(
    context: &Context,
    principal: &str,
    document: &Value,
    output: Option<&std::path::Path>,
) -> Result<Outcome, Failure> {
    let path = format!("/principals/{}/tokens", escape(principal));
    let answer = context.api().await?.post(&path, document).await?;
    let made: Value = answer.json()?;
    let token = made["token"].as_str().ok_or_else(|| Failure::unknown("the server's answer has no token"))?;
    match output {
        Some(file) => {
            if let Err(failure) = files::write_new(file, format!("{token}\n").as_bytes(), Mode::Private) {
                let id = made["id"].as_str().unwrap_or_default();
                let hint =
                    format!("nobody has the token now: `countersign token revoke {id}`, and try again");
                return Err(failure.hint(hint));
            }
            context.out.say(&format!("wrote the token to `{}`", file.display()));
        }
        None => context.out.document(&answer.body, |_| token.to_owned())?,
    }
    match made["expires"].as_str() {
        Some(expires) => context.out.say(&format!("it ends at {expires}, and is shown this once only")),
        None => context.out.say("it never ends, and is shown this once only"),
    }
    Ok(Outcome::Done)
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
