//! Which collections are signed, and where they are published.

use regex::Regex;

use crate::collections::settings::{Profile, ResourceSettings, Settings};
use crate::collections::uri::{ListUri, ObjectUri};

/// Everything that is signed, ready to be asked.
#[derive(Debug, Default)]
pub struct Resources {
    resources: Vec<Resource>,
    editors_group: String,
    reviewers_group: String,
}

/// Why a resource of the configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadResource {
    /// Not the URI of a bucket or collection.
    #[error("`{0}` is neither `/buckets/B` nor `/buckets/B/collections/C`")]
    Place(String),
    /// A bucket on one side, a collection on the other.
    #[error("the resource of `{0}` has a bucket on one side and a collection on the other")]
    Mixed(String),
    /// Two resources, or two sides of one, name the same place.
    #[error("`{0}` is named twice")]
    Repeated(String),
    /// Something would be published from two sources, or by one line and edited by another.
    #[error("what is published at `{0}` would also be at `{1}`")]
    Overlapping(String, String),
    /// The groups of editors of one collection could be those of reviewers of another.
    #[error("`{0}` and `{1}` can name the same group")]
    Groups(String, String),
    /// A pattern of collection ids that cannot be read.
    #[error("`{0}` is not a pattern of collection ids")]
    Pattern(String),
}

/// A bucket, or one collection of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The bucket.
    pub bucket: String,
    /// The collection; `None`: every one in the bucket.
    pub collection: Option<String>,
}

impl Place {
    /// Reads `/buckets/B` or `/buckets/B/collections/C`.
    ///
    /// # Errors
    /// [`BadResource::Place`].
    pub fn parse(text: &str) -> Result<Self, BadResource> {
        let bad = || BadResource::Place(text.to_owned());
        let mut parts = text.strip_prefix("/buckets/").ok_or_else(bad)?.split('/');
        let place = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(bucket), None, None, None) => Self { bucket: bucket.to_owned(), collection: None },
            (Some(bucket), Some("collections"), Some(collection), None) => {
                Self { bucket: bucket.to_owned(), collection: Some(collection.to_owned()) }
            }
            _ => return Err(bad()),
        };
        let ids = std::iter::once(&place.bucket).chain(&place.collection);
        if ids.into_iter().all(|id| crate::collections::uri::is_id(id)) { Ok(place) } else { Err(bad()) }
    }

    /// Whether a collection can be in both.
    fn overlaps(&self, other: &Self) -> bool {
        let both = self.collection.as_ref().zip(other.collection.as_ref());
        self.bucket == other.bucket && both.is_none_or(|(own, theirs)| own == theirs)
    }

    /// The collection that `collection` of the source has here.
    fn of(&self, collection: &str) -> ObjectUri {
        ObjectUri::collection(&self.bucket, self.collection.as_deref().unwrap_or(collection))
    }

    fn has(&self, bucket: &str, collection: &str) -> bool {
        self.bucket == bucket && self.collection.as_deref().is_none_or(|own| own == collection)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "/buckets/{}", self.bucket)?;
        self.collection.as_ref().map_or(Ok(()), |id| write!(f, "/collections/{id}"))
    }
}

#[derive(Debug)]
struct Resource {
    source: Place,
    preview: Option<Place>,
    destination: Place,
    review_by_collection: Vec<(Regex, bool)>,
    settings: ResourceSettings,
}

/// A source collection, and where it is published.
#[derive(Clone, Debug)]
pub struct Matched<'a> {
    /// What is edited.
    pub source: ObjectUri,
    /// What reviewers look at.
    pub preview: Option<ObjectUri>,
    /// What readers read.
    pub destination: ObjectUri,
    /// Whether somebody else must approve.
    pub review: bool,
    /// The group of those who edit.
    pub editors: ObjectUri,
    /// The group of those who approve.
    pub reviewers: ObjectUri,
    /// Those of the two that are of this collection alone: they come and go with it.
    pub own_groups: OwnGroups,
    /// Who signs, and how.
    pub settings: &'a ResourceSettings,
}

/// Which groups belong to one collection, because its id is in their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnGroups {
    /// The editors'.
    pub editors: bool,
    /// The reviewers'.
    pub reviewers: bool,
}

