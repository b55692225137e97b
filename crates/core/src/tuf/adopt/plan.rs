//! A repository as it was found, verified wholly.

use std::collections::BTreeSet;

use bytes::Bytes;
use countersign_model::PublicKey;
use countersign_model::digest::sha256;
use countersign_tuf::build::BINS;
use countersign_tuf::check::delegation::RESERVED;
use countersign_tuf::client::{Client, ClientError, Limits, Local};
use countersign_tuf::delegation::{Delegated, Delegations};
use countersign_tuf::key::Key;
use countersign_tuf::meta::Meta;
use countersign_tuf::metadata::{Document, Kind};
use countersign_tuf::names::file_name;
use countersign_tuf::root::{Keys, Role, Root};
use countersign_tuf::{bins, threshold};
use jiff::Timestamp;
use serde_json::Value;

use super::{AdoptError, Source};
use crate::context::Context;
use crate::tuf::publish::signers;
use crate::tuf::serve;

/// How many roots there may be: each is read and verified.
const MAX_ROOTS: u64 = 100_000;

/// A repository that verifies.
pub struct Plan {
    /// By version, from 1 on.
    roots: Vec<(u64, Vec<u8>)>,
    newest: Document,
    root: Root,
    /// The top level.
    pub(super) targets: Verified,
    pub(super) snapshot: Verified,
    timestamp: Verified,
    /// Delegated roles of the snapshot.
    pub(super) roles: Vec<Verified>,
    /// Roles that the delegations name, but that were never published.
    pub(super) unpublished: Vec<String>,
    pub(super) delegations: Option<Delegations>,
    /// The member `delegations` of targets.
    pub(super) delegations_value: Value,
}

/// A file that was verified.
pub(super) struct Verified {
    pub role: String,
    pub version: u64,
    pub file: String,
    sha256: [u8; 32],
    /// Whether somebody delegates to the role; else it is in the snapshot because it was there once.
    pub is_delegated: bool,
}

/// Whether the server signs a role alone, by name.
pub(super) struct Online(BTreeSet<String>);

/// A key that signs online roles, and must be here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnlineKey {
    /// Its id in the repository.
    pub keyid: String,
    /// `ed25519`, `rsassa-pss-sha256`, …
    pub scheme: String,
    /// The roles that it signs.
    pub roles: Vec<String>,
}

/// Verifies a whole repository: every root from 1 on, timestamp, snapshot, targets, and every delegated role. Whether
/// something has expired does not matter: it is signed anew.
///
/// `trusted_root`: a root of which somebody knows that it is the repository's, of any version.
///
/// # Errors
/// [`AdoptError`].
pub fn plan(source: &dyn Source, trusted_root: &[u8]) -> Result<Plan, AdoptError> {
    let first = required(source, &file_name(Kind::Root.as_str(), Some(1)), Limits::default().root)?;
    let limits = Limits { rotations: MAX_ROOTS, ..Limits::default() };
    // Before anything can have expired.
    let mut client = Client::with_limits(&first, Local::default(), Timestamp::UNIX_EPOCH, limits)?;
    if client.root().version() != 1 {
        let (wanted, got) = (1, client.root().version());
        return Err(ClientError::Version { file: "1.root.json".into(), wanted, got }.into());
    }
    let mut roots = vec![(1, first)];
    let mut files = Vec::new();
    while let Some(wanted) = client.needs() {
        let bytes = read(source, &wanted.name, wanted.limit)?;
        match bytes {
            None => client.give_missing()?,
            Some(bytes) => {
                client.give(bytes.clone())?;
                match wanted.optional {
                    true => roots.push((client.root().version(), bytes)),
                    false => files.push((wanted.name, sha256(&bytes))),
                }
            }
        }
    }
    check_trusted(&roots, trusted_root)?;
    let newest = client.root().clone();
    let root = newest.root().map_err(|why| role_error("root", why))?;
    if !root.consistent_snapshot {
        return Err(AdoptError::NotConsistent);
    }
    let top = |kind: Kind, document: Option<&Document>, at: usize| {
        let missing = || AdoptError::Missing(file_name(kind.as_str(), None));
        let (file, sha256) = files.get(at).cloned().ok_or_else(missing)?;
        let version = document.ok_or_else(missing)?.version();
        Ok::<_, AdoptError>(Verified { role: kind.to_string(), version, file, sha256, is_delegated: true })
    };
    let targets = client.targets(Kind::Targets.as_str()).cloned();
    let (value, delegations) = match &targets {
        Some(targets) => delegations_of(targets)?,
        None => (Value::Null, None),
    };
    let mut plan = Plan {
        timestamp: top(Kind::Timestamp, client.timestamp(), 0)?,
        snapshot: top(Kind::Snapshot, client.snapshot(), 1)?,
        targets: top(Kind::Targets, targets.as_ref(), 2)?,
        roots,
        newest,
        root,
        roles: Vec::new(),
        unpublished: Vec::new(),
        delegations,
        delegations_value: value,
    };
    plan.delegated(source, &client)?;
    Ok(plan)
}

