//! The status of a source collection: what may be asked of it, by whom, and what comes of it.
//!
//! ```text
//! (create) → signed            any record write → work-in-progress
//! work-in-progress → to-review → to-sign → signed          review on
//! work-in-progress | to-review → to-sign → signed          review off
//! to-review → work-in-progress                             declined
//! * → to-resign → as before                                signed anew
//! work-in-progress | to-review → to-rollback → signed      what is published comes back
//! ```
//!
//! Somebody asks by writing `status`. [`decide`] is the table of what follows; nothing is done here.

mod tracking;

use std::fmt;

use serde_json::Value;

pub use tracking::{COMMENTS, Stamp, TRACKING_FIELDS, check_tracking};

/// The status that a source collection has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// Published as it stands.
    Signed,
    /// Changed since.
    WorkInProgress,
    /// Waits for a reviewer.
    ToReview,
}

impl Status {
    /// The text form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Signed => "signed",
            Self::WorkInProgress => "work-in-progress",
            Self::ToReview => "to-review",
        }
    }

    /// The status of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Signed, Self::WorkInProgress, Self::ToReview].into_iter().find(|s| s.as_str() == name)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The `status` in the collection's new data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// No `status`, or `null`.
    Nothing,
    /// One that a collection has.
    Status(Status),
    /// Sign.
    ToSign,
    /// Sign anew what is published.
    ToResign,
    /// Go back to what is published.
    ToRollback,
    /// Any other text; a value that is no text as JSON.
    Unknown(String),
}

impl Request {
    /// Reads the member `status` of the new data.
    pub fn of(value: Option<&Value>) -> Self {
        match value {
            None | Some(Value::Null) => Self::Nothing,
            Some(Value::String(name)) => Self::of_name(name),
            Some(other) => Self::Unknown(other.to_string()),
        }
    }

    fn of_name(name: &str) -> Self {
        match (Status::of_name(name), name) {
            (Some(status), _) => Self::Status(status),
            (None, "to-sign") => Self::ToSign,
            (None, "to-resign") => Self::ToResign,
            (None, "to-rollback") => Self::ToRollback,
            (None, other) => Self::Unknown(other.to_owned()),
        }
    }
}

/// Whether what is published was reviewed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Review {
    /// By somebody else than who asked for it.
    On,
    /// Whoever may write the collection may sign it.
    Off,
}

/// Whether the one who asks is one of the group that the step needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// In the group, or nobody checks it.
    Member,
    /// Not in it.
    Stranger,
}

/// What is known when somebody asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The status that the collection has; `None`: it is being created.
    pub current: Option<Status>,
    /// Whether there is a review.
    pub review: Review,
    /// Whether who asks is an editor.
    pub editor: Membership,
    /// Whether who asks is a reviewer.
    pub reviewer: Membership,
    /// Whether who asks is the one who asked for the review last.
    pub last_requester: bool,
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing is asked that is not so already.
    NoOp,
    /// This is to be done, and the collection has this status then.
    Do(Action, Status),
    /// It may not be.
    Refused(Refusal),
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make groups, preview and destination, and sign them empty.
    Create,
    /// Publish the source and sign it.
    Sign,
    /// Publish the source in the preview, if there is one.
    RequestReview,
    /// Take a request for review back, or say no to it.
    Decline,
    /// Only say that there is something to do.
    Reopen,
    /// Sign destination and preview as they are.
    Resign,
    /// Make the source, and the preview, what the destination is.
    Rollback,
}

impl Action {
    /// Which tracking fields are written.
    pub fn stamps(self) -> &'static [Stamp] {
        match self {
            Self::Create | Self::Resign => &[Stamp::Signature],
            Self::Sign => &[Stamp::Review, Stamp::Signature],
            Self::RequestReview => &[Stamp::ReviewRequest],
            Self::Rollback => &[Stamp::Edit],
            Self::Decline | Self::Reopen => &[],
        }
    }
}

