//! People who hold root keys, and a server that is not what it was: what it shows is not signed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use countersign_testkit::server::Engine;
use countersign_tuf::build::{self, Head};
use countersign_tuf::metadata::{Document, Kind};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::collection::{Desk, Said};
use crate::server::countersign;
use crate::tuf_clients::people::Person;

/// A place far from any network, with the key of somebody who signs.
struct Far {
    directory: tempfile::TempDir,
    /// The server's key.
    online: Person,
    /// Whoever has the server now.
    mallory: Person,
    /// The first root, signed by `ana`.
    root: Document,
    /// Id and object of the key of `ana`.
    ana: (String, Value),
}

fn key(directory: &Path, name: &str) {
    let words = "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out";
    let file = format!("{name}.pem");
    let made = Command::new("openssl").args(words.split(' ')).arg(file).current_dir(directory).output();
    assert!(made.unwrap().status.success());
}

fn run(directory: &Path, line: &str) -> Said {
    let mut command = countersign(&line.split(' ').collect::<Vec<_>>());
    let done = command.current_dir(directory).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Said { code: done.status.code().unwrap(), out: text(done.stdout), error: text(done.stderr) }
}

/// As the server lists a key, under an id that it says is its own.
fn listed(keyid: &str, object: &Value) -> Value {
    let mut shown = object.clone();
    shown["keyid"] = json!(keyid);
    shown["x-rstuf-key-name"] = json!("online");
    json!({"keys": [shown]})
}

impl Far {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        key(at, "ana");
        let online = Person::new(9);
        fs::write(at.join("online.json"), listed(&online.keyid, &online.object).to_string()).unwrap();
        run(at, "tuf init -o plan.json --root-key ana=ana.pem --bins 4").good();
        run(
            at,
            "tuf ceremony --file plan.json --online-keys online.json --key ana.pem --out first.json --yes",
        )
        .good();
        let first: Value = serde_json::from_slice(&fs::read(at.join("first.json")).unwrap()).unwrap();
        let root = Document::from_value(first["metadata"]["root"].clone()).unwrap();
        fs::write(at.join("root.json"), root.to_bytes()).unwrap();
        let view = root.root().unwrap();
        let keyid = view.role(Kind::Root).keyids[0].clone();
        let ana = (keyid.clone(), root.signed()["keys"][&keyid].clone());
        Self { directory, online, mallory: Person::new(6), root, ana }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The root as it is, under another version.
    fn version(&self, version: u64) -> Document {
        self.root.edited(|signed| signed["version"] = json!(version)).unwrap()
    }

    /// A root with nobody's key in it but that of `mallory`.
    fn root_of_mallory(&self, version: u64) -> Document {
        let mallory = &self.mallory;
        let mut root = self.root.edited(|signed| {
            signed["version"] = json!(version);
            signed["keys"] = json!({&mallory.keyid: mallory.object});
            for kind in Kind::ALL {
                signed["roles"][kind.as_str()]["keyids"] = json!([mallory.keyid]);
            }
        });
        mallory.sign(root.as_mut().unwrap());
        root.unwrap()
    }

    /// Targets that let `ana` sign the role `team`.
    fn targets(&self, signer: &Person) -> Document {
        let (id, object) = &self.ana;
        let role =
            json!({"name": "team", "keyids": [id], "threshold": 1, "terminating": true, "paths": ["*"]});
        let delegations = json!({"keys": {id: object}, "roles": [role]});
        let mut targets = self.team().edited(|signed| signed.extend([("delegations".into(), delegations)]));
        signer.sign(targets.as_mut().unwrap());
        targets.unwrap()
    }

    fn team(&self) -> Document {
        build::targets(Head::first(Timestamp::now(), 9), Map::new(), None).unwrap()
    }

