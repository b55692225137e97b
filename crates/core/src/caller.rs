//! Who asks.

use std::sync::Arc;

use countersign_model::policy::{Ask, Narrowing};
use countersign_model::{Action, Format, Name, PrincipalName, RequestId, Resource, Scheme, Surface};
use jiff::Timestamp;

/// Somebody whose credentials were found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Their name.
    pub principal: PrincipalName,
    /// Their roles.
    pub roles: Vec<Name>,
    /// What the token leaves of their rights.
    pub narrowing: Option<Narrowing>,
    /// The token that was shown; `None` for other credentials and for the control socket.
    pub token: Option<TokenRef>,
}

/// Names a token without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRef {
    /// Its public part.
    pub id: String,
    /// When it ends; `None`: never.
    pub expires: Option<Timestamp>,
}

impl Identity {
    /// Whether they have `role`.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|r| r.as_str() == role)
    }
}

/// One request: who asks, through which surface, and its id.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who asks.
    pub identity: Arc<Identity>,
    /// The surface that was asked.
    pub surface: Surface,
    /// The request.
    pub request_id: RequestId,
}

impl Caller {
    /// A request of `identity` through `surface`.
    pub fn new(identity: Arc<Identity>, surface: Surface, request_id: RequestId) -> Self {
        Self { identity, surface, request_id }
    }

    /// Puts a question to `decide`: the caller's own where policy judges people, else in the name of
    /// `surface:NAME`, because that surface has asked its own permissions already (and with them what the
    /// token leaves of the person's rights).
    pub(crate) fn ask<T>(
        &self,
        action: Action,
        resource: &Resource,
        format: Option<Format>,
        scheme: Option<Scheme>,
        decide: impl FnOnce(&Ask<'_>) -> T,
    ) -> T {
        if self.surface.judges_people() {
            return self.ask_in_person(action, resource, format, scheme, decide);
        }
        decide(&Ask {
            caller: &self.identity.principal,
            judged: &PrincipalName::surface(self.surface),
            roles: &[],
            narrowing: None,
            surface: self.surface,
            action,
            resource,
            format,
            scheme,
        })
    }

    /// Puts the caller's own question to `decide`, whatever the surface.
    pub(crate) fn ask_in_person<T>(
        &self,
        action: Action,
        resource: &Resource,
        format: Option<Format>,
        scheme: Option<Scheme>,
        decide: impl FnOnce(&Ask<'_>) -> T,
    ) -> T {
        decide(&Ask {
            caller: &self.identity.principal,
            judged: &self.identity.principal,
            roles: &self.identity.roles,
            narrowing: self.identity.narrowing.as_ref(),
            surface: self.surface,
            action,
            resource,
            format,
            scheme,
        })
    }
}
