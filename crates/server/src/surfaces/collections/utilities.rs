//! What operators and balancers ask: heartbeats, the version, and for tests of clients `__flush__`.

use std::time::{Duration, Instant};

use countersign_core::collections::signer;
use countersign_core::collections::{Error, Who};
use http::StatusCode;
use serde_json::json;

use super::error::{RETRY_SECONDS, Refusal};
use super::reply::Reply;
use crate::app::App;

/// Whether the signer signed when it was last asked, and when that was.
#[derive(Default)]
pub struct Heartbeat(tokio::sync::Mutex<Option<(Instant, bool)>>);

/// The signer is asked at most this often.
const EVERY: Duration = Duration::from_secs(30);

/// `GET /__heartbeat__`: whether everything answers; the signer is asked for a signature.
pub async fn heartbeat(app: &App) -> Reply {
    let storage = app.ctx.store().ping().await.is_ok();
    let signer = signs(app).await;
    let good = storage && signer;
    let document = json!({"storage": storage, "permission": storage, "cache": true, "signer": signer});
    if good {
        return Reply::value(StatusCode::OK, &document);
    }
    Reply::value(StatusCode::SERVICE_UNAVAILABLE, &document).with("Retry-After", RETRY_SECONDS.to_string())
}

/// Held while the signer is asked, so that many who want to know cause one signature.
async fn signs(app: &App) -> bool {
    let mut last = app.collections.heartbeat.0.lock().await;
    if let Some((at, signs)) = *last
        && at.elapsed() < EVERY
    {
        return signs;
    }
    let signs = match signer::heartbeat(&app.ctx).await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(%error, "the signer of the collections does not sign");
            false
        }
    };
    *last = Some((Instant::now(), signs));
    signs
}

/// `GET /__version__`
pub fn version() -> Reply {
    let document = json!({"name": "countersign", "version": env!("CARGO_PKG_VERSION"), "source": "", "commit": "", "build": ""});
    Reply::value(StatusCode::OK, &document)
}

/// `POST /__flush__`: empties everything, where that is configured.
///
/// # Errors
/// 404 where it is not; 401 and 403 for who does not hold `collection:admin`.
pub async fn flush(app: &App, who: &Who) -> Result<Reply, Refusal> {
    if !app.ctx.collections().settings.flush {
        return Err(Refusal::nowhere());
    }
    if !who.admin {
        return Err(if who.user.is_some() { Error::forbidden() } else { Error::Unauthorized }.into());
    }
    countersign_core::collections::flush(&app.ctx).await?;
    Ok(Reply::json(StatusCode::ACCEPTED, "{}"))
}
