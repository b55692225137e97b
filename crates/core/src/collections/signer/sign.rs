//! The signatures over published collections: as their records are now, by every key, checked, or none at all.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_model::{Format, KeyName, PublicKey, Surface, ToSign};
use countersign_records::collections::content_signature::{
    Bundle, Mode, Pending, Profile as Form, Signer as Named, Writer,
};
use countersign_store::{CollectionsTx, ObjectRow, RecordsChunk};
use serde_json::Value;

use super::publish::records_of;
use super::resource::Matched;
use super::{covered, keys};
use crate::background;
use crate::caller::Caller;
use crate::collections::autograph::MessageId;
use crate::collections::chain;
use crate::collections::error::Error;
use crate::collections::settings::{AutographSettings, Profile, Signer};
use crate::collections::uri::ObjectUri;
use crate::collections::work::Work;
use crate::context::Context;
use crate::pipeline::{self, Order};
use crate::snapshot::Key;

/// What is signed of a collection: enough for every kind of signer.
struct Message {
    /// The collection.
    uri: ObjectUri,
    /// The timestamp of its records.
    timestamp: i64,
    to_sign: ToSign,
    pending: Pending,
}

/// Signs collections as they are in this transaction, what is staged included. For each, in the order given,
/// one bundle a key.
///
/// # Errors
/// [`Error::Unavailable`] if one of our own keys cannot sign: everything is to be undone then.
pub(super) async fn sign(
    work: &mut Work<'_>,
    caller: &Caller,
    matched: &Matched<'_>,
    collections: &[&ObjectUri],
) -> Result<Vec<Vec<Value>>, Error> {
    // Whoever caused it, the keys are the surface's.
    let caller = Caller::new(caller.identity.clone(), Surface::Collections, caller.request_id.clone());
    let mut messages = Vec::with_capacity(collections.len());
    for uri in collections {
        messages.push(message(work, matched, uri).await?);
    }
    let signed = match &matched.settings.signer {
        Signer::Local(_) => locally(work.ctx, &caller, matched, &messages).await.map_err(|error| {
            tracing::error!(%error, source = %matched.source, "a collection could not be signed");
            Error::Unavailable("The collection cannot be signed now; nothing was changed.".into())
        })?,
        Signer::Autograph(autograph) => elsewhere(work, matched, autograph, &messages).await?,
    };
    for message in &messages {
        covered::remember(work, &message.uri, &message.to_sign).await?;
    }
    Ok(signed)
}

/// What is signed of a collection as it is in this transaction.
async fn message(work: &mut Work<'_>, matched: &Matched<'_>, uri: &ObjectUri) -> Result<Message, Error> {
    let timestamp = work.timestamp(&records_of(uri)).await?;
    let tx = work.flush().await?;
    let (to_sign, pending) = hash(tx, matched, uri, timestamp).await?;
    Ok(Message { uri: uri.clone(), timestamp, to_sign, pending })
}

/// What an Autograph signed of the messages. Where there is nothing yet, what is missing is noted, which gives this
/// transaction up in the end, and until then there are no bundles.
async fn elsewhere(
    work: &mut Work<'_>,
    matched: &Matched<'_>,
    settings: &AutographSettings,
    messages: &[Message],
) -> Result<Vec<Vec<Value>>, Error> {
    let mut bundles = Vec::with_capacity(messages.len());
    for message in messages {
        let id = MessageId { source: matched.source.to_string(), fingerprint: message.to_sign.fingerprint() };
        if let Some(signed) = work.trial.signatures.of(&id) {
            bundles.push(signed.clone());
            continue;
        }
        let content = match work.trial.signatures.has_room() {
            true => Some(content(work, matched, message).await?),
            false => None,
        };
        work.trial.signatures.want(id, settings, form_of(matched), content);
        bundles.push(Vec::new());
    }
    Ok(bundles)
}

