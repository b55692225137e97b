//! Tags by name: `/tags/NAME`, `/tags/NAME.AUTHORITY.sig`, `/tags/`.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use countersign_core::Caller;
use countersign_core::tags::{
    self, Belief, Content, Error, Form, NewHead, OverOthers, TagName, WriteOutcome, Writer, Written,
};
use countersign_model::{Digest, HashAlg};
use http::header::{ETAG, IF_MATCH, LOCATION};
use http::request::Parts;
use http::{HeaderMap, HeaderName, StatusCode};
use serde::Serialize;

use super::entity_tag::{EntityTags, conditional, hex_digest, unless_known};
use super::error::{Refusal, Words};
use super::input::{Given, bad};
use super::stateless::{
    self, PAYLOAD_SHA256, add, add_log, digest_of, document, json_bytes, octets, text, waiting,
};
use super::{TagPath, caller, ceiling, count_write, done, once, path_text, tag_name};
use crate::app::App;
use crate::auth::Shown;
use crate::body::{Arriving, is_octets};
use crate::call::unhurried;

/// Which version is in the answer.
const VERSION: HeaderName = HeaderName::from_static("countersign-version");
/// The number of a write's entry in the publication log.
const PUBLICATION: HeaderName = HeaderName::from_static("countersign-publication");

/// `GET /tags/NAME`
pub async fn get(State(app): State<App>, path: TagPath, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    Words::of(&parts.headers).answer(read(&app, path, &parts).await)
}

async fn read(app: &App, path: TagPath, parts: &Parts) -> Result<Response, Refusal> {
    let mut given = Given::query(&parts.uri)?;
    let path = path_text(path)?;
    if let Some(signature) = path.strip_suffix(".sig") {
        return read_signature(app, signature, given, parts).await;
    }
    let name: TagName = path.parse::<TagName>()?;
    if given.switch("versions")? {
        let after = given.number("after")?.unwrap_or(0);
        let limit = limit(&mut given, 1000)?;
        given.done()?;
        return Ok(shown(parts, &tags::versions(&app.ctx, &name, after, limit).await?));
    }
    let version = given.number("version")?;
    let authorities = given.authorities()?;
    given.done()?;
    match authorities {
        None => {
            let stored = tags::get(&app.ctx, &name, version).await?;
            Ok(of_version(parts, stored.version, &stored.payload_sha256, text(stored.file)))
        }
        Some(authorities) => {
            let (version, verdict) = tags::get_judged(&app.ctx, &name, version, authorities).await?;
            if let Some(refusal) = verdict.refusal() {
                return Err(refusal.into());
            }
            let sha256 = verdict.payload_sha256;
            Ok(of_version(parts, version, &sha256, stateless::payload(verdict)))
        }
    }
}

async fn read_signature(app: &App, path: &str, mut given: Given, parts: &Parts) -> Result<Response, Refusal> {
    let version = given.number("version")?;
    let raw = given.switch("raw")? || wants_octets(&parts.headers);
    given.done()?;
    let found = tags::signature(&app.ctx, path, version).await?;
    let mut response = match raw {
        true => unless_known(&parts.headers, found.raw, octets),
        false => unless_known(&parts.headers, found.lines, text),
    };
    add(response.headers_mut(), VERSION, &found.version.to_string());
    add(response.headers_mut(), PAYLOAD_SHA256, &hex::encode(found.payload_sha256));
    Ok(response)
}

fn wants_octets(headers: &HeaderMap) -> bool {
    let accepted = crate::accept::Accepted::of(headers);
    accepted.named("application/octet-stream") > accepted.named("text/plain")
}

/// `GET /tags/?prefix=p`, and `?digest=sha256:HEX&authorities=a`
pub async fn list(State(app): State<App>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    Words::of(&parts.headers).answer(listed(&app, &parts).await)
}

async fn listed(app: &App, parts: &Parts) -> Result<Response, Refusal> {
    let mut given = Given::query(&parts.uri)?;
    let prefix = given.text("prefix")?.unwrap_or_default();
    let after = given.text("after")?;
    let limit = limit(&mut given, 100)?;
    let page = countersign_core::Page::new(Some(limit), after).map_err(Error::from)?;
    let digest = given.text("digest")?;
    let list = match digest {
        None => {
            given.done()?;
            tags::list(&app.ctx, &prefix, &page).await?
        }
        Some(digest) => {
            let digest = artifact_digest(&digest)?;
            let authorities = given.authorities()?.unwrap_or_default();
            given.done()?;
            tags::find_by_digest(&app.ctx, &digest, &authorities, &prefix, &page).await?
        }
    };
    Ok(shown(parts, &list))
}

