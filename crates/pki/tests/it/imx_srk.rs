//! Super root key tables and fuses against those of the reference tool.

use std::fs;
use std::path::PathBuf;

use countersign_model::{HashAlg, PublicKey};
use countersign_pki::imx::srk::{self, Family, HabEntry, SrkError, SuperRootKey};

fn fixture(path: &str) -> Vec<u8> {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/imx"));
    fs::read(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The super root keys of a tree, from its certificates.
fn keys(tree: &str) -> Vec<SuperRootKey> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/imx/pki");
    let mut names: Vec<String> = fs::read_dir(format!("{dir}/{tree}/crts"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("SRK"))
        .collect();
    names.sort();
    let key = |name: &String| {
        let pem = String::from_utf8(fixture(&format!("pki/{tree}/crts/{name}"))).unwrap();
        SuperRootKey { key: PublicKey::from_pem(&pem).unwrap(), is_ca: name.contains("_v3_ca_") }
    };
    names.iter().map(key).collect()
}

fn hab(tree: &str) -> Vec<HabEntry> {
    keys(tree).into_iter().map(HabEntry::Key).collect()
}

#[test]
fn hab_tables_and_fuses_are_those_of_the_reference_tool() {
    for tree in
        ["hab-rsa2048", "hab-rsa2048-noca", "hab-rsa3072", "hab-rsa4096", "hab-p256", "hab-p384", "hab-p521"]
    {
        let table = srk::hab_table(&hab(tree)).unwrap();
        assert_eq!(table, fixture(&format!("pki/{tree}/SRK_table.bin")), "{tree}");
        let fuses = fixture(&format!("pki/{tree}/SRK_efuses.bin"));
        assert_eq!(srk::hab_fuses(&hab(tree)).unwrap().as_slice(), fuses, "{tree}");
        assert_eq!(srk::fuses(&table).unwrap(), fuses, "{tree}: from the table");
        let (family, entries) = srk::entries(&table).unwrap();
        assert_eq!((family, entries.len()), (Family::Hab, 4), "{tree}");
    }
}

#[test]
fn ahab_tables_and_fuses_are_those_of_the_reference_tool() {
    for (tree, hash) in [
        ("ahab-rsa2048", HashAlg::Sha256),
        ("ahab-rsa4096", HashAlg::Sha512),
        ("ahab-p256", HashAlg::Sha256),
        ("ahab-p384", HashAlg::Sha384),
        ("ahab-p521", HashAlg::Sha512),
    ] {
        let keys: [SuperRootKey; 4] = keys(tree).try_into().unwrap();
        let table = srk::ahab_table(&keys, hash).unwrap();
        assert_eq!(table, fixture(&format!("pki/{tree}/SRK_table.bin")), "{tree}");
        let fuses = fixture(&format!("pki/{tree}/SRK_efuses.bin"));
        assert_eq!(srk::ahab_fuses(&table).as_slice(), fuses, "{tree}");
        assert_eq!(srk::fuses(&table).unwrap(), fuses, "{tree}: from the table");
    }
}

#[test]
fn a_key_given_by_its_digest_leaves_the_fuses_as_they_are() {
    let full = hab("hab-rsa2048");
    let table = srk::hab_table(&full).unwrap();
    let (_, entries) = srk::entries(&table).unwrap();
    let short = |entry: &&[u8]| HabEntry::Digest(countersign_model::digest::sha256(entry));
    let mixed: Vec<HabEntry> =
        full.iter().take(1).cloned().chain(entries.iter().skip(1).map(short)).collect();
    let mixed_table = srk::hab_table(&mixed).unwrap();
    assert_eq!(mixed_table, fixture("srktool/hash-entries_table.bin"));
    assert_eq!(srk::fuses(&mixed_table).unwrap(), fixture("srktool/hash-entries_efuses.bin"));
    assert_eq!(srk::fuses(&mixed_table), srk::fuses(&table));
}

#[test]
fn a_hab_table_can_have_fewer_keys() {
    let all = hab("hab-rsa2048");
    for (name, count) in [("one-srk", 1), ("two-srks", 2)] {
        let table = srk::hab_table(&all[..count]).unwrap();
        assert_eq!(table, fixture(&format!("srktool/{name}_table.bin")), "{name}");
        assert_eq!(srk::fuses(&table).unwrap(), fixture(&format!("srktool/{name}_efuses.bin")), "{name}");
    }
}

#[test]
fn keys_that_make_no_table_are_refused() {
    let all = hab("hab-rsa2048");
    let five: Vec<HabEntry> = all.iter().chain(&all[..1]).cloned().collect();
    for (entries, got) in [(&[][..], 0), (&five[..], 5)] {
        assert_eq!(srk::hab_table(entries), Err(SrkError::Count { want: "1 to 4", got }));
        assert!(srk::hab_fuses(entries).is_err());
    }
    let mixed = [&all[..2], &hab("hab-rsa2048-noca")[..2]].concat();
    assert_eq!(srk::hab_table(&mixed), Err(SrkError::Mixed));
    let key = PublicKey::from_ed25519(&[0x58; 32]).or_else(|_| PublicKey::from_ed25519(&[0x66; 32])).unwrap();
    let odd = [HabEntry::Key(SuperRootKey { key, is_ca: true })];
    assert!(matches!(srk::hab_table(&odd), Err(SrkError::KeyType(_))));
}

#[test]
fn a_table_that_is_cut_or_lies_about_its_length_is_refused() {
    for tree in ["hab-rsa2048", "hab-p521", "ahab-p256"] {
        let table = fixture(&format!("pki/{tree}/SRK_table.bin"));
        for end in 0..table.len() {
            assert!(srk::entries(&table[..end]).is_err(), "{tree} cut at {end}");
        }
        let longer = [table.as_slice(), &[0]].concat();
        assert!(srk::entries(&longer).is_err(), "{tree} with a byte more");
    }
}
