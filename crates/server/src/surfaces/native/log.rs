//! `/countersign/v1/log`.

use axum::extract::{Path, State};
use axum::response::Response;
use countersign_core::Code;
use countersign_core::log as core;
use countersign_model::Name;
use http::StatusCode;

use super::answer::json;
use super::wire;
use crate::app::App;
use crate::auth::Native;
use crate::call::{Query, name};
use crate::problem::Problem;

/// Lists the logs, or with `request_id` the entries of one request. A long search is cut into pieces: the next
/// one begins `after` the answer's `next`.
#[utoipa::path(
    get, path = "/countersign/v1/log", tag = "log", operation_id = "list_logs", params(wire::LogQuery),
    responses((status = 200, body = wire::LogAnswer), (status = "default", body = wire::Problem))
)]
pub async fn logs(
    State(app): State<App>,
    Native(caller): Native,
    Query(query): Query<wire::LogQuery>,
) -> Result<Response, Problem> {
    match query.request_id {
        None if query.after.is_some() => {
            Err(Problem::invalid("after", "`after` goes on with a search for a `request_id`"))
        }
        None => json(StatusCode::OK, &core::heads(&app.ctx, &caller).await?),
        Some(id) => {
            let id = name("request_id", &id)?;
            let after = query.after.as_deref().map(str::parse).transpose()?;
            json(StatusCode::OK, &core::by_request(&app.ctx, &caller, &id, after).await?)
        }
    }
}

/// Shows an entry, with the proof that it is in the log.
#[utoipa::path(
    get, path = "/countersign/v1/log/{origin}/{index}", tag = "log", operation_id = "get_entry",
    params(("origin" = String, Path), ("index" = u64, Path)),
    responses((status = 200, body = wire::ProvenEntry), (status = "default", body = wire::Problem))
)]
pub async fn entry(
    State(app): State<App>,
    caller: Result<Native, Problem>,
    path: Result<Path<(String, String)>, axum::extract::rejection::PathRejection>,
) -> Result<Response, Problem> {
    let Native(caller) = caller?;
    let Path((origin, index)) = path.map_err(|_| Problem::new(Code::InvalidName, "the path is not UTF-8"))?;
    let origin: Name = name("origin", &origin)?;
    let number = index.parse::<u64>().ok().filter(|number| number.to_string() == index);
    let index = number.ok_or_else(|| Problem::invalid("index", "an index is a decimal number"))?;
    json(StatusCode::OK, &core::entry(&app.ctx, &caller, &origin, index).await?)
}
