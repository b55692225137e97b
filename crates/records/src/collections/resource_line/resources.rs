//! All lines together.

use super::{Part, Place, Resource, ResourceError};

/// The lines of a configuration, none in the way of another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Those of one collection first: they win.
    lines: Vec<Resource>,
}

/// What belongs together: each place is one collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matched {
    /// What editors write.
    pub source: Place,
    /// What reviewers look at.
    pub preview: Option<Place>,
    /// What everybody reads.
    pub destination: Place,
}

/// The check compares every line with every other.
const MAX_LINES: usize = 1024;

impl Resources {
    /// Takes lines in any order.
    ///
    /// # Errors
    /// [`ResourceError::Mixed`]; [`ResourceError::TooMany`]; [`ResourceError::Repeated`] if a place is named twice;
    /// if what is a source in one line can be published by another; or if two sources would be published in one
    /// place.
    pub fn new(mut lines: Vec<Resource>) -> Result<Self, ResourceError> {
        if lines.len() > MAX_LINES {
            return Err(ResourceError::TooMany { got: lines.len(), max: MAX_LINES });
        }
        lines.sort_by_key(|line| line.source.collection.is_none());
        for (i, line) in lines.iter().enumerate() {
            check_alone(line)?;
            lines[i + 1..].iter().try_for_each(|other| check_pair(line, other))?;
        }
        Ok(Self { lines })
    }

    /// Reads one line after another; empty ones and those with `#` in front are passed over.
    ///
    /// # Errors
    /// [`ResourceError`].
    pub fn parse(text: &str) -> Result<Self, ResourceError> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self::new(lines.map(str::parse).collect::<Result<_, _>>()?)
    }

    /// The lines, those of one collection first.
    pub fn lines(&self) -> &[Resource] {
        &self.lines
    }

    /// What belongs to a collection that is edited.
    pub fn of_source(&self, bucket: &str, collection: &str) -> Option<Matched> {
        let line = self.lines.iter().find(|line| line.source.has(bucket, collection))?;
        Some(Matched {
            source: line.source.concrete(collection),
            preview: line.preview.as_ref().map(|preview| preview.concrete(collection)),
            destination: line.destination.concrete(collection),
        })
    }

    /// What belongs to a collection that reviewers look at.
    pub fn of_preview(&self, bucket: &str, collection: &str) -> Option<Matched> {
        let wanted = Place::collection(bucket, collection);
        self.of_published(|line| line.preview.as_ref(), &wanted)
            .filter(|found| found.preview.as_ref() == Some(&wanted))
    }

    /// What belongs to a collection that is published.
    pub fn of_destination(&self, bucket: &str, collection: &str) -> Option<Matched> {
        let wanted = Place::collection(bucket, collection);
        self.of_published(|line| Some(&line.destination), &wanted).filter(|found| found.destination == wanted)
    }

    /// The way back, by the line that has `wanted` in this part. That its source may be published elsewhere, by a
    /// line of its own, is for the caller to see.
    fn of_published(&self, part: impl Fn(&Resource) -> Option<&Place>, wanted: &Place) -> Option<Matched> {
        let collection = wanted.collection.as_deref()?;
        let has = |line: &&Resource| part(line).is_some_and(|place| place.has(&wanted.bucket, collection));
        let line = self.lines.iter().find(has)?;
        let source = line.source.concrete(collection);
        self.of_source(&source.bucket, source.collection.as_deref()?)
    }
}

fn check_alone(line: &Resource) -> Result<(), ResourceError> {
    let places: Vec<_> = line.places().map(|(_, place)| place).collect();
    let one = line.source.collection.is_some();
    if places.iter().any(|place| place.collection.is_some() != one) {
        return Err(ResourceError::Mixed { line: line.to_string() });
    }
    for (i, place) in places.iter().enumerate() {
        if places[i + 1..].contains(place) {
            return Err(ResourceError::Repeated { place: (*place).clone() });
        }
    }
    Ok(())
}

/// `line` comes before `other`, so that if only one of them is of a bucket, it is `other`.
fn check_pair(line: &Resource, other: &Resource) -> Result<(), ResourceError> {
    for (part, place) in line.places() {
        for (other_part, other_place) in other.places() {
            if !place.overlaps(other_place) {
                continue;
            }
            // A line of one collection may say more of what the bucket's line says, but not something else.
            let refines = place != other_place
                && part == other_part
                && (part == Part::Source || is_of(line, &other.source) && line_keeps_id(line, place));
            if !refines {
                return Err(ResourceError::Repeated { place: place.clone() });
            }
        }
    }
    Ok(())
}

fn is_of(line: &Resource, bucket: &Place) -> bool {
    line.source.overlaps(bucket)
}

/// Where the bucket's line would publish the same source: under the source's own id.
fn line_keeps_id(line: &Resource, place: &Place) -> bool {
    line.source.collection == place.collection
}
