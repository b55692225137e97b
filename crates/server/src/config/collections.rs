//! `[collections]`: signed collections.

use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_core::collections::Settings;
use countersign_core::collections::settings::{
    AutographSettings, CacheSettings, Profile, ResourceSettings, Signer, WebhookSettings,
};
use countersign_core::collections::signer::resource::{Place, Resources};
use countersign_model::{KeyName, Name};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::ConfigError;

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

/// The events that there are.
const EVENTS: [&str; 4] = ["ReviewRequested", "ReviewApproved", "ReviewRejected", "ReviewCanceled"];

impl Collections {
    /// Checks what needs no file.
    ///
    /// # Errors
    /// [`ConfigError::Value`].
    pub fn check(&self) -> Result<(), ConfigError> {
        let bad = |key, why: &str| Err(ConfigError::Value { key, why: why.into() });
        if !(1..=1000).contains(&self.batch_max_requests) {
            return bad("collections.batch_max_requests", "1 to 1000");
        }
        if !(1..=1_000_000).contains(&self.max_fetch_size) {
            return bad("collections.max_fetch_size", "1 to 1 000 000");
        }
        if !(1..=3650).contains(&self.refresh_days) {
            return bad("collections.refresh_days", "1 to 3650");
        }
        let known = |principal: &String| {
            principal == "system.Authenticated"
                || principal.starts_with("principal:")
                || principal.starts_with("account:")
        };
        if !self.bucket_create_principals.iter().all(known) {
            return bad(
                "collections.bucket_create_principals",
                "`system.Authenticated`, `principal:NAME` or `account:NAME`",
            );
        }
        for (key, template) in [
            ("collections.editors_group", &self.editors_group),
            ("collections.reviewers_group", &self.reviewers_group),
        ] {
            let filled = template.replace("{collection_id}", "c").replace("{bucket_id}", "b");
            if !countersign_core::collections::uri::is_id(&filled) {
                return bad(key, "an id with `{collection_id}` or `{bucket_id}` in it");
            }
        }
        if self.editors_group == self.reviewers_group {
            return bad("collections.reviewers_group", "is another group than `editors_group`");
        }
        let domain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-');
        if self.chain_domain.is_empty() || !self.chain_domain.bytes().all(domain) {
            return bad("collections.chain_domain", "a DNS name in lower case");
        }
        if self.cache.iter().any(|cache| Place::parse(&cache.place).is_err()) {
            return bad("collections.cache", "`place` is `/buckets/B` or `/buckets/B/collections/C`");
        }
        for webhook in &self.webhook {
            if !is_url(&webhook.url) {
                return bad("collections.webhook", "`url` is `https://HOST/PATH` or `http://HOST/PATH`");
            }
            if !webhook.events.iter().all(|event| EVENTS.contains(&event.as_str())) {
                return bad(
                    "collections.webhook",
                    "`events` are `ReviewRequested`, `ReviewApproved`, `ReviewRejected`, `ReviewCanceled`",
                );
            }
        }
        for resource in &self.resource {
            resource.check()?;
        }
        let resources: Result<Vec<_>, _> =
            self.resource.iter().map(|one| one.settings(|_| Ok(String::new()))).collect();
        let settings = Settings { resources: resources?, ..Settings::default() };
        Resources::new(&settings)
            .map_err(|error| ConfigError::Value { key: "collections.resource", why: error.to_string() })?;
        Ok(())
    }

