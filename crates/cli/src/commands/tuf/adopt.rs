//! `tuf adopt`: a repository that was made elsewhere goes on here.
//!
//! Works on the data directory itself: no request could bring a whole repository and its private keys.

use countersign_core::auth::{Presented, authenticate};
use countersign_core::keys::ImportKey;
use countersign_core::tuf::adopt::{self as core, AdoptError, Called, Directory, Imported, OnlineKey, Plan};
use countersign_core::{Caller, Context as Deployment, Secret};
use countersign_keyhost::soft::{ImportError, SoftKey};
use countersign_model::key::PrivateKey as _;
use countersign_model::{KeyName, Surface};
use serde_json::{Value, json};

use super::words;
use crate::args::{AdoptRepository, KeyFile, Passphrase};
use crate::context::Context;
use crate::failure::{Failure, OrUnknown as _, Outcome};
use crate::files;
use crate::secret::{self, Prompt};

/// The largest root, in bytes.
const MAX_ROOT: u64 = 512_000;

/// The largest answer of `GET config` that is read, in bytes.
const MAX_CONFIG: u64 = 1 << 20;

/// Takes a repository over.
pub async fn run(context: &Context, options: &AdoptRepository) -> Result<Outcome, Failure> {
    let data = context.local_data()?.display();
    if context.beside().await?.is_some() {
        return Err(Failure::unknown(format!("a server runs on `{data}`")).hint("stop it first"));
    }
    let root = files::read_whole(&options.root, MAX_ROOT)?;
    let source = Directory(options.directory.clone());
    let plan = tokio::task::block_in_place(|| core::plan(&source, &root)).map_err(|error| refused(&error))?;
    let config = options.config.as_deref().map(|file| files::read_whole(file, MAX_CONFIG)).transpose()?;
    let config: Option<Value> = match &config {
        Some(bytes) => Some(serde_json::from_slice(bytes).or_unknown("the file of --config is not JSON")?),
        None => None,
    };
    if options.dry_run {
        return show(context, &plan);
    }
    let deployment = context.deployment(&Passphrase { passphrase_file: None }).await?;
    let owner = authenticate(&deployment, Presented::Control)
        .map_err(|error| Failure::unknown(format!("nobody owns the directory: {error}")))?;
    let caller = Caller::new(owner, Surface::Tuf, deployment.request_id());
    for key in &options.online_keys {
        import(context, &deployment, &caller, &plan, options, key).await?;
    }
    let adopted = core::adopt(&deployment, &caller, &source, &plan, config.as_ref()).await;
    let adopted = adopted.map_err(|error| refused(&error))?;
    let document = json!({
        "root_version": adopted.root_version, "roles": adopted.roles, "artifacts": adopted.artifacts,
        "signed_by_people": adopted.signed_by_people,
    });
    context.out.value(&document, |_| {
        let mut text = format!(
            "adopted: root {}, {} delegated roles, {} targets; the next start of the server serves them",
            adopted.root_version, adopted.roles, adopted.artifacts
        );
        if !adopted.signed_by_people.is_empty() {
            let roles = words::shown(&adopted.signed_by_people.join(", "));
            text.push_str(&format!("\nwait for people when they change: {roles}"));
        }
        text
    })?;
    Ok(Outcome::Done)
}

/// What would be adopted.
fn show(context: &Context, plan: &Plan) -> Result<Outcome, Failure> {
    let keys = plan.online_keys();
    let key = |key: &OnlineKey| json!({"keyid": key.keyid, "scheme": key.scheme, "roles": key.roles.len()});
    let document =
        json!({"root_version": plan.root_version(), "online_keys": keys.iter().map(key).collect::<Vec<_>>()});
    context.out.value(&document, |_| {
        let mut lines = vec![format!("the repository verifies: root {}", plan.root_version())];
        lines.extend(keys.iter().map(|key| {
            let some: Vec<&str> = key.roles.iter().take(4).map(String::as_str).collect();
            let more = if key.roles.len() > some.len() { ", …" } else { "" };
            let signs = words::shown(&some.join(", "));
            format!("key {} ({}) signs {signs}{more}", words::shown(&key.keyid), words::shown(&key.scheme))
        }));
        lines.join("\n")
    })?;
    Ok(Outcome::Done)
}

/// Takes a private key in, as `tuf/NAME`.
async fn import(
    context: &Context,
    deployment: &Deployment,
    caller: &Caller,
    plan: &Plan,
    options: &AdoptRepository,
    key: &KeyFile,
) -> Result<(), Failure> {
    let called = called(key)?;
    let pem = secret::read_pem(&key.file)?;
    let (read, passphrase) = match SoftKey::from_pem(&pem, None) {
        Err(ImportError::Encrypted) => {
            let from = Passphrase { passphrase_file: options.passphrase_file.clone() };
            let asked = secret::passphrase(&from, &format!("`{}`", key.file.display()), Prompt::Existing)?;
            (SoftKey::from_pem(&pem, Some(asked.as_bytes())), Some(Secret(asked.as_bytes().to_vec())))
        }
        read => (read, None),
    };
    let file = key.file.display();
    let read = read.map_err(|error| {
        Failure::unknown(format!("`{file}` is not a private key that can be read: {error}"))
            .hint(error.hint())
    })?;
    let (Called::Exactly(name) | Called::About(name)) = called.clone();
    let pem = Secret(pem.as_bytes().to_vec());
    let new = ImportKey { name, pem, passphrase, exportable: false, formats: None };
    let imported = core::import(deployment, caller, plan, &called, read.public(), new).await;
    context.out.say(&match imported.map_err(|error| refused(&error))? {
        Imported::New(name) => format!("`{file}` is here as the key `{name}`"),
        Imported::There(name) => format!("`{file}` is here already, as the key `{name}`"),
    });
    Ok(())
}

/// The name that was given, else the one of the file.
fn called(key: &KeyFile) -> Result<Called, Failure> {
    let stem = key.file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let (name, called): (&str, fn(KeyName) -> Called) =
        if key.name.is_empty() { (&stem, Called::About) } else { (&key.name, Called::Exactly) };
    KeyName::owned(Surface::Tuf, name).map(called).map_err(|error| {
        Failure::unknown(format!("`{}` is no name of a key: {error}", words::shown(name)))
            .hint("give it one: `--online-key NAME=FILE`")
    })
}

fn refused(error: &AdoptError) -> Failure {
    let failure = Failure::refused(words::shown(&error.to_string()));
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_called_as_it_was_said_or_else_as_its_file() {
        let called = |text: &str| called(&text.parse().unwrap()).unwrap();
        let name = |id: &str| KeyName::owned(Surface::Tuf, id).unwrap();
        assert_eq!(called("keys/online.pem"), Called::About(name("online")));
        let id = "f8f4d558a9cb618ac4922db83e2f8e76e03d554051467528178e5bed7d191e28";
        assert_eq!(called(&format!("/keys/{id}")), Called::About(name(id)), "as an RSTUF server keeps it");
        assert_eq!(called("timestamp=keys/online.pem"), Called::Exactly(name("timestamp")));
        assert!(super::called(&"my key.pem".parse().unwrap()).is_err());
    }
}
