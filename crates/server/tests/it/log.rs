//! The signing log, through the API and as tiles.

use countersign_server::surfaces::native::wire;
use countersign_tlog::checkpoint::Checkpoint;
use countersign_tlog::log_proof::LogProof;
use countersign_tlog::note::{SignedNote, VerifierKey};
use countersign_tlog::tile::parse_bundle;
use serde_json::json;

use crate::support::House;

#[tokio::test]
async fn an_answered_entry_is_covered_by_the_next_checkpoint_and_proved_offline() {
    let house = House::open().await;
    let key = house.key("p", "p256").await;
    let signed = house.ask("POST", "/countersign/v1/keys/p/sign").json(json!({"message": ""}));
    let signed: wire::Signature = serde_json::from_value(signed.send().await.expect(200)).unwrap();
    let service = house.ask_as_nobody("GET", "/countersign/v1/").send().await.expect(200);
    let verifier: VerifierKey = service["log"]["public_key"].as_str().unwrap().parse().unwrap();

    let origin = &signed.log.origin;
    let checkpoint = house.ask("GET", &format!("/log/{origin}/checkpoint")).send().await;
    checkpoint.expect(200);
    assert_eq!(checkpoint.header("cache-control"), "no-cache");
    assert_eq!(checkpoint.header("content-type"), "text/plain; charset=utf-8");
    let note = SignedNote::parse(&checkpoint.body).unwrap();
    let head = Checkpoint::open(&note, &verifier).unwrap().head;
    assert!(head.size > signed.log.index);

    let bundle = house.ask("GET", &format!("/log/{origin}/tile/entries/000.p/{}", head.size)).send().await;
    bundle.expect(200);
    assert_eq!(bundle.header("content-type"), "application/octet-stream");
    assert!(bundle.header("cache-control").contains("immutable"));
    let entries = parse_bundle(&bundle.body, head.size as u16).unwrap();
    let entry = entries[signed.log.index as usize];

    let path = format!("/countersign/v1/log/{origin}/{}", signed.log.index);
    let proven: wire::ProvenEntry =
        serde_json::from_value(house.ask("GET", &path).send().await.expect(200)).unwrap();
    assert_eq!(proven.entry["key_id"], key["id"]);
    assert_eq!(proven.entry["request_id"], signed.request_id);
    assert_eq!(proven.entry, serde_json::from_slice::<serde_json::Value>(entry).unwrap());
    LogProof::parse(proven.proof.as_bytes()).unwrap().verify(entry, &verifier).unwrap();

    let logs = house.ask("GET", "/countersign/v1/log").send().await.expect(200);
    assert_eq!(logs["logs"][0]["origin"], origin.as_str());
    assert!(logs["logs"][0]["size"].as_u64() > Some(signed.log.index));
    let found = format!("/countersign/v1/log?request_id={}", signed.request_id);
    let found = house.ask("GET", &found).send().await.expect(200);
    assert_eq!(found["entries"][0]["index"], signed.log.index);
    assert_eq!(found["next"], serde_json::Value::Null, "all entries were searched");
    let path = |after: &str| format!("/countersign/v1/log?request_id={}&after={after}", signed.request_id);
    let before = house.ask("GET", &path(&format!("{origin}/{}", signed.log.index))).send().await.expect(200);
    assert_eq!(before, serde_json::json!({"entries": [], "next": null}), "it is not before itself");
    let behind =
        house.ask("GET", &path(&format!("{origin}/{}", signed.log.index + 1))).send().await.expect(200);
    assert_eq!(behind["entries"][0]["index"], signed.log.index);
    for path in [path("nosuch/1"), path(origin), "/countersign/v1/log?after=a/1".to_owned()] {
        house.ask("GET", &path).send().await.refused(400, "invalid-request");
    }
    house.close().await;
}

#[tokio::test]
async fn the_log_needs_a_permission_unless_it_is_public() {
    let house = House::open().await;
    let origin = house.app.ctx.node().to_string();
    let paths = [format!("/log/{origin}/checkpoint"), format!("/countersign/v1/log/{origin}/0")];
    let signer = house.somebody("ana", &["signer"]).await;
    for path in &paths {
        house.ask_as_nobody("GET", path).send().await.refused(401, "no-credentials");
        house.ask_as(&signer, "GET", path).send().await.refused(403, "not-permitted");
    }
    let auditor = house.somebody("aud", &["auditor"]).await;
    for path in &paths {
        house.ask_as(&auditor, "GET", path).send().await.expect(200);
    }
    house.close().await;

    let house = House::with("[log]\npublic = true").await;
    let path = format!("/log/{}/tile/0/000.p/1", house.app.ctx.node());
    // The head that this tile is of is made when it is first asked for.
    house.ask("GET", &format!("/log/{}/checkpoint", house.app.ctx.node())).send().await.expect(200);
    let tile = house.ask_as_nobody("GET", &path).send().await;
    tile.expect(200);
    assert_eq!((tile.body.len(), tile.header("cache-control").starts_with("public")), (32, true));
    house.close().await;
}

#[tokio::test]
async fn a_path_that_no_log_has_names_no_file() {
    let house = House::open().await;
    let origin = house.app.ctx.node().to_string();
    for path in [
        "tile/0/000.p/0",
        "tile/0/x000/000",
        "tile/0/0",
        "tile/9/000",
        "tile/0/x123/456",
        "tile/entries/..",
        "..%2f..%2fadmin.token",
        "%2e%2e/%2e%2e/node",
        "checkpoint/",
        "state",
    ] {
        let answer = house.ask("GET", &format!("/log/{origin}/{path}")).send().await;
        answer.refused(404, "not-found");
    }
    house.ask("GET", "/log/other-node/checkpoint").send().await.refused(404, "not-found");
    house.ask("GET", "/log/%2e%2e/checkpoint").send().await.refused(400, "invalid-name");
    house.ask("POST", &format!("/log/{origin}/checkpoint")).send().await.refused(405, "method-not-allowed");
    for (index, status, code) in
        [("x", 400, "invalid-request"), ("01", 400, "invalid-request"), ("99999", 404, "not-found")]
    {
        let path = format!("/countersign/v1/log/{origin}/{index}");
        house.ask("GET", &path).send().await.refused(status, code);
    }
    house.close().await;
}
