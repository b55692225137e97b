//! People with keys of their own, the roots that they sign, and a client for what is published.

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PSS_SHA256, RsaKeyPair,
};
use countersign_core::tuf::request::{Bootstrap, BootstrapDelegation, BootstrapSettings, Request};
use countersign_core::tuf::task::{self, TaskState, TaskView};
use countersign_core::tuf::{self, online, serve};
use countersign_core::{Caller, Context, Secret};
use countersign_model::{KeyType, PublicKey, RawSignature, Scheme, Surface, pem};
use countersign_tuf::canonical;
use countersign_tuf::client::{Client, ClientError, Local, Lookup};
use countersign_tuf::key::{Key, default_id, key_object};
use countersign_tuf::metadata::Document;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use crate::support::House;

/// Somebody with a key.
pub struct Person {
    pub keyid: String,
    pub object: Value,
    key: Key,
    secret: SecretKey,
}

enum SecretKey {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl Person {
    /// The same key for the same number.
    pub fn ed25519(number: u8) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[number; 32]).unwrap();
        let public = PublicKey::from_ed25519(pair.public_key().as_ref().try_into().unwrap()).unwrap();
        Self::new(&public, Scheme::Ed25519, SecretKey::Ed25519(pair))
    }

    pub fn p256() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let public = PublicKey::from_point(KeyType::P256, pair.public_key().as_ref()).unwrap();
        Self::new(&public, "ecdsa-sha256".parse().unwrap(), SecretKey::P256(pair))
    }

    pub fn rsa() -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let public = PublicKey::from_rsa_public_key(pair.public_key().as_ref()).unwrap();
        Self::new(&public, "rsa-pss-sha256".parse().unwrap(), SecretKey::Rsa(pair))
    }

    fn new(public: &PublicKey, scheme: Scheme, secret: SecretKey) -> Self {
        let object = key_object(public, scheme).unwrap();
        let key = Key::from_value(&object).unwrap();
        Self { keyid: default_id(&object).unwrap(), object, key, secret }
    }

    /// The signature over `message` as it stands in metadata.
    pub fn text(&self, message: &[u8]) -> String {
        let raw = match &self.secret {
            SecretKey::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            SecretKey::P256(pair) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            SecretKey::Rsa(pair) => {
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PSS_SHA256, &SystemRandom::new(), message, &mut out).unwrap();
                out
            }
        };
        self.key.signature_text(&RawSignature(raw)).unwrap()
    }

    /// The private half of an Ed25519 key, as others keep it.
    pub fn private_pem(&self) -> Secret {
        let SecretKey::Ed25519(pair) = &self.secret else { panic!("another type of key") };
        let der = pair.to_pkcs8v1().unwrap();
        Secret(pem::encode("PRIVATE KEY", der.as_ref()).into_bytes())
    }

    /// POST metadata/sign for `role`, whose pending document is `document`.
    pub fn signs(&self, role: &str, document: &Value) -> Request {
        let document = Document::from_value(document.clone()).unwrap();
        let sig = self.text(&document.signed_bytes());
        Request::SignMetadata { role: role.into(), keyid: self.keyid.clone(), sig }
    }
}

/// A root to be made.
#[derive(Clone)]
pub struct Root<'a> {
    pub version: u64,
    pub expires: Timestamp,
    pub people: Vec<&'a Person>,
    pub threshold: u64,
    /// Of timestamp, snapshot and targets: id and object.
    pub online: (String, Value),
}

