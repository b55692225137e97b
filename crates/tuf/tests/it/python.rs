//! python-tuf's client as the judge of repositories that we build, and of those that somebody broke.

use countersign_tuf::client::{Client, Local};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::repo::{Files, Repo, find, kept};
use crate::support::{Signer, python};

/// A repository as a client meets it, several times.
struct Case {
    name: &'static str,
    root: Vec<u8>,
    runs: Vec<(Files, jiff::Timestamp)>,
    path: &'static str,
    wanted: &'static [&'static str],
}

impl Case {
    fn new(name: &'static str, path: &'static str, wanted: &'static [&'static str], runs: &[&Repo]) -> Self {
        let runs: Vec<_> = runs.iter().map(|repo| (repo.files.clone(), repo.now)).collect();
        Self { name, root: runs[0].0["1.root.json"].clone(), runs, path, wanted }
    }

    fn to_json(&self) -> Value {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let runs = self.runs.iter().map(|(files, now)| {
            let files: serde_json::Map<String, Value> =
                files.iter().map(|(name, file)| (name.clone(), json!(text(file)))).collect();
            json!({"files": files, "now": now.to_string()})
        });
        json!({"root": text(&self.root), "now": "", "path": self.path, "runs": runs.collect::<Vec<_>>()})
    }

    /// `found`, `absent` or `refused` of each run, by our client.
    fn ours(&self) -> Vec<&'static str> {
        let (mut root, mut local) = (self.root.clone(), Local::default());
        let mut verdicts = Vec::new();
        for (files, now) in &self.runs {
            let mut client = Client::new(&root, local.clone(), *now).unwrap();
            verdicts.push(match find(&mut client, files, self.path) {
                Ok(Some(_)) => "found",
                Ok(None) => "absent",
                Err(_) => "refused",
            });
            let kept = kept(&client);
            root = kept.0;
            local = Local {
                timestamp: kept.1.timestamp.or(local.timestamp),
                snapshot: kept.1.snapshot.or(local.snapshot),
                roles: kept.1.roles,
            };
        }
        verdicts
    }
}

/// `a` is in the last of four bins.
fn with_file() -> Repo {
    let mut repo = Repo::with_bins();
    repo.put_role("bins-3", &[("a", b"content")], None);
    repo.publish();
    repo
}

fn changed(change: impl FnOnce(&mut Repo)) -> Repo {
    let mut repo = with_file();
    change(&mut repo);
    repo
}

fn delegated() -> Repo {
    let (ana, bo) = (Signer::ed25519(21), Signer::p256());
    let asked = |threshold: u64| {
        json!({"keys": {&ana.keyid: ana.object, &bo.keyid: bo.object}, "roles": [
            {"name": "My_Team", "terminating": true, "threshold": threshold, "keyids": [ana.keyid, bo.keyid],
             "paths": ["team/*.tgz"], "x-rstuf-expire-policy": 5},
        ]})
    };
    let mut repo = Repo::new(|online| {
        let asked = asked(2);
        let online = (online.keyid.as_str(), &online.object);
        let judged = countersign_tuf::check::delegation::delegations(&asked, None, online);
        Some(judged.unwrap().delegations)
    });
    let head = countersign_tuf::build::Head::first(repo.now, 5);
    let file = crate::repo::target("team/x.tgz", b"x");
    let mut role = countersign_tuf::build::targets(head, [("team/x.tgz".to_owned(), file)], None).unwrap();
    ana.sign(&mut role);
    bo.sign(&mut role);
    repo.files.insert("1.My_Team.json".into(), role.to_bytes());
    repo.roles.insert("My_Team".into(), role);
    repo.publish();
    repo
}

fn rotated() -> Repo {
    let mut repo = with_file();
    let online = Signer::ed25519(10);
    repo.next_root(|signed| {
        signed["keys"][&online.keyid] = online.object.clone();
        for role in ["timestamp", "snapshot", "targets"] {
            signed["roles"][role]["keyids"] = json!([online.keyid]);
        }
    });
    let delegations = countersign_tuf::build::bins(&online.keyid, &online.object, 2);
    repo.online = online;
    repo.put_role("targets", &[], Some(delegations));
    for bin in 0..3 {
        repo.put_role(&format!("bins-{bin}"), &[], None);
    }
    repo.put_role("bins-3", &[("a", b"content")], None);
    (repo.timestamp, repo.snapshot) = (0, 0);
    repo.publish();
    repo
}

