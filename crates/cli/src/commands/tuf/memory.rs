//! What a client keeps between runs: what it has verified, so that a repository cannot go back behind it.
//!
//! ```text
//! DIR/root.json  timestamp.json  snapshot.json  ROLE.json      each written whole or not at all
//! DIR/.lock                                                    one process at a time
//! ```

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use countersign_model::digest::sha256;
use countersign_tuf::client::{Client, Local};
use countersign_tuf::metadata::{Document, Kind};
use countersign_tuf::names::file_name;
use rustix::fs::{FlockOperation, flock};

use crate::failure::Failure;
use crate::files::{self, Mode};

/// The largest file that is read back, in bytes.
const MAX_FILE: u64 = 8 << 20;

/// How long another process may have it.
const LOCK_TIME: Duration = Duration::from_secs(60);

/// A directory of what was verified, locked for this process.
pub struct Memory {
    directory: PathBuf,
    _lock: File,
}

impl Memory {
    /// Opens `directory`, which is made if it is not there, once no other process has it.
    ///
    /// # Errors
    /// If it cannot be made or locked.
    pub async fn open(directory: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(directory).map_err(|error| Failure::file("make", directory, &error))?;
        let path = directory.join(".lock");
        let failed = |error: io::Error| Failure::file("lock", &path, &error);
        let mut options = OpenOptions::new();
        let lock = options.write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        let begun = Instant::now();
        loop {
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self { directory: directory.to_owned(), _lock: lock }),
                Err(rustix::io::Errno::WOULDBLOCK) if begun.elapsed() < LOCK_TIME => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    return Err(Failure::unknown(format!(
                        "another process works in `{}`",
                        directory.display()
                    ))
                    .hint("wait for it, or name another directory with `--metadata-dir`"));
                }
                Err(error) => return Err(failed(error.into())),
            }
        }
    }

    /// A place of the user's own for a repository: by its address and the root that it began with.
    ///
    /// # Errors
    /// If the user has no place for it.
    pub fn default_directory(place: &str, root: &[u8]) -> Result<PathBuf, Failure> {
        let name = [&sha256(place.trim_end_matches('/').as_bytes())[..8], &sha256(root)[..8]].concat();
        let seen = crate::seen::Seen::at(None).map_err(|failure| {
            Failure::unknown(failure.message).hint("name a directory with `--metadata-dir DIR`")
        })?;
        let base = seen.path().parent().unwrap_or(Path::new("")).to_owned();
        Ok(base.join("tuf").join(hex::encode(name)))
    }

    /// The newest root that was verified.
    ///
    /// # Errors
    /// If it is there and cannot be read.
    pub fn root(&self) -> Result<Option<Vec<u8>>, Failure> {
        self.read(Kind::Root.as_str())
    }

    /// The file of a role, as it was when it was verified.
    pub fn role(&self, role: &str) -> Option<Vec<u8>> {
        self.read(role).ok().flatten()
    }

    /// Timestamp and snapshot: what a repository must not fall behind.
    ///
    /// # Errors
    /// If one of them is there and cannot be read: then nobody can tell whether it went back.
    pub fn local(&self) -> Result<Local, Failure> {
        let timestamp = self.read(Kind::Timestamp.as_str())?;
        Ok(Local { timestamp, snapshot: self.read(Kind::Snapshot.as_str())?, ..Local::default() })
    }

    /// Writes what `client` has verified, the root first.
    ///
    /// - `began_with`: the root that it started from.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn keep(&self, client: &Client, began_with: &[u8]) -> Result<(), Failure> {
        // 5.3.11: what a key had signed that is trusted no more is forgotten with it, before the new root is kept.
        if loses_keys(began_with, client.root()) {
            for role in [Kind::Timestamp, Kind::Snapshot] {
                let path = self.path(role.as_str());
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(Failure::file("remove", &path, &error));
                    }
                    _ => {}
                }
            }
        }
        for (role, bytes) in client.trusted() {
            let path = self.path(role);
            if fs::read(&path).ok().as_deref() != Some(bytes) {
                files::write(&path, bytes, Mode::Public)?;
            }
        }
        Ok(())
    }

    fn path(&self, role: &str) -> PathBuf {
        self.directory.join(file_name(role, None))
    }

    fn read(&self, role: &str) -> Result<Option<Vec<u8>>, Failure> {
        let path = self.path(role);
        if !path.exists() {
            return Ok(None);
        }
        files::read_whole(&path, MAX_FILE).map(|bytes| Some(bytes.to_vec()))
    }
}

fn loses_keys(began_with: &[u8], newest: &Document) -> bool {
    let old = Document::parse(began_with).and_then(|document| document.root());
    match (old, newest.root()) {
        (Ok(old), Ok(new)) => {
            [Kind::Timestamp, Kind::Snapshot].iter().any(|kind| old.loses_keys(&new, *kind))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_process_at_a_time_has_a_memory() {
        let directory = tempfile::tempdir().unwrap();
        let memory = Memory::open(directory.path()).await.unwrap();
        let other = File::open(directory.path().join(".lock")).unwrap();
        assert!(flock(&other, FlockOperation::NonBlockingLockExclusive).is_err());
        drop(memory);
        assert!(flock(&other, FlockOperation::NonBlockingLockExclusive).is_ok());
    }

    #[test]
    fn every_repository_and_every_first_root_has_its_own_place() {
        let place = |url: &str, root: &[u8]| Memory::default_directory(url, root).unwrap();
        assert_eq!(place("https://h/m", b"r"), place("https://h/m/", b"r"));
        assert_ne!(place("https://h/m", b"r"), place("https://h/m", b"s"));
        assert_ne!(place("https://h/m", b"r"), place("https://g/m", b"r"));
    }
}
