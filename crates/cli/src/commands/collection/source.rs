//! What the server signs, and where it is published: `capabilities.signer` of its root document.

use serde::Deserialize;
use serde_json::Value;

use super::kinto::Root;
use crate::args::CollectionPath;
use crate::failure::Failure;

/// The signer of a server, as its root document shows it.
#[derive(Debug, Deserialize)]
pub struct Signer {
    resources: Vec<Resource>,
    editors_group: String,
    reviewers_group: String,
    #[serde(default)]
    to_review_enabled: bool,
}

#[derive(Debug, Deserialize)]
struct Resource {
    source: Side,
    preview: Option<Side>,
    destination: Side,
    to_review_enabled: Option<bool>,
}

/// A bucket, or one collection of it.
#[derive(Debug, Deserialize)]
struct Side {
    bucket: String,
    collection: Option<String>,
}

/// A collection that is signed.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// Where it is edited.
    pub source: CollectionPath,
    /// Where it can be looked at before it is published.
    pub preview: Option<CollectionPath>,
    /// Where it is published.
    pub destination: CollectionPath,
    /// Whether somebody else must approve.
    pub review: bool,
    /// The group of those who edit.
    pub editors: String,
    /// The group of those who approve.
    pub reviewers: String,
}

impl Signer {
    /// The signer of a server.
    ///
    /// # Errors
    /// If it signs no collections.
    pub fn of(root: &Root) -> Result<Self, Failure> {
        let signer = root.capabilities.get("signer").cloned().unwrap_or(Value::Null);
        serde_json::from_value(signer).map_err(|_| {
            Failure::refused("the server signs no collections")
                .hint("name source and destination in `[[collections.resource]]` of its configuration")
        })
    }

    /// How a collection is signed.
    ///
    /// # Errors
    /// If it is not a source.
    pub fn source(&self, path: &CollectionPath) -> Result<Source, Failure> {
        let bucket = |resource: &&Resource| resource.source.bucket == path.bucket;
        let own = |resource: &&Resource| resource.source.collection.as_ref() == Some(&path.collection);
        let all = |resource: &&Resource| resource.source.collection.is_none();
        let mut named = self.resources.iter().filter(bucket);
        // What is said of a collection wins over what is said of its bucket.
        let resource = named.clone().find(own).or_else(|| named.find(all)).ok_or_else(|| {
            let sources: Vec<String> = self.resources.iter().map(|r| r.source.to_string()).collect();
            Failure::refused(format!("`{path}` is not the source of a signed collection")).hint(format!(
                "sources are {}; others are added as `[[collections.resource]]` of the configuration",
                sources.join(", ")
            ))
        })?;
        let at = |side: &Side| CollectionPath {
            bucket: side.bucket.clone(),
            collection: side.collection.clone().unwrap_or_else(|| path.collection.clone()),
        };
        let group = |template: &str| {
            template.replace("{bucket_id}", &path.bucket).replace("{collection_id}", &path.collection)
        };
        Ok(Source {
            source: path.clone(),
            preview: resource.preview.as_ref().map(at),
            destination: at(&resource.destination),
            review: resource.to_review_enabled.unwrap_or(self.to_review_enabled),
            editors: group(&self.editors_group),
            reviewers: group(&self.reviewers_group),
        })
    }

    /// Sources: buckets, and collections where only some of a bucket are signed.
    pub fn sources(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.resources.iter().map(|r| (r.source.bucket.as_str(), r.source.collection.as_deref()))
    }

    /// Where collections are published.
    pub fn destinations(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.resources.iter().map(|r| (r.destination.bucket.as_str(), r.destination.collection.as_deref()))
    }
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.collection {
            Some(collection) => write!(f, "`{}/{collection}`", self.bucket),
            None => write!(f, "`{}/…`", self.bucket),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn signer() -> Signer {
        let capability = json!({
            "editors_group": "{collection_id}-editors", "reviewers_group": "{bucket_id}-{collection_id}-r",
            "to_review_enabled": false,
            "resources": [
                {"source": {"bucket": "staging", "collection": null}, "preview": {"bucket": "preview", "collection": null},
                 "destination": {"bucket": "prod", "collection": null}, "to_review_enabled": true},
                {"source": {"bucket": "staging", "collection": "x"}, "destination": {"bucket": "other", "collection": "y"}},
            ],
        });
        let root = json!({"settings": {"batch_max_requests": 25}, "capabilities": {"signer": capability}});
        Signer::of(&serde_json::from_value(root).unwrap()).unwrap()
    }

    #[test]
    fn what_is_said_of_a_collection_wins_over_its_bucket() {
        let found = signer().source(&"staging/cats".parse().unwrap()).unwrap();
        assert_eq!(found.preview, Some("preview/cats".parse().unwrap()));
        assert_eq!(found.destination, "prod/cats".parse().unwrap());
        assert_eq!(
            (found.review, &*found.editors, &*found.reviewers),
            (true, "cats-editors", "staging-cats-r")
        );
        let found = signer().source(&"staging/x".parse().unwrap()).unwrap();
        assert_eq!((found.preview, found.review), (None, false));
        assert_eq!(found.destination, "other/y".parse().unwrap());
    }

    #[test]
    fn what_is_no_source_is_refused_with_those_that_are() {
        let failure = signer().source(&"prod/cats".parse().unwrap()).unwrap_err();
        assert_eq!(failure.code(), 1);
        assert!(failure.hint.unwrap().contains("`staging/…`, `staging/x`"));
    }
}
