//! `tuf sign`: what waits is shown in words, checked against what is in force, signed and sent.

use std::path::Path;

use countersign_tuf::metadata::{Document, Kind};
use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::ask;
use super::pending::Pending;
use super::roots::{MAX_ROOT, Roots, SAVED};
use super::service::{Done, Service};
use super::signer::{Signer, sign_by_roles};
use super::words;
use crate::args::SignMetadata;
use crate::context::Context;
use crate::failure::{Failure, OrUnknown as _, Outcome};
use crate::files::{self, Mode};
use crate::output::safe;

/// Signs what is pending.
pub async fn run(context: &Context, options: &SignMetadata) -> Result<Outcome, Failure> {
    if let Some(file) = &options.submit {
        return submit(context, file).await;
    }
    let mut data = match &options.from {
        Some(file) => read_json(file)?,
        None => Service::of(context).await?.get("metadata/sign").await?,
    };
    let own = options.root.as_deref().map(|file| files::read_whole(file, MAX_ROOT)).transpose()?;
    let own = own.as_deref();
    let roots = match &options.from {
        Some(_) => Roots::saved(&data)?,
        None => Roots::of_server(context).await?,
    };
    if let Some(file) = &options.save {
        Pending::read(&data)?.choose(options.role.as_deref())?;
        // Who signs far away follows them from a root that they have.
        let all: Vec<Value> = roots.all(own).await?.iter().map(Document::to_value).collect();
        data[SAVED] = all.into();
        files::write(file, data.to_string().as_bytes(), Mode::Public)?;
        return said(
            context,
            &json!({"saved": file}),
            &format!("what is pending is in `{}`", file.display()),
        );
    }
    let pending = Pending::read(&data)?;
    let (role, document) = pending.choose(options.role.as_deref())?;
    let trusted = check_trusted(context, &pending, (role, document), &roots, own).await?;
    show(context, &pending, (role, document), trusted)?;
    let signers = Signer::all(&options.signing)?;
    if signers.is_empty() {
        return Err(Failure::unknown("no key is named that could sign")
            .hint("`--key PEM`, `--agent-key`, or `--signer`"));
    }
    ask::confirm(
        context.out,
        options.yes,
        &format!("Sign `{}` version {}?", words::shown(role), document.version()),
    )?;
    let signatures = sign(&pending, role, document, &signers)?;
    match &options.out {
        Some(file) => {
            let payload = json!({"signatures": signatures});
            files::write(file, payload.to_string().as_bytes(), Mode::Public)?;
            let text = format!(
                "{} signatures are in `{}`: send them with `--submit`",
                signatures.len(),
                file.display()
            );
            said(context, &payload, &text)
        }
        None => send(context, &signatures).await,
    }
}

/// How many paths of a delegated role are shown.
const SHOWN: usize = 20;

/// The largest file of what is pending, in bytes.
const MAX_PENDING: u64 = 64 << 20;

fn read_json(file: &Path) -> Result<Value, Failure> {
    let bytes = files::read_whole(file, MAX_PENDING)?;
    countersign_tuf::canonical::read(&bytes)
        .or_unknown(&format!("`{}` is not JSON that can be signed", file.display()))
}

/// What the server says is in force must follow from a root that the signer has, or at least from its first. Returns the
/// root from which a pending root follows, if it is not the first.
async fn check_trusted<'a>(
    context: &Context,
    pending: &'a Pending,
    (role, document): (&str, &Document),
    roots: &Roots,
    own: Option<&[u8]>,
) -> Result<Option<&'a Document>, Failure> {
    let is_root = role == Kind::Root.as_str();
    let trusted = if is_root { pending.root_in_force(document, roots, own).await? } else { None };
    if !is_root {
        pending.check_targets(roots, own).await?;
    }
    if own.is_none() && (trusted.is_some() || !is_root) {
        context.out.say(
            "warning: nothing but the server says that the root in force is the right one: give one that you \
             trust with `--root`",
        );
    }
    Ok(trusted)
}

