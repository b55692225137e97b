//! The policy: read, replace, explain, replay.

use std::collections::HashMap;

use countersign_model::entry::{Entry, Op};
use countersign_model::policy::{Ask, Policy, Rule, explain};
use countersign_model::{Action, Format, Name, PrincipalName, RequestId, Resource, Scheme, Surface};
use countersign_store::{NewPolicy, StoreError};
use serde::Serialize;

use crate::caller::Caller;
use crate::context::Context;
use crate::error::Error;
use crate::log;
use crate::pipeline::{self, Logged};
use crate::snapshot::{CurrentPolicy, Principal, Snapshot, implied_roles};

/// The policy in force, as the API gives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyDocument {
    /// Counts changes, from 1.
    pub version: i64,
    /// `sha256:HEX` of the rules in canonical JSON.
    pub hash: String,
    /// The rules.
    pub rules: Vec<Rule>,
}

impl PolicyDocument {
    /// The entity tag, with its quotes.
    pub fn etag(&self) -> String {
        etag(self.version)
    }
}

fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

/// The policy in force.
///
/// # Errors
/// [`Error::NotPermitted`].
pub fn get(ctx: &Context, caller: &Caller) -> Result<PolicyDocument, Error> {
    pipeline::authorise(ctx, caller, Action::PolicyRead, &Resource::policy())?;
    Ok(document(&ctx.cache.policy()))
}

fn document(current: &CurrentPolicy) -> PolicyDocument {
    PolicyDocument {
        version: current.version,
        hash: current.policy.hash().to_owned(),
        rules: current.policy.rules().to_vec(),
    }
}

/// Replaces all rules at once.
///
/// - `if_match`: the entity tag of the policy that the caller has seen.
///
/// # Errors
/// [`Error::InvalidRequest`] for rules that are not sound; [`Error::NotPermitted`]; [`Error::Conflict`]
/// if `if_match` is missing or not the policy in force; [`Error::LocksOut`] if nobody could change the
/// policy afterwards.
pub async fn put(
    ctx: &Context,
    caller: &Caller,
    rules: Vec<Rule>,
    if_match: Option<&str>,
) -> Result<Logged<PolicyDocument>, Error> {
    let policy = sound(rules)?;
    let permit = pipeline::authorise(ctx, caller, Action::PolicyWrite, &Resource::policy())?;
    // Held from the check to the write, so that what the log has did happen.
    let _writing = ctx.writing.lock().await;
    let seen = ctx.cache.policy().version;
    if if_match != Some(etag(seen).as_str()) {
        let why = if if_match.is_none() { "`If-Match` is missing" } else { "`If-Match` does not match" };
        return Err(Error::Conflict(format!("{why}: the policy in force is version {seen}")));
    }
    if locks_out(&ctx.cache.read(), &policy) {
        return Err(Error::LocksOut);
    }
    let subject = Some(policy.hash().to_owned());
    let log = pipeline::record(ctx, caller, &permit, Op::PolicySet, None, subject).await?;
    let new = new_record(&policy, &caller.identity.principal, ctx.now())?;
    let record = ctx.store.put_policy(seen, &new).await.map_err(|error| match error {
        StoreError::Conflict { .. } => {
            let _ = ctx.store_failed(error);
            Error::Conflict("the policy was replaced by somebody else meanwhile".into())
        }
        other => ctx.store_failed(other),
    })?;
    let current = CurrentPolicy { version: record.version, policy };
    let document = document(&current);
    ctx.cache.write().policy = current.into();
    Ok(Logged::new(document, log))
}

fn sound(rules: Vec<Rule>) -> Result<Policy, Error> {
    let policy = Policy::new(rules).map_err(|bad| Error::invalid("rules", bad.to_string()))?;
    let fault = policy.rules().iter().find_map(|rule| Some((&rule.id, rule.reaches_nothing()?)));
    match fault {
        Some((rule, why)) => Err(Error::invalid("rules", format!("rule `{rule}`: {why}"))),
        None => Ok(policy),
    }
}

pub(crate) fn new_record(
    policy: &Policy,
    by: &PrincipalName,
    created: jiff::Timestamp,
) -> Result<NewPolicy, Error> {
    let rules = serde_json::to_string(policy.rules())
        .map_err(|_| Error::Internal("the rules could not be written as JSON".into()))?;
    Ok(NewPolicy { hash: policy.hash().to_owned(), rules, created, by: by.to_string() })
}

/// Whether no enabled principal could change the policy under `policy`.
fn locks_out(snapshot: &Snapshot, policy: &Policy) -> bool {
    !snapshot.principals.values().any(|principal| can_change(policy, principal))
}

