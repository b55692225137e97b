//! `collection`: signed collections. What is published is verified here; all else is asked of the server, in the
//! protocol of Kinto.
//!
//! ```text
//! kinto.rs  batch.rs                          the protocol as a client sees it
//! source.rs                                   what the server signs, and where it goes
//! init.rs  status.rs  diff.rs  steps.rs       for editors and reviewers
//! verify.rs  reader.rs  export.rs  root.rs    for readers
//! import/                                     from a running Kinto
//! ```

mod batch;
mod diff;
mod export;
mod import;
mod init;
mod kinto;
mod reader;
mod root;
mod source;
mod status;
mod steps;
mod verify;

use countersign_records::collections::status::Status;
use jiff::Timestamp;

use crate::args::{CollectionCommand, ReviewCommand};
use crate::context::Context;
use crate::failure::{Failure, Outcome};

/// Runs a command of `collection`.
pub async fn run(context: &Context, command: CollectionCommand) -> Result<Outcome, Failure> {
    match command {
        CollectionCommand::Init(options) => init::run(context, &options).await,
        CollectionCommand::Status { place } => status::run(context, place.as_ref()).await,
        CollectionCommand::Diff(options) => diff::run(context, &options).await,
        CollectionCommand::Review(ReviewCommand::Request(step)) => {
            steps::review(context, &step, Status::ToReview.as_str(), "last_editor_comment").await
        }
        CollectionCommand::Review(ReviewCommand::Approve(step)) => {
            steps::review(context, &step, "to-sign", "last_reviewer_comment").await
        }
        CollectionCommand::Review(ReviewCommand::Decline(step)) => {
            steps::review(context, &step, Status::WorkInProgress.as_str(), "last_reviewer_comment").await
        }
        CollectionCommand::Sign { collection, resign, seen } => {
            let status = if resign { "to-resign" } else { "to-sign" };
            steps::step(context, &collection, status, &seen).await
        }
        CollectionCommand::Rollback { collection, seen } => {
            steps::step(context, &collection, "to-rollback", &seen).await
        }
        CollectionCommand::Verify(options) => verify::run(context, &options).await,
        CollectionCommand::Export { target, directory } => export::run(context, &target, &directory).await,
        CollectionCommand::Import(options) => import::run(context, &options).await,
        CollectionCommand::Root => root::run(context).await,
    }
}

/// A timestamp of the protocol for a person: `2026-01-02T03:04:05.678Z`.
fn time(milliseconds: i64) -> String {
    Timestamp::from_millisecond(milliseconds)
        .map_or_else(|_| milliseconds.to_string(), |time| time.to_string())
}
