//! Target files that are kept here: uploaded with their digest, fetched as clients of consistent snapshots do,
//! `DIR/SHA256.NAME`.
//!
//! A file is there before the artifact is added, and never changes. What no artifact names any more is removed by
//! [`super::gc`].

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{Context as Hasher, SHA256};
use bytes::Bytes;
use countersign_store::{FileName, FileWriter, FilesError, HostedRow};
use countersign_tuf::check::artifact::check_path;
use futures_util::{Stream, StreamExt};
use serde_json::json;

use super::accept;
use super::error::{BodyFault, Error, Place};
use super::repository::Repository;
use super::request::{AddArtifacts, Artifact, Request};
use super::task::{self, Accepted};
use crate::caller::Caller;
use crate::context::Context;

/// How many files are uploaded at a time.
const AT_ONCE: usize = 32;
/// After so many bytes of an upload it is looked whether there is still room.
const LOOK: u64 = 64 << 20;

/// Files that are being uploaded, and how long each will be: one at a time writes a name.
#[derive(Default)]
pub(super) struct Uploads(Mutex<HashMap<String, u64>>);

/// The right to write a name.
struct Upload<'a> {
    uploads: &'a Uploads,
    name: String,
}

impl Uploads {
    /// # Errors
    /// [`Error::Conflict`] while somebody else uploads it; [`Error::Unavailable`] while too many upload.
    fn begin(&self, name: &str, length: u64) -> Result<Upload<'_>, Error> {
        let mut uploads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if uploads.contains_key(name) {
            return Err(conflict("The same file is being uploaded.".to_owned()));
        }
        if uploads.len() >= AT_ONCE {
            return Err(Error::Unavailable(format!("{AT_ONCE} files are being uploaded")));
        }
        uploads.insert(name.to_owned(), length);
        Ok(Upload { uploads: self, name: name.to_owned() })
    }

    /// Bytes of all that is being uploaded.
    fn bytes(&self) -> u64 {
        let uploads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        uploads.values().fold(0, |sum, length| sum.saturating_add(*length))
    }
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        self.uploads.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

/// Stores a target file as it arrives, checks it against `length` and `sha256`, and registers it as an artifact (a task
/// as that of [`Request::AddArtifacts`]). Nothing is kept of a body that is not what was announced.
///
/// # Errors
/// [`Error::Invalid`] for a path that cannot be a file's, and a body that is another; [`Error::Conflict`] while the same
/// file is being uploaded, and when all files would take more than they may; [`Error::Unavailable`] while too many are
/// being uploaded; [`crate::Error::StorageFull`] when the disk would be; as [`task::submit`].
pub async fn upload(
    ctx: &Context,
    caller: &Caller,
    path: &str,
    length: u64,
    sha256: [u8; 32],
    body: impl Stream<Item = Result<Bytes, std::io::Error>> + Send + Unpin,
) -> Result<Accepted, Error> {
    let settings = &ctx.tuf.settings;
    if !settings.enabled || !settings.host_targets {
        return Err(Error::Unavailable("target files are not kept here".into()));
    }
    let digest = hex::encode(sha256);
    let name = file_of(path, &digest)?;
    let info = json!({"length": length, "hashes": {"sha256": digest}});
    let info = info.as_object().cloned().unwrap_or_default();
    let artifacts = vec![Artifact { path: path.to_owned(), info }];
    let request =
        Request::AddArtifacts(AddArtifacts { artifacts, publish: true, add_task_id_to_custom: false });
    // Before the body is read: nothing is stored for who would be refused afterwards.
    accept::permit(ctx, caller, &request)?;
    {
        let mut tx = ctx.store.tuf_read().await?;
        let repository = Repository::load(&mut tx).await?;
        accept::check(ctx, &mut tx, &repository, &request).await?;
    }
    if length > settings.target_bytes {
        return Err(crate::Error::TooLarge { what: "the file", limit: settings.target_bytes }.into());
    }
    let _alone = ctx.tuf.uploads.begin(name.as_str(), length)?;
    is_room(ctx, &name).await?;
    is_free(ctx, length)?;
    let writer = receive(ctx, &name, length, sha256, body).await?;
    remember(ctx, path, &name, length, digest).await?;
    writer.finish().await.map_err(differs)?;
    // It was there already, and was removed between the comparison and the note that it is wanted.
    if !ctx.files().exists(&name).await.map_err(crate::Error::from)? {
        return Err(Error::Unavailable("the file was removed meanwhile: upload it again".into()));
    }
    task::submit(ctx, caller, request).await
}

/// Whether all files, with those on their way, take no more than they may.
async fn is_room(ctx: &Context, name: &FileName) -> Result<(), Error> {
    let limit = ctx.tuf.settings.hosted_bytes;
    let mut tx = ctx.store.tuf_read().await?;
    // One that is there and comes again is counted once.
    let known = tx.hosted_file(name.as_str()).await?.map_or(0, |file| file.length);
    let there = tx.hosted_bytes().await?.saturating_sub(known);
    if there.saturating_add(ctx.tuf.uploads.bytes()) > limit {
        let error =
            format!("All target files that are kept here may take {limit} bytes: `[tuf] hosted_gib`.");
        return Err(conflict(error));
    }
    Ok(())
}

/// Whether the disk keeps its reserve when `more` bytes are written. What is not on a disk has room.
fn is_free(ctx: &Context, more: u64) -> Result<(), Error> {
    let wanted = ctx.tuf.settings.reserve_bytes.saturating_add(more);
    if ctx.files().free().is_some_and(|free| free < wanted) {
        return Err(crate::Error::StorageFull("place of published files").into());
    }
    Ok(())
}