/// Whether `leaving` is the only one who can change the policy in force. To be asked, like
/// [`locks_out`], while `writing` is held: what is true of each of two changes need not be of both.
pub(crate) fn leaves_nobody(snapshot: &Snapshot, leaving: &Principal) -> bool {
    let policy = &snapshot.policy.policy;
    let mut others = snapshot.principals.values().filter(|principal| principal.name != leaving.name);
    can_change(policy, leaving) && !others.any(|principal| can_change(policy, principal))
}

/// Whether `principal` is enabled and may change the policy under `policy`.
fn can_change(policy: &Policy, principal: &Principal) -> bool {
    let ask = Ask {
        caller: &principal.name,
        judged: &principal.name,
        roles: &principal.roles,
        narrowing: None,
        surface: Surface::Native,
        action: Action::PolicyWrite,
        resource: &Resource::policy(),
        format: None,
        scheme: None,
    };
    !principal.disabled && policy.decide(&ask).is_ok()
}

/// May somebody do something?
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the members of policy::Ask")]
pub struct Question {
    pub principal: PrincipalName,
    pub action: Action,
    pub resource: Resource,
    pub format: Option<Format>,
    pub scheme: Option<Scheme>,
}

/// What the policy says, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// The answer.
    pub allowed: bool,
    /// The rule that decides; `None` if none matches.
    pub rule: Option<Name>,
    /// In words.
    pub reason: String,
}

/// Explains what the policy would decide for a principal with all their rights.
///
/// To sign, `format` and `scheme` are those of a native request when they are left out: the key's default
/// scheme, written bare. A key of a surface that lets policy judge people is asked for through that
/// surface.
///
/// # Errors
/// [`Error::NotPermitted`], [`Error::UnknownPrincipal`].
pub fn check(ctx: &Context, caller: &Caller, question: &Question) -> Result<Decision, Error> {
    pipeline::authorise(ctx, caller, Action::PolicyRead, &Resource::policy())?;
    let Question { principal, action, resource, .. } = question;
    let snapshot = ctx.cache.read();
    let roles = snapshot.roles_of(principal).ok_or_else(|| Error::UnknownPrincipal(principal.clone()))?;
    let surface = surface_of(principal, resource);
    let (format, scheme) = if *action == Action::KeySign {
        let key = resource.as_key().and_then(|name| snapshot.keys.get(&name).cloned());
        let scheme = question.scheme.or_else(|| key.map(|key| key.key_type.default_scheme()));
        let native = || scheme.map_or(Format::Raw, Format::of_native);
        (Some(question.format.unwrap_or_else(native)), scheme)
    } else {
        (question.format, question.scheme)
    };
    let current = std::sync::Arc::clone(&snapshot.policy);
    drop(snapshot);

    let ask = Ask {
        caller: principal,
        judged: principal,
        roles: &roles,
        narrowing: None,
        surface,
        action: *action,
        resource,
        format,
        scheme,
    };
    let decision = current.policy.decide(&ask);
    let reason = explain(&decision);
    let rule = match &decision {
        Ok(rule) => Some((*rule).clone()),
        Err(countersign_model::policy::Denial::Rule(rule)) => Some(rule.clone()),
        Err(_) => None,
    };
    Ok(Decision { allowed: decision.is_ok(), rule, reason })
}

/// The surface that `principal` would ask for `resource` through.
fn surface_of(principal: &PrincipalName, resource: &Resource) -> Surface {
    let realm = principal.as_str().split_once(':');
    let of_resource = || resource.as_key().and_then(|key| key.owner()).filter(|s| s.judges_people());
    match realm {
        Some(("surface", name)) => name.parse().unwrap_or(Surface::Native),
        Some(("balena", _)) => Surface::Appliance,
        _ => of_resource().unwrap_or(Surface::Native),
    }
}

/// The most logged requests that can be replayed.
pub const MAX_REPLAY: u64 = 100_000;

/// What other rules would have decided about requests that were allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Replay {
    /// Requests that were looked at.
    pub replayed: u64,
    /// Those that would have been denied, the newest first. At most 1000 are listed.
    pub changed: Vec<Changed>,
}

/// A logged request whose decision would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the members of an entry")]
pub struct Changed {
    pub origin: Name,
    pub index: u64,
    pub time: String,
    pub request_id: RequestId,
    pub principal: PrincipalName,
    pub action: &'static str,
    pub resource: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<Scheme>,
    /// Always false: what is in the log was allowed.
    pub allowed: bool,
    pub reason: String,
}

