//! The rows of delegated roles, made what the delegations say of them.

use std::collections::{BTreeSet, HashMap};

use countersign_store::{Moving, RoleRow};
use countersign_tuf::delegation::Delegations;

use crate::tuf::apply::Job;
use crate::tuf::artifacts::Changed;
use crate::tuf::error::Error;
use crate::tuf::publish::{self, signers};
use crate::tuf::role;

/// What is to be written.
#[derive(Default)]
pub(super) struct Rows {
    /// Roles that are added, updated or deleted, as they will be.
    pub rows: Vec<RoleRow>,
    /// Names of those that there never were.
    new: BTreeSet<String>,
    /// Days that roles live; none: nobody delegates to them any more.
    days: Vec<(String, Option<u32>)>,
    /// Roles that get a version signed by the server.
    online: Vec<String>,
    /// Roles whose next version people are asked to sign.
    people: Vec<String>,
    /// What waited for people is signed by the server now.
    turned: Vec<String>,
    /// Nothing waits for signatures for these.
    dropped: Vec<String>,
}

/// Those of roles that are added or updated.
pub(super) async fn put(
    job: &mut Job<'_>,
    names: &[String],
    days: &[(String, u32)],
    before: Option<&Delegations>,
    after: &Delegations,
) -> Result<Rows, Error> {
    let days: HashMap<&str, u32> = days.iter().map(|(name, days)| (name.as_str(), *days)).collect();
    let mut known: HashMap<String, RoleRow> =
        job.tx.roles(names).await?.into_iter().map(|row| (row.name.clone(), row)).collect();
    let waiting: BTreeSet<String> =
        job.tx.all_pending().await?.into_iter().map(|pending| pending.role).collect();
    let mut rows = Rows::default();
    for name in names {
        let Some(role) = after.role(name) else { continue };
        let days = days.get(name.as_str()).copied().unwrap_or(1);
        rows.days.push((name.clone(), Some(days)));
        let online = signers::enough(job.ctx, name, role, &after.keys).is_ok();
        let others = before.is_none_or(|before| !same_signers(before, after, name));
        let row = match (known.remove(name), online) {
            (None, online) => {
                rows.new.insert(name.clone());
                // From nothing to its first version.
                let row = RoleRow { version: 0, moving: Moving::No, ..publish::first(job, name, days) };
                (if online { &mut rows.online } else { &mut rows.people }).push(name.clone());
                RoleRow { online, ..row }
            }
            (Some(row), true) => {
                if others || !row.online {
                    rows.online.push(name.clone());
                }
                // Only of what people signed: of an online role what is staged waits for who staged it.
                if !row.online {
                    rows.turned.push(name.clone());
                }
                RoleRow { days, online: true, document: None, ..row }
            }
            (Some(row), false) => {
                if others || row.online || (!row.listed && !waiting.contains(name)) {
                    rows.people.push(name.clone());
                }
                RoleRow { days, online: false, ..row }
            }
        };
        if online {
            rows.dropped.push(name.clone());
        }
        rows.rows.push(row);
    }
    Ok(rows)
}

/// Those of roles that nobody delegates to any more. They are never signed again; their last versions stay.
pub(super) async fn removed(job: &mut Job<'_>, names: &[String]) -> Result<Rows, Error> {
    let rows = job.tx.roles(names).await?.into_iter();
    Ok(Rows {
        rows: rows.map(|row| RoleRow { online: false, ..row }).collect(),
        days: names.iter().map(|name| (name.clone(), None)).collect(),
        dropped: names.to_vec(),
        ..Rows::default()
    })
}

impl Rows {
    /// How many roles there never were, and the bytes of their names.
    pub(super) fn new_names(&self) -> (u64, u64) {
        (self.new.len() as u64, self.new.iter().map(|name| name.len() as u64).sum())
    }

    /// Writes them, and notes what is to be signed.
    pub(super) async fn write(self, job: &mut Job<'_>, changed: &mut Changed) -> Result<(), Error> {
        for (name, days) in self.days {
            match days {
                Some(days) => drop(job.repository.days.insert(name, days)),
                None => drop(job.repository.days.remove(&name)),
            }
        }
        job.tx.put_roles(&self.rows).await?;
        if !self.turned.is_empty() {
            job.tx.apply_staged(&self.turned).await?;
        }
        role::changed(job, &self.dropped).await?;
        changed.online.extend(self.online);
        changed.people.extend(self.people);
        Ok(())
    }
}

/// Whether a role has the same keys and threshold as before.
fn same_signers(before: &Delegations, after: &Delegations, name: &str) -> bool {
    let (Some(old), Some(new)) = (before.role(name), after.role(name)) else { return false };
    let same_key = |keyid: &String| match (before.keys.get(keyid), after.keys.get(keyid)) {
        (Some(old), Some(new)) => old.is_same(new),
        _ => false,
    };
    old.keyids == new.keyids && old.threshold == new.threshold && old.keyids.iter().all(same_key)
}
