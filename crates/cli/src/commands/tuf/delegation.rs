//! `tuf delegation`: which paths are whose.

use std::path::Path;

use countersign_tuf::check::delegation::EXPIRE_POLICY;
use countersign_tuf::metadata::Kind;
use http::Method;
use serde_json::{Map, Value, json};

use super::delegated::{self, DelegatedPlan};
use super::online_keys::OnlineKeys;
use super::reader::Reader;
use super::service::{Done, Service};
use super::sign;
use super::signer::{id_of, public_object};
use super::words::shown;
use crate::args::{DelegationCommand, PutDelegation, UpdateDelegation};
use crate::context::Context;
use crate::failure::{Failure, OrUnknown as _, Outcome};
use crate::files;
use crate::output::align;

/// The largest file of delegations, in bytes: clients take targets of 5 000 000.
const MAX_FILE: u64 = 8 << 20;

/// The shortest beginning of a key id.
const SHORTEST_ID: usize = 8;

/// Runs a command of `tuf delegation`.
pub async fn run(context: &Context, command: DelegationCommand) -> Result<Outcome, Failure> {
    match command {
        DelegationCommand::List => list(context).await,
        DelegationCommand::Add(options) => add(context, &options).await,
        DelegationCommand::Update(options) => update(context, &options).await,
        DelegationCommand::Remove { roles } => remove(context, &roles).await,
    }
}

async fn list(context: &Context) -> Result<Outcome, Failure> {
    let service = Service::of(context).await?;
    let reader = Reader::of_server(context).await?;
    let (online, settings) = (OnlineKeys::of_server(&service).await?, service.get("config/").await?);
    let delegations = in_force(&reader);
    let mut roles = Vec::new();
    let mut rows = vec![["ROLE", "VERSION", "SIGNED BY", "DAYS", "PATHS"].map(str::to_owned).to_vec()];
    for role in delegations["roles"].as_array().into_iter().flatten() {
        let name = role["name"].as_str().unwrap_or_default();
        let (version, days) = (published_version(&reader, name), days_of(&settings, name));
        let by = signed_by(role, &online);
        rows.push(vec![
            shown(name),
            version.map_or("not signed yet".to_owned(), |version| version.to_string()),
            by.clone(),
            days.map_or("?".to_owned(), |days| days.to_string()),
            paths_of(role),
        ]);
        roles.push(json!({"name": name, "version": version, "days": days, "signed_by": by}));
    }
    context.out.value(&json!({"delegations": delegations, "roles": roles}), |_| {
        match &delegations["succinct_roles"] {
            Value::Null if roles.is_empty() => "there are no delegated roles".to_owned(),
            Value::Null => align(&rows),
            bins => {
                let bits = bins["bit_length"].as_u64().and_then(|bits| u32::try_from(bits).ok());
                let number = bits.and_then(|bits| 1_u64.checked_shl(bits)).unwrap_or_default();
                format!("targets are spread over {number} hash bins, all signed by the server")
            }
        }
    })?;
    Ok(Outcome::Done)
}

async fn add(context: &Context, options: &PutDelegation) -> Result<Outcome, Failure> {
    let asked = match &options.file {
        Some(file) => read(file)?,
        None => {
            let keys = options.keys.iter().map(|file| public_object(file));
            delegated::written(&[DelegatedPlan {
                name: options.role.clone().unwrap_or_default(),
                paths: options.paths.clone(),
                keys: keys.collect::<Result<_, _>>()?,
                threshold: options.threshold,
                terminating: !options.not_terminating,
                days: options.days,
            }])?
        }
    };
    send(context, Method::POST, "delegations/", asked).await
}

async fn update(context: &Context, options: &UpdateDelegation) -> Result<Outcome, Failure> {
    let asked = match &options.file {
        Some(file) => read(file)?,
        None => {
            let service = Service::of(context).await?;
            let reader = Reader::of_server(context).await?;
            let online = OnlineKeys::of_server(&service).await?;
            let settings = service.get("config/").await?;
            changed(&in_force(&reader), &settings, &online, options)?
        }
    };
    send(context, Method::PUT, "delegations/", asked).await
}

async fn remove(context: &Context, roles: &[String]) -> Result<Outcome, Failure> {
    let roles: Vec<Value> = roles.iter().map(|name| json!({ "name": name })).collect();
    send(context, Method::POST, "delegations/delete", json!({ "roles": roles })).await
}

/// Sends a change, and says what became of each role and who must sign now.
async fn send(context: &Context, method: Method, path: &str, asked: Value) -> Result<Outcome, Failure> {
    let service = Service::of(context).await?;
    let done = service.run(method, path, &json!({ "delegations": asked })).await?;
    let failed = done.details["failed_roles"].as_array().map_or(0, Vec::len);
    let mut lines = said(&done);
    lines.extend(sign::waiting(&service).await?);
    context.out.value(&done.result, |_| lines.join("\n"))?;
    Ok(if failed == 0 { Outcome::Done } else { Outcome::No })
}