/// Replays the last `last` requests of this node's log against `rules`. Everything in the log was allowed
/// when it happened, so what would change is what `rules` would deny. Principals are judged with the
/// roles that they have now.
///
/// # Errors
/// [`Error::NotPermitted`]; [`Error::InvalidRequest`] for rules that are not sound or more than
/// [`MAX_REPLAY`] requests; when the log cannot be read.
pub async fn test(ctx: &Context, caller: &Caller, rules: Vec<Rule>, last: u64) -> Result<Replay, Error> {
    if last > MAX_REPLAY {
        return Err(Error::invalid("last", format!("`last` is at most {MAX_REPLAY}")));
    }
    let policy = sound(rules)?;
    pipeline::authorise(ctx, caller, Action::PolicyRead, &Resource::policy())?;
    let roles: HashMap<PrincipalName, Vec<Name>> = {
        let snapshot = ctx.cache.read();
        snapshot.principals.values().map(|p| (p.name.clone(), p.roles.clone())).collect()
    };
    let origin = ctx.node.clone();
    let mut replay = Replay { replayed: 0, changed: Vec::new() };
    let head = log::fresh_head(ctx).await?;
    let reader = log::Reader::new(ctx, &origin);
    tokio::task::spawn_blocking(move || {
        let mut seen = 0;
        reader.backwards(head.size, last, |index, leaf| {
            let Ok(entry) = Entry::parse(leaf) else { return true };
            seen += 1;
            if replay.changed.len() < 1000 {
                replay.changed.extend(denied(&policy, &roles, &origin, index, entry));
            }
            true
        })?;
        replay.replayed = seen;
        Ok(replay)
    })
    .await
    .map_err(|_| Error::Internal("the replay was cut short".into()))?
}

/// What `policy` says to a logged request, if it says no.
fn denied(
    policy: &Policy,
    roles: &HashMap<PrincipalName, Vec<Name>>,
    origin: &Name,
    index: u64,
    entry: Entry,
) -> Option<Changed> {
    let (action, resource) = asked(&entry)?;
    let of_surface;
    // What people do with metadata they do in person, as `pipeline::authorise_person` judges.
    let (judged, roles) = if entry.surface.judges_people() || entry.op == Op::TufChange {
        (
            &entry.principal,
            roles.get(&entry.principal).cloned().unwrap_or_else(|| implied_roles(&entry.principal)),
        )
    } else {
        of_surface = PrincipalName::surface(entry.surface);
        (&of_surface, Vec::new())
    };
    let ask = Ask {
        caller: &entry.principal,
        judged,
        roles: &roles,
        narrowing: None,
        surface: entry.surface,
        action,
        resource: &resource,
        format: entry.format,
        scheme: entry.scheme,
    };
    let denial = policy.decide(&ask).err()?;
    Some(Changed {
        origin: origin.clone(),
        index,
        action: action.as_str(),
        resource: resource.to_string(),
        allowed: false,
        reason: denial.to_string(),
        time: entry.time,
        request_id: entry.request_id,
        principal: entry.principal,
        format: entry.format,
        scheme: entry.scheme,
    })
}

/// The question that a logged request was. `None` for what the system does by itself.
fn asked(entry: &Entry) -> Option<(Action, Resource)> {
    let action = match entry.op {
        Op::Sign => Action::KeySign,
        Op::KeyCreate => Action::KeyCreate,
        Op::KeyImport => Action::KeyImport,
        Op::KeyExport => Action::KeyExport,
        Op::KeyRetire => Action::KeyRetire,
        Op::KeyRevoke => Action::KeyRevoke,
        Op::PolicySet | Op::BackupCreate | Op::SealRotate => {
            return Some((Action::PolicyWrite, Resource::policy()));
        }
        Op::PrincipalCreate | Op::PrincipalDisable | Op::TokenCreate | Op::TokenRevoke => {
            // The subject is `PRINCIPAL` or `PRINCIPAL TOKEN`.
            let name = entry.subject.as_deref()?.split(' ').next()?;
            return Some((Action::PrincipalWrite, Resource::principal(name)));
        }
        Op::AuthoritySet => {
            // The subject is `NAME` and what was done.
            let name = entry.subject.as_deref()?.split(' ').next()?;
            return Some((Action::AuthorityWrite, Resource::authority(name)));
        }
        Op::TagWrite => {
            // So is it here.
            let name = entry.subject.as_deref()?.split(' ').next()?;
            return Some((Action::TagWrite, Resource::tag(name)));
        }
        Op::TufChange => {
            // The subject is `ROLE VERSION` and what was done, or `delegations` and a digest.
            let mut words = entry.subject.as_deref()?.split(' ');
            let action = match (words.next()?, words.nth(1)) {
                (_, Some("signed" | "override")) => Action::TufSign,
                (_, Some("stopped")) => Action::TufDelete,
                ("delegations", _) | ("root", Some("submitted")) => Action::TufWrite,
                // By which right depends on what came before.
                _ => return None,
            };
            return Some((action, crate::tuf::resource()));
        }
        Op::LogContinue => return None,
    };
    Some((action, Resource::key(entry.key.as_ref()?)))
}
