//! Principals, their tokens and Hawk pairs.
//!
//! Nobody gives what they do not have: a role can be given, and a credential made for somebody who has
//! it, only by who has the role too, or by an admin; and a token that narrows its principal's rights
//! makes no credentials at all, because the new one would be wider. In the same way nobody takes from
//! somebody mightier: who may not act as a principal may not disable it or revoke its credentials, and the
//! last one who can change the policy is not disabled at all.

use countersign_model::entry::Op;
use countersign_model::policy::{self, Effect, Permit, Rule};
use countersign_model::token::{ID_LEN, Token, base32};
use countersign_model::{Action, Name, PrincipalName, Resource, time};
use countersign_store::{PrincipalRecord, StoreError, TokenKind, TokenRecord};
use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

use crate::LogRef;
use crate::caller::{Caller, Identity, TokenRef};
use crate::context::Context;
use crate::error::{Error, Forbidden};
use crate::page::Page;
use crate::pipeline::{self, Logged};
use crate::policy::leaves_nobody;
use crate::random;
use crate::snapshot::{CurrentPolicy, Principal};

/// What the API says about a principal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PrincipalDocument {
    /// Its name.
    pub name: PrincipalName,
    /// Its roles.
    pub roles: Vec<Name>,
    /// When it was made: RFC 3339.
    pub created: String,
    /// Whether its credentials are refused.
    pub disabled: bool,
}

/// A page of principals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PrincipalList {
    /// In the order of their names.
    pub principals: Vec<PrincipalDocument>,
    /// What to ask for after this page.
    pub next: Option<PrincipalName>,
}

/// Makes a principal.
///
/// # Errors
/// [`Error::NotPermitted`], also for a role that the caller may not give; [`Error::InvalidRequest`] for a
/// role that no rule mentions; [`Error::NameTaken`].
pub async fn create(
    ctx: &Context,
    caller: &Caller,
    name: Name,
    roles: Vec<Name>,
) -> Result<Logged<PrincipalDocument>, Error> {
    check_roles(ctx, &roles)?;
    let name = PrincipalName::from(name);
    let resource = Resource::principal(name.as_str());
    let permit = pipeline::authorise(ctx, caller, Action::PrincipalWrite, &resource)?;
    check_may_give(ctx, caller, &permit, &name, &roles)?;
    // Held from the check to the write, so that what the log has did happen.
    let _writing = ctx.writing.lock().await;
    if ctx.cache.principal(&name).is_some() {
        return Err(name_taken(&name));
    }
    let log =
        pipeline::record(ctx, caller, &permit, Op::PrincipalCreate, None, Some(name.to_string())).await?;
    let record = PrincipalRecord {
        name: name.to_string(),
        roles: roles.iter().map(ToString::to_string).collect(),
        created: ctx.now(),
        disabled: false,
    };
    ctx.store.insert_principal(&record).await.map_err(|error| match error {
        StoreError::Conflict { .. } => {
            let _ = ctx.store_failed(error);
            name_taken(&name)
        }
        other => ctx.store_failed(other),
    })?;
    let principal = Principal::from_record(&record)?;
    let document = document(&principal);
    ctx.cache.write().principals.insert(name, principal.into());
    Ok(Logged::new(document, log))
}

fn name_taken(name: &PrincipalName) -> Error {
    Error::NameTaken { kind: "principal", name: name.to_string() }
}

fn check_roles(ctx: &Context, roles: &[Name]) -> Result<(), Error> {
    const MOST: usize = 50;
    if roles.len() > MOST {
        return Err(Error::invalid("roles", format!("at most {MOST} roles")));
    }
    let current = ctx.cache.policy();
    let mentioned = |role: &Name| {
        let patterns = current.policy.rules().iter().flat_map(|rule| &rule.principals);
        patterns.filter_map(|p| p.strip_prefix("role:")).any(|p| policy::matches(p, role.as_str()))
    };
    match roles.iter().enumerate().find(|(i, role)| roles[..*i].contains(role) || !mentioned(role)) {
        None => Ok(()),
        Some((i, role)) if roles[..i].contains(role) => {
            Err(Error::invalid("roles", format!("the role `{role}` stands twice")))
        }
        Some((_, role)) => Err(Error::invalid("roles", format!("no rule of the policy mentions `{role}`"))),
    }
}

