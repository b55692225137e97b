//! Who asks, as Kinto's permissions name them.

use crate::caller::Caller;

/// `system.Everyone`.
pub const EVERYONE: &str = "system.Everyone";
/// `system.Authenticated`.
pub const AUTHENTICATED: &str = "system.Authenticated";

/// The caller of a request to the collections surface.
#[derive(Clone, Debug)]
pub struct Who {
    /// As policy and the signing log name them; for who has shown nothing, or credentials that are not good,
    /// the surface itself.
    pub caller: Caller,
    /// `principal:NAME` or `account:NAME`; `None`: anonymous.
    pub user: Option<String>,
    /// Whether they hold `collection:admin`: they may make buckets and accounts, and write in every bucket.
    pub admin: bool,
}

impl Who {
    /// Their principals but for groups: what they are whatever is asked.
    pub fn own_principals(&self) -> Vec<String> {
        let mut principals = Vec::with_capacity(4);
        if let Some(user) = &self.user {
            principals.push(user.clone());
            principals.push(AUTHENTICATED.to_owned());
        }
        principals.push(EVERYONE.to_owned());
        principals
    }
}
