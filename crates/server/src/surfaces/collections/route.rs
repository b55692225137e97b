//! What stands at a path below `/v1`: for requests by themselves and for those in a batch.

use countersign_core::collections::accounts::is_name;
use countersign_core::collections::uri::is_id;
use countersign_core::collections::{Kind, ListUri, ObjectUri, Target};
use http::Method;
use percent_encoding::percent_decode_str;

/// Something that answers requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `/`
    Root,
    /// `/__heartbeat__`
    Heartbeat,
    /// `/__lbheartbeat__`
    LbHeartbeat,
    /// `/__version__`
    Version,
    /// `/__flush__`
    Flush,
    /// `/__broadcasts__`
    Broadcasts,
    /// `/batch`
    Batch,
    /// A list, an object, or `/permissions`.
    Objects(Target),
    /// `/buckets/B/collections/C/changeset`
    Changeset {
        /// B.
        bucket: String,
        /// C.
        collection: String,
    },
    /// `/buckets/monitor/collections/changes/changeset`
    MonitorChangeset,
    /// `/buckets/monitor/collections/changes/records`: the same for clients of before.
    MonitorRecords,
    /// `/buckets/B/collections/C/records/R/attachment`
    Attachment(ObjectUri),
    /// `/attachments/NAME`: a file that belongs to a record.
    File(String),
}

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Something.
    At(Place),
    /// The same without a slash at its end, or with one where it is the root.
    Moved(String),
    /// An object with an id that no object can have.
    BadId,
    /// Nothing.
    Nowhere,
}

/// Finds what stands at `path`, which begins after `/v1` and may be percent-encoded.
pub fn find(path: &str) -> Found {
    if path.is_empty() {
        return Found::Moved("/".into());
    }
    if path == "/" {
        return Found::At(Place::Root);
    }
    if path.ends_with('/') {
        let without = path.trim_end_matches('/');
        return Found::Moved(if without.is_empty() { "/".into() } else { without.into() });
    }
    let Some(path) = path.strip_prefix('/') else { return Found::Nowhere };
    if let Some(name) = path.strip_prefix("attachments/") {
        return Found::At(Place::File(name.to_owned()));
    }
    let mut segments = Vec::with_capacity(8);
    for segment in path.split('/') {
        let Ok(segment) = percent_decode_str(segment).decode_utf8() else { return Found::BadId };
        // The deepest path has seven.
        if segments.len() == 8 {
            return Found::Nowhere;
        }
        segments.push(segment);
    }
    let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
    match segments.as_slice() {
        [one] => named(one),
        ["accounts", name] => {
            let account = ListUri::accounts().object(*name);
            if is_name(name) { object(account) } else { Found::BadId }
        }
        ["buckets", rest @ ..] => in_buckets(rest),
        _ => Found::Nowhere,
    }
}

fn named(name: &str) -> Found {
    Found::At(match name {
        "__heartbeat__" => Place::Heartbeat,
        "__lbheartbeat__" => Place::LbHeartbeat,
        "__version__" => Place::Version,
        "__flush__" => Place::Flush,
        "__broadcasts__" => Place::Broadcasts,
        "batch" => Place::Batch,
        "permissions" => Place::Objects(Target::Permissions),
        "buckets" => Place::Objects(Target::List(ListUri::buckets())),
        "accounts" => Place::Objects(Target::List(ListUri::accounts())),
        _ => return Found::Nowhere,
    })
}

fn in_buckets(rest: &[&str]) -> Found {
    // Every second one is an id; the words between them are ids too as far as this goes.
    let shape = match rest {
        [_] => true,
        [_, "groups" | "collections" | "history", ..] if rest.len() <= 3 => true,
        [_, "collections", _, "records" | "changeset"] | [_, "collections", _, "records", _] => true,
        [_, "collections", _, "records", _, "attachment"] => true,
        _ => false,
    };
    if !shape {
        return Found::Nowhere;
    }
    if !rest.iter().all(|segment| is_id(segment)) {
        return Found::BadId;
    }
    match *rest {
        [b] => object(ObjectUri::bucket(b)),
        [b, "groups"] => list(ListUri::groups(b)),
        [b, "groups", g] => object(ObjectUri::group(b, g)),
        [b, "collections"] => list(ListUri::collections(b)),
        [b, "collections", c] => object(ObjectUri::collection(b, c)),
        [b, "history"] => list(ListUri::history(b)),
        [b, "history", h] => object(ListUri::history(b).object(h)),
        ["monitor", "collections", "changes", "records"] => Found::At(Place::MonitorRecords),
        ["monitor", "collections", "changes", "changeset"] => Found::At(Place::MonitorChangeset),
        [b, "collections", c, "records"] => list(ListUri::records(b, c)),
        [b, "collections", c, "records", r] => object(ObjectUri::record(b, c, r)),
        [b, "collections", c, "changeset"] => {
            Found::At(Place::Changeset { bucket: b.into(), collection: c.into() })
        }
        [b, "collections", c, "records", r, "attachment"] => {
            Found::At(Place::Attachment(ObjectUri::record(b, c, r)))
        }
        _ => Found::Nowhere,
    }
}

