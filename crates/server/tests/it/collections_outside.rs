//! Collections and the outside: an Autograph that is the surface of a second server, receivers of webhooks, and
//! readers who fetch certificate chains. All over sockets.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use countersign_core::SealSource;
use countersign_core::collections::chain;
use countersign_core::collections::outside::{
    HttpAnswer, HttpClient as _, HttpError, HttpMethod, HttpRequest,
};
use countersign_model::{PublicKey, pem};
use countersign_pki::chain::Chain;
use countersign_server::auth::Peer;
use countersign_server::outside::Outside;
use countersign_verify::collection::{Changeset, LocalCopy, Trust, verify};
use http::StatusCode;
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::support::House;

const SOURCE: &str = "/v1/buckets/source/collections/c";
const PUBLISHED: &str = "/v1/buckets/destination/collections/c";

/// A second server, with a key and a client for it.
struct Autograph {
    house: House,
    url: String,
    id: String,
    serving: JoinHandle<()>,
    dir: tempfile::TempDir,
}

impl Autograph {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let config = format!("listen = \"{address}\"\n[collections]\nchain_keys = [\"remote-settings\"]");
        let house = House::with(&config).await;
        house.key("remote-settings", "p384").await;
        house.key("plain", "p384").await;
        chain::renew(&house.app.ctx, Timestamp::now()).await.unwrap();
        house.somebody("kinto", &["signer"]).await;
        let pair = house.ask("POST", "/countersign/v1/principals/kinto/hawk").json(json!({}));
        let pair = pair.send().await.expect(201);
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("secret"), pair["secret"].as_str().unwrap()).unwrap();
        let router = house.front.clone().into_router(Peer::Network);
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let id = pair["id"].as_str().unwrap().to_owned();
        Self { house, url: format!("http://{address}"), id, serving, dir }
    }

    /// The configuration of a server whose collections it signs.
    fn config(&self, profile: &str, key_ids: &str) -> String {
        let secret = self.dir.path().join("secret");
        format!(
            "[[collections.resource]]\nsource = \"/buckets/source\"\ndestination = \"/buckets/destination\"\n\
             review = false\nbackend = \"autograph\"\nprofile = \"{profile}\"\n\
             [collections.resource.autograph]\nurl = \"{}\"\nid = \"{}\"\nsecret_file = \"{}\"\n\
             key_ids = [{key_ids}]\n",
            self.url,
            self.id,
            secret.display()
        )
    }

    async fn key(&self, name: &str) -> PublicKey {
        let document =
            self.house.ask("GET", &format!("/countersign/v1/keys/{name}")).send().await.expect(200);
        PublicKey::from_pem(document["public_key"].as_str().unwrap()).unwrap()
    }
}

async fn write(house: &House, method: &str, path: &str, data: Value) -> crate::support::Answer {
    house.ask(method, path).json(json!({ "data": data })).send().await
}

/// A collection with a record, about to be signed.
async fn prepare(house: &House) {
    for (path, data) in [
        ("/v1/buckets/source", json!({})),
        (SOURCE, json!({})),
        (
            &format!("{SOURCE}/records/aaaaaaaa-0000-4000-8000-000000000000"),
            json!({"t": "é😀", "n": 9_007_199_254_740_993_u64}),
        ),
    ] {
        write(house, "PUT", path, data).await.expect(201);
    }
}

async fn changeset(house: &House) -> Value {
    let path = format!("{PUBLISHED}/changeset?_expected=0");
    house.ask_as_nobody("GET", &path).send().await.expect(200)
}

