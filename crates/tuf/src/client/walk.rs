//! Every role that there is, for those who look at a whole repository and not for one path.

use super::{Client, ClientError, Stage, Wanted};
use crate::metadata::Kind;

impl Client {
    /// The file of a targets role, as the snapshot names it; `None` while there is no snapshot, and for a role that
    /// is not in it. Nothing changes by asking, so many can be fetched at once before they are wanted in order.
    pub fn file_of(&self, role: &str) -> Option<Wanted> {
        let meta = self.snapshot.as_ref()?.view.role(role)?;
        Some(self.wanted(role, Some(meta), self.limits.targets))
    }

    /// Sees to it that `role` is verified by what `parent` says of it. `None`: it is; else the file that is needed
    /// first: give it and ask again.
    ///
    /// - `parent`: a role that was verified and not forgotten, `root` for `targets`.
    ///
    /// # Errors
    /// [`ClientError`] if it cannot be verified.
    pub fn want(&mut self, role: &str, parent: &str) -> Result<Option<Wanted>, ClientError> {
        let top = self.roles.contains_key(Kind::Targets.as_str());
        if !top && let Some(wanted) = self.needs() {
            return Ok(Some(wanted));
        }
        if self.want_role(role, parent)? {
            self.stage = Stage::Nothing;
            return Ok(None);
        }
        Ok(self.needs())
    }

    /// Lets go of a role that was verified, with the memory that it took. Who wants it again gives it again.
    pub fn forget(&mut self, role: &str) {
        self.roles.remove(role);
        self.verified.retain(|(known, _)| known != role);
    }
}
