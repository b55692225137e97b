//! Artifacts: added, removed, published.

use axum::extract::{Request, State};
use axum::response::Response;
use countersign_core::tuf::request::Request as Task;

use super::bodies;
use super::call::{self, MANY, SMALL, ask, taken};
use super::error::Refusal;
use super::scope::{self, Scope};
use crate::app::App;
use crate::body::Arriving;

const SKIPPED: &str = " Publishing will be skipped.";

/// `POST artifacts`: all of them in one publication.
pub async fn add(State(app): State<App>, request: Request) -> Result<Response, Refusal> {
    let asked = ask(&app, request, &[Scope::WriteArtifacts], MANY, bodies::add_artifacts).await?;
    let paths: Vec<String> = asked.body.artifacts.iter().map(|artifact| artifact.path.clone()).collect();
    let skipped = if asked.body.publish { "" } else { SKIPPED };
    let accepted = call::submit(&app, asked.caller, Task::AddArtifacts(asked.body)).await?;
    let message = format!("New Artifact(s) successfully submitted.{skipped}");
    Ok(taken(&accepted, Some(&paths), &message))
}

/// `POST artifacts/delete`.
pub async fn remove(State(app): State<App>, request: Request) -> Result<Response, Refusal> {
    let asked = ask(&app, request, &[Scope::DeleteArtifacts], MANY, bodies::remove_artifacts).await?;
    let bodies::Removed { artifacts, publish } = asked.body;
    let skipped = if publish { "" } else { SKIPPED };
    let task = Task::RemoveArtifacts { artifacts: artifacts.clone(), publish };
    let accepted = call::submit(&app, asked.caller, task).await?;
    let message = format!("Remove Artifact(s) successfully submitted.{skipped}");
    Ok(taken(&accepted, Some(&artifacts), &message))
}

/// `POST artifacts/publish`: what was added without being published. Has no body; one that is sent says nothing.
pub async fn publish(State(app): State<App>, request: Request) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let caller = scope::caller(&app, &parts, &[Scope::WriteArtifacts])?;
    Arriving::new(&parts.headers, body, SMALL)?.held().await?;
    let accepted = call::submit(&app, caller, Task::PublishArtifacts).await?;
    Ok(taken(&accepted, Some(&[]), "Publish artifacts successfully submitted."))
}
