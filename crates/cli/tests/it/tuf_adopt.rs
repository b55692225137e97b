//! `tuf adopt`: repositories that python-tuf made go on at a server, and a client of python-tuf that knew them goes on
//! with what it has kept.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use countersign_testkit::server::{Answer, Engine};
use serde_json::{Value, json};

use crate::appliance::target;
use crate::collection::{Desk, Said};

/// `tests/clients/tuf/elsewhere.py`.
pub fn elsewhere(words: &[&str]) -> Command {
    let mut python = Command::new(target("test-venv").join("bin/python"));
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/tuf");
    python.current_dir(directory).env("PYTHONDONTWRITEBYTECODE", "1").arg("elsewhere.py").args(words);
    python
}

/// What it prints; panics if it fails.
#[track_caller]
pub fn run(words: &[&str]) -> String {
    let Output { status, stdout, stderr } = elsewhere(words).output().unwrap();
    assert!(status.success(), "{words:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// A repository that was made elsewhere, a client that has seen it, and a server that is not running.
struct Old {
    desk: Desk,
    directory: PathBuf,
}

impl Old {
    async fn of(engine: Engine, kind: &str) -> Self {
        let mut desk = Desk::on(engine).await;
        desk.server.stop().await.unwrap();
        let directory = desk.path("old");
        run(&["make", kind, directory.to_str().unwrap()]);
        let old = Self { desk, directory };
        fs::create_dir(old.desk.path("memory")).unwrap();
        fs::copy(old.directory.join("metadata/1.root.json"), old.desk.path("memory/begin.json")).unwrap();
        old
    }

    /// What python-tuf's client knows: versions, and the files that it looked for.
    #[track_caller]
    fn read(&self, place: &str, paths: &[&str]) -> (BTreeMap<String, u64>, Value) {
        let memory = self.desk.path("memory").display().to_string();
        let said = run(&[&["read", place, &memory], paths].concat());
        let mut read: Value = serde_json::from_str(&said).unwrap();
        (serde_json::from_value(read["versions"].take()).unwrap(), read["found"].take())
    }

    #[track_caller]
    fn finds(&self, place: &str, paths: &[&str]) -> BTreeMap<String, u64> {
        let (versions, found) = self.read(place, paths);
        for path in paths {
            assert!(found[*path].is_string(), "{path}: {found}");
        }
        versions
    }

    fn place(&self) -> &str {
        self.directory.to_str().unwrap()
    }

    fn adopt(&self, more: &str) -> Said {
        self.desk.admin(&format!("tuf adopt old/metadata --root old/metadata/1.root.json {more}"))
    }

    /// Every file that is served is the one that was there, and these are served.
    async fn serves_the_same_files(&self, wanted: &[&str]) {
        let mut served = Vec::new();
        for entry in fs::read_dir(self.directory.join("metadata")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let answer = self.get(&name).await;
            if answer.status == 200 {
                assert_eq!(answer.body, fs::read(&path).unwrap(), "{name}");
                served.push(name);
            } else {
                assert_eq!(answer.status, 404, "{name}");
            }
        }
        for name in wanted {
            assert!(served.iter().any(|served| served == name), "{name} is not among {served:?}");
        }
    }

    async fn get(&self, file: &str) -> Answer {
        let request = self.desk.server.anonymous("GET", &format!("/metadata/{file}"));
        self.desk.server.send(request).await.unwrap()
    }

    async fn metadata(&self, name: &str) -> Value {
        let answer = self.get(&format!("{name}.json")).await;
        assert_eq!(answer.status, 200, "{name}");
        answer.json()
    }

    #[track_caller]
    fn verifies(&self) {
        let line = format!("tuf verify {} --root old/metadata/1.root.json", self.desk.server.url);
        self.desk.anybody(&line).good();
    }

    /// Adopts it, with no more trouble, and starts the server.
    async fn goes_on(&mut self, keys: &str) -> Value {
        let adopted = self.adopt(&format!("{keys} --json"));
        let document = adopted.json();
        adopted.good();
        self.desk.server.run().await.unwrap();
        document
    }
}

fn note() -> Value {
    json!({"é": ["stays", 1_u64 << 60, null, true]})
}

#[tokio::test(flavor = "multi_thread")]
async fn hash_bins_go_on_and_no_client_notices_who_signs_them() {
    for engine in Engine::ALL {
        let mut old = Old::of(engine, "bins").await;
        let paths = ["one.txt", "dist/two.tgz", "späce ü.txt"];
        let before = old.finds(old.place(), &paths);
        let plan = old.adopt("--dry-run").good();
        assert!(
            plan.contains("root 2") && plan.contains("signs targets, snapshot, timestamp, bins"),
            "{plan}"
        );
        let adopted = old.goes_on("--online-key old/keys/online.pem").await;
        let wanted = json!({"root_version": 2, "roles": 8, "artifacts": 3, "signed_by_people": []});
        assert_eq!(adopted, wanted);
        let files = ["1.root.json", "2.root.json", "1.targets.json", "1.bins-7.json", "timestamp.json"];
        old.serves_the_same_files(&files).await;
        // The server's own first key has that name.
        let keys = old.desk.admin("tuf keys list").good();
        assert!(keys.contains("online-2"), "{keys}");

        let url = old.desk.server.url.clone();
        assert_eq!(old.finds(&url, &paths), before);
        old.desk.write("new.txt", "new");
        old.desk.admin("tuf publish new.txt --path-prefix dist").good();
        let after = old.finds(&url, &["dist/new.txt", "one.txt", "späce ü.txt"]);
        let moved = |role: &str| after[role] - before[role];
        assert_eq!((moved("timestamp"), moved("snapshot"), moved("targets"), moved("root")), (1, 1, 0, 0));
        old.desk.admin("tuf remove one.txt").good();
        assert_eq!(old.read(&url, &["one.txt"]).1["one.txt"], Value::Null);

        // All is signed anew, with every member that it had.
        old.desk.admin("tuf online").good();
        let targets = old.metadata("2.targets").await;
        let (now, then) = (&targets["signed"], &old.old_file("1.targets")["signed"]);
        assert_eq!((&now["x-acme-note"], &now["delegations"]), (&note(), &then["delegations"]));
        let timestamp = old.metadata("timestamp").await;
        let snapshot = timestamp["signed"]["meta"]["snapshot.json"]["version"].as_u64().unwrap();
        let meta = old.metadata(&format!("{snapshot}.snapshot")).await["signed"]["meta"].take();
        let mut listed = 0;
        for bin in 0..8 {
            let version = meta[format!("bins-{bin}.json")]["version"].as_u64().unwrap();
            let bin = old.metadata(&format!("{version}.bins-{bin}")).await;
            assert_eq!(bin["signed"]["x-acme-note"], note());
            if let Some(target) = bin["signed"]["targets"].get("dist/two.tgz") {
                assert_eq!(target["x-own"], json!([1, "é\u{7}"]));
                listed += 1;
            }
        }
        assert_eq!(listed, 1);
        assert_eq!(timestamp["signed"]["x-acme-note"], note());

        // And a key that was made here takes the place of the one that came with it.
        old.desk.admin("tuf root rotate fresh --key old/keys/ana.pem --key old/keys/bo.pem --yes").good();
        assert_eq!(old.finds(&url, &["dist/two.tgz", "dist/new.txt"])["root"], 3);
        old.verifies();
    }
}

impl Old {
    fn old_file(&self, name: &str) -> Value {
        let path = self.directory.join(format!("metadata/{name}.json"));
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_of_people_go_on_waiting_for_them() {
    for engine in Engine::ALL {
        let mut old = Old::of(engine, "roles").await;
        let paths = ["auto/one", "team/one", "top.txt"];
        let before = old.finds(old.place(), &paths);
        let adopted = old.goes_on("--online-key old/keys/online.pem --online-key old/keys/auto.pem").await;
        assert_eq!(adopted["signed_by_people"], json!(["My_Team"]));
        old.serves_the_same_files(&["1.auto.json", "2.My_Team.json", "2.targets.json", "1.gone.json"]).await;
        let url = old.desk.server.url.clone();
        assert_eq!(old.finds(&url, &paths), before);

        for (name, prefix) in [("two", "auto"), ("two", "team")] {
            old.desk.write(name, format!("{prefix}/{name}"));
            old.desk.admin(&format!("tuf publish {name} --path-prefix {prefix}")).good();
        }
        let (after, found) = old.read(&url, &["auto/two", "team/two", "team/one"]);
        assert_eq!((after["auto"], after["My_Team"]), (before["auto"] + 1, before["My_Team"]));
        assert!(found["auto/two"].is_string() && found["team/one"].is_string(), "{found}");
        assert_eq!(found["team/two"], Value::Null, "people have not signed it");
        old.desk.admin("tuf sign --role My_Team --key old/keys/team.pem --yes").good();
        old.finds(&url, &["team/one", "team/two", "auto/two", "top.txt"]);
        let team = old.metadata("3.My_Team").await;
        assert_eq!(team["signed"]["x-acme-note"], note());
        assert_eq!(team["signed"]["targets"]["team/one"]["custom"], json!({"of": "elsewhere"}));

        // What the top level lists beside its delegations stays there, in its next version too.
        old.desk.write("top.txt", "another");
        old.desk.admin("tuf publish top.txt").good();
        let before = after;
        let after = old.finds(&url, &["top.txt", "auto/one", "team/two"]);
        assert_eq!(after["targets"], before["targets"] + 1);
        old.desk.write("nobody", "x");
        old.desk.admin("tuf publish nobody").is(1, "");
        old.desk.admin("tuf online").good();
        old.desk.admin("tuf root rotate fresh --key old/keys/ana.pem --key old/keys/bo.pem --yes").good();
        old.finds(&url, &["top.txt", "auto/one", "auto/two", "team/two"]);
        let snapshot = old.finds(&url, &[])["snapshot"];
        let meta = old.metadata(&format!("{snapshot}.snapshot")).await["signed"]["meta"].take();
        assert_eq!(meta["gone.json"]["version"], 1, "a role that was there once stays");
        old.verifies();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_without_delegations_go_on_with_a_key_for_each_role() {
    for engine in Engine::ALL {
        let mut old = Old::of(engine, "plain").await;
        let paths = ["one.txt", "dist/two.tgz", "three.txt"];
        let before = old.finds(old.place(), &paths);
        let keys = ["timestamp", "snapshot", "targets"].map(|key| format!("--online-key old/keys/{key}.pem"));
        let keys = keys.join(" ");
        let refused = old.adopt(&keys);
        refused.is(1, "role `timestamp` is signed with keys that are not here");
        // Two keys sign the timestamp. Those that are here already stay, under their names.
        let line = format!("{keys} --online-key fourth=old/keys/second.pem");
        assert_eq!(old.goes_on(&line).await["artifacts"], 3);
        old.serves_the_same_files(&["1.root.json", "2.targets.json", "2.snapshot.json", "timestamp.json"])
            .await;
        let url = old.desk.server.url.clone();
        assert_eq!(old.finds(&url, &paths), before);
        let keys = old.desk.admin("tuf keys list --json").json().to_string();
        for name in ["timestamp", "snapshot", "targets", "fourth"] {
            assert!(keys.contains(&format!("countersign:{name}\"")), "{keys}");
        }
        old.desk.write("new.txt", "new");
        old.desk.admin("tuf publish new.txt --path-prefix dist").good();
        let after = old.finds(&url, &["dist/new.txt", "one.txt", "three.txt"]);
        assert_eq!(after["targets"], before["targets"] + 1);
        old.desk.admin("tuf remove one.txt").good();
        assert_eq!(old.read(&url, &["one.txt"]).1["one.txt"], Value::Null);
        old.desk.admin("tuf online").good();
        let timestamp = old.metadata("timestamp").await;
        assert_eq!(timestamp["signatures"].as_array().unwrap().len(), 2);
        old.finds(&url, &["dist/two.tgz"]);
        old.verifies();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hash_bins_of_old_that_are_roles_of_their_own_go_on() {
    let mut old = Old::of(Engine::Sqlite, "prefixes").await;
    let before = old.finds(old.place(), &["one.txt", "dist/two.tgz"]);
    assert_eq!(old.goes_on("--online-key online-2020=old/keys/online.pem").await["roles"], 8);
    let url = old.desk.server.url.clone();
    assert_eq!(old.finds(&url, &["one.txt", "dist/two.tgz"]), before);
    old.desk.write("new.txt", "new");
    old.desk.admin("tuf publish new.txt --path-prefix dist").good();
    old.finds(&url, &["one.txt", "dist/new.txt"]);
    old.desk.admin("tuf online").good();
    old.finds(&url, &["one.txt", "dist/new.txt"]);
    old.verifies();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rstuf_published_goes_on_with_its_key_and_its_settings() {
    for engine in Engine::ALL {
        let mut old = Old::of(engine, "rstuf").await;
        let before = old.finds(old.place(), &["one.txt", "dist/two.tgz"]);
        let key = fs::read_dir(old.directory.join("keys")).unwrap().map(|entry| entry.unwrap().file_name());
        let keyid = key.map(|name| name.into_string().unwrap()).find(|name| name.len() == 64).unwrap();
        let adopted = old.goes_on(&format!("--online-key old/keys/{keyid} --config old/config.json")).await;
        assert_eq!((&adopted["root_version"], &adopted["roles"]), (&json!(3), &json!(4)));
        old.serves_the_same_files(&["1.root.json", "2.root.json", "3.root.json", "1.targets.json"]).await;
        let url = old.desk.server.url.clone();
        assert_eq!(old.finds(&url, &["one.txt", "dist/two.tgz"]), before);
        let request = old.desk.server.anonymous("GET", "/api/v1/config/").bearer_auth(&old.desk.server.token);
        let config = old.desk.server.send(request).await.unwrap().json()["data"].take();
        let there: Value =
            serde_json::from_slice(&fs::read(old.directory.join("config.json")).unwrap()).unwrap();
        for name in
            ["root", "targets", "snapshot", "timestamp", "bins"].map(|role| format!("{role}_expiration"))
        {
            assert_eq!(config[&name], there["data"][&name], "{name}");
        }
        assert_eq!(config["number_of_delegated_bins"], 4);
        old.desk.write("new.txt", "new");
        old.desk.admin("tuf publish new.txt").good();
        old.finds(&url, &["new.txt", "one.txt"]);
        old.desk.admin("tuf online").good();
        let targets = old.metadata("2.targets").await;
        assert_eq!(targets["signed"]["delegations"], old.old_file("1.targets")["signed"]["delegations"]);
        old.finds(&url, &["new.txt", "one.txt"]);
        old.verifies();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_go_on_here_is_refused_with_a_reason() {
    let mut old = Old::of(Engine::Sqlite, "bins").await;
    let key = "--online-key old/keys/online.pem";
    for (kind, why) in [
        ("odd", "the role `our role` cannot be published here"),
        ("nested", "the delegated role `outer` delegates to others"),
        ("flat", "no consistent snapshots"),
    ] {
        run(&["make", kind, old.desk.path(kind).to_str().unwrap()]);
        let line = format!(
            "tuf adopt {kind}/metadata --root {kind}/metadata/1.root.json --online-key {kind}/keys/online.pem"
        );
        old.desk.admin(&line).is(1, why);
    }
    old.desk.admin(&format!("tuf adopt old/metadata --root odd/metadata/1.root.json {key}")).is(1, "root 1");
    old.desk.admin(&format!("tuf adopt odd --root old/metadata/1.root.json {key}")).is(1, "is missing");
    old.adopt("--online-key old/keys/ana.pem").is(1, "signs neither timestamp");
    old.adopt("--online-key odd/keys/online.pem").is(1, "signs neither timestamp");
    old.adopt("--online-key old/config.json").is(2, "");
    // A name that is taken by another key is not passed over in silence.
    let taken = old.adopt("--online-key online=old/keys/online.pem");
    taken.is(1, "there is another key `tuf/online` already");
    assert!(taken.error.contains("--online-key NAME=FILE"), "{}", taken.error);
    old.desk.write("bad.json", "{");
    old.adopt(&format!("{key} --config bad.json")).is(2, "not JSON");
    let bytes = fs::read(old.directory.join("metadata/timestamp.json")).unwrap();
    fs::remove_file(old.directory.join("metadata/timestamp.json")).unwrap();
    old.adopt(key).is(1, "timestamp.json");
    fs::write(old.directory.join("metadata/timestamp.json"), bytes).unwrap();

    old.desk.server.run().await.unwrap();
    assert_eq!(old.desk.admin("tuf status --json").json()["state"], "none", "nothing of it is here");
    old.adopt(key).is(2, "a server runs on");
    let said = old.desk.anybody(&format!("tuf adopt old/metadata --root old/metadata/1.root.json {key}"));
    said.is(2, "works on a data directory");
    old.desk.server.stop().await.unwrap();
    old.adopt(key).good();
    old.adopt(key).is(1, "there is a repository here already");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_key_is_opened_with_its_passphrase() {
    let mut old = Old::of(Engine::Sqlite, "bins").await;
    let words = "pkcs8 -topk8 -in old/keys/online.pem -passout pass:horse -out sealed.pem";
    let done =
        Command::new("openssl").args(words.split(' ')).current_dir(&old.desk.directory).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    old.desk.write("wrong", "donkey\n");
    old.desk.write("right", "horse\n");
    old.adopt("--online-key sealed.pem --passphrase-file wrong").is(2, "`sealed.pem`");
    old.goes_on("--online-key sealed.pem --passphrase-file right").await;
    old.desk.admin("tuf online").good();
    old.verifies();
}
