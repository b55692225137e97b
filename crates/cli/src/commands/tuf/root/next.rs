//! The next root, made from the one in force as a value.

use countersign_tuf::expires;
use countersign_tuf::key::Key;
use countersign_tuf::metadata::{Document, Kind};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::Base;
use crate::args::EditRoot;
use crate::commands::tuf::online_keys::OnlineKeys;
use crate::commands::tuf::signer::{id_of, public_object};
use crate::commands::tuf::words;
use crate::failure::{Failure, OrUnknown as _};

/// The roles that the server signs.
const ONLINE: [Kind; 3] = [Kind::Timestamp, Kind::Snapshot, Kind::Targets];

/// What is not named stays.
///
/// # Errors
/// If a key cannot be read or found.
pub fn next(
    base: &Base,
    options: &EditRoot,
    online: Option<&OnlineKeys>,
    now: Timestamp,
) -> Result<Document, Failure> {
    let mut add = Vec::new();
    for key in &options.add_keys {
        let mut object = public_object(&key.file)?;
        let keyid = id_of(&object)?;
        if !key.name.is_empty() {
            object["x-rstuf-key-name"] = json!(key.name);
        }
        means_one_key(&base.document, &keyid, &object)?;
        add.push((keyid, object));
    }
    let mut remove = Vec::new();
    for wanted in &options.remove_keys {
        remove.push(root_key(&base.document, wanted)?);
    }
    let mut replace = Vec::new();
    for wanted in &options.online {
        let (kinds, name) = online_roles(wanted)?;
        let key = online.and_then(|keys| keys.named(name)).ok_or_else(|| {
            Failure::refused(format!("the server has no online key `{}`", words::shown(name)))
                .hint("`countersign tuf keys list` lists them, `countersign tuf keys create` makes one")
        })?;
        means_one_key(&base.document, &key.0, &key.1)?;
        replace.extend(kinds.into_iter().map(|kind| (kind, key.clone())));
    }
    let expires = expiry(base, options.days, now)?;
    let edited = base.document.edited(|signed| {
        signed.insert("version".into(), json!(base.version()));
        signed.insert("expires".into(), json!(expires::render(expires)));
        let root = Kind::Root.as_str();
        for (keyid, object) in add {
            put_key(signed, &keyid, object);
            change_ids(signed, root, |ids| {
                if !ids.contains(&json!(keyid)) {
                    ids.push(json!(keyid));
                }
            });
        }
        change_ids(signed, root, |ids| ids.retain(|id| !remove.iter().any(|gone| id == gone)));
        if let Some(threshold) = options.threshold {
            signed["roles"][root]["threshold"] = json!(threshold);
        }
        for (kind, (keyid, object)) in replace {
            put_key(signed, &keyid, object);
            change_ids(signed, kind.as_str(), |ids| *ids = vec![json!(keyid)]);
        }
        drop_unused(signed);
    });
    edited.or_unknown("the next root cannot be made")
}

/// The days that are named, else those of the settings; where nobody knows them, what is changed keeps its expiry.
fn expiry(base: &Base, days: Option<u32>, now: Timestamp) -> Result<Timestamp, Failure> {
    match days.or(base.days) {
        Some(days) => now
            .checked_add(SignedDuration::from_hours(i64::from(days) * 24))
            .or_unknown("the expiry is too far off"),
        None => Ok(base.document.expires()),
    }
}

/// The id of a root key by its name or the beginning of its id.
fn root_key(document: &Document, wanted: &str) -> Result<String, Failure> {
    let root = document.root().or_unknown("the root is no root")?;
    let fits = |keyid: &&String| {
        let object = &document.signed()["keys"][keyid.as_str()];
        keyid.as_str() == wanted
            || object["x-rstuf-key-name"] == wanted
            || (wanted.len() >= 8 && keyid.starts_with(wanted))
    };
    let found: Vec<&String> = root.role(Kind::Root).keyids.iter().filter(fits).collect();
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(Failure::refused(format!("the root has no key `{}`", words::shown(wanted)))
            .hint("`countersign tuf root show` lists them")),
        _ => Err(Failure::refused(format!("several keys of the root are called `{}`", words::shown(wanted)))
            .hint("name it by its id")),
    }
}

