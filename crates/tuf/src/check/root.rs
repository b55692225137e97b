//! A new root: its content, and who has signed it (specification 4.3, 5.3).

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{MAX_ROOT, Refusal, keys_of, members, shown, size};
use crate::expires;
use crate::key::Key;
use crate::metadata::{Document, Kind};
use crate::root::Root;
use crate::shape::Members;
use crate::threshold::Tally;

const MEMBERS: [&str; 7] =
    ["_type", "consistent_snapshot", "expires", "keys", "roles", "spec_version", "version"];

/// How many keys a new root may have, of all roles together.
pub const MAX_KEYS: usize = 256;
/// With how many signatures a new root may come. More can follow, one by one.
pub const MAX_SIGNATURES: usize = 64;

/// What a new root is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The root in force; `None` when there is none yet.
    pub trusted: Option<&'a Document>,
    /// The present.
    pub now: Timestamp,
    /// The keys that the server has. Timestamp, snapshot and targets must be signed with these.
    pub online: &'a [Key],
}

/// Who has signed a new root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// By the root in force; `None` when there is none yet.
    pub trusted: Option<Tally>,
    /// By the new root itself.
    pub new: Tally,
}

impl Signed {
    /// Whether both thresholds are met, so that the root can come into force.
    pub fn is_complete(&self) -> bool {
        self.new.is_met() && self.trusted.as_ref().is_none_or(Tally::is_met)
    }

    /// As `status` of a pending role: `{"trusted":T,"new":T}` with T = `{"threshold","have","missing":[keyid]}`,
    /// beside `version` and `submitted`. `have` is a number.
    pub fn status(&self, version: u64, submitted: &str) -> Value {
        let mut status = Members::new();
        status.insert("version".into(), json!(version));
        status.insert("submitted".into(), json!(submitted));
        if let Some(trusted) = &self.trusted {
            status.insert("trusted".into(), tally(trusted));
        }
        status.insert("new".into(), tally(&self.new));
        Value::Object(status)
    }
}

/// `{"threshold","have","missing":[keyid]}`.
pub fn tally(tally: &Tally) -> Value {
    json!({"threshold": tally.threshold, "have": tally.have.len(), "missing": tally.missing})
}

/// Judges the content of `new`: the next version, valid, with thresholds that can be met by distinct keys that
/// can be used, online roles signed by the server's keys, and acceptable to clients.
///
/// # Errors
/// [`Refusal`].
pub fn content(new: &Document, rules: Rules<'_>) -> Result<Root, Refusal> {
    counts(new)?;
    let root = new.root()?;
    let wanted = rules.trusted.map_or(1, |trusted| trusted.version().saturating_add(1));
    if new.version() != wanted {
        return Err(Refusal::Version { wanted, got: new.version() });
    }
    if new.is_expired(rules.now) {
        return Err(Refusal::Expired { expires: expires::render(new.expires()) });
    }
    size("root", new.to_bytes().len(), MAX_ROOT)?;
    form(new.signed(), &root)?;
    for kind in Kind::ALL {
        keys_of(kind.as_str(), root.role(kind), &root.keys)?;
    }
    for kind in [Kind::Timestamp, Kind::Snapshot, Kind::Targets] {
        online(kind, &root, rules.online)?;
    }
    if let Some(trusted) = rules.trusted {
        ids_keep_their_keys(&trusted.root()?, &root)?;
    }
    Ok(root)
}

/// Each key is read and each signature verified, for everybody who asks what is pending: there are not many of either.
fn counts(new: &Document) -> Result<(), Refusal> {
    let keys = new.signed().get("keys").and_then(Value::as_object).map_or(0, Members::len);
    for (what, count, limit) in
        [("keys", keys, MAX_KEYS), ("signatures", new.signatures().count(), MAX_SIGNATURES)]
    {
        if count > limit {
            return Err(Refusal::TooMany { what, of: "root".into(), count, limit });
        }
    }
    Ok(())
}

fn form(signed: &Members, root: &Root) -> Result<(), Refusal> {
    members(signed, &MEMBERS)?;
    if signed["spec_version"].as_str().is_none_or(|version| version.split('.').count() != 3) {
        return Err(Refusal::SpecVersion);
    }
    if !root.consistent_snapshot {
        return Err(Refusal::ConsistentSnapshot);
    }
    let roles = signed["roles"].as_object().into_iter().flat_map(Members::keys);
    match roles.into_iter().find(|name| Kind::of_name(name).is_none()) {
        None => Ok(()),
        Some(name) => Err(Refusal::ForeignRole(shown(name))),
    }
}

