//! The rules of `deny.toml` and of the manifests.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::licence;
use crate::workspace::{list, members, metadata, root, text, tree};

#[test]
fn every_dependency_has_a_licence_that_is_allowed() {
    let allowed = strings(&deny()["licenses"]["allow"]);
    let metadata = metadata();
    let mut wrong = Vec::new();
    for package in list(&metadata["packages"]) {
        let expression = text(&package["license"]);
        match licence::is_satisfied(expression, &|id| allowed.contains(id)) {
            Ok(true) => {}
            Ok(false) => wrong.push(format!("{}: {expression}", text(&package["name"]))),
            Err(why) => wrong.push(format!("{}: `{expression}`: {why}", text(&package["name"]))),
        }
    }
    assert!(wrong.is_empty(), "no allowed licence:\n{}", wrong.join("\n"));
}

#[test]
fn no_banned_crate_is_built_into_what_we_ship() {
    let deny = deny();
    let banned: BTreeSet<String> = deny["bans"]["deny"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["name"].as_str().unwrap().to_owned())
        .collect();
    assert!(banned.len() > 3, "the list was read");
    let tree = tree(&[]);
    assert!(tree.contains("aws-lc-rs"), "the tree was read");
    let found: Vec<_> = banned.intersection(&tree).collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn json_keeps_numbers_exact_and_objects_in_one_order() {
    let metadata = metadata();
    let is_json = |node: &&Value| text(&node["id"]).contains("#serde_json@");
    let node = list(&metadata["resolve"]["nodes"]).find(is_json).expect("serde_json is in the tree");
    let features: BTreeSet<&str> = list(&node["features"]).map(text).collect();
    // Features unify over the whole workspace, and these change canonical JSON.
    assert!(!features.contains("arbitrary_precision") && !features.contains("preserve_order"));
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let ours = strings(&manifest["workspace"]["dependencies"]["serde_json"]["features"]);
    assert!(ours.contains("float_roundtrip"), "not left to what a test's dependency happens to enable");
}

#[test]
fn every_package_takes_its_versions_lints_and_licence_from_the_root() {
    let metadata = metadata();
    for package in members(&metadata) {
        let file = text(&package["manifest_path"]);
        let manifest: toml::Table = fs::read_to_string(file).unwrap().parse().unwrap();
        assert_eq!(manifest["lints"]["workspace"].as_bool(), Some(true), "lints in {file}");
        for key in ["version", "edition", "rust-version", "license", "publish"] {
            let inherited = manifest["package"][key].get("workspace").and_then(toml::Value::as_bool);
            assert_eq!(inherited, Some(true), "`{key}.workspace = true` in {file}");
        }
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (name, dependency) in
                manifest.get(section).and_then(toml::Value::as_table).into_iter().flatten()
            {
                let inherited = dependency.get("workspace").and_then(toml::Value::as_bool);
                assert_eq!(
                    inherited,
                    Some(true),
                    "the version of `{name}` belongs in the root, not in {file}"
                );
            }
        }
    }
}

fn deny() -> toml::Table {
    fs::read_to_string(root().join("deny.toml")).unwrap().parse().unwrap()
}

fn strings(value: &toml::Value) -> BTreeSet<String> {
    value.as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}
