//! `tuf verify` and `tuf download` on repositories that python-tuf made, whole and broken, in a directory and on the web.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::server::countersign;
use crate::tuf_adopt::{elsewhere, run};

/// A repository in a directory, and the same on the web.
struct Repository {
    directory: tempfile::TempDir,
    web: Child,
    url: String,
}

impl Repository {
    fn made(words: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("made");
        run(&[words, &[path.to_str().unwrap()]].concat());
        let mut web = elsewhere(&["serve", path.to_str().unwrap()]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(web.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        Self { directory, web, url: format!("{}/metadata", line.trim()) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn places(&self) -> [String; 2] {
        [self.path("made").display().to_string(), self.url.clone()]
    }

    /// Exit code, and what was printed.
    fn tuf(&self, line: &str) -> (i32, Value) {
        let words: Vec<&str> =
            line.split(' ').chain(["--root", "made/metadata/1.root.json", "--json"]).collect();
        let done =
            countersign(&[&["tuf"][..], &words].concat()).current_dir(&self.directory).output().unwrap();
        let said: Value = serde_json::from_slice(&done.stdout).unwrap_or_else(|error| {
            panic!("{line}: {error}: {}", String::from_utf8_lossy(&done.stderr));
        });
        (done.status.code().unwrap(), said)
    }

    /// A client that knows nothing yet.
    fn download(&self, place: &str, path: &str) -> (i32, Value) {
        let memory = tempfile::tempdir_in(self.directory.path()).unwrap();
        self.tuf(&format!("download {place} {path} --to out --metadata-dir {}", memory.path().display()))
    }
}

impl Drop for Repository {
    fn drop(&mut self) {
        let _ = self.web.kill();
        let _ = self.web.wait();
    }
}

#[test]
fn repositories_of_every_kind_verify_and_give_their_files() {
    for (kind, path, roles) in [
        ("bins", "dist/two.tgz", 12),
        ("prefixes", "dist/two.tgz", 12),
        ("roles", "team/one", 6),
        ("plain", "three.txt", 4),
        ("rstuf", "one.txt", 8),
        ("odd", "", 5),
        ("nested", "in/one", 6),
        ("flat", "one.txt", 4),
    ] {
        let repository = Repository::made(&["make", kind]);
        for place in repository.places() {
            let (code, said) = repository.tuf(&format!("verify {place} --targets"));
            assert_eq!(code, 0, "{kind} {place}: {said}");
            assert_eq!(said["roles"].as_array().unwrap().len(), roles, "{kind}: {said}");
            if path.is_empty() {
                continue;
            }
            let _ = std::fs::remove_file(repository.path("out"));
            let (code, said) = repository.download(&place, path);
            assert_eq!(code, 0, "{kind} {place}: {said}");
            let content = std::fs::read_to_string(repository.path("out")).unwrap();
            assert_eq!(content, format!("content of {path}"));
            assert_eq!(repository.download(&place, "not/there").0, 1, "{kind}");
        }
    }
}

#[test]
fn what_is_broken_is_refused_and_what_it_may_be_is_said() {
    for (broken, attack) in [
        ("below_the_threshold", "wrong-signatures"),
        ("one_key_under_two_ids", "wrong-signatures"),
        ("a_role_by_another_key", "wrong-signatures"),
        ("another_version_than_the_snapshot_says", "mix-and-match"),
        ("other_bytes_than_the_snapshot_says", "mix-and-match"),
        ("a_root_skipped", "mix-and-match"),
        ("a_root_by_the_new_keys_only", "wrong-signatures"),
        ("expired", "freeze"),
        ("a_target_of_other_bytes", "arbitrary-software"),
        ("a_target_without_end", "arbitrary-software"),
        ("a_timestamp_without_end", "endless-data"),
    ] {
        let repository = Repository::made(&["broken", broken]);
        for place in repository.places() {
            let (code, said) = repository.download(&place, "in/one");
            assert_eq!((code, &said["attack"]), (1, &attack.into()), "{broken} {place}: {said}");
            assert!(!Path::new(&repository.path("out")).exists(), "{broken}: nothing is written");
            let (code, said) = repository.tuf(&format!("verify {place} --targets"));
            assert_eq!((code, &said["attack"]), (1, &attack.into()), "{broken} {place}: {said}");
        }
    }
}
