//! API keys of balenaCloud, against a stand-in that answers as that API does.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{Answer, House};

/// Which calls the API has.
#[derive(Clone, Copy, PartialEq)]
enum Api {
    /// `/v7/application(ID)` and `/actor/v1/whoami`.
    Current,
    /// `/v6/application?$filter=…` and `/user/v1/whoami`, as an older openBalena.
    Older,
    /// It has trouble of its own.
    Failing,
}

/// The API. It knows the fleet 7 and these keys:
///
/// - `may`: a user's that sees the fleet, `else`: one that does not; `device`: a device's of the fleet.
/// - `fresh`: a session, which it gives for [`old_session`].
#[derive(Clone)]
struct Cloud {
    api: Api,
    /// `PATH?QUERY KEY` of each call.
    calls: Arc<Mutex<Vec<String>>>,
    /// Calls that are not answered yet, and the most there were at a time.
    open: Arc<(AtomicUsize, AtomicUsize)>,
    url: String,
}

/// A session of 1970.
fn old_session() -> String {
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(r#"{"id":5,"iat":1000}"#))
}

impl Cloud {
    async fn start(api: Api) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/api", listener.local_addr().unwrap());
        let cloud = Self { api, calls: Arc::default(), open: Arc::default(), url };
        let router = Router::new().fallback(answer).with_state(cloud.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        cloud
    }

    /// A server that asks it.
    async fn house(&self) -> House {
        asking(&self.url).await
    }

    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }
}

async fn asking(url: &str) -> House {
    let config = format!("[appliance]\nauthenticator = \"balena-cloud\"\nfleet_id = 7\napi = \"{url}/\"");
    House::with(&config).await
}

async fn answer(State(cloud): State<Cloud>, request: Request) -> Response {
    let (now, most) = &*cloud.open;
    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(20)).await;
    now.fetch_sub(1, Ordering::SeqCst);
    let header = |name: &str| request.headers().get(name).map_or("", |value| value.to_str().unwrap());
    assert!(header("x-balena-client").starts_with("countersign/"));
    let key = header("authorization").strip_prefix("Bearer ").unwrap_or_default();
    let path = request.uri().path_and_query().unwrap().as_str().strip_prefix("/api").unwrap();
    cloud.calls.lock().unwrap().push(format!("{path} {key}"));
    if cloud.api == Api::Failing {
        return (StatusCode::BAD_GATEWAY, "<html>").into_response();
    }
    if path == "/whoami" && key == old_session() {
        return "fresh".into_response();
    }
    if !["may", "else", "device", "fresh"].contains(&key) {
        return (StatusCode::UNAUTHORIZED, "Unauthorized").into_response();
    }
    let has = |current: &str, older: &str| path == if cloud.api == Api::Current { current } else { older };
    if has("/v7/application(7)", "/v6/application?$filter=id%20eq%20%277%27") {
        let fleet = json!({"id": 7, "app_name": "fleet", "slug": "org/fleet", "is_archived": false});
        return axum::Json(json!({"d": if key == "else" { json!([]) } else { json!([fleet]) }}))
            .into_response();
    }
    if has("/actor/v1/whoami", "/user/v1/whoami") {
        let user = json!({"id": 5, "actorType": "user", "actorTypeId": 4, "username": "ana"});
        let device = json!({"id": 9, "actorType": "device", "actorTypeId": 8, "uuid": "ab".repeat(16)});
        return axum::Json(if key == "device" { device } else { user }).into_response();
    }
    (StatusCode::NOT_FOUND, "Not Found").into_response()
}

/// Asks for what is free of effects: which key, then whether it may.
async fn ask(house: &House, key: &str) -> Answer {
    let body = json!({"key_id": "none", "payload": "eA=="});
    house.ask_as_nobody("POST", "/kmod/sign").header("x-api-key", key).json(body).send().await
}

const GOOD: u16 = 404;

#[tokio::test]
async fn a_key_that_sees_the_fleet_is_good_and_is_asked_about_once_a_minute() {
    for api in [Api::Current, Api::Older] {
        let cloud = Cloud::start(api).await;
        let house = cloud.house().await;
        ask(&house, "may").await.expect(GOOD);
        let calls = cloud.calls();
        let fleet = match api {
            Api::Current => "/v7/application(7) may",
            _ => "/v6/application?$filter=id%20eq%20%277%27 may",
        };
        assert!(calls.iter().any(|call| call == fleet), "{calls:?}");
        ask(&house, "may").await.expect(GOOD);
        assert_eq!(cloud.calls(), Vec::<String>::new(), "it is remembered");
        ask(&house, "device").await.expect(GOOD);
        house.close().await;
    }
}

