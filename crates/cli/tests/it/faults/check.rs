//! Compares what clients were told with what there is.

use std::collections::{BTreeMap, BTreeSet};

use countersign_model::entry::{Entry, Op};
use countersign_model::{Encoding, PublicKey, Scheme, ToSign};
use countersign_testkit::server::TestServer;
use serde_json::{Value, json};

use super::super::native::{b64, unb64};
use super::clients::{Held, Ledger, Once};
use super::stranger::Log;

/// What was found. Nothing may be in `unlogged`, `lost` and `wrong`.
#[derive(Default)]
pub struct Report {
    pub signatures: usize,
    pub entries: u64,
    pub checkpoints: usize,
    pub retries: BTreeMap<String, u64>,
    /// Signatures that hold but have no entry that is about them.
    pub unlogged: Vec<String>,
    /// Writes that were acknowledged and are not there.
    pub lost: Vec<String>,
    /// Anything else that must not be.
    pub wrong: Vec<String>,
}

impl Report {
    /// One line of figures.
    pub fn figures(&self) -> String {
        let retries: u64 = self.retries.values().sum();
        format!(
            "{} signatures held, {} entries, {} checkpoints, {retries} retries {:?}: \
             {} unlogged signatures, {} lost writes, {} other faults",
            self.signatures,
            self.entries,
            self.checkpoints,
            self.retries,
            self.unlogged.len(),
            self.lost.len(),
            self.wrong.len(),
        )
    }

    /// Panics unless everything is as it must be.
    pub fn assert_clean(&self) {
        let some = |list: &[String]| list.iter().take(5).cloned().collect::<Vec<_>>();
        let [unlogged, lost, wrong] = [&self.unlogged, &self.lost, &self.wrong].map(|list| some(list));
        assert!(
            unlogged.is_empty() && lost.is_empty() && wrong.is_empty(),
            "unlogged signatures: {unlogged:#?}\nlost writes: {lost:#?}\nother faults: {wrong:#?}"
        );
    }
}

/// Checks all that clients were told against a server that is well again.
pub async fn check(server: &TestServer, ledger: Ledger) -> Report {
    let mut report = Report { signatures: ledger.signatures.len(), ..Report::default() };
    report.wrong.extend(ledger.surprises.iter().cloned());
    let keys = stored_keys(server).await;
    check_once(server, &ledger.once, &mut report).await;
    let log = Log::read(server).await;
    report.entries = log.head.size;
    report.checkpoints = ledger.checkpoints.len();
    log.continues(server, ledger.checkpoints.values()).await;
    check_signatures(&ledger.signatures, &keys, &log, &mut report);
    check_keys(&ledger, &keys, &log, &mut report);
    check_tokens(server, &ledger, &mut report).await;
    check_policy(server, &ledger, &mut report).await;
    report.retries = ledger.retries;
    report
}

async fn stored_keys(server: &TestServer) -> BTreeMap<String, Value> {
    let mut keys = BTreeMap::new();
    let mut after = String::new();
    loop {
        let page = server.get(&format!("/keys?limit=1000{after}")).await.unwrap().json();
        for key in page["keys"].as_array().unwrap() {
            keys.insert(key["name"].as_str().unwrap().to_owned(), key.clone());
        }
        match page["next"].as_str() {
            Some(name) => after = format!("&after={name}"),
            None => return keys,
        }
    }
}

/// Asked again, each request has the answer that was given; one whose answer was lost has one answer.
async fn check_once(server: &TestServer, once: &BTreeMap<String, Once>, report: &mut Report) {
    for (name, once) in once {
        let mut first = once.answer.clone();
        for _ in 0..2 {
            let request = server
                .request("POST", "/keys/p/sign")
                .header("idempotency-key", name)
                .json(&json!({"message": b64(&once.message)}));
            let answer = server.send(request).await.unwrap();
            let replayed = answer.header("idempotent-replayed") == "true";
            match first.replace(answer.json()) {
                Some(first) if first != answer.json() || !replayed => {
                    let status = answer.status;
                    report
                        .wrong
                        .push(format!("{name}: {status}, replayed: {replayed}, not the first answer"));
                }
                None if answer.status != 200 => report.wrong.push(format!("{name}: {}", answer.problem())),
                _ => {}
            }
        }
    }
}

