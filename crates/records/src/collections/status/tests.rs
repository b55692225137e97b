use serde_json::json;

use super::*;
use Action::{Create, Decline, Reopen, RequestReview, Resign, Rollback, Sign};
use Membership::{Member, Stranger};
use Refusal::{
    AlreadySigned, CannotRemove, LastEditor, NoWorkInProgress, NotEditor, NotReviewer, NotUnderReview,
};
use Status::{Signed, ToReview, WorkInProgress};

const ALL: [Status; 3] = [Signed, WorkInProgress, ToReview];

/// Nobody in particular.
fn stranger(current: Status, review: Review) -> Facts {
    Facts { current: Some(current), review, editor: Stranger, reviewer: Stranger, last_requester: false }
}

fn editor(current: Status) -> Facts {
    Facts { editor: Member, ..stranger(current, Review::On) }
}

fn reviewer(current: Status) -> Facts {
    Facts { reviewer: Member, ..stranger(current, Review::On) }
}

#[track_caller]
fn asked(status: &str, facts: Facts, wanted: Decision) {
    assert_eq!(decide(&Request::of(Some(&json!(status))), &facts), wanted, "{status} with {facts:?}");
}

fn done(action: Action, then: Status) -> Decision {
    Decision::Do(action, then)
}

fn refused(refusal: Refusal) -> Decision {
    Decision::Refused(refusal)
}

#[test]
fn the_status_that_it_has_already_changes_nothing() {
    for current in ALL {
        asked(current.as_str(), stranger(current, Review::On), Decision::NoOp);
        asked(current.as_str(), stranger(current, Review::Off), Decision::NoOp);
    }
}

#[test]
fn with_a_review_a_reviewer_signs_what_somebody_else_asked_for() {
    asked("to-sign", reviewer(ToReview), done(Sign, Signed));
    asked("to-sign", Facts { last_requester: true, ..reviewer(ToReview) }, refused(LastEditor));
    asked("to-sign", editor(ToReview), refused(NotReviewer));
    asked("to-sign", stranger(ToReview, Review::On), refused(NotReviewer));
    asked("to-sign", reviewer(WorkInProgress), refused(NotUnderReview));
    asked("to-sign", stranger(WorkInProgress, Review::On), refused(NotReviewer));
    asked("to-sign", reviewer(Signed), refused(AlreadySigned));
    asked("to-sign", stranger(Signed, Review::On), refused(AlreadySigned));
}

#[test]
fn without_a_review_whoever_may_write_signs() {
    asked("to-sign", stranger(WorkInProgress, Review::Off), done(Sign, Signed));
    asked("to-sign", stranger(ToReview, Review::Off), done(Sign, Signed));
    asked("to-sign", Facts { last_requester: true, ..stranger(ToReview, Review::Off) }, done(Sign, Signed));
    asked("to-sign", stranger(Signed, Review::Off), refused(AlreadySigned));
}

#[test]
fn with_a_review_an_editor_asks_for_it() {
    asked("to-review", editor(WorkInProgress), done(RequestReview, ToReview));
    asked("to-review", editor(Signed), done(RequestReview, ToReview));
    asked("to-review", reviewer(WorkInProgress), refused(NotEditor));
    asked("to-review", stranger(WorkInProgress, Review::Off), done(RequestReview, ToReview));
}

#[test]
fn whoever_may_write_declines_reopens_signs_anew_and_takes_back() {
    asked("work-in-progress", stranger(ToReview, Review::On), done(Decline, WorkInProgress));
    asked("work-in-progress", stranger(Signed, Review::On), done(Reopen, WorkInProgress));
    for current in ALL {
        asked("to-resign", stranger(current, Review::On), done(Resign, current));
    }
    asked("to-rollback", stranger(WorkInProgress, Review::On), done(Rollback, Signed));
    asked("to-rollback", stranger(ToReview, Review::On), done(Rollback, Signed));
    asked("to-rollback", stranger(Signed, Review::On), refused(NoWorkInProgress));
}

#[test]
fn what_is_no_request_is_refused() {
    for current in ALL {
        let facts = Facts { reviewer: Member, ..editor(current) };
        asked("foo", facts, refused(Refusal::Invalid("foo".into())));
        assert_eq!(decide(&Request::of(None), &facts), refused(CannotRemove));
        assert_eq!(decide(&Request::of(Some(&json!(null))), &facts), refused(CannotRemove));
        assert_eq!(decide(&Request::of(Some(&json!([1]))), &facts), refused(Refusal::Invalid("[1]".into())));
    }
    asked("signed", reviewer(WorkInProgress), refused(Refusal::CannotSet(Signed)));
    asked("signed", reviewer(ToReview), refused(Refusal::CannotSet(Signed)));
}

#[test]
fn a_collection_begins_signed() {
    let new = |review| Facts { current: None, ..stranger(Signed, review) };
    assert_eq!(decide(&Request::of(None), &new(Review::On)), done(Create, Signed));
    asked("work-in-progress", new(Review::On), done(Create, WorkInProgress));
    asked("to-sign", new(Review::Off), done(Create, Signed));
    asked("to-sign", new(Review::On), refused(NotUnderReview));
    asked("to-review", new(Review::On), refused(Refusal::CannotSet(ToReview)));
    asked("signed", new(Review::On), refused(Refusal::CannotSet(Signed)));
    asked("to-rollback", new(Review::On), refused(NoWorkInProgress));
    asked("foo", new(Review::On), refused(Refusal::Invalid("foo".into())));
}

#[test]
fn a_write_voids_a_request_for_review() {
    assert_eq!(after_record_write(), (WorkInProgress, [Stamp::Edit].as_slice()));
}

#[test]
fn refusals_read_as_those_of_kinto() {
    for (refusal, wanted, forbidden) in [
        (AlreadySigned, "Collection already signed", false),
        (NotUnderReview, "Collection not under review", false),
        (Refusal::CannotSet(Signed), "Cannot set status to 'signed'", false),
        (Refusal::Invalid("foo".into()), "Invalid status 'foo'", false),
        (CannotRemove, "Cannot remove status", false),
        (NoWorkInProgress, "Collection has no work-in-progress", false),
        (Refusal::Tracking("last_edit_by"), "Cannot change 'last_edit_by'", false),
        (NotReviewer, "Not in rv-group group", true),
        (NotEditor, "Not in rv-group group", true),
        (LastEditor, "Last editor cannot review", true),
    ] {
        assert_eq!(refusal.message("rv-group"), wanted);
        assert_eq!(refusal.is_forbidden(), forbidden, "{refusal}");
    }
}

#[test]
fn tracking_fields_are_resent_as_they_are() {
    let names: Vec<_> = Stamp::ALL.into_iter().flat_map(|stamp| [stamp.by(), stamp.date()]).collect();
    assert_eq!(names, TRACKING_FIELDS);

    let object = |value: serde_json::Value| value.as_object().unwrap().clone();
    let old = object(json!({"last_edit_by": "account:ana", "last_editor_comment": "", "sort": "-t"}));
    let same = object(json!({"last_edit_by": "account:ana", "last_editor_comment": "please", "other": 1}));
    assert_eq!(check_tracking(&old, &same), Ok(()));
    for (new, field) in [
        (json!({"sort": "-t"}), "last_edit_by"),
        (json!({"last_edit_by": "account:bo"}), "last_edit_by"),
        (json!({"last_edit_by": "account:ana", "last_review_date": null}), "last_review_date"),
    ] {
        assert_eq!(check_tracking(&old, &object(new)), Err(Refusal::Tracking(field)));
    }
}