impl Matched<'_> {
    /// Whether it is signed as in 2016, when collections had no review.
    pub fn is_seed(&self) -> bool {
        self.settings.profile == Profile::Seed
    }

    /// Preview, if there is one, and destination: in the order in which they are published.
    pub fn published(&self) -> impl Iterator<Item = &ObjectUri> {
        self.preview.iter().chain(std::iter::once(&self.destination))
    }
}

impl Resources {
    /// Reads what the configuration says.
    ///
    /// # Errors
    /// [`BadResource`].
    pub fn new(settings: &Settings) -> Result<Self, BadResource> {
        let mut resources: Vec<Resource> = Vec::with_capacity(settings.resources.len());
        for resource in &settings.resources {
            let resource = Resource::new(resource)?;
            let taken = |place: &&Place| resources.iter().any(|other| other.places().any(|p| p == *place));
            let own: Vec<&Place> = resource.places().collect();
            let twice = (1..own.len()).find(|&i| own[..i].contains(&own[i])).map(|i| own[i]);
            if let Some(place) = own.iter().copied().find(|place| taken(place)).or(twice) {
                return Err(BadResource::Repeated(place.to_string()));
            }
            for other in &resources {
                resource.check_beside(other)?;
            }
            check_groups(settings, &resource.source.bucket)?;
            resources.push(resource);
        }
        Ok(Self {
            resources,
            editors_group: settings.editors_group.clone(),
            reviewers_group: settings.reviewers_group.clone(),
        })
    }

    /// The resource of which `collection` in `bucket` is the source. One that names the collection wins over
    /// that of its bucket.
    pub fn of_source(&self, bucket: &str, collection: &str) -> Option<Matched<'_>> {
        let named = |resource: &&Resource| resource.source.collection.is_some();
        let mut of_source = self.resources.iter().filter(|resource| resource.source.has(bucket, collection));
        let first = of_source.next()?;
        let resource = if named(&first) { first } else { of_source.find(named).unwrap_or(first) };
        Some(self.matched(resource, collection))
    }

    /// The resource of which this is the source, or in which it is.
    pub fn of(&self, uri: &ObjectUri) -> Option<Matched<'_>> {
        self.of_source(uri.bucket_id()?, uri.collection_id()?)
    }

    /// The sources, there or not, of which `collection` in `bucket` is the preview or the destination.
    pub fn published_at(&self, bucket: &str, collection: &str) -> Vec<Matched<'_>> {
        let is_it = |uri: &ObjectUri| uri.bucket_id() == Some(bucket) && uri.id == collection;
        let sources = self.resources.iter().filter_map(|resource| {
            let here = |place: &Place| place.has(bucket, collection);
            if !here(&resource.destination) && !resource.preview.as_ref().is_some_and(here) {
                return None;
            }
            // Of a whole bucket the ids are the same on all sides.
            let source = resource.source.collection.as_deref().unwrap_or(collection);
            let matched = self.of_source(&resource.source.bucket, source)?;
            // A resource that names the source collection may publish it elsewhere.
            let publishes = matched.published().any(is_it);
            publishes.then_some(matched)
        });
        sources.collect()
    }

    /// The lists of collections in which previews and destinations are, each once: what the monitor shows.
    pub fn monitored(&self) -> Vec<Place> {
        let mut places: Vec<Place> = self
            .resources
            .iter()
            .flat_map(|resource| resource.preview.iter().chain([&resource.destination]))
            .cloned()
            .collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// Whether `collection` in `bucket` is, or could become, a preview or a destination.
    pub fn is_monitored(&self, bucket: &str, collection: &str) -> bool {
        self.resources.iter().any(|resource| {
            resource.destination.has(bucket, collection)
                || resource.preview.as_ref().is_some_and(|preview| preview.has(bucket, collection))
        })
    }

    /// Where sources are: a bucket, or a collection.
    pub fn sources(&self) -> impl Iterator<Item = &Place> {
        self.resources.iter().map(|resource| &resource.source)
    }

    /// Whether something is edited or published in this bucket.
    pub fn names_bucket(&self, bucket: &str) -> bool {
        self.resources.iter().any(|resource| resource.places().any(|place| place.bucket == bucket))
    }

    /// Whether nothing is signed.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }

    fn matched<'a>(&'a self, resource: &'a Resource, collection: &str) -> Matched<'a> {
        let source = resource.source.of(collection);
        let bucket = &resource.source.bucket;
        let group = |template: &str| {
            let name = template.replace(COLLECTION, &source.id).replace(BUCKET, bucket);
            ListUri::groups(bucket).object(name)
        };
        let ruled = resource.review_by_collection.iter().find(|(pattern, _)| pattern.is_match(collection));
        Matched {
            preview: resource.preview.as_ref().map(|preview| preview.of(collection)),
            destination: resource.destination.of(collection),
            // Collections of 2016 know no reviews.
            review: resource.settings.profile != Profile::Seed
                && ruled.map_or(resource.settings.review, |(_, review)| *review),
            editors: group(&self.editors_group),
            reviewers: group(&self.reviewers_group),
            own_groups: OwnGroups {
                editors: self.editors_group.contains(COLLECTION),
                reviewers: self.reviewers_group.contains(COLLECTION),
            },
            settings: &resource.settings,
            source,
        }
    }
}

