//! Files that belong to records: `POST` and `DELETE …/records/R/attachment`, and `GET /attachments/LOCATION`.

use axum::body::Body as HttpBody;
use bytes::Bytes;
use countersign_core::Code;
use countersign_core::collections::attachment::{self, Upload};
use countersign_core::collections::call::How;
use countersign_core::collections::{Answer, Conditions, Error, ObjectUri, Who};
use http::request::Parts;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::asked::Asked;
use super::error::Refusal;
use super::form::{self, Form};
use super::reply::Reply;
use super::turns::Work;
use super::{headers, parse};
use crate::app::App;
use crate::body::Arriving;
use crate::call::unhurried;
use crate::problem::Problem;

/// Where files are, with a slash at the end.
pub fn base_url(base: &str) -> String {
    format!("{base}/v1/attachments/")
}

/// `POST` gives a record a file, and makes the record if there is none; `DELETE` takes it.
///
/// # Errors
/// 401 and 403 as for writing the record; 400, 413 and 415 for a body that is no form with a file.
pub async fn answer(
    app: &App,
    parts: &Parts,
    body: HttpBody,
    asked: &Asked,
    who: Who,
    record: &ObjectUri,
) -> Result<Reply, Refusal> {
    let conditions = parse::conditions(&parts.headers);
    if asked.method == Method::DELETE {
        let (app_of_work, record) = (app.clone(), record.clone());
        let work = async move {
            let _turn = app_of_work.collections.turns.take(Work::Write).await?;
            Ok::<_, Refusal>(attachment::detach(&app_of_work.ctx, &who, &record, conditions).await)
        };
        return match unhurried(app, work).await?? {
            Answer::Refused(error) => Err(error.into()),
            _ => Ok(Reply::empty(StatusCode::NO_CONTENT)),
        };
    }
    // Before the file is read, which may be long.
    if who.user.is_none() {
        return Err(Error::Unauthorized.into());
    }
    let boundary = form::boundary(&parts.headers)?;
    let limit = app.config.collections().attachment_mib.min(app.config.limits.body_mib);
    let limit = u64::from(limit) << 20;
    let held = Arriving::new(&parts.headers, body, limit)?.held().await?;
    let (form, room) = (form::read(held.bytes, boundary).await?, held.place);
    let answer = {
        let (app, record) = (app.clone(), record.clone());
        let work = attach(app.clone(), who, record, conditions, form);
        unhurried(&app, work).await??
    };
    drop(room);
    let base = headers::base_url(app, &parts.headers);
    attached(answer, format!("{base}/v1{record}"))
}

async fn attach(
    app: App,
    who: Who,
    record: ObjectUri,
    conditions: Conditions,
    form: Form,
) -> Result<Answer, Refusal> {
    let _turn = app.collections.turns.take(Work::Write).await?;
    let Form { file, data, permissions } = form;
    let upload =
        Upload { filename: file.name, mimetype: file.mimetype, content: file.content, data, permissions };
    Ok(attachment::attach(&app.ctx, &who, &record, conditions, upload).await)
}

/// The file as the record has it now.
///
/// - `location`: the record.
fn attached(answer: Answer, location: String) -> Result<Reply, Refusal> {
    #[derive(Deserialize)]
    struct Record<'a> {
        #[serde(borrow)]
        attachment: &'a RawValue,
    }
    let (how, data, timestamp) = match answer {
        Answer::Object { how, data, timestamp, .. } => (how, data, timestamp),
        Answer::Refused(error) => return Err(error.into()),
        _ => return Err(Problem::new(Code::Internal, "no record").into()),
    };
    let record: Record<'_> =
        serde_json::from_str(&data).map_err(|_| Problem::new(Code::Internal, "no attachment"))?;
    let status = if how == How::Created { StatusCode::CREATED } else { StatusCode::OK };
    let body = Bytes::copy_from_slice(record.attachment.get().as_bytes());
    Ok(Reply::json(status, body).stamped(timestamp).with("Location", location))
}

/// `GET /attachments/LOCATION`. A file never changes under its name. It is something to be saved, not a page of
/// ours: whoever may write a record chose what is in it.
///
/// # Errors
/// 404; 503 if the place of files does not answer.
pub async fn file(app: &App, location: &str) -> Result<Reply, Refusal> {
    let content = attachment::file(&app.ctx, location).await?.ok_or_else(Refusal::nowhere)?;
    let reply = Reply { body: content, ..Reply::empty(StatusCode::OK) };
    Ok(reply
        .with("Content-Type", media_type(location))
        .with("Content-Disposition", "attachment")
        .with("Cache-Control", "public, max-age=31536000, immutable"))
}

/// The type of a file by its extension, of those that no browser runs.
fn media_type(location: &str) -> &'static str {
    let extension = location.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension {
        "avif" => "image/avif",
        "gif" => "image/gif",
        "jpeg" | "jpg" => "image/jpeg",
        "png" => "image/png",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "csv" => "text/csv; charset=utf-8",
        "txt" => "text/plain; charset=utf-8",
        "json" => "application/json",
        "gz" => "application/gzip",
        "zip" => "application/zip",
        _ => "application/octet-stream",
    }
}
