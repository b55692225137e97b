//! What the signing log says of metadata that people sign, and of what people change otherwise: an entry before each
//! change takes effect. If the change then fails, its entry stays, and there is another when it is tried again.
//!
//! ```text
//! root 2 submitted SHA256                      root 2 in force SHA256
//! root 2 signed KEYID                          team 3 submitted SHA256
//! root 2 override BEFORE AFTER proof KEYID     team 3 signed KEYID
//! root 2 stopped SHA256                        team 3 in force SHA256
//! settings timestamp 1 bins 7                  forced timestamp snapshot
//! artifacts tasks 3 added 12 removed 1 SHA256  gc before TIME
//! ```
//!
//! SHA256 is that of the canonical `signed`, whoever has signed it.

use countersign_model::Action;
use countersign_model::digest::sha256;
use countersign_model::entry::Op;
use countersign_tuf::metadata::Document;

use super::apply::Job;
use super::resource;
use crate::caller::Caller;
use crate::context::Context;
use crate::pipeline;

/// Writes a change of what is pending or in force to the signing log, before it is made. `action`: by which right.
///
/// The service's own steps, which nobody asked for, have no entry of this kind: what they sign has one.
///
/// # Errors
/// [`crate::Error::NotPermitted`] if who asked may not do it any more, and when the log cannot be written.
pub(super) async fn record(job: &mut Job<'_>, action: Action, what: String) -> Result<(), crate::Error> {
    record_by(job.ctx, job.caller, action, what).await
}

/// As [`record`], of what is not a task's.
pub(super) async fn record_by(
    ctx: &Context,
    caller: &Caller,
    action: Action,
    what: String,
) -> Result<(), crate::Error> {
    if is_service(caller) {
        return Ok(());
    }
    let permit = pipeline::authorise_person(ctx, caller, action, &resource())?;
    pipeline::record(ctx, caller, &permit, Op::TufChange, None, Some(bounded(what))).await?;
    Ok(())
}

/// A subject has so many characters at most.
const SUBJECT: usize = 256;

/// What is longer ends with the SHA-256 of the whole.
fn bounded(what: String) -> String {
    if what.chars().count() <= SUBJECT {
        return what;
    }
    let digest = hex::encode(sha256(what.as_bytes()));
    let begin: String = what.chars().take(SUBJECT - digest.len() - 1).collect();
    format!("{begin} {digest}")
}

/// As [`record`], of what follows from a change that somebody was allowed to make by whatever right. It is followed also
/// where that right was taken from them meanwhile.
pub(super) async fn record_change(job: &mut Job<'_>, what: String) -> Result<(), crate::Error> {
    record_change_by(job.ctx, job.caller, what).await
}

/// The same, of what is not a task's, or many tasks'.
pub(super) async fn record_change_by(
    ctx: &Context,
    caller: &Caller,
    what: String,
) -> Result<(), crate::Error> {
    for action in [Action::TufWrite, Action::TufDelete, Action::TufSign] {
        match record_by(ctx, caller, action, what.clone()).await {
            Err(crate::Error::NotPermitted { .. }) => {}
            recorded => return recorded,
        }
    }
    tracing::warn!(what, principal = %caller.identity.principal, "a change without the right to it is not logged");
    Ok(())
}

/// Whether nobody asked: the service itself does what is due.
fn is_service(caller: &Caller) -> bool {
    caller.identity.principal.as_str().starts_with("surface:")
}

/// How a document is named: role and version.
pub(super) fn named(role: &str, document: &Document) -> String {
    format!("{role} {}", document.version())
}

/// How content is named.
pub(super) fn digest(document: &Document) -> String {
    hex::encode(document.signed_sha256())
}

/// A key id, as it is mostly: hex. One that is any text its author chose, and might read as more of the entry, is named
/// by its SHA-256, `id:HEX`.
pub(super) fn short(keyid: &str) -> String {
    let is_plain = (1..=64).contains(&keyid.len()) && keyid.bytes().all(|b| b.is_ascii_hexdigit());
    if is_plain { keyid.to_owned() } else { format!("id:{}", hex::encode(sha256(keyid.as_bytes()))) }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn a_key_id_in_the_log_cannot_be_read_as_another_entry() {
        let hex = "ab".repeat(32);
        assert_eq!(short(&hex), hex);
        for forged in ["", "ab in force cd", "ab\nroot 2", "kéy", &"a".repeat(65), "ana"] {
            let named = short(forged);
            assert_eq!(named.len(), 67, "{forged:?}");
            assert!(named.bytes().all(|b| b.is_ascii_alphanumeric() || b == b':'), "{named}");
        }
        assert_ne!(short("a b"), short("a c"));
    }
}