impl Resource {
    fn new(settings: &ResourceSettings) -> Result<Self, BadResource> {
        let source = Place::parse(&settings.source)?;
        let preview = settings.preview.as_deref().map(Place::parse).transpose()?;
        let destination = Place::parse(&settings.destination)?;
        let whole = source.collection.is_none();
        if std::iter::once(&destination).chain(&preview).any(|place| place.collection.is_none() != whole) {
            return Err(BadResource::Mixed(source.to_string()));
        }
        let pattern = |(text, review): &(String, bool)| {
            let bad = |_| BadResource::Pattern(text.clone());
            Ok((Regex::new(&format!("^(?:{text})$")).map_err(bad)?, *review))
        };
        let review_by_collection =
            settings.review_by_collection.iter().map(pattern).collect::<Result<_, _>>()?;
        Ok(Self { source, preview, destination, review_by_collection, settings: settings.clone() })
    }

    fn places(&self) -> impl Iterator<Item = &Place> {
        std::iter::once(&self.source).chain(&self.preview).chain(std::iter::once(&self.destination))
    }

    /// Refuses two lines of which one publishes where the other publishes or edits: the rules of the one would not
    /// hold for what comes by the other.
    fn check_beside(&self, other: &Self) -> Result<(), BadResource> {
        for (one, two) in [(self, other), (other, self)] {
            for (role, place) in one.published() {
                let other_source = place.overlaps(&two.source).then_some(&two.source);
                let overlapping = two.published().filter(|(_, other)| place.overlaps(other));
                let mut not_the_same = overlapping.filter(|(other_role, other)| {
                    *other_role != role
                        || !(one.overrules(place, two, other) || two.overrules(other, one, place))
                });
                if let Some(found) = other_source.or_else(|| not_the_same.next().map(|(_, place)| place)) {
                    return Err(BadResource::Overlapping(place.to_string(), found.to_string()));
                }
            }
        }
        Ok(())
    }

    /// Where it publishes.
    fn published(&self) -> impl Iterator<Item = (Role, &Place)> {
        let preview = self.preview.iter().map(|place| (Role::Preview, place));
        preview.chain(std::iter::once((Role::Destination, &self.destination)))
    }

    /// Whether this line names a collection of the other's source, and publishes it at `own` where the other would at
    /// `theirs`: then it is published once, by this line.
    fn overrules(&self, own: &Place, other: &Self, theirs: &Place) -> bool {
        let named = self.source.collection.is_some() && theirs.collection.is_none();
        named
            && other.source.collection.is_none()
            && self.source.bucket == other.source.bucket
            && self.source.collection == own.collection
    }
}

/// What a published place is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Preview,
    Destination,
}

/// What stands for the id of a collection in the name of a group.
const COLLECTION: &str = "{collection_id}";
/// What stands for that of its bucket.
const BUCKET: &str = "{bucket_id}";

