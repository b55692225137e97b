//! `[collections]` as the use-cases take it, with the secrets that files have.

use std::path::Path;
use std::time::Duration;

use countersign_core::collections::Settings;
use countersign_core::collections::settings::{
    AutographSettings, CacheSettings, Pins, Profile, ResourceSettings, Signer, WebhookSettings,
};
use countersign_model::PublicKey;
use zeroize::Zeroizing;

use super::super::ConfigError;
use super::{CollectionAutograph, CollectionCache, CollectionProfile, CollectionResource, Collections};

impl Collections {
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
    pub(super) fn settings(
        &self,
        secret: impl Fn(&Path) -> Result<String, ConfigError>,
    ) -> Result<ResourceSettings, ConfigError> {
        let signer = match &self.autograph {
            Some(autograph) => Signer::Autograph(AutographSettings {
                pins: autograph.pins(&secret)?,
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
            preview_keys: self.preview_keys.clone(),
            profile: match self.profile {
                CollectionProfile::ContentSignature => Profile::ContentSignature,
                CollectionProfile::Seed => Profile::Seed,
            },
        })
    }
}

impl CollectionAutograph {
    /// - `read`: the text of a file; empty where files are not looked at.
    fn pins(&self, read: impl Fn(&Path) -> Result<String, ConfigError>) -> Result<Pins, ConfigError> {
        let bad = |why: String| ConfigError::Value { key: "collections.resource.autograph", why };
        let mut pins = Pins::default();
        for path in &self.public_keys {
            let text = read(path)?;
            if !text.is_empty() {
                let key = PublicKey::from_pem(&text);
                let why = |error| bad(format!("`public_keys`: {}: {error}", path.display()));
                pins.public_keys.push(key.map_err(why)?);
            }
        }
        for text in &self.root_sha256 {
            let mut hash = [0; 32];
            hex::decode_to_slice(text.replace(':', ""), &mut hash)
                .map_err(|_| bad("`root_sha256` are of 64 hex digits each".into()))?;
            pins.roots.push(hash);
        }
        Ok(pins)
    }
}
