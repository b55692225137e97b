//! Which crate may depend on which, and what the pure ones do without.

use std::collections::BTreeMap;

use crate::workspace::{own_dependencies, tree};

/// A format knows the vocabulary and nothing else; in particular no other format.
const FORMATS: &[&str] = &["openpgp", "pki", "tuf", "records", "tlog"];

/// Crates that name no file system, socket, clock, random generator, runtime or logger.
pub const PURE: &[&str] = &["model", "openpgp", "pki", "tuf", "records", "tlog", "verify"];

/// What a runtime, a server, a client, a database or a logger is called in a dependency tree. `log` is not
/// among them: the time library can write to it, and does nothing when nobody listens.
const NOT_IN_PURE: &[&str] = &[
    "async-std",
    "axum",
    "futures-executor",
    "getrandom",
    "hyper",
    "landlock",
    "mio",
    "object_store",
    "rand",
    "reqwest",
    "rustix",
    "rustls",
    "smol",
    "sqlx",
    "sqlx-core",
    "sqlx-postgres",
    "sqlx-sqlite",
    "tokio",
    "tracing",
    "ureq",
];

fn may_depend_on() -> BTreeMap<&'static str, Vec<&'static str>> {
    let with = |more: &[&'static str]| [&["model"], FORMATS, more].concat();
    let everything_shipped = with(&["verify", "keyhost", "store", "core", "server"]);
    let mut table = BTreeMap::from([
        ("model", vec![]),
        ("verify", with(&[])),
        ("keyhost", vec!["model", "tlog"]),
        ("store", vec!["model"]),
        ("core", with(&["verify", "keyhost", "store"])),
        ("server", with(&["core"])),
        ("cli", everything_shipped.clone()),
        // Development only: nothing that is shipped may depend on these.
        ("testkit", everything_shipped.clone()),
        ("fuzz", everything_shipped.clone()),
        ("bench", everything_shipped),
    ]);
    table.extend(FORMATS.iter().map(|format| (*format, vec!["model"])));
    table
}

#[test]
fn each_crate_depends_only_on_what_the_design_allows() {
    let table = may_depend_on();
    let mut wrong = Vec::new();
    for (package, dependencies) in own_dependencies() {
        let name = short(&package);
        let allowed = table.get(name).unwrap_or_else(|| panic!("`{name}` is not in the table: add it"));
        for (development, dependency) in &dependencies {
            let dependency = short(dependency);
            let test_help = *development && !matches!(dependency, "fuzz" | "bench");
            if !test_help && !allowed.contains(&dependency) {
                wrong.push(format!("`{name}` must not depend on `{dependency}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_pure_crate_has_a_runtime_a_socket_a_database_or_a_logger_in_its_tree() {
    let existing = own_dependencies();
    for name in PURE {
        let package = format!("countersign-{name}");
        if !existing.contains_key(&package) {
            continue;
        }
        let tree = tree(&[&package]);
        let found: Vec<_> = NOT_IN_PURE.iter().filter(|banned| tree.contains(**banned)).collect();
        assert!(found.is_empty(), "`{name}` is pure, but has {found:?} in its tree");
    }
}

#[test]
fn the_offline_verifier_has_nothing_but_formats_in_its_tree() {
    let tree = tree(&["countersign-verify"]);
    let own: Vec<_> = tree.iter().filter_map(|name| name.strip_prefix("countersign-")).collect();
    assert!(own.iter().all(|name| PURE.contains(name)), "{own:?}");
}

fn short(package: &str) -> &str {
    package.strip_prefix("countersign-").unwrap_or_else(|| panic!("`{package}` is not named countersign-…"))
}
