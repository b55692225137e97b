//! What the API description says of this surface. Each path below `/api/v1` answers with a slash at its end too.

use utoipa::openapi::OpenApi;
use utoipa::openapi::path::HttpMethod::{self, Delete, Get, Patch, Post, Put};

use crate::described::Asker::{Anybody, Somebody};
use crate::described::{Described, Refusals, describe_refusing};

const JSON: &[&str] = &["application/json"];
const BYTES: &[&str] = &["application/octet-stream"];

const REFUSALS: Refusals = Refusals {
    description: "`{\"detail\":…}`: a text, `{\"message\",\"error\"}`, or the faults of a body, `[{\"type\",\"loc\",\"msg\"}]`",
    types: JSON,
};

/// The description of all requests.
pub(super) fn description() -> OpenApi {
    describe_refusing("tuf", &REFUSALS, REQUESTS)
}

/// A GET by who has a token.
const fn show(path: &'static str, id: &'static str, summary: &'static str) -> Described {
    Described { method: Get, path, id, summary, who: Somebody, query: &[], takes: &[], gives: (200, JSON) }
}

/// A request that becomes a task.
const fn task(method: HttpMethod, path: &'static str, id: &'static str, summary: &'static str) -> Described {
    Described { method, path, id, summary, who: Somebody, query: &[], takes: JSON, gives: (202, JSON) }
}

#[rustfmt::skip]
const REQUESTS: &[Described] = &[
    show("/api/v1/bootstrap", "get_tuf_bootstrap", "Says how far the bootstrap is: `{bootstrap, state, id}`."),
    task(Post, "/api/v1/bootstrap", "start_tuf_bootstrap", "Begins the repository: `{settings: {roles}, metadata: {root}}`."),
    show("/api/v1/config", "get_tuf_config", "Gives all settings."),
    task(Put, "/api/v1/config", "update_tuf_config", "Changes how many days roles live: `{settings: {expiration: {ROLE: DAYS}}}`."),
    task(Post, "/api/v1/metadata", "update_tuf_root", "Submits a new root: `{metadata: {root}}`."),
    task(Post, "/api/v1/metadata/online", "renew_tuf_online_metadata", "Signs new versions of roles with online keys: `{roles}`; none are all."),
    show("/api/v1/metadata/sign", "get_tuf_signing", "Gives what waits for signatures, with the trusted root, and who is missing."),
    task(Post, "/api/v1/metadata/sign", "sign_tuf_metadata", "Adds a signature to what is pending: `{role, signature: {keyid, sig}}`."),
    task(Patch, "/api/v1/metadata/sign", "override_tuf_signing", "Puts another root in the place of the pending one: `{metadata: {root}, settings, proof}`."),
    task(Delete, "/api/v1/metadata/sign", "delete_tuf_signing", "Stops a signing, as the POST does: `{role, proof}`."),
    task(Post, "/api/v1/metadata/sign/delete", "stop_tuf_signing", "Stops a signing: `{role, proof}`."),
    Described { gives: (201, JSON), ..task(Post, "/api/v1/metadata/sign/challenge", "challenge_tuf_signer",
        "Gives a text that a root key signs to prove that it is held: `{role, operation, metadata_sha256}`.") },
    task(Post, "/api/v1/delegations", "add_tuf_delegations", "Adds delegated roles: `{delegations: {keys, roles}}`."),
    task(Put, "/api/v1/delegations", "update_tuf_delegations", "Changes delegated roles: `{delegations: {keys, roles}}`."),
    task(Post, "/api/v1/delegations/delete", "delete_tuf_delegations", "Ends delegations: `{delegations: {roles: [{name}]}}`."),
    task(Post, "/api/v1/artifacts", "add_tuf_artifacts", "Adds artifacts: `{artifacts: [{path, info: {length, hashes, custom}}]}`."),
    task(Post, "/api/v1/artifacts/delete", "remove_tuf_artifacts", "Removes artifacts: `{artifacts: [PATH]}`."),
    Described { takes: &[], ..task(Post, "/api/v1/artifacts/publish", "publish_tuf_artifacts",
        "Publishes what was added or removed without being published.") },
    Described { query: &["task_id"], ..show("/api/v1/task", "get_tuf_task", "Says what became of a request.") },
    Described { query: &["dry_run"], takes: &[], gives: (200, JSON), ..task(Post, "/api/v1/gc", "collect_tuf_garbage",
        "Removes metadata and target files that no client needs any more.") },
    show("/api/v1/keys/online", "list_tuf_online_keys", "Gives the public halves of the keys that the server signs with."),
    Described { gives: (201, JSON), ..task(Post, "/api/v1/keys/online", "create_tuf_online_key", "Makes a key: `{name, scheme}`.") },
    Described { query: &["sha256", "length"], takes: BYTES, ..task(Put, "/api/v1/targets/{path}", "upload_tuf_target",
        "Keeps a target file and adds it as an artifact.") },
    Described { who: Anybody, ..show("/metadata/{name}", "get_tuf_metadata", "Gives a metadata file: `timestamp.json`, `VERSION.ROLE.json`.") },
    Described { who: Anybody, gives: (200, BYTES), ..show("/targets/{path}", "get_tuf_target", "Gives a target file that is kept here: `DIR/SHA256.NAME`.") },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::{files, table};
    use super::*;

    #[test]
    fn every_path_is_described_and_no_other_is() {
        let plain = |path: &str| path.replace("{*", "{");
        let described: BTreeSet<String> = REQUESTS.iter().map(|request| request.path.to_owned()).collect();
        let routes = table().into_iter().chain(files()).map(|(path, _)| plain(path)).collect();
        assert_eq!(described, routes);
        let names: BTreeSet<&str> = REQUESTS.iter().map(|request| request.id).collect();
        assert_eq!(names.len(), REQUESTS.len(), "a name stands for one request");
    }
}
