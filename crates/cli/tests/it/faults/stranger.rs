//! Reads a log as a stranger: its checkpoint, its bundles and its tiles, and nothing else.

use std::collections::BTreeMap;

use countersign_model::entry::Entry;
use countersign_testkit::server::TestServer;
use countersign_tlog::checkpoint::Checkpoint;
use countersign_tlog::hash::{Hash, Head};
use countersign_tlog::note::{SignedNote, VerifierKey};
use countersign_tlog::proof::{consistency, consistency_tiles, verify_consistency};
use countersign_tlog::tile::{BundleId, TileId, parse_bundle_start};
use countersign_tlog::tree::Tree;

/// A log whose entries were checked to be those of its checkpoint.
pub struct Log {
    pub origin: String,
    pub key: VerifierKey,
    pub head: Head,
    pub entries: Vec<Entry>,
}

impl Log {
    /// Reads the whole log of the node that answers.
    pub async fn read(server: &TestServer) -> Self {
        let service = server.send(server.anonymous("GET", "/countersign/v1/")).await.unwrap().json();
        let origin = service["log"]["origin"].as_str().unwrap().to_owned();
        let key: VerifierKey = service["log"]["public_key"].as_str().unwrap().parse().unwrap();
        let note = fetch(server, &origin, "checkpoint").await;
        let head = open(&note, &key, &origin);
        let mut tree = Tree::new();
        let mut entries = Vec::new();
        while (entries.len() as u64) < head.size {
            let bundle = BundleId::holding(entries.len() as u64, head.size).unwrap();
            let bytes = fetch(server, &origin, &bundle.to_string()).await;
            for leaf in parse_bundle_start(&bytes, bundle.width()).unwrap() {
                let _ = tree.append(Hash::leaf(leaf));
                entries.push(Entry::parse(leaf).unwrap());
            }
        }
        assert_eq!(tree.head(), head, "the entries are not those of the checkpoint");
        Self { origin, key, head, entries }
    }

    /// Proves that this log goes on from each of these checkpoints.
    pub async fn continues(&self, server: &TestServer, notes: impl Iterator<Item = &Vec<u8>>) {
        let mut tiles: BTreeMap<TileId, Vec<u8>> = BTreeMap::new();
        for note in notes {
            let old = open(note, &self.key, &self.origin);
            for id in consistency_tiles(old.size, self.head.size).unwrap() {
                if let std::collections::btree_map::Entry::Vacant(place) = tiles.entry(id) {
                    place.insert(fetch(server, &self.origin, &id.to_string()).await);
                }
            }
            let read = |id: TileId| tiles.get(&id).cloned().ok_or("it was not fetched");
            let proof = consistency(old.size, self.head.size, &read).unwrap();
            verify_consistency(&old, &self.head, &proof)
                .unwrap_or_else(|error| panic!("the log of {} entries was replaced: {error}", old.size));
        }
    }
}

fn open(note: &[u8], key: &VerifierKey, origin: &str) -> Head {
    Checkpoint::open_as(&SignedNote::parse(note).unwrap(), key, origin).unwrap().head
}

async fn fetch(server: &TestServer, origin: &str, path: &str) -> Vec<u8> {
    let request = server.anonymous("GET", &format!("/log/{origin}/{path}")).bearer_auth(&server.token);
    let answer = server.send(request).await.unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.problem());
    answer.body
}