/// Nobody gives what they do not have.
fn check_may_give(
    ctx: &Context,
    caller: &Caller,
    permit: &Permit,
    owner: &PrincipalName,
    roles: &[Name],
) -> Result<(), Error> {
    let identity = &caller.identity;
    let why = if identity.narrowing.is_some() {
        Some(Forbidden::Widening)
    } else {
        mightier(ctx, identity, owner, roles, Forbidden::Role)
    };
    why.map_or(Ok(()), |why| Err(not_permitted(identity, permit, why)))
}

/// Nobody takes from somebody mightier. That a token is narrowed is no obstacle: what it takes away it
/// does not get.
fn check_may_take(
    ctx: &Context,
    caller: &Caller,
    permit: &Permit,
    owner: &PrincipalName,
) -> Result<(), Error> {
    let identity = &caller.identity;
    // One's own credentials are always one's own, whatever the roles are by now. To an admin nobody is
    // mightier, also who is not known on this node yet.
    if identity.principal == *owner || identity.has_role("admin") {
        return Ok(());
    }
    let principal = find(ctx, owner)?;
    let why = mightier(ctx, identity, owner, &principal.roles, Forbidden::Mightier);
    why.map_or(Ok(()), |why| Err(not_permitted(identity, permit, why)))
}

/// Why `owner`, with `roles`, may do what `identity` may not; `None` if it is not so.
fn mightier(
    ctx: &Context,
    identity: &Identity,
    owner: &PrincipalName,
    roles: &[Name],
    by_role: fn(Name) -> Forbidden,
) -> Option<Forbidden> {
    if identity.has_role("admin") {
        return None;
    }
    let role = roles.iter().find(|role| !identity.has_role(role.as_str()));
    let by_rule = || unequal_rule(&ctx.cache.policy(), identity, owner, roles).map(Forbidden::Rule);
    role.cloned().map(by_role).or_else(by_rule)
}

fn not_permitted(identity: &Identity, permit: &Permit, why: Forbidden) -> Error {
    Error::NotPermitted {
        principal: identity.principal.clone(),
        action: permit.action(),
        resource: permit.resource().clone(),
        why,
    }
}

/// A rule that allows something to `owner` and not to the caller, or forbids something to the caller only:
/// rules can name people as well as roles.
fn unequal_rule(
    current: &CurrentPolicy,
    identity: &Identity,
    owner: &PrincipalName,
    roles: &[Name],
) -> Option<Name> {
    let concerned = |rule: &&Rule| {
        let other = rule.concerns(owner, roles);
        let own = rule.concerns(&identity.principal, &identity.roles);
        match rule.effect {
            Effect::Allow => other && !own,
            Effect::Deny => own && !other,
        }
    };
    let rules = current.policy.rules();
    // Whom no rule lets do anything can be made by anybody.
    let powerless = !rules.iter().any(|rule| rule.effect == Effect::Allow && rule.concerns(owner, roles));
    if powerless { None } else { rules.iter().find(concerned).map(|rule| rule.id.clone()) }
}

/// The principals that `caller` may read.
///
/// # Errors
/// None now; the shape leaves room.
pub fn list(ctx: &Context, caller: &Caller, page: &Page) -> Result<PrincipalList, Error> {
    let principals: Vec<_> = ctx.cache.read().principals.values().cloned().collect();
    let wanted = principals
        .into_iter()
        .filter(|p| page.after.as_deref().is_none_or(|after| p.name.as_str() > after))
        .filter(|p| pipeline::may(ctx, caller, Action::PrincipalRead, &Resource::principal(p.name.as_str())));
    let (principals, next) = page.cut(wanted, |p| p.name.clone());
    Ok(PrincipalList { principals: principals.iter().map(|p| document(p)).collect(), next })
}

/// One principal.
///
/// # Errors
/// [`Error::NotPermitted`], [`Error::UnknownPrincipal`].
pub fn get(ctx: &Context, caller: &Caller, name: &PrincipalName) -> Result<PrincipalDocument, Error> {
    pipeline::authorise(ctx, caller, Action::PrincipalRead, &Resource::principal(name.as_str()))?;
    find(ctx, name).map(|principal| document(&principal))
}