/// Refuses names with which the editors of one collection of `bucket` could be the reviewers of another.
fn check_groups(settings: &Settings, bucket: &str) -> Result<(), BadResource> {
    let (editors, reviewers) = (&settings.editors_group, &settings.reviewers_group);
    // What is before and after the id; all of it, if it is not there.
    let parts = |template: &str| {
        let filled = template.replace(BUCKET, bucket);
        let first = filled.find(COLLECTION);
        let last = filled.rfind(COLLECTION);
        match first.zip(last) {
            Some((first, last)) => {
                (filled[..first].to_owned(), Some(filled[last + COLLECTION.len()..].to_owned()))
            }
            None => (filled, None),
        }
    };
    let can_be_one = match (parts(editors), parts(reviewers)) {
        ((one, None), (two, None)) => one == two,
        ((whole, None), (start, Some(end))) | ((start, Some(end)), (whole, None)) => {
            whole.starts_with(&start) && whole.ends_with(&end)
        }
        ((start, Some(end)), (other_start, Some(other_end))) => {
            (start.starts_with(&other_start) || other_start.starts_with(&start))
                && (end.ends_with(&other_end) || other_end.ends_with(&end))
        }
    };
    if can_be_one { Err(BadResource::Groups(editors.clone(), reviewers.clone())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use countersign_model::Name;

    use super::*;
    use crate::collections::settings::Signer;

    fn line(source: &str, preview: Option<&str>, destination: &str, review: bool) -> ResourceSettings {
        let key: Name = "main".parse().unwrap();
        ResourceSettings {
            source: source.into(),
            preview: preview.map(Into::into),
            destination: destination.into(),
            review,
            review_by_collection: Vec::new(),
            allow_floats: false,
            hard_delete: false,
            signer: Signer::Local(vec![key]),
            preview_keys: Vec::new(),
            profile: Profile::ContentSignature,
        }
    }

    fn resources(lines: Vec<ResourceSettings>) -> Result<Resources, BadResource> {
        Resources::new(&Settings { resources: lines, ..Settings::default() })
    }

    fn texts(matched: &Matched<'_>) -> String {
        let published: Vec<String> = matched.published().map(ToString::to_string).collect();
        format!("{} -> {}", matched.source, published.join(" -> "))
    }

    #[test]
    fn a_collection_is_published_under_its_own_id_or_that_which_is_named() {
        let resources = resources(vec![
            line("/buckets/staging", Some("/buckets/preview"), "/buckets/prod", true),
            line("/buckets/staging/collections/x", None, "/buckets/other/collections/y", false),
        ])
        .unwrap();
        for (collection, wanted) in [
            (
                "c",
                "/buckets/staging/collections/c -> /buckets/preview/collections/c -> \
                 /buckets/prod/collections/c",
            ),
            ("x", "/buckets/staging/collections/x -> /buckets/other/collections/y"),
        ] {
            assert_eq!(texts(&resources.of_source("staging", collection).unwrap()), wanted);
        }
        assert!(resources.of_source("prod", "c").is_none());
        let found = |bucket, id| resources.published_at(bucket, id).iter().map(texts).collect::<Vec<_>>();
        assert_eq!(found("prod", "c").len(), 1);
        assert_eq!(found("preview", "c").len(), 1);
        assert_eq!(found("prod", "x"), <Vec<String>>::new(), "x is published elsewhere");
        assert_eq!(found("other", "y").len(), 1);
        assert_eq!(found("other", "x"), <Vec<String>>::new());
    }

    #[test]
    fn review_is_on_by_resource_and_by_pattern_of_the_whole_id() {
        let mut resource = line("/buckets/a", None, "/buckets/b", false);
        resource.review_by_collection = vec![(r"quicksuggest-(\w+)".into(), true), ("quick.*".into(), false)];
        let resources = resources(vec![resource]).unwrap();
        for (id, review) in
            [("quicksuggest-de", true), ("quicksuggest-", false), ("x-quicksuggest-de", false)]
        {
            assert_eq!(resources.of_source("a", id).unwrap().review, review, "{id}");
        }
    }

    #[test]
    fn groups_are_named_by_the_collection_and_the_bucket() {
        let settings = Settings {
            resources: vec![line("/buckets/a", None, "/buckets/b", true)],
            reviewers_group: "{bucket_id}-{collection_id}-r".into(),
            ..Settings::default()
        };
        let resources = Resources::new(&settings).unwrap();
        let matched = resources.of_source("a", "c").unwrap();
        assert_eq!(matched.editors.to_string(), "/buckets/a/groups/c-editors");
        assert_eq!(matched.reviewers.to_string(), "/buckets/a/groups/a-c-r");
    }

    #[test]
    fn what_one_line_publishes_no_other_line_publishes_or_edits() {
        let reviewed = || line("/buckets/s", Some("/buckets/v"), "/buckets/d", true);
        let in_bucket = |bucket: &str, id: &str| format!("/buckets/{bucket}/collections/{id}");
        for (source, preview, destination, good) in [
            // Into what is reviewed, past the review.
            (in_bucket("o", "z"), None, in_bucket("d", "z"), false),
            (in_bucket("o", "z"), None, in_bucket("v", "z"), false),
            (in_bucket("o", "z"), Some(in_bucket("d", "z")), in_bucket("o", "y"), false),
            // Into what is edited, and out of what is published.
            (in_bucket("o", "z"), None, in_bucket("s", "z"), false),
            (in_bucket("d", "z"), None, in_bucket("o", "z"), false),
            // A collection of the source that goes its own way, or the same with other rules.
            (in_bucket("s", "z"), None, in_bucket("o", "z"), true),
            (in_bucket("s", "z"), None, in_bucket("d", "z"), true),
            (in_bucket("s", "z"), Some(in_bucket("v", "z")), in_bucket("d", "z"), true),
            (in_bucket("s", "z"), None, in_bucket("d", "y"), false),
            (in_bucket("s", "z"), Some(in_bucket("d", "z")), in_bucket("o", "z"), false),
        ] {
            let other = line(&source, preview.as_deref(), &destination, false);
            for lines in [vec![reviewed(), other.clone()], vec![other, reviewed()]] {
                let read = resources(lines);
                assert_eq!(read.is_ok(), good, "{source} -> {preview:?} -> {destination}: {read:?}");
                assert!(good || matches!(read, Err(BadResource::Overlapping(..))), "{read:?}");
            }
        }
    }

    #[test]
    fn nobody_is_a_reviewer_because_a_collection_has_a_name() {
        for (editors, reviewers, good) in [
            ("{collection_id}-editors", "{collection_id}-reviewers", true),
            ("{collection_id}-editors", "reviewers", true),
            ("e-{collection_id}", "r-{collection_id}", true),
            ("editors", "reviewers", true),
            ("{collection_id}-editors", "all-editors", false),
            ("{collection_id}", "{collection_id}-reviewers", false),
            ("{bucket_id}-x", "a-x", false),
            ("e-{collection_id}", "{collection_id}-r", false),
        ] {
            let settings = Settings {
                resources: vec![line("/buckets/a", None, "/buckets/b", true)],
                editors_group: editors.into(),
                reviewers_group: reviewers.into(),
                ..Settings::default()
            };
            assert_eq!(Resources::new(&settings).is_ok(), good, "{editors} {reviewers}");
        }
    }

    #[test]
    fn a_place_has_one_role_and_sides_are_alike() {
        for (lines, wanted) in [
            (vec![("/buckets/a", "/buckets/a")], BadResource::Repeated("/buckets/a".into())),
            (
                vec![("/buckets/a", "/buckets/b"), ("/buckets/c", "/buckets/b")],
                BadResource::Repeated("/buckets/b".into()),
            ),
            (vec![("/buckets/a", "/buckets/b/collections/c")], BadResource::Mixed("/buckets/a".into())),
            (vec![("a/b", "/buckets/b")], BadResource::Place("a/b".into())),
            (vec![("/buckets/a/", "/buckets/b")], BadResource::Place("/buckets/a/".into())),
        ] {
            let lines = lines.into_iter().map(|(from, to)| line(from, None, to, false)).collect();
            assert_eq!(resources(lines).unwrap_err(), wanted);
        }
        let mut bad = line("/buckets/a", None, "/buckets/b", false);
        bad.review_by_collection = vec![("(".into(), true)];
        assert_eq!(resources(vec![bad]).unwrap_err(), BadResource::Pattern("(".into()));
    }
}
