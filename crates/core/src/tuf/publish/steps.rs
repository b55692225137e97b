//! The steps of a publication, for who watches them.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use crate::tuf::error::Error;

/// A step that was made. Between any two of them a crash is healed at the next start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Tasks have changed the database.
    Applied,
    /// Signatures of so many roles were made, and are nowhere yet.
    Signed(usize),
    /// They are in the database.
    Stored,
    /// Files of these roles are there, which nothing names yet.
    Files(Vec<String>),
    /// A root is visible.
    Root(u64),
    /// The timestamp is, and with it all that was written before.
    Timestamp,
    /// The database knows it. Tasks have ended.
    Settled,
}

type Watcher = Arc<dyn Fn(&Step) -> Result<(), Error> + Send + Sync>;

/// Who is told of steps: one watcher, or none.
#[derive(Default)]
pub struct Steps(RwLock<Option<Watcher>>);

impl Steps {
    /// Has `watcher` called after each step. Where it fails, the publication ends as by a crash, and is taken up again
    /// after a while.
    pub fn watch(&self, watcher: impl Fn(&Step) -> Result<(), Error> + Send + Sync + 'static) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(watcher));
    }

    pub(in crate::tuf) fn made(&self, step: Step) -> Result<(), Error> {
        let watcher = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        watcher.map_or(Ok(()), |watcher| watcher(&step))
    }
}

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Steps")
    }
}
