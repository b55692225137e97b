//! Steps of the workflow: each is a new `status` of the source collection, which the server then acts upon.

use http::{Method, header};
use serde_json::json;

use super::kinto::Kinto;
use super::source::Signer;
use super::status;
use crate::args::{CollectionPath, Seen, Step};
use crate::context::Context;
use crate::failure::{Failure, Outcome};

/// `review`: a status with a comment.
///
/// - `member`: where the comment goes.
pub async fn review(context: &Context, step: &Step, wanted: &str, member: &str) -> Result<Outcome, Failure> {
    let comment = step.comment.as_deref().map(|text| (member, text));
    set(context, &step.collection, wanted, comment, &step.seen).await
}

/// `sign` and `rollback`: a status alone.
pub async fn step(
    context: &Context,
    collection: &CollectionPath,
    wanted: &str,
    seen: &Seen,
) -> Result<Outcome, Failure> {
    set(context, collection, wanted, None, seen).await
}

async fn set(
    context: &Context,
    collection: &CollectionPath,
    wanted: &str,
    comment: Option<(&str, &str)>,
    seen: &Seen,
) -> Result<Outcome, Failure> {
    let kinto = Kinto::here(context.api().await?);
    let found = Signer::of(&kinto.root().await?)?.source(collection)?;
    let mut body = json!({ "data": { "status": wanted } });
    if let Some((member, text)) = comment {
        body["data"][member] = text.into();
    }
    let condition = seen.seen.map(|state| (header::IF_MATCH, format!("\"{state}\"")));
    let written = kinto.write(Method::PATCH, &collection.uri(), condition, &body).await;
    written.map_err(|failure| with_hint(failure, collection))?;
    status::show(context, &kinto, &found).await
}

/// What to do about a refusal of the workflow.
fn with_hint(failure: Failure, collection: &CollectionPath) -> Failure {
    let message = failure.message.as_str();
    let hint = if message.starts_with("Not in ") {
        format!(
            "`countersign collection init {collection}` adds members with `--editor NAME` and `--reviewer NAME`"
        )
    } else if message.starts_with("Last editor cannot review") {
        "whoever asked for the review cannot approve it: somebody else does".to_owned()
    } else if message.starts_with("Collection not under review") {
        format!("`countersign collection review request {collection}` asks for a review")
    } else if message.starts_with("Collection already signed") {
        "nothing changed since; `--resign` signs what is published once more".to_owned()
    } else if message.starts_with("Collection has no work-in-progress") {
        "nothing changed since it was published".to_owned()
    } else {
        return failure;
    };
    failure.hint(hint)
}
