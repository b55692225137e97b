//! Who answers for a path (specification 5.6.7): a walk over delegations, the most trusted first.

use std::collections::BTreeSet;

use super::{Client, ClientError, Stage, Wanted};
use crate::metadata::Kind;
use crate::targets::TargetFile;

/// What is known about a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// A file is needed first: give it and look again.
    Needs(Wanted),
    /// The file at this path.
    Found(TargetFile),
    /// The repository has no such file.
    Absent,
}

impl Client {
    /// Looks `path` up: top-level targets, then delegated roles in order, at most [`super::Limits::delegations`],
    /// none twice. Roles that were given once are not asked for again.
    ///
    /// # Errors
    /// [`ClientError`] if a role on the way cannot be verified.
    pub fn find(&mut self, path: &str) -> Result<Lookup, ClientError> {
        let top = self.roles.contains_key(Kind::Targets.as_str());
        if !top && let Some(wanted) = self.needs() {
            return Ok(Lookup::Needs(wanted));
        }
        self.stage = Stage::Nothing;
        let mut waiting = vec![(Kind::Targets.to_string(), Kind::Root.to_string())];
        let mut visited = BTreeSet::new();
        while let Some((role, parent)) = waiting.pop() {
            if visited.len() > self.limits.delegations {
                break;
            }
            if visited.contains(&role) {
                continue;
            }
            if !self.want_role(&role, &parent)?
                && let Some(wanted) = self.needs()
            {
                return Ok(Lookup::Needs(wanted));
            }
            if let Some(target) = self.target(&role, path)? {
                return Ok(Lookup::Found(target));
            }
            let delegations = self.roles.get(&role).and_then(|trusted| trusted.view.as_ref());
            let children = delegations.map(|delegations| delegations.roles_for(path)).unwrap_or_default();
            if children.last().is_some_and(|child| child.terminating) {
                // Nobody else is asked, also not those that wait from further up.
                waiting.clear();
            }
            waiting.extend(children.into_iter().rev().map(|child| (child.name, role.clone())));
            visited.insert(role);
        }
        Ok(Lookup::Absent)
    }

    fn target(&self, role: &str, path: &str) -> Result<Option<TargetFile>, ClientError> {
        let Some(trusted) = self.roles.get(role) else { return Ok(None) };
        let listed = trusted.document.target(path);
        listed.map_err(|source| ClientError::Metadata { file: role.to_owned(), source })
    }
}
