//! Trees against those of the reference tool: its certificates, made again from their own keys.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use countersign_model::{Encoding, HashAlg, KeyType, RawSignature};
use countersign_pki::imx::tree::{self, DAYS, Kind, Member, TreeSpec};
use countersign_pki::x509::{Certificate, Validity};

fn spec(tree: &str) -> TreeSpec {
    let (kind, key) = tree.split_once('-').unwrap();
    let kind = if kind == "hab" { Kind::Hab } else { Kind::Ahab };
    let (key_type, hash) = match key {
        "rsa2048" | "rsa2048-noca" => (KeyType::Rsa(2048), HashAlg::Sha256),
        "rsa3072" => (KeyType::Rsa(3072), HashAlg::Sha256),
        "rsa4096" if kind == Kind::Ahab => (KeyType::Rsa(4096), HashAlg::Sha512),
        "rsa4096" => (KeyType::Rsa(4096), HashAlg::Sha256),
        "p256" => (KeyType::P256, HashAlg::Sha256),
        "p384" if kind == Kind::Ahab => (KeyType::P384, HashAlg::Sha384),
        "p384" => (KeyType::P384, HashAlg::Sha256),
        "p521" if kind == Kind::Ahab => (KeyType::P521, HashAlg::Sha512),
        "p521" => (KeyType::P521, HashAlg::Sha256),
        other => panic!("{other}"),
    };
    let srk_is_ca = !matches!(tree, "hab-rsa2048-noca" | "ahab-p256" | "ahab-p521");
    TreeSpec { kind, key_type, hash, srk_is_ca }
}

/// The certificates of a tree by common name.
fn certificates(tree: &str) -> HashMap<String, Certificate> {
    let dir = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/imx/pki")).join(tree);
    let read = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().strip_suffix("_crt.pem").unwrap().to_owned();
        (name, Certificate::from_pem(&fs::read_to_string(path).unwrap()).unwrap())
    };
    fs::read_dir(dir.join("crts")).unwrap().map(read).collect()
}

const TREES: [&str; 12] = [
    "hab-rsa2048",
    "hab-rsa2048-noca",
    "hab-rsa3072",
    "hab-rsa4096",
    "hab-p256",
    "hab-p384",
    "hab-p521",
    "ahab-rsa2048",
    "ahab-rsa4096",
    "ahab-p256",
    "ahab-p384",
    "ahab-p521",
];

#[test]
fn every_certificate_has_its_name_in_the_tree() {
    for tree in TREES {
        let spec = spec(tree);
        let names: Vec<String> = spec.members().iter().map(|member| spec.common_name(*member)).collect();
        for name in certificates(tree).keys() {
            assert!(names.contains(name), "{tree}: {name} is none of {names:?}");
        }
    }
}

#[test]
fn a_certificate_made_again_from_its_own_key_and_signature_is_the_same() {
    let mut made = 0;
    for tree in TREES {
        let spec = spec(tree);
        let golden = certificates(tree);
        for member in spec.members() {
            // The root's name is in an old string type, which every consumer copies and none asks for.
            let Some(theirs) = golden.get(&spec.common_name(member)).filter(|_| member != Member::Ca) else {
                continue;
            };
            let issuer = &golden[&spec.common_name(spec.issuer(member))];
            let validity = Validity::days(theirs.not_before(), DAYS).unwrap();
            // These trees were issued with this date for a serial number.
            let serial = spec.serial(member, "2026-01-02T00:00:00Z".parse().unwrap(), [0; 20]);
            let (_, pending) =
                tree::prepare(&spec, member, theirs.public_key(), Some(issuer), serial, validity).unwrap();
            let width = spec.key_type.ecdsa_width();
            let raw: RawSignature = RawSignature::decode(theirs.signature(), width, Encoding::Der).unwrap();
            let ours = pending.finish(raw).unwrap();
            assert_eq!(ours.der(), theirs.der(), "{tree}: {}", spec.common_name(member));
            ours.is_signed_by(issuer.public_key()).unwrap();
            made += 1;
        }
    }
    assert!(made > 60, "only {made} certificates were made");
}
