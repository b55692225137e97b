//! New roots: submitted, signed by several people over days, overridden, stopped, and at last in force.
//!
//! ```text
//! POST bootstrap ──▶ bootstrap ┐            ┌─▶ thresholds met ──▶ finish: in force, and published
//! POST metadata  ──▶ update    ├─▶ judged ──┤
//! PATCH sign     ──▶ replace   ┘            └─▶ pending ◀── sign, one signature after another
//!                                                  └──▶ stop: dropped
//! ```
//!
//! All of it happens in the transaction of a task, one task after another, and is judged there anew. What is refused
//! changes nothing. Every change is in the signing log before it is made.

mod bootstrap;
mod finish;
mod replace;
mod sign;
mod stop;
mod update;

pub(super) use bootstrap::{bootstrap, online_key};
pub(super) use finish::is_signed_otherwise;
pub(super) use replace::replace as override_;
pub(super) use sign::sign;
pub(super) use stop::stop as delete;
pub(super) use update::update;

use countersign_store::PendingRow;
use countersign_tuf::check;
use countersign_tuf::check::root::{Rules, Signed};
use countersign_tuf::key::Key;
use countersign_tuf::metadata::{Document, Kind};
use serde_json::{Map, Value, json};

use super::apply::Job;
use super::error::Error;
use super::halt::Halt;
use super::online::Own;

/// The name of the role.
pub(super) const ROOT: &str = "root";

/// The root in force; `None` before the bootstrap is finished.
pub(super) async fn trusted(job: &mut Job<'_>) -> Result<Option<Document>, Error> {
    match job.repository.root_version {
        0 => Ok(None),
        version => {
            let text = job.tx.root(version).await?.ok_or_else(|| damaged("the root in force"))?;
            stored(&text).map(Some)
        }
    }
}

/// A document as the database has it.
pub(super) fn stored(text: &str) -> Result<Document, Error> {
    Document::parse(text.as_bytes()).map_err(|error| damaged(&format!("metadata ({error})")))
}

/// A document as the database gets it.
pub(super) fn text_of(document: &Document) -> Result<String, Error> {
    String::from_utf8(document.to_bytes()).map_err(|_| damaged("metadata"))
}

pub(super) fn damaged(what: &str) -> Error {
    crate::Error::Internal(format!("the database's record of {what} is damaged")).into()
}

/// Judges a new root wholly: its content by the root in force and by the keys of ours, and every signature.
async fn judge(job: &mut Job<'_>, new: &Document, trusted: Option<&Document>) -> Result<Signed, Halt> {
    judge_content(job, new, trusted).await?;
    Ok(check::root::signatures(new, trusted)?)
}

/// Judges what is not a matter of signatures. What waited for days is judged again before it comes into force: it may
/// have expired, or an online key be retired.
async fn judge_content(job: &mut Job<'_>, new: &Document, trusted: Option<&Document>) -> Result<(), Halt> {
    let online = Own::now(job.ctx).keys();
    let root = check::root::content(new, Rules { trusted, now: job.now, online: &online })?;
    if let Some(delegations) = job.delegations().await? {
        // Where the id is another key's in the delegations, that key's roles would become the server's. Not so where
        // it is the online key itself that changes.
        let old = trusted.map(Document::root).transpose()?;
        let is_online = |known: &Key| {
            let old = old.iter().flat_map(|old| old.role(Kind::Targets).keys(&old.keys));
            old.into_iter().any(|(_, key)| key.is_same(known))
        };
        let other = |known: &Key, key: &Key| !known.is_same(key) && !is_online(known);
        let role = root.role(Kind::Targets);
        let mut own = role.keys(&root.keys);
        let taken = own.find(|(id, key)| delegations.keys.get(*id).is_some_and(|known| other(known, key)));
        if let Some((id, _)) = taken {
            return Err(check::Refusal::KeyId(id.chars().take(64).collect()).into());
        }
    }
    Ok(())
}

/// Lets `new` wait for signatures. What was proved about what was pending before is void.
async fn put_pending(job: &mut Job<'_>, new: &Document) -> Result<(), Halt> {
    job.tx.void_challenges(ROOT).await?;
    Ok(put_document(job, ROOT, new).await?)
}

/// Writes a pending document, with who submitted it and when.
pub(super) async fn put_document(job: &mut Job<'_>, role: &str, document: &Document) -> Result<(), Error> {
    let pending = PendingRow {
        role: role.to_owned(),
        document: text_of(document)?,
        submitted: job.now,
        submitter: job.caller.identity.principal.to_string(),
    };
    Ok(job.tx.put_pending(&pending).await?)
}

/// How much can be taken back in one round of signing: it is kept until the round is over.
const MAX_WITHDRAWN: usize = 1_000;

/// Notes that this content was taken back in this round of signing.
fn withdraw(job: &mut Job<'_>, document: &Document) {
    let digest = hex::encode(document.signed_sha256());
    let withdrawn = &mut job.repository.withdrawn;
    if !withdrawn.contains(&digest) {
        // What is forgotten cannot be brought back by an override: there is none any more, in this round.
        if withdrawn.len() >= MAX_WITHDRAWN {
            withdrawn.remove(0);
        }
        withdrawn.push(digest);
    }
}

fn was_withdrawn(job: &Job<'_>, document: &Document) -> bool {
    job.repository.withdrawn.contains(&hex::encode(document.signed_sha256()))
}

/// `details`, which also say when the content had been taken back before.
fn details<const N: usize>(members: [(&str, String); N], previously_withdrawn: bool) -> Option<Value> {
    let mut details: Map<String, Value> =
        members.into_iter().map(|(name, text)| (name.to_owned(), json!(text))).collect();
    if previously_withdrawn {
        details.insert("previously_withdrawn".to_owned(), json!(true));
    }
    Some(Value::Object(details))
}
