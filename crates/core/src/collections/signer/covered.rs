//! What was signed last at each place: whether something is still as it was signed.
//!
//! The signer writes down a fingerprint of what it signed, in a list that no request can name. The signature in a
//! collection's metadata would not do: who may write a preview or destination may write that too, and its key may be
//! one that is not in use any more, or somebody else's.

use countersign_model::ToSign;
use countersign_store::{CollectionsTx, ObjectRow, Writes};

use super::publish::records_of;
use super::resource::Matched;
use super::sign::hash;
use crate::collections::error::Error;
use crate::collections::uri::ObjectUri;
use crate::collections::work::Work;

/// No bucket and no account is called so: URIs of clients begin otherwise.
const SIGNED: &str = "/signed";

/// Writes down what was signed of a collection, in the transaction of the signature.
///
/// # Errors
/// Those of any write.
pub(super) async fn remember(
    work: &mut Work<'_>,
    collection: &ObjectUri,
    to_sign: &ToSign,
) -> Result<(), Error> {
    let now = work.now().as_millisecond();
    let tx = work.flush().await?;
    let row = ObjectRow {
        list: SIGNED.into(),
        id: collection.to_string(),
        last_modified: tx.free_timestamp(SIGNED, now).await?,
        deleted: false,
        data: "{}".into(),
        permissions: None,
        content: Some(to_sign.fingerprint()),
    };
    tx.write(&Writes { objects: vec![row], ..Writes::default() }).await?;
    Ok(())
}

/// Whether the records of a collection are what was signed last, by whatever key.
///
/// - `timestamp`: that of its records.
///
/// # Errors
/// When the database does not answer.
pub(super) async fn is_covered(
    tx: &mut CollectionsTx,
    matched: &Matched<'_>,
    collection: &ObjectUri,
    timestamp: i64,
) -> Result<bool, Error> {
    let (to_sign, _) = hash(tx, matched, collection, timestamp).await?;
    is_signed(tx, collection, &to_sign).await
}

/// Whether this is what was signed last of a collection.
///
/// # Errors
/// As [`is_covered`].
pub(super) async fn is_signed(
    tx: &mut CollectionsTx,
    collection: &ObjectUri,
    to_sign: &ToSign,
) -> Result<bool, Error> {
    let rows = tx.objects(&[(SIGNED.into(), collection.to_string())]).await?;
    Ok(rows.first().and_then(|row| row.content) == Some(to_sign.fingerprint()))
}

/// Refuses to go on from what is published, if that is not what was signed: somebody wrote it past the source and its
/// review, and a new signature, or a source that is taken from it, would make it good.
///
/// What is staged must be in the database.
///
/// # Errors
/// [`Error::Refused`].
pub(super) async fn check(work: &mut Work<'_>, matched: &Matched<'_>) -> Result<(), Error> {
    let published = &matched.destination;
    if work.get(published).await?.is_none() {
        return Ok(());
    }
    let timestamp = work.timestamp(&records_of(published)).await?;
    if is_covered(work.store().await?, matched, published, timestamp).await? {
        return Ok(());
    }
    let way = if matched.review { "ask for a review and sign" } else { "set work-in-progress and sign" };
    Err(Error::Refused(format!(
        "The records at {published} are not those that were signed: {way} the source, which replaces them"
    )))
}
