//! `collection status`: what is edited, what is published, and how long its signatures are good.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::kinto::{Kinto, Object, last_modified, text};
use super::reader::Chains;
use super::source::{Signer, Source};
use crate::args::{CollectionPath, Place};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::output::{Field, card, table};

const COLUMNS: [Field<'_>; 7] = [
    ("COLLECTION", "/source"),
    ("STATUS", "/status"),
    ("RECORDS", "/records"),
    ("PUBLISHED", "/published"),
    ("SIGNED", "/last_signature_date"),
    ("BY", "/last_signature_by"),
    ("CHAIN EXPIRES", "/chain_expires"),
];

const FIELDS: [Field<'_>; 20] = [
    ("source", "/source"),
    ("status", "/status"),
    ("state", "/state"),
    ("records", "/records"),
    ("preview", "/preview"),
    ("published at", "/destination"),
    ("published records", "/published"),
    ("published state", "/published_state"),
    ("review needed", "/review"),
    ("edited", "/last_edit_date"),
    ("edited by", "/last_edit_by"),
    ("review requested", "/last_review_request_date"),
    ("requested by", "/last_review_request_by"),
    ("comment", "/last_editor_comment"),
    ("reviewed", "/last_review_date"),
    ("reviewed by", "/last_review_by"),
    ("review comment", "/last_reviewer_comment"),
    ("signed", "/last_signature_date"),
    ("days since", "/signature_days"),
    ("chain expires", "/chain_expires"),
];

/// Shows one source collection, those of a bucket, or all.
pub async fn run(context: &Context, place: Option<&Place>) -> Result<Outcome, Failure> {
    let kinto = Kinto::here(context.api().await?);
    let signer = Signer::of(&kinto.root().await?)?;
    if let Some(Place { bucket, collection: Some(collection) }) = place {
        let path = CollectionPath { bucket: bucket.clone(), collection: collection.clone() };
        return show(context, &kinto, &signer.source(&path)?).await;
    }
    let wanted = place.map(|place| place.bucket.as_str());
    let mut documents = Vec::new();
    for path in sources(&kinto, &signer, wanted).await? {
        let found = signer.source(&path)?;
        if let Some(document) = describe(&kinto, &found).await? {
            documents.push(document);
        }
    }
    context.out.value(&json!({ "collections": documents }), |_| {
        table(&documents, &COLUMNS, "no collections; `countersign collection init` makes one")
    })?;
    Ok(Outcome::Done)
}

/// Shows one source collection.
pub async fn show(context: &Context, kinto: &Kinto, found: &Source) -> Result<Outcome, Failure> {
    let document = describe(kinto, found).await?.ok_or_else(|| {
        Failure::refused(format!("there is no collection `{}`", found.source))
            .hint(format!("`countersign collection init {}` makes it", found.source))
    })?;
    context.out.value(&document, |document| card(document, &FIELDS))?;
    Ok(Outcome::Done)
}

/// The source collections that are there, each once.
async fn sources(
    kinto: &Kinto,
    signer: &Signer,
    wanted: Option<&str>,
) -> Result<Vec<CollectionPath>, Failure> {
    let mut all = Vec::new();
    let named = |bucket: &str| wanted.is_none_or(|wanted| wanted == bucket);
    for (bucket, collection) in signer.sources().filter(|(bucket, _)| named(bucket)) {
        match collection {
            Some(collection) => {
                all.push(CollectionPath { bucket: bucket.to_owned(), collection: collection.to_owned() });
            }
            None if kinto.find(&format!("/buckets/{bucket}")).await?.is_none() => {}
            None => all.extend(collections(kinto, bucket).await?),
        }
    }
    all.sort();
    all.dedup();
    if let (true, Some(wanted)) = (all.is_empty(), wanted)
        && !signer.sources().any(|(bucket, _)| bucket == wanted)
    {
        return Err(Failure::refused(format!("`{wanted}` is not the source of signed collections"))
            .hint("`countersign collection status` lists those that are"));
    }
    Ok(all)
}

/// The collections of a bucket.
pub async fn collections(kinto: &Kinto, bucket: &str) -> Result<Vec<CollectionPath>, Failure> {
    let list = kinto.list(&format!("/buckets/{bucket}/collections")).await?;
    let path = |data: &Map<String, Value>| CollectionPath {
        bucket: bucket.to_owned(),
        collection: text(data, "id").to_owned(),
    };
    Ok(list.iter().map(path).collect())
}

/// What is known of a source collection; `None` if it is not there.
async fn describe(kinto: &Kinto, found: &Source) -> Result<Option<Value>, Failure> {
    let Some(source) = kinto.find(&found.source.uri()).await? else { return Ok(None) };
    let published = kinto.find(&found.destination.uri()).await?;
    let count = async |path: &CollectionPath| kinto.count(&format!("{}/records", path.uri())).await;
    let mut document = json!({
        "source": found.source.to_string(),
        "preview": found.preview.as_ref().map(ToString::to_string),
        "destination": found.destination.to_string(),
        "review": found.review,
        "state": last_modified(&source.data),
        "records": count(&found.source).await?,
        "published": match &published {
            Some(_) => count(&found.destination).await?,
            None => None,
        },
        "published_state": published.as_ref().map(|published| last_modified(&published.data)),
        "signature_days": days(text(&source.data, "last_signature_date")),
        "chain_expires": match &published {
            Some(published) => expiry(kinto, published).await?,
            None => None,
        },
    });
    let shown = |name: &&String| *name == "status" || (name.starts_with("last_") && *name != "last_modified");
    for name in source.data.keys().filter(shown) {
        let value = source.data.get(name).filter(|value| **value != "").cloned();
        document[name] = value.unwrap_or(Value::Null);
    }
    Ok(Some(document))
}

/// Whole days since a time; `None` if it is none.
fn days(date: &str) -> Option<i64> {
    let date: Timestamp = date.parse().ok()?;
    Some(Timestamp::now().duration_since(date).as_hours() / 24)
}

/// When the first certificate of the collection's chains expires; `None` where there is no chain.
async fn expiry(kinto: &Kinto, published: &Object) -> Result<Option<String>, Failure> {
    let Ok(bundles) = countersign_verify::collection::bundles(&published.data) else { return Ok(None) };
    let chains = Chains::of(kinto.api(), &bundles).await;
    Ok(chains.first_expiry().map(|expiry| expiry.to_string()))
}
