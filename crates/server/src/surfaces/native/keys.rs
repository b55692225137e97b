//! `/countersign/v1/keys`.

use axum::extract::State;
use axum::response::Response;
use countersign_core::keys::{self as core, ImportKey, NewKey};
use countersign_core::{Code, Page};
use countersign_model::Format;
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use zeroize::Zeroize as _;

use super::answer::{bytes, json, logged};
use super::wire;
use crate::app::App;
use crate::auth::Native;
use crate::call::{Call, CallOrNothing, Query, Segment, name, value};
use crate::problem::Problem;

/// Makes a key.
#[utoipa::path(
    post, path = "/countersign/v1/keys", tag = "keys", operation_id = "create_key",
    request_body = wire::CreateKey,
    responses((status = 201, body = wire::Key), (status = "default", body = wire::Problem))
)]
pub async fn create(State(app): State<App>, call: Call<wire::CreateKey>) -> Result<Response, Problem> {
    call.once(&app, |app, caller, body| async move {
        let new = NewKey {
            name: name("name", &body.name)?,
            key_type: value("type", &body.key_type)?,
            exportable: body.exportable,
            formats: formats(body.formats)?,
        };
        let made = core::create(&app.ctx, &caller, new).await?;
        created(&made)
    })
    .await
}

/// Takes in a private key.
#[utoipa::path(
    post, path = "/countersign/v1/keys/import", tag = "keys", operation_id = "import_key",
    request_body = wire::ImportKey,
    responses((status = 201, body = wire::Key), (status = "default", body = wire::Problem))
)]
pub async fn import(State(app): State<App>, call: Call<wire::ImportKey>) -> Result<Response, Problem> {
    call.once(&app, |app, caller, body| async move {
        let new = ImportKey {
            name: name("name", &body.name)?,
            pem: body.pem.into_secret(),
            passphrase: body.passphrase.map(wire::SecretText::into_secret),
            exportable: body.exportable,
            formats: formats(body.formats)?,
        };
        let made = core::import(&app.ctx, &caller, new).await?;
        created(&made)
    })
    .await
}

fn created(made: &countersign_core::Logged<core::KeyDocument>) -> Result<Response, Problem> {
    let mut response = logged(StatusCode::CREATED, made)?;
    // Only a surface's key has a `/` in its name.
    let name = made.value.name.as_str().replace('/', "%2F");
    if let Ok(location) = HeaderValue::try_from(format!("/countersign/v1/keys/{name}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

fn formats(names: Option<Vec<String>>) -> Result<Option<Vec<Format>>, Problem> {
    names.map(|names| names.iter().map(|text| value("formats", text)).collect()).transpose()
}

/// Lists the keys that the caller may read.
#[utoipa::path(
    get, path = "/countersign/v1/keys", tag = "keys", operation_id = "list_keys", params(wire::PageQuery),
    responses((status = 200, body = wire::KeyList), (status = "default", body = wire::Problem))
)]
pub async fn list(
    State(app): State<App>,
    Native(caller): Native,
    Query(query): Query<wire::PageQuery>,
) -> Result<Response, Problem> {
    let page = Page::new(query.limit, query.after)?;
    json(StatusCode::OK, &core::list(&app.ctx, &caller, &page)?)
}

/// Shows a key. `NAME.pem` is its public half in PEM, for anybody.
#[utoipa::path(
    get, path = "/countersign/v1/keys/{name}", tag = "keys", operation_id = "get_key",
    params(("name" = String, Path)),
    responses((status = 200, body = wire::Key), (status = "default", body = wire::Problem))
)]
pub async fn get(
    State(app): State<App>,
    segment: Segment,
    caller: Result<Native, Problem>,
) -> Result<Response, Problem> {
    // No key's name ends in `.pem`, so there is no doubt which is meant.
    if let Some(stem) = segment.text().and_then(|text| text.strip_suffix(".pem")) {
        let pem = core::public_pem(&app.ctx, &name("name", stem)?)?;
        return Ok(bytes(StatusCode::OK, "application/x-pem-file", pem));
    }
    let Native(caller) = caller?;
    json(StatusCode::OK, &core::get(&app.ctx, &caller, &segment.name("name")?)?)
}

/// Shows the key whose name is `import`: the route of [`import()`] stands before that of [`get`].
pub async fn get_named_import(app: State<App>, caller: Result<Native, Problem>) -> Result<Response, Problem> {
    get(app, Segment::literal("import"), caller).await
}

/// Gives the public half in PEM, to anybody. Served by the route of [`get`]: a path segment is either a
/// name or a parameter, not both.
#[utoipa::path(
    get, path = "/countersign/v1/keys/{name}.pem", tag = "keys", operation_id = "get_public_key",
    params(("name" = String, Path)), security(()),
    responses(
        (status = 200, body = String, content_type = "application/x-pem-file"),
        (status = "default", body = wire::Problem)
    )
)]
#[allow(dead_code, reason = "described only")]
pub(crate) fn pem() {}

/// Ends the signing of a key; what it signed still verifies.
#[utoipa::path(
    post, path = "/countersign/v1/keys/{name}/retire", tag = "keys", operation_id = "retire_key",
    params(("name" = String, Path)),
    responses((status = 200, body = wire::Key), (status = "default", body = wire::Problem))
)]
pub async fn retire(
    State(app): State<App>,
    segment: Segment,
    call: CallOrNothing<wire::Nothing>,
) -> Result<Response, Problem> {
    call.0
        .once(&app, |app, caller, _| async move {
            logged(StatusCode::OK, &core::retire(&app.ctx, &caller, &segment.name("name")?).await?)
        })
        .await
}

/// Revokes a key, for good.
#[utoipa::path(
    post, path = "/countersign/v1/keys/{name}/revoke", tag = "keys", operation_id = "revoke_key",
    params(("name" = String, Path)), request_body = wire::RevokeKey,
    responses((status = 200, body = wire::Key), (status = "default", body = wire::Problem))
)]
pub async fn revoke(
    State(app): State<App>,
    segment: Segment,
    call: Call<wire::RevokeKey>,
) -> Result<Response, Problem> {
    call.once(&app, |app, caller, body| async move {
        let name = segment.name("name")?;
        logged(StatusCode::OK, &core::revoke(&app.ctx, &caller, &name, body.reason).await?)
    })
    .await
}

/// Gives out an exportable key as encrypted PKCS#8.
#[utoipa::path(
    post, path = "/countersign/v1/keys/{name}/export", tag = "keys", operation_id = "export_key",
    params(("name" = String, Path)), request_body = wire::ExportKey,
    responses((status = 200, body = wire::ExportedKey), (status = "default", body = wire::Problem))
)]
pub async fn export(
    State(app): State<App>,
    segment: Segment,
    call: Call<wire::ExportKey>,
) -> Result<Response, Problem> {
    call.shown_once(&app, |app, caller, body| async move {
        let passphrase = body.passphrase.into_secret();
        let exported = core::export(&app.ctx, &caller, &segment.name("name")?, passphrase).await?;
        let pem = String::from_utf8(exported.value.0.clone())
            .map_err(|_| Problem::new(Code::Internal, "the exported key is not text"))?;
        let mut document = wire::ExportedKey { pem };
        let answer = json(StatusCode::OK, &document);
        document.pem.zeroize();
        let mut answer = answer?;
        if let Some(log) = &exported.log {
            super::answer::note_log(&mut answer, log);
        }
        Ok(answer)
    })
    .await
}
