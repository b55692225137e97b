//! The tag service as strangers use it: `curl`, `awk`, `openssl` and a POSIX shell, on both databases.

mod artifacts;
mod interoperation;
mod jenkins;
mod offline;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use countersign_testkit::server::TestServer;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::native::PROGRAM;

/// A directory to work in, with a shell that knows the server.
pub struct Desk {
    directory: TempDir,
    server: String,
    token: String,
}

/// What a script printed and how it ended.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Desk {
    /// A desk of the administrator.
    pub fn new(server: &TestServer) -> Self {
        Self::of(server, &server.token)
    }

    /// A desk of whoever has this token.
    pub fn of(server: &TestServer, token: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory, server: server.url.clone(), token: token.to_owned() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Runs a script in this directory, with `$SERVER`, `$TOKEN` and `$COUNTERSIGN`, and some functions: `as_me`
    /// is `curl` with the token; `status` is `curl` that prints the status and leaves the body in `body`; `not`
    /// wants a command to fail, where `!` would be passed over;
    /// `register AUTHORITY FILE` registers a public key; `text FILE` and `signature FILE AUTHORITY` take a
    /// signed file apart as `awk` sees it.
    pub fn try_sh(&self, script: &str) -> Run {
        let script = format!("set -eu\n{FUNCTIONS}\n{script}");
        let output = Command::new("sh")
            .args(["-c", &script])
            .current_dir(self.directory.path())
            .env("SERVER", &self.server)
            .env("TOKEN", &self.token)
            .env("COUNTERSIGN", PROGRAM)
            .env("LC_ALL", "C")
            .env("XDG_STATE_HOME", self.path("state"))
            .output()
            .unwrap();
        Run::of(output)
    }

    /// Runs a script that must succeed, and returns what it printed.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        let run = self.try_sh(script);
        assert_eq!(run.code, 0, "{script}\n{}{}", run.stdout, run.stderr);
        run.stdout
    }
}

impl Run {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

const FUNCTIONS: &str = r#"
as_me() { curl -sS --fail-with-body -H "Authorization: Bearer $TOKEN" "$@"; }
status() { curl -sS -o body -w '%{http_code}\n' "$@"; }
not() { if "$@"; then echo "should fail: $*" >&2; return 1; fi; }
text() { awk '/^=== SIGNATURE /{exit}{print}' "$1"; }
register() { awk '{printf "%s\\n", $0} BEGIN{printf "{\"pem\":\""} END{print "\"}"}' "$2" > register.json
  as_me -H 'Content-Type: application/json' --data-binary @register.json -o /dev/null "$SERVER/authorities/$1/keys"; }
signature() { awk -v h="=== SIGNATURE $2" '/^=== SIGNATURE /{on=($0==h);next} on' "$1" | base64 -d; }
"#;

/// The kinds of keys that authorities have, in the words of the documents.
pub const ALGORITHMS: [&str; 6] = ["rsa-2048", "rsa-3072", "rsa-4096", "ec-p256", "ec-p384", "ec-p521"];

/// A key of the fixtures, made by OpenSSL: the file without its extension, and what it is.
pub const OPENSSL_KEYS: [(&str, &str); 6] = [
    ("keys/alpha", "rsa-2048"),
    ("keys/delta", "rsa-3072"),
    ("keys/Charlie", "rsa-4096"),
    ("keys/bravo", "ec-p256"),
    ("keys/echo-384", "ec-p384"),
    ("more/foxtrot-521", "ec-p521"),
];

pub fn fixture(path: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/stags");
    fs::read(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Adds rules to the policy, above those that are there.
pub async fn allow(server: &TestServer, more: &[Value]) {
    let policy = server.get("/policy").await.unwrap();
    let mut rules = policy.json()["rules"].as_array().unwrap().clone();
    rules.extend_from_slice(more);
    let put = server
        .request("PUT", "/policy")
        .header("if-match", policy.header("etag"))
        .json(&json!({"rules": rules}));
    let put = server.send(put).await.unwrap();
    assert_eq!(put.status, 200, "{}", put.problem());
}

/// Makes an authority with a key inside the server.
#[track_caller]
pub fn make_authority(desk: &Desk, name: &str, algorithm: &str) {
    let body = json!({"name": name, "algorithm": algorithm}).to_string();
    desk.write("authority.json", body);
    desk.sh("as_me -H 'Content-Type: application/json' --data-binary @authority.json -o /dev/null \"$SERVER/authorities/\"");
}
