//! What the API description says of this surface.

use utoipa::openapi::OpenApi;
use utoipa::openapi::path::HttpMethod::{self, Delete, Get, Head, Patch, Post, Put};

use crate::described::Asker::{self, Anybody, Somebody};
use crate::described::{Described, Refusals, describe_refusing};

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const PATCH: &str = "application/json-patch+json";

/// What lists can be asked for.
const LIST: &[&str] =
    &["_since", "_before", "_sort", "_limit", "_token", "_fields", "{field}", "in_{field}", "like_{field}"];

/// What changesets can be asked for.
const CHANGES: &[&str] = &["_expected", "_since", "_limit"];

const REFUSALS: Refusals = Refusals {
    description: "`{\"code\":STATUS,\"errno\":NUMBER,\"error\":WORDS,\"message\":TEXT,\"details\":…}`",
    types: &[JSON],
};

/// The description of all requests.
pub(super) fn description() -> OpenApi {
    let mut all = describe_refusing("collections", &REFUSALS, OTHERS);
    for requests in ALIKE {
        all.merge(describe_refusing("collections", &REFUSALS, requests));
    }
    all
}

const fn request(
    (method, path): (HttpMethod, &'static str),
    id: &'static str,
    summary: &'static str,
    who: Asker,
    query: &'static [&'static str],
    takes: &'static [&'static str],
    gives: (u16, &'static [&'static str]),
) -> Described {
    Described { method, path, id, summary, who, query, takes, gives }
}

macro_rules! list {
    ($path:literal, $id:literal, $many:literal, $one:literal) => {
        [
            request(
                (Get, $path),
                concat!("list_", $id, "s"),
                concat!("Lists ", $many, "."),
                Anybody,
                LIST,
                &[],
                (200, &[JSON]),
            ),
            request(
                (Head, $path),
                concat!("count_", $id, "s"),
                concat!("Counts ", $many, "."),
                Anybody,
                LIST,
                &[],
                (200, &[]),
            ),
            request(
                (Post, $path),
                concat!("create_", $id),
                concat!("Makes ", $one, "; one that is there stays as it is."),
                Somebody,
                &[],
                &[JSON],
                (201, &[JSON]),
            ),
            request(
                (Delete, $path),
                concat!("delete_", $id, "s"),
                concat!("Deletes ", $many, "."),
                Somebody,
                LIST,
                &[],
                (200, &[JSON]),
            ),
        ]
    };
}

macro_rules! object {
    ($path:literal, $id:literal, $one:literal) => {
        [
            request(
                (Get, $path),
                concat!("get_", $id),
                concat!("Gives ", $one, "."),
                Anybody,
                &["_fields"],
                &[],
                (200, &[JSON]),
            ),
            request(
                (Put, $path),
                concat!("put_", $id),
                concat!("Makes or replaces ", $one, "."),
                Somebody,
                &[],
                &[JSON],
                (200, &[JSON]),
            ),
            request(
                (Patch, $path),
                concat!("patch_", $id),
                concat!("Changes ", $one, "."),
                Somebody,
                &[],
                &[JSON, MERGE, PATCH],
                (200, &[JSON]),
            ),
            request(
                (Delete, $path),
                concat!("delete_", $id),
                concat!("Deletes ", $one, "; what is left says so."),
                Somebody,
                &["last_modified"],
                &[],
                (200, &[JSON]),
            ),
        ]
    };
}

#[rustfmt::skip]
const ALIKE: [&[Described]; 10] = [
    &list!("/v1/buckets", "bucket", "buckets", "a bucket"),
    &object!("/v1/buckets/{bucket}", "bucket", "a bucket"),
    &list!("/v1/buckets/{bucket}/groups", "group", "groups", "a group"),
    &object!("/v1/buckets/{bucket}/groups/{group}", "group", "a group"),
    &list!("/v1/buckets/{bucket}/collections", "collection", "collections", "a collection"),
    &object!("/v1/buckets/{bucket}/collections/{collection}", "collection", "a collection"),
    &list!("/v1/buckets/{bucket}/collections/{collection}/records", "record", "records", "a record"),
    &object!("/v1/buckets/{bucket}/collections/{collection}/records/{record}", "record", "a record"),
    &list!("/v1/accounts", "account", "accounts", "an account"),
    &object!("/v1/accounts/{account}", "account", "an account"),
];

#[rustfmt::skip]
const OTHERS: &[Described] = &[
    request((Get, "/v1/"), "get_collections_root", "Says what the server is, what it can do, and who asks.",
        Anybody, &[], &[], (200, &[JSON])),
    request((Get, "/v1/__heartbeat__"), "get_collections_heartbeat", "Says whether all parts answer; the signer signs.",
        Anybody, &[], &[], (200, &[JSON])),
    request((Get, "/v1/__lbheartbeat__"), "get_collections_lbheartbeat", "Says that the server answers.",
        Anybody, &[], &[], (200, &[JSON])),
    request((Get, "/v1/__version__"), "get_collections_version", "Says which version this is.",
        Anybody, &[], &[], (200, &[JSON])),
    request((Get, "/v1/__broadcasts__"), "get_collections_broadcasts", "Says when something was published last.",
        Anybody, &[], &[], (200, &[JSON])),
    request((Post, "/v1/__flush__"), "flush_collections", "Empties everything, where that is configured.",
        Somebody, &[], &[], (202, &[JSON])),
    request((Post, "/v1/batch"), "batch", "Does several requests together.",
        Anybody, &[], &[JSON], (200, &[JSON])),
    request((Get, "/v1/permissions"), "list_permissions", "Lists everything that the caller has a permission on.",
        Somebody, LIST, &[], (200, &[JSON])),
    request((Get, "/v1/buckets/{bucket}/history"), "list_history", "Lists what was done in a bucket.",
        Somebody, LIST, &[], (200, &[JSON])),
    request((Get, "/v1/buckets/{bucket}/collections/{collection}/changeset"), "get_changeset",
        "Gives a collection whole, or what has changed since, with its signature.",
        Anybody, CHANGES, &[], (200, &[JSON])),
    request((Get, "/v1/buckets/monitor/collections/changes/changeset"), "get_monitor_changeset",
        "Says which collection changed when.",
        Anybody, &["_expected", "_since", "bucket", "collection"], &[], (200, &[JSON])),
    request((Post, "/v1/buckets/{bucket}/collections/{collection}/records/{record}/attachment"), "put_attachment",
        "Gives a record a file.", Somebody, &[], &["multipart/form-data"], (201, &[JSON])),
    request((Delete, "/v1/buckets/{bucket}/collections/{collection}/records/{record}/attachment"), "delete_attachment",
        "Takes its file from a record.", Somebody, &[], &[], (204, &[])),
];
