//! What each request does: rights first, then whether it is well-formed, then whether what it is about exists,
//! preconditions, schema, and the rules of signing.

mod body;
mod delete;
mod json_patch;
mod list;
mod patch;
mod permissions;
mod read;
mod rules;
mod write;

use std::sync::Arc;

pub use json_patch::apply as json_patch;

use super::call::{Answer, Call, Method, Permissions, Target};
use super::error::Error;
use super::object::Object;
use super::permission::{Place, Right, gives};
use super::uri::{Kind, ListUri, ObjectUri};
use super::who::{EVERYONE, Who};
use super::work::Work;
use super::{accounts, default_bucket, principals};

/// Answers one call.
///
/// # Errors
/// Why it is refused. What it staged is to be undone then.
pub(super) async fn apply(work: &mut Work<'_>, who: &Who, call: &Call) -> Result<Answer, Error> {
    let target = default_bucket::resolve(work, who, &call.target).await?;
    let request = Request { who, call, principals: principals::of(work, who).await? };
    match &target {
        Target::Permissions => permissions::list(work, &request).await,
        Target::List(list) => match (call.method, list.kind()) {
            (Method::Get | Method::Head, _) => list::read(work, &request, list).await,
            (Method::Delete, _) => delete::many(work, &request, list).await,
            (Method::Post, Kind::History) => Err(Error::MethodNotAllowed),
            (Method::Post, _) => write::post(work, &request, list).await,
            (Method::Put | Method::Patch, _) => Err(Error::MethodNotAllowed),
        },
        Target::Object(uri) => match (call.method, uri.kind()) {
            (Method::Get | Method::Head, _) => read::one(work, &request, uri).await,
            (Method::Post, _) | (Method::Put | Method::Patch, Kind::History) => Err(Error::MethodNotAllowed),
            (Method::Delete, _) => delete::one(work, &request, uri).await,
            (Method::Put, _) => write::put(work, &request, uri).await,
            (Method::Patch, _) => patch::patch(work, &request, uri).await,
        },
    }
}

/// Refuses a call that changes something if a right is missing, and looks at nothing else: what it stages, and whether
/// it can be done at all, is judged when it is applied.
///
/// # Errors
/// [`Error::Unauthorized`], [`Error::Forbidden`]; others if the database does not answer.
pub(super) async fn judge(work: &mut Work<'_>, who: &Who, call: &Call) -> Result<(), Error> {
    if work.ctx.collections.settings.default_bucket && default_bucket::is_meant(&call.target) {
        return if who.user.is_some() { Ok(()) } else { Err(Error::Unauthorized) };
    }
    let request = Request { who, call, principals: principals::of(work, who).await? };
    let (list, id) = match &call.target {
        Target::List(list) if call.method == Method::Delete => {
            return list::seen(work, &request, list, Right::Write).await.map(drop);
        }
        Target::List(list) if call.method == Method::Post => (list, None),
        Target::Object(uri) if call.method != Method::Post => (&uri.list, Some(uri.id.as_str())),
        // There is nothing like that, or nothing that a right is needed for.
        Target::List(_) | Target::Object(_) | Target::Permissions => return Ok(()),
    };
    if list.kind() == Kind::History && call.method != Method::Delete {
        return Ok(());
    }
    let place = place(work, list, id).await?;
    request.require(request.may_do(work, &place, list.kind()))
}

/// Judges a `PUT` that is to come, up to its conditions. Says whether the object is there.
///
/// - `place_of`: whether what the object is in is there, or comes to be with it.
///
/// # Errors
/// Those of the `PUT`.
pub(super) async fn may_put(
    work: &mut Work<'_>,
    who: &Who,
    call: &Call,
    uri: &ObjectUri,
    place_of: PlaceOf,
) -> Result<bool, Error> {
    let kind = uri.kind();
    let place = place(work, &uri.list, Some(&uri.id)).await?;
    let request = Request { who, call, principals: principals::of(work, who).await? };
    if place_of == PlaceOf::Object {
        request.require(request.may_do(work, &place, kind))?;
    }
    request.well_formed()?;
    if place_of == PlaceOf::Object {
        parents_exist(&place, &uri.list)?;
    }
    write::conditions(work, &request, uri, place.object(kind)).await?;
    Ok(place.object(kind).is_some())
}

/// What an object is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PlaceOf {
    /// A bucket that somebody made.
    Object,
    /// The caller's own bucket, which comes to be when it is used.
    Own,
}

/// Whether a call looks at what only the database knows, so that what is staged must be there before.
pub(super) fn queries(call: &Call) -> bool {
    match call.target {
        Target::Object(_) => false,
        Target::List(_) => call.method != Method::Post,
        Target::Permissions => true,
    }
}

/// What somebody may do.
struct Rights<'a> {
    who: &'a Who,
    principals: &'a [String],
}

