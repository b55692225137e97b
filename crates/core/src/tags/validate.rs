//! Who signed a file, judged now. Reads the authorities from memory; the database is asked only about a key
//! that is revoked for a part of its time.

use std::sync::Arc;

use countersign_model::KeyType;
use countersign_model::digest::sha256;
use countersign_records::tag::{AuthorityName, TagError, TagFile, WeakKeys};
use countersign_verify::authority::{self as verify, Judgement, Status};
use jiff::Timestamp;

use super::authorities::{self, Authority};
use super::{Error, MAX_PAYLOAD, recorded};
use crate::context::Context;

/// Whose signatures are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// These, one or more.
    Named(Vec<AuthorityName>),
    /// All that are there, at least one.
    Everybody,
}

/// What a file's signatures are worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What is signed. To be shown only if [`Verdict::refusal`] is `None`.
    pub payload: Vec<u8>,
    /// SHA-256 of it.
    pub payload_sha256: [u8; 32],
    /// One for each authority that was asked for, in that order.
    pub judgements: Vec<(AuthorityName, Judgement)>,
}

impl Verdict {
    /// Why the file is not valid, by the first authority whose signature does not count; `None` if all do.
    pub fn refusal(&self) -> Option<Error> {
        self.judgements.iter().find_map(|(name, judgement)| Error::of_judgement(name, judgement))
    }
}

/// Judges the signatures in `file` as of now.
///
/// # Errors
/// [`Error::Empty`]; [`Error::TooLarge`]; [`Error::NoAuthorities`]; [`Error::BadFormat`] for several blocks of
/// one authority, and, where everybody is asked for, for blocks of names that are none;
/// [`Error::NotSigned`] where everybody is asked for and nobody signed. What single signatures are worth is
/// in the verdict.
pub async fn validate(ctx: &Context, file: Vec<u8>, who: Who) -> Result<Verdict, Error> {
    let at = ctx.now();
    let found = if is_long(ctx, &file, &who) {
        let ctx = ctx.clone();
        let judged = tokio::task::spawn_blocking(move || judge(&ctx, file, who, at)).await;
        judged.map_err(|_| crate::Error::Internal("a file could not be judged".into()))??
    } else {
        judge(ctx, file, who, at)?
    };
    settle(ctx, found, at).await
}

/// Files up to this many bytes are judged at once; others beside the threads that serve requests.
const SHORT: usize = 64 << 10;

/// Whether judging takes long: many bytes, many authorities, or curves that take a millisecond.
fn is_long(ctx: &Context, file: &[u8], who: &Who) -> bool {
    let slow = |authority: Arc<Authority>| {
        let mut keys = authority.to_verify().keys.iter();
        keys.any(|key| matches!(key.public_key.key_type(), KeyType::P384 | KeyType::P521))
    };
    match who {
        Who::Everybody => true,
        Who::Named(names) => {
            file.len() > SHORT
                || names.len() > 4
                || names.iter().filter_map(|name| authorities::find(ctx, name)).any(slow)
        }
    }
}

/// A verdict that may still need the times of some signatures.
struct Found {
    file: Vec<u8>,
    verdict: Verdict,
    /// The authorities in the place of each judgement.
    known: Vec<Option<Arc<Authority>>>,
}

fn judge(ctx: &Context, file: Vec<u8>, who: Who, at: Timestamp) -> Result<Found, Error> {
    let parsed = TagFile::parse(&file)?;
    if parsed.payload().len() > MAX_PAYLOAD {
        return Err(Error::TooLarge { what: "the payload", limit: MAX_PAYLOAD as u64 });
    }
    let names = match who {
        Who::Named(names) if names.is_empty() => return Err(Error::NoAuthorities),
        Who::Named(names) => names,
        Who::Everybody => everybody(&parsed)?,
    };
    let known: Vec<_> = names.iter().map(|name| authorities::find(ctx, name)).collect();
    let mut judgements = Vec::with_capacity(names.len());
    for (name, authority) in names.into_iter().zip(&known) {
        if let Err(error @ TagError::Duplicate { .. }) = parsed.block(&name) {
            return Err(Error::BadFormat(error.to_string()));
        }
        let judgement = match authority {
            Some(authority) => judge_one(&parsed, authority, None, at),
            None => Judgement::unknown(&name),
        };
        judgements.push((name, judgement));
    }
    let payload = parsed.payload().to_vec();
    let verdict = Verdict { payload_sha256: sha256(&payload), payload, judgements };
    Ok(Found { file, verdict, known })
}

/// The names of all blocks.
fn everybody(file: &TagFile<'_>) -> Result<Vec<AuthorityName>, Error> {
    let mut names: Vec<AuthorityName> = Vec::new();
    for block in file.blocks() {
        let name = std::str::from_utf8(block.name()).ok().and_then(|name| name.parse().ok());
        let bad =
            || Error::BadFormat(format!("bad authority name in a signature block: line {}", block.line));
        let name: AuthorityName = name.ok_or_else(bad)?;
        // Refused here already: of very many blocks no two are of one name.
        file.block(&name).map_err(|error| match error {
            TagError::Duplicate { .. } => Error::BadFormat(error.to_string()),
            other => other.into(),
        })?;
        names.push(name);
    }
    if names.is_empty() {
        return Err(Error::NotSigned("anybody".into()));
    }
    Ok(names)
}

/// Weak keys never count here: who must read such old files has the command line.
fn judge_one(
    file: &TagFile<'_>,
    authority: &Authority,
    recorded: Option<Timestamp>,
    at: Timestamp,
) -> Judgement {
    verify::judge(file, authority.to_verify(), recorded, at, WeakKeys::Refuse)
}

/// Asks the logs for the times of signatures whose key is revoked for a part of its time.
async fn settle(ctx: &Context, found: Found, at: Timestamp) -> Result<Verdict, Error> {
    let Found { file, mut verdict, known } = found;
    for ((_, judgement), authority) in verdict.judgements.iter_mut().zip(&known) {
        let (Status::Revoked, Some(id), Some(authority)) = (judgement.status, &judgement.key, authority)
        else {
            continue;
        };
        let revoked = authority.to_verify().key(id).and_then(|key| key.revoked.as_ref());
        let Some(revoked) = revoked.filter(|revoked| revoked.from.is_some()) else { continue };
        let recorded = recorded::of_payload(ctx, id, &verdict.payload_sha256, revoked).await?;
        if recorded.is_some() {
            *judgement = judge_one(&TagFile::parse(&file)?, authority, recorded, at);
        }
    }
    Ok(verdict)
}