fn object(uri: ObjectUri) -> Found {
    Found::At(Place::Objects(Target::Object(uri)))
}

fn list(uri: ListUri) -> Found {
    Found::At(Place::Objects(Target::List(uri)))
}

impl Place {
    /// The methods that it answers, besides `OPTIONS`.
    pub fn methods(&self) -> &'static [Method] {
        const READ: &[Method] = &[Method::GET, Method::HEAD];
        const LIST: &[Method] = &[Method::GET, Method::HEAD, Method::POST, Method::DELETE];
        const OBJECT: &[Method] = &[Method::GET, Method::HEAD, Method::PUT, Method::PATCH, Method::DELETE];
        match self {
            Self::Batch | Self::Flush => &[Method::POST],
            Self::Attachment(_) => &[Method::POST, Method::DELETE],
            Self::Objects(Target::List(list)) if list.kind() == Kind::History => {
                &[Method::GET, Method::HEAD, Method::DELETE]
            }
            Self::Objects(Target::Object(object)) if object.kind() == Kind::History => READ,
            Self::Objects(Target::List(_)) => LIST,
            Self::Objects(Target::Object(_)) => OBJECT,
            _ => READ,
        }
    }

    /// The methods as the header `Allow` lists them.
    pub fn allow(&self) -> String {
        let mut names: Vec<&str> = self.methods().iter().map(Method::as_str).collect();
        names.push("OPTIONS");
        names.join(", ")
    }

    /// The bucket and the collection that it is about, as far as it is about one.
    pub fn within(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::Objects(Target::List(list)) => (list.bucket_id(), list.collection_id()),
            Self::Objects(Target::Object(object)) | Self::Attachment(object) => {
                (object.bucket_id(), object.collection_id())
            }
            Self::Changeset { bucket, collection } => (Some(bucket), Some(collection)),
            Self::MonitorChangeset | Self::MonitorRecords => (Some("monitor"), Some("changes")),
            _ => (None, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_of_the_protocol_leads_where_it_should() {
        let object = |uri| Found::At(Place::Objects(Target::Object(uri)));
        let list = |uri| Found::At(Place::Objects(Target::List(uri)));
        let cases = [
            ("/", Found::At(Place::Root)),
            ("/batch", Found::At(Place::Batch)),
            ("/__heartbeat__", Found::At(Place::Heartbeat)),
            ("/permissions", Found::At(Place::Objects(Target::Permissions))),
            ("/buckets", list(ListUri::buckets())),
            ("/buckets/b", object(ObjectUri::bucket("b"))),
            ("/buckets/%62", object(ObjectUri::bucket("b"))),
            ("/buckets/b/groups", list(ListUri::groups("b"))),
            ("/buckets/b/groups/g", object(ObjectUri::group("b", "g"))),
            ("/buckets/b/collections", list(ListUri::collections("b"))),
            ("/buckets/b/collections/c", object(ObjectUri::collection("b", "c"))),
            ("/buckets/b/collections/c/records", list(ListUri::records("b", "c"))),
            ("/buckets/b/collections/c/records/r", object(ObjectUri::record("b", "c", "r"))),
            ("/buckets/b/history", list(ListUri::history("b"))),
            ("/buckets/b/history/h", object(ListUri::history("b").object("h"))),
            ("/accounts/ana@example.org", object(ListUri::accounts().object("ana@example.org"))),
            ("/buckets/monitor/collections/changes/changeset", Found::At(Place::MonitorChangeset)),
            ("/buckets/monitor/collections/changes/records", Found::At(Place::MonitorRecords)),
            (
                "/buckets/b/collections/c/records/r/attachment",
                Found::At(Place::Attachment(ObjectUri::record("b", "c", "r"))),
            ),
        ];
        for (path, found) in cases {
            assert_eq!(find(path), found, "{path}");
        }
    }

    #[test]
    fn ids_that_no_object_has_are_told_from_paths_that_are_nowhere() {
        for path in ["/buckets/bad%20id", "/buckets/-x", "/buckets/a%2Fb", "/buckets/%ff", "/accounts/.a"] {
            assert_eq!(find(path), Found::BadId, "{path}");
        }
        for path in ["/nowhere", "//", "/buckets//collections", "/buckets/b/c", "/buckets/b/collections/c/d"]
        {
            assert!(!matches!(find(path), Found::At(_)), "{path}");
        }
        assert_eq!(find(&"/a".repeat(100_000)), Found::Nowhere);
    }

    #[test]
    fn a_slash_too_many_or_too_few_is_corrected() {
        assert_eq!(find(""), Found::Moved("/".into()));
        assert_eq!(find("/buckets/"), Found::Moved("/buckets".into()));
        assert_eq!(find("///"), Found::Moved("/".into()));
    }

    #[test]
    fn allow_lists_what_a_place_answers() {
        assert_eq!(Place::Root.allow(), "GET, HEAD, OPTIONS");
        assert_eq!(Place::Batch.allow(), "POST, OPTIONS");
    }
}
