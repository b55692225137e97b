use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use countersign_model::entry::{Entry, Op};
use countersign_model::{Encoding, Format, PublicKey, RawSignature, Surface};
use countersign_tlog::checkpoint::Checkpoint;
use countersign_tlog::hash::Hash;
use countersign_tlog::log_proof::LogProof;
use countersign_tlog::note::VerifierKey;
use countersign_tlog::proof::inclusion;
use countersign_tlog::tree::Tree;
use countersign_verify::log::{self, LogError};

use crate::support::Signed;

/// A log of three entries, the second of which is the one in question.
struct Log {
    key: VerifierKey,
    proof: String,
    entry: Vec<u8>,
}

impl Log {
    fn with(origin: &str, entry: &Entry) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let public = PublicKey::from_ed25519(pair.public_key().as_ref().try_into().unwrap()).unwrap();
        let key = VerifierKey::new(origin.parse().unwrap(), public).unwrap();

        let entry = entry.to_canonical();
        let mut tree = Tree::new();
        for leaf in [b"first".as_slice(), &entry, b"third"] {
            assert!(tree.append(Hash::leaf(leaf)).is_empty(), "no tile is full yet");
        }
        let tiles = tree.partial_tiles();
        let read = |id| tiles.iter().find(|t| t.id == id).map(|t| t.data.clone()).ok_or("no such tile");
        let hashes = inclusion(1, 3, &read).unwrap();
        let (to_sign, pending) = Checkpoint::new(origin, tree.head()).prepare(&key).unwrap();
        let signature = RawSignature(pair.sign(to_sign.as_bytes()).as_ref().to_vec());
        let checkpoint = pending.finish(signature).unwrap();
        let proof = LogProof { extra: None, index: 1, hashes, checkpoint }.to_string();
        Self { key, proof, entry }
    }

    fn check(&self, signed: &Signed) -> Result<u64, LogError> {
        let content = signed.content();
        let signed = log::Signed {
            key: &signed.key,
            scheme: signed.scheme,
            content: &content,
            signature: &signed.signature,
            encoding: Encoding::Der,
        };
        log::signature(&signed, self.proof.as_bytes(), &self.entry, &self.key).map(|proven| proven.index)
    }
}

fn signed() -> Signed {
    Signed::by("keys", "bravo", "ecdsa-sha256")
}

fn entry_of(signed: &Signed) -> Entry {
    Entry {
        format: Some(Format::Raw),
        input: Some(countersign_model::digest::sha256_text(&signed.payload)),
        key: Some("release".parse().unwrap()),
        key_id: Some(signed.key.id()),
        node: "node-1".parse().unwrap(),
        op: Op::Sign,
        policy: countersign_model::digest::sha256_text(b"policy"),
        principal: "admin".parse().unwrap(),
        request_id: "r1".parse().unwrap(),
        scheme: Some(signed.scheme),
        subject: None,
        surface: Surface::Native,
        time: "2026-01-02T03:04:05.000Z".into(),
        to_sign: Some(countersign_model::digest::sha256_text(signed.content().as_bytes())),
        v: 1,
    }
}

#[test]
fn a_signature_with_its_entry_and_proof_is_shown_to_be_in_the_log() {
    let signed = signed();
    let log = Log::with("node-1", &entry_of(&signed));
    assert_eq!(log.check(&signed), Ok(1));
    let proven = log::entry(log.proof.as_bytes(), &log.entry, &log.key).unwrap();
    assert_eq!((proven.index, proven.checkpoint.head.size), (1, 3));
    assert_eq!(proven.entry, entry_of(&signed));
}

#[test]
fn an_entry_of_another_signature_does_not_vouch_for_this_one() {
    let signed = signed();
    let entry = entry_of(&signed);
    let check = |entry: Entry| Log::with("node-1", &entry).check(&signed).unwrap_err();

    let other = Signed::by("keys", "alpha", "rsa-pkcs1-sha256");
    assert!(matches!(check(Entry { key_id: Some(other.key.id()), ..entry.clone() }), LogError::Key { .. }));
    assert!(matches!(check(Entry { key_id: None, ..entry.clone() }), LogError::Key { .. }));
    let scheme = "ecdsa-sha384".parse().unwrap();
    assert!(matches!(check(Entry { scheme: Some(scheme), ..entry.clone() }), LogError::Scheme { .. }));
    let to_sign = Some(countersign_model::digest::sha256_text(b"other"));
    assert!(matches!(check(Entry { to_sign, ..entry.clone() }), LogError::Content { .. }));
    assert_eq!(check(Entry { op: Op::KeyExport, ..entry.clone() }), LogError::NotASignature);
    let node = "node-2".parse().unwrap();
    assert!(matches!(check(Entry { node, ..entry }), LogError::Node { .. }));
}

#[test]
fn a_bad_signature_is_not_saved_by_a_good_entry() {
    let mut signed = signed();
    let log = Log::with("node-1", &entry_of(&signed));
    signed.signature = Signed::by("keys", "echo-384", "ecdsa-sha256").signature;
    assert!(matches!(log.check(&signed), Err(LogError::Signature(_))));
}

#[test]
fn a_changed_entry_proof_or_log_key_proves_nothing() {
    let signed = signed();
    let log = Log::with("node-1", &entry_of(&signed));
    let check = |proof: &str, entry: &[u8], key| log::entry(proof.as_bytes(), entry, key).is_ok();
    assert!(check(&log.proof, &log.entry, &log.key));

    let mut entry = log.entry.clone();
    entry.push(b'\n');
    assert!(!check(&log.proof, &entry, &log.key));
    assert!(!check(&log.proof.replace("index 1", "index 0"), &log.entry, &log.key));
    assert!(!check(&log.proof.replace("\n3\n", "\n4\n"), &log.entry, &log.key));
    let stranger = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW".parse().unwrap();
    assert!(!check(&log.proof, &log.entry, &stranger));
}
