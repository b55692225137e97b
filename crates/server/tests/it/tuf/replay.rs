//! Fifty exchanges recorded from the original, made again: same statuses, messages and results. The keys are new, because
//! nobody has the private halves of the recorded ones, and the online key is this server's.

use std::collections::BTreeMap;
use std::path::Path;

use countersign_tuf::canonical;
use countersign_tuf::key::Key;
use serde_json::{Map, Value, json};

use super::signers::Signer;
use super::{done, online_key};
use crate::support::House;

/// Where the answer here is another one on purpose, and why.
const DIFFERENT: &[(usize, &str)] = &[
    (1, "both spellings answer: no redirect"),
    (2, "both spellings answer: no redirect"),
    (27, "`previously_withdrawn` is told of metadata that was stopped in 25"),
    (32, "settings only: no trusted metadata, no online key; root_num_keys counts keys"),
    (48, "what can be foreseen is ERRORED with `error`, not FAILURE"),
    (49, "POST metadata/online works"),
];

fn transcript() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/rstuf/transcript.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[tokio::test]
async fn the_recorded_exchanges_are_answered_as_the_original_did() {
    for house in House::on_both("").await {
        let mut replay = Replay::over(&house).await;
        for (number, exchange) in transcript().iter().enumerate() {
            replay.exchange(number, exchange).await;
        }
        house.close().await;
    }
}

/// What stands for what.
struct Replay<'a> {
    house: &'a House,
    online: Value,
    /// By the recorded key id, which stays: an id need not be a hash.
    signers: BTreeMap<String, Signer>,
    /// The recorded keys.
    recorded: BTreeMap<String, Value>,
    /// Recorded task ids.
    ids: BTreeMap<String, String>,
    /// The recorded `signed` that was submitted last, and what stands for it.
    submitted: (Value, Value),
}

impl<'a> Replay<'a> {
    async fn over(house: &'a House) -> Self {
        let online = online_key(house).await;
        let (signers, recorded, ids) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { house, online, signers, recorded, ids, submitted: (Value::Null, Value::Null) }
    }

    async fn exchange(&mut self, number: usize, exchange: &Value) {
        let title = format!("{number} {}", exchange["title"].as_str().unwrap());
        let (method, path) = (exchange["method"].as_str().unwrap(), exchange["path"].as_str().unwrap());
        let mut ask = self.house.ask(method, path);
        if !exchange["body"].is_null() {
            ask = ask.json(self.rewritten(&exchange["body"]));
        }
        let answer = ask.send().await;
        let found = answer.document();
        if DIFFERENT.iter().any(|(different, _)| *different == number) {
            return self.different(number, answer.status.as_u16(), &found, exchange).await;
        }
        assert_eq!(answer.status.as_u16(), exchange["status"], "{title}: {found}");
        if found["data"]["task_id"].is_string() && method != "GET" {
            self.note_id(&exchange["response"]["data"]["task_id"], &found["data"]["task_id"]);
        }
        let expected = self.expected(&exchange["response"]);
        assert_eq!(comparable(&found), comparable(&expected), "{title}");
        if exchange["task_final"].is_object() {
            let task = done(self.house, &found).await;
            let expected = self.expected(&exchange["task_final"]["data"]);
            assert_eq!(comparable(&task), comparable(&expected), "{title}");
        }
    }

    async fn different(&mut self, number: usize, status: u16, found: &Value, exchange: &Value) {
        match number {
            1 => assert_eq!((status, &found["message"]), (200, &json!("System available for bootstrap."))),
            2 => assert_eq!(status, 404, "as the other spelling before the bootstrap"),
            27 => {
                assert_eq!((status, &found["message"]), (202, &exchange["response"]["message"]));
                self.note_id(&exchange["response"]["data"]["task_id"], &found["data"]["task_id"]);
                let task = done(self.house, found).await;
                let details =
                    json!({"bootstrap": "Root v1 is pending signature", "previously_withdrawn": true});
                assert_eq!(task["result"]["details"], details);
            }
            32 => {
                assert_eq!((status, &found["message"]), (200, &json!("Current Settings")));
                let left_out = ["trusted_root", "trusted_targets", "online_key"];
                for (name, value) in exchange["response"]["data"].as_object().unwrap() {
                    if left_out.contains(&name.as_str()) {
                        assert_eq!(found["data"].get(name), None, "{name}");
                    } else if name != "root_num_keys" {
                        assert_eq!(found["data"][name], self.expected(value), "{name}");
                    }
                }
            }
            48 => {
                assert_eq!((status, &found["message"]), (202, &exchange["response"]["message"]));
                let task = done(self.house, found).await;
                let text = &exchange["task_final"]["data"]["result"]["message"];
                assert_eq!((&task["state"], &task["result"]["error"]), (&json!("ERRORED"), text), "{task}");
            }
            49 => {
                assert_eq!(
                    (status, &found["message"]),
                    (202, &json!("Force online metadata update accepted."))
                );
                let task = done(self.house, found).await;
                let message = json!("Force new online metadata update succeeded");
                assert_eq!(task["result"]["message"], message);
                assert_eq!(task["result"]["details"], json!({"updated_roles": ["timestamp"]}));
            }
            other => panic!("{other}"),
        }
    }

