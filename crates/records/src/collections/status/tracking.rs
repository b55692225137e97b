//! Who did what last, and when: written by the signer into the source collection, and by nobody else.

use serde_json::{Map, Value};

use super::Refusal;

/// An event that is written down: the user in `NAME_by`, the time in `NAME_date`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// A record was written, or all were taken back.
    Edit,
    /// A review was asked for.
    ReviewRequest,
    /// What was asked for was approved.
    Review,
    /// The collection was signed.
    Signature,
}

impl Stamp {
    /// Every stamp.
    pub const ALL: [Self; 4] = [Self::Edit, Self::ReviewRequest, Self::Review, Self::Signature];

    /// The field with the user.
    pub fn by(self) -> &'static str {
        match self {
            Self::Edit => "last_edit_by",
            Self::ReviewRequest => "last_review_request_by",
            Self::Review => "last_review_by",
            Self::Signature => "last_signature_by",
        }
    }

    /// The field with the time, ISO 8601 with microseconds and `+00:00`.
    pub fn date(self) -> &'static str {
        match self {
            Self::Edit => "last_edit_date",
            Self::ReviewRequest => "last_review_request_date",
            Self::Review => "last_review_date",
            Self::Signature => "last_signature_date",
        }
    }
}

/// The fields that no client changes.
pub const TRACKING_FIELDS: [&str; 8] = [
    "last_edit_by",
    "last_edit_date",
    "last_review_request_by",
    "last_review_request_date",
    "last_review_by",
    "last_review_date",
    "last_signature_by",
    "last_signature_date",
];

/// The comments of editor and reviewer, which clients write. A request for review without one empties the
/// first; a rollback empties both.
pub const COMMENTS: [&str; 2] = ["last_editor_comment", "last_reviewer_comment"];

/// Checks that no tracking field is changed, dropped or made up. `old`: the data as it is, empty at creation.
///
/// # Errors
/// [`Refusal::Tracking`] with the first such field.
pub fn check_tracking(old: &Map<String, Value>, new: &Map<String, Value>) -> Result<(), Refusal> {
    match TRACKING_FIELDS.into_iter().find(|field| old.get(*field) != new.get(*field)) {
        Some(field) => Err(Refusal::Tracking(field)),
        None => Ok(()),
    }
}