/// Why it may not be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It is signed, and nothing changed since.
    #[error("Collection already signed")]
    AlreadySigned,
    /// Nobody asked for a review.
    #[error("Collection not under review")]
    NotUnderReview,
    /// The status is written by the signer alone.
    #[error("Cannot set status to '{0}'")]
    CannotSet(Status),
    /// No such status.
    #[error("Invalid status '{0}'")]
    Invalid(String),
    /// The status is left out, or `null`.
    #[error("Cannot remove status")]
    CannotRemove,
    /// Nothing changed that could be taken back.
    #[error("Collection has no work-in-progress")]
    NoWorkInProgress,
    /// A field that the signer alone writes.
    #[error("Cannot change '{0}'")]
    Tracking(&'static str),
    /// Not one of the editors.
    #[error("Not in editors group")]
    NotEditor,
    /// Not one of the reviewers.
    #[error("Not in reviewers group")]
    NotReviewer,
    /// Nobody approves what they asked for.
    #[error("Last editor cannot review")]
    LastEditor,
}

impl Refusal {
    /// Whether it is about who asks (403), not about what is asked (400).
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::NotEditor | Self::NotReviewer | Self::LastEditor)
    }

    /// The message as Kinto's signer words it. `group`: the id of the group that the step needs.
    pub fn message(&self, group: &str) -> String {
        match self {
            Self::NotEditor | Self::NotReviewer => format!("Not in {group} group"),
            other => other.to_string(),
        }
    }
}

/// What follows from a request. The order of the checks is that of Kinto's signer.
pub fn decide(request: &Request, facts: &Facts) -> Decision {
    let Some(current) = facts.current else { return decide_creation(request, facts) };
    let refused = |refusal| Decision::Refused(refusal);
    match request {
        Request::Status(asked) if *asked == current => Decision::NoOp,
        Request::Nothing => refused(Refusal::CannotRemove),
        Request::Unknown(name) => refused(Refusal::Invalid(name.clone())),
        Request::Status(Status::Signed) => refused(Refusal::CannotSet(Status::Signed)),
        Request::Status(Status::ToReview) => match (facts.review, facts.editor) {
            (Review::On, Membership::Stranger) => refused(Refusal::NotEditor),
            _ => Decision::Do(Action::RequestReview, Status::ToReview),
        },
        Request::Status(Status::WorkInProgress) => {
            let action = if current == Status::ToReview { Action::Decline } else { Action::Reopen };
            Decision::Do(action, Status::WorkInProgress)
        }
        Request::ToSign => match check_sign(current, facts) {
            Some(refusal) => refused(refusal),
            None => Decision::Do(Action::Sign, Status::Signed),
        },
        Request::ToResign => Decision::Do(Action::Resign, current),
        Request::ToRollback if current == Status::Signed => refused(Refusal::NoWorkInProgress),
        Request::ToRollback => Decision::Do(Action::Rollback, Status::Signed),
    }
}

/// A collection begins empty, and what is published of it is signed, whatever else it asks for.
fn decide_creation(request: &Request, facts: &Facts) -> Decision {
    match (request, facts.review) {
        (Request::Nothing | Request::ToResign, _) | (Request::ToSign, Review::Off) => {
            Decision::Do(Action::Create, Status::Signed)
        }
        (Request::Status(Status::WorkInProgress), _) => Decision::Do(Action::Create, Status::WorkInProgress),
        // There is nothing yet that could be reviewed or taken back.
        (Request::ToSign, Review::On) => Decision::Refused(Refusal::NotUnderReview),
        (Request::ToRollback, _) => Decision::Refused(Refusal::NoWorkInProgress),
        (Request::Status(asked), _) => Decision::Refused(Refusal::CannotSet(*asked)),
        (Request::Unknown(name), _) => Decision::Refused(Refusal::Invalid(name.clone())),
    }
}

fn check_sign(current: Status, facts: &Facts) -> Option<Refusal> {
    match (current, facts.review) {
        (Status::Signed, _) => Some(Refusal::AlreadySigned),
        (_, Review::Off) => None,
        _ if facts.reviewer == Membership::Stranger => Some(Refusal::NotReviewer),
        (Status::ToReview, _) if facts.last_requester => Some(Refusal::LastEditor),
        (Status::ToReview, _) => None,
        _ => Some(Refusal::NotUnderReview),
    }
}

/// The status after a record was written: also a request for review is void then.
pub fn after_record_write() -> (Status, &'static [Stamp]) {
    (Status::WorkInProgress, &[Stamp::Edit])
}

#[cfg(test)]
mod tests;
