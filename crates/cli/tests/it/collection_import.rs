//! `countersign collection import`: from a Kinto of PyPI, and from a server of ours, which speaks the same.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use countersign_testkit::server::Engine;
use serde_json::{Value, json};

use crate::collection::Desk;
use crate::server::{countersign, text};

/// A Kinto with its data in memory.
struct Kinto {
    child: Child,
    url: String,
    client: reqwest::Client,
    _directory: tempfile::TempDir,
}

const AUTH: (&str, &str) = ("ana", "secret");

impl Kinto {
    async fn start() -> Self {
        let program: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../kinto-venv/bin/kinto");
        assert!(program.exists(), "scripts/install-test-tools installs Kinto");
        let directory = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let ini = directory.path().join("kinto.ini");
        std::fs::write(
            &ini,
            format!(
                "[server:main]\nuse = egg:waitress\nhost = 127.0.0.1\nport = {port}\n\
                 [app:main]\nuse = egg:kinto\nkinto.userid_hmac_secret = abc\n\
                 kinto.storage_backend = kinto.core.storage.memory\n\
                 kinto.cache_backend = kinto.core.cache.memory\n\
                 kinto.permission_backend = kinto.core.permission.memory\n\
                 multiauth.policies = basicauth\nkinto.paginate_by = 70\n"
            ),
        )
        .unwrap();
        let child = Command::new(program)
            .args(["start", "--ini", text(&ini)])
            .current_dir(&directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let kinto = Self {
            child,
            url: format!("http://127.0.0.1:{port}/v1"),
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            _directory: directory,
        };
        let begun = Instant::now();
        while kinto.client.get(format!("{}/", kinto.url)).send().await.is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "Kinto does not start");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        kinto
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> Value {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.client.request(method, format!("{}{path}", self.url));
        let request = request.basic_auth(AUTH.0, Some(AUTH.1));
        let request = if body.is_null() { request } else { request.json(&body) };
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
        answer.json().await.unwrap()
    }
}

impl Drop for Kinto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const CATS: &str = "/buckets/staging/collections/cats";

/// A bucket as somebody may have it after some years.
async fn fill(kinto: &Kinto) {
    let everyone = json!({ "read": ["system.Everyone"] });
    kinto.ask("PUT", "/buckets/staging", json!({ "data": { "note": "é" }, "permissions": everyone })).await;
    let members = json!({ "data": { "members": ["basicauth:1a", "basicauth:2b"], "why": "they edit" } });
    kinto.ask("PUT", "/buckets/staging/groups/cats-editors", members).await;
    let collection = json!({
        "data": {
            "sort": "-age", "flags": ["startup"], "status": "signed", "last_edit_by": "somebody",
            "signature": { "signature": "old", "x5u": "" },
        },
        "permissions": { "write": ["/buckets/staging/groups/cats-editors"] },
    });
    kinto.ask("PUT", CATS, collection).await;
    kinto.ask("PUT", "/buckets/staging/collections/empty", json!({})).await;
    for begin in (0..150).step_by(25) {
        let put = |i: usize| {
            let data = json!({ "age": i, "name": format!("cat é😀\u{2028} {i}"), "big": 9_007_199_254_740_993_u64, "deep": [1, null, { "a": true }] });
            json!({ "method": "PUT", "path": format!("{CATS}/records/cat-{i}"), "body": { "data": data } })
        };
        let requests: Vec<Value> = (begin..begin + 25).map(put).collect();
        kinto.ask("POST", "/batch", json!({ "requests": requests })).await;
    }
    kinto.ask("DELETE", &format!("{CATS}/records/cat-8"), Value::Null).await;
    let file = json!({ "location": "staging/cats/x.bin", "filename": "x.bin", "mimetype": "a/b", "size": 3, "hash": "00" });
    let data = json!({ "data": { "age": 1, "attachment": file } });
    kinto.ask("PUT", &format!("{CATS}/records/with-file"), data).await;
    let readers = json!({ "permissions": { "read": ["basicauth:1a", "basicauth:2b"] } });
    kinto.ask("PATCH", &format!("{CATS}/records/cat-5"), readers).await;
    // Older than the schema that comes now, which it does not fit.
    let schema =
        json!({ "type": "object", "required": ["age"], "properties": { "age": { "type": "integer" } } });
    kinto.ask("PUT", &format!("{CATS}/records/odd"), json!({ "data": { "file": 1 } })).await;
    kinto.ask("PATCH", CATS, json!({ "data": { "schema": schema } })).await;
    kinto.ask("PATCH", &format!("{CATS}/records/cat-7"), json!({ "data": { "age": 700 } })).await;
}

/// Records with tombstones, by id.
fn by_id(list: &Value) -> std::collections::BTreeMap<String, Value> {
    let said = |record: &Value| {
        let mut record = record.clone();
        record.as_object_mut().unwrap().remove("schema");
        record
    };
    let records = list["data"].as_array().unwrap().iter();
    records.map(|record| (record["id"].as_str().unwrap().to_owned(), said(record))).collect()
}

/// All records of the old server, which gives no more than 70 at once.
async fn all_of(kinto: &Kinto) -> std::collections::BTreeMap<String, Value> {
    let mut all = std::collections::BTreeMap::new();
    let mut since = json!(0);
    loop {
        let path = format!("{CATS}/records?_sort=last_modified&_since={since}");
        let page = kinto.ask("GET", &path, Value::Null).await;
        let Some(last) = page["data"].as_array().unwrap().last() else { return all };
        since = last["last_modified"].clone();
        all.extend(by_id(&page));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_of_a_real_kinto_moves_with_its_timestamps_and_is_published_and_verified() {
    let kinto = Kinto::start().await;
    fill(&kinto).await;
    for (turn, engine) in Engine::ALL.into_iter().enumerate() {
        let desk = Desk::on(engine).await;
        desk.write("auth", "ana:secret\n");
        desk.write("map", "basicauth:1a principal:ana\nbasicauth:2b -   # left long ago\n");
        let line = format!("collection import {} staging --auth-file auth --map map", kinto.url);
        let tried = desk.admin(&format!("--json {line} --dry-run")).json();
        assert_eq!(tried["collections"]["cats"]["records"], 151);
        assert_eq!(tried["left_out"].as_array().unwrap().len(), 1, "{tried}");
        assert!(!desk.path("countersign-import-staging.json").exists());
        desk.admin("collection status staging").good();

        let report = desk.admin(&format!("--json {line}")).json();
        let cats = &report["collections"]["cats"];
        assert_eq!((&cats["written"], &cats["deleted"]), (&json!(151), &json!(1)), "{report}");
        assert_eq!(cats["attachments"], 1);
        assert_eq!((&report["same"], &cats["compared"]["other_time"]), (&json!(true), &json!(0)));
        desk.admin(&line).is(2, "--resume");

        // Everything is there, with its times and the trace of what was deleted.
        let list = format!("{CATS}/records?_since=0&_limit=1000");
        let here = by_id(&desk.ask("GET", &list, Value::Null).await);
        let there = all_of(&kinto).await;
        assert_eq!(there.len(), 152);
        assert_eq!(here, there);
        let group = desk.ask("GET", "/buckets/staging/groups/cats-editors", Value::Null).await;
        assert_eq!(group["data"]["members"], json!(["principal:ana"]));
        let collection = desk.ask("GET", CATS, Value::Null).await;
        assert_eq!(collection["data"]["schema"]["required"], json!(["age"]));
        assert_eq!(collection["data"]["flags"], json!(["startup"]));
        assert_eq!(collection["data"]["status"], "work-in-progress");
        assert!(collection["data"].get("signature").is_none());

        // What changes meanwhile is fetched; what was changed here stays.
        kinto.ask("PATCH", &format!("{CATS}/records/cat-1"), json!({ "data": { "age": 1001 + turn } })).await;
        kinto.ask("DELETE", &format!("{CATS}/records/cat-2"), Value::Null).await;
        kinto.ask("PUT", &format!("{CATS}/records/cat-2"), json!({ "data": { "age": 2 } })).await;
        kinto.ask("DELETE", &format!("{CATS}/records/cat-3"), Value::Null).await;
        kinto.ask("PUT", &format!("{CATS}/records/cat-3"), json!({ "data": { "age": 3, "name": "cat é😀\u{2028} 3", "big": 9_007_199_254_740_993_u64, "deep": [1, null, { "a": true }] } })).await;
        let more = desk.admin(&format!("--json {line} --resume")).json();
        let cats = &more["collections"]["cats"];
        assert_eq!((&cats["written"], &more["same"]), (&json!(3), &json!(true)), "{more}");
        kinto.ask("PATCH", &format!("{CATS}/records/cat-4"), json!({ "data": { "age": 4004 } })).await;
        desk.ask("PATCH", &format!("{CATS}/records/cat-4"), json!({ "data": { "age": 5 } })).await;
        let kept = desk.admin(&format!("--json {line} --resume"));
        assert_eq!((kept.code, &kept.json()["collections"]["cats"]["changed_here"]), (1, &json!(1)));
        assert_eq!(kept.json()["collections"]["cats"]["compared"]["examples"], json!(["cat-4"]));
        kinto.ask("PATCH", &format!("{CATS}/records/cat-4"), json!({ "data": { "age": 4 } })).await;
        let again = desk.admin(&format!("--json {line} --resume")).json();
        assert_eq!(again["same"], true, "{again}");

        // Published, and verified by somebody who was not there.
        let source = format!(
            "collection import {} staging --auth-file auth --as source --state source.json --map map --record-permissions",
            kinto.url
        );
        desk.admin(&source).good();
        let record = desk.ask("GET", "/buckets/source/collections/cats/records/cat-5", Value::Null).await;
        assert_eq!(record["permissions"]["read"], json!(["principal:ana"]));
        let group = desk.ask("GET", "/buckets/source/collections/cats", Value::Null).await;
        let writers = group["permissions"]["write"].as_array().unwrap().clone();
        assert!(writers.contains(&json!("/buckets/source/groups/cats-editors")), "{writers:?}");
        desk.admin("collection sign source/cats").good();
        desk.write("root.pem", desk.admin("collection root").good());
        let said = desk.anybody("collection verify destination/cats --root root.pem").good();
        assert!(said.contains("151 records"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_was_killed_goes_on_and_ends_with_the_same_records() {
    let old = Desk::on(Engine::Sqlite).await;
    old.ask("PUT", "/buckets/staging", json!({})).await;
    old.ask("PUT", "/buckets/staging/collections/dogs", json!({})).await;
    for begin in (0..4000).step_by(200) {
        let put = |i: usize| {
            let path = format!("/buckets/staging/collections/dogs/records/dog-{i}");
            json!({ "method": "PUT", "path": path, "body": { "data": { "age": i } } })
        };
        let requests: Vec<Value> = (begin..begin + 200).map(put).collect();
        old.ask("POST", "/batch", json!({ "requests": requests })).await;
    }
    for engine in Engine::ALL {
        let desk = Desk::on(engine).await;
        desk.write("auth", format!("Bearer {}\n", old.server.token));
        let line = format!("collection import {} staging --auth-file auth --state state", old.server.url);
        let words: Vec<&str> = line.split(' ').collect();
        let mut killed = countersign(&[&["--data", text(desk.server.data())], &words[..]].concat())
            .current_dir(&desk.directory)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        let state = || std::fs::read_to_string(desk.path("state")).unwrap_or_default();
        while !state().contains("dogs") && killed.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < Duration::from_secs(60), "{}", state());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let _ = killed.kill();
        killed.wait().unwrap();
        // Half of a page may be here that the state does not know of.
        let report = desk.admin(&format!("--json {line} --resume")).json();
        let dogs = &report["collections"]["dogs"];
        assert_eq!((&report["same"], &dogs["compared"]["records"]), (&json!(true), &json!(4000)), "{report}");
        assert_eq!((&dogs["compared"]["other_time"], &dogs["changed_here"]), (&json!(0), &json!(0)));
        let other = format!("collection import {}x staging --state state --resume", old.server.url);
        desk.admin(&other).is(2, "is about bucket `staging`");
        let nobody = format!("collection import {} staging --state none", old.server.url);
        desk.admin(&nobody).is(1, "--auth-file");
    }
    old.admin(&format!("collection import {} nothing", old.server.url)).is(1, "hint: ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_with_a_copy_of_the_old_server_fetches_only_what_has_changed() {
    let kinto = Kinto::start().await;
    for bucket in ["source", "destination"] {
        let collection = format!("/buckets/{bucket}/collections/dogs");
        kinto.ask("PUT", &format!("/buckets/{bucket}"), json!({})).await;
        kinto.ask("PUT", &collection, json!({})).await;
        for i in 0..20 {
            let body = json!({ "data": { "n": i } });
            kinto.ask("PUT", &format!("{collection}/records/dog-{i}"), body).await;
        }
    }
    let desk = Desk::on(Engine::Sqlite).await;
    desk.write("auth", "ana:secret\n");
    // What a reader has of the old server.
    let records =
        kinto.ask("GET", "/buckets/destination/collections/dogs/records", Value::Null).await["data"].clone();
    let timestamp = records[0]["last_modified"].clone();
    let old = json!({ "metadata": { "id": "dogs" }, "timestamp": timestamp, "changes": records });
    desk.write("old.json", old.to_string());
    for bucket in ["source", "destination"] {
        let record = |id: &str| format!("/buckets/{bucket}/collections/dogs/records/{id}");
        kinto.ask("DELETE", &record("dog-3"), Value::Null).await;
        kinto.ask("PATCH", &record("dog-4"), json!({ "data": { "n": 44 } })).await;
    }
    for bucket in ["source", "destination"] {
        desk.admin(&format!("collection import {} {bucket} --auth-file auth", kinto.url)).good();
    }
    let same = desk.admin("collection diff source/dogs").good();
    assert!(same.starts_with("0 added, 0 changed, 0 removed"), "{same}");
    desk.admin("collection sign source/dogs").good();
    desk.write("root.pem", desk.admin("collection root").good());
    let verify = "--json collection verify destination/dogs --root root.pem --since old.json -o new.json";
    let read = desk.anybody(verify).json();
    assert_eq!((&read["valid"], &read["records"]), (&json!(true), &json!(19)));
    assert_eq!(read["fetched_again_because"], Value::Null);
    // Those that say the same still have their times.
    let new: Value = serde_json::from_slice(&std::fs::read(desk.path("new.json")).unwrap()).unwrap();
    let kept = |record: &&Value| old["changes"].as_array().unwrap().contains(record);
    assert_eq!(new["changes"].as_array().unwrap().iter().filter(kept).count(), 18);
}
