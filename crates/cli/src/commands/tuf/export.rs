//! `tuf export`: what the server publishes, verified, in a directory that can be served as it is.
//!
//! Files with a version never change, so those that are there are not fetched again. The timestamp is written last,
//! when all that it leads to is there.

use std::path::{Path, PathBuf};

use countersign_tuf::metadata::{Document, Kind};
use countersign_tuf::names::file_name;
use countersign_tuf::targets::TargetFile;
use serde_json::json;

use super::place::{METADATA, Place, TARGETS, below};
use super::reader::Reader;
use super::{download, walk};
use crate::args::ExportRepository;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::files::{self, Mode};

/// The largest root that is read, in bytes.
const MAX_ROOT: u64 = 512_000;

/// Exports the server's repository.
pub async fn run(context: &Context, options: &ExportRepository) -> Result<Outcome, Failure> {
    let metadata = options.directory.join(METADATA);
    std::fs::create_dir_all(&metadata).map_err(|error| Failure::file("make", &metadata, &error))?;
    let server = Place::Server(context.api().await?);
    let root = first_root(&server, &metadata, options.root.as_deref()).await?;
    // What was exported before is asked first: the files of roles that did not change.
    let mut reader = Reader::new(vec![server], Some(root), None, None)?;
    reader.refresh().await?;
    let mut sizes = Sizes::default();
    for root in &reader.roots {
        let version = Document::parse(root).map_or(0, |document| document.version());
        sizes.keep(&metadata, &file_name(Kind::Root.as_str(), Some(version)), root)?;
    }
    let mut wanted = Vec::new();
    list(&reader, Kind::Targets.as_str(), options.targets, &mut wanted);
    let earlier = Place::Directory { metadata: metadata.clone(), targets: options.directory.join(TARGETS) };
    reader.places.insert(0, earlier);
    let roles = walk::delegated(&mut reader, &mut |reader: &Reader, role: &str, document: &Document| {
        let bytes = bytes_of(reader, role);
        sizes.keep(&metadata, &file_name(role, Some(document.version())), &bytes)?;
        list(reader, role, options.targets, &mut wanted);
        Ok(())
    })
    .await?
    .found;
    for kind in [Kind::Targets, Kind::Snapshot] {
        let version = version_of(&reader, kind);
        sizes.keep(&metadata, &file_name(kind.as_str(), Some(version)), &bytes_of(&reader, kind.as_str()))?;
    }
    let (mut fetched, mut there) = (0, 0);
    for (path, target) in &wanted {
        match export_target(&reader, &options.directory, path, target).await? {
            true => fetched += 1,
            false => there += 1,
        }
    }
    files::make_durable(&metadata)?;
    let timestamp = bytes_of(&reader, Kind::Timestamp.as_str());
    sizes.keep(&metadata, &file_name(Kind::Timestamp.as_str(), None), &timestamp)?;
    files::make_durable(&metadata)?;
    let document = json!({
        "directory": options.directory, "root_version": reader.client.root().version(),
        "roles": roles.len() + Kind::ALL.len(), "files_written": sizes.written, "files_there": sizes.there,
        "targets_fetched": fetched, "targets_there": there,
    });
    context.out.value(&document, |_| {
        let targets = if options.targets {
            format!(", {} targets ({fetched} new)", wanted.len())
        } else {
            String::new()
        };
        format!(
            "{} metadata files ({} new){targets} in `{}`, all verified",
            sizes.written + sizes.there,
            sizes.written,
            options.directory.display()
        )
    })?;
    Ok(Outcome::Done)
}

/// The root that is trusted: one that is named, else the server's first, which is the one that was exported before.
async fn first_root(server: &Place, metadata: &Path, named: Option<&Path>) -> Result<Vec<u8>, Failure> {
    let first = file_name(Kind::Root.as_str(), Some(1));
    let exported = metadata.join(&first);
    if let Some(file) = named.or_else(|| exported.exists().then_some(exported.as_path())) {
        return Ok(files::read_whole(file, MAX_ROOT)?.to_vec());
    }
    let fetched = server.metadata(&first, MAX_ROOT).await.map_err(super::refused::of_fetch)?;
    fetched.ok_or_else(|| {
        Failure::refused("the server has not published a root yet")
            .hint("`countersign tuf status` says who must sign it first")
    })
}

#[derive(Default)]
struct Sizes {
    written: usize,
    there: usize,
}

impl Sizes {
    fn keep(&mut self, directory: &Path, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = directory.join(name);
        if std::fs::read(&path).ok().as_deref() == Some(bytes) {
            self.there += 1;
            return Ok(());
        }
        self.written += 1;
        files::write_of_many(&path, bytes, Mode::Public)
    }
}

fn bytes_of(reader: &Reader, role: &str) -> Vec<u8> {
    let mut trusted = reader.client.trusted();
    trusted.find(|(name, _)| *name == role).map(|(_, bytes)| bytes.to_vec()).unwrap_or_default()
}

fn version_of(reader: &Reader, kind: Kind) -> u64 {
    let document = match kind {
        Kind::Targets => reader.client.targets(kind.as_str()),
        _ => reader.client.snapshot(),
    };
    document.map_or(1, Document::version)
}

fn list(reader: &Reader, role: &str, wanted: bool, into: &mut Vec<(String, TargetFile)>) {
    let Some(document) = reader.client.targets(role).filter(|_| wanted) else { return };
    let Ok(targets) = document.targets() else { return };
    for path in targets.targets.keys() {
        if let Ok(Some(target)) = document.target(path) {
            into.push((path.clone(), target));
        }
    }
}

/// Fetches a target unless it is there. Whether it was fetched.
async fn export_target(
    reader: &Reader,
    directory: &Path,
    path: &str,
    target: &TargetFile,
) -> Result<bool, Failure> {
    let names = target.consistent_paths(path);
    let name = names.first().cloned().unwrap_or_else(|| path.to_owned());
    let output: PathBuf = below(&directory.join(TARGETS), &name)
        .ok_or_else(|| Failure::refused(format!("the path `{path}` cannot be one of a file here")))?;
    if download::is_there(&output, target) {
        return Ok(false);
    }
    let parent = output.parent().unwrap_or(directory);
    std::fs::create_dir_all(parent).map_err(|error| Failure::file("make", parent, &error))?;
    download::fetch(reader, path, target, names, &output).await?;
    Ok(true)
}
