//! Repositories that were made elsewhere.

use std::path::{Path, PathBuf};

use countersign_core::Caller;
use countersign_core::keys::{self, ImportKey};
use countersign_core::tuf::adopt::{self, AdoptError, Directory};
use countersign_core::tuf::request::{AddArtifacts, Artifact, Request};
use countersign_core::tuf::{Error, online, read};
use countersign_keyhost::soft::SoftKey;
use countersign_model::key::PrivateKey as _;
use countersign_model::{Format, KeyName, Surface};
use serde_json::{Value, json};

use crate::support::House;
use crate::tuf_people::*;

/// A repository as python-tuf writes it: indented, with members of its own.
struct Elsewhere {
    dir: tempfile::TempDir,
    alice: Person,
    ana: Person,
    online: Person,
}

impl Elsewhere {
    fn new() -> Self {
        let (alice, ana, online) = (Person::ed25519(1), Person::p256(), Person::ed25519(50));
        let made = Self { dir: tempfile::tempdir().unwrap(), alice, ana, online };
        let target = json!({"length": 3, "hashes": {"sha256": "ab".repeat(32)}, "x-own": [1, "é"]});
        let role = |name: &str, person: &Person| {
            json!({"name": name, "terminating": true, "threshold": 1, "keyids": [person.keyid],
                   "paths": [format!("{name}/*")], "x-rstuf-expire-policy": 9})
        };
        let delegations = json!({
            "keys": {&made.ana.keyid: made.ana.object, &made.online.keyid: made.online.object},
            "roles": [role("team", &made.ana), role("auto", &made.online)],
        });
        made.write("1.root", made.root(1), &[&made.alice]);
        made.write("2.root", made.root(2), &[&made.alice]);
        let targets = json!({"targets": {"top": target}, "delegations": delegations, "x-a-b": "stays"});
        made.write("4.targets", made.signed("targets", 4, targets), &[&made.online]);
        made.write(
            "3.auto",
            made.signed("targets", 3, json!({"targets": {"auto/one": target}, "x-c-d": 7})),
            &[&made.online],
        );
        made.write(
            "2.team",
            made.signed("targets", 2, json!({"targets": {"team/one": target}})),
            &[&made.ana],
        );
        let meta = json!({"targets.json": {"version": 4}, "auto.json": {"version": 3}, "team.json": {"version": 2},
                          "gone.json": {"version": 8}});
        made.write("6.snapshot", made.signed("snapshot", 6, json!({"meta": meta})), &[&made.online]);
        made.timestamp();
        made
    }

    fn timestamp(&self) {
        let meta = json!({"meta": {"snapshot.json": {"version": 6}}});
        self.write("timestamp", self.signed("timestamp", 7, meta), &[&self.online]);
    }

    fn root(&self, version: u64) -> Value {
        let online = (self.online.keyid.clone(), self.online.object.clone());
        let people = vec![&self.alice];
        Root { version, expires: in_days(300), people, threshold: 1, online }.signed()
    }

    fn signed(&self, kind: &str, version: u64, content: Value) -> Value {
        let expires = countersign_tuf::expires::render(in_days(20));
        let mut signed =
            json!({"_type": kind, "spec_version": "1.0.31", "version": version, "expires": expires});
        signed.as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
        signed
    }

