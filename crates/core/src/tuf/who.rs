//! Who asked for a task, as it is stored with it, and who acts when nobody did.

use std::sync::Arc;

use countersign_model::{Name, PrincipalName, RequestId, Surface};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::caller::{Caller, Identity, TokenRef};
use crate::context::Context;
use crate::error::Error;

/// What is kept of a [`Caller`]: enough for the log. What a token leaves of a person's rights was judged when the task
/// was taken, and is not kept.
#[derive(Serialize, Deserialize)]
struct Stored {
    principal: String,
    roles: Vec<String>,
    token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    token_expires: Option<Timestamp>,
    request_id: String,
}

/// As it is stored.
pub(super) fn to_text(caller: &Caller) -> String {
    let identity = &caller.identity;
    let stored = Stored {
        principal: identity.principal.to_string(),
        roles: identity.roles.iter().map(ToString::to_string).collect(),
        token: identity.token.as_ref().map(|token| token.id.clone()),
        token_expires: identity.token.as_ref().and_then(|token| token.expires),
        request_id: caller.request_id.to_string(),
    };
    serde_json::to_string(&stored).unwrap_or_default()
}

/// Whoever it was.
///
/// # Errors
/// [`Error::Internal`] if the record is damaged.
pub(super) fn of_text(text: &str) -> Result<Caller, Error> {
    let damaged = || Error::Internal("the database's record of a task's caller is damaged".into());
    let stored: Stored = serde_json::from_str(text).map_err(|_| damaged())?;
    let roles: Result<Vec<Name>, _> = stored.roles.iter().map(|role| role.parse()).collect();
    let identity = Identity {
        principal: stored.principal.parse().map_err(|_| damaged())?,
        roles: roles.map_err(|_| damaged())?,
        narrowing: None,
        token: stored.token.map(|id| TokenRef { id, expires: stored.token_expires }),
    };
    let request_id: RequestId = stored.request_id.parse().map_err(|_| damaged())?;
    Ok(Caller::new(Arc::new(identity), Surface::Tuf, request_id))
}

/// The surface's own request, for what nobody asked for, and for what many asked for together.
pub(super) fn by_surface(ctx: &Context) -> Caller {
    let principal = PrincipalName::surface(Surface::Tuf);
    let identity = Identity { principal, roles: Vec::new(), narrowing: None, token: None };
    Caller::new(Arc::new(identity), Surface::Tuf, ctx.request_id())
}
