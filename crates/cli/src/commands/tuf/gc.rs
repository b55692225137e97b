//! `tuf gc`: what no client needs any more.

use http::Method;
use serde_json::{Value, json};

use super::service::Service;
use crate::args::CollectGarbage;
use crate::context::Context;
use crate::failure::{Failure, Outcome};

/// Has the server remove old files.
pub async fn run(context: &Context, options: &CollectGarbage) -> Result<Outcome, Failure> {
    let service = Service::of(context).await?;
    let path = format!("gc?dry_run={}", options.dry_run);
    let data = service.send(Method::POST, &path, &json!({})).await?;
    context.out.value(&data, |data| text(data, options.dry_run))?;
    Ok(Outcome::Done)
}

fn text(data: &Value, dry_run: bool) -> String {
    let count = |name: &str| data[name].as_u64().unwrap_or_default();
    let would = if dry_run { "would be removed" } else { "removed" };
    let (metadata, targets, bytes) = (count("metadata"), count("targets"), count("bytes"));
    format!("{metadata} metadata files and {targets} target files, {bytes} bytes, {would}")
}
