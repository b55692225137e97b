//! Roots in words: what one says, and how it differs from another.

use std::collections::{BTreeMap, BTreeSet};

use countersign_tuf::key::Key;
use countersign_tuf::metadata::{Document, Kind};
use countersign_tuf::root::Root;
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::output::safe;

/// When something expires, and how far off that is.
pub fn expiry(at: Timestamp, now: Timestamp) -> String {
    let seconds = at.as_second().saturating_sub(now.as_second());
    let far = |seconds: i64| match seconds {
        0..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    };
    if seconds >= 0 {
        format!("{at} (in {})", far(seconds))
    } else {
        format!("{at} (EXPIRED {} ago)", far(-seconds))
    }
}

/// A key for people: its name if it has one, and the beginning of its id.
pub fn key(document: &Document, keyid: &str) -> String {
    let object = &document.signed()["keys"][keyid];
    let short: String = keyid.chars().take(12).collect();
    let kind = object["scheme"].as_str().unwrap_or("?");
    let text = match object["x-rstuf-key-name"].as_str() {
        Some(name) => format!("{name} ({kind}, {short}…)"),
        None => format!("{short}… ({kind})"),
    };
    shown(&text)
}

/// A root, a line for each thing that it says.
pub fn root(document: &Document, now: Timestamp) -> Vec<String> {
    let Ok(root) = document.root() else { return Vec::new() };
    let mut lines =
        vec![format!("root version {}, expires {}", document.version(), expiry(document.expires(), now))];
    for kind in Kind::ALL {
        let role = root.role(kind);
        let keys: Vec<String> = role.keyids.iter().map(|keyid| key(document, keyid)).collect();
        lines.push(format!("  {kind}: {} of {}", role.threshold, keys.join(", ")));
    }
    for keyid in idle(&root) {
        lines.push(format!("  no role names {}", key(document, keyid)));
    }
    for (name, value) in extensions(document) {
        lines.push(shown(&format!("  {name}: {value}")));
    }
    lines
}

/// What `new` changes of `old`, a line for each change. None: nothing but the version.
pub fn changes(old: &Document, new: &Document, now: Timestamp) -> Vec<String> {
    let (Ok(old_root), Ok(new_root)) = (old.root(), new.root()) else { return Vec::new() };
    let mut lines = Vec::new();
    if old.expires() != new.expires() {
        lines.push(format!("expires {} instead of {}", expiry(new.expires(), now), old.expires()));
    }
    for kind in Kind::ALL {
        let (before, after) = (old_root.role(kind), new_root.role(kind));
        let (gone, added) = differences(&old_root, &new_root, kind);
        lines.extend(added.iter().map(|keyid| format!("{kind}: + {} may sign", key(new, keyid))));
        lines.extend(gone.iter().map(|keyid| format!("{kind}: - {} may sign no more", key(old, keyid))));
        if before.threshold != after.threshold {
            lines.push(format!("{kind}: {} must sign instead of {}", after.threshold, before.threshold));
        }
    }
    if old_root.consistent_snapshot != new_root.consistent_snapshot {
        lines.push(format!("consistent_snapshot is {} now", new_root.consistent_snapshot));
    }
    let (before, after) = (idle(&old_root), idle(&new_root));
    lines.extend(after.difference(&before).map(|id| format!("+ no role names {}", key(new, id))));
    lines.extend(before.difference(&after).map(|id| format!("- no role named {}", key(old, id))));
    others(old, new, &mut lines);
    lines
}

/// Ids of keys that no role names.
fn idle(root: &Root) -> BTreeSet<&str> {
    let named: BTreeSet<&String> = Kind::ALL.iter().flat_map(|kind| &root.role(*kind).keyids).collect();
    root.keys.keys().filter(|id| !named.contains(id)).map(String::as_str).collect()
}

