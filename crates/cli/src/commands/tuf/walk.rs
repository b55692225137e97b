//! Every role of a repository, one after another: fetched ahead, verified in order, and let go of.

use std::collections::{BTreeSet, VecDeque};

use countersign_tuf::client::Wanted;
use countersign_tuf::delegation::{Delegated, Delegations};
use countersign_tuf::metadata::{Document, Kind};
use countersign_tuf::root::{Keys, Role};
use countersign_tuf::threshold::Tally;
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::reader::Reader;
use super::refused;
use crate::failure::{Failure, Kind as Answer};

/// How many files are fetched at once.
const AHEAD: usize = 16;
/// How many roles are named that the snapshot does not have.
const UNPUBLISHED: usize = 1_000;
/// How many delegations are followed: 64 times as many as the most bins of a repository.
const MOST: usize = 1 << 20;

/// What is told of a role that was verified.
pub struct Found {
    /// Its name.
    pub role: String,
    /// Who delegates to it.
    pub parent: String,
    /// Its version.
    pub version: u64,
    /// When it expires.
    pub expires: jiff::Timestamp,
    /// How many keys must sign.
    pub threshold: u64,
    /// How many have.
    pub have: usize,
    /// How many targets it lists.
    pub targets: usize,
}

impl Found {
    /// As it is printed with `--json`.
    pub fn document(&self) -> Value {
        json!({
            "role": self.role, "delegated_by": self.parent, "version": self.version,
            "expires": self.expires.to_string(), "threshold": self.threshold, "signatures": self.have,
            "targets": self.targets,
        })
    }

    fn of(document: &Document, parent: &str, role: &str, keys: &Keys, by: &Role) -> Self {
        let tally = Tally::of(document, keys, by);
        Self {
            role: role.to_owned(),
            parent: parent.to_owned(),
            version: document.version(),
            expires: document.expires(),
            threshold: tally.threshold,
            have: tally.have.len(),
            targets: document.targets().map_or(0, |targets| targets.targets.len()),
        }
    }
}

/// The delegated roles of a repository.
pub struct Walked {
    /// Those that were verified.
    pub found: Vec<Found>,
    /// Those that the snapshot does not have: they wait for their first signatures. Not all, if there are very many.
    pub unpublished: Vec<String>,
    /// How many more there are.
    pub more: u64,
}

/// What is done with each role while it is at hand: its name, its file and what it says.
pub type Each<'a> = dyn FnMut(&Reader, &str, &Document) -> Result<(), Failure> + Send + 'a;

/// The four top-level roles. The reader must be refreshed.
pub fn top(reader: &Reader) -> Vec<Found> {
    let client = &reader.client;
    let Ok(root) = client.root().root() else { return Vec::new() };
    let documents = [
        (Kind::Root, Some(client.root())),
        (Kind::Timestamp, client.timestamp()),
        (Kind::Snapshot, client.snapshot()),
        (Kind::Targets, client.targets(Kind::Targets.as_str())),
    ];
    let found = documents.into_iter().filter_map(|(kind, document)| {
        Some(Found::of(document?, Kind::Root.as_str(), kind.as_str(), &root.keys, root.role(kind)))
    });
    found.collect()
}

/// Verifies every delegated role, by everybody who delegates to it. What that takes is bounded by the snapshot: a few
/// bytes can delegate to 2³² bins.
///
/// # Errors
/// Why one of them is not good, or what `each` says; if there are more delegations than a repository can need.
pub async fn delegated(reader: &mut Reader, each: &mut Each<'_>) -> Result<Walked, Failure> {
    let mut found = Vec::new();
    let (mut unpublished, mut more) = (Vec::new(), 0_u64);
    let listed = listed(reader);
    let mut parents = VecDeque::from([Kind::Targets.to_string()]);
    let mut walked = BTreeSet::new();
    while let Some(parent) = parents.pop_front() {
        if !walked.insert(parent.clone()) {
            continue;
        }
        let Some(delegations) = delegations_of(reader, &parent)? else { continue };
        let names = Names::of(&delegations, &listed, UNPUBLISHED.saturating_sub(unpublished.len()));
        unpublished.extend(names.waiting);
        more = more.saturating_add(names.more);
        if found.len().saturating_add(names.listed.len()) > MOST {
            return Err(refused::failure(
                Answer::Refused,
                "endless-data",
                &format!("there are more than {MOST} delegations"),
                "somebody may be sending you a repository without an end",
            ));
        }
        for some in names.listed.chunks(AHEAD * 4) {
            let mut fetched = fetch_ahead(reader, some).await;
            for role in some {
                let bytes = fetched.pop_front().flatten();
                want(reader, role, &parent, bytes).await?;
                let Some(document) = reader.client.targets(role) else { continue };
                let Some(by) = delegations.role(role) else { continue };
                found.push(Found::of(document, &parent, role, &delegations.keys, by));
                each(reader, role, document)?;
                let has_children = document.targets().is_ok_and(|targets| targets.delegations.is_some());
                if has_children {
                    parents.push_back(role.clone());
                } else {
                    reader.client.forget(role);
                }
            }
        }
    }
    Ok(Walked { found, unpublished, more })
}

