//! What the API description says of this surface.

use utoipa::openapi::OpenApi;
use utoipa::openapi::path::HttpMethod::{self, Delete, Get, Post, Put};

use crate::described::Asker::{self, Anybody, Somebody};
use crate::described::{Described, describe};

const JSON: &str = "application/json";
const TEXT: &str = "text/plain";
const OCTETS: &str = "application/octet-stream";
const PEM: &str = "application/x-pem-file";

/// The forms that a payload can have.
const PAYLOAD: &[&str] = &[TEXT, OCTETS, JSON, "application/x-www-form-urlencoded"];

/// The description of all requests.
pub(super) fn description() -> OpenApi {
    let mut all = describe("tags", TAGS);
    all.merge(describe("authorities", AUTHORITIES));
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

#[rustfmt::skip]
const TAGS: &[Described] = &[
    request((Post, "/tags/validate"), "validate_tag", "Gives the payload of a signed file if these authorities signed it.",
        Anybody, &["authorities", "payload"], PAYLOAD, (200, &[TEXT, OCTETS, JSON])),
    request((Post, "/tags/sign"), "sign_tag", "Signs a payload and keeps nothing; 202 where more voices are needed.",
        Somebody, &["authority", "payload", "signed", "detached"], PAYLOAD, (200, &[TEXT, OCTETS, JSON])),
    request((Get, "/tags/"), "list_tags", "Lists tags, or finds those about an artifact.",
        Anybody, &["prefix", "after", "limit", "digest", "authorities"], &[], (200, &[JSON])),
    request((Get, "/tags/{name}"), "get_tag", "Gives the signed file, or with `authorities` the payload if they all signed it.",
        Anybody, &["authorities", "version", "versions", "after", "limit"], &[], (200, &[TEXT, OCTETS, JSON])),
    request((Post, "/tags/{name}"), "write_tag", "Makes a tag or a version of it, signed; or brings a hidden one back.",
        Somebody,
        &["content", "authority", "new_version", "restore", "digest", "hash", "subject", "size", "media-type", "built-by",
          "created", "version", "sha256"],
        PAYLOAD, (201, &[JSON])),
    request((Put, "/tags/{name}"), "add_tag_signatures", "Signs what is there, or adds the signatures of a signed file.",
        Somebody, &["authority", "version", "sha256", "new_version"], PAYLOAD, (200, &[JSON])),
    request((Delete, "/tags/{name}"), "hide_tag", "Hides a tag; nothing of it is lost.",
        Somebody, &["version", "sha256"], &[], (204, &[])),
    request((Get, "/tags/{name}.{authority}.sig"), "get_tag_signature", "Gives one signature, in lines of base64 or raw.",
        Anybody, &["version", "raw"], &[], (200, &[TEXT, OCTETS])),
    request((Get, "/tags/requests/{id}"), "get_tag_request", "Shows a signature that waits for more voices.",
        Anybody, &[], &[], (200, &[JSON])),
    request((Post, "/tags/requests/{id}/approve"), "approve_tag_request", "Says yes; the last voice signs.",
        Somebody, &[], &[JSON], (200, &[JSON])),
    request((Post, "/tags/requests/{id}/refuse"), "refuse_tag_request", "Says no, which ends it.",
        Somebody, &[], &[JSON], (200, &[JSON])),
];

#[rustfmt::skip]
const AUTHORITIES: &[Described] = &[
    request((Get, "/authorities/"), "list_authorities", "Lists authorities with the keys in use.",
        Anybody, &[], &[], (200, &[JSON])),
    request((Post, "/authorities/"), "create_authority", "Makes an authority with a key that never leaves.",
        Somebody, &[], &[JSON], (201, &[JSON])),
    request((Get, "/authorities/{name}"), "get_authority", "Shows all keys of an authority.",
        Anybody, &[], &[], (200, &[JSON])),
    request((Get, "/authorities/{name}.pub"), "get_authority_key", "Gives the public key in use, or the one with this id.",
        Anybody, &["key"], &[], (200, &[PEM])),
    request((Post, "/authorities/{name}/rotate"), "rotate_authority", "Makes a new key, which signs from now on.",
        Somebody, &[], &[JSON], (200, &[JSON])),
    request((Post, "/authorities/{name}/keys"), "register_authority_key", "Takes in a public key whose private half is elsewhere.",
        Somebody, &[], &[JSON, PEM], (201, &[JSON])),
    request((Post, "/authorities/{name}/revoke"), "revoke_authority_key", "Revokes a key, for good.",
        Somebody, &[], &[JSON], (200, &[JSON])),
    request((Get, "/authorities/bundle"), "get_authority_bundle", "Gives all keys in one signed document; with `draft`, what is to be signed elsewhere.",
        Anybody, &["draft"], &[], (200, &[JSON])),
    request((Post, "/authorities/bundle"), "install_authority_bundle", "Takes in a bundle that was signed elsewhere.",
        Somebody, &[], &[JSON], (200, &[JSON])),
    request((Get, "/authorities/bundle.pub"), "get_authority_bundle_key", "Gives the key that signs bundles.",
        Anybody, &[], &[], (200, &[PEM])),
];