/// What is signed of a collection, without a prefix.
async fn content(work: &mut Work<'_>, matched: &Matched<'_>, message: &Message) -> Result<String, Error> {
    let (list, timestamp) = (records_of(&message.uri), message.timestamp);
    let tx = work.flush().await?;
    let form = form_of(matched);
    let mut content = String::from(match form {
        Form::Modern => "{\"data\":[",
        Form::Seed => "[",
    });
    let (list, empty) = (list.to_string(), content.len());
    let mut after = None;
    while let Some(chunk) = tx.canonical_records(&list, after.as_deref(), CHUNK).await? {
        if content.len() > empty {
            content.push(',');
        }
        match form {
            Form::Modern => content.push_str(&chunk.text),
            Form::Seed => content.push_str(&as_python(&chunk.text)?),
        }
        after = Some(chunk.last_id);
    }
    match form {
        Form::Modern => content.push_str(&format!("],\"last_modified\":\"{timestamp}\"}}")),
        Form::Seed => content.push(']'),
    }
    Ok(content)
}

fn form_of(matched: &Matched<'_>) -> Form {
    match matched.settings.profile {
        Profile::ContentSignature => Form::Modern,
        Profile::Seed => Form::Seed,
    }
}

/// Hashes what is signed, chunk by chunk: one is hashed while the database joins the next.
pub(super) async fn hash(
    tx: &mut CollectionsTx,
    matched: &Matched<'_>,
    uri: &ObjectUri,
    timestamp: i64,
) -> Result<(ToSign, Pending), Error> {
    let form = form_of(matched);
    let mut writer = Writer::new(form, Mode::P384);
    let list = records_of(uri).to_string();
    let mut chunk = tx.canonical_records(&list, None, CHUNK).await?;
    while let Some(records) = chunk {
        let after = records.last_id.clone();
        let hashing = tokio::task::spawn_blocking(move || add(writer, form, records));
        let next = tx.canonical_records(&list, Some(&after), CHUNK).await;
        writer = hashing.await.map_err(|error| internal(&error))??;
        chunk = next?;
    }
    Ok(writer.finish(timestamp))
}

/// The message with some more records.
fn add(mut writer: Writer, form: Form, records: RecordsChunk) -> Result<Writer, Error> {
    let text = match form {
        Form::Modern => records.text,
        Form::Seed => as_python(&records.text)?,
    };
    // The last one's id stands for the chunk, which the database put in the order of ids.
    writer.record(&records.last_id, &text).map_err(|error| internal(&error))?;
    Ok(writer)
}

/// Whether one of the signatures in the metadata of a published collection is over its records as they are, by
/// a key that signs for it. Of others' keys, what they say of themselves is believed, for what was signed through us.
///
/// - `row`: the collection.
/// - `timestamp`: that of its records.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn verify(
    ctx: &Context,
    tx: &mut CollectionsTx,
    uri: &ObjectUri,
    row: &ObjectRow,
    timestamp: i64,
) -> Result<bool, Error> {
    let sources = ctx.collections.resources.published_at(uri.bucket_id().unwrap_or_default(), &uri.id);
    let Some(matched) = sources.first() else { return Ok(false) };
    let bundles = bundles_of(row);
    let (to_sign, _) = hash(tx, matched, uri, timestamp).await?;
    let keys: Vec<PublicKey> = match &matched.settings.signer {
        Signer::Local(_) => {
            let names = keys::keys_for(matched, uri);
            let keys = names.iter().filter_map(|name| ctx.cache.key(name));
            keys.filter_map(|key| key.public().ok().cloned()).collect()
        }
        Signer::Autograph(autograph) => {
            // The metadata, keys included, is what somebody may have written there.
            if !covered::is_signed(tx, uri, &to_sign).await? {
                return Ok(false);
            }
            let pinned = &autograph.pins.public_keys;
            if !pinned.is_empty() {
                return Ok(by_one_of(&bundles, pinned, &to_sign));
            }
            let spki = |bundle: &Bundle| STANDARD.decode(bundle.public_key.as_deref()?).ok();
            if bundles.iter().all(|bundle| bundle.public_key.is_none()) {
                return Ok(!bundles.is_empty());
            }
            bundles.iter().filter_map(spki).filter_map(|der| PublicKey::from_spki(&der).ok()).collect()
        }
    };
    Ok(by_one_of(&bundles, &keys, &to_sign))
}

