//! `/countersign/v1/keys/NAME/sign`, `/countersign/v1/sign`, `/countersign/v1/verify`.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_core::signing::format::Parameters;
use countersign_core::signing::{self as core, Content, SignAnswer, SignRequest, VerifyKey, VerifyRequest};
use countersign_core::{Caller, Code};
use countersign_model::digest::{Hasher, sha256};
use countersign_model::{Encoding, HashAlg, KeyName, PublicKey, Scheme, Surface};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use serde::Serialize;

use super::answer::{bytes, json, note_log};
use super::format::Members;
use super::service::BATCH_ITEMS;
use super::wire;
use crate::accept::Accepted;
use crate::app::App;
use crate::auth;
use crate::body::{self, Arriving};
use crate::call::{Call, RawCall, Segment, beside, name, query, unhurried, value};
use crate::idempotency::{self, Once};
use crate::problem::{self, Problem};

/// Signs one content. The body is a document, or with `application/octet-stream` the message itself, which
/// is hashed as it arrives; the document's other members are then in the query.
#[utoipa::path(
    post, path = "/countersign/v1/keys/{name}/sign", tag = "signing", operation_id = "sign",
    params(("name" = String, Path), wire::SignQuery),
    request_body(content(
        (wire::Sign = "application/json"),
        (Vec<u8> = "application/octet-stream")
    )),
    responses(
        (status = 200, description = "With `Accept: application/octet-stream` the bare signature",
            content((wire::Signature = "application/json"), (Vec<u8> = "application/octet-stream"))),
        (status = "default", body = wire::Problem)
    )
)]
pub async fn one(State(app): State<App>, segment: Segment, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let caller = auth::caller(&app, &parts.headers, &parts.extensions, Surface::Native)?;
    if body::is_octets(&parts.headers) {
        return stream(app, caller, parts, body, segment).await;
    }

    let bytes = body::read_json(&parts.headers, body, app.config.limits.native_json()).await?;
    if parts.uri.query().is_some_and(|query| !query.is_empty()) {
        let why = "the query is for a streamed body only: a document has its members inside";
        return Err(Problem::new(Code::InvalidRequest, why));
    }
    let key = segment.name("name")?;
    let once =
        Once::key(&parts.method, &parts.headers)?.map(|key| Once::of(key, &parts.method, &parts.uri, &bytes));
    let request = beside(bytes, move |bytes| sign_request(key, body::parse(bytes)?)).await?;

    let form = Form::wanted(&parts.headers);
    match once {
        None => sign(&app, &caller, request, form).await,
        Some(once) => {
            let work = {
                let (app, caller) = (app.clone(), caller.clone());
                async move { sign(&app, &caller, request, form).await }
            };
            unhurried(&app, idempotency::run(app.clone(), caller, once, work)).await?
        }
    }
}

/// How the answer is written.
#[derive(Clone, Copy)]
enum Form {
    Document,
    Bare,
}

impl Form {
    /// The bare form for who names its type, and likes the other one no better.
    fn wanted(headers: &HeaderMap) -> Self {
        let accepted = Accepted::of(headers);
        let bare = accepted.named("application/octet-stream");
        if bare > 0 && bare >= accepted.quality("application/json") { Self::Bare } else { Self::Document }
    }
}

async fn sign(app: &App, caller: &Caller, request: SignRequest, form: Form) -> Result<Response, Problem> {
    let answer = core::sign_one(&app.ctx, caller, request).await?;
    app.metrics.signed(answer.scheme, answer.log.index);
    let log = answer.log.clone();
    let mut response = match form {
        Form::Document => json(StatusCode::OK, &answer)?,
        Form::Bare => bytes(StatusCode::OK, "application/octet-stream", answer.signature),
    };
    note_log(&mut response, &log);
    Ok(response)
}

fn sign_request(key: KeyName, wire: wire::Sign) -> Result<SignRequest, Problem> {
    let format = Members {
        format: wire.format.as_deref(),
        certificate: wire.certificate.as_deref(),
        variable: wire.variable.as_deref(),
        append: wire.append,
        signing_time: wire.signing_time,
    };
    Ok(SignRequest {
        key,
        scheme: wire.scheme.as_deref().map(|text| value("scheme", text)).transpose()?,
        format: format.read()?,
        content: content(wire.message.as_deref(), wire.digest.as_deref())?,
        encoding: encoding(wire.encoding.as_deref())?,
        subject: wire.subject,
    })
}

fn content(message: Option<&str>, digest: Option<&str>) -> Result<Content, Problem> {
    match (message, digest) {
        (Some(message), None) => base64("message", message).map(Content::Message),
        (None, Some(digest)) => Ok(Content::from_digest_text(digest)?),
        _ => Err(ambiguous("exactly one of `message` and `digest` is given")),
    }
}

