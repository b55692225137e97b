//! What everybody may fetch.

use std::io::Read as _;

use countersign_model::digest::sha256;
use serde_json::{Value, json};

use super::{artifact, file, repository, succeeds, tell};
use crate::support::House;

#[tokio::test]
async fn metadata_are_for_everybody_and_say_how_long_they_may_be_kept() {
    for house in House::on_both("").await {
        repository(&house).await;
        let get = |name: &'static str| house.ask_as_nobody("GET", name);
        let timestamp = get("/metadata/timestamp.json").send().await;
        timestamp.expect(200);
        assert_eq!(timestamp.header("content-type"), "application/json");
        assert_eq!(timestamp.header("cache-control"), "no-cache");
        let tag = timestamp.header("etag").to_owned();
        let known = get("/metadata/timestamp.json").header("if-none-match", &tag).send().await;
        assert_eq!((known.status.as_u16(), known.body.len(), known.header("etag")), (304, 0, tag.as_str()));

        let root = get("/metadata/1.root.json").send().await;
        assert_eq!(root.expect(200)["signed"]["_type"], "root");
        assert_eq!(root.header("cache-control"), "public, max-age=31536000, immutable");
        let head = house.ask_as_nobody("HEAD", "/metadata/1.root.json").send().await;
        assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
        assert_eq!(head.header("etag"), root.header("etag"));

        let small = get("/metadata/1.root.json").header("accept-encoding", "gzip, br").send().await;
        assert_eq!((small.header("content-encoding"), small.header("vary")), ("gzip", "accept-encoding"));
        assert_ne!(small.header("etag"), root.header("etag"));
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(small.body.as_slice()).read_to_end(&mut plain).unwrap();
        assert_eq!(plain, root.body);
        house.close().await;
    }
}

#[tokio::test]
async fn what_is_not_there_is_404_whatever_it_is_called() {
    let house = House::open().await;
    for repository_is_there in [false, true] {
        if repository_is_there {
            repository(&house).await;
        }
        for name in [
            "2.root.json",
            "root.json",
            "99999999999999999999999.root.json",
            "1.root.json/",
            "1.root.json/x",
            "..%2f..%2fdb%2fcountersign.sqlite",
            "1.%2e%2e%2froot.json",
            "1.%ff.json",
            "%00",
            "x",
        ] {
            let answer = house.ask_as_nobody("GET", &format!("/metadata/{name}")).send().await;
            assert_eq!(answer.expect(404), json!({"detail": "Not Found"}), "{name}");
            assert_eq!(answer.header("cache-control"), "no-store");
        }
    }
    house.ask_as_nobody("POST", "/metadata/timestamp.json").send().await.expect(405);
    house.close().await;
}

#[tokio::test]
async fn fault_22_a_task_that_succeeded_is_in_the_timestamp_that_everybody_gets() {
    for house in House::on_both("").await {
        repository(&house).await;
        for n in 0..10u8 {
            let body = json!({"artifacts": [artifact(&format!("p/{n}"), &[n])]});
            let details = succeeds(&house, &tell(&house, "POST", "artifacts/", body, 202).await).await;
            let role = details["artifact_roles"][0].as_str().unwrap();
            let timestamp = file(&house, "timestamp.json").await;
            let version = &timestamp["signed"]["meta"]["snapshot.json"]["version"];
            let snapshot = file(&house, &format!("{version}.snapshot.json")).await;
            let version = &snapshot["signed"]["meta"][format!("{role}.json")]["version"];
            let targets = file(&house, &format!("{version}.{role}.json")).await;
            assert!(targets["signed"]["targets"][format!("p/{n}")].is_object(), "{n}");
        }
        house.close().await;
    }
}

/// A file of more than one piece.
fn content() -> Vec<u8> {
    (0..3_000_000u32).map(|n| (n % 251) as u8).collect()
}

async fn upload(house: &House, path: &str, query: &str, body: &[u8], status: u16) -> Value {
    let path = format!("/api/v1/targets/{path}?{query}");
    house.ask("PUT", &path).body("application/octet-stream", body).send().await.expect(status)
}

