//! `/sign/…` and `/signature`.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use countersign_core::autograph::{
    self as core, Asked, AskedFiles, Content, Encoding, File, How, Prepared, check_file_name,
};
use countersign_model::HashAlg;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use serde::Deserialize;

use super::error::Refusal;
use super::hawk::{self, Client, Posted, beside};
use super::wire::{self, Bounded, MAX_REQUESTS, SeedAnswer, text};
use crate::app::{App, Meta};
use crate::body::Held;
use crate::call::unhurried;
use crate::problem::Problem;

/// Signs data.
pub async fn data(State(app): State<App>, request: Request) -> Response {
    answering(request, async |parts, body| sign(&app, parts, body, How::Data).await).await
}

/// Signs hashes.
pub async fn hash(State(app): State<App>, request: Request) -> Response {
    answering(request, async |parts, body| sign(&app, parts, body, How::Hash).await).await
}

/// Refuses: no signer here puts its signature into a file.
pub async fn file(State(app): State<App>, request: Request) -> Response {
    answering(request, async |parts, body| sign(&app, parts, body, How::File).await).await
}

/// Clear-signs files.
pub async fn files(State(app): State<App>, request: Request) -> Response {
    answering(request, async |parts, body| sign_files(&app, parts, body).await).await
}

/// Signs as the first version of the service did.
pub async fn seed(State(app): State<App>, request: Request) -> Response {
    answering(request, async |parts, body| sign_as_seed(&app, parts, body).await).await
}

/// Writes refusals with the request's id.
pub async fn answering(
    request: Request,
    work: impl AsyncFnOnce(&Parts, Body) -> Result<Response, Refusal>,
) -> Response {
    let (parts, body) = request.into_parts();
    let answer = work(&parts, body).await;
    answer.unwrap_or_else(|refusal| refusal.render(parts.extensions.get::<Meta>()))
}

async fn sign(app: &App, parts: &Parts, body: Body, how: How) -> Result<Response, Refusal> {
    let Posted { client, body } = hawk::posted(app, parts, body).await?;
    let work = move |app: &App, client: &Client, body: &[u8]| prepare(app, client, body, how);
    let (client, prepared) = on_body(app, client, body, work).await?;
    let ctx = app.ctx.clone();
    let signed = unhurried(app, async move { core::sign(&ctx, &client.caller, prepared).await }).await??;
    json(StatusCode::CREATED, wire::list(&signed))
}

fn prepare(app: &App, client: &Client, body: &[u8], how: How) -> Result<Prepared, Refusal> {
    let requests: Bounded<wire::Request<'_>, MAX_REQUESTS> = read(body)?;
    let mut asked = Vec::with_capacity(requests.0.len());
    for (i, request) in requests.0.iter().enumerate() {
        let input = text(&request.input).ok_or_else(|| missing_input(i))?;
        asked.push(Asked { key_id: text(&request.keyid), content: Content::Base64(input), how });
    }
    Ok(core::prepare(&app.autograph, &app.ctx, &client.caller, &client.id, &asked)?)
}

async fn sign_as_seed(app: &App, parts: &Parts, body: Body) -> Result<Response, Refusal> {
    let Posted { client, body } = hawk::posted(app, parts, body).await?;
    let (client, (prepared, forms)) = on_body(app, client, body, prepare_seed).await?;
    let ctx = app.ctx.clone();
    let signed = unhurried(app, async move { core::sign(&ctx, &client.caller, prepared).await }).await??;
    let answers: Vec<SeedAnswer> = signed
        .into_iter()
        .zip(forms)
        .map(|(signed, (hash, encoding))| SeedAnswer::new(signed, hash, encoding.to_owned()))
        .collect();
    json(StatusCode::CREATED, serde_json::to_vec(&answers))
}