fn ambiguous(why: &str) -> Problem {
    Problem::new(Code::AmbiguousInput, format!("what to sign is not clear: {why}"))
}

fn base64(member: &'static str, text: &str) -> Result<Vec<u8>, Problem> {
    let why = || Problem::invalid(member, format!("`{member}` is not base64 (RFC 4648, 4, with padding)"));
    STANDARD.decode(text).map_err(|_| why())
}

fn encoding(text: Option<&str>) -> Result<Option<Encoding>, Problem> {
    match text {
        None => Ok(None),
        Some("der") => Ok(Some(Encoding::Der)),
        Some("raw") => Ok(Some(Encoding::Raw)),
        Some(_) => Err(Problem::invalid("encoding", "`encoding` is `der` or `raw`")),
    }
}

/// Signs a body as it arrives. Permission and the state of the key are checked before it is read.
async fn stream(
    app: App,
    caller: Caller,
    parts: Parts,
    body: Body,
    segment: Segment,
) -> Result<Response, Problem> {
    let streamed_limit = app.config.limits.streamed();
    let body = Arriving::new(&parts.headers, body, streamed_limit)?;
    let wire: wire::SignQuery = query(&parts.uri)?;
    if wire.message.is_some() || wire.digest.is_some() {
        return Err(ambiguous("the body is the message, and another is in the query"));
    }
    let key: KeyName = segment.name("name")?;
    let scheme: Option<Scheme> = wire.scheme.as_deref().map(|text| value("scheme", text)).transpose()?;
    let encoding = encoding(wire.encoding.as_deref())?;
    let format = Members {
        format: wire.format.as_deref(),
        certificate: wire.certificate.as_deref(),
        variable: wire.variable.as_deref(),
        append: wire.append,
        signing_time: wire.signing_time,
    };
    let format = format.read()?;
    core::check_subject(wire.subject.as_deref())?;
    let once = Once::key(&parts.method, &parts.headers)?;

    let wanted = format.as_ref().map(Parameters::format);
    let plan = match core::plan_stream(&app.ctx, &caller, &key, scheme, encoding, wanted) {
        Ok(plan) => plan,
        // The rest of the body would be read for nothing.
        Err(error) if once.is_none() => return Err(Problem::from(error).close()),
        // This may be a replay of an answer from before the refusal.
        Err(error) => {
            let (_, input) = hash(body, HashAlg::Sha256).await?;
            let refused = async move { Err(Problem::from(error)) };
            return finish_stream(app, caller, &parts, once, input, refused).await;
        }
    };
    let body = body.with_limit(plan.limit)?;
    let (content, input) = match plan.hash {
        Some(alg) => {
            let (hasher, input) = hash(body, alg).await?;
            (Content::Streamed { hasher, input }, input)
        }
        None => {
            let message = body.all().await?;
            let input = if once.is_some() { sha256(&message) } else { [0; 32] };
            (Content::Message(message.into()), input)
        }
    };
    let (scheme, subject) = (Some(plan.scheme), wire.subject);
    let request = SignRequest { key, scheme, format, content, encoding, subject };
    let form = Form::wanted(&parts.headers);
    let work = {
        let (app, caller) = (app.clone(), caller.clone());
        async move { sign(&app, &caller, request, form).await }
    };
    finish_stream(app, caller, &parts, once, input, work).await
}

async fn finish_stream(
    app: App,
    caller: Caller,
    parts: &Parts,
    once: Option<countersign_core::idempotency::IdempotencyKey>,
    input: [u8; 32],
    work: impl Future<Output = Result<Response, Problem>> + Send + 'static,
) -> Result<Response, Problem> {
    let Some(key) = once else { return work.await };
    let once = Once::of_digest(key, &parts.method, &parts.uri, &input);
    unhurried(&app, idempotency::run(app.clone(), caller, once, work)).await?
}

/// Hashes a body as it arrives: by `alg`, which stays open, and by SHA-256.
async fn hash(mut body: Arriving, alg: HashAlg) -> Result<(Hasher, [u8; 32]), Problem> {
    let mut hasher = Hasher::new(alg);
    let mut input = (alg != HashAlg::Sha256).then(|| Hasher::new(HashAlg::Sha256));
    while let Some(bytes) = body.next().await? {
        hasher.update(&bytes);
        if let Some(input) = &mut input {
            input.update(&bytes);
        }
    }
    let of_input = input.unwrap_or_else(|| hasher.clone()).finish();
    let mut input = [0; 32];
    input.copy_from_slice(of_input.as_bytes());
    Ok((hasher, input))
}

