//! `tuf root`: the root in force, the next one made from it, and `tuf stop`.

mod next;

use countersign_tuf::check::root as check;
use countersign_tuf::metadata::{Document, Kind};
use countersign_tuf::proof::Operation;
use http::Method;
use jiff::Timestamp;
use serde_json::json;

use self::next::next;
use super::ask;
use super::online_keys::OnlineKeys;
use super::pending::Pending;
use super::roots::{MAX_ROOT, Roots};
use super::service::Service;
use super::signer::{Signer, sign_by_roles};
use super::{proof, sign, words};
use crate::args::{EditRoot, RotateOnline, StopSigning, SubmitRoot};
use crate::context::Context;
use crate::failure::{Failure, OrUnknown as _, Outcome};
use crate::files::{self, Mode};

/// Prints a root.
pub async fn show(context: &Context, version: Option<u64>) -> Result<Outcome, Failure> {
    let roots = Roots::of_server(context).await?;
    let document = match version {
        None => roots.newest(None).await?,
        Some(version) => roots
            .version(version)
            .await?
            .ok_or_else(|| Failure::refused(format!("there is no root of version {version}")))?,
    };
    context.out.value(&document.to_value(), |_| words::root(&document, Timestamp::now()).join("\n"))?;
    Ok(Outcome::Done)
}

/// Makes the next root.
pub async fn edit(context: &Context, options: &EditRoot) -> Result<Outcome, Failure> {
    if let Some(file) = &options.how.submit {
        let root = files::read_whole(file, MAX_ROOT)?;
        let root = Document::parse(&root).or_unknown("the file of --submit is no metadata")?;
        return send(context, &options.how, &root).await;
    }
    let service = Service::of(context).await?;
    let base = Base::find(context, &service, &options.how).await?;
    let online = if options.online.is_empty() { None } else { Some(OnlineKeys::of_server(&service).await?) };
    let new = next(&base, options, online.as_ref(), Timestamp::now())?;
    finish(context, &options.how, &base, new).await
}

/// Makes an online key, and the next root with it.
pub async fn rotate(context: &Context, options: &RotateOnline) -> Result<Outcome, Failure> {
    let service = Service::of(context).await?;
    let base = Base::find(context, &service, &options.how).await?;
    let mut online = OnlineKeys::of_server(&service).await?;
    if online.named(&options.name).is_none() {
        let body = json!({"name": options.name, "scheme": options.scheme});
        service.send(Method::POST, "keys/online", &body).await?;
        context.out.say(&format!("made the online key `{}`", words::shown(&options.name)));
        online = OnlineKeys::of_server(&service).await?;
    }
    let edit = EditRoot {
        add_keys: Vec::new(),
        remove_keys: Vec::new(),
        threshold: None,
        days: None,
        online: vec![options.name.clone()],
        how: options.how.clone(),
    };
    let new = next(&base, &edit, Some(&online), Timestamp::now())?;
    finish(context, &options.how, &base, new).await
}

/// Drops what is pending.
pub async fn stop(context: &Context, options: &StopSigning) -> Result<Outcome, Failure> {
    let service = Service::of(context).await?;
    let pending = Pending::read(&service.get("metadata/sign").await?)?;
    let (role, document) = pending.choose(Some(&options.role))?;
    let signers = Signer::all(&options.signing)?;
    let question =
        format!("Drop `{}` version {} and its signatures?", words::shown(role), document.version());
    ask::confirm(context.out, options.yes, &question)?;
    let mut body = json!({"role": role});
    if !signers.is_empty() {
        body["proof"] =
            proof::make(&service, &pending, (role, document), Operation::Delete, None, &signers).await?;
    }
    let done = service.run(Method::POST, "metadata/sign/delete", &body).await?;
    context.out.value(&done.result, |_| sign::said_of(&done))?;
    Ok(Outcome::Done)
}

/// What the next root is made from.
struct Base {
    /// The root that is changed: the one in force. Where there is none yet, and with `--amend`, the pending one, which
    /// anybody may have written who can send one.
    document: Document,
    /// The root in force, if there is one.
    trusted: Option<Document>,
    /// How many days a root is to live, by the server's settings.
    days: Option<u32>,
}

