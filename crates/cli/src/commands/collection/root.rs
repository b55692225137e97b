//! `collection root`: the root certificate of the server's own authority, for readers to trust.

use countersign_pki::chain::Chain;
use serde_json::json;

use super::kinto::Kinto;
use super::reader::Chains;
use super::source::Signer;
use super::status::collections;
use crate::args::CollectionPath;
use crate::context::Context;
use crate::failure::{Failure, Outcome};

/// Prints the root under which published collections are signed.
pub async fn run(context: &Context) -> Result<Outcome, Failure> {
    let kinto = Kinto::here(context.api().await?);
    let chain = find(&kinto).await?.ok_or_else(|| {
        Failure::refused("no published collection names a chain of certificates")
            .hint("one does as soon as it is signed with `[collections] chains = true` in the configuration")
    })?;
    let (root, hash) = (chain.root(), hex::encode(chain.root_hash()));
    let document = json!({
        "pem": root.to_pem(), "sha256": hash, "subject": root.subject().to_string(),
        "not_after": root.not_after().to_string(),
    });
    context.out.say(&format!("SHA-256 {hash}, {}, good until {}", root.subject(), root.not_after()));
    context.out.value(&document, |_| root.to_pem())?;
    Ok(Outcome::Done)
}

/// The chain of the first collection that has one.
async fn find(kinto: &Kinto) -> Result<Option<Chain>, Failure> {
    let signer = Signer::of(&kinto.root().await?)?;
    for (bucket, collection) in signer.destinations() {
        let paths = match collection {
            Some(collection) => {
                vec![CollectionPath { bucket: bucket.to_owned(), collection: collection.to_owned() }]
            }
            None if kinto.find(&format!("/buckets/{bucket}")).await?.is_none() => Vec::new(),
            None => collections(kinto, bucket).await?,
        };
        for path in paths {
            let Some(object) = kinto.find(&path.uri()).await? else { continue };
            let Ok(bundles) = countersign_verify::collection::bundles(&object.data) else { continue };
            let chains = Chains::of(kinto.api(), &bundles).await;
            if let Some(chain) = chains.found.values().find_map(|text| Chain::from_pem(text).ok()) {
                return Ok(Some(chain));
            }
            if let Some(missing) = chains.missing.into_iter().next() {
                return Err(missing);
            }
        }
    }
    Ok(None)
}