impl Plan {
    /// The version of the root in force.
    pub fn root_version(&self) -> u64 {
        self.newest.version()
    }

    /// SHA-256 of its canonical `signed`.
    pub(super) fn root_digest(&self) -> String {
        hex::encode(self.newest.signed_sha256())
    }

    /// The keys of online roles that have to be in the key host, as `tuf/NAME`.
    pub fn online_keys(&self) -> Vec<OnlineKey> {
        let mut keys: Vec<OnlineKey> = Vec::new();
        for (name, role, known) in self.online_roles() {
            for (keyid, key) in role.keys(known) {
                match keys.iter_mut().find(|online| online.keyid == keyid) {
                    Some(online) => online.roles.push(name.to_owned()),
                    None => keys.push(OnlineKey {
                        keyid: keyid.to_owned(),
                        scheme: key.scheme().to_owned(),
                        roles: vec![name.to_owned()],
                    }),
                }
            }
        }
        keys
    }

    /// Whether this key signs a role other than the root.
    pub(super) fn is_signed_by(&self, public: &PublicKey) -> bool {
        let is_it = |key: &Key| key.public_key().is_some_and(|known| known.spki() == public.spki());
        let top = [Kind::Targets, Kind::Snapshot, Kind::Timestamp];
        top.into_iter().any(|kind| self.root.role(kind).keys(&self.root.keys).any(|(_, key)| is_it(key)))
            || self.delegations.as_ref().is_some_and(|known| known.keys.values().any(is_it))
    }

    /// Roles that must be signed here: those of the top level, and bins.
    fn online_roles(&self) -> Vec<(&str, &Role, &Keys)> {
        let top = [Kind::Targets, Kind::Snapshot, Kind::Timestamp];
        let mut roles: Vec<(&str, &Role, &Keys)> =
            top.into_iter().map(|kind| (kind.as_str(), self.root.role(kind), &self.root.keys)).collect();
        if let Some(Delegations { keys, delegated: Delegated::Bins(bins) }) = &self.delegations {
            roles.push((BINS, &bins.role, keys));
        }
        roles
    }

    /// Which roles the server signs alone.
    pub(super) fn online(&self, ctx: &Context) -> Result<Online, AdoptError> {
        let is_signed_here = |role: &Role, keys: &Keys| {
            let mut own = signers::of_role(ctx, role, keys);
            own.retain(|signer| signers::check(ctx, signer).is_ok());
            signers::are_enough(role, &own)
        };
        for (name, role, keys) in self.online_roles() {
            if !is_signed_here(role, keys) {
                return Err(AdoptError::NoKey { role: name.to_owned(), keyids: role.keyids.clone() });
            }
        }
        let mut online = BTreeSet::new();
        if let Some(Delegations { keys, delegated: Delegated::Roles(roles) }) = &self.delegations {
            let alone = roles.iter().filter(|role| is_signed_here(&role.role, keys));
            online.extend(alone.map(|role| role.name.clone()));
        }
        if let Some(Delegations { delegated: Delegated::Bins(bins), .. }) = &self.delegations {
            online.extend(bins.names());
        }
        Ok(Online(online))
    }

