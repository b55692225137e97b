//! The repository service as a client sees it: requests that become tasks, and what becomes of them.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use crate::api::{Answer, Api, Request};
use crate::context::Context;
use crate::failure::{Failure, Kind};
use crate::output::{Output, safe};

/// Where the service is.
pub const BASE: &str = "/api/v1";

/// After how long a person is told that a task is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a task is waited for: one that a server has forgotten is never done.
const LONGEST: Duration = Duration::from_secs(3600);

/// How often a server that has too much to do is asked again.
const TRIES: u32 = 6;

/// The service of a server.
pub struct Service {
    /// The server.
    pub api: Api,
    out: Output,
}

/// A task that succeeded.
#[derive(Debug)]
pub struct Done {
    /// `result.message`.
    pub message: String,
    /// `result.details`.
    pub details: Value,
    /// `result` as it came, for `--json`.
    pub result: Value,
}

impl Service {
    /// The service of the server that commands speak to.
    ///
    /// # Errors
    /// If there is no way to it.
    pub async fn of(context: &Context) -> Result<Self, Failure> {
        Ok(Self { api: context.api().await?, out: context.out })
    }

    /// The service that `api` leads to.
    pub fn at(api: Api, out: Output) -> Self {
        Self { api, out }
    }

    /// `GET`: the member `data`, null where there is none.
    ///
    /// # Errors
    /// What the server said.
    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        let answer = self.patiently(|| Ok(Request::get(&format!("{BASE}/{path}")))).await?;
        Ok(good(answer)?.json::<Value>()?.get_mut("data").map_or(Value::Null, Value::take))
    }

    /// Sends a document and gives the answer's `data`.
    ///
    /// # Errors
    /// What the server said.
    pub async fn send(&self, method: Method, path: &str, body: &impl Serialize) -> Result<Value, Failure> {
        let path = format!("{BASE}/{path}");
        let answer = self.patiently(|| Request::new(method.clone(), &path).json(body)).await?;
        Ok(good(answer)?.json::<Value>()?.get_mut("data").map_or(Value::Null, Value::take))
    }

    /// Sends a document that becomes a task, and gives its id.
    ///
    /// # Errors
    /// What the server said.
    pub async fn submit(&self, method: Method, path: &str, body: &impl Serialize) -> Result<String, Failure> {
        task_id(&self.send(method, path, body).await?)
    }

    /// Sends a document that becomes a task, and waits for it.
    ///
    /// # Errors
    /// What the server said; why the task was refused.
    pub async fn run(&self, method: Method, path: &str, body: &impl Serialize) -> Result<Done, Failure> {
        let task = self.submit(method, path, body).await?;
        self.wait(&task).await
    }

    /// Waits for a task.
    ///
    /// # Errors
    /// Why it was refused, or that nobody knows.
    pub async fn wait(&self, task: &str) -> Result<Done, Failure> {
        let (begun, mut told) = (Instant::now(), None);
        loop {
            let data = self.get(&format!("task/?task_id={}", crate::api::escape(task))).await?;
            let state = data["state"].as_str().unwrap_or_default().to_owned();
            match state.as_str() {
                "SUCCESS" => return Ok(done(&data["result"])),
                "ERRORED" | "FAILURE" | "REVOKED" | "REJECTED" | "IGNORED" => return Err(refused(&data)),
                _ if begun.elapsed() > LONGEST => {
                    return Err(Failure::unknown(format!(
                        "task `{task}` is not done after an hour: {state}"
                    ))
                    .hint("is the server's worker running? `countersign doctor` looks closer"));
                }
                _ => {}
            }
            if begun.elapsed() > PATIENCE && told.as_deref() != Some(state.as_str()) {
                self.out.say(&format!("waiting for task {task}: {}", progress(&state, &data["result"])));
                told = Some(state);
            }
            // The server keeps its answer back for a while; this is for those that do not.
            tokio::time::sleep(Duration::from_millis(if begun.elapsed() < PATIENCE { 5 } else { 200 })).await;
        }
    }

    /// Sends a request again while the server has too much to do.
    async fn patiently(&self, request: impl Fn() -> Result<Request, Failure>) -> Result<Answer, Failure> {
        let mut pause = Duration::from_millis(250);
        for _ in 1..TRIES {
            let answer = self.api.send(request()?).await?;
            if answer.status != StatusCode::SERVICE_UNAVAILABLE {
                return Ok(answer);
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        self.api.send(request()?).await
    }
}

/// The id of the task in an answer.
///
/// # Errors
/// If there is none.
pub fn task_id(data: &Value) -> Result<String, Failure> {
    data["task_id"].as_str().map(str::to_owned).ok_or_else(|| {
        Failure::unknown("the server's answer names no task")
            .hint("is this a countersign server of this version?")
    })
}

/// The answer, if it is a good one.
///
/// # Errors
/// What the server said.
pub fn good(answer: Answer) -> Result<Answer, Failure> {
    if answer.status.is_success() { Ok(answer) } else { Err(refusal(answer)) }
}

/// `{"detail":{"message","error"}}`, `{"detail":[{"loc","msg"}]}` or `{"detail":TEXT}`.
fn refusal(answer: Answer) -> Failure {
    let (status, body) = (answer.status, answer.body);
    let document: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut failure = Failure::of_answer(status, body.clone());
    let said = match &document["detail"] {
        Value::Object(detail) => {
            let part = |name: &str| detail.get(name).and_then(Value::as_str);
            let parts = [part("message"), part("error")].into_iter().flatten();
            Some(parts.map(|part| part.trim_end_matches('.')).collect::<Vec<_>>().join(": "))
        }
        Value::Array(faults) => Some(faults.iter().map(fault).collect::<Vec<_>>().join("; ")),
        Value::String(text) => Some(text.clone()),
        _ => None,
    };
    if let Some(said) = said.filter(|said| !said.is_empty()) {
        failure.message = safe(&said);
        failure.document = Some(body);
    }
    let error = document["detail"]["error"].as_str().unwrap_or_default();
    let hint = match status {
        StatusCode::NOT_FOUND if document["detail"] == "Not Found" => {
            Some("is `[tuf]` switched on in the server's configuration?")
        }
        StatusCode::NOT_FOUND if error.ends_with("State: None") => {
            Some("there is no repository yet: `countersign tuf init`, then `countersign tuf ceremony`")
        }
        StatusCode::NOT_FOUND if error.ends_with("State: signing") => {
            Some("the first root waits for signatures: `countersign tuf status`")
        }
        StatusCode::CONFLICT => {
            Some("`--override` puts another in its place, `countersign tuf stop` drops it")
        }
        StatusCode::FORBIDDEN if document["detail"]["message"] == "Proof required." => {
            Some("show that you hold a root key: `--key PEM`, `--agent-key` or `--signer`")
        }
        _ => None,
    };
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn fault(fault: &Value) -> String {
    let step = |step: &Value| step.as_str().map_or_else(|| step.to_string(), str::to_owned);
    let place: Vec<String> = fault["loc"].as_array().into_iter().flatten().map(step).collect();
    format!("`{}`: {}", place.join("."), fault["msg"].as_str().unwrap_or("not valid"))
}

fn done(result: &Value) -> Done {
    Done {
        message: result["message"].as_str().unwrap_or_default().to_owned(),
        details: result["details"].clone(),
        result: result.clone(),
    }
}

/// A task that ended without success.
fn refused(data: &Value) -> Failure {
    let result = &data["result"];
    let part = |name: &str| result[name].as_str().filter(|text| !text.is_empty());
    let said: Vec<&str> = [part("message"), part("error")].into_iter().flatten().collect();
    let message =
        if said.is_empty() { "the task failed without saying why".to_owned() } else { said.join(": ") };
    let kind = if data["state"] == "ERRORED" { Kind::Refused } else { Kind::Unknown };
    let hint = match kind {
        Kind::Refused => None,
        Kind::Unknown => Some("the server's log says more".to_owned()),
    };
    let document = json!({ "state": data["state"], "result": result });
    Failure { kind, message: safe(&message), hint, document: Some(document.to_string().into()) }
}

fn progress(state: &str, result: &Value) -> String {
    let details = &result["details"];
    let count = |name: &str| details[name].as_array().map(Vec::len);
    match (count("published_roles"), count("roles_to_publish")) {
        (Some(done), Some(all)) => format!("{state}, {done} of {all} roles published"),
        _ => safe(state),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;

    use super::*;

    fn answer(status: u16, body: &'static str) -> Answer {
        let status = StatusCode::from_u16(status).unwrap();
        Answer { status, headers: HeaderMap::new(), body: Bytes::from_static(body.as_bytes()) }
    }

    #[test]
    fn refusals_of_every_form_are_shown_in_the_servers_words() {
        for (status, body, message, code) in [
            (
                404,
                r#"{"detail":{"message":"Task not accepted.","error":"Requires bootstrap finished. State: None"}}"#,
                "Task not accepted: Requires bootstrap finished. State: None",
                1,
            ),
            (
                404,
                r#"{"detail":{"error":"System already has a Metadata. State: pre"}}"#,
                "System already has a Metadata. State: pre",
                1,
            ),
            (
                422,
                r#"{"detail":[{"type":"missing","loc":["body","artifacts",0,"path"],"msg":"Field required"}]}"#,
                "`body.artifacts.0.path`: Field required",
                1,
            ),
            (403, r#"{"detail":"no"}"#, "no", 1),
            (503, r#"{"detail":"not now"}"#, "not now", 2),
        ] {
            let failure = refusal(answer(status, body));
            assert_eq!((failure.message.as_str(), failure.code()), (message, code));
            assert_eq!(failure.document.as_deref(), Some(body.as_bytes()));
        }
    }

    #[test]
    fn a_task_that_was_refused_says_why() {
        let data = json!({"state": "ERRORED", "result": {"message": "Signature Failed", "error": "Invalid signature"}});
        let failure = refused(&data);
        assert_eq!((failure.message.as_str(), failure.code()), ("Signature Failed: Invalid signature", 1));
        assert_eq!(refused(&json!({"state": "FAILURE", "result": {"message": "boom"}})).code(), 2);
    }
}
