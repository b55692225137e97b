//! The real binary with a real server: the three ways to one give the same output.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

pub fn countersign(arguments: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("countersign"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("COUNTERSIGN_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

pub fn output(arguments: &[&str]) -> Output {
    countersign(arguments).output().unwrap()
}

/// What a command prints that must be done.
pub fn done(arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = output(arguments);
    assert!(status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

pub struct Server {
    child: Child,
    pub address: String,
}

impl Server {
    pub fn start(data: &Path) -> Self {
        let file = data.join("run").join("address");
        let mut serve = countersign(&["serve", "--data", text(data), "--listen", "127.0.0.1:0"]);
        let child = serve.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        let address = loop {
            match std::fs::read_to_string(&file) {
                Ok(address) => break address.trim().to_owned(),
                Err(_) if begun.elapsed() < Duration::from_secs(30) => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(error) => panic!("the server did not start: {error}"),
            }
        };
        Self { child, address }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn stop(mut self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").arg(id).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn the_three_ways_to_a_server_give_the_same_output() {
    let directory = tempfile::tempdir().unwrap();
    let data: PathBuf = directory.path().join("data");
    let token = data.join("admin.token");
    let file = directory.path().join("file");
    std::fs::write(&file, "release 1.0\n").unwrap();

    let server = Server::start(&data);
    done(&["--data", text(&data), "key", "create", "release", "--type", "p256"]);
    let remote = ["--server", &server.address, "--token-file", text(&token)];
    let beside = ["--data", text(&data)];
    let questions: [&[&str]; 4] = [
        &["--json", "key", "show", "release"],
        &["key", "list"],
        &["policy", "check", "admin", "key:sign", "key:release"],
        &["log", "head"],
    ];
    let ask = |place: &[&str]| -> Vec<String> {
        questions.iter().map(|question| done(&[place, question].concat())).collect()
    };
    let by_socket = ask(&beside);
    assert_eq!(ask(&remote), by_socket);
    server.stop();
    // Now there is no server: the same command opens the directory itself.
    assert_eq!(ask(&beside), by_socket);

    done(&[&beside[..], &["sign", text(&file), "--key", "release"]].concat());
    let signature = directory.path().join("file.sig");
    let verify = ["verify", text(&file), "--signature", text(&signature), "--key", "release"];
    assert!(done(&[&beside[..], &verify].concat()).starts_with("valid: ecdsa-sha256"));
    assert!(done(&[&beside[..], &["log", "verify"]].concat()).starts_with("valid: "));
}

#[test]
fn a_directory_that_is_not_there_is_not_made_by_a_question() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("nosuch");
    assert_eq!(output(&["--data", text(&data), "key", "list"]).status.code(), Some(2));
    assert!(!data.exists());
}

#[test]
fn the_demonstration_finds_everything_as_it_should_be() {
    let directory = tempfile::tempdir().unwrap();
    let printed = done(&["demo", "--json", "--dir", text(directory.path())]);
    let report: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(report["good"], true);
    let signatures = report["signatures"].as_array().unwrap();
    assert_eq!(signatures.len(), 34);
    for (at, what, key) in [(32, "collection", "collections/main"), (33, "timestamp", "tuf/online")] {
        assert_eq!((&signatures[at]["what"], &signatures[at]["key"]), (&what.into(), &key.into()));
    }
    for signature in signatures {
        assert_eq!((&signature["countersign"], &signature["proof"]), (&true.into(), &true.into()));
    }
    let tampered = report["tampered"].as_array().unwrap();
    assert!(tampered.iter().all(|t| t["refused_by_countersign"] == true));
    for what in ["collection", "target", "older timestamp", "expired timestamp"] {
        assert!(tampered.iter().any(|t| t["what"] == what), "{what}");
    }
}