/// Refuses all credentials of a principal from now on.
///
/// # Errors
/// [`Error::NotPermitted`], also for a principal that may do what the caller may not;
/// [`Error::UnknownPrincipal`]; [`Error::LocksOut`] for the last one who can change the policy; and when
/// log or database cannot be written.
pub async fn disable(
    ctx: &Context,
    caller: &Caller,
    name: &PrincipalName,
) -> Result<Logged<PrincipalDocument>, Error> {
    let permit = permit_to_write(ctx, caller, name)?;
    // Held from the checks to the write: another disabling, or another policy, could lock out with this one.
    let _writing = ctx.writing.lock().await;
    let principal = find(ctx, name)?;
    check_may_take(ctx, caller, &permit, name)?;
    if principal.disabled {
        return Ok(Logged { value: document(&principal), log: None });
    }
    if leaves_nobody(&ctx.cache.read(), &principal) {
        return Err(Error::LocksOut);
    }
    let log =
        pipeline::record(ctx, caller, &permit, Op::PrincipalDisable, None, Some(name.to_string())).await?;
    ctx.store.disable_principal(name.as_str()).await.map_err(|e| ctx.store_failed(e))?;
    let disabled = Principal {
        name: principal.name.clone(),
        roles: principal.roles.clone(),
        created: principal.created,
        disabled: true,
    };
    let document = document(&disabled);
    ctx.cache.write().principals.insert(name.clone(), disabled.into());
    Ok(Logged::new(document, log))
}

fn permit_to_write(ctx: &Context, caller: &Caller, name: &PrincipalName) -> Result<Permit, Error> {
    pipeline::authorise(ctx, caller, Action::PrincipalWrite, &Resource::principal(name.as_str()))
}

fn find(ctx: &Context, name: &PrincipalName) -> Result<std::sync::Arc<Principal>, Error> {
    ctx.cache.principal(name).ok_or_else(|| Error::UnknownPrincipal(name.clone()))
}

fn document(principal: &Principal) -> PrincipalDocument {
    PrincipalDocument {
        name: principal.name.clone(),
        roles: principal.roles.clone(),
        created: time::seconds(principal.created),
        disabled: principal.disabled,
    }
}

/// When a credential ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// 90 days from now.
    Default,
    /// Never.
    Never,
    /// At this time.
    At(Timestamp),
}

const DEFAULT_LIFE: SignedDuration = SignedDuration::from_hours(90 * 24);

impl Expiry {
    fn resolve(self, now: Timestamp) -> Result<Option<Timestamp>, Error> {
        match self {
            Self::Default => Ok(now.checked_add(DEFAULT_LIFE).ok()),
            Self::Never => Ok(None),
            Self::At(time) if time > now => Ok(Some(time)),
            Self::At(_) => Err(Error::invalid("expires", "`expires` is in the past")),
        }
    }
}

/// A token to be made.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// What it is for, in the caller's words.
    pub label: Option<String>,
    /// When it ends.
    pub expires: Expiry,
    /// Patterns of the only actions that it allows.
    pub actions: Option<Vec<String>>,
    /// Patterns of the only resources that it allows.
    pub resources: Option<Vec<String>>,
}

/// A token that was made. Shown once.
#[derive(Serialize)]
pub struct TokenMade {
    /// Its public part.
    pub id: String,
    /// Its text.
    #[serde(serialize_with = "exposed")]
    pub token: Token,
    /// When it ends; `None`: never.
    pub expires: Option<String>,
}

fn exposed<S: Serializer>(token: &Token, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(token.expose())
}

fn exposed_text<S: Serializer>(secret: &Zeroizing<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret)
}

/// A Hawk pair that was made. Shown once.
#[derive(Serialize)]
pub struct HawkMade {
    /// Its id.
    pub id: String,
    /// Its secret, as text.
    #[serde(serialize_with = "exposed_text")]
    pub secret: Zeroizing<String>,
    /// When it ends; `None`: never.
    pub expires: Option<String>,
}

/// What the API says about a token or a Hawk pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub struct TokenDocument {
    pub id: String,
    /// `token` or `hawk`.
    pub kind: &'static str,
    pub label: Option<String>,
    pub created: String,
    pub expires: Option<String>,
    pub last_used: Option<String>,
    pub revoked: Option<String>,
}

/// All credentials of a principal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TokenList {
    /// In the order in which they were made.
    pub tokens: Vec<TokenDocument>,
}

