//! `seal`: the key that seals all other keys.

use std::time::Duration;

use countersign_server::config::{Config, SealSource};
use serde::Serialize;
use serde_json::{Value, json};

use crate::api::{Api, Request};
use crate::args::{Passphrase, SealCommand};
use crate::commands::serve;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::secret::{self, Prompt};

/// Runs a command of `seal`.
pub async fn run(context: &Context, command: SealCommand) -> Result<Outcome, Failure> {
    match command {
        SealCommand::Rotate(options) => rotate(context, &options).await,
        SealCommand::Unlock(options) => unlock(context, &options).await,
    }
}

async fn rotate(context: &Context, options: &Passphrase) -> Result<Outcome, Failure> {
    let data = context.local_data()?.display();
    if context.beside().await?.is_some() {
        return Err(Failure::unknown(format!("a server runs on `{data}`"))
            .hint("stop it first, and all other nodes on its database: their key hosts hold the old key"));
    }
    let deployment = context.deployment(options).await?;
    countersign_core::seal::rotate(&deployment).await.map_err(|error| {
        let failure = Failure::unknown(format!("the seal key was not changed: {error}"));
        failure.hint(error.hint().unwrap_or_else(|| "the old key stays in force".into()))
    })?;
    let seal = deployment.welcome().map(|welcome| welcome.seal);
    let document = json!({ "rotated": true, "seal": seal });
    context.out.value(&document, |_| "rotated: all keys are under a new seal key".into())?;
    let config = Config::load(context.data(), None).map_err(|error| serve::failure(&error.into()))?;
    if config.seal.source == SealSource::File && config.storage.database != "sqlite" {
        context.out.say("copy `host/seal.key` to every other node on this database before it is started");
    }
    Ok(Outcome::Done)
}

async fn unlock(context: &Context, options: &Passphrase) -> Result<Outcome, Failure> {
    #[derive(Serialize)]
    struct Unlock<'a> {
        passphrase: &'a str,
    }

    // Over the control socket only: a passphrase of this weight does not go through the network.
    let data = context.local_data()?.display();
    let api = context.beside().await?.ok_or_else(|| {
        Failure::unknown(format!("no server runs on `{data}`"))
            .hint("`countersign serve` asks for the passphrase when it is started on a terminal")
    })?;
    let passphrase = secret::passphrase(options, "the seal key", Prompt::Existing)?;
    wait_for_key_host(&api).await?;
    api.post("/seal/unlock", &Unlock { passphrase: &passphrase }).await?;
    let reasons = wait_until_ready(&api).await?;
    let document = json!({ "unlocked": true, "ready": reasons.is_empty(), "reasons": reasons });
    context.out.value(&document, |_| "unlocked".into())?;
    if !reasons.is_empty() {
        context.out.say(&format!("warning: not ready yet: {}", reasons.join("; ")));
    }
    Ok(Outcome::Done)
}

/// A key host that died is away for a moment before it asks for the passphrase.
async fn wait_for_key_host(api: &Api) -> Result<(), Failure> {
    for _ in 0..PATIENCE {
        let seal: Value = api.get("/seal").await?.json()?;
        if seal["state"] != "down" {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    // If it is still away, the server has better words for it.
    Ok(())
}

/// What a server does after it was unlocked takes a second; more on a first start.
const PATIENCE: u32 = 50;
const PAUSE: Duration = Duration::from_millis(200);

/// Why the server is not ready after a while; empty if it is.
async fn wait_until_ready(api: &Api) -> Result<Vec<String>, Failure> {
    let mut tries = 0;
    loop {
        let answer = api.send(Request::get("/readyz")).await?;
        if answer.status.is_success() {
            return Ok(Vec::new());
        }
        tries += 1;
        if tries == PATIENCE {
            let document: Value = answer.json().unwrap_or_default();
            let reasons = document["reasons"].as_array().into_iter().flatten();
            return Ok(reasons.filter_map(Value::as_str).map(str::to_owned).collect());
        }
        tokio::time::sleep(PAUSE).await;
    }
}
