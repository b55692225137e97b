//! A repository in memory, as a server would publish it.

use std::collections::BTreeMap;

use countersign_tuf::build::{self, Head};
use countersign_tuf::check::artifact::artifact;
use countersign_tuf::client::{Client, ClientError, Local, Lookup};
use countersign_tuf::hashes::Hashes;
use countersign_tuf::meta::Meta;
use countersign_tuf::metadata::{Document, Kind};
use countersign_tuf::names::file_name;
use countersign_tuf::targets::TargetFile;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::support::{Signer, now};

pub type Files = BTreeMap<String, Vec<u8>>;

pub struct Repo {
    pub root_keys: Vec<Signer>,
    pub online: Signer,
    pub files: Files,
    pub roles: BTreeMap<String, Document>,
    pub root: Document,
    pub snapshot: u64,
    pub timestamp: u64,
    pub now: Timestamp,
}

impl Repo {
    /// Root signed by two of three, everything else by one online key; targets with these delegations. All that
    /// is made so has the same keys.
    pub fn new(delegations: impl FnOnce(&Signer) -> Option<Value>) -> Self {
        Self::with_keys((1..4).map(Signer::ed25519).collect(), delegations)
    }

    pub fn with_keys(root_keys: Vec<Signer>, delegations: impl FnOnce(&Signer) -> Option<Value>) -> Self {
        let online = Signer::ed25519(9);
        let root = root_document(1, &root_keys, 2, &online);
        let mut repo = Self {
            root_keys,
            online,
            files: Files::new(),
            roles: BTreeMap::new(),
            root,
            snapshot: 0,
            timestamp: 0,
            now: now(),
        };
        repo.put_root();
        let delegations = delegations(&repo.online);
        repo.put_role("targets", &[], delegations);
        repo
    }

    /// Four hash bins, published.
    pub fn with_bins() -> Self {
        let mut repo = Self::new(|online| Some(build::bins(&online.keyid, &online.object, 2)));
        for bin in 0..4 {
            repo.put_role(&format!("bins-{bin}"), &[], None);
        }
        repo.publish();
        repo
    }

    /// Signs the root by the first two root keys and puts it among the files.
    pub fn put_root(&mut self) {
        for signer in &self.root_keys[..2] {
            signer.sign(&mut self.root);
        }
        self.files.insert(file_name("root", Some(self.root.version())), self.root.to_bytes());
    }

    /// A next root as `change` leaves it, signed by the old keys.
    pub fn next_root(&mut self, change: impl FnOnce(&mut Map<String, Value>)) {
        let version = self.root.version() + 1;
        let next = self.root.edited(|signed| {
            signed.insert("version".into(), json!(version));
            change(signed);
        });
        self.root = next.unwrap();
        self.put_root();
    }

    /// The next version of a targets role, signed by the online key. Targets: path and content.
    pub fn put_role(&mut self, role: &str, targets: &[(&str, &[u8])], delegations: Option<Value>) {
        let version = self.roles.get(role).map_or(0, Document::version);
        let targets = targets.iter().map(|(path, content)| ((*path).to_owned(), target(path, content)));
        let head = Head::after(version, self.now, 30);
        let mut document = build::targets(head, targets, delegations).unwrap();
        self.online.sign(&mut document);
        self.files.insert(file_name(role, Some(document.version())), document.to_bytes());
        self.roles.insert(role.to_owned(), document);
    }

    /// The next snapshot and timestamp.
    pub fn publish(&mut self) {
        let roles = self
            .roles
            .iter()
            .map(|(role, document)| (role.clone(), Meta::of_file(document.version(), &document.to_bytes())));
        let mut snapshot = build::snapshot(Head::after(self.snapshot, self.now, 7), roles).unwrap();
        self.online.sign(&mut snapshot);
        self.put_snapshot(&snapshot);
    }

    pub fn put_snapshot(&mut self, snapshot: &Document) {
        self.snapshot = snapshot.version();
        let file = snapshot.to_bytes();
        let meta = Meta::of_file(self.snapshot, &file);
        self.files.insert(file_name("snapshot", Some(self.snapshot)), file);
        let mut timestamp = build::timestamp(Head::after(self.timestamp, self.now, 1), &meta).unwrap();
        self.online.sign(&mut timestamp);
        self.timestamp += 1;
        self.files.insert("timestamp.json".into(), timestamp.to_bytes());
    }

    /// A client that has the first root and nothing else.
    pub fn client(&self) -> Client {
        Client::new(&self.files["1.root.json"], Local::default(), self.now).unwrap()
    }
}

pub fn root_document(version: u64, root_keys: &[Signer], threshold: u64, online: &Signer) -> Document {
    let keys = root_keys.iter().chain([online]).map(|s| (s.keyid.clone(), s.object.clone())).collect();
    let ids: Vec<String> = root_keys.iter().map(|signer| signer.keyid.clone()).collect();
    let mut roles = vec![(Kind::Root, ids, threshold)];
    roles.extend(
        [Kind::Timestamp, Kind::Snapshot, Kind::Targets].map(|kind| (kind, vec![online.keyid.clone()], 1)),
    );
    let head = Head { version, expires: countersign_tuf::expires::after(now(), 365) };
    build::root(head, keys, &roles).unwrap()
}

pub fn target(path: &str, content: &[u8]) -> Value {
    let info = json!({"length": content.len(), "hashes": Hashes::sha256(content).to_value(), "custom": null});
    artifact(path, &info).unwrap()
}

/// Gives `client` what it asks for until it has enough.
pub fn refresh(client: &mut Client, files: &Files) -> Result<(), ClientError> {
    while let Some(wanted) = client.needs() {
        give(client, files, &wanted.name)?;
    }
    Ok(())
}

pub fn find(client: &mut Client, files: &Files, path: &str) -> Result<Option<TargetFile>, ClientError> {
    loop {
        match client.find(path)? {
            Lookup::Needs(wanted) => give(client, files, &wanted.name)?,
            Lookup::Found(target) => return Ok(Some(target)),
            Lookup::Absent => return Ok(None),
        }
    }
}

fn give(client: &mut Client, files: &Files, name: &str) -> Result<(), ClientError> {
    match files.get(name) {
        Some(file) => client.give(file.clone()),
        None => client.give_missing(),
    }
}

/// What `client` keeps for the next time, with its newest root.
pub fn kept(client: &Client) -> (Vec<u8>, Local) {
    let mut local = Local::default();
    let mut root = Vec::new();
    for (role, bytes) in client.trusted() {
        match role {
            "root" => root = bytes.to_vec(),
            "timestamp" => local.timestamp = Some(bytes.to_vec()),
            "snapshot" => local.snapshot = Some(bytes.to_vec()),
            role => drop(local.roles.insert(role.to_owned(), bytes.to_vec())),
        }
    }
    (root, local)
}
