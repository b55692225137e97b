//! What the configuration says of collections.

use std::time::Duration;

use countersign_model::{KeyName, Name, PublicKey};
use zeroize::Zeroizing;

/// The surface's settings. The defaults are those of a deployment without a configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the server is reached, without a slash at the end: for `x5u`, `host` and attachments.
    pub public_url: String,
    /// Whether there are accounts with passwords.
    pub accounts: bool,
    /// Whether everybody may make an account.
    pub open_accounts: bool,
    /// The most requests in a batch.
    pub batch_max_requests: u32,
    /// Who may make buckets beside the holders of `collection:admin`: `system.Authenticated`, or nobody.
    pub bucket_create_principals: Vec<String>,
    /// Whether every user has a bucket of their own, `/buckets/default`.
    pub default_bucket: bool,
    /// Whether changes are kept in `/buckets/B/history`.
    pub history: bool,
    /// The most objects in an answer to a list request.
    pub max_fetch_size: u32,
    /// Whether `POST /v1/__flush__` empties everything: for tests of clients.
    pub flush: bool,
    /// What is signed, and how it is reviewed.
    pub resources: Vec<ResourceSettings>,
    /// Names of the groups of editors and reviewers: `{collection_id}` and `{bucket_id}` are replaced.
    pub editors_group: String,
    /// See `editors_group`.
    pub reviewers_group: String,
    /// How long readers without credentials may keep an answer, by place.
    pub cache: Vec<CacheSettings>,
    /// Signatures older than this are made again.
    pub refresh_after: Duration,
    /// Who is told of reviews and approvals.
    pub webhooks: Vec<WebhookSettings>,
    /// The DNS name below which certificates of signing keys are: `KEY.content-signature.DOMAIN`.
    pub chain_domain: String,
    /// Whether signing keys of ours get a certificate chain (`x5u`).
    pub chains: bool,
    /// Keys of the native surface that get one too, for signatures through the Autograph surface.
    pub chain_keys: Vec<KeyName>,
}

/// One thing that is signed.
#[derive(Clone, Debug)]
pub struct ResourceSettings {
    /// `/buckets/B` or `/buckets/B/collections/C`.
    pub source: String,
    /// Where a preview is published.
    pub preview: Option<String>,
    /// Where it is published.
    pub destination: String,
    /// Whether somebody else must approve.
    pub review: bool,
    /// Patterns of collection ids that overrule `review`, the first that matches whole: `quicksuggest-(\w+)`.
    pub review_by_collection: Vec<(String, bool)>,
    /// Whether numbers with a fraction or an exponent may be in records.
    pub allow_floats: bool,
    /// Whether records that go with a deleted source go without tombstones.
    pub hard_delete: bool,
    /// Who signs.
    pub signer: Signer,
    /// Keys of this server that sign the preview; empty: those that sign what is published.
    pub preview_keys: Vec<Name>,
    /// How it is signed.
    pub profile: Profile,
}

/// Who signs a resource.
#[derive(Clone)]
pub enum Signer {
    /// Keys of this server, `key:collections/NAME`; each makes a signature.
    Local(Vec<Name>),
    /// An Autograph.
    Autograph(AutographSettings),
}

/// An Autograph that signs for us.
#[derive(Clone)]
pub struct AutographSettings {
    /// Where it answers.
    pub url: String,
    /// The Hawk id.
    pub id: String,
    /// The Hawk secret.
    pub secret: Zeroizing<String>,
    /// The keys to sign with; each makes a signature.
    pub key_ids: Vec<String>,
    /// How long a request may take in all, retries included.
    pub timeout: Duration,
    /// Whose signatures are taken.
    pub pins: Pins,
}

impl AutographSettings {
    /// Whether what is signed for both can be asked for with one request.
    pub(super) fn asks_the_same_as(&self, other: &Self) -> bool {
        self.url == other.url
            && self.id == other.id
            && self.key_ids == other.key_ids
            && self.pins == other.pins
            && self.timeout == other.timeout
    }
}

/// Whose signatures are taken of an Autograph. Nothing in a list: anybody's. What is in both must be fulfilled in both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pins {
    /// The keys that may sign.
    pub public_keys: Vec<PublicKey>,
    /// SHA-256 of the roots, as DER, of which one must be the end of the chain at `x5u`.
    pub roots: Vec<[u8; 32]>,
}

impl std::fmt::Debug for Signer {
    // An Autograph's settings hold a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Local(keys) => f.debug_tuple("Local").field(keys).finish(),
            Self::Autograph(autograph) => f.debug_tuple("Autograph").field(&autograph.url).finish(),
        }
    }
}

/// How a collection is signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// As Firefox reads it.
    #[default]
    ContentSignature,
    /// As readers of 2016 do.
    Seed,
}

/// How long readers without credentials may keep an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheSettings {
    /// `/buckets/B` or `/buckets/B/collections/C`.
    pub place: String,
    /// For `Cache-Control: max-age`.
    pub seconds: u32,
}

/// Who is told of reviews and approvals.
#[derive(Clone)]
pub struct WebhookSettings {
    /// Where events are posted.
    pub url: String,
    /// The key of the HMAC-SHA-256 over the body.
    pub secret: Zeroizing<String>,
    /// Names of events; empty: all.
    pub events: Vec<String>,
}

impl std::fmt::Debug for WebhookSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookSettings").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            public_url: "http://127.0.0.1:8080".into(),
            accounts: true,
            open_accounts: false,
            batch_max_requests: 25,
            bucket_create_principals: Vec::new(),
            default_bucket: true,
            history: true,
            max_fetch_size: 10_000,
            flush: false,
            resources: Vec::new(),
            editors_group: "{collection_id}-editors".into(),
            reviewers_group: "{collection_id}-reviewers".into(),
            cache: Vec::new(),
            refresh_after: Duration::from_secs(7 * 86_400),
            webhooks: Vec::new(),
            chain_domain: "countersign.local".into(),
            chains: true,
            chain_keys: Vec::new(),
        }
    }
}
