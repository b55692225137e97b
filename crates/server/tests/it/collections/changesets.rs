//! What readers ask: changesets, the monitor, broadcasts.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::House;

const CONFIG: &str = r#"
listen = "127.0.0.1:18882"
[[collections.resource]]
source = "/buckets/source"
destination = "/buckets/destination"
review = false
[[collections.cache]]
place = "/buckets/destination"
seconds = 300
[[collections.cache]]
place = "/buckets/monitor"
seconds = 5
"#;

const CHANGESET: &str = "/v1/buckets/destination/collections/c/changeset";
const MONITOR: &str = "/v1/buckets/monitor/collections/changes/changeset";

async fn published(house: &House, records: usize) {
    house.ask("PUT", "/v1/buckets/source").send().await.expect(201);
    house.ask("PUT", "/v1/buckets/source/collections/c").send().await.expect(201);
    let put = |n: usize| json!({"method": "PUT", "path": format!("/buckets/source/collections/c/records/r{n}"), "body": {"data": {"n": n, "t": "é\u{2028}"}}});
    for chunk in (0..records).collect::<Vec<_>>().chunks(25) {
        house.batch(chunk.iter().copied().map(put).collect()).await.expect(200);
    }
    sign(house).await;
}

async fn sign(house: &House) {
    let status = json!({"data": {"status": "to-sign"}});
    house.ask("PATCH", "/v1/buckets/source/collections/c").json(status).send().await.expect(200);
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip =
        Command::new("gzip").arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdin, sent) = (gzip.stdin.take().unwrap(), bytes.to_vec());
    let writing = std::thread::spawn(move || stdin.write_all(&sent));
    let output = gzip.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    assert!(output.status.success());
    output.stdout
}