fn check_signatures(held: &[Held], keys: &BTreeMap<String, Value>, log: &Log, report: &mut Report) {
    let mut given = BTreeMap::new();
    for held in held {
        let name = format!("signature {} of request {}", held.index, held.request_id);
        // An answer that was given again is the same one.
        let what = (&held.request_id, &held.key, &held.message, &held.signature);
        if *given.entry(held.index).or_insert(what) != what || held.origin != log.origin {
            report.unlogged.push(format!("{name}: the index was given twice, or the origin is another"));
        }
        let Some(key) = keys.get(&held.key) else {
            report.lost.push(format!("key `{}`, which signed", held.key));
            continue;
        };
        let public = PublicKey::from_pem(key["public_key"].as_str().unwrap()).unwrap();
        let scheme: Scheme = held.scheme.parse().unwrap();
        let content = ToSign::of_message(scheme, &held.message);
        let signature = unb64(&held.signature);
        if countersign_verify::raw::verify(&public, scheme, &content, &signature, Encoding::Der).is_err() {
            report.wrong.push(format!("{name}: it does not verify"));
        }
        let fingerprint = format!("sha256:{}", hex::encode(content.fingerprint()));
        let is_about = |entry: &Entry| {
            entry.op == Op::Sign
                && entry.request_id.as_str() == held.request_id
                && entry.key_id.as_ref().is_some_and(|id| id.as_str() == held.key_id && *id == public.id())
                && entry.scheme == Some(scheme)
                && entry.to_sign.as_ref() == Some(&fingerprint)
        };
        if !log.entries.get(held.index as usize).is_some_and(is_about) {
            report.unlogged.push(name);
        }
    }
}

fn check_keys(ledger: &Ledger, keys: &BTreeMap<String, Value>, log: &Log, report: &mut Report) {
    for (name, id) in &ledger.keys {
        if keys.get(name).is_none_or(|key| key["id"] != id.as_str()) {
            report.lost.push(format!("key `{name}`"));
        }
    }
    for name in &ledger.revoked_keys {
        if keys.get(name).is_none_or(|key| key["state"] != "revoked") {
            report.lost.push(format!("the revocation of key `{name}`"));
        }
    }
    // The other way round, too: no key and no revocation without its entry.
    let ids = |op: Op| -> BTreeSet<&str> {
        let entries = log.entries.iter().filter(|entry| entry.op == op);
        entries.filter_map(|entry| Some(entry.key_id.as_ref()?.as_str())).collect()
    };
    let (made, revoked) = (ids(Op::KeyCreate), ids(Op::KeyRevoke));
    for (name, key) in keys {
        let id = key["id"].as_str().unwrap();
        if !made.contains(id) || (key["state"] == "revoked" && !revoked.contains(id)) {
            report.wrong.push(format!("key `{name}` is {}, and the log does not say so", key["state"]));
        }
    }
}

async fn check_tokens(server: &TestServer, ledger: &Ledger, report: &mut Report) {
    for (id, token) in &ledger.tokens {
        let status = server.send(server.request_as(token, "GET", "/whoami")).await.unwrap().status;
        match (status, ledger.revoked_tokens.contains(id)) {
            (401, true) => {}
            (200, true) => report.lost.push(format!("the revocation of token `{id}`")),
            (200, false) => {}
            // It may have been revoked by a request whose answer was lost.
            (401, false) if was_revoked(server, id).await => {}
            _ => report.lost.push(format!("token `{id}`: {status}")),
        }
    }
}

async fn was_revoked(server: &TestServer, id: &str) -> bool {
    let tokens = server.get("/principals/admin/tokens").await.unwrap().json();
    let tokens = tokens["tokens"].as_array().cloned().unwrap_or_default();
    tokens.iter().any(|token| token["id"] == id && !token["revoked"].is_null())
}

async fn check_policy(server: &TestServer, ledger: &Ledger, report: &mut Report) {
    let Some((version, hash)) = &ledger.policy else { return };
    let policy = server.get("/policy").await.unwrap().json();
    let now = policy["version"].as_u64().unwrap();
    // A later one is a replacement whose answer was lost.
    if now < *version || (now == *version && policy["hash"] != hash.as_str()) {
        report.lost.push(format!("version {version} of the policy: it is {now}"));
    }
}
