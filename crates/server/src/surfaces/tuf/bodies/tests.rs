use std::path::Path;

use countersign_core::tuf::error::Place;
use countersign_core::tuf::request::BootstrapDelegation;
use serde_json::json;

use super::*;

fn fixture(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/rstuf").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// What the routes' readers make of a body; the metadata in it, if it has any.
fn read_as(method: &str, path: &str, body: &[u8]) -> Result<Option<Value>, Wrong> {
    let root = |request: Request| match request {
        Request::Bootstrap(Bootstrap { root, .. })
        | Request::MetadataUpdate { root }
        | Request::OverrideSignMetadata { root, .. } => Some(root),
        _ => None,
    };
    match (method, path.trim_end_matches('/').trim_start_matches("/api/v1/")) {
        ("POST", "bootstrap") => bootstrap(body).map(root),
        ("PUT", "config") => config(body).map(root),
        ("POST", "metadata") => metadata(body).map(root),
        ("POST", "metadata/online") => online(body).map(root),
        ("POST", "metadata/sign") => sign(body).map(root),
        ("PATCH", "metadata/sign") => override_(body).map(root),
        ("POST", "metadata/sign/delete") => stop(body).map(root),
        ("POST", "delegations") => delegations_add(body).map(root),
        ("POST", "artifacts") => add_artifacts(body).map(|_| None),
        ("POST", "artifacts/delete") => remove_artifacts(body).map(|_| None),
        other => panic!("{other:?}"),
    }
}

fn shown(faults: &[BodyFault]) -> Vec<(String, String, String)> {
    let place = |place: &Place| match place {
        Place::Name(name) => name.clone(),
        Place::Index(index) => index.to_string(),
    };
    faults
        .iter()
        .map(|fault| {
            let loc: Vec<String> = fault.loc.iter().map(place).collect();
            (fault.kind.to_owned(), loc.join("."), fault.msg.clone())
        })
        .collect()
}

/// The first fault of a body: its type, and where.
#[track_caller]
fn fault(method: &str, path: &str, body: &Value) -> (String, String) {
    let faults = read_as(method, path, body.to_string().as_bytes()).expect_err(&body.to_string());
    let (kind, loc, _) = shown(&faults).remove(0);
    (kind, loc)
}

#[track_caller]
fn is_refused(method: &str, path: &str, body: &Value, kind: &str, loc: &str) {
    assert_eq!(fault(method, path, body), (kind.to_owned(), loc.to_owned()), "{body}");
}

fn payload(name: &str) -> Value {
    fixture("payloads.json")[name].clone()
}

#[test]
fn each_body_that_the_original_refused_is_refused_in_its_words() {
    let mut count = 0;
    for exchange in fixture("transcript.json").as_array().unwrap() {
        let text = |name: &str| exchange[name].as_str().unwrap();
        if exchange["status"] != 422 || exchange["body"].is_null() {
            continue;
        }
        let found = read_as(text("method"), text("path"), exchange["body"].to_string().as_bytes());
        let expected: Vec<_> = exchange["response"]["detail"]
            .as_array()
            .unwrap()
            .iter()
            .map(|fault| {
                let step = |step: &Value| step.as_str().map_or_else(|| step.to_string(), str::to_owned);
                let loc: Vec<String> = fault["loc"].as_array().unwrap().iter().map(step).collect();
                let text = |name: &str| fault[name].as_str().unwrap().to_owned();
                (text("type"), loc.join("."), text("msg"))
            })
            .collect();
        assert_eq!(shown(&found.unwrap_err()), expected, "{}", text("title"));
        count += 1;
    }
    assert_eq!(count, 5);
}

#[test]
fn each_body_that_the_original_took_is_taken_with_every_member_of_its_metadata() {
    let mut count = 0;
    for exchange in fixture("transcript.json").as_array().unwrap() {
        let text = |name: &str| exchange[name].as_str().unwrap();
        if exchange["status"] == 422 || exchange["body"].is_null() {
            continue;
        }
        let read = read_as(text("method"), text("path"), exchange["body"].to_string().as_bytes());
        let given = &exchange["body"]["metadata"]["root"];
        assert_eq!(read.unwrap_or_else(|faults| panic!("{}: {faults:?}", text("title"))).as_ref(), {
            (!given.is_null()).then_some(given)
        });
        count += 1;
    }
    assert!(count > 25, "{count}");
}

#[test]
fn fault_12_an_artifact_that_would_stop_all_publication_is_refused_by_itself() {
    let good = json!({"path": "a", "info": {"length": 1, "hashes": {"sha256": "ab".repeat(32)}}});
    for (pointer, value, kind, loc) in [
        ("/info/length", json!(-1), "value_error", "info.length"),
        ("/info/length", json!(1.5), "int_from_float", "info.length"),
        ("/info/length", json!("many"), "int_parsing", "info.length"),
        ("/info/length", json!("1"), "int_type", "info.length"),
        ("/info/length", json!(true), "int_type", "info.length"),
        ("/info/hashes", json!({}), "value_error", "info.hashes"),
        ("/info/hashes/sha256", json!("xyz"), "value_error", "info.hashes"),
        ("/info/hashes/sha256", json!("AB".repeat(32)), "value_error", "info.hashes"),
        ("/info/hashes/sha256", json!(7), "string_type", "info.hashes.sha256"),
        ("/info/hashes", json!([]), "dict_type", "info.hashes"),
        ("/info", json!(1), "model_attributes_type", "info"),
        ("/path", json!(""), "value_error", "path"),
        ("/path", json!("a/../b"), "value_error", "path"),
        ("/path", json!(null), "string_type", "path"),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        let body = json!({"artifacts": [good, bad]});
        is_refused("POST", "artifacts", &body, kind, &format!("body.artifacts.1.{loc}"));
    }
    for (custom, kind) in [(json!("x"), "dict_type"), (json!({"k": 0.5}), "value_error")] {
        let mut bad = good.clone();
        bad["info"]["custom"] = custom;
        is_refused("POST", "artifacts", &json!({"artifacts": [bad]}), kind, "body.artifacts.0.info.custom");
    }
}

#[test]
fn fault_13_a_number_of_bins_is_a_power_of_two() {
    for (count, kind) in [
        (json!(12), Some("value_error")),
        (json!(1), Some("greater_than")),
        (json!(16_385), Some("less_than")),
        (json!(16.0), Some("int_from_float")),
        (json!(2), None),
        (json!(16_384), None),
    ] {
        let mut body = payload("bootstrap_full");
        body["settings"]["roles"]["bins"]["number_of_delegated_bins"] = count.clone();
        let loc = "body.settings.roles.bins.number_of_delegated_bins";
        match kind {
            Some(kind) => is_refused("POST", "bootstrap", &body, kind, loc),
            None => {
                let Ok(Request::Bootstrap(read)) = bootstrap(body.to_string().as_bytes()) else {
                    panic!("{count}")
                };
                let BootstrapDelegation::Bins { count: read, .. } = read.settings.delegated else { panic!() };
                assert_eq!(count, read);
            }
        }
    }
}

#[test]
fn fault_18_a_delegated_role_has_paths_and_none_is_empty() {
    let mut body = payload("delegations_add");
    let role =
        |body: &mut Value| body.pointer_mut("/delegations/roles/0").unwrap().as_object_mut().unwrap().clone();
    let original = role(&mut body);
    for (member, value, kind, loc) in [
        ("paths", None, "missing", "paths"),
        ("paths", Some(json!(null)), "list_type", "paths"),
        ("paths", Some(json!([])), "too_short", "paths"),
        ("paths", Some(json!(["a/*", ""])), "string_too_short", "paths.1"),
        ("name", Some(json!("a b")), "string_pattern_mismatch", "name"),
        ("name", Some(json!("")), "string_pattern_mismatch", "name"),
        ("name", Some(json!("../x")), "string_pattern_mismatch", "name"),
        ("name", Some(json!("1x")), "value_error", "name"),
        ("name", Some(json!("targets")), "value_error", "name"),
        ("name", Some(json!("trusted_root")), "value_error", "name"),
        ("threshold", Some(json!(0)), "greater_than", "threshold"),
        ("threshold", Some(json!(2)), "value_error", "threshold"),
        ("terminating", Some(json!("yes")), "bool_type", "terminating"),
        ("x-rstuf-expire-policy", None, "missing", "x-rstuf-expire-policy"),
        ("x-rstuf-expire-policy", Some(json!(0)), "greater_than", "x-rstuf-expire-policy"),
        ("x-rstuf-expire-policy", Some(json!(36_526)), "less_than_equal", "x-rstuf-expire-policy"),
    ] {
        let mut changed = original.clone();
        match value {
            None => drop(changed.remove(member)),
            Some(value) => drop(changed.insert(member.into(), value)),
        }
        body["delegations"]["roles"][0] = Value::Object(changed);
        is_refused("POST", "delegations", &body, kind, &format!("body.delegations.roles.0.{loc}"));
    }
    body["delegations"]["roles"] = json!([original, original]);
    is_refused("POST", "delegations", &body, "value_error", "body.delegations.roles.1.name");
    body["delegations"]["roles"] = json!([]);
    is_refused("POST", "delegations", &body, "too_short", "body.delegations.roles");
}

#[test]
fn exactly_one_of_bins_and_delegations_is_given_and_a_null_is_not_one() {
    let mut body = payload("bootstrap_full");
    let named = payload("delegations_add")["delegations"].clone();
    body["settings"]["roles"]["delegations"] = named.clone();
    is_refused("POST", "bootstrap", &body, "value_error", "body.settings.roles");
    body["settings"]["roles"]["bins"] = Value::Null;
    let Ok(Request::Bootstrap(read)) = bootstrap(body.to_string().as_bytes()) else { panic!() };
    assert_eq!(read.settings.delegated, BootstrapDelegation::Roles(named));
}

#[test]
fn an_extension_of_metadata_is_named_after_its_vendor() {
    for (name, good) in [
        ("x-vendor-name", true),
        ("x-a-b-c", true),
        ("x-vendor", false),
        ("x--name", false),
        ("y-vendor-name", false),
        ("targets", false),
    ] {
        let mut body = payload("update");
        body["metadata"]["root"]["signed"][name] = json!({"k": [1]});
        match good {
            true => drop(metadata(body.to_string().as_bytes()).unwrap()),
            false => is_refused("POST", "metadata", &body, "value_error", "body"),
        }
    }
}

#[test]
fn a_root_that_clients_would_not_take_is_refused_before_its_keys_are_read() {
    let mut body = payload("update");
    body["metadata"]["root"]["signed"]["x-a-b"] = json!("x".repeat(512_000));
    is_refused("POST", "metadata", &body, "value_error", "body.metadata.root");
    let faults = metadata(body.to_string().as_bytes()).unwrap_err();
    assert!(faults[0].msg.contains("512000 bytes"), "{}", faults[0].msg);
}

#[test]
fn metadata_is_a_root_and_nothing_else() {
    let update = payload("update");
    let root = update["metadata"]["root"].clone();
    let mut both = update.clone();
    both["metadata"]["timestamp"] = root.clone();
    is_refused("POST", "metadata", &both, "literal_error", "body.metadata.timestamp.[key]");
    is_refused("PATCH", "metadata/sign", &both, "literal_error", "body.metadata.timestamp.[key]");
    is_refused("POST", "metadata", &json!({"metadata": {}}), "missing", "body.metadata.root");
    for (pointer, value, kind, loc) in [
        ("/signed/_type", json!("targets"), "value_error", "body.metadata.root"),
        ("/signed/version", json!("2"), "int_type", "body.metadata.root.signed.version"),
        ("/signed/version", json!(2.5), "int_from_float", "body.metadata.root.signed.version"),
        ("/signed/expires", json!("2027-06-08"), "value_error", "body.metadata.root"),
        ("/signed/keys", json!([]), "value_error", "body.metadata.root"),
        ("/signatures", json!({}), "list_type", "body.metadata.root.signatures"),
        ("/signatures/0/sig", json!(1), "string_type", "body.metadata.root.signatures.0.sig"),
    ] {
        let mut changed = root.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        is_refused("POST", "metadata", &json!({"metadata": {"root": changed}}), kind, loc);
    }
}

#[test]
fn a_member_that_is_there_twice_and_a_fraction_are_refused_wherever_they_stand() {
    let artifact =
        r#"{"path":"a","info":{"length":1,"hashes":{"sha256":"HASH"}}}"#.replace("HASH", &"ab".repeat(32));
    for (method, path, body) in [
        ("POST", "metadata/sign/delete", r#"{"role":"root","role":"root"}"#.to_owned()),
        ("POST", "metadata/sign/delete", r#"{"role":"root","x":{"a":1,"\u0061":2}}"#.to_owned()),
        ("POST", "metadata/sign/delete", r#"{"role":"root","x":[1.5]}"#.to_owned()),
        ("POST", "metadata/sign/delete", r#"{"role":"root","x":18446744073709551616}"#.to_owned()),
        ("POST", "artifacts", format!(r#"{{"artifacts":[{artifact}],"artifacts":[]}}"#)),
        ("POST", "artifacts", format!(r#"{{"artifacts":[{artifact}],"x":{{"a":1,"a":1}}}}"#)),
        ("POST", "artifacts", format!(r#"{{"artifacts":[{artifact}],"x":0.5}}"#)),
        (
            "POST",
            "artifacts",
            format!(r#"{{"artifacts":[{}]}}"#, artifact.replace("{\"path\"", "{\"x\":0.5,\"path\"")),
        ),
        (
            "POST",
            "artifacts",
            format!(r#"{{"artifacts":[{}]}}"#, artifact.replace("\"length\":1", "\"length\":1,\"length\":1")),
        ),
    ] {
        let faults = read_as(method, path, body.as_bytes()).expect_err(&body);
        assert_eq!(faults[0].kind, "value_error", "{body}");
    }
}

#[test]
fn what_is_not_json_is_told_with_its_place_and_nothing_else() {
    for (body, kind, loc) in [
        ("", "missing", "body"),
        ("{", "json_invalid", "body.0"),
        ("{\"a\":secret}", "json_invalid", "body.5"),
        ("[]", "model_attributes_type", "body"),
        ("\"secret\"", "model_attributes_type", "body"),
        ("{} {}", "json_invalid", "body.3"),
    ] {
        for path in ["metadata/sign/delete", "artifacts"] {
            let faults = read_as("POST", path, body.as_bytes()).expect_err(body);
            let (found, place, msg) = shown(&faults).remove(0);
            assert_eq!((found.as_str(), place.as_str()), (kind, loc), "{path} {body}");
            assert!(!msg.contains("secret"));
        }
    }
    let deep = format!("{{\"role\":{}1{}}}", "[".repeat(200), "]".repeat(200));
    assert!(stop(deep.as_bytes()).is_err());
    let deep = format!("{{\"artifacts\":[{}1{}]}}", "[".repeat(200_000), "]".repeat(200_000));
    assert!(add_artifacts(deep.as_bytes()).is_err());
}

#[test]
fn no_fault_quotes_a_value_and_many_are_not_all_told() {
    let bad = json!({"path": 7, "info": {"length": "secret", "hashes": {"a": 4242}}});
    let body = json!({"artifacts": vec![bad; 1000]});
    let faults = add_artifacts(body.to_string().as_bytes()).unwrap_err();
    assert_eq!(faults.len(), 100);
    for fault in faults {
        assert!(!fault.msg.contains("secret") && !fault.msg.contains("4242"), "{}", fault.msg);
    }
}

#[test]
fn a_list_that_is_too_long_is_refused_before_it_takes_memory() {
    let body = format!("{{\"artifacts\":[{}]}}", vec!["\"a\""; MOST_ARTIFACTS + 1].join(","));
    let faults = remove_artifacts(body.as_bytes()).unwrap_err();
    assert_eq!(shown(&faults)[0].0, "too_long");
    let body = format!("{{\"artifacts\":[],\"x\":[{}]}}", vec!["1"; 1 << 20].join(","));
    assert!(remove_artifacts(body.as_bytes()).is_err());
}

#[test]
fn artifacts_keep_their_order_their_custom_and_what_is_to_be_done_with_them() {
    let info =
        |custom: Value| json!({"length": 3, "hashes": {"blake2b-256": "ab".repeat(32)}, "custom": custom});
    let body = json!({
        "artifacts": [{"path": "b", "info": info(json!({"k": {"z": [1]}}))}, {"path": "a", "info": info(Value::Null)}],
        "add_task_id_to_custom": true,
        "publish_artifacts": false,
    });
    let read = add_artifacts(body.to_string().as_bytes()).unwrap();
    assert_eq!((read.publish, read.add_task_id_to_custom), (false, true));
    let paths: Vec<_> = read.artifacts.iter().map(|artifact| artifact.path.as_str()).collect();
    assert_eq!(paths, ["b", "a"]);
    assert_eq!(read.artifacts[0].info["custom"], json!({"k": {"z": [1]}}));
    assert!(!read.artifacts[1].info.contains_key("custom"));

    let read = remove_artifacts(br#"{"artifacts":["b","a"]}"#).unwrap();
    assert_eq!(read, Removed { artifacts: vec!["b".into(), "a".into()], publish: true });
    is_refused(
        "POST",
        "artifacts",
        &json!({"artifacts": [], "publish_artifacts": 1}),
        "bool_type",
        "body.publish_artifacts",
    );
}

#[test]
fn a_proof_has_three_texts_and_a_challenge_says_what_it_is_for() {
    let proof = json!({"nonce": "n", "keyid": "k", "sig": "s"});
    let Ok(Request::DeleteSignMetadata { proof: Some(read), .. }) =
        stop(json!({"role": "root", "proof": proof}).to_string().as_bytes())
    else {
        panic!()
    };
    assert_eq!((read.nonce.as_str(), read.keyid.as_str(), read.sig.as_str()), ("n", "k", "s"));
    is_refused(
        "POST",
        "metadata/sign/delete",
        &json!({"role": "root", "proof": {}}),
        "missing",
        "body.proof.nonce",
    );

    let of = |body: Value| challenge(body.to_string().as_bytes());
    let digest = "0a".repeat(32);
    let read = of(json!({"role": "root", "operation": "override", "metadata_sha256": digest})).unwrap();
    assert_eq!(read, Challenge { role: "root".into(), operation: Operation::Override, new: Some([10; 32]) });
    assert_eq!(of(json!({"role": "dev", "operation": "delete"})).unwrap().new, None);
    for (body, kind) in [
        (json!({"role": "root", "operation": "override"}), "missing"),
        (json!({"role": "root", "operation": "override", "metadata_sha256": "0a"}), "value_error"),
        (json!({"role": "root", "operation": "delete", "metadata_sha256": digest}), "value_error"),
        (json!({"role": "root", "operation": "sign"}), "literal_error"),
    ] {
        assert_eq!(of(body).unwrap_err()[0].kind, kind);
    }
}

#[test]
fn lifetimes_are_days_from_one_up() {
    let Ok(Request::UpdateSettings { expiration }) =
        config(br#"{"settings":{"expiration":{"timestamp":2,"nobody":4}}}"#)
    else {
        panic!()
    };
    assert_eq!(expiration, [("nobody".to_owned(), 4), ("timestamp".to_owned(), 2)]);
    for (days, kind) in
        [(json!(0), "greater_than"), (json!("x"), "int_parsing"), (json!(36_526), "less_than_equal")]
    {
        let body = json!({"settings": {"expiration": {"bins": days}}});
        is_refused("PUT", "config", &body, kind, "body.settings.expiration.bins");
    }
}

#[test]
fn a_parameter_of_a_query_is_the_last_of_its_name_decoded() {
    assert_eq!(query("task_id=1&task_id=2", "task_id").as_deref(), Some("2"));
    assert_eq!(query("x=1&task_id=a%20b+c", "task_id").as_deref(), Some("a b c"));
    assert_eq!(query("task_id", "task_id").as_deref(), Some(""));
    assert_eq!(query("task=1", "task_id"), None);
    assert_eq!(
        shown(&missing_in_query("task_id"))[0],
        ("missing".into(), "query.task_id".into(), "Field required".into())
    );
}