    /// Signs what a server shows, with `more` options, and says how that went; a refusal leaves no signature.
    fn sign(&self, role: &str, shown: &[(&str, &Document)], roots: &[&Document], more: &str) -> Said {
        let metadata: Map<String, Value> =
            shown.iter().map(|(name, document)| ((*name).to_owned(), document.to_value())).collect();
        let roots: Vec<Value> = roots.iter().map(|root| root.to_value()).collect();
        let saved = json!({"metadata": metadata, "roots": roots});
        fs::write(self.path("pending.json"), saved.to_string()).unwrap();
        let _ = fs::remove_file(self.path("signature.json"));
        let line = "tuf sign --from pending.json --key ana.pem --out signature.json --yes --role";
        let said = run(self.directory.path(), format!("{line} {role} {more}").trim());
        assert_eq!(self.path("signature.json").exists(), said.code == 0, "{}", said.error);
        said
    }
}

#[test]
fn a_root_under_the_name_of_another_role_is_not_signed() {
    let far = Far::new();
    let (stolen, team, targets) = (far.root_of_mallory(2), far.team(), far.targets(&far.online));
    for more in ["", "--root root.json"] {
        let sign = |role: &str, shown: &[(&str, &Document)]| far.sign(role, shown, &[&far.root], more);
        sign("team", &[("team", &stolen), ("trusted_targets", &targets)])
            .is(1, "metadata of type `root` as `team`");
        sign("root", &[("root", &team), ("trusted_root", &far.root)])
            .is(1, "metadata of type `targets` as `root`");
        sign("team", &[("team", &team), ("trusted_targets", &stolen)])
            .is(1, "metadata of type `root` as `trusted_targets`");
        sign("snapshot", &[("snapshot", &team), ("trusted_targets", &targets)]).is(1, "as `snapshot`");
        sign("team", &[("team", &team), ("trusted_targets", &targets)]).good();
    }
}

#[test]
fn who_delegates_must_be_signed_as_the_root_demands() {
    let far = Far::new();
    let (team, good, bad) = (far.team(), far.targets(&far.online), far.targets(&far.mallory));
    let sign = |targets, roots: &[&Document], more: &str| {
        far.sign("team", &[("team", &team), ("trusted_targets", targets)], roots, more)
    };
    sign(&good, &[&far.root], "--root root.json").good();
    // The root that is one's own is enough, if it is the newest.
    sign(&good, &[], "--root root.json").good();
    sign(&good, &[], "").is(1, "no root in force");
    sign(&bad, &[&far.root], "--root root.json").is(1, "does not know these targets");
    sign(&bad, &[&far.root_of_mallory(1)], "--root root.json").is(1, "does not know these targets");
    sign(&bad, &[&far.root, &far.root_of_mallory(2)], "--root root.json")
        .is(1, "is not signed as root 1 demands");
}

#[test]
fn a_root_that_follows_from_none_that_is_shown_is_not_signed() {
    let far = Far::new();
    let next = far.version(2);
    let refused = "does not show the root in force";
    for (version, roots, more) in [
        (7, vec![&far.root], "--root root.json"),
        (7, vec![&far.root], ""),
        (2, vec![], ""),
        // There is a root in force, so there is no first one to sign.
        (1, vec![], "--root root.json"),
        (1, vec![&far.root], ""),
    ] {
        far.sign("root", &[("root", &far.version(version))], &roots, more).is(1, refused);
    }
    let after = |pending: &Document, trusted: &Document, roots: &[&Document]| {
        far.sign("root", &[("root", pending), ("trusted_root", trusted)], roots, "--root root.json")
    };
    after(&far.version(3), &far.root, &[&far.root]).is(1, "has version 3, and 1 is in force");
    after(&far.version(1), &far.root, &[&far.root]).is(1, "has version 1, and 1 is in force");
    let theirs = far.root_of_mallory(1);
    after(&next, &theirs, &[&theirs]).is(1, "is not the one that it publishes");
    after(&next, &far.root, &[&far.root]).good();
}

#[test]
fn a_root_that_somebody_has_is_followed_without_a_network() {
    let far = Far::new();
    far.sign("root", &[("root", &far.version(2)), ("trusted_root", &far.root)], &[&far.root], "").good();
    let made: Value = serde_json::from_slice(&fs::read(far.path("signature.json")).unwrap()).unwrap();
    let mut second = far.version(2);
    let signature = &made["signatures"][0]["signature"];
    second.put_signature(signature["keyid"].as_str().unwrap(), signature["sig"].as_str().unwrap());
    let shown = [("root", &far.version(3)), ("trusted_root", &second)];
    far.sign("root", &shown, &[&far.root, &second], "--root root.json").good();
    far.sign("root", &shown, &[&far.root], "--root root.json").is(2, "root 2 is not published");
    let unsigned = far.version(2);
    far.sign("root", &shown, &[&far.root, &unsigned], "--root root.json").is(1, "is not signed as root 1");
}

