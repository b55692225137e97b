//! `collection init`: a source collection, its bucket, and who edits and approves.

use http::{Method, StatusCode, header};
use serde_json::{Map, Value, json};

use super::kinto::{Kinto, last_modified};
use super::source::{Signer, Source};
use crate::args::InitCollection;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::output::safe;

/// Makes what is not there yet; what is there stays.
pub async fn run(context: &Context, options: &InitCollection) -> Result<Outcome, Failure> {
    let kinto = Kinto::here(context.api().await?);
    let found = Signer::of(&kinto.root().await?)?.source(&options.collection)?;
    let made = ensure(&kinto, &format!("/buckets/{}", found.source.bucket)).await?;
    if made {
        context.out.say(&format!("bucket `{}` is made", found.source.bucket));
    }
    let made = ensure(&kinto, &found.source.uri()).await?;
    let what = if made { "is made" } else { "was there already" };
    context.out.say(&format!("collection `{}` {what}", found.source));
    let editors = add_members(&kinto, &found.source.bucket, &found.editors, &options.editors).await?;
    let reviewers = add_members(&kinto, &found.source.bucket, &found.reviewers, &options.reviewers).await?;
    let document = json!({
        "source": found.source.to_string(),
        "preview": found.preview.as_ref().map(ToString::to_string),
        "destination": found.destination.to_string(),
        "review": found.review,
        "created": made,
        "editors": editors,
        "reviewers": reviewers,
    });
    context.out.value(&document, |_| next_steps(&found, &editors, &reviewers))?;
    Ok(Outcome::Done)
}

/// Makes a bucket or a collection; whether it was not there.
async fn ensure(kinto: &Kinto, path: &str) -> Result<bool, Failure> {
    let new = Some((header::IF_NONE_MATCH, "*".to_owned()));
    match kinto.write(Method::PUT, path, new, &json!({ "data": {} })).await {
        Ok(_) => Ok(true),
        Err(failure) if was_refused_with(&failure, StatusCode::PRECONDITION_FAILED) => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// Whether the server's document says that this was the status.
pub(super) fn was_refused_with(failure: &Failure, status: StatusCode) -> bool {
    let document: Option<Value> =
        failure.document.as_ref().and_then(|document| serde_json::from_slice(document).ok());
    document.is_some_and(|document| document["code"] == status.as_u16())
}

/// Adds members to a group, which is made if it is not there. Who is in it then.
async fn add_members(
    kinto: &Kinto,
    bucket: &str,
    group: &str,
    added: &[String],
) -> Result<Vec<String>, Failure> {
    let path = format!("/buckets/{bucket}/groups/{group}");
    let found = kinto.find(&path).await?;
    let mut members: Vec<String> = found.iter().flat_map(|group| members_of(&group.data)).collect();
    let before = members.len();
    for name in added.iter().map(|name| user(name)) {
        if !members.contains(&name) {
            members.push(name);
        }
    }
    if members.len() > before || found.is_none() {
        // Nobody's change is lost between reading and writing.
        let condition = match &found {
            Some(group) => (header::IF_MATCH, format!("\"{}\"", last_modified(&group.data))),
            None => (header::IF_NONE_MATCH, "*".to_owned()),
        };
        let body = json!({ "data": { "members": members } });
        let method = if found.is_some() { Method::PATCH } else { Method::PUT };
        kinto.write(method, &path, Some(condition), &body).await?;
    }
    Ok(members)
}

fn members_of(group: &Map<String, Value>) -> Vec<String> {
    let members = group.get("members").and_then(Value::as_array).into_iter().flatten();
    members.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// A principal's name as the protocol has it: `ana` is `principal:ana`.
fn user(name: &str) -> String {
    if name.contains(':') || name.starts_with('/') { name.to_owned() } else { format!("principal:{name}") }
}

fn next_steps(found: &Source, editors: &[String], reviewers: &[String]) -> String {
    let Source { source, destination, .. } = found;
    let list = |members: &[String]| match members {
        [] => "nobody yet".to_owned(),
        members => safe(&members.join(", ")),
    };
    let mut text =
        format!("source       {source}\npublished at {destination}\neditors      {}\n", list(editors));
    if found.review {
        text.push_str(&format!("reviewers    {}\n", list(reviewers)));
    }
    text.push_str("\nNext:\n");
    text.push_str(&format!("  write records to /v1{}/records with any Kinto client\n", source.uri()));
    text.push_str(&format!("  countersign collection diff {source}\n"));
    if found.review {
        if reviewers.is_empty() {
            text.push_str(&format!("  countersign collection init {source} --reviewer NAME\n"));
        }
        text.push_str(&format!("  countersign collection review request {source}     as an editor\n"));
        text.push_str(&format!("  countersign collection review approve {source}     as a reviewer\n"));
    } else {
        text.push_str(&format!("  countersign collection sign {source}\n"));
    }
    text.push_str("  countersign collection root > root.pem\n");
    text.push_str(&format!("  countersign collection verify {destination} --root root.pem"));
    text
}
