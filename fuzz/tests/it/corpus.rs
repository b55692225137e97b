//! Seeds and kept failures on disk.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The seeds of a target, in the order of their names.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let mut files = entries(&Path::new("corpus").join(target));
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// The names in a folder that end in `suffix`, without it. `mod.rs` does not count.
pub fn names(folder: &str, suffix: &str) -> BTreeSet<String> {
    entries(Path::new(folder))
        .iter()
        .filter_map(|path| path.file_name()?.to_str()?.strip_suffix(suffix).map(str::to_owned))
        .filter(|name| name != "mod")
        .collect()
}

/// Writes an input that broke `target` where the next run does not take it for a seed.
pub fn keep_failure(target: &str, input: &[u8]) -> PathBuf {
    let folder = root().join("../target/fuzz-failures");
    fs::create_dir_all(&folder).unwrap();
    let number = fs::read_dir(&folder).unwrap().count();
    let file = folder.join(format!("{target}-{number}"));
    fs::write(&file, input).unwrap();
    file
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let folder = root().join(folder);
    let read = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    read.map(|entry| entry.unwrap().path()).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
