//! A client with a Hawk pair.

use countersign_model::hawk::{self, Artifacts, Target, Transport};
use serde_json::{Value, json};

use crate::support::{Answer, House, base64};

/// A Hawk pair.
#[derive(Clone)]
pub struct Pair {
    pub id: String,
    pub secret: String,
}

impl Pair {
    /// A pair for a principal.
    pub async fn of(house: &House, principal: &str) -> Self {
        let path = format!("/countersign/v1/principals/{principal}/hawk");
        let made = house.ask("POST", &path).json(json!({})).send().await.expect(201);
        Self { id: text(&made["id"]), secret: text(&made["secret"]) }
    }

    /// A pair for a new principal with roles.
    pub async fn new(house: &House, principal: &str, roles: &[&str]) -> Self {
        house.somebody(principal, roles).await;
        Self::of(house, principal).await
    }
}

/// The name that the server is asked by.
pub const HOST: &str = "sign.test:8000";

/// A request in the making.
pub struct Signing<'a> {
    pub pair: &'a Pair,
    pub method: &'a str,
    pub path: &'a str,
    pub host: &'a str,
    pub transport: Transport,
    pub content_type: &'a str,
    pub body: Vec<u8>,
    pub artifacts: Artifacts,
}

impl<'a> Signing<'a> {
    pub fn post(pair: &'a Pair, path: &'a str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let hash = Some(hawk::payload_hash("application/json", &body));
        let artifacts = Artifacts { ts: now(), nonce: nonce(), hash, ..Artifacts::default() };
        let (host, transport, content_type) = (HOST, Transport::Http, "application/json");
        Self { pair, method: "POST", path, host, transport, content_type, body, artifacts }
    }

    pub fn get(pair: &'a Pair, path: &'a str) -> Self {
        let artifacts = Artifacts { ts: now(), nonce: nonce(), ..Artifacts::default() };
        Self { method: "GET", content_type: "", artifacts, ..Self::post(pair, path, "") }
    }

    /// The value of the header.
    pub fn header(&self) -> String {
        let target = Target::new(self.method, self.path, self.host, self.transport).unwrap();
        hawk::header(&self.pair.id, self.pair.secret.as_bytes(), &target, &self.artifacts).unwrap()
    }

    /// Sends it to `sign.test:8000`, whatever it is signed for.
    pub async fn send(&self, house: &House) -> Answer {
        self.send_with(house, &self.header()).await
    }

    pub async fn send_with(&self, house: &House, header: &str) -> Answer {
        self.send_to(house, HOST, header).await
    }

    pub async fn send_to(&self, house: &House, host: &str, header: &str) -> Answer {
        let ask =
            house.ask_as_nobody(self.method, self.path).header("host", host).header("authorization", header);
        if self.content_type.is_empty() {
            return ask.send().await;
        }
        ask.body(self.content_type, self.body.clone()).send().await
    }
}

/// Posts a list of requests.
pub async fn post(house: &House, pair: &Pair, path: &str, requests: Value) -> Answer {
    Signing::post(pair, path, requests.to_string()).send(house).await
}

/// `{"input": …, "keyid": …}`.
pub fn input(bytes: &[u8], keyid: &str) -> Value {
    json!({ "input": base64(bytes), "keyid": keyid })
}

/// A refusal as the original writes it; gives its text.
#[track_caller]
pub fn refused(answer: &Answer, status: u16) -> String {
    let text = answer.text();
    assert_eq!(answer.status.as_u16(), status, "{text}");
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    let id = answer.header("countersign-request-id");
    let text = text.strip_suffix(&format!("\r\nrequest-id: {id}\n")).expect("the request's id ends it");
    if status == 401 {
        assert_eq!(answer.header("www-authenticate"), "Hawk");
    }
    text.to_owned()
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

pub fn now() -> u64 {
    jiff::Timestamp::now().as_second() as u64
}

fn nonce() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("n{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
