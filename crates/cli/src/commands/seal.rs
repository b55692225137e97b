//! `seal`: the key that seals all other keys.

use std::time::Duration;

use countersign_core::auth::{Presented, authenticate};
use countersign_core::seal::{self as core, NewSeal};
use countersign_core::{Caller, Secret};
use countersign_model::Surface;
use countersign_server::config::{Config, SealSource};
use serde::Serialize;
use serde_json::{Value, json};

use crate::api::{Api, Request};
use crate::args::{Passphrase, RotateSeal, SealCommand, SealSourceArg};
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

async fn rotate(context: &Context, options: &RotateSeal) -> Result<Outcome, Failure> {
    let data = context.local_data()?.display();
    if context.beside().await?.is_some() {
        return Err(Failure::unknown(format!("a server runs on `{data}`"))
            .hint("stop it first, and all other nodes on its database: their key hosts hold the old key"));
    }
    let config = Config::load(context.data(), None).map_err(|error| serve::failure(&error.into()))?;
    let before = config.seal.source;
    let (to, after) = new_seal(options, before)?;
    let to_do = before_the_next_start(before, after, matches!(to, NewSeal::Passphrase(_)));

    let deployment = context.deployment(&options.passphrase).await?;
    let owner = authenticate(&deployment, Presented::Control)
        .map_err(|error| Failure::unknown(format!("nobody owns the directory: {error}")))?;
    let caller = Caller::new(owner, Surface::Native, deployment.request_id());
    let rotated = core::rotate(&deployment, &caller, to).await.map_err(|error| {
        let failure = Failure::unknown(format!("the seal key was not changed: {error}"));
        failure.hint(error.hint().unwrap_or_else(|| "the old key stays in force".into()))
    })?;

    let log = json!({ "origin": rotated.log.origin, "index": rotated.log.index });
    let document = json!({ "rotated": true, "source": word(after), "log": log });
    context.out.value(&document, |_| "rotated: all keys are under a new seal key".into())?;
    if let Some(why) = rotated.unfinished {
        context.out.say(&format!("warning: {why}: the next start completes it"));
    }
    if let Some(to_do) = to_do {
        context.out.say(&to_do);
    }
    if after == SealSource::File && config.storage.database != "sqlite" {
        context.out.say("copy `host/seal.key` to every other node on this database before it is started");
    }
    Ok(Outcome::Done)
}

/// What the seal shall be, and where it comes from then.
fn new_seal(options: &RotateSeal, before: SealSource) -> Result<(NewSeal, SealSource), Failure> {
    let after = match options.source {
        None => before,
        Some(SealSourceArg::File) => SealSource::File,
        Some(SealSourceArg::PassphraseFile) => SealSource::PassphraseFile,
        Some(SealSourceArg::Credential) => SealSource::Credential,
        Some(SealSourceArg::Prompt) => SealSource::Prompt,
    };
    if after == SealSource::File && options.new_passphrase_file.is_some() {
        return Err(Failure::unknown("the seal key is a file, and a new passphrase is given")
            .hint("say where it will come from: `--source passphrase-file`, `credential` or `prompt`"));
    }
    if options.source.is_none() && options.new_passphrase_file.is_none() {
        return Ok((NewSeal::SameKind, before));
    }
    if after == SealSource::File {
        return Ok((NewSeal::File, after));
    }
    let new = Passphrase { passphrase_file: options.new_passphrase_file.clone() };
    let new = secret::passphrase(&new, "the new seal key", Prompt::New)?;
    Ok((NewSeal::Passphrase(Secret(new.as_bytes().to_vec())), after))
}

/// What is left for the operator: configuration and passphrase are theirs.
fn before_the_next_start(before: SealSource, after: SealSource, passphrase: bool) -> Option<String> {
    let source = format!("set `source = \"{}\"` under `[seal]` in countersign.toml", word(after));
    let place = match after {
        SealSource::PassphraseFile => Some("put the new passphrase in the file that `passphrase_file` names"),
        SealSource::Credential => Some("make the new passphrase the credential"),
        SealSource::File | SealSource::Prompt => None,
    };
    let source = (before != after).then_some(source.as_str());
    let steps: Vec<&str> = source.into_iter().chain(place.filter(|_| passphrase)).collect();
    (!steps.is_empty()).then(|| format!("before the next start: {}", steps.join(", and ")))
}

/// As the configuration writes it.
fn word(source: SealSource) -> &'static str {
    match source {
        SealSource::File => "file",
        SealSource::PassphraseFile => "passphrase-file",
        SealSource::Credential => "credential",
        SealSource::Prompt => "prompt",
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operator_is_told_what_is_left_to_do() {
        use SealSource::{Credential, File, PassphraseFile, Prompt};
        let said = |before, after, passphrase| before_the_next_start(before, after, passphrase);
        for (same, passphrase) in [(File, false), (PassphraseFile, false), (Prompt, true)] {
            assert_eq!(said(same, same, passphrase), None, "{same:?}");
        }
        assert!(said(PassphraseFile, PassphraseFile, true).unwrap().contains("`passphrase_file` names"));
        let both = said(File, Credential, true).unwrap();
        assert!(both.contains("source = \"credential\"") && both.contains("the credential"), "{both}");
        assert!(said(Prompt, File, false).unwrap().contains("source = \"file\""));
    }

    #[test]
    fn a_passphrase_for_a_key_file_is_refused_and_no_option_keeps_the_kind() {
        let options = |source, file: Option<&str>| RotateSeal {
            passphrase: Passphrase { passphrase_file: None },
            new_passphrase_file: file.map(Into::into),
            source,
        };
        assert!(new_seal(&options(None, Some("new")), SealSource::File).is_err());
        assert!(new_seal(&options(Some(SealSourceArg::File), Some("new")), SealSource::Prompt).is_err());
        let same = new_seal(&options(None, None), SealSource::Credential).unwrap();
        assert_eq!(same, (NewSeal::SameKind, SealSource::Credential));
        let file = new_seal(&options(Some(SealSourceArg::File), None), SealSource::Credential).unwrap();
        assert_eq!(file, (NewSeal::File, SealSource::File));
    }
}