#[test]
fn a_server_that_gives_its_key_the_id_of_a_persons_gets_no_root() {
    let far = Far::new();
    let at = far.directory.path();
    fs::write(at.join("evil.json"), listed(&far.ana.0, &far.online.object).to_string()).unwrap();
    let line =
        "tuf ceremony --file plan.json --online-keys evil.json --key ana.pem --out evil-root.json --yes";
    run(at, line).is(1, "has the id of another");
    fs::write(at.join("evil.json"), listed(&far.ana.0, &far.ana.1).to_string()).unwrap();
    run(at, line).is(1, "gives the key of `ana` for its own");
    assert!(!at.join("evil-root.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_begins_with_the_root_in_force_and_shows_all_that_is_signed() {
    for engine in Engine::ALL {
        let desk = Desk::on(engine).await;
        for name in ["ana", "bo", "mallory"] {
            key(desk.directory.path(), name);
        }
        desk.admin("tuf init -o plan.json --root-key ana=ana.pem --root-key bo=bo.pem --bins 2").good();
        desk.admin("tuf ceremony --file plan.json --key ana.pem --yes").good();
        let first = desk.admin("tuf root show --version 1 --json").json();
        desk.write("root.json", first.to_string());

        // One signature is enough to be pending, and a right to write.
        let theirs = "tuf root edit --add-key mallory=mallory.pem --key mallory.pem --yes";
        desk.admin(theirs).good();
        let said = desk.admin("tuf root edit --override --days 30 --root root.json --key ana.pem --yes");
        assert!(!said.error.contains("mallory"), "{}", said.error);
        said.good();
        let shown = desk.admin("tuf root show").good();
        assert!(shown.contains("root version 2") && !shown.contains("mallory"), "{shown}");

        desk.admin("tuf root edit --amend --days 40 --key ana.pem --yes").is(2, "--override");
        desk.admin(theirs).good();
        let said = desk.admin("tuf root edit --override --amend --days 40 --key ana.pem --yes");
        assert!(said.error.contains("root: + mallory"), "{}", said.error);
        said.good();
        let shown = desk.admin("tuf root show").good();
        assert!(shown.contains("root version 3") && shown.contains("mallory"), "{shown}");

        // What is saved has every root, so that one who has only the first can follow.
        desk.admin("tuf root edit --threshold 2 --key ana.pem --yes").good();
        desk.admin("tuf sign --save pending.json").good();
        let saved: Value = serde_json::from_slice(&fs::read(desk.path("pending.json")).unwrap()).unwrap();
        assert_eq!(saved["roots"].as_array().unwrap().len(), 3);
        desk.admin("tuf sign --from pending.json --root root.json --key bo.pem --out signature.json --yes")
            .good();
        desk.admin("tuf sign --submit signature.json").good();
        assert!(desk.admin("tuf root show").good().contains("root version 4"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_root_is_shown_whole_when_it_takes_the_place_of_another() {
    let desk = Desk::on(Engine::Sqlite).await;
    for name in ["ana", "bo", "cy"] {
        key(desk.directory.path(), name);
    }
    desk.admin("tuf init -o plan.json --root-key ana=ana.pem --root-key bo=bo.pem --threshold 2 --bins 2")
        .good();
    desk.admin("tuf ceremony --file plan.json --key ana.pem --yes").good();
    let said = desk.admin("tuf root edit --override --add-key cy=cy.pem --days 30 --key ana.pem --yes");
    assert!(said.error.contains("root: 2 of ana") && said.error.contains("cy (ecdsa"), "{}", said.error);
    said.good();
    desk.admin("tuf sign --key cy.pem --yes").good();
    assert_eq!(desk.admin("tuf status --json").json()["state"], "finished");
}
