//! Root, timestamp, snapshot and targets, each verified by the one before (specification 5.3 to 5.6).

use super::{Client, ClientError, Stage, Trusted};
use crate::delegation::Delegations;
use crate::expires;
use crate::meta::{Meta, Snapshot};
use crate::metadata::{Document, Kind, MetadataError};
use crate::names::file_name;
use crate::root::{Keys, Role, Root};
use crate::threshold;

/// The root that is trusted because it was there.
pub(super) fn first_root(bytes: &[u8]) -> Result<Trusted<Root>, ClientError> {
    let file = file_name(Kind::Root.as_str(), None);
    let (document, view) = read(bytes, &file, Document::root)?;
    by_root(&document, &view, Kind::Root, &file)?;
    Ok(Trusted { bytes: bytes.to_vec(), document, view })
}

impl Client {
    /// 5.3: one more root.
    pub(super) fn give_root(&mut self, bytes: Vec<u8>) -> Result<(), ClientError> {
        let next = self.root.document.version().saturating_add(1);
        let file = file_name(Kind::Root.as_str(), Some(next));
        let (document, view) = read(&bytes, &file, Document::root)?;
        // 5.3.4: signed by the old threshold and by the new one.
        by_root(&document, &self.root.view, Kind::Root, &file)?;
        by_root(&document, &view, Kind::Root, &file)?;
        // 5.3.5: not one version is skipped.
        version(&document, next, &file)?;
        self.root = Trusted { bytes, document, view };
        self.rotations += 1;
        if self.rotations >= self.limits.rotations { self.end_roots() } else { Ok(()) }
    }

    /// 5.3.10 and 5.3.11: the newest root is known.
    pub(super) fn end_roots(&mut self) -> Result<(), ClientError> {
        let file = file_name(Kind::Root.as_str(), Some(self.root.document.version()));
        self.fresh(&self.root.document, &file)?;
        // A key that was stolen may have signed versions that no honest one reaches: they are forgotten with it. A
        // key that is added is no reason to forget what was seen.
        let revoked =
            [Kind::Timestamp, Kind::Snapshot].iter().any(|k| self.first.loses_keys(&self.root.view, *k));
        if revoked {
            (self.local.timestamp, self.local.snapshot) = (None, None);
        }
        if let Some(bytes) = self.local.timestamp.take() {
            self.timestamp = self.read_timestamp(bytes).ok();
        }
        self.stage = Stage::Timestamp;
        Ok(())
    }

    fn read_timestamp(&self, bytes: Vec<u8>) -> Result<Trusted<Meta>, ClientError> {
        let file = file_name(Kind::Timestamp.as_str(), None);
        let (document, view) = read(&bytes, &file, |d| Ok(d.timestamp()?.snapshot))?;
        by_root(&document, &self.root.view, Kind::Timestamp, &file)?;
        Ok(Trusted { bytes, document, view })
    }

    /// 5.4.
    pub(super) fn give_timestamp(&mut self, bytes: Vec<u8>) -> Result<(), ClientError> {
        let file = file_name(Kind::Timestamp.as_str(), None);
        let new = self.read_timestamp(bytes)?;
        // 5.4.3: neither the timestamp nor the snapshot goes back.
        let newest = match self.timestamp.as_ref() {
            Some(old) => {
                let (was, is) = (old.document.version(), new.document.version());
                not_before(&file, Kind::Timestamp.as_str(), was, is)?;
                not_before(&file, Kind::Snapshot.as_str(), old.view.version, new.view.version)?;
                // An equal version is the same timestamp: the one that we have stays.
                if was == is { None } else { Some(new) }
            }
            None => Some(new),
        };
        let document = newest.as_ref().or(self.timestamp.as_ref()).map(|trusted| &trusted.document);
        if let Some(document) = document {
            self.fresh(document, &file)?;
        }
        if newest.is_some() {
            self.timestamp = newest;
        }
        self.stage = Stage::Snapshot;
        self.use_local_snapshot()
    }

    /// The snapshot that was kept is what a new one is compared with; if the timestamp still means it, no new one
    /// is needed.
    fn use_local_snapshot(&mut self) -> Result<(), ClientError> {
        let file = file_name(Kind::Snapshot.as_str(), None);
        let Some(bytes) = self.local.snapshot.take() else { return Ok(()) };
        let Ok((document, view)) = read(&bytes, &file, Document::snapshot) else { return Ok(()) };
        if by_root(&document, &self.root.view, Kind::Snapshot, &file).is_err() {
            return Ok(());
        }
        let Some(meta) = self.timestamp.as_ref().map(|timestamp| &timestamp.view) else { return Ok(()) };
        let meant = document.version() == meta.version && meta.check(&bytes).is_ok();
        if meant && self.fresh(&document, &file).is_ok() {
            self.snapshot = Some(Trusted { bytes, document, view });
            return self.want_role(Kind::Targets.as_str(), Kind::Root.as_str()).map(drop);
        }
        self.older = Some(view);
        Ok(())
    }

