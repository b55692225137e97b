//! The client's workflow (specification 5), as a machine that is given bytes.
//!
//! It opens nothing and connects to nothing: it says which file it needs, and is given its bytes or told that
//! there is none.
//!
//! ```no_run
//! # fn fetch(_: &str, _: u64) -> Option<Vec<u8>> { None }
//! # fn example(trusted_root: &[u8], now: jiff::Timestamp) -> Result<(), countersign_tuf::client::ClientError> {
//! use countersign_tuf::client::{Client, Local, Lookup};
//!
//! let mut client = Client::new(trusted_root, Local::default(), now)?;
//! let found = loop {
//!     // Refreshes root, timestamp, snapshot and targets first, then asks for delegated roles.
//!     match client.find("dist/one-1.0.tar.gz")? {
//!         Lookup::Needs(wanted) => match fetch(&wanted.name, wanted.limit) {
//!             Some(bytes) => client.give(bytes)?,
//!             None => client.give_missing()?,
//!         },
//!         Lookup::Found(target) => break Some(target),
//!         Lookup::Absent => break None,
//!     }
//! };
//! # Ok(())
//! # }
//! ```
//!
//! What it refuses is never trusted: after an error [`Client::trusted`] has what was verified before it, which may
//! be kept for the next time.

mod error;
mod search;
mod update;
mod walk;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

pub use error::ClientError;
pub use search::Lookup;

use crate::delegation::Delegations;
use crate::meta::{Meta, Snapshot};
use crate::metadata::{Document, Kind};
use crate::names::file_name;
use crate::root::Root;

/// How much a client reads; the defaults are python-tuf's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a root.
    pub root: u64,
    /// Bytes of the timestamp.
    pub timestamp: u64,
    /// Bytes of a snapshot.
    pub snapshot: u64,
    /// Bytes of a targets role.
    pub targets: u64,
    /// Roots after the trusted one, in one refresh.
    pub rotations: u64,
    /// Delegated roles that are asked for one path.
    pub delegations: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            root: 512_000,
            timestamp: 16_384,
            snapshot: 2_000_000,
            targets: 5_000_000,
            rotations: 256,
            delegations: 32,
        }
    }
}

/// Metadata that was kept from the last time. It is verified again, and what does not verify is not used.
#[derive(Clone, Debug, Default)]
pub struct Local {
    /// The last timestamp: versions must not fall below it.
    pub timestamp: Option<Vec<u8>>,
    /// The last snapshot: no role may be missing or fall below it.
    pub snapshot: Option<Vec<u8>>,
    /// Targets roles by name; used in place of a download where they are the files that the snapshot means.
    pub roles: BTreeMap<String, Vec<u8>>,
}

/// A file that is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name below the repository's metadata address, one segment, percent-encoded.
    pub name: String,
    /// How many bytes may be read: more are refused.
    pub limit: u64,
    /// Whether it may well be missing: the root after the newest.
    pub optional: bool,
}

/// A client in the middle of its work.
#[derive(Debug)]
pub struct Client {
    now: Timestamp,
    limits: Limits,
    local: Local,
    /// The root that everything began with: whether timestamp and snapshot keys changed is seen from it.
    first: Root,
    root: Trusted<Root>,
    rotations: u64,
    timestamp: Option<Trusted<Meta>>,
    snapshot: Option<Trusted<Snapshot>>,
    /// An older snapshot, which the new one must not fall behind.
    older: Option<Snapshot>,
    roles: BTreeMap<String, Trusted<Option<Delegations>>>,
    /// Role and who delegated to it, where the signatures were verified.
    verified: BTreeSet<(String, String)>,
    stage: Stage,
}

/// A document that was verified, with what is read of it.
#[derive(Debug)]
struct Trusted<View> {
    bytes: Vec<u8>,
    document: Document,
    view: View,
}

/// What is needed next.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// The root after the trusted one.
    Root,
    Timestamp,
    Snapshot,
    /// A targets role, and who delegates to it.
    Role {
        role: String,
        parent: String,
    },
    Nothing,
}

impl Client {
    /// A client that trusts `root`, at the time `now`, with python-tuf's limits.
    ///
    /// `root`: the newest root that was verified, or the one that came with the client. It is checked by itself
    /// only, and may have expired.
    ///
    /// # Errors
    /// [`ClientError`] if it is not a root that its own keys have signed.
    pub fn new(root: &[u8], local: Local, now: Timestamp) -> Result<Self, ClientError> {
        Self::with_limits(root, local, now, Limits::default())
    }

