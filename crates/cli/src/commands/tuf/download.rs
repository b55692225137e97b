//! `tuf download`: a client as the specification has it (section 5).

use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use countersign_tuf::targets::TargetFile;
use serde_json::json;

use super::memory::Memory;
use super::place::Place;
use super::reader::{Reader, root_of};
use super::refused;
use crate::args::DownloadTarget;
use crate::context::Context;
use crate::failure::{Failure, Kind, Outcome};
use crate::files::{self, Making, Mode};

/// Downloads one target.
pub async fn run(context: &Context, options: &DownloadTarget) -> Result<Outcome, Failure> {
    let output = match &options.output {
        Some(output) => output.clone(),
        None => own_name(&options.path)?,
    };
    let root = root_of(&options.read)?;
    let memory = match (&options.read.metadata_dir, &root) {
        (Some(directory), _) => Some(directory.clone()),
        (None, Some(root)) => Some(Memory::default_directory(&options.place, root)?),
        (None, None) => None,
    };
    let memory = match &memory {
        Some(directory) => Some(Memory::open(directory).await?),
        None => None,
    };
    let places = Place::all(context, &options.place, &options.read)?;
    let mut reader = Reader::new(places, root, memory, options.read.now)?;
    let Some(target) = reader.find(&options.path).await? else {
        return Err(refused::failure(
            Kind::Refused,
            "none",
            &format!("the repository has no target `{}`", options.path),
            "paths are as the publisher wrote them, with no `/` at the beginning",
        ));
    };
    let there = is_there(&output, &target);
    if !there {
        fetch(&reader, &options.path, &target, names(&reader, options, &target), &output).await?;
    }
    let document = json!({
        "path": options.path, "file": output, "length": target.length, "hashes": target.hashes.to_value(),
        "custom": target.custom, "downloaded": !there, "root_version": reader.client.root().version(),
        "expires": reader.client.timestamp().map(|timestamp| timestamp.expires().to_string()),
    });
    context.out.value(&document, |_| {
        let what = if there { "was there already" } else { "is what the repository has vouched for" };
        format!("`{}`, {} bytes: {what}", output.display(), target.length)
    })?;
    Ok(Outcome::Done)
}

/// The last part of a path, as a file here.
fn own_name(path: &str) -> Result<PathBuf, Failure> {
    let name = path.rsplit('/').next().unwrap_or_default();
    if matches!(name, "" | "." | "..") || name.contains('\0') {
        return Err(
            Failure::unknown(format!("`{path}` does not end with a name")).hint("name the file: `--to FILE`")
        );
    }
    Ok(name.into())
}

/// Where the file may be below the place of target files.
fn names(reader: &Reader, options: &DownloadTarget, target: &TargetFile) -> Vec<String> {
    paths(reader, options.read.plain_names, &options.path, target)
}

/// Under consistent snapshots its name has one of its hashes in front.
pub fn paths(reader: &Reader, plain_names: bool, path: &str, target: &TargetFile) -> Vec<String> {
    let consistent = reader.client.root().root().is_ok_and(|root| root.consistent_snapshot);
    if consistent && !plain_names { target.consistent_paths(path) } else { vec![path.to_owned()] }
}

/// Whether a file is the target already.
pub fn is_there(file: &Path, target: &TargetFile) -> bool {
    if !std::fs::metadata(file).is_ok_and(|found| found.is_file() && found.len() == target.length) {
        return false;
    }
    let mut checker = target.checker();
    let read = files::feed(file, |piece| match checker.update(piece) {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    });
    read.is_ok() && checker.finish().is_ok()
}

/// Fetches a target from the first place that has a good one. The file is there when it was checked, not before.
///
/// # Errors
/// Why the first place's was not good.
pub async fn fetch(
    reader: &Reader,
    path: &str,
    target: &TargetFile,
    names: Vec<String>,
    output: &Path,
) -> Result<(), Failure> {
    let mut first = None;
    for place in &reader.places {
        for name in &names {
            match fetch_from(place, name, path, target, output).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(failure) => {
                    first.get_or_insert(failure);
                }
            }
        }
    }
    Err(first.unwrap_or_else(|| {
        let hint = "are target files elsewhere than the metadata? `--targets-url`; without hashes in their \
                    names? `--plain-names`";
        refused::failure(Kind::Unknown, "missing", &format!("the file of `{path}` is not there"), hint)
    }))
}

async fn fetch_from(
    place: &Place,
    name: &str,
    path: &str,
    target: &TargetFile,
    output: &Path,
) -> Result<bool, Failure> {
    let mut making = Making::begin(output, Mode::Public)?;
    let mut checker = target.checker();
    let mut sink = |piece: &[u8]| {
        checker.update(piece).map_err(|error| refused::of_target(path, &error))?;
        making.file().write_all(piece).map_err(|error| Failure::file("write", output, &error))
    };
    // One more than there may be, so that the judge says it.
    let found = place.target(name, target.length.saturating_add(1 << 16), &mut sink).await;
    if !found.map_err(refused::of_fetch)? {
        return Ok(false);
    }
    checker.finish().map_err(|error| refused::of_target(path, &error))?;
    making.finish()?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_is_called_as_the_last_part_of_its_path() {
        assert_eq!(own_name("app/one-1.0.tgz").unwrap(), PathBuf::from("one-1.0.tgz"));
        for bad in ["", "a/", "..", "a/..", "a/."] {
            assert!(own_name(bad).is_err(), "{bad}");
        }
    }
}