/// A document, unless the client has it.
fn shown(parts: &Parts, document: &impl Serialize) -> Response {
    let bytes = serde_json::to_vec(document).unwrap_or_default();
    unless_known(&parts.headers, bytes, |bytes| json_bytes(StatusCode::OK, bytes))
}

fn limit(given: &mut Given, usual: u32) -> Result<u32, Refusal> {
    let limit = given.number("limit")?.unwrap_or(usual);
    if (1..=1000).contains(&limit) { Ok(limit) } else { Err(bad("`limit` is 1 to 1000".into())) }
}

/// `POST /tags/NAME`
pub async fn post(State(app): State<App>, path: TagPath, request: Request) -> Response {
    let words = Words::of(request.headers());
    words.answer(create(app, path, request, words).await)
}

async fn create(app: App, path: TagPath, request: Request, words: Words) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let mut given = Given::query(&parts.uri)?;
    let name = tag_name(path)?;
    let caller = caller(&app, &parts)?;
    count_write(&app, &parts, Some(&caller))?;
    if given.switch("restore")? {
        let mut given = given.with_body(&parts.headers, body, ceiling(&app)).await?;
        let once = once(&parts, &given.take_body())?;
        given.done()?;
        let (ctx, by) = (app.ctx.clone(), caller.clone());
        let work = async move { Ok(written(&tags::restore(&ctx, &by, &name).await?)) };
        return done(&app, &caller, once, words, work).await;
    }
    let mut hashed = None;
    if given.switch("hash")? {
        if !is_octets(&parts.headers) {
            return Err(bad("with `hash=1` the body is the artifact: `application/octet-stream`".into()));
        }
        if given.has("digest") {
            return Err(Error::Ambiguous("`hash` and `digest` are both given".into()).into());
        }
        hashed = Some(digest_of(Arriving::new(&parts.headers, body, app.config.limits.streamed())?).await?);
    } else {
        given = given.with_body(&parts.headers, body, ceiling(&app)).await?;
    }
    let body = given.take_body();
    let once = once(&parts, hashed.as_ref().map_or(&body, |(digest, _)| digest))?;
    drop(body);
    let belief = belief(&mut given, &parts.headers)?;
    let over_others = if given.switch("new_version")? { OverOthers::NewVersion } else { OverOthers::Refuse };
    let authorities = given.authorities()?.unwrap_or_default();
    let content = content(&mut given, hashed)?;
    given.done()?;

    let (ctx, by) = (app.ctx.clone(), caller.clone());
    let work = async move {
        Ok(outcome(tags::post(&ctx, &by, &name, &content, authorities, over_others, &belief).await?))
    };
    done(&app, &caller, once, words, work).await
}

/// What the tag shall say.
fn content(given: &mut Given, hashed: Option<([u8; 32], u64)>) -> Result<Content, Refusal> {
    let digest = given.text("digest")?;
    let text = given.payload()?;
    let (digest, size) = match (digest, hashed) {
        (None, None) => {
            let text = text.ok_or(Error::Empty)?;
            return Ok(Content::Text(tags::read_text(text, Form::Payload)?.payload().clone()));
        }
        (Some(digest), _) => (artifact_digest(&digest)?, given.number("size")?),
        (None, Some((digest, size))) => {
            let digest = Digest::new(HashAlg::Sha256, &digest).map_err(|error| bad(error.to_string()))?;
            (digest, Some(size))
        }
    };
    if text.is_some() {
        return Err(Error::Ambiguous("both a payload and an artifact's digest are given".into()).into());
    }
    let mut fields = Vec::new();
    for key in ["media-type", "built-by"] {
        fields.extend(given.text(key)?.map(|value| (key.to_owned(), value)));
    }
    fields.extend(given.job()?);
    let (subject, created) = (given.text("subject")?, given.text("created")?);
    Ok(Content::Artifact(NewHead { digest, subject, size, fields, created }))
}

fn artifact_digest(text: &str) -> Result<Digest, Refusal> {
    let digest = text.parse().ok().filter(|digest: &Digest| digest.alg() == HashAlg::Sha256);
    digest.ok_or_else(|| bad("`digest` is `sha256:` and 64 hex digits".into()))
}

/// `PUT /tags/NAME`
pub async fn put(State(app): State<App>, path: TagPath, request: Request) -> Response {
    let words = Words::of(request.headers());
    words.answer(add_signatures(app, path, request).await)
}

