//! The principals of a request: who it is, and the groups they are in.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::error::Error;
use super::uri::ObjectUri;
use super::who::Who;
use super::work::{Mode, Work};
use crate::context::Context;

/// What a transaction knows of groups.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// The groups of a user in the store.
    stored: HashMap<String, Vec<String>>,
    /// Groups that were changed in this transaction: these are looked at as they are there.
    changed: Vec<ObjectUri>,
}

impl Groups {
    /// A group is not as it was in the store.
    pub(super) fn changed(&mut self, uri: &ObjectUri) {
        if !self.changed.contains(uri) {
            self.changed.push(uri.clone());
        }
    }

    /// What is in the store is no longer what was read.
    pub(super) fn forget(&mut self) {
        self.stored.clear();
    }
}

/// The members of a group: user ids.
pub fn members(data: &Map<String, Value>) -> impl Iterator<Item = &str> {
    data.get("members").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// All principals of `who`, as they are now.
///
/// # Errors
/// [`Error::Other`] if the database does not answer.
pub async fn principals_of(ctx: &Context, who: &Who) -> Result<Vec<String>, Error> {
    of(&mut Work::begin(ctx, Mode::Read).await?, who).await
}

/// All principals of `who`: the user, `system.Authenticated`, `system.Everyone`, and the URIs of their groups.
///
/// # Errors
/// [`Error::Other`] if the database does not answer.
pub async fn of(work: &mut Work<'_>, who: &Who) -> Result<Vec<String>, Error> {
    let mut principals = who.own_principals();
    let Some(user) = &who.user else { return Ok(principals) };
    if !work.groups.stored.contains_key(user) {
        let groups = work.store().await?.groups_of(std::slice::from_ref(user)).await?;
        work.groups.stored.insert(user.clone(), groups);
    }
    let own = principals.len();
    principals.extend_from_slice(&work.groups.stored[user]);
    for group in &work.groups.changed {
        let Some(now) = work.known(group) else { continue };
        let uri = group.to_string();
        let is_member = match now {
            Some(group) => members(group.data()?).any(|member| member == user),
            None => false,
        };
        match principals[own..].iter().position(|known| *known == uri) {
            Some(at) if !is_member => drop(principals.remove(own + at)),
            None if is_member => principals.push(uri),
            _ => {}
        }
    }
    Ok(principals)
}
