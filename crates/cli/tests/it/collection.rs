//! `countersign collection` against a real server: people who edit and review, and readers who believe nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use countersign_testkit::server::{Engine, TestServer};
use http::StatusCode;
use serde_json::{Value, json};

use crate::server::{countersign, text};

pub const CONFIGURATION: &str = r#"
[collections]
batch_max_requests = 200

[[collections.resource]]
source = "/buckets/staging"
preview = "/buckets/preview"
destination = "/buckets/prod"
review = true

[[collections.resource]]
source = "/buckets/source"
destination = "/buckets/destination"
review = false
"#;

/// A server, and a place for files.
pub struct Desk {
    pub server: TestServer,
    pub directory: tempfile::TempDir,
}

/// What a command said.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub error: String,
}

impl Said {
    #[track_caller]
    pub fn good(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.error);
        self.out
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}{}", self.out, self.error))
    }

    #[track_caller]
    pub fn is(&self, code: i32, words: &str) {
        assert_eq!(self.code, code, "{}{}", self.out, self.error);
        assert!(self.error.contains(words), "{}", self.error);
    }
}

impl Desk {
    pub async fn on(engine: Engine) -> Self {
        let program = assert_cmd::cargo::cargo_bin!("countersign");
        let server = TestServer::start_with(program, engine, CONFIGURATION).await.unwrap();
        Self { server, directory: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        std::fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    fn run(&self, place: &[&str], line: &str) -> Said {
        let words: Vec<&str> = line.split(' ').collect();
        let mut command = countersign(&[place, &words].concat());
        let Output { status, stdout, stderr } = command.current_dir(&self.directory).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Said { code: status.code().unwrap(), out: text(stdout), error: text(stderr) }
    }

    /// As the owner of the data directory.
    pub fn admin(&self, line: &str) -> Said {
        self.run(&["--data", text(self.server.data())], line)
    }

    /// As anybody on the network.
    pub fn anybody(&self, line: &str) -> Said {
        self.run(&["--server", &self.server.url], line)
    }

    /// As a principal who is made by this.
    fn person(&self, name: &str) -> impl Fn(&str) -> Said {
        self.admin(&format!("principal create {name} --role reader")).good();
        let token = text(&self.path(&format!("{name}.token"))).to_owned();
        self.admin(&format!("token create {name} -o {token}")).good();
        move |line| self.run(&["--server", &self.server.url, "--token-file", &token], line)
    }

    /// A request to `/v1` as `admin`, which must be good.
    pub async fn ask(&self, method: &str, path: &str, body: Value) -> Value {
        let request = self.server.anonymous(method, &format!("/v1{path}")).bearer_auth(&self.server.token);
        let answer =
            self.server.send(if body.is_null() { request } else { request.json(&body) }).await.unwrap();
        assert!(answer.status < 300, "{method} {path}: {answer:?}");
        answer.json()
    }

    async fn put(&self, collection: &str, id: &str, data: Value) {
        let path = format!("/buckets/{}/records/{id}", collection.replace('/', "/collections/"));
        self.ask("PUT", &path, json!({ "data": data })).await;
    }

    async fn delete(&self, collection: &str, id: &str) {
        let path = format!("/buckets/{}/records/{id}", collection.replace('/', "/collections/"));
        self.ask("DELETE", &path, Value::Null).await;
    }

    /// A collection `destination/cats` with records, its root in `root.pem`, a copy of it in `copy.json`.
    async fn published(engine: Engine) -> Self {
        let desk = Self::on(engine).await;
        desk.admin("collection init source/cats").good();
        for id in ["a", "b", "c"] {
            desk.put("source/cats", id, json!({ "name": format!("é😀 {id}"), "n": 1 })).await;
        }
        desk.admin("collection sign source/cats").good();
        desk.write("root.pem", desk.admin("collection root").good());
        desk.anybody("collection verify destination/cats --root root.pem -o copy.json").good();
        desk
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_two_people_agreed_on_is_what_a_stranger_verifies() {
    for engine in Engine::ALL {
        let desk = Desk::on(engine).await;
        let (ana, bo) = (desk.person("ana"), desk.person("bo"));
        let said = desk.admin("collection init staging/cats --editor ana --reviewer bo").good();
        assert!(said.contains("review request staging/cats"), "{said}");
        // Once more is no change.
        let again = desk.admin("--json collection init staging/cats --editor ana --reviewer bo").json();
        assert_eq!((&again["created"], &again["reviewers"]), (&json!(false), &json!(["principal:bo"])));

        desk.put("staging/cats", "tom", json!({ "age": 3 })).await;
        desk.put("staging/cats", "kit", json!({ "age": 1 })).await;
        ana("collection review approve staging/cats").is(1, "Not in cats-reviewers group");
        bo("collection review approve staging/cats").is(1, "not under review");
        ana("collection review request staging/cats --comment two-cats").good();
        ana("collection review approve staging/cats").is(1, "hint: ");
        bo("collection review decline staging/cats --comment kit-is-older").good();
        let status = ana("--json collection status staging/cats").json();
        assert_eq!((&status["status"], &status["records"]), (&json!("work-in-progress"), &json!(2)));
        assert_eq!(status["last_reviewer_comment"], "kit-is-older");

        desk.put("staging/cats", "kit", json!({ "age": 2 })).await;
        ana("collection review request staging/cats").good();
        let seen = bo("--json collection diff staging/cats").json();
        assert_eq!(seen["added"]["kit"], json!({ "id": "kit", "age": 2 }));
        assert_eq!(bo("--json collection diff staging/cats --preview").json()["added"], json!({}));
        // What came after somebody looked is not approved with it.
        desk.put("staging/cats", "max", json!({ "age": 9 })).await;
        ana("collection review request staging/cats").good();
        let stale = format!("collection review approve staging/cats --seen {}", seen["state"]);
        bo(&stale).is(1, "modified meanwhile");
        let state = bo("--json collection status staging/cats").json()["state"].clone();
        let approved = bo(&format!("--json collection review approve staging/cats --seen {state}")).json();
        assert_eq!((&approved["status"], &approved["published"]), (&json!("signed"), &json!(3)));

        let root = desk.admin("--json collection root").json();
        desk.write("root.pem", root["pem"].as_str().unwrap());
        let by_hash = format!("root-sha256 {}", root["sha256"].as_str().unwrap());
        let url = format!("{}/v1/buckets/prod/collections/cats", desk.server.url);
        for line in [
            "collection verify prod/cats --root root.pem --name main".to_owned(),
            format!("collection verify {url} --{by_hash}"),
            format!("collection verify {url}/changeset?_expected=1 --root root.pem"),
        ] {
            let said = desk.anybody(&line).good();
            assert!(said.starts_with("valid: prod/cats, 3 records of 20"), "{said}");
        }
        let key = desk.admin("key show collections/main --pem").good();
        desk.write("key.pem", key);
        let document = desk.anybody("--json collection verify prod/cats --key key.pem").json();
        assert_eq!((&document["records"], &document["chain"]), (&json!(3), &json!([])));

        // What is not agreed on can be taken back.
        desk.delete("staging/cats", "tom").await;
        let removed = ana("--json collection diff staging/cats").json()["removed"].clone();
        assert_eq!(removed, json!(["tom"]));
        desk.admin("collection rollback staging/cats").good();
        assert!(ana("collection diff staging/cats").good().starts_with("0 added, 0 changed, 0 removed"));
        desk.admin("collection rollback staging/cats").is(1, "no work-in-progress");
        desk.admin("collection sign staging/cats --resign").good();
        desk.anybody("collection verify prod/cats --root root.pem").good();
        let all = desk.admin("collection status").good();
        assert!(all.contains("staging/cats  signed  3"), "{all}");
        desk.admin("collection status nothing").is(1, "not the source");
        desk.admin("collection init prod/cats").is(1, "not the source of a signed collection");
    }
}

/// Everything that is not what was signed, from a directory.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_believes_nothing_but_what_was_signed() {
    let desk = Desk::published(Engine::Sqlite).await;
    desk.anybody("collection export destination/cats out").good();
    desk.anybody("collection verify --offline out --root root.pem").good();
    desk.write("other.pem", {
        desk.admin("key create other --type p384").good();
        desk.admin("cert self-sign --key other --subject /CN=other --days 9 --authority -o self.pem").good();
        std::fs::read(desk.path("self.pem")).unwrap()
    });
    let good = std::fs::read_to_string(desk.path("out/changeset.json")).unwrap();
    let offline = |changed: &str, options: &str| {
        desk.write("out/changed.json", changed);
        desk.anybody(&format!("collection verify --offline out/changed.json {options}"))
    };
    let edited = |edit: &dyn Fn(&mut Value)| {
        let mut document: Value = serde_json::from_str(&good).unwrap();
        edit(&mut document);
        offline(&document.to_string(), "--root root.pem")
    };
    edited(&|_| {}).good();
    let not_valid = "signature is not valid";
    edited(&|d| d["changes"][0]["n"] = json!(2)).is(1, not_valid);
    edited(&|d| drop(d["changes"].as_array_mut().unwrap().pop())).is(1, not_valid);
    edited(&|d| d["timestamp"] = json!(d["timestamp"].as_i64().unwrap() + 1)).is(1, not_valid);
    edited(&|d| {
        let extra = json!({ "id": "z", "last_modified": 1 });
        d["changes"].as_array_mut().unwrap().push(extra);
    })
    .is(1, not_valid);
    edited(&|d| d["metadata"] = json!({ "id": "cats" })).is(1, "no well-formed signature");
    edited(&|d| {
        let twice = d["changes"][0].clone();
        d["changes"].as_array_mut().unwrap().push(twice);
    })
    .is(1, "twice");
    offline(&good[..good.len() / 2], "--root root.pem").is(1, "not a changeset");

    for (options, code, words) in [
        ("--root other.pem", 1, "is not one that is trusted"),
        ("--root root.pem --name other", 1, "not the expected name"),
        ("--root root.pem --now 2037-01-01T00:00:00Z", 1, "expired"),
        ("--root root.pem --now 2020-01-01T00:00:00Z", 1, "not valid before"),
        ("--key other.pem", 1, not_valid),
        ("--root nothing.pem", 2, "nothing.pem"),
        ("--root out/changeset.json", 2, "is not a certificate"),
    ] {
        offline(&good, options).is(code, words);
    }
    let refused = desk.anybody("--json collection verify --offline out/changeset.json --root other.pem");
    assert_eq!((refused.code, &refused.json()["valid"]), (1, &json!(false)));
    // Without the chain nobody can tell.
    std::fs::remove_dir_all(desk.path("out/chains")).unwrap();
    desk.anybody("collection verify --offline out --root root.pem")
        .is(2, "chain of certificates cannot be had");
    desk.anybody("collection verify destination/nothing --root root.pem").is(1, "");
    desk.anybody("collection verify http://127.0.0.1:1/v1/buckets/a/collections/b --root root.pem")
        .is(2, "no answer");
}

/// What a liar between the server and its readers says, by path and query.
#[derive(Clone, Default)]
struct Liar {
    says: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Liar {
    async fn start(&self) -> String {
        let liar = self.clone();
        let answer = move |request: Request| {
            let liar = liar.clone();
            async move {
                let asked = request.uri().to_string();
                liar.asked.lock().unwrap().push(asked.clone());
                let says = liar.says.lock().unwrap();
                let found = says.iter().find(|(beginning, _)| asked.starts_with(*beginning));
                match found {
                    Some((_, body)) => (StatusCode::OK, body.clone()),
                    None => (StatusCode::NOT_FOUND, Vec::new()),
                }
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        format!("http://{address}/v1{CATS}")
    }

    fn say(&self, beginning: &str, document: &Value) {
        let body = document.to_string().into_bytes();
        self.says.lock().unwrap().insert(format!("/v1{CATS}/changeset?_expected={beginning}"), body);
    }
}

const CATS: &str = "/buckets/destination/collections/cats";

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_kept_up_to_date_and_made_anew_when_it_is_not_what_was_signed() {
    let desk = Desk::published(Engine::Sqlite).await;
    let old = std::fs::read(desk.path("copy.json")).unwrap();
    desk.delete("source/cats", "b").await;
    desk.put("source/cats", "a", json!({ "name": "other" })).await;
    desk.admin("collection sign source/cats").good();

    let update = "--json collection verify destination/cats --root root.pem --since copy.json -o copy.json";
    let read = desk.anybody(update).json();
    assert_eq!((&read["records"], &read["fetched_again_because"]), (&json!(2), &Value::Null));
    let copy: Value = serde_json::from_slice(&std::fs::read(desk.path("copy.json")).unwrap()).unwrap();
    assert_eq!(copy["changes"].as_array().unwrap().len(), 2);
    desk.anybody("collection verify --offline copy.json --key key.pem").is(2, "key.pem");

    // Somebody in between hides that a record was deleted.
    let document = async |query: &str| {
        desk.ask("GET", &format!("{CATS}/changeset?_expected=0{query}"), Value::Null).await
    };
    let (whole, since) = (
        document("").await,
        document(&format!("&_since={}", serde_json::from_slice::<Value>(&old).unwrap()["timestamp"])).await,
    );
    let mut hidden = since.clone();
    hidden["changes"].as_array_mut().unwrap().retain(|change| change["deleted"] != true);
    assert_eq!(hidden["changes"].as_array().unwrap().len(), 1);
    let liar = Liar::default();
    let url = liar.start().await;
    liar.say("0&_since", &hidden);
    liar.say("9999", &whole);
    let x5u = whole["metadata"]["signature"]["x5u"].as_str().unwrap();
    let chain = x5u.get(x5u.find("/chains/").unwrap()..).unwrap().to_owned();
    let pem = desk.server.send(desk.server.anonymous("GET", &chain)).await.unwrap().body;
    liar.says.lock().unwrap().insert(chain, pem);
    desk.write("old.json", &old);
    let verify = format!("--json collection verify {url} --root root.pem --since old.json");
    let read = desk.anybody(&verify).json();
    assert_eq!((&read["valid"], &read["records"]), (&json!(true), &json!(2)));
    let why = read["fetched_again_because"].as_str().unwrap();
    assert!(why.contains("signature is not valid"), "{why}");

    // Whoever always lies is not believed; and an older state that was good once is not new.
    liar.say("9999", &hidden);
    desk.anybody(&verify).is(1, "signature is not valid");
    let older: Value = serde_json::from_slice(&old).unwrap();
    let newest = format!("collection verify {url} --root root.pem --since copy.json");
    liar.say("0&_since", &older);
    liar.say("9999", &older);
    desk.anybody(&newest).is(1, "went backwards");
    let asked = liar.asked.lock().unwrap().clone();
    assert!(asked.iter().all(|path| path.contains("/chains/") || path.contains("_expected=")), "{asked:?}");
}

/// A directory of files behind any web server is enough.
#[tokio::test(flavor = "multi_thread")]
async fn published_files_are_verified_without_the_server() {
    let desk = Desk::published(Engine::Sqlite).await;
    let file = desk.server.data().join("files/collections/destination/cats/changeset.json");
    let newest = || -> Option<Value> { serde_json::from_slice(&std::fs::read(&file).ok()?).ok() };
    let begun = std::time::Instant::now();
    while newest().is_none_or(|found| found["changes"].as_array().unwrap().len() < 3) {
        assert!(begun.elapsed().as_secs() < 20, "no file");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    desk.admin("key show collections/main --pem").good();
    desk.write("key.pem", desk.admin("key show collections/main --pem").good());
    let liar = Liar::default();
    let url = liar.start().await;
    let host = url.split("/v1").next().unwrap();
    liar.says.lock().unwrap().insert("/cdn/".into(), std::fs::read(&file).unwrap());
    desk.anybody(&format!("collection verify {host}/cdn/changeset.json --key key.pem")).good();
    offline_file(&desk, &file);
}

fn offline_file(desk: &Desk, file: &Path) {
    desk.anybody(&format!("collection verify --offline {} --key key.pem", text(file))).good();
}