    /// 5.5.
    pub(super) fn give_snapshot(&mut self, bytes: Vec<u8>, file: &str) -> Result<(), ClientError> {
        let Some(timestamp) = &self.timestamp else { return Err(ClientError::NotAsked) };
        // 5.5.2: these bytes and no others.
        mismatch(timestamp.view.check(&bytes), file)?;
        let (document, view) = read(&bytes, file, Document::snapshot)?;
        by_root(&document, &self.root.view, Kind::Snapshot, file)?;
        version(&document, timestamp.view.version, file)?;
        // 5.5.5: no role is missing or goes back.
        for (role, old) in self.older.iter().flat_map(|older: &Snapshot| &older.meta) {
            let Some(new) = view.meta.get(role) else {
                return Err(ClientError::Dropped { file: file.to_owned(), role: shown(role) });
            };
            not_before(file, role, old.version, new.version)?;
        }
        self.fresh(&document, file)?;
        self.snapshot = Some(Trusted { bytes, document, view });
        self.want_role(Kind::Targets.as_str(), Kind::Root.as_str()).map(drop)
    }

    /// Sees to it that `role` is verified by what `parent` says. `false`: its file is needed first.
    pub(super) fn want_role(&mut self, role: &str, parent: &str) -> Result<bool, ClientError> {
        let pair = (role.to_owned(), parent.to_owned());
        if self.verified.contains(&pair) {
            return Ok(true);
        }
        let Some(meta) = self.snapshot.as_ref().and_then(|snapshot| snapshot.view.role(role)) else {
            return Err(ClientError::NotInSnapshot { role: shown(role) });
        };
        if let Some(trusted) = self.roles.get(role) {
            // Another role delegates to it too: the same file, other keys.
            self.by_parent(&trusted.document, role, parent, &file_name(role, Some(meta.version)))?;
            self.verified.insert(pair);
            return Ok(true);
        }
        self.stage = Stage::Role { role: pair.0, parent: pair.1 };
        let Some(bytes) = self.local.roles.remove(role) else { return Ok(false) };
        Ok(self.give_role(bytes, &file_name(role, None), role, parent).is_ok())
    }

    /// 5.6, for `targets` and every delegated role.
    pub(super) fn give_role(
        &mut self,
        bytes: Vec<u8>,
        file: &str,
        role: &str,
        parent: &str,
    ) -> Result<(), ClientError> {
        let Some(meta) = self.snapshot.as_ref().and_then(|snapshot| snapshot.view.role(role)) else {
            return Err(ClientError::NotInSnapshot { role: shown(role) });
        };
        mismatch(meta.check(&bytes), file)?;
        let (document, view) = read(&bytes, file, |d| Ok(d.targets()?.delegations))?;
        self.by_parent(&document, role, parent, file)?;
        version(&document, meta.version, file)?;
        self.fresh(&document, file)?;
        self.roles.insert(role.to_owned(), Trusted { bytes, document, view });
        self.verified.insert((role.to_owned(), parent.to_owned()));
        self.stage = Stage::Nothing;
        Ok(())
    }

    /// Signed by the keys that `parent` names for `role`.
    fn by_parent(
        &self,
        document: &Document,
        role: &str,
        parent: &str,
        file: &str,
    ) -> Result<(), ClientError> {
        if parent == Kind::Root.as_str() {
            return by_root(document, &self.root.view, Kind::Targets, file);
        }
        let delegations: Option<&Delegations> =
            self.roles.get(parent).and_then(|trusted| trusted.view.as_ref());
        let by = delegations.and_then(|delegations| Some((&delegations.keys, delegations.role(role)?)));
        let Some((keys, by)) = by else {
            return Err(ClientError::NotInSnapshot { role: shown(role) });
        };
        signed(document, keys, by, role, file)
    }

    fn fresh(&self, document: &Document, file: &str) -> Result<(), ClientError> {
        if document.is_expired(self.now) {
            let at = expires::render(document.expires());
            return Err(ClientError::Expired { file: file.to_owned(), at });
        }
        Ok(())
    }
}

fn read<View>(
    bytes: &[u8],
    file: &str,
    view: impl Fn(&Document) -> Result<View, MetadataError>,
) -> Result<(Document, View), ClientError> {
    let wrong = |source| ClientError::Metadata { file: file.to_owned(), source };
    let document = Document::parse(bytes).map_err(wrong)?;
    let view = view(&document).map_err(wrong)?;
    Ok((document, view))
}

fn by_root(document: &Document, root: &Root, kind: Kind, file: &str) -> Result<(), ClientError> {
    signed(document, &root.keys, root.role(kind), kind.as_str(), file)
}

fn signed(document: &Document, keys: &Keys, by: &Role, role: &str, file: &str) -> Result<(), ClientError> {
    threshold::verify(document, keys, by, role)
        .map_err(|source| ClientError::Signatures { file: file.to_owned(), source })
}

fn version(document: &Document, wanted: u64, file: &str) -> Result<(), ClientError> {
    let got = document.version();
    if got == wanted { Ok(()) } else { Err(ClientError::Version { file: file.to_owned(), wanted, got }) }
}

fn not_before(file: &str, role: &str, trusted: u64, got: u64) -> Result<(), ClientError> {
    if got >= trusted {
        return Ok(());
    }
    Err(ClientError::Rollback { file: file.to_owned(), role: shown(role), trusted, got })
}

fn mismatch(checked: Result<(), crate::hashes::Mismatch>, file: &str) -> Result<(), ClientError> {
    checked.map_err(|source| ClientError::Mismatch { file: file.to_owned(), source })
}

/// A role's name for a message: not all of a long one, and no control characters.
fn shown(role: &str) -> String {
    role.chars().take(80).flat_map(char::escape_debug).collect()
}