/// Says what is to be signed, to the person who signs.
fn show(
    context: &Context,
    pending: &Pending,
    (role, document): (&str, &Document),
    trusted: Option<&Document>,
) -> Result<(), Failure> {
    let (now, say) = (Timestamp::now(), |text: &str| context.out.say(text));
    match (trusted, role == Kind::Root.as_str()) {
        (Some(trusted), true) => {
            say(&format!(
                "root version {} would take the place of version {}:",
                document.version(),
                trusted.version()
            ));
            let changes = words::changes(trusted, document, now);
            changes.iter().for_each(|line| say(&format!("  {line}")));
            if changes.is_empty() {
                say("  nothing but the version changes");
            }
        }
        (None, true) => words::root(document, now).iter().for_each(|line| say(line)),
        (_, false) => {
            let count = document.targets().map_or(0, |targets| targets.targets.len());
            let at = words::expiry(document.expires(), now);
            say(&format!(
                "role {} version {}, {count} targets, expires {at}",
                words::shown(role),
                document.version()
            ));
            for path in document.targets().into_iter().flat_map(|targets| targets.targets.keys()).take(SHOWN)
            {
                say(&format!("  {}", words::shown(path)));
            }
            if let Some(more) = count.checked_sub(SHOWN).filter(|more| *more > 0) {
                say(&format!("  and {more} more"));
            }
            // Whoever signs that lets others speak for its paths.
            if document.targets().is_ok_and(|targets| targets.delegations.is_some()) {
                say("  it delegates to further roles, which this server never asks for");
            }
        }
    }
    for by in pending.signers(role, document)? {
        say(&format!("  {}", by.line(document)));
    }
    Ok(())
}

/// One signature for each key of the signers that may sign, as `POST metadata/sign` takes it.
///
/// # Errors
/// If one of them may not, or cannot.
pub fn sign(
    pending: &Pending,
    role: &str,
    document: &Document,
    signers: &[Signer],
) -> Result<Vec<Value>, Failure> {
    let by = pending.signers(role, document)?;
    let roles: Vec<_> = by.iter().map(|by| (&by.keys, &by.role)).collect();
    let mut signed = document.clone();
    let ids = sign_by_roles(&mut signed, signers, &roles)?;
    let of = |keyid: &String| signed.signatures().find(|s| s.keyid == keyid).map(|s| s.sig.to_owned());
    Ok(ids
        .iter()
        .filter_map(|keyid| Some(json!({"role": role, "signature": {"keyid": keyid, "sig": of(keyid)?}})))
        .collect())
}

async fn submit(context: &Context, file: &Path) -> Result<Outcome, Failure> {
    let payload = read_json(file)?;
    let signatures = payload["signatures"].as_array().filter(|all| !all.is_empty()).ok_or_else(|| {
        Failure::unknown(format!("`{}` has no signatures", file.display()))
            .hint("it is what `tuf sign --out` writes")
    })?;
    send(context, signatures).await
}

/// Sends signatures one by one, until there are enough.
async fn send(context: &Context, signatures: &[Value]) -> Result<Outcome, Failure> {
    let service = Service::of(context).await?;
    let mut last: Option<Done> = None;
    for signature in signatures {
        let done = service.run(Method::POST, "metadata/sign/", signature).await;
        last = Some(match (done, last) {
            (Ok(done), _) => done,
            // The one before was the last that was needed.
            (Err(_), Some(done)) if is_complete(&done) => done,
            (Err(failure), _) => return Err(failure),
        });
    }
    let Some(done) = last else { return Err(Failure::unknown("there is nothing to send")) };
    report(context, &service, &done).await
}

fn is_complete(done: &Done) -> bool {
    let text = done.details.to_string().to_ascii_lowercase();
    text.contains("finished") || text.contains("complete")
}

/// Says what became of it, and who is missing now.
pub async fn report(context: &Context, service: &Service, done: &Done) -> Result<Outcome, Failure> {
    let mut lines = vec![said_of(done)];
    lines.extend(waiting(service).await?);
    context.out.value(&done.result, |_| lines.join("\n"))?;
    Ok(Outcome::Done)
}

/// Who is missing, a line for each role and whoever has a say in it.
///
/// # Errors
/// If what waits is not what it should be.
pub async fn waiting(service: &Service) -> Result<Vec<String>, Failure> {
    let waits = service.get("metadata/sign").await.ok().map(|data| Pending::read(&data)).transpose()?;
    let mut lines = Vec::new();
    for (role, document) in waits.iter().flat_map(|waits| &waits.roles) {
        for by in waits.iter().flat_map(|waits| waits.signers(role, document).unwrap_or_default()) {
            lines.push(format!(
                "  {} version {}: {}",
                words::shown(role),
                document.version(),
                by.line(document)
            ));
        }
    }
    Ok(lines)
}

/// `Signature Processed: Root v2 is pending signatures`.
pub fn said_of(done: &Done) -> String {
    let details = done.details.as_object().into_iter().flatten();
    let texts = details.filter(|(name, _)| *name != "role").filter_map(|(_, value)| value.as_str());
    let texts: Vec<&str> = texts.collect();
    if texts.is_empty() {
        safe(&done.message)
    } else {
        safe(&format!("{}: {}", done.message, texts.join(", ")))
    }
}

fn said(context: &Context, document: &Value, text: &str) -> Result<Outcome, Failure> {
    context.out.value(document, |_| text.to_owned())?;
    Ok(Outcome::Done)
}