/// Makes a token for `owner`.
///
/// # Errors
/// [`Error::NotPermitted`], also if the owner has a role that the caller may not give;
/// [`Error::InvalidRequest`] for an expiry in the past and for patterns that match nothing;
/// [`Error::UnknownPrincipal`]; [`Error::Conflict`] for a disabled one.
pub async fn create_token(
    ctx: &Context,
    caller: &Caller,
    owner: &PrincipalName,
    new: NewToken,
) -> Result<Logged<TokenMade>, Error> {
    check_label(new.label.as_deref())?;
    check_patterns(&new)?;
    let now = ctx.now();
    let expires = new.expires.resolve(now)?;
    let permit = permit_to_give(ctx, caller, owner)?;

    let token = Token::from_random(random::bytes()?, &Zeroizing::new(random::bytes()?));
    let log = record_credential(ctx, caller, &permit, owner, token.id()).await?;
    let record = TokenRecord {
        id: token.id().to_owned(),
        principal: owner.to_string(),
        kind: TokenKind::Token,
        hash: token.secret_hash().to_vec(),
        sealed: None,
        label: new.label,
        created: now,
        expires,
        last_used: None,
        revoked: None,
        actions: new.actions,
        resources: new.resources,
    };
    insert_token(ctx, record).await?;
    let expires = expires.map(time::seconds);
    Ok(Logged::new(TokenMade { id: token.id().to_owned(), token, expires }, log))
}

/// Makes a Hawk pair for `owner`. The secret is kept sealed, since checking a MAC needs it.
///
/// # Errors
/// As [`create_token`].
pub async fn create_hawk(
    ctx: &Context,
    caller: &Caller,
    owner: &PrincipalName,
    label: Option<String>,
    expires: Expiry,
) -> Result<Logged<HawkMade>, Error> {
    check_label(label.as_deref())?;
    let now = ctx.now();
    let expires = expires.resolve(now)?;
    let permit = permit_to_give(ctx, caller, owner)?;

    let mut id = base32(&random::bytes::<8>()?);
    id.truncate(ID_LEN);
    let (secret, sealed) = ctx.key_host.make_secret(&id).await?;
    let log = record_credential(ctx, caller, &permit, owner, &id).await?;
    let record = TokenRecord {
        id: id.clone(),
        principal: owner.to_string(),
        kind: TokenKind::Hawk,
        hash: Vec::new(),
        sealed: Some(sealed),
        label,
        created: now,
        expires,
        last_used: None,
        revoked: None,
        actions: None,
        resources: None,
    };
    insert_token(ctx, record).await?;
    let secret = String::from_utf8(secret.0.clone()).unwrap_or_else(|e| base32(e.as_bytes()));
    let made = HawkMade { id, secret: Zeroizing::new(secret), expires: expires.map(time::seconds) };
    Ok(Logged::new(made, log))
}

fn permit_to_give(ctx: &Context, caller: &Caller, owner: &PrincipalName) -> Result<Permit, Error> {
    let permit = permit_to_write(ctx, caller, owner)?;
    // Whether somebody is there is said only to who may write them: that was checked above.
    let principal = find(ctx, owner)?;
    check_may_give(ctx, caller, &permit, owner, &principal.roles)?;
    if principal.disabled {
        return Err(Error::Conflict(format!("principal `{owner}` is disabled")));
    }
    Ok(permit)
}

async fn record_credential(
    ctx: &Context,
    caller: &Caller,
    permit: &Permit,
    owner: &PrincipalName,
    id: &str,
) -> Result<LogRef, Error> {
    let subject = Some(format!("{owner} {id}"));
    pipeline::record(ctx, caller, permit, Op::TokenCreate, None, subject).await
}

async fn insert_token(ctx: &Context, record: TokenRecord) -> Result<(), Error> {
    let _writing = ctx.writing.lock().await;
    ctx.store.insert_token(&record).await.map_err(|e| ctx.store_failed(e))?;
    let mut snapshot = ctx.cache.write();
    if let Some(entry) = snapshot.token_entry(&record)? {
        snapshot.tokens.insert(record.id, entry);
    }
    Ok(())
}

fn check_label(label: Option<&str>) -> Result<(), Error> {
    match label {
        Some(label) if label.chars().count() > 256 => {
            Err(Error::invalid("label", "a label has at most 256 characters"))
        }
        _ => Ok(()),
    }
}