impl<'a> Root<'a> {
    /// The first one, for the online key that the first start makes.
    pub async fn first(ctx: &Context, people: &[&'a Person], threshold: u64) -> Self {
        let online = first_online_key(ctx).await;
        let expires = in_days(365);
        Self { version: 1, expires, people: people.to_vec(), threshold, online }
    }

    pub fn signed(&self) -> Value {
        let mut keys: Map<String, Value> =
            self.people.iter().map(|person| (person.keyid.clone(), person.object.clone())).collect();
        keys.insert(self.online.0.clone(), self.online.1.clone());
        let keyids: Vec<&str> = self.people.iter().map(|person| person.keyid.as_str()).collect();
        let online = json!({"keyids": [self.online.0], "threshold": 1});
        json!({
            "_type": "root", "spec_version": "1.0.31", "version": self.version, "consistent_snapshot": true,
            "expires": countersign_tuf::expires::render(self.expires), "x-example-note": "ceremony \"one\" \\ é",
            "keys": keys,
            "roles": {
                "root": {"keyids": keyids, "threshold": self.threshold},
                "timestamp": online, "snapshot": online, "targets": online,
            },
        })
    }

    /// Signed by nobody.
    pub fn signed_document(&self) -> Value {
        self.by(&[])
    }

    /// Signed by some.
    pub fn by(&self, people: &[&Person]) -> Value {
        signed_by(self.signed(), people)
    }
}

/// A document with signatures over `signed`.
pub fn signed_by(signed: Value, people: &[&Person]) -> Value {
    let message = canonical::encode(&signed).unwrap();
    let signature = |person: &&Person| json!({"keyid": person.keyid, "sig": person.text(&message)});
    json!({"signatures": people.iter().map(signature).collect::<Vec<_>>(), "signed": signed})
}

/// SHA-256 of the canonical `signed`, hex.
pub fn digest(document: &Value) -> String {
    hex::encode(Document::from_value(document.clone()).unwrap().signed_sha256())
}

pub fn in_days(days: i64) -> Timestamp {
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
    now.checked_add(SignedDuration::from_hours(24 * days)).unwrap()
}

/// Id and object of the default key, as clients put it into a root.
pub async fn first_online_key(ctx: &Context) -> (String, Value) {
    online_keys(ctx).await.remove(0)
}

/// All of them.
pub async fn online_keys(ctx: &Context) -> Vec<(String, Value)> {
    let listed = online::list(ctx).await.unwrap();
    let keys = listed["keys"].as_array().unwrap().iter().map(|key| {
        let mut object = key.clone();
        let keyid = object.as_object_mut().unwrap().remove("keyid").unwrap();
        (keyid.as_str().unwrap().to_owned(), object)
    });
    keys.collect()
}

pub fn bins(count: u32) -> BootstrapSettings {
    settings(BootstrapDelegation::Bins { expiration: 30, count })
}

pub fn settings(delegated: BootstrapDelegation) -> BootstrapSettings {
    BootstrapSettings { root: 365, targets: 365, snapshot: 7, timestamp: 1, delegated }
}

pub fn bootstrap(root: Value, settings: BootstrapSettings) -> Request {
    Request::Bootstrap(Bootstrap { settings, root })
}

/// The owner, through this surface.
pub fn caller(house: &House) -> Caller {
    Caller { surface: Surface::Tuf, ..house.owner() }
}

/// Submits a request and waits for the end of its task.
pub async fn done(house: &House, request: Request) -> TaskView {
    done_by(house, &caller(house), request).await
}

pub async fn done_by(house: &House, caller: &Caller, request: Request) -> TaskView {
    let accepted = task::submit(&house.ctx, caller, request).await.unwrap();
    end_of(&house.ctx, &accepted.id).await
}

pub async fn end_of(ctx: &Context, id: &str) -> TaskView {
    for _ in 0..240 {
        let view = task::get(ctx, id, Duration::from_millis(250)).await.unwrap();
        if view.state.is_final() {
            return view;
        }
    }
    panic!("the task does not end");
}

/// Submits a request whose task must succeed; gives message and details.
#[track_caller]
pub fn succeeded(view: &TaskView) -> (String, Value) {
    assert_eq!(view.state, TaskState::Success, "{view:?}");
    let result = view.result.as_ref().unwrap();
    assert_eq!(result["status"], true);
    let details = result.get("details").cloned().unwrap_or(Value::Null);
    (result["message"].as_str().unwrap().to_owned(), details)
}

/// Message and error of a task that was refused.
#[track_caller]
pub fn errored(view: &TaskView) -> (String, String) {
    assert_eq!(view.state, TaskState::Errored, "{view:?}");
    let result = view.result.as_ref().unwrap();
    assert_eq!(result["status"], false);
    let text = |name: &str| result[name].as_str().unwrap().to_owned();
    (text("message"), text("error"))
}

/// The refusal of a request that becomes no task.
pub async fn refused(house: &House, request: Request) -> tuf::Error {
    match task::submit(&house.ctx, &caller(house), request).await {
        Ok(_) => panic!("it was accepted"),
        Err(error) => error,
    }
}

/// Whether anybody can fetch this file.
pub async fn is_public(ctx: &Context, name: &str) -> bool {
    file(ctx, name).await.is_some()
}

/// A metadata file as clients fetch it.
pub async fn file(ctx: &Context, name: &str) -> Option<Vec<u8>> {
    serve::metadata(ctx, name, serve::Form::Plain).await.unwrap().map(|served| served.bytes.to_vec())
}

/// A client that trusts root `from`; up to date after this.
pub async fn client(ctx: &Context, from: u64) -> Result<Client, ClientError> {
    let root = file(ctx, &format!("{from}.root.json")).await.expect("the root is public");
    let mut client = Client::new(&root, Local::default(), Timestamp::now())?;
    find(ctx, &mut client, "nothing/there").await?;
    Ok(client)
}

/// Looks for a target as a client does.
pub async fn find(ctx: &Context, client: &mut Client, path: &str) -> Result<bool, ClientError> {
    loop {
        match client.find(path)? {
            Lookup::Needs(wanted) => match file(ctx, &wanted.name).await {
                Some(bytes) => client.give(bytes)?,
                None => client.give_missing()?,
            },
            Lookup::Found(_) => return Ok(true),
            Lookup::Absent => return Ok(false),
        }
    }
}