#[tokio::test]
async fn a_key_that_is_unknown_or_does_not_see_the_fleet_is_not_valid() {
    let cloud = Cloud::start(Api::Current).await;
    let house = cloud.house().await;
    for key in ["else", "unknown", &house.admin.clone()] {
        let refused = ask(&house, key).await.expect(401);
        assert_eq!(refused["detail"], "Provided apikey is not valid", "{key}");
        assert_eq!(cloud.calls().len(), 1, "who it is does not matter then");
        ask(&house, key).await.expect(401);
        assert_eq!(cloud.calls().len(), 0, "remembered for a while");
    }
    let none = house.ask_as_nobody("POST", "/kmod/sign").json(json!({})).send().await.expect(401);
    assert_eq!(none["detail"], "No authorization token provided");
    house.close().await;
}

#[tokio::test]
async fn of_many_requests_with_one_key_one_asks_and_many_keys_are_asked_about_a_few_at_a_time() {
    let cloud = Cloud::start(Api::Current).await;
    let house = cloud.house().await;
    let requests = (0..20).map(|_| ask(&house, "unknown"));
    for answer in futures_util::future::join_all(requests).await {
        answer.expect(401);
    }
    assert_eq!(cloud.calls().len(), 1);

    let keys: Vec<String> = (0..60).map(|number| format!("nobody-{number}")).collect();
    for answer in futures_util::future::join_all(keys.iter().map(|key| ask(&house, key))).await {
        answer.expect(401);
    }
    let most = cloud.open.1.load(Ordering::SeqCst);
    assert!(most <= 16, "{most}");
    house.close().await;
}

#[tokio::test]
async fn an_old_session_is_renewed_before_the_fleet_is_asked_for() {
    let cloud = Cloud::start(Api::Current).await;
    let house = cloud.house().await;
    let old = old_session();
    ask(&house, &old).await.expect(GOOD);
    let expected =
        [format!("/whoami {old}"), "/v7/application(7) fresh".into(), "/actor/v1/whoami fresh".into()];
    assert_eq!(cloud.calls(), expected);
    let foreign = format!("e30.{}.eA", URL_SAFE_NO_PAD.encode(r#"{"iat":1}"#));
    ask(&house, &foreign).await.expect(401);
    house.close().await;
}

#[tokio::test]
async fn an_api_that_fails_or_is_away_is_no_judgement_of_the_key() {
    let failing = Cloud::start(Api::Failing).await;
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    for url in [failing.url.as_str(), &closed] {
        let house = asking(url).await;
        let answer = ask(&house, "may").await;
        let refused: Value = answer.expect(503);
        assert!(refused["detail"].is_string(), "{refused}");
        assert_eq!(answer.header("retry-after"), "5", "curl asks again");
        house.ask_as_nobody("GET", "/gpg/keys").header("x-api-key", "may").send().await.expect(200);
        house.close().await;
    }
    assert_eq!(failing.calls().len(), 1, "nothing is remembered, and nothing is asked for what is public");
}

#[tokio::test]
async fn whom_the_cloud_lets_in_is_named_in_the_log_and_has_the_rights_of_the_appliance() {
    let cloud = Cloud::start(Api::Current).await;
    let house = cloud.house().await;
    let body = json!({"cert_id": "c", "subject": "/CN=c"});
    house.ask_as_nobody("POST", "/cert").header("x-api-key", "may").json(body).send().await.expect(200);
    let digest = json!({"cert_id": "c", "digest": "ab".repeat(32)});
    let signed = house.ask_as_nobody("POST", "/cert/sign").header("x-api-key", "device").json(digest);
    signed.send().await.expect(200);
    let log = house.ask("GET", "/countersign/v1/log").send().await.expect(200)["logs"][0].clone();
    let mut entries = String::new();
    for index in 0..log["size"].as_u64().unwrap() {
        let path = format!("/countersign/v1/log/{}/{index}", log["origin"].as_str().unwrap());
        entries.push_str(&house.ask("GET", &path).send().await.text());
    }
    for principal in ["balena:5", "balena:9"] {
        assert!(entries.contains(&format!("\"{principal}\"")), "{entries}");
    }
    house.ask_as("may", "GET", "/countersign/v1/keys").send().await.expect(401);
    house.close().await;
}