/// `NAME` or `ROLE=NAME`.
fn online_roles(wanted: &str) -> Result<(Vec<Kind>, &str), Failure> {
    let Some((role, name)) = wanted.split_once('=') else { return Ok((ONLINE.to_vec(), wanted)) };
    let kind = Kind::of_name(role).filter(|kind| ONLINE.contains(kind));
    let kind = kind.ok_or_else(|| {
        Failure::unknown(format!("`{}` is not a role that the server signs", words::shown(role)))
            .hint("it is `timestamp`, `snapshot` or `targets`")
    })?;
    Ok((vec![kind], name))
}

/// An id that the root has already must not be another key's there: it would stand for that one.
fn means_one_key(document: &Document, keyid: &str, object: &Value) -> Result<(), Failure> {
    let Some(known) = document.signed()["keys"].get(keyid) else { return Ok(()) };
    let key = |object: &Value| Key::from_value(object).or_unknown("not a key of TUF");
    if key(known)?.is_same(&key(object)?) {
        return Ok(());
    }
    Err(Failure::refused(format!("the root has another key under the id `{}`", words::shown(keyid)))
        .hint("take that key out of the root first"))
}

fn put_key(signed: &mut Map<String, Value>, keyid: &str, object: Value) {
    if let Some(keys) = signed.get_mut("keys").and_then(Value::as_object_mut) {
        // A key that is there keeps all that was said of it.
        keys.entry(keyid).or_insert(object);
    }
}

fn change_ids(signed: &mut Map<String, Value>, role: &str, change: impl FnOnce(&mut Vec<Value>)) {
    let ids =
        signed.get_mut("roles").and_then(|roles| roles.get_mut(role)?.get_mut("keyids")?.as_array_mut());
    if let Some(ids) = ids {
        change(ids);
    }
}

