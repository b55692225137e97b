//! The publication log: what was published under tags and attestations, for everybody to read.
//!
//! The signing log says what keys did, and each node has one; this log says what was published, and a
//! deployment has one. A write puts its entries in the database, in the transaction that makes it
//! ([`Store::publish_leaves`](countersign_store::Store::publish_leaves) and its like), and then calls
//! [`wake`]; the publisher makes the tiles, has the checkpoint signed, and only then shows it:
//!
//! ```text
//! transaction ──▶ entries ──▶ tiles ──▶ checkpoint signed ──▶ head in the database ──▶ checkpoint
//!  (any node)     database    files      key log/publication   fenced, only grows       files
//! ```
//!
//! A crash between any two steps leaves what the next start goes on from: tiles never change, and nobody is
//! told of a checkpoint whose tiles are not there. Hash tiles and checkpoint are published files, below
//! `log/ORIGIN/`; bundles of entries are made from the database, because an entry can be masked.

mod key;
mod place;
mod publisher;
mod read;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use countersign_model::Name;
use countersign_store::LogHead;
use countersign_tlog::tree::Tree;
use tokio::sync::{Notify, watch};

use crate::context::Context;
use crate::error::Error;

pub(crate) use key::{ORIGIN, is_publication_log, new_origin};
pub(crate) use publisher::{finish, start};
pub use read::{
    EntriesDocument, MOST_ENTRIES, ProofDocument, bundle, checkpoint, consistency, entries, inclusion, tile,
    verifier_key,
};

/// Why nothing is published any more: going on would show two histories under one name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Halt {
    /// The database has fewer entries than it has a signed head of.
    #[error("the database has {have} of the {published} entries that were published")]
    EntriesLost {
        /// The size of the signed head.
        published: u64,
        /// What is there.
        have: u64,
    },
    /// The files have a later checkpoint than the database knows: the database was rolled back.
    #[error("{published} entries were published, and the database knows of {known} only")]
    RolledBack {
        /// The size of the published checkpoint.
        published: u64,
        /// The size of the head in the database.
        known: u64,
    },
    /// The entries do not lead to the root that was signed.
    #[error("the first {size} entries are not those that were signed")]
    Forked {
        /// How many.
        size: u64,
    },
    /// A published file is not what the entries make it.
    #[error("the published file `{name}` is not what the entries make it")]
    Differs {
        /// The file.
        name: String,
    },
    /// The published checkpoint cannot be read, or was signed by another key.
    #[error("the published checkpoint is not one of this log: {why}")]
    BadCheckpoint {
        /// What is wrong with it.
        why: String,
    },
}

impl Halt {
    /// One sentence that says what to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::EntriesLost { .. } | Self::RolledBack { .. } | Self::Forked { .. } => {
                "put back the newer database; `countersign backup restore` begins a log with a new origin"
            }
            Self::Differs { .. } => "keep the file as evidence, remove it, and restart",
            Self::BadCheckpoint { .. } => {
                "keep the file `checkpoint` as evidence, remove it, and restart: it is made again"
            }
        }
    }
}

/// What a [`Context`] knows of the publication log.
pub(crate) struct State {
    wake: Arc<Notify>,
    /// The newest head whose tiles are in the files of this node.
    head: watch::Sender<Option<Arc<LogHead>>>,
    /// The tree of that head. Held while this node publishes or follows.
    tree: tokio::sync::Mutex<Option<Tree>>,
    halt: Mutex<Option<Halt>>,
    origin: OnceLock<Name>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            wake: Arc::default(),
            head: watch::Sender::new(None),
            tree: tokio::sync::Mutex::default(),
            halt: Mutex::default(),
            origin: OnceLock::new(),
        }
    }
}

/// Tells the publisher that there are new entries. To be called after the commit.
pub fn wake(ctx: &Context) {
    ctx.publication.wake.notify_one();
}

/// The number of entries that the newest checkpoint covers, as far as this node knows.
pub fn size(ctx: &Context) -> u64 {
    ctx.publication.head.borrow().as_ref().map_or(0, |head| head.size)
}

/// Whether a checkpoint covers entry `index`.
pub fn published(ctx: &Context, index: u64) -> bool {
    size(ctx) > index
}

/// Waits until a checkpoint covers entry `index`, a second or so after its commit, but no longer than
/// `patience`. Tells whether one does.
pub async fn wait(ctx: &Context, index: u64, patience: Duration) -> bool {
    let mut heads = ctx.publication.head.subscribe();
    wake(ctx);
    let covers = |head: &Option<Arc<LogHead>>| head.as_ref().is_some_and(|head| head.size > index);
    matches!(tokio::time::timeout(patience, heads.wait_for(covers)).await, Ok(Ok(_)))
}

/// Why nothing is published, if so. What is written meanwhile is in the database and in no checkpoint.
///
/// # Errors
/// [`Error::PublicationStopped`].
pub fn check(ctx: &Context) -> Result<(), Error> {
    match halt(ctx) {
        Some(halt) => Err(Error::PublicationStopped(halt)),
        None => Ok(()),
    }
}

/// Why nothing is published, if so.
pub fn halt(ctx: &Context) -> Option<Halt> {
    ctx.publication.halt.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
