//! The tiles on disk.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use countersign_tlog::proof::TileReader;
use countersign_tlog::tile::{Tile, TileId};

use super::Finished;
use crate::failpoint;

/// The directory of one log, read and written by path.
#[derive(Clone)]
pub(super) struct DiskTiles {
    dir: PathBuf,
}

impl DiskTiles {
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes a file that may be there with other content: a crash of the machine can leave a file with its
    /// name and length, but without its bytes.
    pub(super) fn write_again(&self, file: &Finished) -> io::Result<()> {
        replace(&self.dir.join(&file.path), &file.data)
    }

    /// Puts right what a crash of the machine may have done to the partial tiles of the log's end, and
    /// drops the partial bundles, which the next checkpoint writes again.
    pub(super) fn mend_partial(&self, tiles: &[Tile]) -> io::Result<()> {
        for tile in tiles {
            let Some(full) = tile.id.full() else { continue };
            let partial = self.dir.join(format!("{full}.p"));
            let present = match fs::read_dir(&partial) {
                Ok(present) => present,
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(e),
            };
            for entry in present {
                let entry = entry?;
                let width = entry.file_name().to_str().and_then(|name| name.parse::<usize>().ok());
                match width.and_then(|width| tile.data.get(..32 * width)) {
                    Some(data) => replace(&entry.path(), data)?,
                    None => fs::remove_file(entry.path())?,
                }
            }
            if tile.id.level() == 0 {
                let index = full.to_string();
                let bundles = index.replacen("tile/0/", "tile/entries/", 1);
                match fs::remove_dir_all(self.dir.join(format!("{bundles}.p"))) {
                    Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Writes a file that has one content for ever. Nothing happens if it is there in full length.
    pub(super) fn write_once(&self, file: &Finished) -> io::Result<()> {
        let path = self.dir.join(&file.path);
        if fs::metadata(&path).is_ok_and(|m| m.len() == file.data.len() as u64) {
            return Ok(());
        }
        failpoint::check("tile-write")?;
        replace(&path, &file.data)?;
        // The partial ones before it are of no more use: readers take the full one in their place.
        if !file.path.contains(".p/") {
            let partial = self.dir.join(format!("{}.p", file.path));
            match fs::remove_dir_all(partial) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }

    /// A reader that takes tiles which are not on disk yet from `partial`.
    pub(super) fn with_partial<'a>(
        &'a self,
        partial: &'a [Tile],
    ) -> impl Fn(TileId) -> io::Result<Vec<u8>> + 'a {
        move |id| {
            let wider = |t: &&Tile| {
                t.id.level() == id.level() && t.id.index() == id.index() && t.id.width() >= id.width()
            };
            match partial.iter().find(wider) {
                Some(tile) => Ok(tile.data.clone()),
                None => self.read(id),
            }
        }
    }
}

impl TileReader for DiskTiles {
    type Error = io::Error;

    fn read(&self, id: TileId) -> io::Result<Vec<u8>> {
        let full = id.full().unwrap_or(id);
        match fs::read(self.dir.join(full.to_string())) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => fs::read(self.dir.join(id.to_string())),
            other => other,
        }
    }
}

/// Replaces a file so that a reader sees the old content or the new one. Not durable by itself.
pub(super) fn replace(path: &Path, data: &[u8]) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let temporary = path.with_extension("new");
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(data)?;
        fs::rename(&temporary, path)
    };
    match write() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(parent)?;
            write()
        }
        other => other,
    }
}

/// Writes a file and waits until it is on the disk.
pub(super) fn write_durably(path: &Path, data: &[u8]) -> io::Result<()> {
    replace(path, data)?;
    File::open(path)?.sync_all()?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}
