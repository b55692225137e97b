//! `tuf init`, `tuf ceremony`: the first root.

mod guided;
pub mod plan;

use std::path::Path;

use countersign_tuf::check::root as check;
use countersign_tuf::metadata::{Document, Kind};
use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use self::plan::Plan;
use super::ask::{self, Asked};
use super::online_keys::OnlineKeys;
use super::service::Service;
use super::signer::{Signer, sign_by_roles};
use super::{sign, words};
use crate::args::{Ceremony, InitCeremony};
use crate::context::Context;
use crate::failure::{Failure, OrUnknown as _, Outcome};
use crate::files::{self, Mode};

/// The largest payload that is sent, in bytes.
const MAX_PAYLOAD: u64 = 8 << 20;

/// Writes a ceremony file.
pub fn init(context: &Context, options: &InitCeremony) -> Result<Outcome, Failure> {
    let plan = Plan::of_options(options)?;
    let text = serde_json::to_string_pretty(&plan).or_unknown("cannot write the ceremony file")?;
    if files::is_dash(&options.output) {
        context.out.line(&text)?;
        return Ok(Outcome::Done);
    }
    // Somebody may have changed the one that is there by hand.
    files::write_new(&options.output, format!("{text}\n").as_bytes(), Mode::Public)?;
    let document =
        json!({"file": options.output, "root_keys": plan.root.keys.len(), "threshold": plan.root.threshold});
    context.out.value(&document, |_| {
        format!(
            "`{}`: read it, change it, then `countersign tuf ceremony --file {} --key PEM`",
            options.output.display(),
            options.output.display()
        )
    })?;
    Ok(Outcome::Done)
}

/// Makes the first root, signs it, and sends it.
pub async fn run(context: &Context, options: &Ceremony) -> Result<Outcome, Failure> {
    if let Some(file) = &options.submit {
        return submit(context, &read_json(file)?).await;
    }
    let online = online_keys(context, options).await?;
    let (plan, guided) = match &options.file {
        Some(file) => (Plan::read(file)?, false),
        None => (tokio::task::block_in_place(|| guided::plan(&mut Asked::stdin(context.out)))?, true),
    };
    let mut root = plan.root(&online, Timestamp::now())?;
    show(context, &plan, &root);
    let signers = signers(context, options, &root, guided)?;
    confirm(context, options, guided)?;
    sign_root(&mut root, &signers)?;
    let body = plan.body(&root)?;
    match &options.out {
        Some(file) => {
            files::write(file, body.to_string().as_bytes(), Mode::Public)?;
            context.out.value(&body, |_| {
                format!(
                    "the first root is in `{0}`: send it with `countersign tuf ceremony --submit {0}`",
                    file.display()
                )
            })?;
            Ok(Outcome::Done)
        }
        None => submit(context, &body).await,
    }
}

async fn online_keys(context: &Context, options: &Ceremony) -> Result<OnlineKeys, Failure> {
    match &options.online_keys {
        Some(file) => OnlineKeys::read(&read_json(file)?),
        None => {
            let service = Service::of(context).await?;
            let bootstrap = service.get("bootstrap/").await?;
            if bootstrap["bootstrap"] == true || bootstrap["state"].is_string() {
                return Err(Failure::refused("there is a repository already, or one is being made").hint(
                    "`countersign tuf status` shows it; `countersign tuf stop` drops a root that waits",
                ));
            }
            OnlineKeys::of_server(&service).await
        }
    }
}

fn read_json(file: &Path) -> Result<Value, Failure> {
    let bytes = files::read_whole(file, MAX_PAYLOAD)?;
    countersign_tuf::canonical::read(&bytes)
        .or_unknown(&format!("`{}` is not JSON that can be signed", file.display()))
}

fn show(context: &Context, plan: &Plan, root: &Document) {
    let say = |text: &str| context.out.say(text);
    words::root(root, Timestamp::now()).iter().for_each(|line| say(line));
    let lives = [
        ("targets", plan.targets.days),
        ("snapshot", plan.snapshot.days),
        ("timestamp", plan.timestamp.days),
    ];
    let lives: Vec<String> = lives.iter().map(|(role, days)| format!("{role} {days}")).collect();
    say(&format!("days that roles live: root {}, {}", plan.root.days, lives.join(", ")));
    if let Some(bins) = &plan.bins {
        say(&format!("targets are spread over {} hash bins, {} days", bins.number, bins.days));
    }
    for role in &plan.roles {
        let by = if role.keys.is_empty() {
            "the server".to_owned()
        } else {
            format!("{} of {} keys", role.threshold, role.keys.len())
        };
        let paths = words::shown(&role.paths.join(" "));
        say(&format!("role {}: {paths}, signed by {by}, {} days", words::shown(&role.name), role.days));
    }
}

/// Those of the options; in a guided ceremony, who is asked for a file.
fn signers(
    context: &Context,
    options: &Ceremony,
    root: &Document,
    guided: bool,
) -> Result<Vec<Signer>, Failure> {
    if !options.signing.is_empty() || !guided {
        let signers = Signer::all(&options.signing)?;
        if signers.is_empty() {
            return Err(Failure::unknown("no key is named that could sign").hint(
                "the first root needs one signature at least: `--key PEM`, `--agent-key`, or `--signer`",
            ));
        }
        return Ok(signers);
    }
    let wanted = root.root().map_or(1, |root| root.role(Kind::Root).keyids.len());
    let mut signers = Vec::new();
    let mut asked = Asked::stdin(context.out);
    while signers.len() < wanted {
        let more = if signers.is_empty() { "" } else { " (nothing: the others sign later, with `tuf sign`)" };
        let question = format!("The file of a private key that signs now{more}");
        let empty_is_good = !signers.is_empty();
        let passphrase_file = options.signing.passphrase_file.as_deref();
        let signer = asked.text(&question, Some(""), |text| match (text, empty_is_good) {
            ("", true) => Ok(None),
            ("", false) => Err("one signature at least".to_owned()),
            (text, _) => Signer::from_file(Path::new(text), passphrase_file)
                .map(Some)
                .map_err(|failure| failure.message),
        })?;
        match signer {
            Some(signer) => signers.push(signer),
            None => break,
        }
    }
    Ok(signers)
}

fn confirm(context: &Context, options: &Ceremony, guided: bool) -> Result<(), Failure> {
    if guided && !options.yes {
        return match Asked::stdin(context.out).yes("Is this right?")? {
            true => Ok(()),
            false => Err(Failure::refused("nothing was done: the answer was no")),
        };
    }
    ask::confirm(context.out, options.yes, "Is this right?")
}

/// Signs a first root with each of the signers.
///
/// # Errors
/// If one of them is no root key, or cannot sign.
pub fn sign_root(root: &mut Document, signers: &[Signer]) -> Result<(), Failure> {
    let view = root.root().or_unknown("the root is no root")?;
    sign_by_roles(root, signers, &[(&view.keys, view.role(Kind::Root))])?;
    check::signatures(root, None)
        .map(drop)
        .map_err(|error| Failure::unknown(error.to_string()).hint(error.hint()))
}

async fn submit(context: &Context, body: &Value) -> Result<Outcome, Failure> {
    if !body["settings"].is_object() || !body["metadata"]["root"].is_object() {
        return Err(Failure::unknown("this is no first root with its settings")
            .hint("`tuf ceremony --out` writes one"));
    }
    let service = Service::of(context).await?;
    let done = service.run(Method::POST, "bootstrap/", body).await?;
    sign::report(context, &service, &done).await
}