/// Signs many contents; one's refusal does not touch the others.
#[utoipa::path(
    post, path = "/countersign/v1/sign", tag = "signing", operation_id = "sign_batch",
    request_body = wire::SignBatchSchema,
    responses((status = 200, body = wire::SignatureBatch), (status = "default", body = wire::Problem))
)]
pub async fn batch(State(app): State<App>, RawCall(call): RawCall) -> Result<Response, Problem> {
    call.once(&app, |app, caller, bytes| async move {
        let items = beside(bytes, read_batch).await?;
        let results = sign_batch(&app, &caller, items).await;
        json(
            StatusCode::OK,
            &Results { results: results.iter().map(|r| ItemAnswer::new(r, &caller)).collect() },
        )
    })
    .await
}

fn read_batch(bytes: &[u8]) -> Result<Vec<Result<SignRequest, Problem>>, Problem> {
    let batch: wire::SignBatch<'_> = body::parse(bytes)?;
    if !(1..=BATCH_ITEMS as usize).contains(&batch.items.len()) {
        return Err(Problem::invalid("items", format!("a batch has 1 to {BATCH_ITEMS} items")));
    }
    let read = |text: &&serde_json::value::RawValue| {
        let item: wire::SignItem = body::parse(text.get().as_bytes())?;
        let wire::SignItem { key, scheme, message, digest, encoding, subject, format, .. } = item;
        let wire::SignItem { certificate, variable, append, signing_time, .. } = item;
        let written = wire::Sign {
            scheme,
            message,
            digest,
            encoding,
            subject,
            format,
            certificate,
            variable,
            append,
            signing_time,
        };
        sign_request(name("key", &key)?, written)
    };
    Ok(batch.items.iter().map(read).collect())
}

/// Sends on what could be read; every answer is in the place of its item.
async fn sign_batch(
    app: &App,
    caller: &Caller,
    items: Vec<Result<SignRequest, Problem>>,
) -> Vec<Result<SignAnswer, Problem>> {
    let mut readable = Vec::with_capacity(items.len());
    let mut places = Vec::with_capacity(items.len());
    for item in items {
        places.push(item.map(|request| readable.push(Ok(request))));
    }
    let mut signed = core::sign_batch(&app.ctx, caller, readable).await.into_iter();
    let answer = |place: Result<(), Problem>| {
        place?;
        let answer = signed.next().ok_or_else(|| Problem::new(Code::Internal, "the server failed"))??;
        app.metrics.signed(answer.scheme, answer.log.index);
        Ok(answer)
    };
    places.into_iter().map(answer).collect()
}

#[derive(Serialize)]
struct Results<'a> {
    results: Vec<ItemAnswer<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ItemAnswer<'a> {
    Signed(&'a SignAnswer),
    Refused { error: problem::Document<'a> },
}

impl<'a> ItemAnswer<'a> {
    fn new(result: &'a Result<SignAnswer, Problem>, caller: &'a Caller) -> Self {
        match result {
            Ok(answer) => Self::Signed(answer),
            Err(problem) => Self::Refused { error: problem.document(&caller.request_id) },
        }
    }
}

/// Checks a signature, for every principal.
#[utoipa::path(
    post, path = "/countersign/v1/verify", tag = "signing", operation_id = "verify",
    request_body = wire::Verify,
    responses((status = 200, body = wire::Verdict), (status = "default", body = wire::Problem))
)]
pub async fn verify(State(app): State<App>, call: Call<wire::Verify>) -> Result<Response, Problem> {
    call.once(&app, |app, caller, body| async move {
        let request = verify_request(body)?;
        json(StatusCode::OK, &core::verify(&app.ctx, &caller, request).await?)
    })
    .await
}

fn verify_request(wire: wire::Verify) -> Result<VerifyRequest, Problem> {
    let key = match (&wire.key, &wire.public_key) {
        (Some(text), None) => VerifyKey::Named(name("key", text)?),
        (None, Some(pem)) => {
            let key = PublicKey::from_pem(pem)
                .map_err(|error| Problem::new(Code::MalformedKey, error.to_string()).member("public_key"))?;
            VerifyKey::Public(Box::new(key))
        }
        _ => return Err(Problem::invalid("key", "exactly one of `key` and `public_key` is given")),
    };
    Ok(VerifyRequest {
        key,
        scheme: value("scheme", &wire.scheme)?,
        content: content(wire.message.as_deref(), wire.digest.as_deref())?,
        signature: base64("signature", &wire.signature)?,
        encoding: encoding(wire.encoding.as_deref())?,
    })
}