#[tokio::test]
async fn a_target_file_is_kept_added_and_fetched_whole_and_in_part() {
    for house in House::on_both("").await {
        repository(&house).await;
        let bytes = content();
        let hash = hex::encode(sha256(&bytes));
        let query = format!("sha256={hash}&length={}", bytes.len());
        let accepted = upload(&house, "dist/app-1.0.tar.gz", &query, &bytes, 202).await;
        assert_eq!(accepted["data"]["artifacts"], json!(["dist/app-1.0.tar.gz"]));
        assert_eq!(succeeds(&house, &accepted).await["added_artifacts"], json!(["dist/app-1.0.tar.gz"]));

        let path = format!("/targets/dist/{hash}.app-1.0.tar.gz");
        let whole = house.ask_as_nobody("GET", &path).send().await;
        assert_eq!((whole.status.as_u16(), whole.body == bytes), (200, true));
        assert_eq!(whole.header("content-type"), "application/octet-stream");
        assert_eq!(whole.header("cache-control"), "public, max-age=31536000, immutable");
        let head = house.ask_as_nobody("HEAD", &path).send().await;
        assert_eq!((head.status.as_u16(), head.header("content-length")), (200, "3000000"));
        let tag = whole.header("etag").to_owned();
        house.ask_as_nobody("GET", &path).header("if-none-match", &tag).send().await.expect(304);

        for (range, part) in [
            ("bytes=0-9", 0..10),
            ("bytes=1500000-2900000", 1_500_000..2_900_001),
            ("bytes=2999990-", 2_999_990..3_000_000),
            ("bytes=-5", 2_999_995..3_000_000),
            ("bytes=2999999-4000000", 2_999_999..3_000_000),
        ] {
            let answer = house.ask_as_nobody("GET", &path).header("range", range).send().await;
            assert_eq!(answer.status, 206, "{range}");
            assert!(answer.body == bytes[part.clone()], "{range}");
            let expected = format!("bytes {}-{}/3000000", part.start, part.end - 1);
            assert_eq!(answer.header("content-range"), expected);
        }
        let beyond = house.ask_as_nobody("GET", &path).header("range", "bytes=3000000-").send().await;
        assert_eq!((beyond.status.as_u16(), beyond.header("content-range")), (416, "bytes */3000000"));
        let changed =
            house.ask_as_nobody("GET", &path).header("range", "bytes=5-9").header("if-range", "\"x\"");
        let changed = changed.send().await;
        assert_eq!((changed.status.as_u16(), changed.body.len()), (200, bytes.len()));
        house.ask_as_nobody("GET", "/targets/dist/app-1.0.tar.gz").send().await.expect(404);
        house.close().await;
    }
}

#[tokio::test]
async fn a_file_that_is_not_what_was_announced_is_not_kept() {
    let house = House::with("[tuf]\ntarget_mib = 1").await;
    repository(&house).await;
    let hash = hex::encode(sha256(b"hello"));
    for (path, query, body, status) in [
        ("a", format!("sha256={hash}&length=5"), "hallo", 422),
        ("a", format!("sha256={hash}&length=4"), "hello", 422),
        ("a", format!("sha256={hash}&length=6"), "hello", 422),
        ("a", "length=5".to_owned(), "hello", 422),
        ("a", "sha256=x&length=5".to_owned(), "hello", 422),
        ("a", format!("sha256={hash}&length=-5"), "hello", 422),
        ("a", format!("sha256={hash}&length=1048577"), "hello", 413),
        ("a/../b", format!("sha256={hash}&length=5"), "hello", 422),
        ("a%2f..%2fb", format!("sha256={hash}&length=5"), "hello", 422),
        ("a%20b", format!("sha256={hash}&length=5"), "hello", 422),
        ("%ff", format!("sha256={hash}&length=5"), "hello", 422),
    ] {
        upload(&house, path, &query, body.as_bytes(), status).await;
    }
    house.ask_as_nobody("GET", &format!("/targets/{hash}.a")).send().await.expect(404);
    upload(&house, "a", &format!("sha256={hash}"), b"hello", 202).await;
    house.close().await;

    let house = House::with("[tuf]\nhost_targets = false").await;
    repository(&house).await;
    let refusal = upload(&house, "a", &format!("sha256={hash}&length=5"), b"hello", 404).await;
    assert_eq!(refusal["detail"]["message"], "Task not accepted.");
    house.close().await;
}