/// What the specification does not ask about but is signed all the same: extensions, and what is said of keys that stay.
fn others(old: &Document, new: &Document, lines: &mut Vec<String>) {
    const SHOWN_ABOVE: [&str; 6] = ["_type", "consistent_snapshot", "expires", "keys", "roles", "version"];
    let (old, new) = (old.signed(), new.signed());
    differing("", old, new, &SHOWN_ABOVE, lines);
    let (Some(old_roles), Some(new_roles)) = (object(old, "roles"), object(new, "roles")) else { return };
    let kinds = Kind::ALL.map(Kind::as_str);
    differing("role ", old_roles, new_roles, &kinds, lines);
    for kind in kinds {
        if let (Some(old), Some(new)) = (object(old_roles, kind), object(new_roles, kind)) {
            differing(&format!("{kind}: "), old, new, &["keyids", "threshold"], lines);
        }
    }
    let (Some(old_keys), Some(new_keys)) = (object(old, "keys"), object(new, "keys")) else { return };
    for id in old_keys.keys() {
        if let (Some(old), Some(new)) = (object(old_keys, id), object(new_keys, id)) {
            let short: String = id.chars().take(12).collect();
            differing(&format!("key {short}…: "), old, new, &[], lines);
        }
    }
}

/// A line for each member that is not the same in both.
fn differing(
    place: &str,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    except: &[&str],
    lines: &mut Vec<String>,
) {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let text = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
    for name in names.into_iter().filter(|name| !except.contains(&name.as_str())) {
        let (before, after) = (old.get(name), new.get(name));
        if before != after {
            lines.push(shown(&format!("{place}{name}: {} -> {}", text(before), text(after))));
        }
    }
}

fn object<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Map<String, Value>> {
    members.get(name)?.as_object()
}

/// Ids of keys that are gone from a role, and that are new to it: by public key and scheme, since ids are their
/// author's.
fn differences(old: &Root, new: &Root, kind: Kind) -> (Vec<String>, Vec<String>) {
    let lacks = |one: &Root, other: &Root| {
        let known = |key: &Key| other.role(kind).keys(&other.keys).any(|(_, known)| known.is_same(key));
        let keys = one.role(kind).keys(&one.keys);
        keys.filter(|(_, key)| !known(key)).map(|(id, _)| id.to_owned()).collect()
    };
    (lacks(old, new), lacks(new, old))
}