    fn write(&self, name: &str, signed: Value, people: &[&Person]) {
        let text = serde_json::to_string_pretty(&signed_by(signed, people)).unwrap();
        std::fs::write(self.path(name), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.json"))
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    fn source(&self) -> Directory {
        Directory(self.dir.path().to_owned())
    }

    fn plan(&self) -> Result<adopt::Plan, AdoptError> {
        adopt::plan(&self.source(), &self.bytes("1.root"))
    }

    async fn adopted(&self, house: &House) -> Result<adopt::Adopted, AdoptError> {
        adopt::adopt(&house.ctx, &caller(house), &self.source(), &self.plan()?, None).await
    }
}

async fn import(house: &House, person: &Person, name: &str) {
    let new = ImportKey {
        name: name.parse().unwrap(),
        pem: person.private_pem(),
        passphrase: None,
        exportable: false,
        formats: Some(vec![Format::Tuf]),
    };
    keys::import(&house.ctx, &caller(house), new).await.unwrap();
}

fn add(path: &str) -> Request {
    let info = json!({"length": 3, "hashes": {"sha256": "cd".repeat(32)}});
    let artifacts = vec![Artifact { path: path.into(), info: info.as_object().unwrap().clone() }];
    Request::AddArtifacts(AddArtifacts { artifacts, publish: true, add_task_id_to_custom: false })
}

#[tokio::test]
async fn a_repository_goes_on_with_its_files_as_they_are_and_every_member_that_it_had() {
    for house in House::on_both().await {
        let there = Elsewhere::new();
        let plan = there.plan().unwrap();
        let needed = plan.online_keys();
        assert_eq!(needed.len(), 1);
        assert_eq!(needed[0].keyid, there.online.keyid);
        assert_eq!(needed[0].roles, ["targets", "snapshot", "timestamp"]);

        match there.adopted(&house).await {
            Err(AdoptError::NoKey { role, keyids }) => {
                assert_eq!((role.as_str(), keyids), ("targets", vec![there.online.keyid.clone()]));
            }
            other => panic!("{other:?}"),
        }
        assert!(!is_public(&house.ctx, "1.root.json").await, "nothing was copied");
        import(&house, &there.online, "tuf/old").await;
        let adopted = there.adopted(&house).await.unwrap();
        assert_eq!((adopted.root_version, adopted.roles, adopted.artifacts), (2, 3, 3));
        assert_eq!(adopted.signed_by_people, ["team"]);
        for name in ["1.root", "2.root", "4.targets", "3.auto", "2.team", "6.snapshot", "timestamp"] {
            let served = file(&house.ctx, &format!("{name}.json")).await.unwrap();
            assert_eq!(served, there.bytes(name), "{name}");
        }
        let again = there.adopted(&house).await;
        assert!(matches!(again, Err(AdoptError::NotFree)), "{again:?}");
        let config = read::config(&house.ctx).await.unwrap();
        assert_eq!((&config["auto_expiration"], &config["snapshot_expiration"]), (&json!(9), &json!(20)));

        // On with the next versions, for clients that know it.
        succeeded(&done(&house, add("auto/two")).await);
        let mut reader = client(&house.ctx, 1).await.unwrap();
        for path in ["top", "auto/one", "auto/two", "team/one"] {
            assert!(find(&house.ctx, &mut reader, path).await.unwrap(), "{path}");
        }
        let next: Value = serde_json::from_slice(&file(&house.ctx, "4.auto.json").await.unwrap()).unwrap();
        assert_eq!(next["signed"]["x-c-d"], 7);
        assert_eq!(next["signed"]["targets"]["auto/one"]["x-own"], json!([1, "é"]));
        let meta = reader.snapshot().unwrap().snapshot().unwrap().meta;
        assert_eq!(meta["gone.json"].version, 8, "a role that was there stays in the snapshot");

        // What people sign waits for them.
        succeeded(&done(&house, add("team/two")).await);
        let waiting = read::signing(&house.ctx).await.unwrap().unwrap();
        let document = waiting["metadata"]["team"].clone();
        assert_eq!(document["signed"]["version"], 3);
        succeeded(&done(&house, there.ana.signs("team", &document)).await);
        let third = Root {
            version: 3,
            expires: in_days(100),
            people: vec![&there.alice],
            threshold: 1,
            online: first_online_key(&house.ctx).await,
        };
        succeeded(&done(&house, Request::MetadataUpdate { root: third.by(&[&there.alice]) }).await);
        let mut reader = client(&house.ctx, 1).await.unwrap();
        assert_eq!(reader.root().version(), 3, "with a key that was made here");
        assert!(find(&house.ctx, &mut reader, "team/two").await.unwrap());
        house.end().await;
    }
}

#[tokio::test]
async fn what_a_client_would_refuse_is_not_adopted() {
    let house = House::new(None).await;
    let refused = |there: &Elsewhere, what: &str| {
        let error = there.plan().err().unwrap_or_else(|| panic!("{what}: adopted"));
        error.to_string()
    };
    let there = Elsewhere::new();
    let signed = there.signed("targets", 3, json!({"targets": {}}));
    there.write("3.auto", signed, &[&there.ana]);
    assert!(refused(&there, "signature").contains("`3.auto.json`: 0 of the 1 signatures"));

    let there = Elsewhere::new();
    std::fs::remove_file(there.path("2.team")).unwrap();
    assert_eq!(refused(&there, "missing"), "`2.team.json` is missing");

    let there = Elsewhere::new();
    there.write("2.root", there.root(2), &[&there.ana]);
    assert!(refused(&there, "root").contains("2.root.json"));

    let there = Elsewhere::new();
    let stranger = Elsewhere { alice: Person::ed25519(9), ..Elsewhere::new() };
    let foreign = signed_by(stranger.root(1), &[&stranger.alice]);
    let error = adopt::plan(&there.source(), foreign.to_string().as_bytes()).err().unwrap();
    assert!(matches!(error, AdoptError::OtherRoot { version: 1 }), "{error}");

    let there = Elsewhere::new();
    let nested = json!({"targets": {}, "delegations": {"keys": {}, "roles": []}});
    there.write("3.auto", there.signed("targets", 3, nested), &[&there.online]);
    assert!(matches!(there.plan(), Err(AdoptError::Nested(role)) if role == "auto"));

    let there = Elsewhere::new();
    let target = json!({"length": 3, "hashes": {"sha256": "ab".repeat(32)}});
    there.write("3.auto", there.signed("targets", 3, json!({"targets": {"top": target}})), &[&there.online]);
    import(&house, &there.online, "tuf/old").await;
    match there.adopted(&house).await {
        Err(AdoptError::Twice { path, one, other }) => {
            assert_eq!((path.as_str(), one.as_str(), other.as_str()), ("top", "targets", "auto"));
        }
        other => panic!("{other:?}"),
    }
    // Clients that know the entry refuse every snapshot without it.
    let there = Elsewhere::new();
    let meta =
        json!({"targets.json": {"version": 4}, "auto.json": {"version": 3}, "root.json": {"version": 2}});
    there.write("6.snapshot", there.signed("snapshot", 6, json!({"meta": meta})), &[&there.online]);
    assert!(matches!(there.plan(), Err(AdoptError::SnapshotEntry(name)) if name == "root.json"));

    // The system is as free as it was: what was copied can be copied again.
    assert_eq!(read::bootstrap(&house.ctx).await.unwrap().data, json!({"bootstrap": false}));
    house.end().await;
}

#[tokio::test]
async fn only_an_administrator_brings_keys_and_repositories() {
    let house = House::new(None).await;
    let there = Elsewhere::new();
    let plan = there.plan().unwrap();
    let pem = there.online.private_pem();
    let public = SoftKey::from_pem(std::str::from_utf8(&pem.0).unwrap(), None).unwrap().public().clone();
    let name: KeyName = "tuf/old".parse().unwrap();
    let key = || ImportKey {
        name: name.clone(),
        pem: there.online.private_pem(),
        passphrase: None,
        exportable: false,
        formats: None,
    };
    let exactly = adopt::Called::Exactly(name.clone());
    for role in ["operator", "signer", "reader"] {
        let caller = Caller { surface: Surface::Tuf, ..house.person(role, &[role]).await };
        let refused = adopt::import(&house.ctx, &caller, &plan, &exactly, &public, key()).await;
        let is_refused = |error: &AdoptError| {
            matches!(error, AdoptError::Core(Error::Other(countersign_core::Error::NotPermitted { .. })))
        };
        assert!(refused.as_ref().is_err_and(is_refused), "{role}: {refused:?}");
        let adopted = adopt::adopt(&house.ctx, &caller, &there.source(), &plan, None).await;
        assert!(adopted.as_ref().is_err_and(is_refused), "{role}: {adopted:?}");
    }

    // The same key again stays what it is; another one does not get its name.
    let caller = caller(&house);
    let import = async |called: &adopt::Called| {
        adopt::import(&house.ctx, &caller, &plan, called, &public, key()).await
    };
    assert_eq!(import(&exactly).await.unwrap(), adopt::Imported::New(name.clone()));
    let other = adopt::Called::Exactly("tuf/other".parse().unwrap());
    assert_eq!(import(&other).await.unwrap(), adopt::Imported::There(name.clone()));
    assert!(there.adopted(&house).await.is_ok());
    assert!(matches!(import(&other).await, Err(AdoptError::NotFree)));
    house.end().await;
}

/// Files of a real RSTUF server.
#[tokio::test]
async fn a_repository_of_rstuf_is_understood() {
    let house = House::new(None).await;
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/rstuf/metadata");
    let trusted = std::fs::read(dir.join("1.root.json")).unwrap();
    let source = Directory(dir);
    let plan = adopt::plan(&source, &trusted).unwrap();
    assert_eq!(plan.root_version(), 3);
    let keys = plan.online_keys();
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0].roles, ["targets", "snapshot", "timestamp", "bins"]);
    let adopted = adopt::adopt(&house.ctx, &caller(&house), &source, &plan, None).await;
    assert!(matches!(adopted, Err(AdoptError::NoKey { .. })), "{adopted:?}");
    assert_eq!(online::list(&house.ctx).await.unwrap()["keys"].as_array().unwrap().len(), 1);
    house.end().await;
}
