//! What the sources may mention.

use std::collections::BTreeSet;
use std::path::Path;

use crate::architecture::PURE;
use crate::workspace::{code, root, rust_files};

/// What a pure crate does without: time, randomness and the outside are arguments.
const IMPURE: &[&str] = &[
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "Instant::now",
    "SystemTime",
    "Timestamp::now",
    "Zoned::now",
    "SystemRandom",
    "aws_lc_rs::rand",
    "tracing::",
    "log::info",
    "println!",
    "eprintln!",
    "tokio::",
];

#[test]
fn pure_crates_name_no_file_socket_clock_randomness_or_logger() {
    let mut wrong = Vec::new();
    for name in PURE {
        for file in rust_files(&root().join("crates").join(name).join("src")) {
            if file.ends_with("tests.rs") {
                continue;
            }
            let code = code(&file);
            for word in IMPURE.iter().filter(|word| code.contains(**word)) {
                wrong.push(format!("{}: `{word}`", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_surface_never_imports_another() {
    let folder = root().join("crates/server/src/surfaces");
    let names: BTreeSet<String> =
        std::fs::read_dir(&folder).into_iter().flatten().map(|e| stem(&e.unwrap().path())).collect();
    let mut wrong = Vec::new();
    for file in rust_files(&folder) {
        let inside = file.strip_prefix(&folder).unwrap();
        let depth = inside.components().count();
        let surface = stem(Path::new(inside.components().next().unwrap().as_os_str()));
        if surface == "mod" {
            continue;
        }
        // In a file of the folder itself `super` is the folder of surfaces; one level down twice.
        let up = "super::".repeat(if inside.ends_with("mod.rs") { depth - 1 } else { depth });
        for import in imports(&code(&file), &["surfaces::", &up]) {
            if import != surface && names.contains(&import) {
                wrong.push(format!("{} imports surface `{import}`", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn imports_of_other_surfaces_are_found_in_every_spelling() {
    let found = |code: &str| imports(code, &["surfaces::", "super::super::"]);
    assert_eq!(found("use crate::surfaces::tuf::Role;"), ["tuf"]);
    assert_eq!(
        found("use crate::surfaces::{\n    tuf::{Role, Bin},\n    tags,\n};"),
        ["tuf", "Role", "Bin", "tags"]
    );
    assert_eq!(found("super::super::tags::write(x)"), ["tags"]);
    assert!(found("use super::wire::Key;").is_empty());
}

#[test]
fn unsafe_code_stands_in_one_place() {
    let folders = ["crates", "bench", "fuzz/src"].map(|folder| root().join(folder));
    let found: Vec<String> = folders
        .iter()
        .flat_map(|folder| rust_files(folder))
        .filter(|file| code(file).contains(concat!("allow(unsafe", "_code")))
        .map(|file| file.strip_prefix(root()).unwrap().display().to_string())
        .collect();
    assert_eq!(found, ["crates/keyhost/src/soft/unprefixed.rs"]);
}

/// The words that follow one of `prefixes`: one, or all of a group in braces.
fn imports(code: &str, prefixes: &[&str]) -> Vec<String> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for prefix in prefixes {
        for (at, _) in code.match_indices(prefix) {
            let rest = &code[at + prefix.len()..];
            let names = match rest.strip_prefix('{') {
                Some(group) => group.split(';').next().unwrap_or_default(),
                None => rest.split(|c| !word(c)).next().unwrap_or_default(),
            };
            found.extend(names.split(|c| !word(c)).filter(|name| !name.is_empty()).map(str::to_owned));
        }
    }
    found
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
