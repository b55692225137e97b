//! The appliance as the build classes of balenaOS use it: a shell, `curl`, `jq`, `base64`, on both databases. What
//! comes out is judged by the tools of others, on programs and modules as Debian ships them.

mod digests;
mod eeprom;
mod firmware;
mod lists;
mod modules;
mod openpgp;
mod programs;
mod replay;
mod rotation;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use countersign_testkit::server::TestServer;
use tempfile::TempDir;

use crate::native::PROGRAM;
use crate::tags::Run;

/// A build directory, with a shell that knows the server in the variables of the build classes.
pub struct Build {
    directory: TempDir,
    api: String,
    key: String,
}

impl Build {
    pub fn new(server: &TestServer) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory, api: server.url.clone(), key: server.token.clone() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Runs a script in this directory, with the functions of [`FUNCTIONS`].
    pub fn try_sh(&self, script: &str) -> Run {
        let script = format!("set -eu\n{FUNCTIONS}\n{script}");
        let mut path = target("test-venv/bin").into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        path.push(":/usr/sbin:/sbin");
        let output = Command::new("sh")
            .args(["-c", &script])
            .current_dir(self.directory.path())
            .env("PATH", path)
            .env("SIGN_API", &self.api)
            .env("SIGN_API_KEY", &self.key)
            .env("COUNTERSIGN", PROGRAM)
            .env("COUNTERSIGN_SERVER", &self.api)
            .env("COUNTERSIGN_TOKEN", &self.key)
            .env("GNUPGHOME", self.directory.path())
            .env("LC_ALL", "C")
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

    /// Whether a judge accepts what is in this directory.
    pub fn accepts(&self, judge: &str) -> bool {
        self.try_sh(judge).code == 0
    }

    /// Each of the judges accepts `file` as it is, and refuses it with any of these bytes changed.
    #[track_caller]
    pub fn judge(&self, file: &str, judges: &[&str], covered: &[usize]) {
        let whole = self.read(file);
        for judge in judges {
            let run = self.try_sh(judge);
            assert_eq!(run.code, 0, "refused: {judge}\n{}{}", run.stdout, run.stderr);
            for &at in covered {
                let mut changed = whole.clone();
                changed[at] ^= 1;
                self.write(file, &changed);
                assert!(!self.accepts(judge), "accepted with byte {at} of {file} changed: {judge}");
            }
            self.write(file, &whole);
        }
    }
}

/// What the build classes do, in a few functions:
/// `ask PATH` is their `curl` with the request on standard input; `show PATH` its GET; `status` prints what became of a request;
/// `sign PATH KEY FILE FIELD` posts a file and decodes a field of the answer;
/// `cert ID` makes a certificate, `ID.pem`; `not` wants a command to fail, where `!` would be passed over;
/// `countersign` is the program, speaking to the server.
const FUNCTIONS: &str = r#"
ask() { curl --retry 5 --fail --silent --show-error "$SIGN_API$1" -X POST -H 'Content-Type: application/json' \
  -H "X-API-Key: $SIGN_API_KEY" -d @-; }
show() { curl --retry 5 --fail --silent --show-error "$SIGN_API$1"; }
status() { curl --silent -o body -w '%{http_code}' "$SIGN_API$1" -X POST -H 'Content-Type: application/json' \
  -H "X-API-Key: $SIGN_API_KEY" -d @-; }
sign() { { printf '{"key_id": "%s", "payload": "' "$2"; base64 -w 0 "$3"; printf '"}'; } > request.json
  ask "$1" < request.json > answer.json
  jq -r ".$4" < answer.json | base64 -d; }
cert() { printf '{"cert_id": "%s", "subject": "/O=Example/CN=balenaOS %s", "key_length": %s}' "$1" "$1" "${2:-2048}" \
  | ask /cert | jq -j .cert > "$1.pem"; }
countersign() { "$COUNTERSIGN" "$@"; }
not() { if "$@"; then echo "should fail: $*" >&2; return 1; fi; }
u32() { od -An -tu4 -j "$2" -N 4 "$1" | tr -d ' '; }
"#;

/// A file below the target directory.
pub fn target(path: &str) -> PathBuf {
    let profile = Path::new(PROGRAM).parent().unwrap();
    profile.parent().unwrap().join(path)
}

/// systemd-boot as Debian ships it: not signed, with data after its sections.
pub fn systemd_boot() -> Vec<u8> {
    debian("/usr/lib/systemd/boot/efi/systemd-bootx64.efi")
}

/// GRUB as Debian ships it, not signed.
pub fn grub() -> Vec<u8> {
    debian("/usr/lib/grub/x86_64-efi/monolithic/grubx64.efi")
}

/// A kernel as Debian ships it: a program for EFI, signed by Debian.
pub fn kernel() -> Vec<u8> {
    debian(target("test-data/kernel/vmlinuz"))
}

/// A kernel module as Debian ships it: signed by Debian.
pub fn module() -> Vec<u8> {
    debian(target("test-data/kernel/dummy.ko"))
}

fn debian(path: impl AsRef<Path>) -> Vec<u8> {
    let path = path.as_ref();
    fs::read(path)
        .unwrap_or_else(|error| panic!("{}: {error}: run scripts/install-test-tools", path.display()))
}

pub fn fixture(name: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/appliance");
    fs::read(root.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}