#[tokio::test]
async fn a_changeset_is_the_whole_collection_or_what_has_changed_since() {
    for house in House::on_both(CONFIG).await {
        published(&house, 30).await;
        let get = async |query: &str| {
            let answer = house.ask_as_nobody("GET", &format!("{CHANGESET}?{query}")).send().await;
            answer.expect(200)
        };
        let whole = get("_expected=0").await;
        assert_eq!(whole["changes"].as_array().unwrap().len(), 30);
        assert_eq!(whole["metadata"]["bucket"], "destination");
        let before = whole["timestamp"].as_i64().unwrap();
        house.ask("DELETE", "/v1/buckets/source/collections/c/records/r7").send().await.expect(200);
        let changed = json!({"data": {"n": 8}});
        house
            .ask("PUT", "/v1/buckets/source/collections/c/records/r8")
            .json(changed)
            .send()
            .await
            .expect(200);
        assert_eq!(get("_expected=0").await, whole, "nothing is public before it is signed");
        sign(&house).await;
        let since = get(&format!("_expected=1&_since=%22{before}%22")).await;
        let mut ids: Vec<(&str, bool)> = since["changes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|change| (change["id"].as_str().unwrap(), change["deleted"] == true))
            .collect();
        ids.sort_unstable();
        assert_eq!(ids, [("r7", true), ("r8", false)]);
        assert_eq!(get("_expected=1").await["changes"].as_array().unwrap().len(), 29);
        assert_eq!(get("_expected=1&_limit=3").await["changes"].as_array().unwrap().len(), 3);
        house.close().await;
    }
}

#[tokio::test]
async fn a_changeset_is_sent_as_gzip_to_who_takes_it_and_may_be_kept_as_configured() {
    let house = House::with(CONFIG).await;
    published(&house, 30).await;
    let path = format!("{CHANGESET}?_expected=1");
    let plain = house.ask_as_nobody("GET", &path).send().await;
    assert!(plain.header("content-encoding").is_empty());
    assert_eq!(plain.header("cache-control"), "max-age=300");
    assert_eq!(plain.header("vary"), "Accept-Encoding");
    assert!(plain.header("last-modified").ends_with(" GMT") && plain.header("etag").is_empty());
    let small = house.ask_as_nobody("GET", &path).header("accept-encoding", "gzip, deflate").send().await;
    assert_eq!(small.header("content-encoding"), "gzip");
    assert!(small.body.len() < plain.body.len());
    assert_eq!(gunzip(&small.body), plain.body);
    let impatient = house.ask_as_nobody("GET", &format!("{CHANGESET}?_expected=9999")).send().await;
    assert_eq!(impatient.header("cache-control"), "max-age=5");
    let known = house.ask("GET", &path).send().await;
    assert_eq!(known.header("cache-control"), "no-cache, no-store");
    let head = house.ask_as_nobody("HEAD", &path).send().await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    let list = house.ask_as_nobody("GET", "/v1/buckets/destination/collections/c/records").send().await;
    assert_eq!(list.header("cache-control"), "max-age=300");
    house.close().await;
}

#[tokio::test]
async fn the_monitor_says_what_changed_and_sends_old_questions_elsewhere() {
    let house = House::with(CONFIG).await;
    published(&house, 1).await;
    let get = async |path: &str| house.ask_as_nobody("GET", path).header("host", "h:1").send().await;
    let answer = get(&format!("{MONITOR}?_expected=1")).await;
    assert_eq!(answer.header("cache-control"), "max-age=5");
    let monitor = answer.expect(200);
    let changeset = get(&format!("{CHANGESET}?_expected=1")).await.expect(200);
    let entry = &monitor["changes"][0];
    assert_eq!((&entry["bucket"], &entry["collection"]), (&json!("destination"), &json!("c")));
    assert_eq!(
        (&entry["host"], &entry["last_modified"]),
        (&json!("127.0.0.1:18882"), &changeset["timestamp"])
    );
    let old = get(&format!("{MONITOR}?_expected=1&_since=%22123%22&bucket=a%26b")).await;
    assert_eq!(old.status, 307);
    assert_eq!(old.header("location"), format!("http://h:1{MONITOR}?_expected=1&bucket=a%26b"));
    assert_eq!(old.header("cache-control"), "max-age=86400");
    let quoted = get(&format!("{MONITOR}?_expected=%22123%22")).await;
    assert_eq!(
        (quoted.status.as_u16(), quoted.header("location")),
        (307, format!("http://h:1{MONITOR}?_expected=123").as_str())
    );
    let broadcasts = get("/v1/__broadcasts__").await.expect(200);
    let announced = broadcasts["broadcasts"]["remote-settings/monitor_changes"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(announced).unwrap(), monitor["timestamp"].to_string());
    let records = get("/v1/buckets/monitor/collections/changes/records").await;
    assert_eq!(records.header("etag"), announced);
    house.close().await;
}

#[tokio::test]
async fn who_may_not_read_a_collection_gets_no_changeset_of_it() {
    let house = House::with(CONFIG).await;
    published(&house, 1).await;
    let bob = house.somebody("bob", &[]).await;
    for collection in ["source/collections/c", "destination/collections/none", "nowhere/collections/c"] {
        let path = format!("/v1/buckets/{collection}/changeset?_expected=0");
        assert_eq!(house.ask_as_nobody("GET", &path).send().await.expect(401)["errno"], 104, "{path}");
        assert_eq!(house.ask_as(&bob, "GET", &path).send().await.expect(403)["errno"], 121, "{path}");
    }
    house.ask("GET", "/v1/buckets/source/collections/c/changeset?_expected=0").send().await.expect(200);
    let missing = house.ask("GET", "/v1/buckets/source/collections/none/changeset?_expected=0").send().await;
    missing.expect(404);
    house.close().await;
}

#[tokio::test]
async fn flush_empties_everything_where_it_is_configured_and_timestamps_only_grow() {
    for house in
        House::on_both(&format!("{}\n[collections]\nflush = true", "listen = \"127.0.0.1:18882\"")).await
    {
        let account = json!({"data": {"password": "secret"}});
        house.ask("PUT", "/v1/accounts/ana").json(account).send().await.expect(201);
        house.ask("PUT", "/v1/buckets/b").send().await.expect(201);
        house.ask("PUT", "/v1/buckets/b/collections/c").send().await.expect(201);
        house
            .ask("PUT", "/v1/buckets/b/collections/c/records/r")
            .json(json!({"data": {}}))
            .send()
            .await
            .expect(201);
        let etag =
            |answer: &crate::support::Answer| answer.header("etag").trim_matches('"').parse::<i64>().unwrap();
        let before = etag(&house.ask("GET", "/v1/buckets").send().await);
        let bob = house.somebody("bob", &[]).await;
        house.ask_as(&bob, "POST", "/v1/__flush__").send().await.expect(403);
        house.ask_as_nobody("POST", "/v1/__flush__").send().await.expect(401);
        assert_eq!(house.ask("POST", "/v1/__flush__").send().await.expect(202), json!({}));
        let buckets = house.ask("GET", "/v1/buckets?_since=0").send().await;
        assert!(etag(&buckets) >= before);
        assert_eq!(buckets.expect(200)["data"], json!([]));
        house.ask("GET", "/v1/accounts/ana").send().await.expect(404);
        let again = house.ask("PUT", "/v1/buckets/b").send().await;
        assert!(again.status == 201 && etag(&again) > before);
        let records = house.ask("GET", "/v1/buckets/b/collections/c/records").send().await;
        records.expect(404);
        house.close().await;
    }
}
