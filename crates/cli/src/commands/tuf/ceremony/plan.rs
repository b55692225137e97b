//! The ceremony file: who signs the root, how long roles live, to whom targets are delegated.
//!
//! ```text
//! {"root": {"keys": [KEY…], "threshold": 2, "days": 365},
//!  "targets": {"days": 365}, "snapshot": {"days": 7}, "timestamp": {"days": 1, "online": "fast"},
//!  "bins": {"number": 256, "days": 7}          or  "roles": [{"name", "paths", "keys", "threshold", "days"}…],
//!  "x-acme-team": …}
//! KEY: {"name"?, "keytype", "scheme", "keyval": {"public"}}
//! ```

mod options;

use std::path::Path;

use countersign_tuf::build::{self, Head};
use countersign_tuf::key::Key;
use countersign_tuf::metadata::{Document, Kind};
use countersign_tuf::{bins, check};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::commands::tuf::delegated::{self, DEFAULT_DAYS as DEFAULT_DAYS_OF_ROLES, DelegatedPlan, split};
use crate::commands::tuf::online_keys::OnlineKeys;
use crate::commands::tuf::signer::public_object;
use crate::commands::tuf::words;
use crate::failure::{Failure, OrUnknown as _};
use crate::files;

/// A ceremony file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Who signs the root.
    pub root: RootPlan,
    /// Top-level targets.
    pub targets: OnlinePlan,
    /// Snapshot.
    pub snapshot: OnlinePlan,
    /// Timestamp.
    pub timestamp: OnlinePlan,
    /// Hash bins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bins: Option<BinsPlan>,
    /// Named roles, in the order in which they are asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<DelegatedPlan>,
    /// Keys get no members that not every client knows: awslabs' tough refuses names of keys.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tough_compatible: bool,
    /// Extensions of the root, `x-VENDOR-NAME`.
    #[serde(flatten)]
    pub extensions: Map<String, Value>,
}

/// Who signs the root.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootPlan {
    /// Key objects, each maybe with a `name`.
    pub keys: Vec<Value>,
    /// How many must sign.
    pub threshold: u64,
    /// How long a root lives.
    pub days: u32,
}

/// A role that the server signs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnlinePlan {
    /// How long a version lives.
    pub days: u32,
    /// The name of the server's key; the default if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub online: Option<String>,
}

/// Hash bins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BinsPlan {
    /// A power of two from 2 to 16384.
    pub number: u64,
    /// How long a version lives.
    pub days: u32,
}

/// How long roles live if nobody says, in days.
pub const DEFAULT_DAYS: [(&str, u32); 5] =
    [("root", 365), ("targets", 365), ("snapshot", 7), ("timestamp", 1), ("bins", 7)];
/// How many bins there are if nobody says.
pub const DEFAULT_BINS: u64 = 16;

/// How long a role lives if nobody says.
pub fn default_days(role: &str) -> u32 {
    DEFAULT_DAYS.iter().find(|(name, _)| *name == role).map_or(DEFAULT_DAYS_OF_ROLES, |(_, days)| *days)
}

/// A key object from a file, with its owner's name.
///
/// # Errors
/// If the file has no key that can be used.
pub fn named_key(name: &str, file: &Path) -> Result<Value, Failure> {
    let mut object = public_object(file)?;
    if !name.is_empty() {
        object["name"] = json!(name);
    }
    Ok(object)
}

impl Plan {
    /// Reads a ceremony file.
    ///
    /// # Errors
    /// If it is none, or what it says cannot be.
    pub fn read(file: &Path) -> Result<Self, Failure> {
        let bytes = files::read_small(file)?;
        // Not with a member twice: people read the one and the program the other.
        let value = countersign_tuf::canonical::read(&bytes)
            .or_unknown(&format!("`{}` is not a ceremony file", file.display()))?;
        let plan: Self = serde_json::from_value(value)
            .or_unknown(&format!("`{}` is not a ceremony file", file.display()))
            .map_err(|failure| failure.hint("`countersign tuf init` writes one"))?;
        plan.judge()?;
        Ok(plan)
    }

    /// Whether it can be: what the server would refuse is said before anybody signs.
    fn judge(&self) -> Result<(), Failure> {
        let wrong = |why: String, hint: &str| Failure::unknown(why).hint(hint.to_owned());
        check::members(&self.extensions, &[]).map_err(|error| wrong(error.to_string(), error.hint()))?;
        match (&self.bins, self.roles.is_empty()) {
            (Some(plan), true) => {
                bins::bit_length(plan.number).map_err(|error| wrong(error.to_string(), "for example 256"))?;
                days("bins", plan.days)?;
            }
            (None, false) => {}
            _ => {
                return Err(wrong(
                    "targets go either to `bins` or to `roles`".to_owned(),
                    "give exactly one of the two; to change it later is not possible",
                ));
            }
        }
        for (role, lives) in [
            ("root", self.root.days),
            ("targets", self.targets.days),
            ("snapshot", self.snapshot.days),
            ("timestamp", self.timestamp.days),
        ] {
            days(role, lives)?;
        }
        let mut seen = std::collections::BTreeSet::new();
        for key in &self.root.keys {
            let (id, _) = split(key)?;
            if !seen.insert(id) {
                return Err(wrong(
                    "a root key is there twice".to_owned(),
                    "give each person a key of their own",
                ));
            }
        }
        if self.root.threshold == 0 || self.root.threshold > seen.len() as u64 {
            let why = format!("{} of {} root keys cannot sign", self.root.threshold, seen.len());
            return Err(wrong(why, "add keys or lower the threshold"));
        }
        Ok(())
    }