/// Members of `signed` that the specification does not have.
fn extensions(document: &Document) -> BTreeMap<String, Value> {
    const KNOWN: [&str; 7] =
        ["_type", "consistent_snapshot", "expires", "keys", "roles", "spec_version", "version"];
    let others = document.signed().iter().filter(|(name, _)| !KNOWN.contains(&name.as_str()));
    others.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Text of others as one line.
pub fn shown(text: &str) -> String {
    safe(text).replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(version: u64, root: &[u8], threshold: u64, extra: Option<&str>) -> Document {
        let mut keys = serde_json::Map::new();
        for n in root.iter().chain([&9]) {
            let public = format!("{n:02x}").repeat(32);
            let name = if *n == 9 { "online".to_owned() } else { format!("p{n}") };
            keys.insert(
                format!("{n}0000000000000"),
                json!({"keytype":"ed25519","scheme":"ed25519","keyval":{"public":public},"x-rstuf-key-name":name}),
            );
        }
        let ids = |of: &[u8]| of.iter().map(|n| format!("{n}0000000000000")).collect::<Vec<_>>();
        let online = json!({"keyids": ids(&[9]), "threshold": 1});
        let mut signed = json!({
            "_type": "root", "spec_version": "1.0.31", "version": version, "expires": "2027-01-01T00:00:00Z",
            "consistent_snapshot": true, "keys": keys,
            "roles": {"root": {"keyids": ids(root), "threshold": threshold}, "timestamp": online,
                      "snapshot": online, "targets": online},
        });
        if let Some(extra) = extra {
            signed["x-acme-team"] = json!(extra);
        }
        Document::unsigned(signed).unwrap()
    }

    #[test]
    fn a_change_of_the_root_is_said_in_words() {
        let now = "2026-12-31T00:00:00Z".parse().unwrap();
        let old = document(1, &[1, 2], 1, None);
        let new = document(2, &[2, 3], 2, Some("a\nb"));
        assert_eq!(
            changes(&old, &new, now),
            [
                "root: + p3 (ed25519, 300000000000…) may sign",
                "root: - p1 (ed25519, 100000000000…) may sign no more",
                "root: 2 must sign instead of 1",
                "x-acme-team: nothing -> \"a\\nb\"",
            ]
        );
        assert!(changes(&old, &document(2, &[1, 2], 1, None), now).is_empty());
    }

    #[test]
    fn whatever_is_signed_is_said_also_of_keys_that_stay_and_of_keys_without_a_role() {
        let now = "2026-12-31T00:00:00Z".parse().unwrap();
        let old = document(1, &[1, 2], 1, None);
        let changed = |change: &dyn Fn(&mut Map<String, Value>)| {
            let new = old.edited(|signed| change(signed)).unwrap();
            changes(&old, &new, now)
        };
        let (p1, p2) = ("10000000000000", "20000000000000");
        assert_eq!(
            changed(&|signed| signed["keys"][p1]["scheme"] = json!("other")),
            [
                "root: + p1 (other, 100000000000…) may sign",
                "root: - p1 (ed25519, 100000000000…) may sign no more",
                "key 100000000000…: scheme: \"ed25519\" -> \"other\"",
            ]
        );
        assert_eq!(
            changed(&|signed| signed["keys"][p1]["x-rstuf-key-name"] = json!("p2\n")),
            ["key 100000000000…: x-rstuf-key-name: \"p1\" -> \"p2\\n\""]
        );
        assert_eq!(
            changed(&|signed| signed["keys"]["x"] = signed["keys"][p2].clone()),
            ["+ no role names p2 (ed25519, x…)"]
        );
        assert_eq!(
            changed(&|signed| signed["roles"]["root"]["x-more"] = json!(1)),
            ["root: x-more: nothing -> 1"]
        );
        assert_eq!(
            changed(&|signed| signed["roles"]["mirrors"] = signed["roles"]["root"].clone())[0]
                .split(':')
                .next(),
            Some("role mirrors")
        );
        assert_eq!(
            changed(&|signed| signed["spec_version"] = json!("1.0.0")),
            ["spec_version: \"1.0.31\" -> \"1.0.0\""]
        );
        let idle = old.edited(|signed| signed["keys"]["x"] = signed["keys"][p2].clone()).unwrap();
        assert_eq!(root(&idle, now).last().unwrap(), "  no role names p2 (ed25519, x…)");
    }

    #[test]
    fn the_same_key_in_another_scheme_is_another_signer() {
        let now = "2026-12-31T00:00:00Z".parse().unwrap();
        let made = "openssl genpkey -quiet -algorithm RSA | openssl pkey -pubout";
        let made = std::process::Command::new("sh").args(["-c", made]).output().unwrap();
        let public = String::from_utf8(made.stdout).unwrap();
        let rsa = |scheme: &str| {
            let key = json!({"keytype": "rsa", "scheme": scheme, "keyval": {"public": public}});
            document(1, &[1], 1, None).edited(|signed| signed["keys"]["10000000000000"] = key).unwrap()
        };
        let (pss, pkcs1) = (rsa("rsassa-pss-sha256"), rsa("rsa-pkcs1v15-sha256"));
        assert!(pss.root().unwrap().keys["10000000000000"].usable().is_ok());
        assert_eq!(
            changes(&pss, &pkcs1, now),
            [
                "root: + 100000000000… (rsa-pkcs1v15-sha256) may sign",
                "root: - 100000000000… (rsassa-pss-sha256) may sign no more",
                "key 100000000000…: scheme: \"rsassa-pss-sha256\" -> \"rsa-pkcs1v15-sha256\"",
            ]
        );
    }

    #[test]
    fn an_expiry_says_how_far_off_it_is() {
        let now: Timestamp = "2026-12-31T00:00:00Z".parse().unwrap();
        for (at, shown) in [
            ("2026-12-31T00:30:00Z", "2026-12-31T00:30:00Z (in 30 min)"),
            ("2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z (in 24 h)"),
            ("2027-01-31T00:00:00Z", "2027-01-31T00:00:00Z (in 31 days)"),
            ("2026-12-30T00:00:00Z", "2026-12-30T00:00:00Z (EXPIRED 24 h ago)"),
        ] {
            assert_eq!(expiry(at.parse().unwrap(), now), shown);
        }
    }
}
