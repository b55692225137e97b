//! What the API description says of this surface.

use utoipa::openapi::OpenApi;
use utoipa::openapi::path::HttpMethod::{self, Get, Post};

use crate::described::Asker::{Anybody, HawkClient};
use crate::described::{Described, Refusals, describe_refusing};

const JSON: &[&str] = &["application/json"];
const TEXT: &[&str] = &["text/plain"];

const REFUSALS: Refusals =
    Refusals { description: "Why, in words, and `request-id: ID` on a line of its own", types: TEXT };

/// The description of all requests.
pub(super) fn description() -> OpenApi {
    describe_refusing("autograph", &REFUSALS, REQUESTS)
}

/// A POST of a list, by who has a Hawk pair.
const fn sign(path: &'static str, id: &'static str, summary: &'static str) -> Described {
    Described {
        method: Post,
        path,
        id,
        summary,
        who: HawkClient,
        query: &[],
        takes: JSON,
        gives: (201, JSON),
    }
}

/// A GET by anybody.
const fn show(path: &'static str, id: &'static str, summary: &'static str) -> Described {
    let method: HttpMethod = Get;
    Described { method, path, id, summary, who: Anybody, query: &[], takes: &[], gives: (200, JSON) }
}

#[rustfmt::skip]
const REQUESTS: &[Described] = &[
    sign("/sign/data", "autograph_sign_data",
        "Signs data, all of a list or nothing: `[{input, keyid}]`, `input` in base64; `[{ref, type, mode, signer_id, public_key, signature, x5u}]`."),
    sign("/sign/hash", "autograph_sign_hash",
        "As `/sign/data`, where `input` is a hash that is signed as it is."),
    sign("/sign/file", "autograph_sign_file",
        "Is refused: no signer here puts its signature into a file."),
    sign("/sign/files", "autograph_sign_files",
        "Clear-signs Debian's control files: `[{keyid, files: [{name, content}]}]`; the answers have `signed_files`."),
    sign("/signature", "autograph_sign_2016",
        "Signs as in 2016: `[{input, keyid, hashwith, template, signature_encoding}]`; `[{ref, x5u, public_key, hash_algorithm, signature_encoding, signature}]`."),
    Described { who: HawkClient, ..show("/auths/{id}/keyids", "autograph_list_keyids",
        "Lists what the Hawk pair `id`, which must be one's own, may name as `keyid`.") },
    Described { who: HawkClient, gives: (201, JSON), ..show("/__monitor__", "autograph_monitor",
        "Has a constant text signed by every signer that the client may use: a JSON document a line.") },
    show("/__heartbeat__", "get_autograph_heartbeat",
        "Says whether keys and database can be reached: `{hsmAccessible, dbAccessible}`, with 503 if one cannot."),
    Described { gives: (200, TEXT), ..show("/__lbheartbeat__", "get_autograph_lbheartbeat", "Says that the server lives.") },
    show("/__version__", "get_autograph_version", "Says which version this is: `{source, version, commit, build}`."),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::table;
    use super::*;

    #[test]
    fn every_route_is_described_once_and_nothing_else_is() {
        let described: Vec<&str> = REQUESTS.iter().map(|request| request.path).collect();
        let routes: Vec<&str> = table().into_iter().map(|(path, _)| path).collect();
        assert_eq!(described, routes, "in the order of the table");
        let names: BTreeSet<&str> = REQUESTS.iter().map(|request| request.id).collect();
        assert_eq!(names.len(), REQUESTS.len(), "a name stands for one request");
        assert_eq!(description().paths.paths.len(), REQUESTS.len());
    }
}