    /// Delegated roles that people sign.
    pub(super) fn people(&self, online: &Online) -> Vec<String> {
        let delegated = self.roles.iter().filter(|role| role.is_delegated).map(|role| &role.role);
        delegated.chain(&self.unpublished).filter(|role| !online.has(role)).cloned().collect()
    }

    /// Every root with the name of its file.
    pub(super) fn root_files(&self) -> impl Iterator<Item = (String, Bytes)> {
        self.roots.iter().map(|(version, bytes)| {
            (file_name(Kind::Root.as_str(), Some(*version)), Bytes::from(bytes.clone()))
        })
    }

    /// Every root as the database has it.
    pub(super) fn roots(&self) -> &[(u64, Vec<u8>)] {
        &self.roots
    }

    /// The other files with versions in their names.
    pub(super) fn files(&self) -> impl Iterator<Item = &Verified> {
        [&self.targets, &self.snapshot].into_iter().chain(&self.roles).filter(|file| !file.file.is_empty())
    }

    pub(super) fn timestamp_file(&self, source: &dyn Source) -> Result<Bytes, AdoptError> {
        self.timestamp.read(source)
    }

    pub(super) fn timestamp(&self) -> &Verified {
        &self.timestamp
    }

    /// Verifies every role of the snapshot that somebody delegates to.
    fn delegated(&mut self, source: &dyn Source, client: &Client) -> Result<(), AdoptError> {
        let snapshot = client.snapshot().and_then(|snapshot| snapshot.snapshot().ok());
        let meta = snapshot.map(|snapshot| snapshot.meta).unwrap_or_default();
        let mut known = BTreeSet::new();
        for (name, meta) in &meta {
            let role = name.strip_suffix(".json").unwrap_or_default();
            if role == Kind::Targets.as_str() {
                continue;
            }
            // Clients that know it refuse a snapshot without it (specification 5.5.5).
            if role.is_empty() || Kind::of_name(role).is_some() {
                return Err(AdoptError::SnapshotEntry(name.chars().take(80).collect()));
            }
            known.insert(role.to_owned());
            let delegated =
                self.delegations.as_ref().and_then(|known| Some((known.role(role)?, &known.keys)));
            let verified = match delegated {
                Some((by, keys)) => {
                    check_name(role)?;
                    verify(source, role, meta, by, keys)?
                }
                None => gone(source, role, meta)?,
            };
            self.roles.push(verified);
        }
        match self.delegations.as_ref().map(|known| &known.delegated) {
            Some(Delegated::Bins(bins)) => {
                if let Some(missing) = bins.names().find(|name| !known.contains(name)) {
                    return Err(AdoptError::Missing(format!("{missing}.json")));
                }
            }
            Some(Delegated::Roles(roles)) => {
                let names = roles.iter().map(|role| role.name.clone());
                self.unpublished = names.filter(|name| !known.contains(name)).collect();
                self.unpublished.iter().try_for_each(|name| check_name(name))?;
            }
            None => {}
        }
        Ok(())
    }
}

impl Online {
    pub(super) fn has(&self, role: &str) -> bool {
        self.0.contains(role)
    }
}

impl Verified {
    /// The same bytes again.
    pub(super) fn read(&self, source: &dyn Source) -> Result<Bytes, AdoptError> {
        let bytes = required(source, &self.file, Limits::default().targets)?;
        if sha256(&bytes) == self.sha256 {
            Ok(bytes.into())
        } else {
            Err(AdoptError::Changed(self.file.clone()))
        }
    }
}

