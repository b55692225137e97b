//! Who asks: the holder of a native token (`principal:NAME`), of an account (`account:NAME`), or anybody.
//!
//! Credentials that are not good are as none at all, so that what is public can be read with them; where a right is
//! missing the answer is 401.

use std::sync::Arc;

use countersign_core::auth::{Presented, authenticate};
use countersign_core::collections::Who;
use countersign_core::collections::accounts::authenticate_account;
use countersign_core::pipeline::authorise_person;
use countersign_core::{Caller, Code, Identity};
use countersign_model::policy::Narrowing;
use countersign_model::token::Token;
use countersign_model::{Action, PrincipalName, Resource, Surface};
use http::request::Parts;

use super::error::Refusal;
use crate::app::{App, Meta};
use crate::auth::{Peer, Shown};
use crate::listener::Remote;
use crate::problem::Problem;

/// Who asks.
///
/// # Errors
/// 400 for credentials that stand twice; 503 if too many passwords are being checked.
pub async fn who(app: &App, parts: &Parts) -> Result<Who, Refusal> {
    let meta = parts.extensions.get::<Meta>().ok_or_else(|| Problem::new(Code::Internal, "no request id"))?;
    let found = match Shown::bearer_or_basic(&parts.headers)? {
        None if meta.peer == Peer::Control => by_token(app, Presented::Control),
        None => None,
        Some(shown) => match by_token(app, shown.presented()) {
            Some(found) => Some(found),
            None => by_password(app, &shown, parts.extensions.get::<Remote>()).await?,
        },
    };
    let caller = |identity| Caller::new(identity, Surface::Collections, meta.request_id.clone());
    let Some((identity, user)) = found else {
        let caller = caller(nobody());
        return Ok(Who { caller, user: None, admin: false });
    };
    let caller = caller(identity);
    let admin = is_admin(app, &caller);
    Ok(Who { caller, user: Some(user), admin })
}

type Found = (Arc<Identity>, String);

fn by_token(app: &App, presented: Presented<'_>) -> Option<Found> {
    let identity = authenticate(&app.ctx, presented).ok()?;
    if !identity.narrowing.as_ref().is_none_or(reaches_collections) {
        return None;
    }
    let user = format!("principal:{}", identity.principal);
    Some((identity, user))
}

/// Whether a token that is limited to some actions and resources may be used here at all: what it may do here is
/// not judged action by action.
fn reaches_collections(narrowing: &Narrowing) -> bool {
    let reaches = |patterns: &Option<Vec<String>>, known: &[&str]| {
        patterns.as_ref().is_none_or(|patterns| patterns.iter().any(|p| known.contains(&p.as_str())))
    };
    reaches(&narrowing.actions, &["*", "collection:*", "collection:admin"])
        && reaches(&narrowing.resources, &["*", "collection:*"])
}

async fn by_password(app: &App, shown: &Shown, remote: Option<&Remote>) -> Result<Option<Found>, Refusal> {
    let Shown::Named { text, colon } = shown else { return Ok(None) };
    let (name, password) = (&text[..*colon], shown.token());
    // A text in the form of a token is no password: its form is no secret.
    if Token::parse(password).is_ok() {
        return Ok(None);
    }
    let place = remote.map(|remote| remote.address());
    let Some(user) = authenticate_account(&app.ctx, name, password, place).await? else { return Ok(None) };
    let Ok(principal) = user.parse::<PrincipalName>() else { return Ok(None) };
    let identity = Identity { principal, roles: Vec::new(), narrowing: None, token: None };
    Ok(Some((Arc::new(identity), user)))
}

/// As the signing log names who has shown nothing: the surface itself.
fn nobody() -> Arc<Identity> {
    let principal = PrincipalName::surface(Surface::Collections);
    Arc::new(Identity { principal, roles: Vec::new(), narrowing: None, token: None })
}

fn is_admin(app: &App, caller: &Caller) -> bool {
    let all = "collection:*".parse::<Resource>();
    all.is_ok_and(|all| authorise_person(&app.ctx, caller, Action::CollectionAdmin, &all).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_is_limited_to_something_else_is_no_credential_here() {
        let narrowing = |actions: Option<&[&str]>, resources: Option<&[&str]>| {
            let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
            Narrowing { actions: actions.map(texts), resources: resources.map(texts) }
        };
        assert!(reaches_collections(&narrowing(None, None)));
        assert!(reaches_collections(&narrowing(Some(&["key:sign", "collection:*"]), None)));
        assert!(!reaches_collections(&narrowing(Some(&["key:sign"]), None)));
        assert!(!reaches_collections(&narrowing(None, Some(&["key:release"]))));
        assert!(!reaches_collections(&narrowing(None, Some(&["collection:one"]))));
    }
}