    /// The first root, unsigned.
    ///
    /// # Errors
    /// If the server has no key of a name in it.
    pub fn root(&self, online: &OnlineKeys, now: Timestamp) -> Result<Document, Failure> {
        let mut keys = Map::new();
        let mut ids = Vec::new();
        for key in &self.root.keys {
            let (id, mut object) = split(key)?;
            if let (Some(name), false) = (key["name"].as_str(), self.tough_compatible) {
                object["x-rstuf-key-name"] = json!(name);
            }
            keys.insert(id.clone(), object);
            ids.push(id);
        }
        let mut roles = vec![(Kind::Root, ids, self.root.threshold)];
        for (kind, plan) in [
            (Kind::Targets, &self.targets),
            (Kind::Snapshot, &self.snapshot),
            (Kind::Timestamp, &self.timestamp),
        ] {
            let (id, object) = online.choose(plan.online.as_deref())?;
            self.is_nobodys(&object)?;
            keys.insert(id.clone(), if self.tough_compatible { bare(&object) } else { object });
            roles.push((kind, vec![id], 1));
        }
        let head = Head::first(now, self.root.days);
        let root = build::root(head, keys, &roles).or_unknown("the root cannot be made")?;
        root.edited(|signed| signed.extend(self.extensions.clone())).or_unknown("the root cannot be made")
    }

    /// A key that the server gives for its own is not that of a person: it would stand in the root in that one's place.
    fn is_nobodys(&self, online: &Value) -> Result<(), Failure> {
        let key = |object: &Value| Key::from_value(object).or_unknown("not a key of TUF");
        let online = key(online)?;
        for root_key in &self.root.keys {
            if key(root_key)?.public_value() == online.public_value() {
                let name = words::shown(root_key["name"].as_str().unwrap_or("a root key"));
                return Err(Failure::refused(format!("the server gives the key of `{name}` for its own"))
                    .hint("give that person another key, and find out how the server comes by this one"));
            }
        }
        Ok(())
    }

    /// The body of `POST bootstrap`.
    ///
    /// # Errors
    /// If a key of a delegated role is none.
    pub fn body(&self, root: &Document) -> Result<Value, Failure> {
        let days = |days: u32| json!({ "expiration": days });
        let bins = self
            .bins
            .as_ref()
            .map(|bins| json!({"expiration": bins.days, "number_of_delegated_bins": bins.number}));
        let roles = json!({
            "root": days(self.root.days), "targets": days(self.targets.days),
            "snapshot": days(self.snapshot.days), "timestamp": days(self.timestamp.days),
            "bins": bins, "delegations": if self.roles.is_empty() { Value::Null } else { delegated::written(&self.roles)? },
        });
        Ok(json!({"settings": {"roles": roles}, "metadata": {"root": root.to_value()}, "timeout": 300}))
    }
}

fn days(role: &str, lives: u32) -> Result<(), Failure> {
    let judged = check::days(role, i64::from(lives));
    judged.map(drop).map_err(|error| Failure::unknown(error.to_string()).hint(error.hint()))
}