    /// The settings of the use-cases, with the secrets that files have.
    ///
    /// - `public_url`: how the server is reached.
    /// - `data`: the data directory, which names of files are relative to.
    ///
    /// # Errors
    /// [`ConfigError::Unreadable`] for a secret's file.
    pub fn settings(&self, public_url: &str, data: &Path) -> Result<Settings, ConfigError> {
        let secret = |path: &Path| {
            let path = data.join(path);
            let text = std::fs::read_to_string(&path);
            let text = text.map_err(|error| ConfigError::Unreadable { path: path.clone(), error })?;
            let secret = text.trim_end_matches(['\r', '\n']);
            if secret.is_empty() {
                let error = std::io::Error::new(std::io::ErrorKind::InvalidData, "the file is empty");
                return Err(ConfigError::Unreadable { path, error });
            }
            Ok(secret.to_owned())
        };
        let resources: Result<Vec<_>, _> = self.resource.iter().map(|one| one.settings(secret)).collect();
        let webhooks: Result<Vec<_>, ConfigError> = self
            .webhook
            .iter()
            .map(|webhook| {
                let secret = Zeroizing::new(secret(&webhook.secret_file)?);
                Ok(WebhookSettings { url: webhook.url.clone(), secret, events: webhook.events.clone() })
            })
            .collect();
        let cache =
            |cache: &CollectionCache| CacheSettings { place: cache.place.clone(), seconds: cache.seconds };
        Ok(Settings {
            public_url: public_url.to_owned(),
            accounts: self.accounts,
            open_accounts: self.open_accounts,
            batch_max_requests: self.batch_max_requests,
            bucket_create_principals: self.bucket_create_principals.clone(),
            default_bucket: self.default_bucket,
            history: self.history,
            max_fetch_size: self.max_fetch_size,
            flush: self.flush,
            resources: resources?,
            editors_group: self.editors_group.clone(),
            reviewers_group: self.reviewers_group.clone(),
            cache: self.cache.iter().map(cache).collect(),
            refresh_after: Duration::from_secs(u64::from(self.refresh_days) * 86_400),
            webhooks: webhooks?,
            chain_domain: self.chain_domain.clone(),
            chains: self.chains,
            chain_keys: self.chain_keys.clone(),
        })
    }
}

impl CollectionResource {
    fn check(&self) -> Result<(), ConfigError> {
        let bad = |key, why: &str| Err(ConfigError::Value { key, why: why.into() });
        if (self.backend == CollectionBackend::Autograph) != self.autograph.is_some() {
            return bad(
                "collections.resource.autograph",
                "is given with `backend = \"autograph\"`, and only then",
            );
        }
        let Some(autograph) = &self.autograph else { return Ok(()) };
        if !is_url(&autograph.url) {
            return bad("collections.resource.autograph", "`url` is `https://HOST` or `http://HOST`");
        }
        if autograph.key_ids.is_empty() {
            return bad("collections.resource.autograph", "`key_ids` has at least one");
        }
        if !(1..=600).contains(&autograph.timeout_seconds) {
            return bad("collections.resource.autograph", "`timeout_seconds` is 1 to 600");
        }
        if !self.keys.is_empty() {
            return bad("collections.resource", "`keys` are for the backend `local` only");
        }
        Ok(())
    }

    fn settings(
        &self,
        secret: impl Fn(&Path) -> Result<String, ConfigError>,
    ) -> Result<ResourceSettings, ConfigError> {
        let signer = match &self.autograph {
            Some(autograph) => Signer::Autograph(AutographSettings {
                url: autograph.url.trim_end_matches('/').to_owned(),
                id: autograph.id.clone(),
                secret: Zeroizing::new(secret(&autograph.secret_file)?),
                key_ids: autograph.key_ids.clone(),
                timeout: Duration::from_secs(u64::from(autograph.timeout_seconds)),
            }),
            None if self.keys.is_empty() => Signer::Local("main".parse().into_iter().collect()),
            None => Signer::Local(self.keys.clone()),
        };
        let by_collection = self.review_by_collection.iter();
        Ok(ResourceSettings {
            source: self.source.clone(),
            preview: self.preview.clone(),
            destination: self.destination.clone(),
            review: self.review,
            review_by_collection: by_collection.map(|one| (one.pattern.clone(), one.review)).collect(),
            allow_floats: self.allow_floats,
            hard_delete: self.hard_delete,
            signer,
            profile: match self.profile {
                CollectionProfile::ContentSignature => Profile::ContentSignature,
                CollectionProfile::Seed => Profile::Seed,
            },
        })
    }
}

