//! What is to be published, read once: roots, the rows of the top level, and who signs what.

use std::collections::HashMap;
use std::sync::Arc;

use countersign_store::{Moving, RoleRow, TufTx};
use countersign_tuf::build::BINS;
use countersign_tuf::delegation::{Delegated, Delegations};
use countersign_tuf::metadata::{Document, Kind};
use countersign_tuf::root::Root;
use serde_json::{Map, Value};

use super::signers::{self, Signer};
use crate::context::Context;
use crate::error::Error;
use crate::tuf::error::Error as TufError;

/// An outstanding publication.
pub(super) struct Plan {
    /// Roots whose files are not there yet, by rising versions: version and file.
    pub roots: Vec<(u64, String)>,
    /// Whether the new root is to be visible only after the timestamp, which old and new keys sign.
    pub root_last: bool,
    /// Rows of the top level that move.
    pub targets: Option<RoleRow>,
    pub snapshot: Option<RoleRow>,
    pub timestamp: Option<RoleRow>,
    /// The version of the newest snapshot, moving or not.
    pub snapshot_version: u64,
    /// Those of each role of the top level; or why it cannot be signed.
    signers: HashMap<Kind, Result<Arc<[Signer]>, String>>,
    delegated: Delegates,
}

/// Who signs delegated roles.
#[derive(Default)]
struct Delegates {
    delegations: Option<Delegations>,
    /// All bins have the same keys; or why they cannot be signed.
    bins: Option<Result<Arc<[Signer]>, String>>,
}

impl Plan {
    /// Reads what is outstanding; `None`: nothing is.
    pub(super) async fn read(ctx: &Context, tx: &mut TufTx) -> Result<Option<Self>, Error> {
        if !tx.is_moving().await? {
            return Ok(None);
        }
        let Some((_, newest)) = tx.newest_root().await? else { return Ok(None) };
        let newest = root_of(&newest)?;
        let roots = tx.unpublished_roots().await?;
        let before = roots_before(tx, &roots).await?;
        let mut signers = HashMap::new();
        let (mut rotated, mut follow) = (false, true);
        for kind in [Kind::Targets, Kind::Snapshot, Kind::Timestamp] {
            let mut of_kind = signers::enough(ctx, kind.as_str(), newest.role(kind), &newest.keys);
            for before in &before {
                let mut old = signers::of_role(ctx, before.role(kind), &before.keys);
                old.retain(|signer| signers::check(ctx, signer).is_ok());
                // A client with the old root can follow until it sees the new one, if the old keys still sign.
                rotated |= before.role(kind).keyids != newest.role(kind).keyids;
                follow &= signers::are_enough(before.role(kind), &old);
                of_kind = of_kind.map(|mut new| {
                    old.retain(|old| new.iter().all(|new| new.keyid != old.keyid));
                    new.extend(old);
                    new
                });
            }
            signers.insert(kind, of_kind.map(Into::into));
        }
        let top = |name: &str| name.to_owned();
        let mut targets = None;
        let (mut snapshot, mut timestamp, mut snapshot_version) = (None, None, 0);
        let mut delegated = Delegates::default();
        for row in tx.roles(&[top("snapshot"), top("targets"), top("timestamp")]).await? {
            let moves = row.moving != Moving::No;
            match row.name.as_str() {
                "targets" => {
                    delegated = Delegates::read(ctx, &row)?;
                    targets = moves.then_some(row);
                }
                "snapshot" => {
                    snapshot_version = row.version;
                    snapshot = moves.then_some(row);
                }
                _ => timestamp = moves.then_some(row),
            }
        }
        // Without a new timestamp nobody would see that the keys have changed.
        let root_last = rotated && follow && timestamp.is_some();
        Ok(Some(Self {
            roots,
            root_last,
            targets,
            snapshot,
            timestamp,
            snapshot_version,
            signers,
            delegated,
        }))
    }

    /// Who signs a role of the top level.
    ///
    /// # Errors
    /// [`TufError::NoKeys`] if its keys that may sign now are fewer than its threshold.
    pub(super) fn top(&self, kind: Kind) -> Result<Arc<[Signer]>, TufError> {
        let none = || Err(format!("Role {} cannot be signed: it has no keys", kind.as_str()));
        self.signers.get(&kind).cloned().unwrap_or_else(none).map_err(TufError::NoKeys)
    }

    /// Who signs a delegated role.
    ///
    /// # Errors
    /// [`TufError::NoKeys`] if its keys that may sign now are fewer than its threshold, or nobody delegates to it.
    pub(super) fn delegated(&self, ctx: &Context, role: &str) -> Result<Arc<[Signer]>, TufError> {
        if let Some(bins) = &self.delegated.bins {
            return bins.clone().map_err(TufError::NoKeys);
        }
        let delegations = self.delegated.delegations.as_ref();
        let known = delegations.and_then(|known| Some((known, known.role(role)?)));
        let none = || TufError::NoKeys(format!("Role {role} cannot be signed: nobody delegates to it"));
        let (known, of) = known.ok_or_else(none)?;
        signers::enough(ctx, role, of, &known.keys).map(Into::into).map_err(TufError::NoKeys)
    }

    /// Whether each delegated role has keys of its own.
    pub(super) fn has_custom_roles(&self) -> bool {
        self.delegated.bins.is_none()
    }
}

impl Delegates {
    fn read(ctx: &Context, targets: &RoleRow) -> Result<Self, Error> {
        let Some(delegations) = delegations_of(targets)? else { return Ok(Self::default()) };
        let bins = match &delegations.delegated {
            Delegated::Bins(bins) => {
                let signers = signers::enough(ctx, BINS, &bins.role, &delegations.keys);
                Some(signers.map(Into::into))
            }
            Delegated::Roles(_) => None,
        };
        Ok(Self { delegations: Some(delegations), bins })
    }
}

/// The roots that clients may have while `unpublished` ones become visible one after the other: the newest that is
/// public, and each of these but the last.
async fn roots_before(tx: &mut TufTx, unpublished: &[(u64, String)]) -> Result<Vec<Root>, Error> {
    let Some((_, earlier)) = unpublished.split_last() else { return Ok(Vec::new()) };
    let published = tx.newest_published_root().await?.map(|(_, text)| root_of(&text)).transpose()?;
    let earlier = earlier.iter().map(|(_, text)| root_of(text));
    published.map(Ok).into_iter().chain(earlier).collect()
}

/// The member `delegations` in the head of targets; none if there are none.
pub(in crate::tuf) fn delegations_value(targets: &RoleRow) -> Result<Option<Value>, Error> {
    let damaged = || Error::Internal("the database's record of the top-level targets is damaged".into());
    let Some(head) = &targets.head else { return Ok(None) };
    let mut head: Map<String, Value> = serde_json::from_str(head).map_err(|_| damaged())?;
    Ok(head.remove("delegations").filter(|delegations| !delegations.is_null()))
}

/// The delegations in the head of targets; none if there are none.
pub(in crate::tuf) fn delegations_of(targets: &RoleRow) -> Result<Option<Delegations>, Error> {
    let damaged = || Error::Internal("the database's record of the delegations is damaged".into());
    delegations_value(targets)?
        .map(|value| Delegations::from_value(&value).map_err(|_| damaged()))
        .transpose()
}

fn root_of(text: &str) -> Result<Root, Error> {
    let document = Document::parse(text.as_bytes()).and_then(|document| document.root());
    document.map_err(|_| Error::Internal("the database's record of a root is damaged".into()))
}