/// What a reader of the changeset makes of it.
async fn read(changeset: &Value, trust: &Trust) -> Result<usize, String> {
    let bytes = changeset.to_string();
    let changeset = Changeset::parse(bytes.as_bytes()).unwrap();
    let bundles = changeset.bundles().unwrap();
    let mut chains = BTreeMap::new();
    for x5u in bundles.iter().filter_map(|bundle| bundle.x5u()) {
        let answer = reqwest::get(x5u).await.unwrap().error_for_status().unwrap();
        chains.insert(x5u.to_owned(), answer.text().await.unwrap());
    }
    let mut copy = LocalCopy::new();
    copy.apply(changeset).unwrap();
    let verdict = verify(&bundles, &copy, &chains, trust, Timestamp::now());
    verdict.map(|verdict| verdict.bundle).map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_autograph_of_a_second_server_signs_and_readers_with_its_root_believe_it() {
    let autograph = Autograph::start().await;
    for house in
        House::on_both(&autograph.config("content-signature", "\"remote-settings\", \"plain\"")).await
    {
        prepare(&house).await;
        write(&house, "PATCH", SOURCE, json!({"status": "to-sign"})).await.expect(200);
        let changeset = changeset(&house).await;
        let bundles = changeset["metadata"]["signatures"].as_array().unwrap();
        assert_eq!(bundles.len(), 2);
        assert_eq!(
            (&bundles[0]["type"], &bundles[1]["type"]),
            (&json!("contentsignaturepki"), &json!("contentsignature"))
        );
        assert!(bundles[0]["x5u"].as_str().unwrap().starts_with(&autograph.url));

        let root = reqwest::get(format!("{}/chains/root.pem", autograph.url)).await.unwrap();
        let root = Chain::from_pem(&root.text().await.unwrap()).unwrap().root_hash();
        let by_root = Trust { root_hashes: vec![root], ..Trust::default() };
        assert_eq!(read(&changeset, &by_root).await, Ok(0));
        let by_key = Trust { keys: vec![autograph.key("plain").await], ..Trust::default() };
        assert_eq!(read(&changeset, &by_key).await, Ok(1));
        let other = Trust { root_hashes: vec![[7; 32]], ..Trust::default() };
        assert!(read(&changeset, &other).await.is_err());
        let mut forged = changeset.clone();
        forged["changes"][0]["n"] = json!(1);
        assert!(read(&forged, &by_root).await.is_err());

        let heartbeat = house.ask_as_nobody("GET", "/v1/__heartbeat__").send().await.expect(200);
        assert_eq!(heartbeat["signer"], true);
        let chain = reqwest::get(bundles[0]["x5u"].as_str().unwrap()).await.unwrap();
        let chain = Chain::from_pem(&chain.text().await.unwrap()).unwrap();
        let metrics = house.ask("GET", "/metrics").send().await.text();
        for (element, certificate) in ["leaf", "intermediate", "root"].into_iter().zip(chain.certificates()) {
            let line = format!(
                "countersign_chain_not_after_seconds{{key=\"autograph:remote-settings\",element=\"{element}\"}} {}\n",
                certificate.not_after().as_second()
            );
            assert!(metrics.contains(&line), "{line}{metrics}");
        }
        assert!(!metrics.contains("autograph:plain"), "it has no chain\n{metrics}");
        house.close().await;
    }
    autograph.serving.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_and_the_root_of_an_autograph_are_those_that_are_pinned_or_it_is_not_believed() {
    let autograph = Autograph::start().await;
    let chain = reqwest::get(format!("{}/chains/root.pem", autograph.url)).await.unwrap();
    let root = hex::encode(Chain::from_pem(&chain.text().await.unwrap()).unwrap().root_hash());
    for name in ["remote-settings", "plain"] {
        let file = autograph.dir.path().join(name);
        std::fs::write(file, pem::encode("PUBLIC KEY", autograph.key(name).await.spki())).unwrap();
    }
    let file = |name: &str| autograph.dir.path().join(name).display().to_string();
    for (pins, believed) in [
        (format!("root_sha256 = [\"{root}\"]"), true),
        (format!("root_sha256 = [\"{}\"]", "07".repeat(32)), false),
        (format!("public_keys = [\"{}\"]", file("remote-settings")), true),
        (format!("public_keys = [\"{}\"]", file("plain")), false),
        (format!("root_sha256 = [\"{root}\"]\npublic_keys = [\"{}\"]", file("plain")), false),
    ] {
        let config = autograph.config("content-signature", "\"remote-settings\"");
        let house = House::with(&format!("{config}{pins}\n")).await;
        let heartbeat = house.ask_as_nobody("GET", "/v1/__heartbeat__").send().await;
        assert_eq!(heartbeat.status == 200, believed, "{pins}");
        house.close().await;
    }
    // A key without a chain, where a root is wanted.
    let config = autograph.config("content-signature", "\"plain\"");
    let house = House::with(&format!("{config}root_sha256 = [\"{root}\"]\n")).await;
    house.ask_as_nobody("GET", "/v1/__heartbeat__").send().await.expect(503);
    house.close().await;
    autograph.serving.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_can_be_its_own_autograph() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (data, secrets) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let secret = secrets.path().join("secret");
    // The pair is made before the configuration names it.
    let house = House::over(data.path(), "", SealSource::File, None).await;
    house.key("mine", "p384").await;
    house.somebody("kinto", &["signer"]).await;
    let pair = house.ask("POST", "/countersign/v1/principals/kinto/hawk").json(json!({}));
    let pair = pair.send().await.expect(201);
    std::fs::write(&secret, pair["secret"].as_str().unwrap()).unwrap();
    house.close().await;

    let config = format!(
        "[[collections.resource]]\nsource = \"/buckets/source\"\npreview = \"/buckets/preview\"\n\
         destination = \"/buckets/destination\"\nreview = false\nbackend = \"autograph\"\n\
         [collections.resource.autograph]\nurl = \"{url}\"\nid = \"{}\"\nsecret_file = \"{}\"\n\
         key_ids = [\"mine\"]\n",
        pair["id"].as_str().unwrap(),
        secret.display()
    );
    let house = House::over(data.path(), &config, SealSource::File, None).await;
    let router = house.front.clone().into_router(Peer::Network);
    let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    prepare(&house).await;
    write(&house, "PATCH", SOURCE, json!({"status": "to-sign"})).await.expect(200);
    let document = house.ask("GET", "/countersign/v1/keys/mine").send().await.expect(200);
    let key = PublicKey::from_pem(document["public_key"].as_str().unwrap()).unwrap();
    let trust = Trust { keys: vec![key], ..Trust::default() };
    assert_eq!(read(&changeset(&house).await, &trust).await, Ok(0));
    serving.abort();
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_autograph_of_a_second_server_signs_as_readers_of_2016_have_it() {
    let autograph = Autograph::start().await;
    let house = House::with(&autograph.config("seed", "\"plain\"")).await;
    prepare(&house).await;
    write(&house, "PATCH", SOURCE, json!({"status": "to-sign"})).await.expect(200);
    let changeset = changeset(&house).await;
    assert_eq!(changeset["metadata"]["signature"]["signature_encoding"], "rs_base64url");
    let trust = Trust { keys: vec![autograph.key("plain").await], ..Trust::default() };
    assert_eq!(read(&changeset, &trust).await, Ok(0));
    autograph.serving.abort();
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_autograph_a_server_says_503_and_leaves_everything_as_it_was() {
    let autograph = Autograph::start().await;
    let house = House::with(&autograph.config("content-signature", "\"plain\"")).await;
    prepare(&house).await;
    let before = changeset(&house).await;
    // A key that the client may not use, or that is not there.
    let unknown = House::with(&autograph.config("content-signature", "\"other\"")).await;
    write(&unknown, "PUT", "/v1/buckets/source", json!({})).await.expect(201);
    write(&unknown, "PUT", SOURCE, json!({})).await.expect(503);

    autograph.serving.abort();
    let _ = autograph.serving.await;
    let refused = write(&house, "PATCH", SOURCE, json!({"status": "to-sign"})).await;
    let body = refused.expect(503);
    assert_eq!((&body["errno"], refused.header("retry-after").is_empty()), (&json!(201), false));
    let source = house.ask("GET", SOURCE).send().await.expect(200);
    assert_eq!(source["data"]["status"], "work-in-progress");
    assert_eq!(changeset(&house).await, before);
    let heartbeat = house.ask_as_nobody("GET", "/v1/__heartbeat__").send().await.expect(503);
    assert_eq!(heartbeat["signer"], false);
    let metrics = house.ask("GET", "/metrics").send().await.text();
    assert!(
        metrics.contains(&format!("countersign_autograph_circuit{{url=\"{}\"}} 2", autograph.url)),
        "{metrics}"
    );
    for house in [house, unknown] {
        house.close().await;
    }
}

const LOCAL: &str = "[[collections.resource]]\nsource = \"/buckets/source\"\ndestination = \"/buckets/destination\"\nreview = false\n";

#[tokio::test]
async fn chains_are_for_everybody_and_for_ever_and_their_ends_are_told() {
    let house = House::with(&format!("public_url = \"https://sign.example\"\n{LOCAL}")).await;
    prepare(&house).await;
    let changeset = changeset(&house).await;
    let x5u = changeset["metadata"]["signature"]["x5u"].as_str().unwrap().to_owned();
    let path = x5u.strip_prefix("https://sign.example").unwrap();
    let chain = house.ask_as_nobody("GET", path).send().await;
    assert_eq!(chain.status, 200);
    assert_eq!(chain.header("content-type"), "application/x-pem-file");
    assert_eq!(chain.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(chain.header("access-control-allow-origin"), "*");
    let parsed = Chain::from_pem(&chain.text()).unwrap();
    let root = house.ask_as_nobody("GET", "/chains/root.pem").send().await;
    assert_eq!(root.header("cache-control"), "public, max-age=300");
    assert_eq!(root.text(), parsed.root().to_pem());
    for path in
        ["/chains/x.pem", "/chains/", &path.replace(".pem", ""), &path.to_uppercase(), "/chains/%ff.pem"]
    {
        assert_eq!(house.ask_as_nobody("GET", path).send().await.status, 404, "{path}");
    }
    let metrics = house.ask("GET", "/metrics").send().await.text();
    for (element, certificate) in ["leaf", "intermediate", "root"].into_iter().zip(parsed.certificates()) {
        let end = certificate.not_after().as_second();
        let line = format!(
            "countersign_chain_not_after_seconds{{key=\"collections/main\",element=\"{element}\"}} {end}\n"
        );
        assert!(metrics.contains(&line), "{line}{metrics}");
    }
    house.close().await;
}

/// A receiver of webhooks.
#[derive(Clone, Default)]
struct Receiver {
    posted: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Receiver {
    async fn start() -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let receiver = Self::default();
        let router = Router::new().fallback(receive).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (receiver, address)
    }

    async fn wait(&self, count: usize) -> Vec<(String, Value)> {
        for _ in 0..400 {
            let posted = self.posted.lock().unwrap().clone();
            if posted.len() >= count {
                return posted;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("nothing was posted");
    }
}

async fn receive(State(receiver): State<Receiver>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let body: Value = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
    receiver.posted.lock().unwrap().push((path.clone(), body));
    if path == "/elsewhere" {
        return (StatusCode::FOUND, [("location", "/redirected")]).into_response();
    }
    StatusCode::NO_CONTENT.into_response()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_is_posted_and_a_redirect_is_not_followed() {
    let (receiver, address) = Receiver::start().await;
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret");
    std::fs::write(&secret, "s3cret").unwrap();
    let hook = |path: &str| {
        format!(
            "[[collections.webhook]]\nurl = \"http://{address}{path}\"\nsecret_file = \"{}\"\n",
            secret.display()
        )
    };
    for house in House::on_both(&format!("{LOCAL}{}{}", hook("/good"), hook("/elsewhere"))).await {
        prepare(&house).await;
        write(&house, "PATCH", SOURCE, json!({"status": "to-sign"})).await.expect(200);
        let mut posted = receiver.wait(2).await;
        posted.sort_by(|a, b| a.0.cmp(&b.0));
        let paths: Vec<&str> = posted.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["/elsewhere", "/good"]);
        let (_, body) = &posted[1];
        assert_eq!(
            (&body["event"], &body["bucket"], &body["user"]),
            (&json!("ReviewApproved"), &json!("source"), &json!("principal:admin"))
        );
        house.close().await;
        receiver.posted.lock().unwrap().clear();
    }
}

async fn get(url: String) -> Result<HttpAnswer, HttpError> {
    let request = HttpRequest {
        method: HttpMethod::Get,
        url,
        headers: Vec::new(),
        body: Default::default(),
        timeout: Duration::from_millis(300),
        longest: 1000,
    };
    Outside::new().unwrap().send(request).await
}

#[tokio::test]
async fn what_is_read_of_others_is_bounded_in_time_and_length() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new()
        .route("/short", axum::routing::get(|| async { "x".repeat(1000) }))
        .route("/long", axum::routing::get(|| async { "x".repeat(1001) }))
        .route("/silent", axum::routing::get(std::future::pending::<()>));
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let short = get(format!("{url}/short")).await.unwrap();
    assert_eq!((short.status, short.body.len()), (200, 1000));
    assert!(matches!(get(format!("{url}/long")).await, Err(HttpError::TooLong { longest: 1000 })));
    assert!(matches!(get(format!("{url}/silent")).await, Err(HttpError::TimedOut)));
    serving.abort();
    let _ = serving.await;
    assert!(matches!(get(format!("{url}/short")).await, Err(HttpError::Connect(_))));
}