fn is_url(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic()))
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    const RESOURCE: &str =
        "[[collections.resource]]\nsource = \"/buckets/s\"\ndestination = \"/buckets/d\"\n";

    #[test]
    fn without_a_configuration_the_settings_are_the_defaults() {
        let settings = Collections::default().settings("http://h", Path::new("/nowhere")).unwrap();
        assert_eq!(
            format!("{settings:?}"),
            format!("{:?}", Settings { public_url: "http://h".into(), ..Settings::default() })
        );
    }

    #[test]
    fn a_resource_without_keys_is_signed_with_the_key_main() {
        let config = Config::parse(RESOURCE).unwrap();
        let settings = config.collections().settings("http://h", Path::new("/nowhere")).unwrap();
        assert!(settings.resources[0].review);
        let Signer::Local(keys) = &settings.resources[0].signer else { panic!("not local") };
        assert_eq!(keys.iter().map(Name::as_str).collect::<Vec<_>>(), ["main"]);
    }

    #[test]
    fn secrets_are_read_from_files_beside_the_data() {
        let dir = tempfile::tempdir().unwrap();
        let text = format!(
            "{RESOURCE}backend = \"autograph\"\n[collections.resource.autograph]\nurl = \"http://a/\"\nid = \"i\"\n\
             secret_file = \"hawk\"\nkey_ids = [\"k\"]"
        );
        let config = Config::parse(&text).unwrap();
        let settings = || config.collections().settings("http://h", dir.path());
        assert!(matches!(settings(), Err(ConfigError::Unreadable { .. })));
        std::fs::write(dir.path().join("hawk"), "\n").unwrap();
        assert!(matches!(settings(), Err(ConfigError::Unreadable { .. })), "an empty secret is none");
        std::fs::write(dir.path().join("hawk"), "secret\n").unwrap();
        let settings = settings().unwrap();
        let Signer::Autograph(autograph) = &settings.resources[0].signer else { panic!("not Autograph") };
        assert_eq!((autograph.url.as_str(), autograph.secret.as_str()), ("http://a", "secret"));
        assert_eq!(autograph.timeout, Duration::from_secs(4));
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        for (text, named) in [
            ("[collections]\nbatch_max_requests = 0", "collections.batch_max_requests"),
            ("[collections]\nmax_fetch_size = 0", "collections.max_fetch_size"),
            ("[collections]\nrefresh_days = 0", "collections.refresh_days"),
            (
                "[collections]\nbucket_create_principals = [\"everyone\"]",
                "collections.bucket_create_principals",
            ),
            ("[collections]\neditors_group = \"{x}\"", "collections.editors_group"),
            ("[collections]\neditors_group = \"{collection_id}-reviewers\"", "collections.reviewers_group"),
            ("[collections]\nchain_domain = \"a b\"", "collections.chain_domain"),
            ("[[collections.cache]]\nplace = \"b\"\nseconds = 1", "collections.cache"),
            (
                "[[collections.webhook]]\nurl = \"http://h\"\nsecret_file = \"f\"\nevents = [\"Other\"]",
                "collections.webhook",
            ),
            ("[[collections.webhook]]\nurl = \"h\"\nsecret_file = \"f\"", "collections.webhook"),
            (&RESOURCE.replace("/buckets/d", "/buckets/d/collections/c"), "collections.resource"),
            (&RESOURCE.replace("/buckets/d", "/buckets/s"), "collections.resource"),
            (&RESOURCE.repeat(2), "collections.resource"),
            (&format!("{RESOURCE}backend = \"autograph\""), "collections.resource.autograph"),
            (
                &format!("{RESOURCE}review_by_collection = [{{ pattern = \"(\", review = true }}]"),
                "collections.resource",
            ),
            (&format!("{RESOURCE}to_review = true"), "to_review"),
        ] {
            let error = Config::parse(text).unwrap_err().to_string();
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
