//! What moves in one publication.
//!
//! A role that changes takes snapshot and timestamp with it, each by one version; what did not change keeps its
//! version and its file.

use std::collections::BTreeSet;

use crate::bins::SuccinctRoles;
use crate::metadata::Kind;

/// The roles that get a new version together. The timestamp always does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Publication {
    /// Delegated roles, or bins.
    pub roles: BTreeSet<String>,
    /// Top-level targets.
    pub targets: bool,
    /// The snapshot.
    pub snapshot: bool,
}

/// What a repository delegates to.
#[derive(Clone, Debug)]
pub enum Layout {
    /// Hash bins.
    Bins(SuccinctRoles),
    /// Custom roles.
    Custom {
        /// Those that the server signs alone.
        online: BTreeSet<String>,
    },
}

/// Why roles cannot be signed anew on request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OnlineRefusal {
    /// The targets key is not the server's.
    #[error("Targets is an offline role - use other endpoint to update")]
    OfflineTargets,
    /// Not one of the roles that there are.
    #[error(
        "Hash bin delegation is used and only root, targets, snapshot, timestamp and bins roles can be bumped"
    )]
    NotWithBins,
    /// There are no bins.
    #[error("Custom target delegation used and bins cannot be bumped")]
    NoBins,
    /// Not an online role.
    #[error("Custom target delegation used and only online roles can be bumped")]
    NotOnline,
}

impl Publication {
    /// Delegated roles have changed.
    pub fn of_roles(roles: impl IntoIterator<Item = String>) -> Self {
        let roles: BTreeSet<String> = roles.into_iter().collect();
        Self { snapshot: !roles.is_empty(), targets: false, roles }
    }

    /// Somebody asks for new versions of `roles`, or of all if there are none. However a role is named, it moves
    /// by one.
    ///
    /// # Errors
    /// [`OnlineRefusal`].
    pub fn of_request(
        roles: &[String],
        layout: &Layout,
        targets_online: bool,
    ) -> Result<Self, OnlineRefusal> {
        let mut all = Self::default();
        if roles.is_empty() {
            all.targets = targets_online;
            all.snapshot = true;
            all.add_delegated(layout);
        }
        for role in roles {
            all.add(role, layout, targets_online)?;
        }
        Ok(all)
    }

    fn add(&mut self, role: &str, layout: &Layout, targets_online: bool) -> Result<(), OnlineRefusal> {
        match (role, layout) {
            // Root is offline: it is accepted for the sake of clients that name every role.
            ("root" | "timestamp", _) => {}
            ("snapshot", _) => self.snapshot = true,
            ("targets", _) if !targets_online => return Err(OnlineRefusal::OfflineTargets),
            ("targets", _) => (self.targets, self.snapshot) = (true, true),
            ("bins", Layout::Bins(_)) => {
                self.snapshot = true;
                self.add_delegated(layout);
            }
            (_, Layout::Bins(_)) => return Err(OnlineRefusal::NotWithBins),
            (role, Layout::Custom { online }) if online.contains(role) => {
                self.snapshot = true;
                self.roles.insert(role.to_owned());
            }
            ("bins", Layout::Custom { .. }) => return Err(OnlineRefusal::NoBins),
            (_, Layout::Custom { .. }) => return Err(OnlineRefusal::NotOnline),
        }
        Ok(())
    }

    fn add_delegated(&mut self, layout: &Layout) {
        match layout {
            Layout::Bins(bins) => self.roles.extend(bins.names()),
            Layout::Custom { online } => self.roles.extend(online.iter().cloned()),
        }
    }

    /// All that move, in the only order in which their files may become visible: a file is there before another
    /// names it, and the timestamp is the last.
    pub fn in_order(&self) -> impl Iterator<Item = &str> {
        let delegated = self.roles.iter().map(String::as_str);
        let targets = self.targets.then_some(Kind::Targets.as_str());
        let snapshot = self.snapshot.then_some(Kind::Snapshot.as_str());
        delegated.chain(targets).chain(snapshot).chain([Kind::Timestamp.as_str()])
    }
}
