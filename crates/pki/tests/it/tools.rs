//! The independent judges.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A directory with files, and programs that run in it.
pub struct Bench {
    directory: tempfile::TempDir,
}

impl Bench {
    pub fn new(files: &[(&str, &[u8])]) -> Self {
        let bench = Self { directory: tempfile::tempdir().unwrap() };
        for (name, content) in files {
            bench.put(name, content);
        }
        bench
    }

    pub fn put(&self, name: &str, content: &[u8]) {
        std::fs::write(self.path().join(name), content).unwrap();
    }

    pub fn get(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Runs `PROGRAM ARGUMENTS`; what it wrote to stdout and stderr, or a panic with it.
    pub fn run(&self, line: &str) -> String {
        let (success, text) = self.attempt(line);
        assert!(success, "{line}: {text}");
        text
    }

    /// Whether `PROGRAM ARGUMENTS` succeeds.
    pub fn agrees(&self, line: &str) -> bool {
        self.attempt(line).0
    }

    fn attempt(&self, line: &str) -> (bool, String) {
        let words: Vec<String> = line.split(' ').map(|word| word.replace('\u{a0}', " ")).collect();
        let output: Output = Command::new(program(&words[0]))
            .args(&words[1..])
            .current_dir(self.path())
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}: run scripts/install-test-tools", words[0]));
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }
}

/// Debian keeps some out of the path of users.
fn program(name: &str) -> String {
    let administration = format!("/sbin/{name}");
    if name == "modinfo" && Path::new(&administration).exists() { administration } else { name.to_owned() }
}