    fn note_id(&mut self, recorded: &Value, found: &Value) {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        assert!(text(found).len() == 32 && text(found).bytes().all(|b| b.is_ascii_hexdigit()));
        self.ids.insert(text(recorded), text(found));
    }

    /// A body with our keys in it, signed anew by who had signed validly.
    fn rewritten(&mut self, body: &Value) -> Value {
        let mut body = body.clone();
        if let Some(root) = body.pointer_mut("/metadata/root") {
            *root = self.metadata(root.take());
        }
        if body["signature"].is_object() {
            let (recorded, ours) = self.submitted.clone();
            let keyid = body["signature"]["keyid"].as_str().unwrap().to_owned();
            if self.is_valid(&recorded, &body["signature"]) {
                body["signature"]["sig"] = self.signers[&keyid].sign(&ours).into();
            }
        }
        body
    }

    fn metadata(&mut self, recorded: Value) -> Value {
        let signed = self.signed(&recorded["signed"]);
        let signatures = recorded["signatures"].as_array().unwrap().iter().map(|signature| {
            let mut signature = signature.clone();
            if self.is_valid(&recorded["signed"], &signature) {
                signature["sig"] = self.signers[signature["keyid"].as_str().unwrap()].sign(&signed).into();
            }
            signature
        });
        let ours = json!({"signatures": signatures.collect::<Vec<_>>(), "signed": signed});
        self.submitted = (recorded["signed"].clone(), ours["signed"].clone());
        ours
    }

    /// The same content with our keys, and an end that is far away.
    fn signed(&mut self, recorded: &Value) -> Value {
        let mut signed = recorded.clone();
        signed["expires"] = "2099-01-01T00:00:00Z".into();
        let keys = signed["keys"].as_object_mut().into_iter().flatten();
        for (keyid, key) in keys {
            self.recorded.insert(keyid.clone(), key.clone());
            if key["x-rstuf-key-name"] == "online" {
                key["keyval"] = self.online["keyval"].clone();
                continue;
            }
            let number = u8::try_from(self.signers.len()).unwrap() + 10;
            let signer = self.signers.entry(keyid.clone());
            let signer = signer.or_insert_with(|| Signer::like(key["keytype"].as_str().unwrap(), number));
            key["keyval"] = signer.object["keyval"].clone();
        }
        signed
    }

    /// Whether a recorded signature is one over recorded content.
    fn is_valid(&self, signed: &Value, signature: &Value) -> bool {
        let text = |name: &str| signature[name].as_str().unwrap();
        let Some(key) = self.recorded.get(text("keyid")) else { return false };
        let message = canonical::encode(signed).unwrap();
        Key::from_value(key).unwrap().verify(&message, text("sig")).is_ok()
    }

    /// What is expected here for what was recorded: other ids, other keys.
    fn expected(&mut self, recorded: &Value) -> Value {
        match recorded {
            Value::String(text) => {
                let known = self.ids.iter().find(|(id, _)| text.contains(id.as_str()));
                known.map_or_else(|| recorded.clone(), |(id, ours)| text.replace(id, ours).into())
            }
            Value::Object(members) if members.contains_key("signed") => {
                let signed = self.signed(&members["signed"]);
                json!({"signed": signed, "signatures": self.expected(&members["signatures"])})
            }
            Value::Object(members) => {
                let members = members.iter().map(|(name, value)| (name.clone(), self.expected(value)));
                Value::Object(members.collect::<Map<_, _>>())
            }
            Value::Array(items) => items.iter().map(|item| self.expected(item)).collect(),
            other => other.clone(),
        }
    }
}

/// Without what differs each time: times, signatures, the order of roles; and without what is told here only (who is
/// missing), or there only (what was sent).
fn comparable(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let ignored = ["last_update", "sig", "input", "ctx"];
            let kept = members.iter().filter(|(name, value)| {
                let is_progress = *name == "status" && value.is_object();
                !ignored.contains(&name.as_str()) && !is_progress
            });
            let members = kept.map(|(name, value)| {
                let mut value = comparable(value);
                if let (true, Some(roles)) = (name.ends_with("_roles"), value.as_array_mut()) {
                    roles.sort_by_key(Value::to_string);
                }
                (name.clone(), value)
            });
            Value::Object(members.collect())
        }
        Value::Array(items) => items.iter().map(comparable).collect(),
        other => other.clone(),
    }
}
