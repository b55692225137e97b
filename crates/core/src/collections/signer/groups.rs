//! The groups of those who edit a collection and of those who approve.

use std::sync::Arc;

use serde_json::{Map, json};

use super::PLUGIN;
use super::resource::{Matched, OwnGroups};
use crate::collections::call::Permissions;
use crate::collections::error::Error;
use crate::collections::permission::{Place, Right};
use crate::collections::uri::{Kind, ObjectUri};
use crate::collections::who::{EVERYONE, Who};
use crate::collections::work::{Stamp, Work};

/// Refuses who may not make groups in the bucket of a collection that they make.
pub(super) async fn check(
    work: &mut Work<'_>,
    who: &Who,
    principals: &[String],
    matched: &Matched<'_>,
) -> Result<(), Error> {
    let bucket = bucket_of(matched);
    let place = Place { bucket: work.get(&bucket).await?, ..Place::default() };
    if who.admin || place.permits(Kind::Bucket, Right::Create(Kind::Group), principals) {
        Ok(())
    } else {
        Err(Error::forbidden())
    }
}

/// Makes the groups of a new collection, where they are not there: `user` edits, nobody approves yet. Both may
/// write the collection.
///
/// A group that several collections share belongs to none of them: whoever makes collections would have those who
/// approve the others'. The bucket's owner makes it.
pub(super) async fn create(work: &mut Work<'_>, matched: &Matched<'_>, user: &str) -> Result<(), Error> {
    let permissions = Arc::new(Permissions::from([("write".into(), [user.to_owned()].into())]));
    for group in own(matched) {
        let members = if *group == matched.editors { json!([user]) } else { json!([]) };
        if work.get(group).await?.is_none() {
            let data = Map::from_iter([("members".to_owned(), members)]);
            work.stage(group, data, Arc::clone(&permissions), PLUGIN, Stamp::Next).await?;
        }
    }
    Ok(())
}

/// Lets the groups write the collection: to be put in what is staged for it.
pub(super) fn add_writers(matched: &Matched<'_>, permissions: &mut Permissions) {
    let writers = permissions.entry("write".into()).or_default();
    writers.extend([&matched.editors, &matched.reviewers].map(ToString::to_string));
}

/// Deletes the groups of a collection that is deleted, but those that others share.
pub(super) async fn remove(work: &mut Work<'_>, matched: &Matched<'_>) -> Result<(), Error> {
    for group in own(matched) {
        if work.get(group).await?.is_none() {
            continue;
        }
        if matched.settings.hard_delete {
            work.erase(group);
        } else {
            work.delete(group, PLUGIN, Stamp::Next).await?;
        }
    }
    Ok(())
}

/// The groups that are of this collection alone.
fn own<'m>(matched: &'m Matched<'_>) -> impl Iterator<Item = &'m ObjectUri> {
    let OwnGroups { editors, reviewers } = matched.own_groups;
    [(editors, &matched.editors), (reviewers, &matched.reviewers)]
        .into_iter()
        .filter_map(|(own, group)| own.then_some(group))
}

fn bucket_of(matched: &Matched<'_>) -> ObjectUri {
    ObjectUri::bucket(matched.source.bucket_id().unwrap_or_default())
}

/// The user id of who asks; where everybody may write, it can be anybody.
pub(super) fn user_of(who: &Who) -> &str {
    who.user.as_deref().unwrap_or(EVERYONE)
}
