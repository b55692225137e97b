//! Delegated roles that are to be signed and cannot be: their keys were revoked after they began to move, or nobody
//! delegates to them any more. They hold up nobody else: each keeps the version that it has.

use std::collections::BTreeMap;

use countersign_store::{TaskChange, TufTask, TufTx};
use serde_json::{Value, json};

use super::plan::Plan;
use crate::context::Context;
use crate::tuf::error::Error;
use crate::tuf::task::TaskState;
use crate::tuf::worker::Turn;

/// Brings such roles to rest, before what is above them is made. What was changed of them is public with their next
/// version, when they can be signed; the tasks that asked for it end, and say so.
///
/// # Errors
/// When the database fails.
pub(super) async fn unsignable(ctx: &Context, turn: &Turn, plan: &Plan) -> Result<(), Error> {
    if !plan.has_custom_roles() {
        return Ok(());
    }
    let names = ctx.store.tuf_read().await?.unsigned_roles().await?;
    let mut left = BTreeMap::new();
    for name in names {
        match plan.delegated(ctx, &name) {
            Err(Error::NoKeys(why)) => drop(left.insert(name, why)),
            known => drop(known?),
        }
    }
    if left.is_empty() {
        return Ok(());
    }
    for why in left.values() {
        tracing::error!(why, "a role is left out of a publication");
    }
    turn.keep(ctx).await?;
    let mut tx = ctx.store.tuf_write().await?;
    tx.rest(&left.keys().cloned().collect::<Vec<_>>(), ctx.now()).await?;
    end_tasks(ctx, &mut tx, &left).await?;
    turn.fence(&mut tx).await?;
    tx.commit().await?;
    ctx.tuf.ended.send_modify(|count| *count += 1);
    Ok(())
}

async fn end_tasks(ctx: &Context, tx: &mut TufTx, left: &BTreeMap<String, String>) -> Result<(), Error> {
    let running = tx.tasks_in(TaskState::Running.as_str()).await?;
    let changes: Vec<TaskChange> = running.into_iter().filter_map(|task| ended(task, left)).collect();
    Ok(tx.set_tasks(&changes, ctx.now()).await?)
}

/// A task that names a role that is left out among those that it changed.
fn ended(task: TufTask, left: &BTreeMap<String, String>) -> Option<TaskChange> {
    let mut result: Value = serde_json::from_str(task.result.as_deref()?).ok()?;
    let why = ["artifact_roles", "updated_roles"].iter().find_map(|member| {
        let mut roles = result["details"][member].as_array()?.iter().filter_map(Value::as_str);
        roles.find_map(|role| left.get(role))
    })?;
    result["error"] = json!(format!("{why}. What was changed is public when it can be signed"));
    result["status"] = json!(false);
    let state = TaskState::Errored.as_str().to_owned();
    Some(TaskChange { id: task.id, state, result: Some(result.to_string()) })
}
