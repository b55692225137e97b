//! `tag check`: whether authorities vouch for an artifact. The server is asked which tags there are, and
//! nothing else of what it says is believed.

use countersign_model::{Digest, HashAlg};
use countersign_records::tag::head::Head;
use serde_json::{Value, json};

use super::judge::{Judge, Judged};
use super::put_text;
use crate::api::{Api, escape};
use crate::args::Check;
use crate::context::Context;
use crate::failure::{Failure, OrUnknown as _, Outcome};
use crate::files;
use crate::output::safe;

/// Checks an artifact.
pub async fn run(context: &Context, options: &Check) -> Result<Outcome, Failure> {
    let (digest, what) = digest(options).await?;
    let api = context.api().await?;
    let judge = Judge::new(context, &api, &options.authorities, &options.log).await?;
    let mut valid = Vec::new();
    let mut refused = None;
    for (name, version) in tags(&api, options, &digest).await? {
        let judged = judge.judge(&name, Some(version)).await?;
        match about(&judged, &digest, options.subject.as_deref()) {
            Ok(()) if judged.is_valid() => valid.push(judged),
            Ok(()) => drop(refused.get_or_insert_with(|| judged.failure())),
            Err(failure) => drop(refused.get_or_insert(failure)),
        }
    }
    if valid.is_empty() {
        return Err(refused.unwrap_or_else(|| no_tag(options, &digest, &what)));
    }
    let tags: Vec<Value> = valid.iter().map(document).collect();
    let document = json!({ "valid": true, "digest": digest.to_string(), "tags": tags, "log": judge.log() });
    context.out.value(&document, |_| {
        let line = |tag: &Judged| {
            format!("valid: {what} is tag {} version {}, signed by {}", tag.name, tag.version, tag.names())
        };
        valid.iter().map(line).collect::<Vec<_>>().join("\n")
    })?;
    Ok(Outcome::Done)
}

/// The digest, and what it is the digest of, for a sentence.
async fn digest(options: &Check) -> Result<(Digest, String), Failure> {
    let Some(file) = options.file.clone() else {
        let digest = options.digest.ok_or_else(|| Failure::unknown("give a file or `--digest`"))?;
        return Ok((digest, digest.to_string()));
    };
    let what = safe(&file.display().to_string());
    let hashed = tokio::task::spawn_blocking(move || files::hash(&file, HashAlg::Sha256)).await;
    Ok((hashed.or_unknown("hashing was interrupted")??, what))
}

/// The names and versions that the server has for the digest.
async fn tags(api: &Api, options: &Check, digest: &Digest) -> Result<Vec<(String, u64)>, Failure> {
    let names: Vec<String> = options.authorities.iter().map(|name| escape(name.as_str())).collect();
    let query = format!("/tags/?digest={}&authorities={}&", escape(&digest.to_string()), names.join(","));
    let body = api.pages(&query, "tags").await?;
    let list: Value = serde_json::from_slice(&body).or_unknown("the server's answer is not JSON")?;
    let tag = |tag: &Value| Some((tag["name"].as_str()?.to_owned(), tag["version"].as_u64()?));
    let tags: Option<Vec<_>> = list["tags"].as_array().into_iter().flatten().map(tag).collect();
    let mut tags =
        tags.ok_or_else(|| Failure::unknown("the server's list of tags is not what was expected"))?;
    if let Some(wanted) = &options.name {
        tags.retain(|(name, _)| name == wanted);
    }
    Ok(tags)
}

/// The text itself must name the artifact: what the server found it by does not count.
fn about(judged: &Judged, digest: &Digest, subject: Option<&str>) -> Result<(), Failure> {
    let name = &judged.name;
    let head = Head::parse(&judged.payload)
        .map_err(|error| Failure::refused(format!("tag `{name}`: {error}")).hint(error.hint()))?;
    if head.digest() != digest {
        return Err(Failure::refused(format!("tag `{name}` is about {}, not {digest}", head.digest()))
            .hint("the server gave a tag of another artifact: do not trust it"));
    }
    match subject {
        Some(subject) if subject != head.subject() => {
            let message = format!("tag `{name}` has the subject `{}`", safe(head.subject()));
            Err(Failure::refused(message).hint("it is about the same bytes under another name"))
        }
        _ => Ok(()),
    }
}

fn no_tag(options: &Check, digest: &Digest, what: &str) -> Failure {
    let names: Vec<&str> = options.authorities.iter().map(|name| name.as_str()).collect();
    let mut failure = Failure::refused(format!("{what} is not signed by {}", names.join(" and ")))
        .hint(format!(
            "the server has no tag for {digest} that is good now: is it the file that was released, and do the \
             keys still count?"
        ));
    let document = json!({ "valid": false, "digest": digest.to_string(), "tags": [] });
    failure.document = Some(document.to_string().into());
    failure
}

fn document(tag: &Judged) -> Value {
    let mut document = json!({ "name": tag.name, "version": tag.version, "authorities": tag.authorities() });
    put_text(&mut document, "payload", &tag.payload);
    document
}
