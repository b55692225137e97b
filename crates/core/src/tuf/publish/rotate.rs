//! A root with other online keys: everything is signed anew.

use countersign_store::MovingRoles;
use countersign_tuf::edit::replace_key;
use countersign_tuf::key::Key;
use countersign_tuf::metadata::{Document, Kind};
use countersign_tuf::root::{Keys, Role};
use serde_json::{Map, Value, json};

use super::{begin, delegations_of, delegations_value, signers};
use crate::tuf::apply::Job;
use crate::tuf::error::Error;
use crate::tuf::root;

/// Sets moving what the new root makes to be signed otherwise: all that is online. Delegations name the new targets key
/// wherever they named one that the new root does not have any more.
///
/// A role that people sign together with the server keeps the old key: the signatures that it has were made with it.
///
/// # Errors
/// When the database fails or is damaged.
pub(in crate::tuf) async fn rotate(job: &mut Job<'_>, old: &Document, new: &Document) -> Result<(), Error> {
    let mut targets = job.tx.role(Kind::Targets.as_str()).await?.ok_or_else(|| root::damaged("targets"))?;
    if let Some(delegations) = delegations_value(&targets)? {
        let changed = with_new_key(job, &targets, delegations, old, new)?;
        let mut head: Map<String, Value> = serde_json::from_str(targets.head.as_deref().unwrap_or("{}"))
            .map_err(|_| root::damaged("targets"))?;
        head.insert("delegations".into(), changed);
        targets.head = Some(Value::Object(head).to_string());
        job.tx.put_roles(std::slice::from_ref(&targets)).await?;
    }
    job.tx.set_moving(MovingRoles::OnlineDelegated, job.now).await?;
    begin::move_roles(job, vec![Kind::Targets.to_string()]).await
}

fn with_new_key(
    job: &Job<'_>,
    targets: &countersign_store::RoleRow,
    mut delegations: Value,
    old: &Document,
    new: &Document,
) -> Result<Value, Error> {
    let unreadable = |_| root::damaged("a root");
    let (old, new_view) = (old.root().map_err(unreadable)?, new.root().map_err(unreadable)?);
    let (keyid, object) = root::online_key(new).map_err(|_| root::damaged("a root"))?;
    let role = new_view.role(Kind::Targets);
    let kept = |key: &Key| role.keys(&new_view.keys).any(|(_, kept)| kept.is_same(key));
    let lost: Vec<&Key> =
        old.role(Kind::Targets).keys(&old.keys).map(|(_, key)| key).filter(|key| !kept(key)).collect();
    let read = delegations_of(targets)?.ok_or_else(|| root::damaged("the delegations"))?;
    let shared = shared_roles(job, &delegations, &read.keys, |name| read.role(name));
    for (id, key) in &read.keys {
        if lost.iter().any(|lost| lost.is_same(key)) {
            delegations = replace_key(&delegations, id, (&keyid, &object));
        }
    }
    put_back(&mut delegations, shared);
    Ok(delegations)
}

/// Roles that people sign too, as they are, with their keys.
fn shared_roles<'a>(
    job: &Job<'_>,
    delegations: &Value,
    keys: &Keys,
    role: impl Fn(&str) -> Option<&'a Role>,
) -> Vec<(Value, Vec<(String, Value)>)> {
    let roles = delegations["roles"].as_array().into_iter().flatten();
    let shared = roles.filter(|value| {
        let role = value["name"].as_str().and_then(&role);
        role.is_some_and(|role| !signers::are_enough(role, &signers::of_role(job.ctx, role, keys)))
    });
    let with_keys = |value: &Value| {
        let ids = value["keyids"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let keys = ids.filter_map(|id| Some((id.to_owned(), delegations["keys"].get(id)?.clone())));
        (value.clone(), keys.collect())
    };
    shared.map(with_keys).collect()
}

fn put_back(delegations: &mut Value, shared: Vec<(Value, Vec<(String, Value)>)>) {
    for (role, keys) in shared {
        for (id, key) in keys {
            delegations["keys"][id] = json!(key);
        }
        let roles = delegations["roles"].as_array_mut().into_iter().flatten();
        if let Some(place) = roles.into_iter().find(|known| known["name"] == role["name"]) {
            *place = role;
        }
    }
}
