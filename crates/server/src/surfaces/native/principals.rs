//! `/countersign/v1/principals` and `/countersign/v1/tokens`.

use axum::extract::State;
use axum::response::Response;
use countersign_core::Page;
use countersign_core::principals::{self as core, Expiry, NewToken};
use countersign_model::Name;
use http::{HeaderValue, StatusCode};

use super::answer::{bytes, json, logged, note_log};
use super::wire;
use crate::app::App;
use crate::auth::Native;
use crate::call::{Call, CallOrNothing, Query, Segment, name};
use crate::problem::Problem;

/// Makes a principal.
#[utoipa::path(
    post, path = "/countersign/v1/principals", tag = "principals", operation_id = "create_principal",
    request_body = wire::CreatePrincipal,
    responses((status = 201, body = wire::Principal), (status = "default", body = wire::Problem))
)]
pub async fn create(State(app): State<App>, call: Call<wire::CreatePrincipal>) -> Result<Response, Problem> {
    call.once(&app, |app, caller, body| async move {
        let principal: Name = name("name", &body.name)?;
        let roles = body.roles.iter().map(|role| name("roles", role)).collect::<Result<_, _>>()?;
        let made = core::create(&app.ctx, &caller, principal, roles).await?;
        let mut response = logged(StatusCode::CREATED, &made)?;
        let location = format!("/countersign/v1/principals/{}", made.value.name);
        if let Ok(location) = HeaderValue::try_from(location) {
            response.headers_mut().insert(http::header::LOCATION, location);
        }
        Ok(response)
    })
    .await
}

/// Lists the principals that the caller may read.
#[utoipa::path(
    get, path = "/countersign/v1/principals", tag = "principals", operation_id = "list_principals",
    params(wire::PageQuery),
    responses((status = 200, body = wire::PrincipalList), (status = "default", body = wire::Problem))
)]
pub async fn list(
    State(app): State<App>,
    Native(caller): Native,
    Query(query): Query<wire::PageQuery>,
) -> Result<Response, Problem> {
    let page = Page::new(query.limit, query.after)?;
    json(StatusCode::OK, &core::list(&app.ctx, &caller, &page)?)
}

/// Shows a principal.
#[utoipa::path(
    get, path = "/countersign/v1/principals/{name}", tag = "principals", operation_id = "get_principal",
    params(("name" = String, Path)),
    responses((status = 200, body = wire::Principal), (status = "default", body = wire::Problem))
)]
pub async fn get(
    State(app): State<App>,
    Native(caller): Native,
    segment: Segment,
) -> Result<Response, Problem> {
    json(StatusCode::OK, &core::get(&app.ctx, &caller, &segment.name("name")?)?)
}

/// Refuses all credentials of a principal from now on.
#[utoipa::path(
    post, path = "/countersign/v1/principals/{name}/disable", tag = "principals",
    operation_id = "disable_principal", params(("name" = String, Path)),
    responses((status = 200, body = wire::Principal), (status = "default", body = wire::Problem))
)]
pub async fn disable(
    State(app): State<App>,
    segment: Segment,
    call: CallOrNothing<wire::Nothing>,
) -> Result<Response, Problem> {
    call.0
        .once(&app, |app, caller, _| async move {
            logged(StatusCode::OK, &core::disable(&app.ctx, &caller, &segment.name("name")?).await?)
        })
        .await
}

/// Makes a token, which is shown in this answer only.
#[utoipa::path(
    post, path = "/countersign/v1/principals/{name}/tokens", tag = "principals",
    operation_id = "create_token", params(("name" = String, Path)), request_body = wire::CreateToken,
    responses((status = 201, body = wire::TokenMade), (status = "default", body = wire::Problem))
)]
pub async fn create_token(
    State(app): State<App>,
    segment: Segment,
    call: CallOrNothing<wire::CreateToken>,
) -> Result<Response, Problem> {
    call.0
        .shown_once(&app, |app, caller, body| async move {
            let owner = segment.name("name")?;
            let new = NewToken {
                label: body.label,
                expires: expiry(body.expires)?,
                actions: body.actions,
                resources: body.resources,
            };
            logged(StatusCode::CREATED, &core::create_token(&app.ctx, &caller, &owner, new).await?)
        })
        .await
}

/// Lists all tokens of a principal, without their secrets.
#[utoipa::path(
    get, path = "/countersign/v1/principals/{name}/tokens", tag = "principals",
    operation_id = "list_tokens", params(("name" = String, Path)),
    responses((status = 200, body = wire::TokenList), (status = "default", body = wire::Problem))
)]
pub async fn tokens(
    State(app): State<App>,
    Native(caller): Native,
    segment: Segment,
) -> Result<Response, Problem> {
    json(StatusCode::OK, &core::tokens(&app.ctx, &caller, &segment.name("name")?).await?)
}

/// Makes a Hawk pair, whose secret is shown in this answer only.
#[utoipa::path(
    post, path = "/countersign/v1/principals/{name}/hawk", tag = "principals",
    operation_id = "create_hawk", params(("name" = String, Path)), request_body = wire::CreateHawk,
    responses((status = 201, body = wire::HawkMade), (status = "default", body = wire::Problem))
)]
pub async fn create_hawk(
    State(app): State<App>,
    segment: Segment,
    call: CallOrNothing<wire::CreateHawk>,
) -> Result<Response, Problem> {
    call.0
        .shown_once(&app, |app, caller, body| async move {
            let owner = segment.name("name")?;
            let expires = expiry(body.expires)?;
            let made = core::create_hawk(&app.ctx, &caller, &owner, body.label, expires).await?;
            logged(StatusCode::CREATED, &made)
        })
        .await
}

fn expiry(expires: Option<Option<String>>) -> Result<Expiry, Problem> {
    Ok(match expires {
        None => Expiry::Default,
        Some(None) => Expiry::Never,
        Some(Some(time)) => Expiry::At(
            time.parse().map_err(|_| Problem::invalid("expires", "`expires` is not an RFC 3339 time"))?,
        ),
    })
}

/// Revokes a token or a Hawk pair, at once.
#[utoipa::path(
    delete, path = "/countersign/v1/tokens/{id}", tag = "principals", operation_id = "revoke_token",
    params(("id" = String, Path)),
    responses((status = 204), (status = "default", body = wire::Problem))
)]
pub async fn revoke_token(
    State(app): State<App>,
    Native(caller): Native,
    segment: Segment,
) -> Result<Response, Problem> {
    let id = segment.into_text()?;
    let work = {
        let app = app.clone();
        async move { core::revoke_token(&app.ctx, &caller, &id).await }
    };
    let log = crate::call::unhurried(&app, work).await??;
    let mut response = bytes(StatusCode::NO_CONTENT, "application/json", axum::body::Body::empty());
    response.headers_mut().remove(http::header::CONTENT_TYPE);
    if let Some(log) = &log {
        note_log(&mut response, log);
    }
    Ok(response)
}