/// A key without the members that not every client knows.
fn bare(object: &Value) -> Value {
    json!({"keytype": object["keytype"], "scheme": object["scheme"], "keyval": {"public": object["keyval"]["public"]}})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8, name: &str) -> Value {
        json!({"name": name, "keytype":"ed25519","scheme":"ed25519","keyval":{"public": format!("{n:02x}").repeat(32)}})
    }

    fn plan() -> Value {
        json!({
            "root": {"keys": [key(1, "ana"), key(2, "bo")], "threshold": 2, "days": 365},
            "targets": {"days": 30}, "snapshot": {"days": 7}, "timestamp": {"days": 1, "online": "fast"},
            "bins": {"number": 16, "days": 7}, "x-acme-team": {"b": 1},
        })
    }

    fn read(value: &Value) -> Result<Plan, Failure> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), value.to_string()).unwrap();
        Plan::read(file.path())
    }

    fn online() -> OnlineKeys {
        let shown = |n: u8, name: &str| {
            let (id, mut object) = split(&key(n, name)).unwrap();
            object["keyid"] = json!(id);
            object["x-rstuf-key-name"] = json!(name);
            object
        };
        OnlineKeys::read(&json!({"keys": [shown(8, "online"), shown(9, "fast")]})).unwrap()
    }

    #[test]
    fn a_ceremony_file_makes_a_root_and_settings() {
        let plan = read(&plan()).unwrap();
        let now = "2026-12-01T00:00:00.5Z".parse().unwrap();
        let document = plan.root(&online(), now).unwrap();
        let root = document.root().unwrap();
        assert_eq!(document.expires().to_string(), "2027-12-01T00:00:00Z");
        assert_eq!((document.version(), root.role(Kind::Root).threshold), (1, 2));
        assert_eq!(root.role(Kind::Timestamp).keyids, [split(&key(9, "")).unwrap().0]);
        assert_eq!(root.role(Kind::Snapshot).keyids, [split(&key(8, "")).unwrap().0]);
        assert_eq!(document.signed()["x-acme-team"], json!({"b": 1}));
        let body = plan.body(&document).unwrap();
        assert_eq!(
            body["settings"]["roles"]["bins"],
            json!({"expiration": 7, "number_of_delegated_bins": 16})
        );
        assert_eq!(body["settings"]["roles"]["delegations"], Value::Null);
        assert_eq!(body["metadata"]["root"]["signed"], Value::Object(document.signed().clone()));
    }

    #[test]
    fn the_server_cannot_give_its_key_the_place_of_a_persons() {
        let plan = read(&plan()).unwrap();
        let ana = split(&key(1, "")).unwrap().0;
        let (online_id, mut taken) = split(&key(8, "")).unwrap();
        taken["x-rstuf-key-name"] = json!("fast");
        taken["keyid"] = json!(ana);
        let refused = OnlineKeys::read(&json!({"keys": [taken]})).err().unwrap();
        assert!(refused.message.contains("has the id of another"), "{}", refused.message);
        taken["keyid"] = json!(online_id);
        let good = OnlineKeys::read(&json!({"keys": [taken]})).unwrap();
        assert!(plan.root(&good, Timestamp::now()).is_ok());
        // With its own id it is that person's key itself.
        let mut of_ana = key(1, "fast");
        of_ana["x-rstuf-key-name"] = json!("fast");
        of_ana["keyid"] = json!(ana);
        let theirs = OnlineKeys::read(&json!({"keys": [of_ana]})).unwrap();
        let refused = plan.root(&theirs, Timestamp::now()).unwrap_err();
        assert!(refused.message.contains("the key of `ana`"), "{}", refused.message);
    }

    #[test]
    fn a_root_for_tough_has_ids_that_are_the_hash_of_the_whole_key() {
        let mut value = plan();
        value["tough_compatible"] = json!(true);
        let plan = read(&value).unwrap();
        let document = plan.root(&online(), Timestamp::now()).unwrap();
        for (id, object) in document.signed()["keys"].as_object().unwrap() {
            assert_eq!(*id, hex::encode(countersign_tuf::canonical::sha256(object).unwrap()));
        }
    }

    #[test]
    fn a_file_that_cannot_be_is_refused_before_anybody_signs() {
        let changed = |at: &str, to: Value| {
            let mut value = plan();
            *value.pointer_mut(at).unwrap() = to;
            read(&value)
        };
        for (at, to) in [
            ("/root/threshold", json!(3)),
            ("/root/threshold", json!(0)),
            ("/bins/number", json!(12)),
            ("/bins", Value::Null),
            ("/timestamp/days", json!(0)),
            ("/root/keys/1", key(1, "again")),
            ("/root/keys/1", json!("x")),
        ] {
            assert!(changed(at, to.clone()).is_err(), "{at} {to}");
        }
        for (name, value) in [("unknown", json!(1)), ("x-acme", json!(1)), ("roles", json!([1]))] {
            let mut plan = plan();
            plan[name] = value;
            assert!(read(&plan).is_err(), "{name}");
        }
    }

    #[test]
    fn a_role_without_keys_is_the_servers() {
        let mut value = plan();
        value.as_object_mut().unwrap().remove("bins");
        value["roles"] = json!([
            {"name": "dev", "paths": ["dev/*"], "keys": [key(3, "cy")], "days": 30, "terminating": false},
            {"name": "all", "paths": ["*"], "days": 5},
        ]);
        let plan = read(&value).unwrap();
        let body = plan.body(&plan.root(&online(), Timestamp::now()).unwrap()).unwrap();
        let delegations = &body["settings"]["roles"]["delegations"];
        let id = split(&key(3, "")).unwrap().0;
        assert_eq!(
            delegations["roles"],
            json!([
                {"name": "dev", "paths": ["dev/*"], "keyids": [id], "threshold": 1, "terminating": false,
                 "x-rstuf-expire-policy": 30},
                {"name": "all", "paths": ["*"], "keyids": [], "threshold": 1, "terminating": true,
                 "x-rstuf-expire-policy": 5},
            ])
        );
    }
}
