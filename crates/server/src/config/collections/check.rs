//! What `[collections]` may say.

use countersign_core::collections::Settings;
use countersign_core::collections::signer::resource::{Place, Resources};

use super::super::ConfigError;
use super::{CollectionBackend, CollectionResource, Collections};

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
        if !(1..=4096).contains(&self.attachment_mib) {
            return bad("collections.attachment_mib", "1 to 4096");
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
        for (at, webhook) in self.webhook.iter().enumerate() {
            // By the URL an event that waits finds its secret.
            if self.webhook[..at].iter().any(|other| other.url == webhook.url) {
                return bad(
                    "collections.webhook",
                    "each `url` is named once; `events` says of what it is told",
                );
            }
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
        let settings = Settings {
            resources: resources?,
            editors_group: self.editors_group.clone(),
            reviewers_group: self.reviewers_group.clone(),
            ..Settings::default()
        };
        Resources::new(&settings)
            .map_err(|error| ConfigError::Value { key: "collections.resource", why: error.to_string() })?;
        Ok(())
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
        if !self.preview_keys.is_empty() && (self.preview.is_none() || self.autograph.is_some()) {
            return bad(
                "collections.resource",
                "`preview_keys` are for a resource with `preview` and the backend `local`",
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
}

fn is_url(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic()))
}