/// Writes the body as it comes. What is returned is complete, and not yet public.
async fn receive(
    ctx: &Context,
    name: &FileName,
    length: u64,
    sha256: [u8; 32],
    mut body: impl Stream<Item = Result<Bytes, std::io::Error>> + Send + Unpin,
) -> Result<FileWriter, Error> {
    let mut writer = ctx.files().create(name).map_err(crate::Error::from)?;
    let mut hasher = Hasher::new(&SHA256);
    let mut left = length;
    while let Some(piece) = body.next().await {
        let taken = match piece {
            Err(error) => Err(Error::Unavailable(format!("the body ended early: {error}"))),
            Ok(piece) => match left.checked_sub(piece.len() as u64) {
                None => Err(other("the body is longer than was announced")),
                Some(rest) => {
                    left = rest;
                    hasher.update(&piece);
                    let looked = rest / LOOK == (rest + piece.len() as u64) / LOOK;
                    match if looked { Ok(()) } else { is_free(ctx, 0) } {
                        Ok(()) => writer.write(&piece).await.map_err(differs),
                        full => full,
                    }
                }
            },
        };
        if let Err(error) = taken {
            writer.give_up().await;
            return Err(error);
        }
    }
    let fault = if left > 0 {
        Some("the body is shorter than was announced")
    } else if hasher.finish().as_ref() != sha256 {
        Some("the body has another SHA-256 than was announced")
    } else {
        None
    };
    match fault {
        None => Ok(writer),
        Some(fault) => {
            writer.give_up().await;
            Err(other(fault))
        }
    }
}

/// Notes that the file is wanted, before it is there: what nobody noted would never be removed.
async fn remember(
    ctx: &Context,
    path: &str,
    name: &FileName,
    length: u64,
    sha256: String,
) -> Result<(), Error> {
    let mut tx = ctx.store.tuf_write().await?;
    let (name, path) = (name.to_string(), path.to_owned());
    tx.put_hosted(&HostedRow { name, path, length, sha256, added: ctx.now() }).await?;
    Ok(tx.commit().await?)
}

/// A part of a target file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosted {
    /// How many bytes the whole file has.
    pub length: u64,
    /// Its entity tag, with the quotes.
    pub etag: String,
    /// The bytes that were asked for.
    pub bytes: Bytes,
}

/// A part of the hosted file of this name, `DIR/SHA256.NAME`; none if there is none. awslabs' tough asks for
/// `SHA256.DIR/NAME`, and gets the same.
///
/// - `range`: first byte and how many, at most; what is beyond the end is left out. `None`: the whole file.
///
/// # Errors
/// When the files cannot be read.
pub async fn fetch(ctx: &Context, name: &str, range: Option<(u64, u64)>) -> Result<Option<Hosted>, Error> {
    let name = &*place(name);
    let Ok(file) = format!("targets/{name}").parse::<FileName>() else { return Ok(None) };
    let (first, count) = range.unwrap_or((0, u64::MAX));
    let part = ctx.files().part(&file, first, count).await.map_err(crate::Error::from)?;
    let last = name.rsplit('/').next().unwrap_or(name);
    let digest = last.split('.').next().unwrap_or_default();
    let hosted = |part: countersign_store::FilePart| Hosted {
        length: part.length,
        etag: format!("\"{digest}\""),
        bytes: part.bytes,
    };
    Ok(part.map(hosted))
}

/// `DIR/SHA256.NAME` of it, or of `SHA256.DIR/NAME`.
fn place(name: &str) -> Cow<'_, str> {
    let digest = |segment: &str| {
        let (digest, _) = segment.split_once('.')?;
        (digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit())).then(|| digest.len() + 1)
    };
    match (digest(name), name.rsplit_once('/')) {
        (Some(dir), Some((_, last))) if digest(last).is_none() => {
            let (prefix, path) = name.split_at(dir);
            let at = path.len() - last.len();
            Cow::Owned([&path[..at], prefix, last].concat())
        }
        _ => Cow::Borrowed(name),
    }
}

/// Where the file of an artifact is.
fn file_of(path: &str, sha256: &str) -> Result<FileName, Error> {
    check_path(path).map_err(|fault| invalid(fault.to_string()))?;
    let (dir, name) = path.rfind('/').map_or(("", path), |at| path.split_at(at + 1));
    let file = format!("targets/{dir}{sha256}.{name}").parse();
    file.ok().filter(|_| !name.is_empty()).ok_or_else(|| {
        invalid(
            "a file that is kept here has a path of `A-Z a-z 0-9 . _ @ + -`, with single `/` between".into(),
        )
    })
}

/// A file of that name is there, with what its name says: the body is something else.
fn differs(error: FilesError) -> Error {
    match error {
        FilesError::Differs { .. } => other("the body has another SHA-256 than was announced"),
        error => crate::Error::from(error).into(),
    }
}

fn conflict(error: String) -> Error {
    Error::Conflict { message: "Task not accepted.".to_owned(), error }
}

fn invalid(msg: String) -> Error {
    let loc = vec![Place::Name("path".into())];
    Error::Invalid(vec![BodyFault { kind: "value_error", loc, msg }])
}

fn other(msg: &str) -> Error {
    let loc = vec![Place::Name("body".into())];
    Error::Invalid(vec![BodyFault { kind: "value_error", loc, msg: msg.to_owned() }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_found_before_the_name_and_before_the_whole_path() {
        let hash = "ab".repeat(32);
        let there = format!("a/b/{hash}.c");
        for asked in [there.clone(), format!("{hash}.a/b/c")] {
            assert_eq!(place(&asked), there);
        }
        for other in [
            format!("{hash}.c"),
            format!("{hash}.a/{hash}.c"),
            "a/b".into(),
            format!("{hash}/c"),
            "é.a/b".into(),
        ] {
            assert_eq!(place(&other), other, "{other}");
        }
    }
}