fn check_patterns(new: &NewToken) -> Result<(), Error> {
    const MOST: usize = 100;
    const LONGEST: usize = 300;
    for (member, patterns) in [("actions", &new.actions), ("resources", &new.resources)] {
        let Some(patterns) = patterns else { continue };
        if patterns.is_empty() || patterns.len() > MOST {
            return Err(Error::invalid(member, format!("1 to {MOST} patterns, or leave it out")));
        }
        if patterns.iter().any(|p| p.is_empty() || p.len() > LONGEST) {
            return Err(Error::invalid(member, format!("a pattern has 1 to {LONGEST} bytes")));
        }
    }
    let no_resource = |pattern: &&String| !policy::matches_a_resource(pattern);
    if let Some(pattern) = new.resources.iter().flatten().find(no_resource) {
        return Err(Error::invalid("resources", format!("`{pattern}` matches no resource")));
    }
    let matches_none = |pattern: &&String| !Action::ALL.iter().any(|a| policy::matches(pattern, a.as_str()));
    match new.actions.iter().flatten().find(matches_none) {
        Some(pattern) => Err(Error::invalid("actions", format!("`{pattern}` matches no action"))),
        None => Ok(()),
    }
}

/// All credentials that were ever made for a principal, without their secrets.
///
/// # Errors
/// [`Error::NotPermitted`], [`Error::UnknownPrincipal`], and when the database does not answer.
pub async fn tokens(ctx: &Context, caller: &Caller, owner: &PrincipalName) -> Result<TokenList, Error> {
    pipeline::authorise(ctx, caller, Action::PrincipalRead, &Resource::principal(owner.as_str()))?;
    find(ctx, owner)?;
    let records = ctx.store.tokens_of(owner.as_str()).await?;
    let document = |record: TokenRecord| {
        let in_memory = ctx.cache.read().tokens.get(&record.id).and_then(|entry| entry.unstored_use());
        TokenDocument {
            kind: record.kind.as_str(),
            label: record.label,
            created: time::seconds(record.created),
            expires: record.expires.map(time::seconds),
            last_used: in_memory.or(record.last_used).map(time::seconds),
            revoked: record.revoked.map(time::seconds),
            id: record.id,
        }
    };
    Ok(TokenList { tokens: records.into_iter().map(document).collect() })
}

/// Revokes a token or a Hawk pair, at once.
///
/// # Errors
/// [`Error::NotPermitted`], also for a credential of a principal that may do what the caller may not;
/// [`Error::NotFound`]; when log or database cannot be written.
pub async fn revoke_token(ctx: &Context, caller: &Caller, id: &str) -> Result<Option<LogRef>, Error> {
    // Held from the check to the write, so that of two who revoke it one writes the entry.
    let _writing = ctx.writing.lock().await;
    let record = if is_token_id(id) { ctx.store.token(id).await? } else { None };
    let Some(record) = record else {
        // Only who may write any principal learns that there is no such token.
        pipeline::authorise(ctx, caller, Action::PrincipalWrite, &Resource::principal("-"))?;
        return Err(Error::NotFound("such token".into()));
    };
    let owner: PrincipalName = record.principal.parse()?;
    let permit = permit_to_write(ctx, caller, &owner)?;
    check_may_take(ctx, caller, &permit, &owner)?;
    if record.revoked.is_some() {
        return Ok(None);
    }
    let subject = Some(format!("{owner} {id}"));
    let log = pipeline::record(ctx, caller, &permit, Op::TokenRevoke, None, subject).await?;
    ctx.store.revoke_token(id, ctx.now()).await.map_err(|e| ctx.store_failed(e))?;
    ctx.cache.write().tokens.remove(id);
    Ok(Some(log))
}

fn is_token_id(id: &str) -> bool {
    id.len() == ID_LEN && id.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'))
}

/// Who the caller is, in their own eyes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WhoAmI {
    /// Their name.
    pub principal: PrincipalName,
    /// Their roles.
    pub roles: Vec<Name>,
    /// The token that they showed.
    pub token: Option<WhoseToken>,
}

/// The token in [`WhoAmI`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WhoseToken {
    /// Its public part.
    pub id: String,
    /// When it ends.
    pub expires: Option<String>,
}

/// Says who the caller is.
pub fn whoami(caller: &Caller) -> WhoAmI {
    let identity = &caller.identity;
    let token =
        |token: &TokenRef| WhoseToken { id: token.id.clone(), expires: token.expires.map(time::seconds) };
    WhoAmI {
        principal: identity.principal.clone(),
        roles: identity.roles.clone(),
        token: identity.token.as_ref().map(token),
    }
}