impl Base {
    async fn find(context: &Context, service: &Service, how: &SubmitRoot) -> Result<Self, Failure> {
        let own = how.root.as_deref().map(|file| files::read_whole(file, MAX_ROOT)).transpose()?;
        let roots = Roots::of_server(context).await?;
        // There are no settings before the end of the bootstrap.
        let settings = service.get("config/").await.unwrap_or_default();
        let days = settings["root_expiration"].as_u64().and_then(|days| u32::try_from(days).ok());
        if !how.override_pending {
            let trusted = roots.newest(own.as_deref()).await?;
            return Ok(Self { document: trusted.clone(), trusted: Some(trusted), days });
        }
        let pending = Pending::read(&service.get("metadata/sign").await?)?;
        let (_, waiting) = pending.choose(Some(Kind::Root.as_str()))?;
        let trusted = pending.root_in_force(waiting, &roots, own.as_deref()).await?.cloned();
        let document = match &trusted {
            Some(trusted) if !how.amend => trusted.clone(),
            _ => waiting.clone(),
        };
        Ok(Self { document, trusted, days })
    }

    /// The version that the next root must have.
    fn version(&self) -> u64 {
        self.trusted.as_ref().map_or(1, |trusted| trusted.version().saturating_add(1))
    }
}

/// Shows the new root, has it signed, and sends it or writes it.
async fn finish(
    context: &Context,
    how: &SubmitRoot,
    base: &Base,
    mut new: Document,
) -> Result<Outcome, Failure> {
    let now = Timestamp::now();
    let title = if how.override_pending { "in place of the one that waits" } else { "the next root" };
    context.out.say(&format!("root version {}, {title}:", new.version()));
    // Not from what waits: what others have written into that is signed here, too.
    let changes = match &base.trusted {
        Some(trusted) => words::changes(trusted, &new, now),
        None => words::root(&new, now),
    };
    changes.iter().for_each(|line| context.out.say(&format!("  {line}")));
    // Which keys are the server's, it knows better.
    let new_root = new.root().or_unknown("the next root is no root")?;
    feasible(&new_root.role(Kind::Root).keyids, new_root.role(Kind::Root).threshold)?;
    let signers = Signer::all(&how.signing)?;
    if signers.is_empty() {
        return Err(Failure::unknown("no key is named that could sign")
            .hint("a new root needs one signature at least: `--key PEM`, `--agent-key`, or `--signer`"));
    }
    ask::confirm(context.out, how.yes, "Sign this root?")?;
    let trusted = base.trusted.as_ref().map(|trusted| trusted.root().or_unknown("no root")).transpose()?;
    let mut roles = vec![(&new_root.keys, new_root.role(Kind::Root))];
    roles.extend(trusted.iter().map(|root| (&root.keys, root.role(Kind::Root))));
    sign_by_roles(&mut new, &signers, &roles)?;
    if let Some(file) = &how.out {
        files::write(file, &new.to_bytes(), Mode::Public)?;
        let text =
            format!("root version {} is in `{}`: send it with `--submit`", new.version(), file.display());
        context.out.value(&new.to_value(), |_| text)?;
        return Ok(Outcome::Done);
    }
    send(context, how, &new).await
}

fn feasible(keyids: &[String], threshold: u64) -> Result<(), Failure> {
    if threshold >= 1 && threshold <= keyids.len() as u64 {
        return Ok(());
    }
    Err(Failure::refused(format!("{threshold} of {} keys cannot sign", keyids.len()))
        .hint("change `--threshold`, or add keys"))
}

/// Sends a root: as the next one, or in place of the pending one.
async fn send(context: &Context, how: &SubmitRoot, new: &Document) -> Result<Outcome, Failure> {
    let service = Service::of(context).await?;
    let mut body = json!({"metadata": {"root": new.to_value()}});
    if !how.override_pending {
        let done = service.run(Method::POST, "metadata/", &body).await?;
        return sign::report(context, &service, &done).await;
    }
    let pending = Pending::read(&service.get("metadata/sign").await?)?;
    let old = pending.choose(Some(Kind::Root.as_str()))?;
    check::replaces(new, old.1, &[])
        .map_err(|error| Failure::refused(error.to_string()).hint(error.hint()))?;
    let signers = Signer::all(&how.signing)?;
    if !signers.is_empty() {
        body["proof"] =
            proof::make(&service, &pending, old, Operation::Override, Some(new), &signers).await?;
    }
    let done = service.run(Method::PATCH, "metadata/sign", &body).await?;
    sign::report(context, &service, &done).await
}
