//! `[collections]`: signed collections.

mod check;
mod settings;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use countersign_core::collections::Settings;
use countersign_model::{KeyName, Name};
use serde::Deserialize;

/// `[collections]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Collections {
    /// Whether the surface answers.
    pub enabled: bool,
    /// Whether there are accounts with passwords.
    pub accounts: bool,
    /// Whether everybody may make an account. Default: who holds `collection:admin`.
    pub open_accounts: bool,
    /// The most requests in a batch. Default 25.
    pub batch_max_requests: u32,
    /// Who may make buckets beside the holders of `collection:admin`. Default: nobody.
    pub bucket_create_principals: Vec<String>,
    /// The largest file that belongs to a record, in MiB, with the form that it comes in. Default 32.
    pub attachment_mib: u32,
    /// Whether every user has a bucket of their own, `/buckets/default`.
    pub default_bucket: bool,
    /// Whether changes are kept in `/buckets/B/history`.
    pub history: bool,
    /// The most objects in an answer to a list request. Default 10 000. Changesets are not cut.
    pub max_fetch_size: u32,
    /// Whether `POST /v1/__flush__` empties everything: for tests of clients only.
    pub flush: bool,
    /// The group of those who edit a collection; `{bucket_id}` and `{collection_id}` are replaced.
    pub editors_group: String,
    /// The group of those who approve.
    pub reviewers_group: String,
    /// Days after which signatures are made again. Default 7.
    pub refresh_days: u32,
    /// Whether signing keys get a certificate chain (`x5u`).
    pub chains: bool,
    /// The DNS name below which the certificates of signing keys are: `KEY.content-signature.DOMAIN`.
    pub chain_domain: String,
    /// Keys of the native surface that get one too, for signatures through the Autograph surface.
    pub chain_keys: Vec<KeyName>,
    /// What is signed, and how it is reviewed.
    pub resource: Vec<CollectionResource>,
    /// How long readers without credentials may keep an answer.
    pub cache: Vec<CollectionCache>,
    /// Who is told of reviews and approvals.
    pub webhook: Vec<CollectionWebhook>,
}

impl Default for Collections {
    fn default() -> Self {
        let Settings {
            accounts,
            open_accounts,
            batch_max_requests,
            bucket_create_principals,
            default_bucket,
            history,
            max_fetch_size,
            flush,
            editors_group,
            reviewers_group,
            chains,
            chain_domain,
            chain_keys,
            ..
        } = Settings::default();
        Self {
            enabled: true,
            accounts,
            open_accounts,
            batch_max_requests,
            bucket_create_principals,
            attachment_mib: 32,
            default_bucket,
            history,
            max_fetch_size,
            flush,
            editors_group,
            reviewers_group,
            refresh_days: 7,
            chains,
            chain_domain,
            chain_keys,
            resource: Vec::new(),
            cache: Vec::new(),
            webhook: Vec::new(),
        }
    }
}

/// `[[collections.resource]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollectionResource {
    /// A bucket, `/buckets/B`, or a collection, `/buckets/B/collections/C`.
    pub source: String,
    /// Where a preview is published.
    pub preview: Option<String>,
    /// Where it is published.
    pub destination: String,
    /// Whether somebody else must approve.
    #[serde(default = "yes")]
    pub review: bool,
    /// Collections of the source where it is otherwise; the first pattern that matches counts.
    #[serde(default)]
    pub review_by_collection: Vec<CollectionReview>,
    /// Whether numbers with a fraction or an exponent may be in records.
    #[serde(default)]
    pub allow_floats: bool,
    /// Whether what was published goes without tombstones when the source is deleted.
    #[serde(default)]
    pub hard_delete: bool,
    /// The keys that sign, as `key:collections/NAME`; each makes a signature. Default `["main"]`.
    #[serde(default)]
    pub keys: Vec<Name>,
    /// The keys that sign the preview instead, so that what is not approved yet is no good to readers. Default: the
    /// same.
    #[serde(default)]
    pub preview_keys: Vec<Name>,
    /// Who signs. Default `local`.
    #[serde(default)]
    pub backend: CollectionBackend,
    /// The Autograph that signs, for the backend of that name.
    pub autograph: Option<CollectionAutograph>,
    /// How it is signed. Default `content-signature`.
    #[serde(default)]
    pub profile: CollectionProfile,
}

/// One of `[[collections.resource]] review_by_collection`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollectionReview {
    /// A regular expression that the whole id of the collection must match, such as `quicksuggest-(\w+)`.
    pub pattern: String,
    /// Whether somebody else must approve.
    pub review: bool,
}

/// Who signs a collection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CollectionBackend {
    /// Our own keys.
    #[default]
    Local,
    /// An Autograph service.
    Autograph,
}

/// How a collection is signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CollectionProfile {
    /// As Firefox reads it.
    #[default]
    ContentSignature,
    /// As readers of 2016 do.
    Seed,
}

/// `[collections.resource.autograph]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollectionAutograph {
    /// Where it answers.
    pub url: String,
    /// The Hawk id.
    pub id: String,
    /// The file with the Hawk secret.
    pub secret_file: PathBuf,
    /// The keys to sign with; each makes a signature.
    pub key_ids: Vec<String>,
    /// How long a signature may take in all, in seconds. Default 4.
    #[serde(default = "autograph_seconds")]
    pub timeout_seconds: u32,
    /// Files with the public keys (PEM) that it may sign with. Default: any.
    #[serde(default)]
    pub public_keys: Vec<PathBuf>,
    /// SHA-256 of the root certificates (DER), in hex with or without colons, one of which must be the end of the chain
    /// of every signature. Default: any, and a chain is not needed.
    #[serde(default)]
    pub root_sha256: Vec<String>,
}

/// `[[collections.cache]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollectionCache {
    /// A bucket, `/buckets/B`, or a collection, `/buckets/B/collections/C`; what is said of a collection wins.
    pub place: String,
    /// For `Cache-Control: max-age`.
    pub seconds: u32,
}

/// `[[collections.webhook]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollectionWebhook {
    /// Where events are posted.
    pub url: String,
    /// The file with the key of the HMAC-SHA-256 over the body.
    pub secret_file: PathBuf,
    /// Names of events. Default: all.
    #[serde(default)]
    pub events: Vec<String>,
}

fn yes() -> bool {
    true
}

fn autograph_seconds() -> u32 {
    4
}