fn said(done: &Done) -> Vec<String> {
    let mut lines = vec![sign::said_of(done)];
    let roles = |name: &str| done.details[name].as_array().cloned().unwrap_or_default();
    for role in roles("delegated_roles") {
        lines.push(format!("  {}: done", shown(role.as_str().unwrap_or_default())));
    }
    for role in roles("failed_roles") {
        let text = |name: &str| shown(role[name].as_str().unwrap_or_default());
        lines.push(format!("  {}: NOT done: {}", text("role"), text("reason")));
    }
    lines
}

/// The file of `--file`: what the service takes, or that as the member `delegations`.
fn read(file: &Path) -> Result<Value, Failure> {
    let bytes = files::read_whole(file, MAX_FILE)?;
    // Not with a member twice: people read the one and the program the other.
    let mut value = countersign_tuf::canonical::read(&bytes)
        .or_unknown(&format!("`{}` has no delegations", file.display()))?;
    let inner = value.get_mut("delegations").map(Value::take);
    let asked = inner.unwrap_or(value);
    if asked["roles"].is_array() {
        return Ok(asked);
    }
    Err(Failure::unknown(format!("`{}` has no member `roles`", file.display()))
        .hint("`countersign tuf delegation add --help` says what it is"))
}

/// The role with what the options name in place of what it has. Keys that it keeps need not be given again.
fn changed(
    delegations: &Value,
    settings: &Value,
    online: &OnlineKeys,
    options: &UpdateDelegation,
) -> Result<Value, Failure> {
    let name = options.role.as_deref().unwrap_or_default();
    let mut all = delegations["roles"].as_array().into_iter().flatten();
    let role = all.find(|role| role["name"] == name).and_then(Value::as_object).ok_or_else(|| {
        Failure::refused(format!("nobody delegates to `{}`", shown(name)))
            .hint("`countersign tuf delegation list` lists the roles, `add` makes one")
    })?;
    let (keyids, keys) = changed_keys(role, online, options)?;
    let mut role = role.clone();
    role.insert("keyids".to_owned(), json!(keyids));
    if !options.paths.is_empty() {
        role.insert("paths".to_owned(), json!(options.paths));
    }
    if let Some(terminating) = options.terminating {
        role.insert("terminating".to_owned(), json!(terminating));
    }
    match options.threshold {
        Some(threshold) => drop(role.insert("threshold".to_owned(), json!(threshold))),
        None if options.by_server => drop(role.insert("threshold".to_owned(), json!(1))),
        None => {}
    }
    let days = options.days.map(u64::from).or_else(|| days_of(settings, name)).ok_or_else(|| {
        Failure::unknown(format!("the server does not say how long `{}` lives", shown(name)))
            .hint("say it: `--days N`")
    })?;
    role.insert(EXPIRE_POLICY.to_owned(), json!(days));
    Ok(json!({"keys": keys, "roles": [role]}))
}

/// The ids of the role's keys after the change, and the objects of new ones. No ids: the server's key.
fn changed_keys(
    role: &Map<String, Value>,
    online: &OnlineKeys,
    options: &UpdateDelegation,
) -> Result<(Vec<String>, Map<String, Value>), Failure> {
    let mut keys = Map::new();
    if options.by_server {
        return Ok((Vec::new(), keys));
    }
    let mut ids = texts(role.get("keyids"));
    for wanted in &options.remove_keys {
        let fits = |id: &String| id == wanted || (wanted.len() >= SHORTEST_ID && id.starts_with(wanted));
        let before = ids.len();
        ids.retain(|id| !fits(id));
        if ids.len() + 1 != before {
            let why = if ids.len() == before { "no key" } else { "several keys" };
            return Err(Failure::refused(format!("the role has {why} `{}`", shown(wanted)))
                .hint("`countersign tuf delegation list --json` has the key ids"));
        }
    }
    let is_the_servers = ids.iter().all(|id| online.named(id).is_some());
    if is_the_servers && !options.add_keys.is_empty() {
        ids.clear();
    }
    for file in &options.add_keys {
        let object = public_object(file)?;
        let id = id_of(&object)?;
        if !ids.contains(&id) {
            ids.push(id.clone());
        }
        keys.insert(id, object);
    }
    if ids.is_empty() {
        return Err(Failure::refused("nobody would be left to sign the role")
            .hint("`--add-key FILE` names somebody, `--by-server` gives it to the server"));
    }
    Ok((ids, keys))
}

/// The delegations of the published targets; null if there are none.
fn in_force(reader: &Reader) -> Value {
    let targets = reader.client.targets(Kind::Targets.as_str());
    targets.and_then(|targets| targets.signed().get("delegations")).cloned().unwrap_or_default()
}

fn published_version(reader: &Reader, role: &str) -> Option<u64> {
    let snapshot = reader.client.snapshot()?;
    snapshot.signed().get("meta")?.get(format!("{role}.json"))?.get("version")?.as_u64()
}

/// Under the name in small letters, unless another role has the same.
fn days_of(settings: &Value, role: &str) -> Option<u64> {
    let names = [role.to_owned(), role.to_lowercase()];
    names.iter().find_map(|name| settings[format!("{name}_expiration")].as_u64())
}