/// Keys that no role names any more.
fn drop_unused(signed: &mut Map<String, Value>) {
    let roles = signed.get("roles").and_then(Value::as_object).cloned().unwrap_or_default();
    let ids: Vec<Value> =
        roles.values().filter_map(|role| role["keyids"].as_array()).flatten().cloned().collect();
    if let Some(keys) = signed.get_mut("keys").and_then(Value::as_object_mut) {
        keys.retain(|keyid, _| ids.iter().any(|id| id == keyid));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use countersign_tuf::build::{self, Head};

    use super::*;
    use crate::args::{KeyFile, SubmitRoot};

    fn object(n: u8) -> Value {
        json!({"keytype":"ed25519","scheme":"ed25519","keyval":{"public": format!("{n:02x}").repeat(32)}})
    }

    fn base(now: Timestamp) -> Base {
        let mut keys = Map::new();
        let mut ids = Vec::new();
        for (n, name) in [(1, "ana"), (2, "bo"), (9, "online")] {
            let id = id_of(&object(n)).unwrap();
            let mut object = object(n);
            object["x-rstuf-key-name"] = json!(name);
            object["x-kept"] = json!(n);
            keys.insert(id.clone(), object);
            ids.push(id);
        }
        let online = |kind| (kind, vec![ids[2].clone()], 1);
        let roles = [
            (Kind::Root, ids[..2].to_vec(), 1),
            online(Kind::Timestamp),
            online(Kind::Snapshot),
            online(Kind::Targets),
        ];
        let document = build::root(Head::first(now, 30), keys, &roles).unwrap();
        Base { trusted: Some(document.clone()), document, days: None }
    }

    fn options(edit: impl FnOnce(&mut EditRoot)) -> EditRoot {
        let how = SubmitRoot {
            signing: Default::default(),
            root: None,
            override_pending: false,
            amend: false,
            yes: true,
            out: None,
            submit: None,
        };
        let mut options = EditRoot {
            add_keys: Vec::new(),
            remove_keys: Vec::new(),
            threshold: None,
            days: None,
            online: Vec::new(),
            how,
        };
        edit(&mut options);
        options
    }

    #[test]
    fn the_next_root_changes_what_was_named_and_keeps_everything_else() {
        let now: Timestamp = "2026-12-01T00:00:00Z".parse().unwrap();
        let base = base(now);
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(object(3).to_string().as_bytes()).unwrap();
        let edit = options(|options| {
            options.add_keys = vec![KeyFile { name: "cy".into(), file: file.path().into() }];
            options.remove_keys = vec!["bo".into()];
            options.threshold = Some(2);
            options.days = Some(10);
        });
        let new = next(&base, &edit, None, now).unwrap();
        assert_eq!((new.version(), new.expires().to_string()), (2, "2026-12-11T00:00:00Z".to_owned()));
        let root = new.root().unwrap();
        let ids = [id_of(&object(1)).unwrap(), id_of(&object(3)).unwrap()];
        assert_eq!(root.role(Kind::Root).keyids, ids);
        assert_eq!(root.role(Kind::Root).threshold, 2);
        assert_eq!(new.signed()["keys"][&ids[0]]["x-kept"], 1);
        assert!(!root.keys.contains_key(&id_of(&object(2)).unwrap()));
        assert_eq!(new.signatures().count(), 0);
    }

    #[test]
    fn an_online_key_takes_the_place_of_another_in_the_roles_that_are_named() {
        let now: Timestamp = "2026-12-01T00:00:00Z".parse().unwrap();
        let base = base(now);
        let mut shown = object(8);
        shown["keyid"] = json!(id_of(&object(8)).unwrap());
        shown["x-rstuf-key-name"] = json!("new");
        let keys = OnlineKeys::read(&json!({"keys": [shown]})).unwrap();
        let edit = options(|options| options.online = vec!["snapshot=new".into()]);
        let root = next(&base, &edit, Some(&keys), now).unwrap().root().unwrap();
        assert_eq!(root.role(Kind::Snapshot).keyids, [id_of(&object(8)).unwrap()]);
        assert_eq!(root.role(Kind::Timestamp).keyids, [id_of(&object(9)).unwrap()]);
        let all = options(|options| options.online = vec!["new".into()]);
        let root = next(&base, &all, Some(&keys), now).unwrap().root().unwrap();
        assert!(!root.keys.contains_key(&id_of(&object(9)).unwrap()));
        for bad in ["none", "root=new", "x=new"] {
            let bad = options(|options| options.online = vec![bad.into()]);
            assert!(next(&base, &bad, Some(&keys), now).is_err());
        }
    }
    #[test]
    fn a_key_whose_id_is_another_ones_in_the_root_is_refused() {
        let now: Timestamp = "2026-12-01T00:00:00Z".parse().unwrap();
        let mut base = base(now);
        let id = id_of(&object(8)).unwrap();
        // The author of the root chose an id that is the hash of a key to come.
        base.document = base
            .document
            .edited(|signed| {
                let taken = id_of(&object(2)).unwrap();
                let bo = signed["keys"].as_object_mut().unwrap().remove(&taken).unwrap();
                signed["keys"][&id] = bo;
                signed["roles"]["root"]["keyids"][1] = json!(id);
            })
            .unwrap();
        let mut shown = object(8);
        shown["keyid"] = json!(id);
        shown["x-rstuf-key-name"] = json!("new");
        let keys = OnlineKeys::read(&json!({"keys": [shown]})).unwrap();
        let edit = options(|options| options.online = vec!["new".into()]);
        let refused = next(&base, &edit, Some(&keys), now).unwrap_err();
        assert!(refused.message.contains("another key under the id"), "{}", refused.message);
    }
}
