//! Which collections are edited, and where they are published: one line each in the configuration.
//!
//! ```text
//! /buckets/source -> /buckets/destination                              every collection of a bucket
//! /buckets/staging -> /buckets/preview -> /buckets/prod                with a preview for the reviewers
//! /buckets/a/collections/x -> /buckets/b/collections/y                 one collection
//! a/x;b/y      a/x;p/x;b/y      a;b                                    as in 2016
//! ```
//!
//! A line for one collection wins over that of its bucket.

mod resources;

use std::fmt;
use std::str::FromStr;

pub use resources::{Matched, Resources};

/// A bucket, or one collection in it. Text form `/buckets/B` or `/buckets/B/collections/C`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The bucket's id.
    pub bucket: String,
    /// The collection's id; `None`: all of them.
    pub collection: Option<String>,
}

/// One line: what is edited, and where it is published.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Resource {
    /// What editors write.
    pub source: Place,
    /// What reviewers look at.
    pub preview: Option<Place>,
    /// What everybody reads.
    pub destination: Place,
}

/// Why a line, or a list of them, is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResourceError {
    /// Neither two nor three places.
    #[error("`{line}` is not `SOURCE -> DESTINATION` or `SOURCE -> PREVIEW -> DESTINATION`")]
    Line {
        /// The line.
        line: String,
    },
    /// A place that is none.
    #[error("`{place}` is neither a bucket nor a collection")]
    Place {
        /// What was given.
        place: String,
    },
    /// Buckets and collections in one line.
    #[error("`{line}` names a bucket here and a collection there")]
    Mixed {
        /// The line.
        line: String,
    },
    /// A place that is there twice, or that stands inside another in another part.
    #[error("`{place}` is named twice, or is inside of what another line names")]
    Repeated {
        /// The place.
        place: Place,
    },
    /// More lines than anybody has.
    #[error("{got} lines are too many: at most {max}")]
    TooMany {
        /// How many there are.
        got: usize,
        /// The most.
        max: usize,
    },
}

impl ResourceError {
    /// One sentence for the person who reads the terminal or the log.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Line { .. } | Self::Mixed { .. } => {
                "write `/buckets/a -> /buckets/b`, or `/buckets/a/collections/x -> /buckets/b/collections/x`"
            }
            Self::Place { .. } => {
                "write `/buckets/B` or `/buckets/B/collections/C`; ids are letters, digits, `_` and `-`"
            }
            Self::Repeated { .. } => {
                "what is published in a place comes from one source: change one of the lines"
            }
            Self::TooMany { .. } => "name the buckets instead of their collections",
        }
    }
}

/// Whether a text is the id of a bucket or a collection: letters, digits, `_` and `-`, beginning with a letter
/// or digit.
pub fn is_id(text: &str) -> bool {
    text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

impl Place {
    /// Every collection of a bucket.
    pub fn bucket(bucket: &str) -> Self {
        Self { bucket: bucket.to_owned(), collection: None }
    }

    /// One collection.
    pub fn collection(bucket: &str, collection: &str) -> Self {
        Self { bucket: bucket.to_owned(), collection: Some(collection.to_owned()) }
    }

    /// Whether a collection is here.
    fn has(&self, bucket: &str, collection: &str) -> bool {
        self.bucket == bucket && self.collection.as_deref().is_none_or(|own| own == collection)
    }

    /// Whether a collection can be in both.
    fn overlaps(&self, other: &Self) -> bool {
        let one = self.collection.is_none() || other.collection.is_none();
        self.bucket == other.bucket && (one || self.collection == other.collection)
    }

    /// Of a bucket the collection with this id.
    fn concrete(&self, collection: &str) -> Self {
        Self::collection(&self.bucket, self.collection.as_deref().unwrap_or(collection))
    }

    /// `b` or `b/c`.
    fn of_2016(text: &str) -> Option<Self> {
        match text.split_once('/') {
            Some((bucket, collection)) => {
                (is_id(bucket) && is_id(collection)).then(|| Self::collection(bucket, collection))
            }
            None => is_id(text).then(|| Self::bucket(text)),
        }
    }
}

impl FromStr for Place {
    type Err = ResourceError;

    fn from_str(text: &str) -> Result<Self, ResourceError> {
        let rest = text.strip_prefix("/buckets/");
        let place = match rest.and_then(|rest| rest.split_once("/collections/")) {
            Some((bucket, collection)) => {
                (is_id(bucket) && is_id(collection)).then(|| Self::collection(bucket, collection))
            }
            None => rest.filter(|bucket| is_id(bucket)).map(Self::bucket),
        };
        place.ok_or_else(|| ResourceError::Place { place: text.to_owned() })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/buckets/{}", self.bucket)?;
        match &self.collection {
            Some(collection) => write!(f, "/collections/{collection}"),
            None => Ok(()),
        }
    }
}

impl Resource {
    fn places(&self) -> impl Iterator<Item = (Part, &Place)> {
        let preview = self.preview.as_ref().map(|place| (Part::Preview, place));
        [(Part::Source, &self.source), (Part::Destination, &self.destination)].into_iter().chain(preview)
    }
}

/// Which part of a line a place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Source,
    Preview,
    Destination,
}

impl FromStr for Resource {
    type Err = ResourceError;

    fn from_str(line: &str) -> Result<Self, ResourceError> {
        let malformed = || ResourceError::Line { line: line.to_owned() };
        let places: Vec<Place> = if line.contains(';') {
            let place = |text: &str| {
                let text = text.trim();
                let place = if text.starts_with('/') { text.parse().ok() } else { Place::of_2016(text) };
                place.ok_or_else(|| ResourceError::Place { place: text.to_owned() })
            };
            line.splitn(4, ';').map(place).collect::<Result<_, _>>()?
        } else {
            line.splitn(4, "->").map(|text| text.trim().parse()).collect::<Result<_, _>>()?
        };
        let resource = match <[Place; 3]>::try_from(places) {
            Ok([source, preview, destination]) => Self { source, preview: Some(preview), destination },
            Err(places) => match <[Place; 2]>::try_from(places) {
                Ok([source, destination]) => Self { source, preview: None, destination },
                Err(_) => return Err(malformed()),
            },
        };
        let one = resource.source.collection.is_some();
        if resource.places().any(|(_, place)| place.collection.is_some() != one) {
            return Err(ResourceError::Mixed { line: line.to_owned() });
        }
        Ok(resource)
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> ", self.source)?;
        if let Some(preview) = &self.preview {
            write!(f, "{preview} -> ")?;
        }
        write!(f, "{}", self.destination)
    }
}

#[cfg(test)]
mod tests;
