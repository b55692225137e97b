//! The workspace as cargo and the file system show it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The root of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// `cargo metadata` for this machine, without touching the network or the lock file.
pub fn metadata() -> Value {
    let host = cargo(&["-vV"]);
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).expect("cargo names its host");
    let arguments = ["metadata", "--format-version", "1", "--offline", "--locked", "--filter-platform", host];
    serde_json::from_str(&cargo(&arguments)).unwrap()
}

/// Names of the packages that are really built into `packages` (all of the workspace if empty), without
/// what only tests need. Unlike the metadata it leaves out optional dependencies that nobody enables.
pub fn tree(packages: &[&str]) -> BTreeSet<String> {
    let mut arguments = vec!["tree", "--offline", "--locked", "--edges", "normal,build"];
    arguments.extend(["--prefix", "none", "--format", "{p}", "--no-dedupe"]);
    if packages.is_empty() {
        arguments.push("--workspace");
    }
    for package in packages {
        arguments.extend(["--package", package]);
    }
    cargo(&arguments).lines().filter_map(|line| Some(line.split(' ').next()?.to_owned())).collect()
}

/// Our own packages, each with those of ours that it depends on: `true` in front for development only.
pub fn own_dependencies() -> BTreeMap<String, BTreeSet<(bool, String)>> {
    let metadata = metadata();
    let own: BTreeMap<&str, &Value> = members(&metadata).map(|p| (text(&p["name"]), p)).collect();
    own.iter()
        .map(|(name, package)| {
            let dependencies = list(&package["dependencies"])
                .filter(|dependency| own.contains_key(text(&dependency["name"])))
                .map(|dependency| (dependency["kind"] == "dev", text(&dependency["name"]).to_owned()))
                .collect();
            ((*name).to_owned(), dependencies)
        })
        .collect()
}

/// The packages of this workspace.
pub fn members(metadata: &Value) -> impl Iterator<Item = &Value> {
    let ids: BTreeSet<&str> = list(&metadata["workspace_members"]).map(text).collect();
    list(&metadata["packages"]).filter(move |package| ids.contains(text(&package["id"])))
}

/// The elements of a JSON list.
pub fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A JSON text.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// All Rust files below `folder`, by path; none if it is not there.
pub fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// The code of a file without comments, and without the tests at its end.
pub fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .fold(String::new(), |all, line| all + line.split(" // ").next().unwrap_or_default() + "\n")
}

fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo).args(arguments).current_dir(root()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {} failed:\n{errors}", arguments.join(" "));
    String::from_utf8(output.stdout).unwrap()
}
