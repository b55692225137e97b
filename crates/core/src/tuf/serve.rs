//! Metadata for everybody: from memory, as far as it is there.
//!
//! All files but `timestamp.json` never change, and those that were asked for last are kept, with their compressed
//! form where somebody took that. The timestamp that is served is never older than any that a task's `SUCCESS` spoke of: on SQLite, where this
//! process alone publishes, it is the one that was written last; on PostgreSQL it is read again, once for all who ask
//! at the same time.

mod compress;
mod memory;
mod newest;

use bytes::Bytes;
use countersign_model::digest::sha256;
use countersign_store::FileName;

use compress::Compressing;
pub(super) use memory::Memory;
pub(super) use newest::Newest;

use super::error::Error;
use crate::context::Context;

/// A metadata file as it is served. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// The file.
    pub bytes: Bytes,
    /// The same compressed.
    pub gzip: Gzip,
    /// Its entity tag, with the quotes.
    pub etag: String,
    /// Whether it never changes: all but `timestamp.json`.
    pub immutable: bool,
}

/// The compressed form of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gzip {
    /// Nobody has taken it yet.
    Unknown,
    /// It is hardly smaller.
    Useless,
    /// It is this.
    Made(Bytes),
}

/// In which form a file is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    Plain,
    /// Compressed, if that makes it smaller and does not take too long.
    Gzip,
}

/// What this node keeps of the files.
#[derive(Default)]
pub(super) struct State {
    pub memory: Memory,
    pub newest: Newest,
    compressing: Compressing,
}

/// The one file that changes.
pub(super) const TIMESTAMP: &str = "timestamp.json";

/// Smaller files are compressed where they are.
const LONG: usize = 32 << 10;

/// The metadata file of this name, `timestamp.json` or `7.bins-3f.json`; none if there is none.
///
/// - `name`: one segment, decoded. The names of roles need no encoding.
/// - `form`: whether the compressed form is made, if nobody has taken it yet.
///
/// # Errors
/// When the files cannot be read.
pub async fn metadata(ctx: &Context, name: &str, form: Form) -> Result<Option<Served>, Error> {
    if name == TIMESTAMP {
        return timestamp(ctx).await;
    }
    let State { memory, compressing, .. } = &ctx.tuf.served;
    let mut served = match memory.get(name) {
        Some(served) => served,
        None => {
            let Some(file) = file(name) else { return Ok(None) };
            let Some(bytes) = read(ctx, &file).await? else { return Ok(None) };
            let served = described(bytes);
            memory.put(name, served.clone());
            served
        }
    };
    if form == Form::Gzip && served.gzip == Gzip::Unknown {
        let known = || memory.get(name).map_or(Gzip::Unknown, |served| served.gzip);
        let keep = |gzip: &Gzip| memory.put(name, Served { gzip: gzip.clone(), ..served.clone() });
        let gzip = compressing.of(name, served.bytes.clone(), known, keep).await?;
        served.gzip = gzip;
    }
    Ok(Some(served))
}

async fn timestamp(ctx: &Context) -> Result<Option<Served>, Error> {
    let newest = &ctx.tuf.served.newest;
    if !ctx.shared {
        if let Some(served) = newest.known() {
            return Ok(Some(served));
        }
        // The first one after a start.
        let Some(bytes) = read_timestamp(ctx).await? else { return Ok(None) };
        return Ok(Some(newest.begin_with(prepare(bytes))));
    }
    let again = |known: Option<Served>| async move {
        let Some(bytes) = read_timestamp(ctx).await? else { return Ok(None) };
        match known {
            Some(known) if known.bytes == bytes => Ok(Some(known)),
            _ => Ok(Some(prepare(bytes))),
        }
    };
    newest.read(again).await
}

async fn read_timestamp(ctx: &Context) -> Result<Option<Bytes>, Error> {
    match file(TIMESTAMP) {
        Some(name) => read(ctx, &name).await,
        None => Ok(None),
    }
}

/// Takes note of the timestamp that is durable now.
pub(super) async fn published(ctx: &Context, timestamp: Bytes) -> Result<(), Error> {
    ctx.tuf.served.newest.set(prepare(timestamp));
    Ok(())
}

/// Where a metadata file is; `None` for what is no name of one.
pub(super) fn file(name: &str) -> Option<FileName> {
    (!name.contains('/')).then(|| format!("metadata/{name}").parse().ok()).flatten()
}

async fn read(ctx: &Context, name: &FileName) -> Result<Option<Bytes>, Error> {
    ctx.files().get(name).await.map_err(|error| {
        // Anybody can ask: where the files are is not for them.
        tracing::warn!(%error, file = %name, "published metadata cannot be read");
        Error::Unavailable("the metadata cannot be read now".into())
    })
}

/// A file that never changes, not compressed yet.
fn described(bytes: Bytes) -> Served {
    let digest = hex::encode(&sha256(&bytes)[..16]);
    Served { gzip: Gzip::Unknown, etag: format!("\"{digest}\""), bytes, immutable: true }
}

/// The timestamp, which is short, with its compressed form.
fn prepare(bytes: Bytes) -> Served {
    Served { gzip: compress::now(&bytes), immutable: false, ..described(bytes) }
}