/// The trusted root is one of those that were found: then so are those before and after it.
fn check_trusted(roots: &[(u64, Vec<u8>)], trusted: &[u8]) -> Result<(), AdoptError> {
    let of = |bytes: &[u8]| Document::parse(bytes).map_err(|why| role_error("root", why));
    let trusted = of(trusted)?;
    let version = trusted.version();
    let other = || AdoptError::OtherRoot { version };
    let (_, found) = roots.iter().find(|(known, _)| *known == version).ok_or_else(other)?;
    if of(found)?.signed_sha256() == trusted.signed_sha256() { Ok(()) } else { Err(other()) }
}

fn delegations_of(targets: &Document) -> Result<(Value, Option<Delegations>), AdoptError> {
    let value = targets.signed().get("delegations").cloned().unwrap_or_default();
    if value.is_null() {
        return Ok((value, None));
    }
    let delegations = Delegations::from_value(&value).map_err(|why| role_error("targets", why))?;
    if let Delegated::Bins(found) = &delegations.delegated {
        let first = found.name(0);
        if !first.starts_with("bins-") || bins::bit_length(found.count()).is_err() {
            return Err(AdoptError::Bins(first));
        }
    }
    Ok((value, Some(delegations)))
}

/// Whether files of a role of this name can be served, of any version.
fn check_name(role: &str) -> Result<(), AdoptError> {
    let file = file_name(role, Some(u64::MAX));
    if RESERVED.contains(&role) {
        return Err(AdoptError::RoleName(role.to_owned()));
    }
    match serve::file(&file).filter(|_| file == format!("{}.{role}.json", u64::MAX)) {
        Some(_) => Ok(()),
        None => Err(AdoptError::RoleName(role.to_owned())),
    }
}

fn verify(
    source: &dyn Source,
    role: &str,
    meta: &Meta,
    by: &Role,
    keys: &Keys,
) -> Result<Verified, AdoptError> {
    let file = file_name(role, Some(meta.version));
    let bytes = required(source, &file, Limits::default().targets)?;
    let wrong = |why: String| AdoptError::Role { file: file.clone(), why };
    meta.check(&bytes).map_err(|why| wrong(why.to_string()))?;
    let document = Document::parse(&bytes).map_err(|why| wrong(why.to_string()))?;
    let view = document.targets().map_err(|why| wrong(why.to_string()))?;
    if view.delegations.is_some() {
        return Err(AdoptError::Nested(role.to_owned()));
    }
    if document.version() != meta.version {
        return Err(wrong(format!("its version is {}", document.version())));
    }
    threshold::verify(&document, keys, by, role).map_err(|why| wrong(why.to_string()))?;
    let sha256 = sha256(&bytes);
    Ok(Verified { role: role.to_owned(), version: meta.version, file, sha256, is_delegated: true })
}

/// A role that nobody delegates to any more. Nobody can verify it; its file is kept if it is there.
fn gone(source: &dyn Source, role: &str, meta: &Meta) -> Result<Verified, AdoptError> {
    let file = file_name(role, Some(meta.version));
    let bytes = match check_name(role) {
        Ok(()) => read(source, &file, Limits::default().targets)?.filter(|bytes| meta.check(bytes).is_ok()),
        Err(_) => None,
    };
    let (file, sha256) = bytes.map_or((String::new(), [0; 32]), |bytes| (file, sha256(&bytes)));
    Ok(Verified { role: role.to_owned(), version: meta.version, file, sha256, is_delegated: false })
}

fn read(source: &dyn Source, file: &str, limit: u64) -> Result<Option<Vec<u8>>, AdoptError> {
    source.read(file, limit).map_err(|source| AdoptError::Read { file: file.to_owned(), source })
}

fn required(source: &dyn Source, file: &str, limit: u64) -> Result<Vec<u8>, AdoptError> {
    read(source, file, limit)?.ok_or_else(|| AdoptError::Missing(file.to_owned()))
}

fn role_error(role: &str, why: impl ToString) -> AdoptError {
    AdoptError::Role { file: file_name(role, None), why: why.to_string() }
}
