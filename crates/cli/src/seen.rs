//! What was seen of servers and bundles, kept between runs: the only ground for saying that one went back.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use countersign_model::KeyId;
use countersign_tlog::checkpoint::Checkpoint;
use countersign_tlog::note::SignedNote;
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, OrUnknown as _};
use crate::files::{self, Mode};

/// The file in which it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    path: PathBuf,
    place: Place,
}

/// Who chose the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Given,
    Default,
}

/// What was seen of a publication log: verified when it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenLog {
    /// Its verifier key.
    pub key: String,
    /// The newest checkpoint, a signed note.
    pub checkpoint: String,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Document {
    /// By the server's address.
    logs: BTreeMap<String, SeenLog>,
    /// The highest version, by the root key's id.
    bundles: BTreeMap<String, u64>,
}

impl SeenLog {
    /// What the checkpoint says.
    ///
    /// # Errors
    /// If the file was changed by somebody else.
    pub fn opened(&self) -> Result<Checkpoint, Failure> {
        let text = SignedNote::parse(self.checkpoint.as_bytes()).or_unknown("the state file is damaged")?;
        Checkpoint::parse(text.text()).or_unknown("the state file is damaged")
    }
}

impl Seen {
    /// The file that was given, else the user's own.
    ///
    /// # Errors
    /// If none was given and the user has no place for one.
    pub fn at(given: Option<&Path>) -> Result<Self, Failure> {
        if let Some(path) = given {
            return Ok(Self { path: path.to_owned(), place: Place::Given });
        }
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = || set("HOME").map(|home| home.join(".local").join("state"));
        let base = set("XDG_STATE_HOME").or_else(home).ok_or_else(|| {
            Failure::unknown("there is no place to remember what was seen of the server")
                .hint("give one with `--state FILE`")
        })?;
        Ok(Self { path: base.join("countersign").join("seen.json"), place: Place::Default })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was last seen of the publication log of `server`.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged: then nobody could tell.
    pub fn log(&self, server: &str) -> Result<Option<SeenLog>, Failure> {
        Ok(self.read()?.logs.remove(server))
    }

    /// The highest version seen of the bundle that `root` signs.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged: then nobody could tell.
    pub fn bundle(&self, root: &KeyId) -> Result<Option<u64>, Failure> {
        Ok(self.read()?.bundles.remove(root.as_str()))
    }

    /// Remembers a newer checkpoint of the log of `server`; an older one than another process has seen
    /// meanwhile changes nothing. Returns a warning where the default place cannot be written.
    ///
    /// # Errors
    /// If the file that was given cannot be written.
    pub fn remember_log(&self, server: &str, log: SeenLog) -> Result<Option<String>, Failure> {
        let size = log.opened()?.head.size;
        self.change(|document| {
            let newer = match document.logs.get(server) {
                Some(before) => before.opened()?.head.size < size,
                None => true,
            };
            if newer {
                document.logs.insert(server.to_owned(), log);
            }
            Ok(newer)
        })
    }

    /// Remembers that a version of a bundle was seen. As [`remember_log`](Self::remember_log).
    ///
    /// # Errors
    /// If the file that was given cannot be written.
    pub fn remember_bundle(&self, root: &KeyId, version: u64) -> Result<Option<String>, Failure> {
        self.change(|document| {
            let highest = document.bundles.entry(root.as_str().to_owned()).or_insert(0);
            let newer = *highest < version;
            *highest = version.max(*highest);
            Ok(newer)
        })
    }

    fn read(&self) -> Result<Document, Failure> {
        if !self.path.exists() {
            return Ok(Document::default());
        }
        let bytes = files::read_small(&self.path)?;
        serde_json::from_slice(&bytes).map_err(|error| {
            Failure::unknown(format!("the state file `{}` is damaged: {error}", self.path.display())).hint(
                "restore it, or give another with `--state FILE`: then what was seen before is forgotten",
            )
        })
    }

    /// Changes the file under a lock, if `change` says that there is something to write.
    fn change(
        &self,
        change: impl FnOnce(&mut Document) -> Result<bool, Failure>,
    ) -> Result<Option<String>, Failure> {
        let result = self.lock().and_then(|_lock| {
            let mut document = self.read()?;
            if !change(&mut document)? {
                return Ok(());
            }
            let bytes = serde_json::to_vec_pretty(&document).or_unknown("cannot write the state file")?;
            files::write(&self.path, &bytes, Mode::Public)
        });
        match (result, self.place) {
            (Ok(()), _) => Ok(None),
            (Err(failure), Place::Given) => Err(failure),
            // A build job may have no home to write to: it is told, and goes on.
            (Err(failure), Place::Default) => Ok(Some(format!(
                "warning: what was seen is not remembered: {}; `--state FILE` names another place",
                failure.message
            ))),
        }
    }

    /// Held while the file is changed.
    fn lock(&self) -> Result<File, Failure> {
        let path = files::with_suffix(&self.path, ".lock");
        let failed = |error| Failure::file("write", &self.path, &error);
        if let (Place::Default, Some(parent)) = (self.place, path.parent()) {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        file.lock().map_err(failed)?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(directory: &Path) -> Seen {
        Seen::at(Some(&directory.join("seen.json"))).unwrap()
    }

    fn log(size: u64) -> SeenLog {
        let root = countersign_tlog::hash::Hash::leaf(b"any").to_base64();
        let checkpoint = format!("log\n{size}\n{root}\n\n— log AAAAAAAA\n");
        SeenLog { key: "log+00000000+AQ==".into(), checkpoint }
    }

    #[test]
    fn only_the_newest_checkpoint_of_each_server_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let seen = seen(directory.path());
        assert_eq!(seen.log("https://a").unwrap(), None);
        seen.remember_log("https://a", log(7)).unwrap();
        seen.remember_log("https://a", log(5)).unwrap();
        seen.remember_log("https://b", log(1)).unwrap();
        assert_eq!(seen.log("https://a").unwrap(), Some(log(7)));
        assert_eq!(seen.log("https://b").unwrap(), Some(log(1)));
    }

    #[test]
    fn only_the_highest_version_of_a_bundle_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let seen = seen(directory.path());
        let root = countersign_model::PublicKey::from_ed25519(&[
            0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a,
            0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
        ])
        .unwrap()
        .id();
        assert_eq!(seen.bundle(&root).unwrap(), None);
        seen.remember_bundle(&root, 4).unwrap();
        seen.remember_bundle(&root, 3).unwrap();
        assert_eq!(seen.bundle(&root).unwrap(), Some(4));
    }

    #[test]
    fn a_damaged_file_is_not_taken_for_an_empty_one() {
        let directory = tempfile::tempdir().unwrap();
        let seen = seen(directory.path());
        fs::write(seen.path(), "{}garbage").unwrap();
        assert_eq!(seen.log("https://a").unwrap_err().code(), 2);
        assert!(seen.remember_log("https://a", log(1)).is_err());
        assert_eq!(fs::read(seen.path()).unwrap(), b"{}garbage");
    }

    #[test]
    fn a_default_place_that_cannot_be_written_is_a_warning() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let mut seen = seen(directory.path());
        seen.path = file.join("countersign").join("seen.json");
        assert!(seen.remember_log("https://a", log(1)).is_err());
        seen.place = Place::Default;
        assert!(seen.remember_log("https://a", log(1)).unwrap().unwrap().starts_with("warning: "));
    }
}