/// How the client of a seed request has its signature named: the hash, and the encoding.
type SeedForm = (Option<String>, &'static str);

fn prepare_seed(app: &App, client: &Client, body: &[u8]) -> Result<(Prepared, Vec<SeedForm>), Refusal> {
    let requests: Bounded<wire::SeedRequest<'_>, MAX_REQUESTS> = read(body)?;
    let (mut asked, mut forms) = (Vec::new(), Vec::new());
    for (i, request) in requests.0.iter().enumerate() {
        let input = text(&request.input).ok_or_else(|| missing_input(i))?;
        let (how, form) = how_of(request)?;
        asked.push(Asked { key_id: text(&request.keyid), content: Content::Base64(input), how });
        forms.push(form);
    }
    let prepared = core::prepare(&app.autograph, &app.ctx, &client.caller, &client.id, &asked)?;
    Ok((prepared, forms))
}

fn how_of(request: &wire::SeedRequest<'_>) -> Result<(How, SeedForm), Refusal> {
    let hash = match text(&request.hashwith) {
        None => None,
        Some("sha256") => Some(HashAlg::Sha256),
        Some("sha384") => Some(HashAlg::Sha384),
        Some("sha512") => Some(HashAlg::Sha512),
        Some(_) => return Err(Refusal::bad_request("unsupported digest algorithm")),
    };
    let prefixed = match text(&request.template) {
        None => false,
        Some("content-signature") if hash.is_some() => true,
        Some(_) => return Err(Refusal::bad_request("unknown template, or one without a digest algorithm")),
    };
    let (encoding, name) = match text(&request.signature_encoding) {
        None | Some("rs_base64url") => (Encoding::RsBase64Url, "rs_base64url"),
        Some("rs_base64") => (Encoding::RsBase64, "rs_base64"),
        Some("der_base64") => (Encoding::DerBase64, "der_base64"),
        Some("der_base64url") => (Encoding::DerBase64Url, "der_base64url"),
        Some(_) => return Err(Refusal::bad_request("unknown encoding format")),
    };
    Ok((How::Seed { hash, prefixed, encoding }, (hash.map(|hash| hash.as_str().to_owned()), name)))
}

async fn sign_files(app: &App, parts: &Parts, body: Body) -> Result<Response, Refusal> {
    let Posted { client, body } = hawk::posted(app, parts, body).await?;
    // The files are decoded, signed and encoded again: the place is kept until the answer was sent.
    let place = body.place.clone();
    let (client, asked) = on_body(app, client, body, |_, _, body| read_files(body)).await?;
    let (work, kept) = (app.clone(), place.clone());
    let signed = unhurried(app, async move {
        let (app, Client { caller, id }) = (work, client);
        let signed = core::sign_files(&app.autograph, &app.ctx, &caller, &id, asked).await;
        drop(kept);
        signed
    });
    let signed = signed.await??;
    let bytes = wire::list(&signed).map_err(unwritten)?;
    Ok(with_type(StatusCode::CREATED, Body::from(place.tie(bytes))))
}

fn read_files(body: &[u8]) -> Result<Vec<AskedFiles>, Refusal> {
    let requests: Bounded<wire::Request<'_>, MAX_REQUESTS> = read(body)?;
    let files_of = |(i, request): (usize, &wire::Request<'_>)| {
        if text(&request.input).is_some() {
            let why = format!("input should be empty in sign files signature request {i}");
            return Err(Refusal::bad_request(why));
        }
        let files = request.files.as_ref().filter(|files| !files.0.is_empty()).ok_or_else(|| {
            Refusal::bad_request(format!("missing Files in sign files signature request {i}"))
        })?;
        let file = |file: &wire::File<'_>| {
            check_file_name(&file.name.0)?;
            Ok(File { name: file.name.0.to_string(), bytes: Content::Base64(&file.content.0).bytes()? })
        };
        let files: Result<Vec<File>, core::Error> = files.0.iter().map(file).collect();
        Ok(AskedFiles { key_id: text(&request.keyid).map(str::to_owned), files: files? })
    };
    requests.0.iter().enumerate().map(files_of).collect()
}

fn missing_input(i: usize) -> Refusal {
    Refusal::bad_request(format!("missing input in signature request {i}"))
}

/// Gives the body to `work`, beside the threads that serve requests if it is long, then lets go of it.
async fn on_body<T: Send + 'static>(
    app: &App,
    client: Client,
    body: Held,
    work: impl FnOnce(&App, &Client, &[u8]) -> Result<T, Refusal> + Send + 'static,
) -> Result<(Client, T), Refusal> {
    let app = app.clone();
    beside(body.bytes.len(), move || {
        let done = work(&app, &client, &body.bytes)?;
        Ok((client, done))
    })
    .await?
}

/// Reads a list. Of what is wrong only the place is said: serde's words may have the client's in them.
fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    // As the original has it: nothing shorter can be a request.
    if body.len() < 10 {
        return Err(Refusal::bad_request("empty or invalid request request body"));
    }
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let what = if error.is_data() { "wrong form" } else { "not JSON" };
        Refusal::bad_request(format!("failed to parse request body: {what} at line {line} column {column}"))
    })
}

/// A JSON answer.
pub fn json(status: StatusCode, body: Result<Vec<u8>, serde_json::Error>) -> Result<Response, Refusal> {
    Ok(with_type(status, Body::from(body.map_err(unwritten)?)))
}

fn with_type(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn unwritten(error: serde_json::Error) -> Refusal {
    Problem::from(countersign_core::Error::Internal(error.to_string())).into()
}