/// A root that an ECDSA and an RSA key have signed.
fn with_other_keys() -> Repo {
    let keys = vec![Signer::p256(), Signer::rsa(), Signer::ed25519(1)];
    let mut repo =
        Repo::with_keys(keys, |online| Some(countersign_tuf::build::bins(&online.keyid, &online.object, 14)));
    repo.put_role("bins-32a5", &[("a", b"content")], None);
    repo.publish();
    repo.next_root(|_| {});
    repo
}

fn without_signatures(file: &[u8], keep: usize) -> Vec<u8> {
    let mut value: Value = serde_json::from_slice(file).unwrap();
    value["signatures"].as_array_mut().unwrap().truncate(keep);
    value.to_string().into_bytes()
}

fn cases() -> Vec<Case> {
    let good = with_file();
    let tampered = |name: &'static str, file: &'static str, from: &str, to: &str| {
        let repo = changed(|repo| {
            let text = String::from_utf8(repo.files[file].clone()).unwrap();
            assert!(text.contains(from));
            repo.files.insert(file.into(), text.replacen(from, to, 1).into_bytes());
        });
        Case::new(name, "a", &["refused"], &[&repo])
    };
    let next = changed(|repo| {
        repo.put_role("bins-3", &[("b", b"x")], None);
        repo.publish();
    });
    let frozen = changed(|repo| repo.now += SignedDuration::from_hours(30));
    let lacking = changed(|repo| {
        repo.roles.remove("bins-0");
        repo.publish();
    });
    let mixed = changed(|repo| {
        let old = repo.files["1.snapshot.json"].clone();
        repo.files.insert("2.snapshot.json".into(), old);
    });
    let two_roots = changed(|repo| {
        repo.next_root(|_| {});
        repo.next_root(|_| {});
    });
    let one_signature = changed(|repo| {
        repo.next_root(|_| {});
        let file = without_signatures(&repo.files["2.root.json"], 1);
        repo.files.insert("2.root.json".into(), file);
    });
    let expired_root = changed(|repo| repo.next_root(|s| s["expires"] = json!("2021-01-01T00:00:00Z")));
    vec![
        Case::new("bins", "a", &["found", "found"], &[&good, &good]),
        Case::new("root keys of other kinds", "a", &["found"], &[&with_other_keys()]),
        Case::new("bins, no such file", "b", &["absent"], &[&good]),
        Case::new("one more publication", "a", &["found", "absent"], &[&good, &next]),
        Case::new("custom role with two offline keys", "team/x.tgz", &["found"], &[&delegated()]),
        Case::new("custom role, not its path", "team/sub/x.tgz", &["absent"], &[&delegated()]),
        Case::new("root rotation", "a", &["found", "found"], &[&good, &two_roots]),
        Case::new("online key rotation, versions from 1", "a", &["found", "found"], &[&good, &rotated()]),
        Case::new("rolled back", "a", &["absent", "refused"], &[&next, &good]),
        Case::new("frozen", "a", &["found", "refused"], &[&good, &frozen]),
        Case::new("snapshot lacks a role", "a", &["found", "refused"], &[&good, &lacking]),
        Case::new("snapshot lacks a role, unseen", "a", &["found"], &[&lacking]),
        Case::new("mixed", "a", &["refused"], &[&mixed]),
        Case::new("one of two root signatures", "a", &["refused"], &[&one_signature]),
        Case::new("last root expired", "a", &["refused"], &[&expired_root]),
        tampered("timestamp tampered", "timestamp.json", "2026-06-02", "2036-06-02"),
        tampered("snapshot tampered", "2.snapshot.json", "2026-06-08", "2036-06-08"),
        tampered("targets tampered", "1.targets.json", "2026-07-01", "2036-07-01"),
        tampered("bin tampered", "2.bins-3.json", "\"length\":7", "\"length\":8"),
        tampered("bin is another", "2.bins-3.json", "\"a\"", "\"b\""),
        tampered("type confused", "2.snapshot.json", "\"_type\":\"snapshot\"", "\"_type\":\"targets\""),
    ]
}

#[test]
fn python_tuf_and_our_client_judge_every_repository_the_same() {
    let cases = cases();
    let input = Value::from(cases.iter().map(Case::to_json).collect::<Vec<_>>());
    let printed: Vec<Vec<String>> = serde_json::from_str(&python("client.py", &input.to_string())).unwrap();
    assert_eq!(printed.len(), cases.len());
    for (case, theirs) in cases.iter().zip(printed) {
        assert_eq!(case.ours(), case.wanted, "ours: {}", case.name);
        let verdict = |text: &String| match text.as_str() {
            "found" => "found",
            "absent" => "absent",
            _ => "refused",
        };
        assert_eq!(theirs.iter().map(verdict).collect::<Vec<_>>(), case.wanted, "{}: {theirs:?}", case.name);
    }
}
