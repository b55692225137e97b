//! `tag push`: has the server sign a text, or the digest of an artifact, and keep it.

use std::path::Path;

use bytes::Bytes;
use countersign_model::{Digest, HashAlg};
use countersign_records::tag::head::{Head, HeadError};
use countersign_records::tag::{AuthorityName, Payload, Tag, TagError, TagFile};
use http::{Method, StatusCode};

use super::{path, request, show};
use crate::api::{Answer, Api, Request, escape};
use crate::args::Push;
use crate::context::Context;
use crate::failure::{Failure, OrUnknown as _, Outcome};
use crate::files;
use crate::output::safe;

/// In which answers say which entry of the publication log they made.
const PUBLICATION: http::HeaderName = http::HeaderName::from_static("countersign-publication");

/// What is to be signed.
enum Text {
    /// A text of which nobody has signed anything here.
    Payload(Payload),
    /// A file that has signatures, made elsewhere.
    Signed(Vec<u8>),
}

/// Signs and stores, for one authority after the other.
pub async fn run(context: &Context, options: &Push) -> Result<Outcome, Failure> {
    let target = path(&options.name)?;
    let api = context.api().await?;
    if options.existing {
        return sign_existing(context, &api, options, &target).await;
    }
    match text(options).await? {
        Some(Text::Payload(payload)) => {
            let ask = |query: &str| {
                let new_version = if options.new_version { "&new_version=1" } else { "" };
                let query = format!("{query}{new_version}");
                let target = format!("{target}{}", with_question_mark(&query));
                // Written out, so that no text is taken for a form or a document.
                let body = Bytes::copy_from_slice(payload.as_bytes());
                Request::post(&target).body("application/octet-stream", body)
            };
            for_each_authority(context, &api, &options.authorities, ask).await
        }
        Some(Text::Signed(file)) => {
            if !options.authorities.is_empty() {
                return Err(Failure::unknown(
                    "the file is signed already, and `--authority` asks to sign it",
                )
                .hint("push its text without the signatures, or leave `--authority` away"));
            }
            let request = Request::new(Method::PUT, &target);
            let answer = api.call(request.body("text/plain; charset=utf-8", file.into())).await?;
            show(context, &answer)
        }
        None => Err(Failure::unknown("nothing to push")
            .hint("give a FILE, `--artifact FILE`, `--digest DIGEST`, or `--existing` with what it must be")),
    }
}

/// Signs what the store has, after it was compared with what the caller means.
async fn sign_existing(
    context: &Context,
    api: &Api,
    options: &Push,
    target: &str,
) -> Result<Outcome, Failure> {
    let stored = api.call(Request::get(target)).await?;
    let file = TagFile::parse(&stored.body).map_err(refused)?;
    let payload = file.payload();
    let sha256 = hex::encode(HashAlg::Sha256.digest(payload).as_bytes());
    let name = &options.name;
    let mut compared = false;
    if let Some(wanted) = &options.sha256 {
        compared = true;
        if *wanted != sha256 {
            return Err(Failure::refused(format!("the text of tag `{name}` has SHA-256 {sha256}"))
                .hint("it is another text than the one you named: read it with `countersign tag get`"));
        }
    }
    if let Some((digest, _)) = artifact(options).await? {
        compared = true;
        let head = Head::parse(payload).map_err(refused_head)?;
        if *head.digest() != digest {
            return Err(Failure::refused(format!("tag `{name}` is about {}, not {digest}", head.digest()))
                .hint("it is about another artifact, or another build of it"));
        }
    }
    if let Some(file) = &options.file {
        compared = true;
        let own = Tag::parse(&files::read_small(file)?).map_err(refused)?;
        if own.payload().as_bytes() != payload {
            return Err(Failure::refused(format!("tag `{name}` has another text than `{}`", file.display()))
                .hint("read it with `countersign tag get`"));
        }
    }
    if !compared {
        return Err(Failure::unknown(
            "`--existing` signs what the store has, and you did not say what it must be",
        )
        .hint("add `--artifact FILE`, `--digest DIGEST`, `--sha256 HEX`, or the FILE with the text"));
    }
    let ask = |query: &str| {
        let query = format!("{query}&sha256={sha256}");
        Request::new(Method::PUT, &format!("{target}{}", with_question_mark(&query)))
    };
    for_each_authority(context, api, &options.authorities, ask).await
}

/// Sends one request for each authority, and shows the last answer. Without any, the server takes the only
/// one that the caller may sign for.
async fn for_each_authority(
    context: &Context,
    api: &Api,
    authorities: &[AuthorityName],
    ask: impl Fn(&str) -> Request,
) -> Result<Outcome, Failure> {
    let mut queries: Vec<String> =
        authorities.iter().map(|name| format!("&authority={}", escape(name.as_str()))).collect();
    if queries.is_empty() {
        queries.push(String::new());
    }
    let mut last: Option<Answer> = None;
    for query in &queries {
        let answer = api.call(ask(query)).await?;
        if answer.status == StatusCode::ACCEPTED {
            context.out.say(&waiting(&answer)?);
        }
        if let Some(index) = answer.header(&PUBLICATION) {
            context.out.say(&format!("entry {} of the publication log", safe(index)));
        }
        last = Some(answer);
    }
    match last {
        Some(answer) if answer.status == StatusCode::ACCEPTED => request::print(context, &answer),
        Some(answer) => show(context, &answer),
        None => Ok(Outcome::Done),
    }
}