fn by_one_of(bundles: &[Bundle], keys: &[PublicKey], to_sign: &ToSign) -> bool {
    bundles.iter().any(|bundle| keys.iter().any(|key| bundle.verify(key, to_sign).is_ok()))
}

/// The signatures in a collection's metadata.
pub(in crate::collections) fn bundles_of(row: &ObjectRow) -> Vec<Bundle> {
    #[derive(serde::Deserialize)]
    struct Metadata {
        #[serde(default)]
        signature: Option<Bundle>,
        #[serde(default)]
        signatures: Vec<Bundle>,
    }
    match serde_json::from_str::<Metadata>(&row.data) {
        Ok(metadata) => metadata.signatures.into_iter().chain(metadata.signature).collect(),
        Err(_) => Vec::new(),
    }
}

/// Records that the database joins at once.
const CHUNK: u32 = 2_000;

/// The same records in the dialect of Python.
fn as_python(records: &str) -> Result<String, Error> {
    let values: Vec<Value> =
        serde_json::from_str(&format!("[{records}]")).map_err(|error| internal(&error))?;
    let texts: Vec<String> = values.iter().map(countersign_model::canonical::python_compact).collect();
    Ok(texts.join(","))
}

fn internal(error: &dyn std::fmt::Display) -> Error {
    Error::Other(crate::Error::Internal(error.to_string()))
}

/// Signs by our own keys, all with one durable write of the log.
async fn locally(
    ctx: &Context,
    caller: &Caller,
    matched: &Matched<'_>,
    messages: &[Message],
) -> Result<Vec<Vec<Value>>, crate::Error> {
    let names: Vec<Vec<KeyName>> =
        messages.iter().map(|message| keys::keys_for(matched, &message.uri)).collect();
    if names.iter().flatten().any(|name| ctx.cache.key(name).is_none()) {
        // Another node may have made it.
        background::try_refresh(ctx).await?;
    }
    let mut orders = Vec::new();
    let mut used = Vec::new();
    for (at, (message, names)) in messages.iter().zip(&names).enumerate() {
        for name in names {
            let scheme = Some(message.pending.scheme());
            let admitted = pipeline::admit(ctx, caller, name, scheme, |_| Format::ContentSignature)?;
            used.push((name, std::sync::Arc::clone(&admitted.key), at));
            let subject: String =
                format!("{} {}", message.uri, message.timestamp).chars().take(256).collect();
            orders.push(Order {
                admitted,
                to_sign: message.to_sign.clone(),
                input: None,
                subject: Some(subject),
            });
        }
    }
    let signed = pipeline::sign_many(ctx, caller, orders).await?;
    let mut bundles = vec![Vec::new(); messages.len()];
    for (signed, (name, key, at)) in signed.into_iter().zip(used) {
        bundles[at].push(finish(ctx, name, &key, &messages[at], &signed?.signature).await?);
    }
    Ok(bundles)
}

/// The bundle, checked as a stranger would.
async fn finish(
    ctx: &Context,
    name: &KeyName,
    key: &Key,
    message: &Message,
    signature: &countersign_model::RawSignature,
) -> Result<Value, crate::Error> {
    let public = key.public()?;
    let id = keys::id_of(name);
    let x5u = chain::x5u_of(ctx, name).unwrap_or_default();
    let named = Named { x5u: &x5u, public_key: Some(public), id, reference: "" };
    let unusable = |error: &dyn std::fmt::Display| crate::Error::Internal(error.to_string());
    let bundle: Bundle = message.pending.finish(signature, named).map_err(|error| unusable(&error))?;
    bundle.verify(public, &message.to_sign).map_err(|error| unusable(&error))?;
    serde_json::to_value(&bundle).map_err(|error| unusable(&error))
}
