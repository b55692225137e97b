//! The tags surface: what the contract says of each request, and of each hazard of the format.

mod contract;
mod hazards;
mod openssl;
mod root;
mod stateless;
mod store;

use countersign_core::tags::authorities::{self, KeyUse, NewAuthority, Register, Revoke};
use countersign_core::{Caller, auth};
use countersign_model::Surface;
use countersign_records::authorities::key_type_of;
use serde_json::{Value, json};

use crate::support::{Answer, House};

/// The owner of the deployment.
fn owner(house: &House) -> Caller {
    let identity = auth::authenticate(&house.app.ctx, auth::Presented::Control).unwrap();
    Caller::new(identity, Surface::Tags, house.app.ctx.request_id())
}

/// Makes an authority with a P-256 key.
async fn authority(house: &House, name: &str) {
    authority_of(house, name, "ec-p256", 1).await;
}

async fn authority_of(house: &House, name: &str, algorithm: &str, threshold: u32) {
    let new = NewAuthority {
        name: name.parse().unwrap(),
        algorithm: key_type_of(algorithm).unwrap(),
        threshold,
        principals: None,
        detached: false,
    };
    authorities::create(&house.app.ctx, &owner(house), new).await.unwrap();
}

/// Registers a key that is kept elsewhere.
async fn register(house: &House, name: &str, pem: &str) {
    let register = Register { pem: pem.into(), not_before: None, not_after: None, of: KeyUse::Tags };
    authorities::register(&house.app.ctx, &owner(house), &name.parse().unwrap(), register).await.unwrap();
}

/// Revokes the newest key of an authority.
async fn revoke(house: &House, name: &str, from: Option<&str>, until: Option<&str>) {
    let name = name.parse().unwrap();
    let key = authorities::find(&house.app.ctx, &name).unwrap().to_verify().keys.last().unwrap().id.clone();
    let time = |text: &str| text.parse().unwrap();
    let revoke = Revoke { key, reason: "lost".into(), from: from.map(time), until: until.map(time) };
    authorities::revoke(&house.app.ctx, &owner(house), &name, revoke).await.unwrap();
}

/// A token that may sign for `authority` and write tags that begin with `prefix`.
async fn writer(house: &House, name: &str, authority: &str, prefix: &str) -> String {
    house.somebody(name, &["signer"]).await;
    let resources = [format!("authority:{authority}"), format!("tag:{prefix}*")];
    house.token(name, json!({"resources": resources})).await
}

/// Signs a text as `admin`, and gives the signed file.
async fn signed(house: &House, authorities: &str, text: &str) -> String {
    let path = format!("/tags/sign?authorities={authorities}");
    let answer = house.ask("POST", &path).body("text/plain", text).send().await;
    answer.expect(200);
    answer.text()
}

/// Writes a tag as `admin`.
async fn write(house: &House, name: &str, authorities: &str, text: &str) -> Value {
    let path = format!("/tags/{name}?authorities={authorities}");
    let answer = house.ask("POST", &path).body("text/plain", text).send().await;
    assert!([200, 201].contains(&answer.status.as_u16()), "{}", answer.text());
    answer.document()
}

async fn get(house: &House, path: &str) -> Answer {
    house.ask_as_nobody("GET", path).send().await
}

/// Asserts that it is a refusal in the surface's form.
#[track_caller]
fn refused(answer: &Answer, status: u16, error: &str) -> Value {
    let document = answer.expect(status);
    assert_eq!(answer.header("content-type"), "application/json", "{document}");
    assert_eq!((&document["code"], &document["error"]), (&json!(status), &json!(error)), "{document}");
    assert!(!document["message"].as_str().unwrap().is_empty());
    if status == 401 {
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    document
}

fn sha256(text: &str) -> String {
    hex::encode(countersign_model::digest::sha256(text.as_bytes()))
}
