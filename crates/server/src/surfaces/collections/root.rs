//! `GET /v1/`: what the server is, what it can do, and who asks.

use countersign_core::collections::settings::Settings;
use countersign_core::collections::signer::resource::Place;
use countersign_core::collections::{Who, default_bucket, principals_of};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::error::Refusal;
use super::reply::Reply;
use crate::app::App;

/// The version of the protocol.
const HTTP_API_VERSION: &str = "1.23";

/// The id that changes of the signer itself have in the history.
const SIGNER: &str = "plugin:remote-settings";

const DOCS: &str = "https://docs.kinto-storage.org/en/latest/api/1.x/";

/// The document. It says nothing of keys, nor of who else signs.
///
/// # Errors
/// When the database does not answer.
pub async fn document(app: &App, base: &str, who: &Who) -> Result<Reply, Refusal> {
    let settings = &app.ctx.collections().settings;
    let mut document = json!({
        "project_name": "Countersign",
        "project_version": env!("CARGO_PKG_VERSION"),
        "http_api_version": HTTP_API_VERSION,
        "project_docs": DOCS,
        "url": format!("{base}/v1/"),
        "config": null,
        "settings": {
            "readonly": false,
            "batch_max_requests": settings.batch_max_requests,
            "explicit_permissions": true,
        },
        "capabilities": capabilities(settings, base),
    });
    if let (Some(user), Some(members)) = (&who.user, document.as_object_mut()) {
        let mut about = json!({"id": user, "principals": principals_of(&app.ctx, who).await?});
        if settings.default_bucket {
            about["bucket"] = default_bucket::id_of(user).into();
        }
        members.insert("user".into(), about);
    }
    Ok(Reply::value(StatusCode::OK, &document))
}

fn capabilities(settings: &Settings, base: &str) -> Value {
    let capability =
        |description: &str, page: &str| json!({"description": description, "url": format!("{DOCS}{page}")});
    let mut all = Map::new();
    if settings.accounts {
        all.insert("accounts".into(), capability("Manage user accounts.", "accounts.html"));
    }
    if settings.default_bucket {
        let description =
            "The default bucket is an alias for a personal bucket where collections are created implicitly.";
        all.insert("default_bucket".into(), capability(description, "buckets.html#personal-bucket-default"));
    }
    if settings.history {
        all.insert("history".into(), capability("Track changes on data.", "history.html"));
    }
    if settings.flush {
        let description = "The __flush__ endpoint can be used to remove all data from all backends.";
        all.insert("flush_endpoint".into(), capability(description, "flush.html"));
    }
    all.insert(
        "schema".into(),
        capability("Validates collection records with JSON schemas.", "collections.html"),
    );
    let description = "The permissions endpoint can be used to list all user objects permissions.";
    all.insert("permissions_endpoint".into(), capability(description, "permissions.html"));
    let mut attachments = capability("Add file attachments to records", "");
    attachments["base_url"] = super::attachment::base_url(base).into();
    all.insert("attachments".into(), attachments);
    if !settings.resources.is_empty() {
        all.insert("changes".into(), changes(settings));
        all.insert("signer".into(), signer(settings));
    }
    Value::Object(all)
}

/// What readers can poll.
fn changes(settings: &Settings) -> Value {
    let mut places: Vec<&str> = Vec::new();
    for resource in &settings.resources {
        for place in resource.preview.iter().chain([&resource.destination]) {
            if !places.contains(&place.as_str()) {
                places.push(place);
            }
        }
    }
    places.sort_unstable();
    json!({
        "description": "Track modifications of records in Kinto and store the collection timestamps into a \
                        specific bucket and collection.",
        "url": DOCS,
        "version": env!("CARGO_PKG_VERSION"),
        "collections": places,
    })
}

/// What is signed.
fn signer(settings: &Settings) -> Value {
    let side = |place: &str| {
        let place = Place::parse(place).ok();
        json!({
            "bucket": place.as_ref().map(|place| &place.bucket),
            "collection": place.as_ref().and_then(|place| place.collection.as_ref()),
        })
    };
    let resources = settings.resources.iter().map(|resource| {
        let mut entry = Map::new();
        entry.insert("source".into(), side(&resource.source));
        if let Some(preview) = &resource.preview {
            entry.insert("preview".into(), side(preview));
        }
        entry.insert("destination".into(), side(&resource.destination));
        // Only where it is other than for all.
        if resource.review {
            entry.insert("to_review_enabled".into(), true.into());
        }
        Value::Object(entry)
    });
    json!({
        "description": "Digital signatures for integrity and authenticity of records.",
        "url": DOCS,
        "version": env!("CARGO_PKG_VERSION"),
        "plugin_userid": SIGNER,
        "group_check_enabled": true,
        "editors_group": settings.editors_group,
        "reviewers_group": settings.reviewers_group,
        "to_review_enabled": false,
        "resources": resources.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_core::collections::settings::{AutographSettings, Profile, ResourceSettings, Signer};

    fn resource(source: &str, preview: Option<&str>, destination: &str, review: bool) -> ResourceSettings {
        ResourceSettings {
            source: source.into(),
            preview: preview.map(Into::into),
            destination: destination.into(),
            review,
            review_by_collection: Vec::new(),
            allow_floats: false,
            hard_delete: false,
            signer: Signer::Autograph(AutographSettings {
                url: "https://autograph.internal".into(),
                id: "hawk-id".into(),
                secret: "hawk-secret".to_owned().into(),
                key_ids: vec!["hidden-key".into()],
                timeout: std::time::Duration::from_secs(1),
                pins: Default::default(),
            }),
            preview_keys: Vec::new(),
            profile: Profile::ContentSignature,
        }
    }

    #[test]
    fn the_signer_says_what_is_signed_and_nothing_of_who_signs() {
        let settings = Settings {
            resources: vec![
                resource("/buckets/source", None, "/buckets/destination", false),
                resource(
                    "/buckets/staging/collections/c",
                    Some("/buckets/preview/collections/c"),
                    "/buckets/prod/collections/c",
                    true,
                ),
            ],
            ..Settings::default()
        };
        let all = capabilities(&settings, "http://h");
        assert_eq!(
            all["signer"]["resources"],
            json!([
                {"source": {"bucket": "source", "collection": null}, "destination": {"bucket": "destination", "collection": null}},
                {"source": {"bucket": "staging", "collection": "c"}, "preview": {"bucket": "preview", "collection": "c"},
                 "destination": {"bucket": "prod", "collection": "c"}, "to_review_enabled": true},
            ])
        );
        assert_eq!(
            all["changes"]["collections"],
            json!(["/buckets/destination", "/buckets/preview/collections/c", "/buckets/prod/collections/c"])
        );
        let text = all.to_string();
        for secret in ["autograph", "hawk", "hidden-key"] {
            assert!(!text.contains(secret), "{secret}");
        }
    }
}
