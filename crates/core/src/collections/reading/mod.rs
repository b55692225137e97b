//! The reading side: what anybody may fetch and verify, answered from memory while nothing changes.
//!
//! ```text
//! changeset   metadata with the signature, and records      cache   those that were asked for
//! monitor     which collection changed when                 kept    one value, read by one for all
//! broadcasts  what push services announce                   files   the same as static files
//! query       what readers ask for
//! ```

mod broadcasts;
mod cache;
mod changeset;
pub(crate) mod files;
mod kept;
pub mod monitor;
mod query;

use std::collections::HashSet;
use std::sync::Arc;

pub use changeset::Changeset;
pub use monitor::{Monitor, Reply};
pub use query::{Expected, Query};

use super::error::Error;
use super::uri::{Kind, ListUri, ObjectUri};
use super::who::Who;
use crate::context::Context;

/// What a [`Context`] knows of what is read.
#[derive(Debug, Default)]
pub(crate) struct State {
    changesets: cache::Cache,
    monitor: kept::Kept<Monitor>,
    announced: broadcasts::Announced,
    pub(crate) publisher: files::State,
}

/// `GET /buckets/B/collections/C/changeset`: all of a collection, without a cap, or what has changed since.
///
/// - `query`: decoded. It is looked at when `who` may read.
///
/// # Errors
/// [`Error::Unauthorized`] and [`Error::Forbidden`] for who may not read, there or not; [`Error::NotFound`];
/// [`Error::Invalid`] for a query that cannot be read; when the database does not answer.
pub async fn changeset(
    ctx: &Context,
    who: &Who,
    bucket: &str,
    collection: &str,
    query: &[(String, String)],
) -> Result<Arc<Changeset>, Error> {
    let uri = ObjectUri::collection(bucket, collection);
    let parsed = Query::parse(query, Expected::Required);
    let (since, limit) = parsed.as_ref().map_or((None, None), |query| (query.since, query.limit));
    let changeset =
        ctx.collections.reading.changesets.get(ctx, who, &uri, changeset::Which { since, limit }).await?;
    parsed?;
    Ok(changeset)
}

/// The timestamp that `GET /__broadcasts__` announces.
///
/// # Errors
/// When the database does not answer.
pub async fn broadcast(ctx: &Context) -> Result<i64, Error> {
    broadcasts::timestamp(ctx).await
}

/// How many seconds who is anonymous may keep what is read of a collection; `None`: it must not be kept.
///
/// - `impatient`: see [`Query::is_impatient`].
pub fn max_age(ctx: &Context, bucket: &str, collection: &str, impatient: bool) -> Option<u32> {
    let cache = &ctx.collections.settings.cache;
    let of = |place: &str| cache.iter().find(|rule| rule.place == place).map(|rule| rule.seconds);
    let uri = ObjectUri::collection(bucket, collection);
    let own = of(&uri.to_string()).or_else(|| of(&ObjectUri::bucket(bucket).to_string()))?;
    if impatient { cache.iter().map(|rule| rule.seconds).min().or(Some(own)) } else { Some(own) }
}

/// Forgets what a commit changed. To be called after it, before anybody is told of it.
///
/// - `touched`: the lists that were written to.
pub(crate) fn forget(ctx: &Context, touched: &HashSet<ListUri>) {
    let monitored = touched.iter().filter(|list| forget_list(ctx, list)).count();
    if monitored > 0 {
        ctx.collections.reading.monitor.forget();
        files::wake(ctx);
    }
}

/// Forgets what is made of a list. Says whether something published is in it.
fn forget_list(ctx: &Context, list: &ListUri) -> bool {
    let changesets = &ctx.collections.reading.changesets;
    let resources = &ctx.collections.resources;
    let bucket = list.bucket_id();
    match list.kind() {
        // Who may read a bucket may read what is in it.
        Kind::Bucket => {
            changesets.forget(|_| true);
            false
        }
        Kind::Collection => {
            changesets.forget(|uri| uri.bucket_id() == bucket);
            bucket.is_some_and(|bucket| resources.monitored().iter().any(|place| place.bucket == bucket))
        }
        Kind::Record => {
            let collection = list.collection_id();
            changesets.forget(|uri| Some(uri.id.as_str()) == collection && uri.bucket_id() == bucket);
            bucket.zip(collection).is_some_and(|(bucket, id)| resources.is_monitored(bucket, id))
        }
        Kind::Group | Kind::History | Kind::Account => false,
    }
}
