//! `countersign tag` and `authority` against a real server: what the server keeps is checked here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::server::{Server, countersign, done, text};

/// A server with its directory, and a place for files.
struct Desk {
    directory: TempDir,
    server: Option<Server>,
}

impl Desk {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut desk = Self { directory, server: None };
        desk.start();
        desk
    }

    fn start(&mut self) {
        // The address of the last run must not be taken for that of this one.
        let _ = fs::remove_file(self.data().join("run").join("address"));
        self.server = Some(Server::start(&self.data()));
    }

    fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop();
        }
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn path(&self, name: &str) -> String {
        text(&self.directory.path().join(name)).to_owned()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn url(&self) -> &str {
        &self.server.as_ref().unwrap().address
    }

    /// As the owner of the data directory.
    fn admin(&self, words: &[&str]) -> String {
        done(&[&["--data", text(&self.data())], words].concat())
    }

    /// As anybody on the network, with a state file of this desk.
    fn anybody(&self, words: &[&str]) -> Run {
        self.run(&[&["--server", self.url()], words].concat())
    }

    /// As the holder of the token in a file.
    fn holder(&self, token: &str, words: &[&str]) -> Run {
        self.run(&[&["--server", self.url(), "--token-file", token], words].concat())
    }

    fn run(&self, words: &[&str]) -> Run {
        let mut command = countersign(words);
        command.env("XDG_STATE_HOME", self.path("state")).current_dir(self.directory.path());
        Run::of(&mut command)
    }

    /// A principal that may sign for `authorities` and write tags that begin with `prefix`; its token's file.
    fn signer(&self, name: &str, authorities: &[&str], prefix: &str) -> String {
        let token = self.path(&format!("{name}.token"));
        self.admin(&["principal", "create", name, "--role", "signer"]);
        let resources: Vec<String> = authorities.iter().map(|name| format!("authority:{name}")).collect();
        let tags = format!("tag:{prefix}*");
        let mut words = vec!["token", "create", name, "--action", "authority:sign", "--action", "tag:write"];
        for resource in resources.iter().chain([&tags]) {
            words.extend(["--resource", resource]);
        }
        self.admin(&[&words[..], &["-o", &token]].concat());
        token
    }

    /// Until the publication log's checkpoint covers this many entries.
    fn wait_for_log(&self, entries: u64) {
        for _ in 0..100 {
            let head = self.anybody(&["--json", "log", "head", "--publication"]).json();
            if head["logs"][0]["size"].as_u64().unwrap() >= entries {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!("the log does not grow to {entries} entries");
    }

    fn openssl(&self, line: &str) -> bool {
        let mut command = Command::new("openssl");
        let Output { status, .. } =
            command.args(line.split(' ')).current_dir(&self.directory).output().unwrap();
        status.success()
    }
}

struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Run {
    fn of(command: &mut Command) -> Self {
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code: status.code().unwrap(), stdout: text(stdout), stderr: text(stderr) }
    }

    #[track_caller]
    fn good(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    /// The answer is no, and standard output has nothing.
    #[track_caller]
    fn refuses(&self, text: &str) {
        assert_eq!((self.code, self.stdout.as_str()), (1, ""), "{}", self.stderr);
        assert!(self.stderr.contains(text), "{}", self.stderr);
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

#[test]
fn a_build_job_signs_an_artifact_and_a_deployment_checks_it() {
    let desk = Desk::new();
    desk.admin(&["authority", "create", "builder"]);
    desk.admin(&["authority", "create", "qa", "--type", "rsa-2048"]);
    let ci = desk.signer("ci", &["builder"], "app");
    let tester = desk.signer("tester", &["qa"], "app");
    let jar = desk.write("app-1.0.jar", b"the bytes of a jar");

    let push =
        ["tag", "push", "app-1.0.jar", "--artifact", &jar, "--authority", "builder", "--param", "JOB=a\nb"];
    let pushed = desk.holder(&ci, &[&["--json"], &push[..]].concat()).json();
    assert_eq!((&pushed["name"], &pushed["version"]), (&"app-1.0.jar".into(), &1.into()));
    // The same once more is no other version.
    assert!(desk.holder(&ci, &push).good().contains("version              1\n"));

    let check = ["tag", "check", &jar, "--authority", "builder"];
    let said = desk.anybody(&check).good();
    assert_eq!(said, format!("valid: {jar} is tag app-1.0.jar version 1, signed by builder\n"));

    // The second authority signs what it has looked at, and nothing else.
    let both = ["tag", "check", &jar, "--authority", "builder", "--authority", "qa"];
    desk.anybody(&both).refuses("is not signed by builder and qa");
    let other = desk.write("other.jar", b"the bytes of another");
    let existing =
        |file| ["tag", "push", "app-1.0.jar", "--existing", "--artifact", file, "--authority", "qa"];
    desk.holder(&tester, &existing(&other)).refuses("is about sha256:");
    desk.holder(&tester, &existing(&jar)).good();
    let document = desk.anybody(&[&["--json"], &both[..]].concat()).json();
    assert_eq!(document["valid"], true);
    let tag = &document["tags"][0];
    assert_eq!(tag["authorities"]["qa"]["status"], "valid");
    assert!(tag["payload"].as_str().unwrap().contains("\nparam.JOB: a%0Ab\n"));
    assert!(document["log"]["size"].is_u64(), "{document}");

    desk.anybody(&["tag", "check", &other, "--authority", "builder"]).refuses("is not signed by builder");
    desk.anybody(&["tag", "check", &jar, "--authority", "nobody"]).refuses("nobody");
    let elsewhere = ["tag", "check", &jar, "--authority", "builder", "--name", "app-2.0.jar"];
    desk.anybody(&elsewhere).refuses("is not signed by builder");
}

#[test]
fn an_image_is_known_by_its_digest() {
    let desk = Desk::new();
    desk.admin(&["authority", "create", "builder"]);
    let digest = "sha256:9834876dcfb05cb167a5c24953eba58c4ac89b1adf57f28f2f9d09af107ee8f0";
    let push = ["tag", "push", "repo/app/1.0", "--digest", digest, "--authority", "builder"];
    desk.admin(&[&push[..], &["--subject", "repo/app"]].concat());
    let check = ["tag", "check", "--digest", digest, "--authority", "builder", "--subject"];
    desk.anybody(&[&check[..], &["repo/app"]].concat()).good();
    desk.anybody(&[&check[..], &["repo/other"]].concat()).refuses("has the subject `repo/app`");
    let listed = desk.anybody(&["tag", "list", "--prefix", "repo/"]).good();
    assert!(listed.contains("repo/app/1.0"), "{listed}");
}

#[test]
fn a_stored_text_verifies_with_openssl_and_with_exported_keys() {
    let desk = Desk::new();
    desk.admin(&["authority", "create", "builder"]);
    desk.admin(&["authority", "create", "security", "--type", "rsa-3072"]);
    let note = desk.write("note.txt", "build=42\njob=nightly");
    desk.admin(&["tag", "push", "app-1.0", &note, "--authority", "builder", "--authority", "security"]);

    let text = ["tag", "get", "app-1.0", "--authority", "builder", "--authority", "security"];
    assert_eq!(desk.anybody(&text).good(), "build=42\njob=nightly\n");
    desk.anybody(&["tag", "get", "app-1.0", "-o", "app.tag"]).good();
    desk.anybody(&["authorities", "export", "pub"]).good();
    let payload = ["tag", "payload", "pub", "app.tag", "builder", "security"];
    assert_eq!(desk.run(&payload).good(), "build=42\njob=nightly\n");

    desk.write("payload", "build=42\njob=nightly\n");
    let signed = fs::read_to_string(desk.path("app.tag")).unwrap();
    for name in ["builder", "security"] {
        let block = signed.split(&format!("=== SIGNATURE {name}\n")).nth(1).unwrap();
        let lines: Vec<&str> = block.lines().take_while(|line| !line.starts_with("===")).collect();
        desk.write("sig.b64", lines.join("\n") + "\n");
        assert!(desk.openssl("base64 -d -in sig.b64 -out sig"));
        assert!(
            desk.openssl(&format!("dgst -sha256 -verify pub/{name}.pub -signature sig payload")),
            "{name}"
        );
    }
}

#[test]
fn a_text_that_could_hide_a_header_is_not_pushed() {
    let desk = Desk::new();
    desk.admin(&["authority", "create", "builder"]);
    let ci = desk.signer("ci", &["builder"], "");
    let push = |file: &str| desk.holder(&ci, &["tag", "push", "t", file, "--authority", "builder"]);
    push(&desk.write("a", "amount=1\n=== SIGNATURE zz\nlimit=none\n")).refuses("line 2");
    push(&desk.write("b", "amount=1\n ===  Signature zz\n")).refuses("looks like a signature header");
    push(&desk.write("c", "")).refuses("cannot sign an empty file");
    desk.anybody(&["tag", "get", "t"]).refuses("there is no tag");
}

#[test]
fn what_is_stored_is_signed_only_if_it_is_what_was_meant() {
    let desk = Desk::new();
    desk.admin(&["authority", "create", "builder"]);
    desk.admin(&["authority", "create", "qa"]);
    let note = desk.write("note", "build=42\n");
    desk.admin(&["tag", "push", "app", &note, "--authority", "builder"]);
    let qa = desk.signer("tester", &["qa"], "app");
    let sign = |more: &[&str]| {
        desk.holder(&qa, &[&["tag", "push", "app", "--existing", "--authority", "qa"], more].concat())
    };
    assert_eq!(sign(&[]).code, 2);
    sign(&["--sha256", &"0".repeat(64)]).refuses("has SHA-256 ab06b32f");
    sign(&[&desk.write("other", "build=43\n")]).refuses("has another text");
    sign(&[&note]).good();
    desk.anybody(&["tag", "get", "app", "--authority", "qa"]).good();
    // Another text in the place of one that others signed is a decision.
    let other = desk.path("other");
    desk.holder(&qa, &["tag", "push", "app", &other, "--authority", "qa"]).refuses("");
    desk.holder(&qa, &["tag", "push", "app", &other, "--authority", "qa", "--new-version"]).good();
    let versions = desk.anybody(&["--json", "tag", "get", "app", "--versions"]).json();
    assert_eq!(versions["versions"].as_array().unwrap().len(), 2);
    let old = ["tag", "get", "app", "--version", "1", "--authority", "builder"];
    assert_eq!(desk.anybody(&old).good(), "build=42\n");
}

#[test]
fn a_hidden_tag_is_gone_until_it_is_brought_back() {
    let desk = Desk::new();
    desk.admin(&["authority", "create", "builder"]);
    let jar = desk.write("app.jar", "bytes");
    desk.admin(&["tag", "push", "app.jar", "--artifact", &jar, "--authority", "builder"]);
    let check = ["tag", "check", &jar, "--authority", "builder"];
    desk.anybody(&check).good();
    desk.admin(&["tag", "hide", "app.jar"]);
    desk.anybody(&["tag", "get", "app.jar"]).refuses("hidden");
    assert_eq!(desk.anybody(&check).code, 1);
    desk.admin(&["tag", "restore", "app.jar"]);
    desk.anybody(&check).good();
}

#[test]
fn a_rotated_key_stays_good_for_old_tags_and_a_revoked_one_does_not() {
    let desk = Desk::new();
    let created: Value =
        serde_json::from_str(&desk.admin(&["--json", "authority", "create", "builder"])).unwrap();
    let first = created["keys"][0]["id"].as_str().unwrap().to_owned();
    let jar = desk.write("app.jar", "bytes");
    desk.admin(&["tag", "push", "app.jar", "--artifact", &jar, "--authority", "builder"]);
    let check = ["tag", "check", &jar, "--authority", "builder"];
    desk.admin(&["authority", "rotate", "builder"]);
    desk.anybody(&check).good();

    // Before the window: the log shows that the tag was there.
    let revoke = ["authority", "revoke", "builder", "--key", &first, "--reason", "host broken into"];
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(3600);
    desk.admin(&[&revoke[..], &["--from", &later.to_string()]].concat());
    desk.anybody(&check).good();
    desk.anybody(&["tag", "get", "app.jar", "-o", "app.tag"]).good();
    let keys = format!("{}/authorities", desk.url());
    let payload = ["tag", "payload", "--keys-url", &keys, "app.tag", "builder"];
    // A file alone has no time.
    desk.run(&payload).refuses("was revoked");

    desk.admin(&revoke);
    desk.anybody(&["tag", "get", "app.jar", "--authority", "builder"]).refuses("was revoked");
    assert_eq!(desk.anybody(&check).code, 1);
    let shown = desk.anybody(&["authority", "show", "builder"]).good();
    assert!(shown.contains("host broken into"), "{shown}");
}

#[test]
fn exported_keys_are_those_that_count_now() {
    let desk = Desk::new();
    let created: Value =
        serde_json::from_str(&desk.admin(&["--json", "authority", "create", "builder"])).unwrap();
    desk.anybody(&["authority", "export", "pub"]).good();
    let first = fs::read(desk.path("pub/builder.pub")).unwrap();
    assert_eq!(desk.anybody(&["authority", "show", "builder", "--pem"]).good().into_bytes(), first);
    desk.admin(&["authority", "rotate", "builder"]);
    desk.anybody(&["authority", "export", "pub"]).good();
    assert_ne!(fs::read(desk.path("pub/builder.pub")).unwrap(), first);
    let document: Value =
        serde_json::from_str(&desk.anybody(&["--json", "authority", "show", "builder"]).good()).unwrap();
    for key in document["keys"].as_array().unwrap() {
        let id = key["id"].as_str().unwrap();
        desk.admin(&["authority", "revoke", "builder", "--key", id, "--reason", "lost"]);
    }
    assert!(document["keys"].as_array().unwrap().len() > created["keys"].as_array().unwrap().len());
    desk.anybody(&["authority", "export", "pub"]).good();
    assert!(!Path::new(&desk.path("pub/builder.pub")).exists());
}

#[test]
fn signatures_that_wait_are_approved_by_who_has_the_text() {
    let desk = Desk::new();
    let (ana, bo) = (desk.signer("ana", &["release"], ""), desk.signer("bo", &["release"], ""));
    desk.admin(&[
        "authority",
        "create",
        "release",
        "--threshold",
        "2",
        "--principal",
        "ana",
        "--principal",
        "bo",
    ]);
    let note = desk.write("note", "release 1.0\n");
    let push = ["--json", "tag", "push", "app-1.0", &note, "--authority", "release"];
    let waiting = desk.holder(&ana, &push).json();
    assert_eq!((&waiting["state"], &waiting["need"]), (&"waiting".into(), &2.into()));
    let id = waiting["id"].as_str().unwrap();
    let other = desk.write("other", "release 6.6.6\n");
    desk.holder(&bo, &["tag", "approve", id, "--payload", &other]).refuses("");
    desk.holder(&bo, &["tag", "approve", id, "--payload", &note]).good();
    assert_eq!(desk.anybody(&["tag", "get", "app-1.0", "--authority", "release"]).good(), "release 1.0\n");
    let request = desk.anybody(&["--json", "tag", "request", id]).json();
    assert_eq!(request["state"], "signed");

    let second = desk.write("second", "release 1.1\n");
    let push = ["--json", "tag", "push", "app-1.1", &second, "--authority", "release"];
    let id = desk.holder(&ana, &push).json()["id"].as_str().unwrap().to_owned();
    desk.holder(&bo, &["tag", "refuse", &id, "--payload", &second]).good();
    assert_eq!(desk.holder(&bo, &["tag", "approve", &id, "--payload", &second]).code, 1);
}

#[test]
fn an_outside_key_signs_at_home_and_the_server_keeps_the_file() {
    let desk = Desk::new();
    fs::create_dir(desk.path("keys")).unwrap();
    assert!(
        desk.openssl("genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out keys/jenkins.key")
    );
    assert!(desk.openssl("pkey -in keys/jenkins.key -pubout -out jenkins.pub"));
    let slip = ["--data", "data", "authority", "register", "jenkins", "keys/jenkins.key"];
    assert_eq!(desk.run(&slip).code, 2);
    desk.admin(&["authority", "register", "jenkins", &desk.path("jenkins.pub")]);
    let tag = desk.write("app.tag", "build=42\n");
    desk.run(&["tag", "sign", "keys", "app.tag", "jenkins"]).good();
    let ci = desk.signer("ci", &[], "app");
    desk.holder(&ci, &["tag", "push", "app", &tag]).good();
    assert_eq!(desk.anybody(&["tag", "get", "app", "--authority", "jenkins"]).good(), "build=42\n");
    let altered = fs::read_to_string(&tag).unwrap().replace("42", "43");
    desk.holder(&ci, &["tag", "push", "app2", &desk.write("altered", altered)]).refuses("");
}

#[test]
fn a_bundle_is_all_that_is_needed_offline() {
    let desk = Desk::new();
    desk.admin(&["authority", "create", "builder"]);
    let note = desk.write("note", "build=42\n");
    desk.admin(&["tag", "push", "app", &note, "--authority", "builder"]);
    desk.anybody(&["tag", "get", "app", "-o", "app.tag"]).good();
    desk.anybody(&["authority", "bundle", "-o", "old.bundle"]).good();
    fs::write(desk.path("root.pub"), desk.anybody(&["authority", "bundle", "--print-root"]).good()).unwrap();
    let payload = |bundle: &str, more: &[&str]| {
        let words = ["tag", "payload", "--offline", bundle, "--root", "root.pub", "app.tag", "builder"];
        desk.run(&[&words[..], more].concat())
    };
    assert_eq!(payload("old.bundle", &[]).good(), "build=42\n");

    let later = (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(8 * 86_400)).to_string();
    payload("old.bundle", &["--at", &later]).refuses("countersign: key bundle expired ");
    let allowed = payload("old.bundle", &["--at", &later, "--allow-expired"]);
    assert_eq!((allowed.code, allowed.stdout.as_str()), (0, "build=42\n"));
    assert!(allowed.stderr.contains("warning: key bundle expired "), "{}", allowed.stderr);

    desk.admin(&["authority", "create", "another"]);
    desk.anybody(&["authority", "bundle", "-o", "new.bundle"]).good();
    payload("new.bundle", &[]).good();
    payload("old.bundle", &[]).refuses("was seen before");
    payload("old.bundle", &["--state", "fresh.json"]).good();

    let altered = fs::read_to_string(desk.path("new.bundle")).unwrap().replace("another", "amother");
    desk.write("altered.bundle", altered);
    payload("altered.bundle", &[]).refuses("invalid signature by the root key");
    let other = ["tag", "payload", "--offline", "new.bundle", "--root", "root.pub", "app.tag", "another"];
    desk.run(&other).refuses("not signed by another");
}

#[test]
fn a_bundle_can_be_signed_by_a_key_that_is_kept_offline() {
    let desk = Desk::new();
    desk.admin(&["authority", "create", "builder"]);
    let note = desk.write("note", "build=42\n");
    desk.admin(&["tag", "push", "app", &note, "--authority", "builder"]);
    desk.anybody(&["tag", "get", "app", "-o", "app.tag"]).good();
    desk.anybody(&["authority", "bundle", "-o", "plain.bundle"]).good();
    assert!(desk.openssl("genpkey -quiet -algorithm ED25519 -out root.key"));
    assert!(desk.openssl("pkey -in root.key -pubout -out root.pub"));
    // What is to be signed is told to those who may change it.
    desk.anybody(&["authority", "bundle", "--draft"]).refuses("");
    desk.admin(&["authority", "bundle", "--draft", "-o", &desk.path("draft.json")]);
    let sign =
        ["authority", "bundle", "--input", "draft.json", "--sign-with", "root.key", "-o", "own.bundle"];
    // No server is asked.
    desk.run(&[&["--data", "nosuch"], &sign[..]].concat()).good();
    let payload = |bundle| {
        desk.run(&["tag", "payload", "--offline", bundle, "--root", "root.pub", "app.tag", "builder"])
    };
    assert_eq!(payload("own.bundle").good(), "build=42\n");
    payload("plain.bundle").refuses("is not signed by the root key");

    let publish =
        ["authority", "bundle", "--publish", &desk.path("own.bundle"), "--root", &desk.path("root.pub")];
    desk.admin(&publish);
    desk.anybody(&["authority", "bundle", "-o", "served.bundle"]).good();
    assert_eq!(payload("served.bundle").good(), "build=42\n");
    let root = desk.anybody(&["authority", "bundle", "--print-root"]).good();
    assert_eq!(root, fs::read_to_string(desk.path("root.pub")).unwrap());
    desk.admin(&["authority", "bundle", "--server-signs"]);
    assert_ne!(desk.anybody(&["authority", "bundle", "--print-root"]).good(), root);
}

#[test]
fn keys_from_an_address_take_the_place_of_a_directory() {
    let desk = Desk::new();
    desk.admin(&["authority", "create", "builder"]);
    let note = desk.write("note", "build=42\n");
    desk.admin(&["tag", "push", "app", &note, "--authority", "builder"]);
    desk.anybody(&["tag", "get", "app", "-o", "app.tag"]).good();
    let keys = format!("{}/authorities", desk.url());
    let payload = |name| desk.run(&["tag", "payload", "--keys-url", &keys, "app.tag", name]);
    assert_eq!(payload("builder").good(), "build=42\n");
    payload("nobody").refuses(&format!("countersign: public key not found: {keys}/nobody.pub"));
    let nobody = ["tag", "payload", "--keys-url", "http://127.0.0.1:1/keys", "app.tag", "builder"];
    desk.run(&nobody).refuses("cannot read public key: http://127.0.0.1:1/keys/builder: ");
}

#[test]
fn a_server_that_was_set_back_is_not_believed() {
    let mut desk = Desk::new();
    desk.admin(&["authority", "create", "builder"]);
    let (one, two) = (desk.write("one.jar", "one"), desk.write("two.jar", "two"));
    let push = |desk: &Desk, name: &str, file: &str| {
        desk.admin(&["tag", "push", name, "--artifact", file, "--authority", "builder"]);
    };
    push(&desk, "one.jar", &one);
    desk.wait_for_log(1);
    let check = |desk: &Desk, file: &str| {
        desk.anybody(&["tag", "check", file, "--authority", "builder", "--state", "seen.json"])
    };
    check(&desk, &one).good();
    let url = desk.url().to_owned();
    desk.stop();
    let copy = desk.path("copy");
    let copied = Command::new("cp").args(["-a", text(&desk.data()), &copy]).status().unwrap();
    assert!(copied.success());
    desk.start();
    push(&desk, "two.jar", &two);
    desk.wait_for_log(2);
    // Whoever has seen the second entry under this address …
    check(&desk, &two).good();
    let newest = desk.url().to_owned();
    desk.stop();
    fs::remove_dir_all(desk.data()).unwrap();
    fs::rename(&copy, desk.data()).unwrap();
    desk.start();
    // … is told that it is gone, also when the server has another port now.
    let state = fs::read_to_string(desk.path("seen.json")).unwrap();
    // The first address is forgotten, or it would stand beside the newest under one name.
    let state = if url == newest { state } else { state.replace(&url, "http://first.invalid") };
    let state = state.replace(&newest, desk.url());
    let mut document: Value = serde_json::from_str(&state).unwrap();
    document["bundles"] = serde_json::json!({});
    fs::write(desk.path("seen.json"), document.to_string()).unwrap();
    check(&desk, &one).refuses("publication log went back from");
    assert!(Path::new(&desk.path("seen.json.evidence")).exists());
    // A second server cannot be told from one that was cleaned out: whoever remembers nothing believes it.
    desk.anybody(&["tag", "check", &one, "--authority", "builder", "--state", "fresh.json"]).good();
}

#[test]
fn detached_signatures_are_those_of_openssl() {
    let desk = Desk::new();
    fs::create_dir_all(desk.path("keys")).unwrap();
    fs::create_dir_all(desk.path("pub")).unwrap();
    for (name, options) in
        [("ec", "EC -pkeyopt ec_paramgen_curve:P-384"), ("rsa", "RSA -pkeyopt rsa_keygen_bits:2048")]
    {
        assert!(desk.openssl(&format!("genpkey -quiet -algorithm {options} -out keys/{name}.key")));
        assert!(desk.openssl(&format!("pkey -in keys/{name}.key -pubout -out pub/{name}.pub")));
    }
    desk.write("app.jar", b"\x00bytes\xff of a jar");
    desk.run(&["tag", "sign", "--detached", "keys", "app.jar", "ec", "rsa"]).good();
    for name in ["ec", "rsa"] {
        let verify = format!("dgst -sha256 -verify pub/{name}.pub -signature app.jar.{name}.sig app.jar");
        assert!(desk.openssl(&verify), "{name}");
    }
    let check = |more: &[&str]| {
        desk.run(&[&["tag", "payload", "--detached", "pub", "app.jar", "ec", "rsa"], more].concat())
    };
    assert_eq!(check(&[]).good(), "");
    assert!(desk.openssl("dgst -sha256 -sign keys/ec.key -out app.jar.ec.sig app.jar"));
    check(&[]).good();
    // As a server gives it: in lines of base64.
    assert!(desk.openssl("base64 -in app.jar.ec.sig -out lines"));
    fs::rename(desk.path("lines"), desk.path("app.jar.ec.sig")).unwrap();
    check(&[]).good();
    check(&["--digest", &format!("sha256:{}", "0".repeat(64))]).refuses("not about sha256:0000");
    desk.write("app.jar", "other bytes");
    check(&[]).refuses("invalid signature for ec");
    fs::remove_file(desk.path("app.jar.ec.sig")).unwrap();
    check(&[]).refuses("not signed by ec");
}

#[test]
fn a_tag_must_be_about_the_digest_that_is_asked_for() {
    let desk = Desk::new();
    desk.admin(&["authority", "create", "builder"]);
    let jar = desk.write("app.jar", "bytes");
    desk.admin(&["tag", "push", "app.jar", "--artifact", &jar, "--authority", "builder"]);
    desk.anybody(&["tag", "get", "app.jar", "-o", "app.tag"]).good();
    desk.anybody(&["authority", "export", "pub"]).good();
    let digest = "sha256:277089d91c0bdf4f2e6862ba7e4a07605119431f5d13f726dd352b06f1b206a9";
    let payload = ["tag", "payload", "pub", "app.tag", "builder", "--digest"];
    assert!(desk.run(&[&payload[..], &[digest]].concat()).good().contains(digest));
    let other = format!("sha256:{}", "0".repeat(64));
    desk.run(&[&payload[..], &[&other]].concat()).refuses("not about sha256:0000");
}

#[test]
fn a_question_that_nobody_answers_is_exit_code_2() {
    let desk = Desk::new();
    let jar = desk.write("app.jar", "bytes");
    let nobody = ["--server", "http://127.0.0.1:1", "tag", "check", &jar, "--authority", "builder"];
    assert_eq!(desk.run(&nobody).code, 2);
    let nofile = desk.anybody(&["tag", "check", "nosuch", "--authority", "builder"]);
    assert_eq!(nofile.code, 2);
    assert_eq!(desk.anybody(&["tag", "push", "t", &jar, "--authority", "builder"]).code, 1);
}
