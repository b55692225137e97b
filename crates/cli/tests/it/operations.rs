//! What an operator does: backups, the seal, `doctor`.

use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use countersign_testkit::postgres::Database;
use countersign_testkit::server::Engine;
use serde_json::{Value, json};

use crate::server::{Server, done, output, text};

/// A data directory and files beside it.
struct Place {
    directory: tempfile::TempDir,
    _database: Option<Database>,
}

impl Place {
    fn new(configuration: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let place = Self { directory, _database: None };
        std::fs::DirBuilder::new().mode(0o700).create(place.data()).unwrap();
        place.write("data/countersign.toml", configuration);
        place.write("pass", "a sentence that is kept apart\n");
        place.write("file", "release 1.0\n");
        place
    }

    async fn on(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => Self::new(""),
            Engine::Postgres => {
                let database = Database::create().await.unwrap();
                let place = Self::new(&format!("[storage]\ndatabase = \"{}\"\n", database.url));
                Self { _database: Some(database), ..place }
            }
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn data(&self) -> PathBuf {
        self.path("data")
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// Runs a command on a directory: `@NAME` stands for a path here. Exit code, standard output, error.
    fn run_on(&self, data: &str, line: &str) -> (i32, String, String) {
        let here = text(self.directory.path());
        let words: Vec<String> =
            line.split(' ').map(|word| word.replacen('@', &format!("{here}/"), 1)).collect();
        let mut arguments = vec!["--data", text(self.directory.path())];
        let data = self.path(data);
        arguments[1] = text(&data);
        arguments.extend(words.iter().map(String::as_str));
        let ran = output(&arguments);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (ran.status.code().unwrap(), text(ran.stdout), text(ran.stderr))
    }

    fn run(&self, line: &str) -> (i32, String, String) {
        self.run_on("data", line)
    }

    /// The document that a command prints, which must be done.
    fn json_on(&self, data: &str, line: &str) -> Value {
        let (code, out, error) = self.run_on(data, &format!("--json {line}"));
        assert_eq!(code, 0, "{line}: {out}{error}");
        serde_json::from_str(&out).unwrap()
    }

    fn json(&self, line: &str) -> Value {
        self.json_on("data", line)
    }

    fn make_key(&self, name: &str, key_type: &str) -> Value {
        self.json(&format!("key create {name} --type {key_type}"))
    }

    fn sign(&self, data: &str, key: &str) {
        let _ = std::fs::remove_file(self.path("file.sig"));
        let (code, _, error) = self.run_on(data, &format!("sign @file --key {key}"));
        assert_eq!(code, 0, "{error}");
    }
}

/// Status of `GET /readyz`.
fn readiness(server: &Server) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(server.address.trim_start_matches("http://")).unwrap();
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().to_owned()
}

fn wait_for(server: &Server, status: &str) {
    let begun = Instant::now();
    while readiness(server) != status {
        assert!(begun.elapsed() < Duration::from_secs(20), "still {}", readiness(server));
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

const PASS: &str = "--passphrase-file @pass";

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_made_beside_a_running_server_and_without_one_and_passes_the_drill() {
    for engine in Engine::ALL {
        let place = Place::on(engine).await;
        let server = Server::start(&place.data());
        wait_for(&server, "200");
        place.make_key("release", "p256");
        place.make_key("boot", "rsa-2048");
        place.sign("data", "release");
        let beside = place.json(&format!("backup create @one {PASS}"));
        assert_eq!(mode(&place.path("one")), 0o600);
        assert_eq!(beside["bytes"], std::fs::metadata(place.path("one")).unwrap().len());

        let (code, _, error) = place.run(&format!("backup create @one {PASS}"));
        assert_eq!(code, 1, "it takes no other's place");
        assert!(error.contains("hint: choose another name, or give `--force`"), "{error}");
        place.json(&format!("backup create @one --force {PASS}"));
        server.stop();

        let alone = place.json(&format!("backup create @two {PASS}"));
        assert_eq!(alone["log"]["origin"], beside["log"]["origin"]);
        assert!(alone["log"]["size"].as_u64() > beside["log"]["size"].as_u64(), "each left its entry");
        for name in ["one", "two"] {
            let drill = place.json_on("nosuch", &format!("backup verify @{name} {PASS}"));
            assert_eq!(
                (&drill["valid"], &drill["keys"]["working"]),
                (&json!(true), &json!(3)),
                "with `tuf/online`"
            );
            assert_eq!(drill["log"]["origin"], beside["log"]["origin"]);
        }
        assert!(!place.path("nosuch").exists());
        let left: Vec<_> = std::fs::read_dir(place.directory.path()).unwrap().flatten().collect();
        assert!(!left.iter().any(|entry| entry.file_name().to_string_lossy().ends_with(".new")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_deployment_signs_with_the_old_keys_and_its_log_continues_the_old_one() {
    for engine in Engine::ALL {
        let place = Place::on(engine).await;
        let server = Server::start(&place.data());
        wait_for(&server, "200");
        let key = place.make_key("release", "p256");
        std::fs::write(place.path("pub.pem"), key["public_key"].as_str().unwrap()).unwrap();
        place.sign("data", "release");
        let old = place.json("log head")["logs"][0].clone();
        let token = std::fs::read_to_string(place.data().join("admin.token")).unwrap();
        place.write("token", &token);
        let made = place.json(&format!("backup create @backup {PASS}"));
        server.stop();

        let database = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(Database::create().await.unwrap()),
        };
        let restore = match &database {
            None => format!("backup restore @backup {PASS}"),
            Some(database) => {
                place.write("new.toml", &format!("[storage]\ndatabase = \"{}\"\n", database.url));
                format!("backup restore @backup {PASS} --config @new.toml")
            }
        };
        let restored = place.json_on("new", &restore);
        assert_eq!(restored["continues"], made["log"]);
        assert_ne!(restored["node"], old["origin"]);

        let server = Server::start(&place.path("new"));
        wait_for(&server, "200");
        assert_eq!(place.json_on("new", "key show release"), key);
        place.sign("new", "release");
        let verify = "verify @file --signature @file.sig --key @pub.pem --scheme ecdsa-sha256";
        assert_eq!(place.run_on("nosuch", verify).0, 0);
        let address = &server.address;
        let list = ["--server", address, "--token-file", text(&place.path("token")), "key", "list"]
            .map(str::to_owned);
        done(&list.iter().map(String::as_str).collect::<Vec<_>>());

        let (node, origin) = (restored["node"].as_str().unwrap(), old["origin"].as_str().unwrap());
        let first = place.json_on("new", &format!("log prove 0 --origin {node}"));
        assert_eq!(first["entry"]["op"], "log-continue");
        let (size, root) = (&made["log"]["size"], made["log"]["root"].as_str().unwrap());
        assert_eq!(first["entry"]["subject"], format!("{origin} {size} {root}"));
        let last = old["size"].as_u64().unwrap() - 1;
        let kept = place.json_on("new", &format!("log prove {last} --origin {origin}"));
        assert_eq!(kept["entry"]["op"], "sign");
        let whole = place.json_on("new", &format!("log verify --origin {origin}"));
        assert_eq!(&whole["size"], size);
        server.stop();
    }
}

#[test]
fn a_backup_that_is_cut_or_opened_with_another_passphrase_is_refused_and_changes_nothing() {
    let place = Place::new("");
    Server::start(&place.data()).stop();
    place.json(&format!("backup create @good {PASS}"));
    place.write("wrong", "another sentence\n");
    let whole = std::fs::read(place.path("good")).unwrap();
    std::fs::write(place.path("cut"), &whole[..whole.len() - 1]).unwrap();
    std::fs::write(place.path("other"), "PK\u{3}\u{4} and so on").unwrap();
    for (name, pass) in [("good", "@wrong"), ("cut", "@pass"), ("other", "@pass")] {
        let (code, out, _) = place.run(&format!("--json backup verify @{name} --passphrase-file {pass}"));
        let document: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((code, &document["valid"]), (1, &json!(false)), "{name}");
        assert!(!document["reason"].as_str().unwrap().is_empty());
        let line = format!("backup restore @{name} --passphrase-file {pass}");
        let (code, _, error) = place.run_on("new", &line);
        assert_eq!(code, 1, "{name}: {error}");
        assert!(error.contains("\nhint: "), "{error}");
        assert!(!place.path("new").exists(), "{name}");
    }
    let (code, _, error) = place.run(&format!("backup restore @good {PASS}"));
    assert_eq!(code, 1, "the directory is not empty");
    assert!(error.contains("restore into a new directory"), "{error}");
    place.write("short", "short\n");
    let (code, _, error) = place.run("backup create @new.backup --passphrase-file @short");
    assert_eq!(code, 1);
    assert!(error.contains("at least 12 characters"), "{error}");
    assert!(!place.path("new.backup").exists());
    assert_eq!(place.run(&format!("backup verify @nosuch {PASS}")).0, 2);
}

#[test]
fn a_restored_node_leaves_its_old_name_and_keeps_the_rest_of_the_configuration() {
    let place = Place::new("node = \"a\"\n[seal]\nsource = \"passphrase-file\"\n");
    let seal = place.path("seal.pass");
    place.write("seal.pass", "the passphrase of the seal\n");
    let configuration = format!(
        "node = \"a\"\n[seal]\nsource = \"passphrase-file\"\npassphrase_file = \"{}\"\n",
        text(&seal)
    );
    place.write("data/countersign.toml", &configuration);
    Server::start(&place.data()).stop();
    place.make_key("release", "ed25519");
    place.json(&format!("backup create @backup {PASS}"));
    let restored = place.json_on("new", &format!("backup restore @backup {PASS}"));
    assert_eq!(restored["continues"]["origin"], "a");
    let kept = std::fs::read_to_string(place.path("new/countersign.toml")).unwrap();
    assert_eq!(kept, format!("# {configuration}"));
    assert!(!place.path("new/host/seal.key").exists(), "it is under the configured passphrase");
    Server::start(&place.path("new")).stop();
    place.sign("new", "release");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seal_key_is_rotated_with_the_server_stopped() {
    for engine in Engine::ALL {
        let place = Place::on(engine).await;
        let server = Server::start(&place.data());
        wait_for(&server, "200");
        place.make_key("release", "p256");
        let before = std::fs::read(place.path("data/host/seal.key")).unwrap();
        let (code, _, error) = place.run("seal rotate");
        assert_eq!(code, 2);
        assert!(error.contains("a server runs on") && error.contains("hint: stop it first"), "{error}");
        server.stop();

        assert_eq!(place.json("seal rotate")["rotated"], true);
        assert_ne!(std::fs::read(place.path("data/host/seal.key")).unwrap(), before);
        let server = Server::start(&place.data());
        wait_for(&server, "200");
        place.sign("data", "release");
        server.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seal_is_changed_to_a_passphrase_to_another_one_and_back_to_a_file() {
    for engine in Engine::ALL {
        let place = Place::on(engine).await;
        let base = std::fs::read_to_string(place.path("data/countersign.toml")).unwrap();
        let configure = |seal: &str| place.write("data/countersign.toml", &format!("{base}[seal]\n{seal}\n"));
        place.write("new", "another sentence\n");
        Server::start(&place.data()).stop();
        place.make_key("release", "p256");

        let (code, _, error) = place.run("seal rotate --new-passphrase-file @new");
        assert_eq!((code, error.contains("hint: say where")), (2, true), "{error}");
        let (code, _, error) = place.run("seal rotate --source prompt --new-passphrase-file @pass");
        assert_eq!(code, 0, "{error}");
        assert!(error.contains("before the next start: set `source = \"prompt\"`"), "{error}");
        let (code, _, error) = place.run("key list");
        assert_eq!((code, error.contains("sealed with a passphrase")), (2, true), "{error}");
        configure("source = \"prompt\"");

        let changed = place.json(&format!("seal rotate {PASS} --new-passphrase-file @new"));
        assert_eq!((&changed["rotated"], &changed["source"]), (&json!(true), &json!("prompt")));
        let (code, _, _) = place.run(&format!("seal rotate {PASS}"));
        assert_eq!(code, 2, "the old passphrase opens nothing any more");

        let (code, _, error) = place.run("seal rotate --passphrase-file @new --source file");
        assert_eq!(code, 0, "{error}");
        assert!(!place.path("data/host/seal.key.next").exists());
        configure("");
        let server = Server::start(&place.data());
        wait_for(&server, "200");
        place.sign("data", "release");
        server.stop();
    }
}

#[test]
fn a_server_without_its_passphrase_waits_to_be_unlocked_also_after_its_key_host_died() {
    let place = Place::new("[seal]\nsource = \"prompt\"\n");
    place.write("wrong", "another sentence\n");
    let server = Server::start(&place.data());
    assert_eq!(readiness(&server), "503");
    let (code, out, _) = place.run("doctor");
    assert_eq!(code, 1);
    assert!(out.contains("hint: seal: run `countersign seal unlock`"), "{out}");
    let unlocked = place.json(&format!("seal unlock {PASS}"));
    assert_eq!(unlocked, json!({"unlocked": true, "ready": true, "reasons": []}));
    assert_eq!(readiness(&server), "200");
    place.make_key("release", "p256");
    server.stop();

    let server = Server::start(&place.data());
    wait_for(&server, "503");
    let (code, _, error) = place.run("seal unlock --passphrase-file @wrong");
    assert_eq!(code, 1, "{error}");
    place.json(&format!("seal unlock {PASS}"));
    place.sign("data", "release");
    let (code, _, _) = place.run(&format!("seal unlock {PASS}"));
    assert_eq!(code, 1, "it does not wait any more");

    let host = key_host_of(server.id());
    assert!(Command::new("kill").args(["-9", &host.to_string()]).status().unwrap().success());
    wait_for(&server, "503");
    place.json(&format!("seal unlock {PASS}"));
    assert_eq!(readiness(&server), "200");
    place.sign("data", "release");
    server.stop();
    let (code, _, error) = place.run(&format!("seal unlock {PASS}"));
    assert_eq!((code, error.contains("no server runs on")), (2, true), "{error}");
    assert_eq!(place.json(&format!("seal rotate {PASS}"))["rotated"], true, "with a new salt");
}

/// The guardian's child, which is the front's.
fn key_host_of(front: u32) -> u32 {
    let children = |id: u32| {
        let text = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        text.split_whitespace().map(|word| word.parse::<u32>().unwrap()).collect::<Vec<_>>()
    };
    children(front).into_iter().flat_map(children).next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_finds_nothing_wrong_with_a_new_deployment() {
    for engine in Engine::ALL {
        let place = Place::on(engine).await;
        let server = Server::start(&place.data());
        wait_for(&server, "200");
        place.make_key("release", "p256");
        let state_of = |document: &Value, name: &str| -> Vec<String> {
            let checks = document["checks"].as_array().unwrap().iter();
            checks
                .filter(|check| check["name"] == name)
                .map(|check| check["state"].as_str().unwrap().into())
                .collect()
        };
        let beside = place.json("doctor");
        for name in ["ready", "version", "log", "seal", "database engine", "log and database", "tokens"] {
            assert_eq!(state_of(&beside, name), ["ok"], "{name}: {beside}");
        }
        for name in ["key host", "front"] {
            assert!(state_of(&beside, name).len() > 1, "{name}: {beside}");
        }
        server.stop();
        let alone = place.json("doctor");
        assert_eq!(state_of(&alone, "front"), ["unseen"]);
        assert_eq!(state_of(&alone, "log and database"), ["ok"]);
    }
}

#[test]
fn the_doctor_says_no_when_the_log_was_changed_or_a_certificate_is_missing() {
    let place = Place::new("");
    let server = Server::start(&place.data());
    wait_for(&server, "200");
    place.make_key("release", "p256");
    let node = std::fs::read_to_string(place.path("data/node")).unwrap();
    let tiles = place.path(&format!("data/log/{}/tile/0", node.trim_end()));
    let widths = std::fs::read_dir(tiles.join("000.p")).unwrap().flatten();
    for tile in widths.map(|entry| entry.path()) {
        let mut bytes = std::fs::read(&tile).unwrap();
        bytes[0] ^= 1;
        std::fs::write(&tile, bytes).unwrap();
    }
    place.write("data/countersign.toml", "[tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n");
    let (code, out, _) = place.run("doctor");
    assert_eq!(code, 1);
    for bad in ["bad      log and database", "bad      certificate"] {
        assert!(out.contains(bad), "{out}");
    }
    server.stop();
}