fn delegations_of(reader: &Reader, role: &str) -> Result<Option<Delegations>, Failure> {
    let Some(document) = reader.client.targets(role) else { return Ok(None) };
    let targets = document.targets();
    Ok(targets.map_err(|error| Failure::refused(format!("`{role}`: {error}")))?.delegations)
}

/// The roles of the snapshot, by name.
fn listed(reader: &Reader) -> BTreeSet<String> {
    let snapshot = reader.client.snapshot().and_then(|snapshot| snapshot.snapshot().ok());
    let files = snapshot.into_iter().flat_map(|snapshot| snapshot.meta.into_keys());
    files.filter_map(|file| file.strip_suffix(".json").map(str::to_owned)).collect()
}

/// To whom somebody delegates.
struct Names {
    /// Those that the snapshot has, in their order.
    listed: Vec<String>,
    /// Some of those that it has not.
    waiting: Vec<String>,
    /// How many more of these there are.
    more: u64,
}

impl Names {
    /// - `most`: how many of those that are not listed are named.
    fn of(delegations: &Delegations, listed: &BTreeSet<String>, most: usize) -> Self {
        let (there, absent, mut waiting): (Vec<String>, u64, Vec<String>) = match &delegations.delegated {
            Delegated::Roles(roles) => {
                let names = roles.iter().map(|role| role.name.clone());
                let (there, waiting): (Vec<_>, Vec<_>) = names.partition(|name| listed.contains(name));
                (there, waiting.len() as u64, waiting)
            }
            // The names of bins have one width, so their order is that of their text.
            Delegated::Bins(bins) => {
                let there: Vec<String> =
                    listed.iter().filter(|name| bins.bin_named(name).is_some()).cloned().collect();
                let absent = bins.count().saturating_sub(there.len() as u64);
                let named = usize::try_from(absent).map_or(most, |absent| absent.min(most));
                (there, absent, bins.names().filter(|name| !listed.contains(name)).take(named).collect())
            }
        };
        waiting.truncate(most);
        Self { listed: there, more: absent.saturating_sub(waiting.len() as u64), waiting }
    }
}

/// Files of roles in their order, from the first place that has them.
async fn fetch_ahead(reader: &Reader, roles: &[String]) -> VecDeque<Option<Vec<u8>>> {
    let fetch = |wanted: Option<Wanted>| async move {
        let wanted = wanted?;
        for place in &reader.places {
            if let Ok(Some(bytes)) = place.metadata(&wanted.name, wanted.limit).await {
                return Some(bytes);
            }
        }
        None
    };
    let wanted: Vec<Option<Wanted>> = roles.iter().map(|role| reader.client.file_of(role)).collect();
    futures_util::stream::iter(wanted.into_iter().map(fetch)).buffered(AHEAD).collect().await
}

async fn want(reader: &mut Reader, role: &str, parent: &str, bytes: Option<Vec<u8>>) -> Result<(), Failure> {
    let mut bytes = bytes;
    loop {
        let wanted = reader.client.want(role, parent).map_err(|error| refused::of_client(&error))?;
        let Some(wanted) = wanted else { return Ok(()) };
        // What was fetched ahead may be bad, and another place may have a good one.
        let given = bytes.take().is_some_and(|bytes| reader.give(&wanted, bytes).is_ok());
        if !given {
            reader.supply(&wanted).await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bins(bits: u8) -> Delegations {
        let bins = json!({"bit_length": bits, "name_prefix": "b", "keyids": [], "threshold": 1});
        Delegations::from_value(&json!({"keys": {}, "succinct_roles": bins})).unwrap()
    }

    fn listed(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn more_bins_than_a_snapshot_lists_are_counted_and_not_collected() {
        let listed = listed(&["b-00000001", "b-fffffffe", "c-00000001", "b-1", "targets"]);
        let names = Names::of(&bins(32), &listed, 3);
        assert_eq!(names.listed, ["b-00000001", "b-fffffffe"]);
        assert_eq!(names.waiting, ["b-00000000", "b-00000002", "b-00000003"]);
        assert_eq!(names.more, (1 << 32) - 5);
    }

    #[test]
    fn every_bin_that_is_listed_is_asked_for_in_order() {
        let all: Vec<String> = (0..16).map(|bin| format!("b-{bin:x}")).collect();
        let names = Names::of(&bins(4), &all.iter().cloned().collect(), 10);
        assert_eq!((names.listed, names.waiting.len(), names.more), (all, 0, 0));
    }

    #[test]
    fn named_roles_keep_the_order_in_which_they_are_asked() {
        let role = |name: &str| json!({"name": name, "terminating": false, "keyids": [], "threshold": 1, "paths": ["*"]});
        let roles = json!({"keys": {}, "roles": [role("z"), role("new"), role("a"), role("newer")]});
        let names = Names::of(&Delegations::from_value(&roles).unwrap(), &listed(&["a", "z"]), 1);
        assert_eq!(
            (names.listed, names.waiting, names.more),
            (vec!["z".into(), "a".into()], vec!["new".into()], 1)
        );
    }
}