/// Every key of the role is one of the server's, whatever its id and its `x-rstuf-online-key-uri` say.
fn online(kind: Kind, root: &Root, online: &[Key]) -> Result<(), Refusal> {
    for (keyid, key) in root.role(kind).keys(&root.keys) {
        if !online.iter().any(|own| own.is_same(key)) {
            return Err(Refusal::UnknownOnlineKey { role: kind.to_string(), keyid: shown(keyid) });
        }
    }
    Ok(())
}

/// A signature is looked up by its key's id in both roots, so an id must mean one key, used in one way: a client with
/// the old root would verify it by the old scheme.
fn ids_keep_their_keys(trusted: &Root, new: &Root) -> Result<(), Refusal> {
    let changed =
        new.keys.iter().find(|(keyid, key)| trusted.keys.get(*keyid).is_some_and(|old| !old.is_same(key)));
    match changed {
        None => Ok(()),
        Some((keyid, _)) => Err(Refusal::ReusedKeyId(shown(keyid))),
    }
}

/// Judges the signatures that came with `new`: there is one at least, each is valid, and each is by a root key of
/// the new root or of the one in force.
///
/// # Errors
/// [`Refusal::NoSignature`]; [`Refusal::BootstrapSignature`] for a first root, else
/// [`Refusal::MetadataSignature`].
pub fn signatures(new: &Document, trusted: Option<&Document>) -> Result<Signed, Refusal> {
    if new.signatures().next().is_none() {
        return Err(Refusal::NoSignature);
    }
    let judge = Judge::of(new, trusted)?;
    if new.signatures().all(|given| judge.takes(given.keyid, given.sig)) {
        return Ok(judge.progress(new));
    }
    Err(if trusted.is_none() { Refusal::BootstrapSignature } else { Refusal::MetadataSignature })
}

/// Judges one signature for a pending root.
///
/// # Errors
/// [`Refusal::Signature`] if it is not valid or its key is not a root key of the pending root or of the one in
/// force.
pub fn signature(
    pending: &Document,
    trusted: Option<&Document>,
    keyid: &str,
    sig: &str,
) -> Result<(), Refusal> {
    if Judge::of(pending, trusted)?.takes(keyid, sig) { Ok(()) } else { Err(Refusal::Signature) }
}

/// Who has signed a pending root, and who is missing.
///
/// # Errors
/// [`Refusal::Metadata`] if one of the two is no root.
pub fn progress(pending: &Document, trusted: Option<&Document>) -> Result<Signed, Refusal> {
    Ok(Judge::of(pending, trusted)?.progress(pending))
}

/// Those by whom a root is judged, read once for all its signatures.
struct Judge {
    /// What is signed.
    message: Vec<u8>,
    new: Root,
    trusted: Option<Root>,
}

impl Judge {
    fn of(new: &Document, trusted: Option<&Document>) -> Result<Self, Refusal> {
        let trusted = trusted.map(Document::root).transpose()?;
        Ok(Self { message: new.signed_bytes(), new: new.root()?, trusted })
    }

    /// Whether it is a signature by a root key of either.
    fn takes(&self, keyid: &str, sig: &str) -> bool {
        [Some(&self.new), self.trusted.as_ref()].into_iter().flatten().any(|root| {
            let mut keys = root.role(Kind::Root).keys(&root.keys);
            keys.any(|(id, key)| id == keyid && key.verify(&self.message, sig).is_ok())
        })
    }

    fn progress(&self, document: &Document) -> Signed {
        let count = |root: &Root| Tally::of(document, &root.keys, root.role(Kind::Root));
        Signed { trusted: self.trusted.as_ref().map(count), new: count(&self.new) }
    }
}

/// Judges whether `new` may take the place of `pending`. `withdrawn`: SHA-256 of the canonical `signed` of what
/// was patched away or deleted in this round of signing.
///
/// # Errors
/// [`Refusal::Same`], [`Refusal::Withdrawn`].
pub fn replaces(new: &Document, pending: &Document, withdrawn: &[[u8; 32]]) -> Result<(), Refusal> {
    let digest = new.signed_sha256();
    if digest == pending.signed_sha256() {
        return Err(Refusal::Same);
    }
    if withdrawn.contains(&digest) { Err(Refusal::Withdrawn) } else { Ok(()) }
}

/// The online roles whose keys differ from those of the root in force. If there are any, everything that is online
/// is signed anew.
///
/// # Errors
/// [`Refusal::Metadata`] if one of the two is no root.
pub fn rotated(trusted: &Document, new: &Document) -> Result<Vec<Kind>, Refusal> {
    let (old, new) = (trusted.root()?, new.root()?);
    let online = [Kind::Timestamp, Kind::Snapshot, Kind::Targets];
    Ok(online.into_iter().filter(|kind| !old.has_same_keys(&new, *kind)).collect())
}
