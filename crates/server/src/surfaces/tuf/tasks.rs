//! `GET task?task_id=ID`: what became of a request.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use countersign_core::tuf::task::{self, TaskState};
use http::StatusCode;
use serde_json::{Value, json};

use super::bodies;
use super::call::answer;
use super::error::Refusal;
use super::scope::{self, Scope};
use crate::app::App;

/// How long the answer is kept back while the task is not done: clients ask again without any pause.
const HOLD: Duration = Duration::from_millis(250);

/// An id that never was is that of a task which waits.
pub async fn get(State(app): State<App>, request: Request) -> Result<Response, Refusal> {
    let (parts, _) = request.into_parts();
    scope::caller(&app, &parts, &[Scope::ReadTasks])?;
    let id = bodies::query(parts.uri.query().unwrap_or_default(), "task_id");
    let id = id.ok_or_else(|| Refusal::invalid(&bodies::missing_in_query("task_id")))?;
    let mut data = json!({"task_id": id});
    if !is_id(&id) {
        data["state"] = TaskState::Pending.as_str().into();
        return Ok(answer(StatusCode::OK, Some(data), MESSAGE));
    }
    let task = task::get(&app.ctx, &id, HOLD).await?;
    data["state"] = task.state.as_str().into();
    if let (Some(result), Value::Object(data)) = (task.result, &mut data) {
        data.insert("result".into(), result);
    }
    Ok(answer(StatusCode::OK, Some(data), MESSAGE))
}

const MESSAGE: &str = "Task state.";

/// Whether the text can be a task's id.
fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