fn signed_by(role: &Value, online: &OnlineKeys) -> String {
    let ids = texts(role.get("keyids"));
    if ids.iter().all(|id| online.named(id).is_some()) {
        return "the server".to_owned();
    }
    let short = ids.iter().map(|id| match online.named(id) {
        Some(_) => "the server".to_owned(),
        None => shown(&id.chars().take(12).chain(['…']).collect::<String>()),
    });
    format!("{} of {}", role["threshold"], short.collect::<Vec<_>>().join(", "))
}

fn paths_of(role: &Value) -> String {
    match role.get("paths") {
        Some(paths) => shown(&texts(Some(paths)).join(" ")),
        None => "by hash".to_owned(),
    }
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let values = value.and_then(Value::as_array).into_iter().flatten();
    values.filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn object(n: u8) -> Value {
        json!({"keytype":"ed25519","scheme":"ed25519","keyval":{"public": format!("{n:02x}").repeat(32)}})
    }

    fn id(n: u8) -> String {
        id_of(&object(n)).unwrap()
    }

    fn delegations(keys: &[u8]) -> Value {
        let ids: Vec<String> = keys.iter().map(|n| id(*n)).collect();
        let objects: Map<String, Value> = keys.iter().map(|n| (id(*n), object(*n))).collect();
        let role = json!({"name": "Docs", "terminating": true, "keyids": ids, "threshold": 1, "paths": ["docs/*"],
            "x-kept": 1});
        json!({"keys": objects, "roles": [role]})
    }

    fn update(keys: &[u8], edit: impl FnOnce(&mut UpdateDelegation)) -> Result<Value, Failure> {
        let mut online = object(9);
        online["keyid"] = json!(id(9));
        let online = OnlineKeys::read(&json!({"keys": [online]})).unwrap();
        let mut options = UpdateDelegation {
            role: Some("Docs".to_owned()),
            paths: Vec::new(),
            add_keys: Vec::new(),
            remove_keys: Vec::new(),
            by_server: false,
            threshold: None,
            days: None,
            terminating: None,
            file: None,
        };
        edit(&mut options);
        changed(&delegations(keys), &json!({"docs_expiration": 30}), &online, &options)
    }

    fn file(directory: &Path, n: u8) -> PathBuf {
        let path = directory.join(n.to_string());
        std::fs::write(&path, object(n).to_string()).unwrap();
        path
    }

    #[test]
    fn what_is_not_named_stays() {
        let asked = update(&[1], |options| options.paths = vec!["a/*".into(), "b".into()]).unwrap();
        let role = json!({"name": "Docs", "terminating": true, "keyids": [id(1)], "threshold": 1,
            "paths": ["a/*", "b"], "x-kept": 1, "x-rstuf-expire-policy": 30});
        assert_eq!(asked, json!({"keys": {}, "roles": [role]}));
        let asked =
            update(&[1], |options| (options.days, options.terminating) = (Some(5), Some(false))).unwrap();
        let role = &asked["roles"][0];
        assert_eq!((&role["x-rstuf-expire-policy"], &role["terminating"]), (&json!(5), &json!(false)));
        assert!(update(&[1], |options| options.role = Some("docs".into())).is_err());
    }

    #[test]
    fn keys_come_and_go_and_the_last_one_stays() {
        let directory = tempfile::tempdir().unwrap();
        let two = file(directory.path(), 2);
        let ids = |asked: &Value| asked["roles"][0]["keyids"].clone();
        let asked = update(&[1], |options| options.add_keys = vec![two.clone()]).unwrap();
        assert_eq!((ids(&asked), &asked["keys"]), (json!([id(1), id(2)]), &json!({id(2): object(2)})));
        let first = id(1)[..8].to_owned();
        let asked = update(&[1, 2], |options| options.remove_keys = vec![first.clone()]).unwrap();
        assert_eq!(ids(&asked), json!([id(2)]));
        for bad in ["", &id(1)[..7], &id(3)] {
            assert!(update(&[1, 2], |options| options.remove_keys = vec![bad.to_owned()]).is_err(), "{bad}");
        }
        assert!(update(&[1], |options| options.remove_keys = vec![first.clone()]).is_err());
        // From the server to people, and back.
        let asked = update(&[9], |options| options.add_keys = vec![two.clone()]).unwrap();
        assert_eq!(ids(&asked), json!([id(2)]));
        let asked = update(&[1, 2], |options| options.by_server = true).unwrap();
        assert_eq!((ids(&asked), &asked["roles"][0]["threshold"]), (json!([]), &json!(1)));
    }

    #[test]
    fn a_file_is_taken_with_or_without_its_outermost_member() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("d.json");
        let given = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read(&path)
        };
        let bare = delegations(&[1]);
        assert_eq!(given(&bare.to_string()).unwrap(), bare);
        assert_eq!(given(&json!({ "delegations": bare }).to_string()).unwrap(), bare);
        for bad in ["", "[]", "{}", r#"{"roles":[],"roles":[]}"#, r#"{"roles":{}}"#] {
            assert!(given(bad).is_err(), "{bad}");
        }
    }
}
