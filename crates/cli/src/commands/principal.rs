//! `principal`: those who may ask.

use serde_json::json;

use crate::api::{Answer, escape};
use crate::args::PrincipalCommand;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::output::{Field, card, table};

const FIELDS: [Field<'_>; 4] =
    [("name", "/name"), ("roles", "/roles"), ("created", "/created"), ("disabled", "/disabled")];

const COLUMNS: [Field<'_>; 4] =
    [("NAME", "/name"), ("ROLES", "/roles"), ("CREATED", "/created"), ("DISABLED", "/disabled")];

/// Runs a command of `principal`.
pub async fn run(context: &Context, command: PrincipalCommand) -> Result<Outcome, Failure> {
    let api = context.api().await?;
    let answer = match command {
        PrincipalCommand::Create { name, roles } => {
            api.post("/principals", &json!({ "name": name, "roles": roles })).await?
        }
        PrincipalCommand::List => {
            let body = api.list("/principals", "principals").await?;
            context.out.document(&body, |document| {
                let principals = document["principals"].as_array().map_or(&[][..], Vec::as_slice);
                table(principals, &COLUMNS, "no principals")
            })?;
            return Ok(Outcome::Done);
        }
        PrincipalCommand::Show { name } => api.get(&format!("/principals/{}", escape(name.as_str()))).await?,
        PrincipalCommand::Disable { name } => {
            api.post(&format!("/principals/{}/disable", escape(name.as_str())), &json!({})).await?
        }
    };
    show(context, &answer)
}

fn show(context: &Context, answer: &Answer) -> Result<Outcome, Failure> {
    if answer.body.is_empty() {
        context.out.say("done");
    } else {
        context.out.document(&answer.body, |principal| card(principal, &FIELDS))?;
    }
    Ok(Outcome::Done)
}