fn waiting(answer: &Answer) -> Result<String, Failure> {
    let request: serde_json::Value = answer.json()?;
    let (id, authority) = (&request["id"], &request["authority"]);
    let (id, authority) = (id.as_str().unwrap_or_default(), authority.as_str().unwrap_or_default());
    Ok(format!(
        "the signature of `{authority}` waits for more voices: `countersign tag approve {id} --payload FILE`"
    ))
}

/// What the options say is to be signed.
async fn text(options: &Push) -> Result<Option<Text>, Failure> {
    if let Some(file) = &options.file {
        let tag = Tag::parse(&files::read_small(file)?).map_err(refused)?;
        let signed = tag.blocks().next().is_some();
        let text = if signed { Text::Signed(tag.to_bytes()) } else { Text::Payload(tag.payload().clone()) };
        return Ok(Some(text));
    }
    let Some((digest, size)) = artifact(options).await? else { return Ok(None) };
    head(options, &digest, size).map(|head| Some(Text::Payload(head.to_payload())))
}

/// The digest of the artifact, and its size where it is at hand.
async fn artifact(options: &Push) -> Result<Option<(Digest, Option<u64>)>, Failure> {
    if let Some(digest) = options.digest {
        return Ok(Some((digest, None)));
    }
    let Some(file) = options.artifact.clone() else { return Ok(None) };
    let measured = tokio::task::spawn_blocking(move || files::measure(&file, HashAlg::Sha256)).await;
    let (digest, size) = measured.or_unknown("hashing was interrupted")??;
    Ok(Some((digest, Some(size))))
}

/// The head of a tag about bytes. Without a time in it, so that the same push twice is the same text.
fn head(options: &Push, digest: &Digest, size: Option<u64>) -> Result<Head, Failure> {
    let file_name = options.artifact.as_deref().and_then(Path::file_name);
    let subject = match (&options.subject, file_name) {
        (Some(subject), _) => subject.clone(),
        (None, Some(name)) if name != "-" => name.to_string_lossy().into_owned(),
        _ => return Err(Failure::unknown("the artifact has no name").hint("give one with `--subject TEXT`")),
    };
    let mut head = Head::new(&subject, digest).map_err(refused_head)?;
    if let Some(size) = size {
        head = head.with_size(size).map_err(refused_head)?;
    }
    let members = [("media-type", &options.media_type), ("built-by", &options.built_by)];
    for (key, value) in members {
        if let Some(value) = value {
            head = head.with(key, value).map_err(refused_head)?;
        }
    }
    options
        .params
        .iter()
        .try_fold(head, |head, (name, value)| head.with(&format!("param.{name}"), value))
        .map_err(refused_head)
}

/// `&a=1&b=2` as `?a=1&b=2`.
fn with_question_mark(query: &str) -> String {
    query.strip_prefix('&').map(|rest| format!("?{rest}")).unwrap_or_default()
}

fn refused(error: TagError) -> Failure {
    Failure::refused(error.to_string()).hint(error.hint())
}

fn refused_head(error: HeadError) -> Failure {
    Failure::refused(error.to_string()).hint(error.hint())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Command, TagCommand};

    fn push(line: &str) -> Push {
        let words = ["countersign", "tag", "push"].into_iter().chain(line.split(' '));
        match Cli::try_parse_from(words).unwrap().command {
            Command::Tag(TagCommand::Push(options)) => options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_head_of_an_artifact_has_the_same_bytes_each_time() {
        let line = "app.jar --artifact dir/app.jar --media-type a/b --built-by ci --param B=1 --param A=x=y";
        let digest = HashAlg::Sha256.digest(b"jar");
        let text = head(&push(line), &digest, Some(3)).unwrap().to_payload();
        assert_eq!(
            String::from_utf8_lossy(text.as_bytes()),
            format!(
                "countersign-tag: 1\nsubject: app.jar\ndigest: {digest}\nsize: 3\nmedia-type: a/b\n\
                 built-by: ci\nparam.B: 1\nparam.A: x=y\n"
            )
        );
    }

    #[test]
    fn a_digest_alone_has_no_name() {
        let digest = HashAlg::Sha256.digest(b"image");
        let line = format!("app --digest {digest}");
        assert_eq!(head(&push(&line), &digest, None).unwrap_err().code(), 2);
        assert!(head(&push(&format!("{line} --subject repo/app")), &digest, None).is_ok());
    }

    #[tokio::test]
    async fn a_file_with_signatures_is_pushed_as_it_is_and_a_text_to_be_signed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("f");
        let options = push(&format!("app {}", file.display()));
        std::fs::write(&file, "build=42").unwrap();
        let found = text(&options).await.unwrap();
        assert!(matches!(found, Some(Text::Payload(payload)) if payload.as_bytes() == b"build=42\n"));
        std::fs::write(&file, "build=42\n=== SIGNATURE a\nAAAAAAAAAAAAAAAA\n").unwrap();
        assert!(matches!(text(&options).await.unwrap(), Some(Text::Signed(_))));
        std::fs::write(&file, "amount=1\n=== SIGNATURE zz\nlimit=none\n").unwrap();
        assert_eq!(text(&options).await.err().unwrap().code(), 1);
    }
}
