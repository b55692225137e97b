//! `tuf status`: how far the repository is, who waits for whom, and when roles expire.

use countersign_tuf::delegation::Delegated;
use countersign_tuf::metadata::{Document, Kind};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::pending::Pending;
use super::reader::Reader;
use super::service::Service;
use super::walk::{self, Found};
use super::words;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::output::align;

/// Shows it.
pub async fn run(context: &Context) -> Result<Outcome, Failure> {
    let service = Service::of(context).await?;
    let bootstrap = service.get("bootstrap/").await?;
    let state = state_of(&bootstrap);
    let finished = state == "finished";
    let config = if finished { service.get("config/").await? } else { Value::Null };
    let waiting = match state {
        "finished" | "signing" => service.get("metadata/sign").await?,
        _ => Value::Null,
    };
    let pending = Pending::read(&waiting)?;
    let (roles, problem) = if finished { published(context).await } else { (Vec::new(), None) };
    let document = json!({
        "bootstrap": bootstrap, "state": state, "settings": config, "pending": waiting,
        "published": roles.iter().map(Found::document).collect::<Vec<_>>(), "problem": problem,
    });
    context.out.value(&document, |_| describe(state, &config, &pending, &roles, problem.as_deref()))?;
    Ok(if problem.is_some() { Outcome::No } else { Outcome::Done })
}

fn state_of(bootstrap: &Value) -> &'static str {
    match (bootstrap["bootstrap"].as_bool(), bootstrap["state"].as_str()) {
        (Some(true), _) => "finished",
        (_, Some("signing")) => "signing",
        (_, Some("pre")) => "pre",
        _ => "none",
    }
}

/// The top-level roles and those with a name as everybody sees them, verified from the first root on; and why there are
/// no more.
async fn published(context: &Context) -> (Vec<Found>, Option<String>) {
    let mut reader = match Reader::of_server(context).await {
        Ok(reader) => reader,
        Err(failure) => return (Vec::new(), Some(failure.message)),
    };
    let mut found = walk::top(&reader);
    if !has_named_roles(&reader) {
        return (found, None);
    }
    let walked = walk::delegated(&mut reader, &mut |_: &Reader, _: &str, _: &Document| Ok(())).await;
    match walked {
        Ok(walked) => {
            found.extend(walked.found);
            (found, None)
        }
        Err(failure) => (found, Some(failure.message)),
    }
}

/// Whether targets go to roles that have names: of bins there are too many to look at each time.
fn has_named_roles(reader: &Reader) -> bool {
    let targets = reader.client.targets(Kind::Targets.as_str());
    let delegations = targets.and_then(|targets| targets.targets().ok()?.delegations);
    delegations.is_some_and(|delegations| matches!(delegations.delegated, Delegated::Roles(_)))
}

fn describe(
    state: &str,
    config: &Value,
    pending: &Pending,
    roles: &[Found],
    problem: Option<&str>,
) -> String {
    let now = Timestamp::now();
    let mut lines = vec![match state {
        "finished" => format!("The repository is in force{}.", delegation(config)),
        "signing" => "The first root waits for signatures: nothing is public yet.".to_owned(),
        "pre" => "The first root is being checked.".to_owned(),
        _ => {
            "There is no repository yet: `countersign tuf init`, then `countersign tuf ceremony`.".to_owned()
        }
    }];
    if !roles.is_empty() {
        let mut rows = vec![["ROLE", "VERSION", "SIGNED", "EXPIRES"].map(str::to_owned).to_vec()];
        rows.extend(roles.iter().map(|role| {
            let signed = format!("{} of {}", role.have, role.threshold);
            vec![words::shown(&role.role), role.version.to_string(), signed, words::expiry(role.expires, now)]
        }));
        lines.push(align(&rows).trim_end().to_owned());
    }
    if let Some(problem) = problem {
        lines.push(format!("PROBLEM: what is published is not good: {}", words::shown(problem)));
    }
    for (role, document) in &pending.roles {
        let submitted = pending.status.get(role).and_then(|status| status["submitted"].as_str());
        let since = submitted.map(|at| format!(", since {}", words::shown(at))).unwrap_or_default();
        lines.push(format!(
            "{} version {} waits for signatures{since}:",
            words::shown(role),
            document.version()
        ));
        for by in pending.signers(role, document).unwrap_or_default() {
            lines.push(format!("  {}", by.line(document)));
        }
        if let (true, Some(trusted)) = (role == Kind::Root.as_str(), &pending.trusted_root) {
            lines.extend(words::changes(trusted, document, now).iter().map(|line| format!("  {line}")));
        }
    }
    if state == "finished" && pending.roles.is_empty() {
        lines.push("Nothing waits for signatures.".to_owned());
    }
    lines.join("\n")
}

fn delegation(config: &Value) -> String {
    match config["number_of_delegated_bins"].as_u64() {
        Some(bins) => format!(", with {bins} hash bins"),
        None => String::new(),
    }
}