    /// As [`Self::new`], with other limits.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_limits(
        root: &[u8],
        local: Local,
        now: Timestamp,
        limits: Limits,
    ) -> Result<Self, ClientError> {
        let root = update::first_root(root)?;
        Ok(Self {
            now,
            limits,
            local,
            first: root.view.clone(),
            root,
            rotations: 0,
            timestamp: None,
            snapshot: None,
            older: None,
            roles: BTreeMap::new(),
            verified: BTreeSet::new(),
            stage: Stage::Root,
        })
    }

    /// The next file, or `None` when root, timestamp, snapshot and targets are up to date and no search waits.
    pub fn needs(&self) -> Option<Wanted> {
        match &self.stage {
            Stage::Root => {
                let next = self.root.document.version().saturating_add(1);
                let name = file_name(Kind::Root.as_str(), Some(next));
                Some(Wanted { name, limit: self.limits.root, optional: true })
            }
            Stage::Timestamp => Some(self.wanted(Kind::Timestamp.as_str(), None, self.limits.timestamp)),
            Stage::Snapshot => {
                let meta = self.timestamp.as_ref().map(|timestamp| &timestamp.view);
                Some(self.wanted(Kind::Snapshot.as_str(), meta, self.limits.snapshot))
            }
            Stage::Role { role, .. } => {
                let meta = self.snapshot.as_ref().and_then(|snapshot| snapshot.view.role(role));
                Some(self.wanted(role, meta, self.limits.targets))
            }
            Stage::Nothing => None,
        }
    }

    /// The file of `role`; `meta`: what is said about it, `limit`: bytes that are read where nothing is said.
    fn wanted(&self, role: &str, meta: Option<&Meta>, limit: u64) -> Wanted {
        let consistent = self.root.view.consistent_snapshot;
        Wanted {
            name: file_name(role, meta.filter(|_| consistent).map(|meta| meta.version)),
            limit: meta.and_then(|meta| meta.length).map_or(limit, |length| length.min(limit)),
            optional: false,
        }
    }

    /// Takes the file that [`Self::needs`] named.
    ///
    /// # Errors
    /// [`ClientError`]; nothing of the file is then trusted, and the same file is still needed.
    pub fn give(&mut self, bytes: Vec<u8>) -> Result<(), ClientError> {
        let Some(wanted) = self.needs() else { return Err(ClientError::NotAsked) };
        if bytes.len() as u64 > wanted.limit {
            return Err(ClientError::TooLong { file: wanted.name, limit: wanted.limit });
        }
        match self.stage.clone() {
            Stage::Root => self.give_root(bytes),
            Stage::Timestamp => self.give_timestamp(bytes),
            Stage::Snapshot => self.give_snapshot(bytes, &wanted.name),
            Stage::Role { role, parent } => self.give_role(bytes, &wanted.name, &role, &parent),
            Stage::Nothing => Err(ClientError::NotAsked),
        }
    }

    /// Takes note that there is no file of the name in [`Self::needs`].
    ///
    /// # Errors
    /// [`ClientError::Missing`], unless it is the next root: then the trusted one is the newest, and errors are
    /// about it.
    pub fn give_missing(&mut self) -> Result<(), ClientError> {
        match (self.needs(), &self.stage) {
            (Some(_), Stage::Root) => self.end_roots(),
            (Some(wanted), _) => Err(ClientError::Missing { file: wanted.name }),
            (None, _) => Err(ClientError::NotAsked),
        }
    }

    /// The trusted root.
    pub fn root(&self) -> &Document {
        &self.root.document
    }

    /// The verified timestamp.
    pub fn timestamp(&self) -> Option<&Document> {
        self.timestamp.as_ref().map(|trusted| &trusted.document)
    }

    /// The verified snapshot.
    pub fn snapshot(&self) -> Option<&Document> {
        self.snapshot.as_ref().map(|trusted| &trusted.document)
    }

    /// The verified targets role of this name, if it was needed.
    pub fn targets(&self, role: &str) -> Option<&Document> {
        self.roles.get(role).map(|trusted| &trusted.document)
    }

    /// All that is trusted now, to be kept for the next time: role and bytes.
    pub fn trusted(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let top = [
            Some((Kind::Root.as_str(), &self.root.bytes)),
            self.timestamp.as_ref().map(|trusted| (Kind::Timestamp.as_str(), &trusted.bytes)),
            self.snapshot.as_ref().map(|trusted| (Kind::Snapshot.as_str(), &trusted.bytes)),
        ];
        let roles = self.roles.iter().map(|(role, trusted)| (role.as_str(), &trusted.bytes));
        top.into_iter().flatten().chain(roles).map(|(role, bytes)| (role, bytes.as_slice()))
    }
}