impl Rights<'_> {
    /// The refusal for a right that is missing.
    fn refusal(&self) -> Error {
        if self.who.user.is_some() { Error::forbidden() } else { Error::Unauthorized }
    }

    /// Whether they have `right` on the object of `kind` in `place`.
    fn may(&self, place: &Place, kind: Kind, right: Right) -> bool {
        // An admin writes in every bucket, and makes accounts.
        self.who.admin || self.is_own_account(place, kind) || place.permits(kind, right, self.principals)
    }

    /// Whether they may do what changes the object of `kind` in `place`, there or not.
    fn may_do(&self, work: &Work<'_>, place: &Place, kind: Kind, method: Method) -> bool {
        match (method, place.object(kind)) {
            (Method::Put, None) | (Method::Post, _) => self.may_create(work, place, kind),
            (Method::Patch | Method::Delete, None) | (Method::Get | Method::Head, _) => {
                // Who could read it may know that there is none.
                self.may(place, kind, Right::Read)
            }
            (Method::Put | Method::Patch | Method::Delete, Some(_)) => self.may(place, kind, Right::Write),
        }
    }

    /// Whether they may make an object of `kind` in what `place` has of its parents.
    fn may_create(&self, work: &Work<'_>, place: &Place, kind: Kind) -> bool {
        let settings = &work.ctx.collections.settings;
        match kind {
            _ if self.who.admin => true,
            Kind::Bucket => settings.bucket_create_principals.iter().any(|who| self.principals.contains(who)),
            Kind::Account => settings.accounts && settings.open_accounts && self.who.user.is_none(),
            Kind::History => false,
            Kind::Group | Kind::Collection => {
                place.permits(Kind::Bucket, Right::Create(kind), self.principals)
            }
            Kind::Record => place.permits(Kind::Collection, Right::Create(kind), self.principals),
        }
    }

    fn is_own_account(&self, place: &Place, kind: Kind) -> bool {
        let account = place.leaf.as_ref().filter(|_| kind == Kind::Account);
        account.is_some_and(|account| self.who.user.as_deref() == Some(&accounts::user_id(&account.uri.id)))
    }
}

/// One call, and who makes it.
struct Request<'a> {
    who: &'a Who,
    call: &'a Call,
    principals: Vec<String>,
}

impl Request<'_> {
    /// Who it is, for `write` permissions and for the history.
    fn user(&self) -> &str {
        self.who.user.as_deref().unwrap_or(EVERYONE)
    }

    fn rights(&self) -> Rights<'_> {
        Rights { who: self.who, principals: &self.principals }
    }

    fn require(&self, allowed: bool) -> Result<(), Error> {
        if allowed { Ok(()) } else { Err(self.rights().refusal()) }
    }

    /// As [`Rights::may`].
    fn may(&self, place: &Place, kind: Kind, right: Right) -> bool {
        self.rights().may(place, kind, right)
    }

    /// As [`Rights::may_do`], for what is asked.
    fn may_do(&self, work: &Work<'_>, place: &Place, kind: Kind) -> bool {
        self.rights().may_do(work, place, kind, self.call.method)
    }

    /// As [`Rights::may_create`].
    fn may_create(&self, work: &Work<'_>, place: &Place, kind: Kind) -> bool {
        self.rights().may_create(work, place, kind)
    }

    /// Whether they have `right` on an object of a list by its own permissions.
    fn shares(&self, permissions: &Permissions, right: Right) -> bool {
        let names: &[&str] = if right == Right::Write { &["write"] } else { &["write", "read"] };
        gives(permissions, names, &self.principals)
    }

    /// Refuses headers that are not as they should be.
    fn well_formed(&self) -> Result<(), Error> {
        match &self.call.conditions.malformed {
            Some(invalid) => Err(Error::Invalid(invalid.clone())),
            None => Ok(()),
        }
    }

    /// The value of a query parameter: of several the last one.
    fn query(&self, name: &str) -> Option<&str> {
        self.call.query.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What `list`, or the object `id` of it, is in, as far as it exists.
async fn place(work: &mut Work<'_>, list: &ListUri, id: Option<&str>) -> Result<Place, Error> {
    let mut place = Place::default();
    let object = match id {
        Some(id) => work.get(&list.object(id)).await?,
        None => None,
    };
    match list.kind() {
        Kind::Bucket => place.bucket = object,
        Kind::Collection => place.collection = object,
        _ => place.leaf = object,
    }
    if let Some(bucket) = list.bucket_id() {
        place.bucket = work.get(&ObjectUri::bucket(bucket)).await?;
        if let Some(collection) = list.collection_id() {
            place.collection = work.get(&ObjectUri::collection(bucket, collection)).await?;
        }
    }
    Ok(place)
}

/// Refuses what is in a bucket or collection that does not exist.
fn parents_exist(place: &Place, list: &ListUri) -> Result<(), Error> {
    let missing =
        |resource: Kind, id: &str| Err(Error::MissingParent { resource: resource.as_str(), id: id.into() });
    if let (Some(bucket), None) = (list.bucket_id(), &place.bucket) {
        return missing(Kind::Bucket, bucket);
    }
    if let (Some(collection), None) = (list.collection_id(), &place.collection) {
        return missing(Kind::Collection, collection);
    }
    Ok(())
}

fn not_found(uri: &ObjectUri) -> Error {
    Error::NotFound { resource: uri.kind().as_str(), id: uri.id.clone() }
}

/// `412` for what is at `uri`: the object as it is, or that there is none in its list as that is.
async fn modified(
    work: &mut Work<'_>,
    uri: &ObjectUri,
    object: Option<&Arc<Object>>,
) -> Result<Error, Error> {
    Ok(match object {
        Some(object) => Error::PreconditionFailed {
            timestamp: object.last_modified,
            existing: Some(read::value_for_clients(object)?),
        },
        None => Error::PreconditionFailed { timestamp: work.timestamp(&uri.list).await?, existing: None },
    })
}
