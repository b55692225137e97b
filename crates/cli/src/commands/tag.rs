//! `tag`: the tags that a server keeps. What authorities signed is checked here, by their public keys.

mod check;
mod get;
mod judge;
mod push;
mod request;

use http::Method;
use serde_json::{Value, json};

use crate::api::{Answer, Request, escape};
use crate::args::{ListTags, TagCommand};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::output::{Field, card, safe, table};

const COLUMNS: [Field<'_>; 5] = [
    ("NAME", "/name"),
    ("VERSION", "/version"),
    ("AUTHORITIES", "/authorities"),
    ("CREATED", "/created"),
    ("SHA-256", "/payload_sha256"),
];

const FIELDS: [Field<'_>; 5] = [
    ("name", "/name"),
    ("version", "/version"),
    ("signed by", "/authorities"),
    ("created", "/created"),
    ("sha-256 of the text", "/payload_sha256"),
];

/// Runs a command of `tag`.
pub async fn run(context: &Context, command: TagCommand) -> Result<Outcome, Failure> {
    match command {
        TagCommand::Push(options) => push::run(context, &options).await,
        TagCommand::Get(options) => get::run(context, &options).await,
        TagCommand::Check(options) => check::run(context, &options).await,
        TagCommand::List(options) => list(context, &options).await,
        TagCommand::Hide { name } => {
            context.api().await?.call(Request::new(Method::DELETE, &path(&name)?)).await?;
            if context.out.is_json() {
                // The API answers with nothing (204); a script still gets a document.
                context.out.value(&json!({ "name": name, "hidden": true }), |_| String::new())?;
            }
            context
                .out
                .say(&format!("tag `{name}` is hidden; `countersign tag restore {name}` brings it back"));
            Ok(Outcome::Done)
        }
        TagCommand::Restore { name } => {
            let request = Request::post(&format!("{}?restore=1", path(&name)?));
            show(context, &context.api().await?.call(request).await?)
        }
        TagCommand::Request { id } => request::show(context, &id).await,
        TagCommand::Approve(voice) => request::speak(context, &voice, "approve").await,
        TagCommand::Refuse(voice) => request::speak(context, &voice, "refuse").await,
        // Dispatched before the runtime starts.
        TagCommand::Sign(_) | TagCommand::Payload(_) => Ok(Outcome::Done),
    }
}

async fn list(context: &Context, options: &ListTags) -> Result<Outcome, Failure> {
    let mut query = String::from("/tags/?");
    if let Some(prefix) = &options.prefix {
        query.push_str(&format!("prefix={}&", escape(prefix)));
    }
    if let Some(digest) = &options.digest {
        let names: Vec<String> = options.authorities.iter().map(|name| escape(name.as_str())).collect();
        query.push_str(&format!("digest={}&authorities={}&", escape(&digest.to_string()), names.join(",")));
    }
    let body = context.api().await?.pages(&query, "tags").await?;
    context.out.document(&body, |document| {
        let tags = document["tags"].as_array().map_or(&[][..], Vec::as_slice);
        table(tags, &COLUMNS, "no tags")
    })?;
    Ok(Outcome::Done)
}

/// Shows what the server says about a tag.
fn show(context: &Context, answer: &Answer) -> Result<Outcome, Failure> {
    context.out.document(&answer.body, |tag| card(tag, &FIELDS))?;
    Ok(Outcome::Done)
}

/// The path of a tag: the slashes of its name are those of the path.
///
/// # Errors
/// For a name that no tag has and that would lead elsewhere, as `..` does.
fn path(name: &str) -> Result<String, Failure> {
    if name.split('/').any(|segment| segment.is_empty() || segment.starts_with('.')) {
        return Err(Failure::refused(format!("`{}` is not the name of a tag", safe(name)))
            .hint("a name has segments separated by `/`, none of them empty or beginning with a dot"));
    }
    let segments: Vec<String> = name.split('/').map(escape).collect();
    Ok(format!("/tags/{}", segments.join("/")))
}

/// A text or bytes as a member of a document, as the tags API has them.
fn put_text(document: &mut Value, member: &str, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => document[member] = text.into(),
        Err(_) => document[format!("{member}_base64")] = crate::api::base64(bytes).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_of_a_name_are_those_of_the_path_and_all_else_is_escaped() {
        assert_eq!(path("repo/app/1.0+b").unwrap(), "/tags/repo/app/1.0%2Bb");
        assert_eq!(path("a?b#c").unwrap(), "/tags/a%3Fb%23c");
    }

    #[test]
    fn a_name_leads_nowhere_else() {
        for bad in ["", "..", "../authorities/a", "a/../b", "a//b", "/a", "a/", ".a"] {
            assert_eq!(path(bad).unwrap_err().code(), 1, "{bad}");
        }
    }
}
