//! `/countersign/v1/policy`.

use axum::extract::State;
use axum::response::Response;
use countersign_core::policy::{self as core, Question};
use http::header::{ETAG, IF_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::answer::{json, logged};
use super::wire;
use crate::app::App;
use crate::auth::{self, Native};
use crate::call::{Call, name, value};
use crate::problem::Problem;

/// Shows the policy in force.
#[utoipa::path(
    get, path = "/countersign/v1/policy", tag = "policy", operation_id = "get_policy",
    responses((status = 200, body = wire::Policy), (status = "default", body = wire::Problem))
)]
pub async fn get(State(app): State<App>, Native(caller): Native) -> Result<Response, Problem> {
    let policy = core::get(&app.ctx, &caller)?;
    Ok(tagged(json(StatusCode::OK, &policy)?, &policy))
}

/// Replaces all rules at once.
#[utoipa::path(
    put, path = "/countersign/v1/policy", tag = "policy", operation_id = "put_policy",
    params(("If-Match" = String, Header, description = "The `ETag` of the policy that was read")),
    request_body = wire::PutPolicy,
    responses((status = 200, body = wire::Policy), (status = "default", body = wire::Problem))
)]
pub async fn put(
    State(app): State<App>,
    headers: HeaderMap,
    call: Call<wire::PutPolicy>,
) -> Result<Response, Problem> {
    let if_match =
        auth::once(&headers, &IF_MATCH)?.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    call.once(&app, |app, caller, body| async move {
        let set = core::put(&app.ctx, &caller, body.rules, if_match.as_deref()).await?;
        Ok(tagged(logged(StatusCode::OK, &set)?, &set.value))
    })
    .await
}

fn tagged(mut response: Response, policy: &core::PolicyDocument) -> Response {
    if let Ok(tag) = HeaderValue::try_from(policy.etag()) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// Explains what the policy would decide.
#[utoipa::path(
    post, path = "/countersign/v1/policy/check", tag = "policy", operation_id = "check_policy",
    request_body = wire::CheckPolicy,
    responses((status = 200, body = wire::Decision), (status = "default", body = wire::Problem))
)]
pub async fn check(State(app): State<App>, call: Call<wire::CheckPolicy>) -> Result<Response, Problem> {
    call.once(&app, |app, caller, body| async move {
        let question = Question {
            principal: name("principal", &body.principal)?,
            action: value("action", &body.action)?,
            resource: value("resource", &body.resource)?,
            format: body.format.as_deref().map(|text| value("format", text)).transpose()?,
            scheme: body.scheme.as_deref().map(|text| value("scheme", text)).transpose()?,
        };
        json(StatusCode::OK, &core::check(&app.ctx, &caller, &question)?)
    })
    .await
}

/// Tries rules on requests of the past.
#[utoipa::path(
    post, path = "/countersign/v1/policy/test", tag = "policy", operation_id = "test_policy",
    request_body = wire::TestPolicy,
    responses((status = 200, body = wire::Replay), (status = "default", body = wire::Problem))
)]
pub async fn test(State(app): State<App>, call: Call<wire::TestPolicy>) -> Result<Response, Problem> {
    call.once(&app, |app, caller, body| async move {
        json(StatusCode::OK, &core::test(&app.ctx, &caller, body.rules, body.last).await?)
    })
    .await
}
