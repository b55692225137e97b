//! `/buckets/default`: everybody's own bucket, which comes to be when it is used, as do the collections in it.

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::Map;

use super::call::{Permissions, Target};
use super::error::Error;
use super::ids;
use super::uri::{Kind, ListUri, ObjectUri};
use super::who::Who;
use super::work::{Stamp, Work};
use crate::context::Context;

/// What a bucket of one's own is called in requests.
const DEFAULT: &str = "default";

/// The id of a user's own bucket.
pub fn id_of(user: &str) -> String {
    let hash = digest(&SHA256, format!("countersign default bucket\n{user}").as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_ref()[..16]);
    // Version 8: a UUID that is made of something in a way of one's own.
    bytes[6] = bytes[6] & 0x0f | 0x80;
    ids::hyphenated(bytes)
}

/// Whether a target is the caller's own bucket, or in it.
pub(super) fn is_meant(target: &Target) -> bool {
    let bucket = match target {
        Target::List(list) => list.bucket_id(),
        Target::Object(uri) => uri.bucket_id(),
        Target::Permissions => None,
    };
    bucket == Some(DEFAULT)
}

/// The URI with the bucket's real id.
pub(super) fn real(ctx: &Context, uri: &ObjectUri, user: &str) -> ObjectUri {
    if uri.bucket_id() == Some(DEFAULT) && ctx.collections.settings.default_bucket {
        list_in(&id_of(user), &uri.list).object(uri.id.clone())
    } else {
        uri.clone()
    }
}

/// The target with the bucket's real id; makes the bucket, and the collection that the target is in.
///
/// # Errors
/// [`Error::Unauthorized`] for who is nobody.
pub(super) async fn resolve(work: &mut Work<'_>, who: &Who, target: &Target) -> Result<Target, Error> {
    if !work.ctx.collections.settings.default_bucket || !is_meant(target) {
        return Ok(target.clone());
    }
    let user = who.user.as_deref().ok_or(Error::Unauthorized)?;
    let id = id_of(user);
    make(work, &ObjectUri::bucket(&id), user).await?;
    let collection = match target {
        Target::List(list) => list.collection_id(),
        Target::Object(uri) => uri.list.collection_id(),
        Target::Permissions => None,
    };
    if let Some(collection) = collection {
        make(work, &ObjectUri::collection(&id, collection), user).await?;
    }
    Ok(match target {
        Target::Object(uri) if uri.kind() == Kind::Bucket => Target::Object(ObjectUri::bucket(&id)),
        Target::Object(uri) => Target::Object(list_in(&id, &uri.list).object(uri.id.clone())),
        Target::List(list) => Target::List(list_in(&id, list)),
        Target::Permissions => Target::Permissions,
    })
}

/// The same list of another bucket.
fn list_in(bucket: &str, list: &ListUri) -> ListUri {
    match list.kind() {
        Kind::Group => ListUri::groups(bucket),
        Kind::Collection => ListUri::collections(bucket),
        Kind::History => ListUri::history(bucket),
        Kind::Record => ListUri::records(bucket, list.collection_id().unwrap_or_default()),
        Kind::Bucket | Kind::Account => list.clone(),
    }
}

async fn make(work: &mut Work<'_>, uri: &ObjectUri, user: &str) -> Result<(), Error> {
    if work.get(uri).await?.is_none() {
        let permissions = Permissions::from([("write".to_owned(), [user.to_owned()].into())]);
        work.stage(uri, Map::new(), permissions, user, Stamp::Next).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collections::uri::is_id;

    #[test]
    fn everybody_has_a_bucket_of_their_own() {
        let ana = id_of("account:ana");
        assert_eq!(ana, id_of("account:ana"));
        assert_ne!(ana, id_of("principal:ana"));
        assert!(is_id(&ana) && ana.len() == 36, "{ana}");
    }
}