async fn add_signatures(app: App, path: TagPath, request: Request) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let given = Given::query(&parts.uri)?;
    let name = tag_name(path)?;
    let anonymous = app.config.tags().self_signed_writes && Shown::bearer_or_basic(&parts.headers)?.is_none();
    let caller = if anonymous { None } else { Some(caller(&app, &parts)?) };
    count_write(&app, &parts, caller.as_ref())?;
    let mut given = given.with_body(&parts.headers, body, ceiling(&app)).await?;
    let belief = belief(&mut given, &parts.headers)?;
    let ctx = app.ctx.clone();
    if let Some(file) = given.payload()? {
        let over_others =
            if given.switch("new_version")? { OverOthers::NewVersion } else { OverOthers::Refuse };
        given.done()?;
        let work = async move {
            let writer = caller.as_ref().map_or(Writer::SelfSigned, Writer::Caller);
            tags::merge(&ctx, writer, &name, file, over_others, &belief).await
        };
        return Ok(written(&unhurried(&app, work).await??));
    }
    // Without a file it is our key that signs, for somebody who may.
    let caller = match caller {
        Some(caller) => caller,
        None => super::caller(&app, &parts)?,
    };
    let authorities = given.authorities()?.unwrap_or_default();
    given.done()?;
    let work = async move { tags::countersign(&ctx, &caller, &name, authorities, &belief).await };
    Ok(outcome(unhurried(&app, work).await??))
}

/// `DELETE /tags/NAME`
pub async fn hide(State(app): State<App>, path: TagPath, request: Request) -> Response {
    let words = Words::of(request.headers());
    words.answer(hidden(app, path, request).await)
}

async fn hidden(app: App, path: TagPath, request: Request) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let given = Given::query(&parts.uri)?;
    let name = tag_name(path)?;
    let caller: Caller = caller(&app, &parts)?;
    count_write(&app, &parts, Some(&caller))?;
    let mut given = given.with_body(&parts.headers, body, ceiling(&app)).await?;
    let belief = belief(&mut given, &parts.headers)?;
    given.done()?;
    let ctx = app.ctx.clone();
    let log = unhurried(&app, async move { tags::hide(&ctx, &caller, &name, &belief).await }).await??;
    let mut response = Response::new(Body::empty());
    add_log(response.headers_mut(), log.as_ref());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

/// What the client believes the tag to be: `If-Match`, `sha256`, `version`.
fn belief(given: &mut Given, headers: &HeaderMap) -> Result<Belief, Refusal> {
    let mut belief = Belief { version: given.number("version")?, ..Belief::default() };
    if let Some(text) = given.text("sha256")? {
        let text = text.strip_prefix("sha256:").unwrap_or(&text);
        let digest = hex_digest(text).ok_or_else(|| bad("`sha256` is 64 hex digits".into()))?;
        belief.payload_sha256 = Some(vec![digest]);
    }
    if let Some(tags) = EntityTags::of(headers, &IF_MATCH) {
        if belief.payload_sha256.is_some() {
            return Err(Error::Ambiguous("`sha256` and `If-Match` are both given".into()).into());
        }
        if tags.any() {
            belief.exists = true;
        } else {
            // Weak ones and those of somebody else match nothing.
            belief.payload_sha256 = Some(tags.into_strong());
        }
    }
    Ok(belief)
}

/// The answer with its entity tag, or 304 if the client has it.
///
/// The entity tag is the digest of the payload: it stays the same when signatures are added.
fn of_version(parts: &Parts, version: u64, sha256: &[u8; 32], response: Response) -> Response {
    let mut response = conditional(&parts.headers, sha256, response);
    add_version(response.headers_mut(), version, &hex::encode(sha256));
    response
}

fn add_version(headers: &mut HeaderMap, version: u64, sha256: &str) {
    add(headers, ETAG, &format!("\"{sha256}\""));
    add(headers, VERSION, &version.to_string());
    add(headers, PAYLOAD_SHA256, sha256);
}

fn outcome(outcome: WriteOutcome) -> Response {
    match outcome {
        WriteOutcome::Written(made) => written(&made),
        WriteOutcome::Waiting(request) => waiting(&request),
    }
}

fn written(made: &Written) -> Response {
    let status = if made.created { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = document(status, &made.tag);
    let headers = response.headers_mut();
    add(headers, LOCATION, &format!("/tags/{}", made.tag.name));
    add_version(headers, made.tag.version, &made.tag.payload_sha256);
    add_log(headers, made.logs.first());
    if let Some(index) = made.index {
        add(headers, PUBLICATION, &index.to_string());
    }
    response
}
