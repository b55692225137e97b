//! An Autograph that signs for us, as a stand-in that can fail in every way. How the real surface answers is tested
//! where there is HTTP.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use countersign_core::collections::autograph::{self, CircuitState};
use countersign_core::collections::outside::{Answering, HttpAnswer, HttpClient, HttpError, HttpRequest};
use countersign_core::collections::settings::{AutographSettings, ResourceSettings, Signer};
use countersign_core::collections::signer::heartbeat;
use countersign_core::collections::{Error, Settings};
use countersign_core::startup;
use countersign_model::hawk::{Header, Target, Transport, payload_hash};
use countersign_model::{KeyType, PublicKey, pem};
use serde_json::{Value, json};

use crate::collection_signing_site::{Site, line, verify};
use crate::support::{Database, House, options};

const SOURCE: &str = "/buckets/source/collections/c";
const PUBLISHED: &str = "/buckets/destination/collections/c";

/// What the stand-in does with a request.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Mood {
    #[default]
    Signs,
    Refuses,
    Fails,
    IsGone,
    IsSilent,
    SignsSomethingElse,
    SignsTwice,
}

struct Peer {
    key: EcdsaKeyPair,
    /// What it does with the next requests; the last one stays.
    moods: Mutex<Vec<Mood>>,
    asked: Mutex<Vec<HttpRequest>>,
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Peer")
    }
}

impl Peer {
    fn new() -> Arc<Self> {
        let key = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
        Arc::new(Self { key, moods: Mutex::new(vec![Mood::Signs]), asked: Mutex::default() })
    }

    fn public(&self) -> PublicKey {
        PublicKey::from_point(KeyType::P384, self.key.public_key().as_ref()).unwrap()
    }

    fn is(&self, moods: &[Mood]) {
        *self.moods.lock().unwrap() = moods.to_vec();
        self.asked.lock().unwrap().clear();
    }

    fn asked(&self) -> Vec<HttpRequest> {
        self.asked.lock().unwrap().clone()
    }

    fn answer(&self, request: &HttpRequest, mood: Mood) -> Value {
        let asked: Vec<Value> = serde_json::from_slice(&request.body).unwrap();
        let sign = |one: &Value| {
            let mut message = b"Content-Signature:\0".to_vec();
            message.extend(STANDARD.decode(one["input"].as_str().unwrap()).unwrap());
            if mood == Mood::SignsSomethingElse {
                message.push(b' ');
            }
            let signature = self.key.sign(&SystemRandom::new(), &message).unwrap();
            json!({"ref": "r", "type": "contentsignature", "mode": "p384ecdsa", "signer_id": one["keyid"],
                   "public_key": STANDARD.encode(self.public().spki()), "x5u": "",
                   "signature": URL_SAFE_NO_PAD.encode(signature)})
        };
        let mut answers: Vec<Value> = asked.iter().map(sign).collect();
        if mood == Mood::SignsTwice {
            answers.extend(answers.clone());
        }
        answers.into()
    }
}

impl HttpClient for Peer {
    fn send(&self, request: HttpRequest) -> Answering<'_> {
        self.asked.lock().unwrap().push(request.clone());
        let mut moods = self.moods.lock().unwrap();
        let mood = if moods.len() > 1 { moods.remove(0) } else { moods[0] };
        Box::pin(async move {
            match mood {
                Mood::Refuses => Ok(HttpAnswer { status: 401, body: b"no".to_vec() }),
                Mood::Fails => Ok(HttpAnswer { status: 503, body: Vec::new() }),
                Mood::IsGone => Err(HttpError::Connect("refused".into())),
                Mood::IsSilent => {
                    tokio::time::sleep(request.timeout).await;
                    Err(HttpError::TimedOut)
                }
                _ => {
                    Ok(HttpAnswer { status: 201, body: self.answer(&request, mood).to_string().into_bytes() })
                }
            }
        })
    }
}

async fn house(database: Option<Database>, peer: &Arc<Peer>) -> House {
    let signer = Signer::Autograph(AutographSettings {
        url: "https://autograph.test:8443/base".into(),
        id: "kinto".into(),
        secret: "s3cret".to_owned().into(),
        key_ids: vec!["one".into(), "two".into()],
        timeout: Duration::from_millis(800),
    });
    let resource = ResourceSettings { signer, ..line("/buckets/source", None, "/buckets/destination") };
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path(), database.as_ref());
    options.collections = Settings { resources: vec![resource], ..Settings::default() };
    options.http = Some(Arc::clone(peer) as _);
    let ctx = startup::open(options).await.unwrap();
    House { dir, ctx, database }
}

async fn to_sign(site: &Site) -> Result<Value, Error> {
    site.status(&site.admin(), SOURCE, "to-sign").await
}

#[tokio::test]
async fn what_an_autograph_signs_is_published_with_a_bundle_for_each_of_its_keys() {
    for database in [None, Some(Database::create().await.unwrap())] {
        let peer = Peer::new();
        let house = house(database, &peer).await;
        let site = Site::of(&house);
        site.make("source").await;
        site.put(&site.admin(), &format!("{SOURCE}/records/r"), json!({"é": "\u{0}😀"})).await;
        peer.is(&[Mood::Signs]);
        to_sign(&site).await.unwrap();
        let changeset = site.changeset(PUBLISHED, None).await;
        assert!(verify(&changeset, &pem::encode("PUBLIC KEY", peer.public().spki())));
        let bundles = changeset["metadata"]["signatures"].as_array().unwrap();
        let ids: Vec<_> = bundles.iter().map(|bundle| bundle["signer_id"].as_str().unwrap()).collect();
        assert_eq!(ids, ["one", "two"]);
        assert_eq!(changeset["metadata"]["signature"], bundles[0]);

        let asked = peer.asked();
        assert_eq!(asked.len(), 1);
        assert_eq!(asked[0].url, "https://autograph.test:8443/base/sign/data");
        let header = asked[0].headers.iter().find(|(name, _)| *name == "Authorization").unwrap();
        let header = Header::parse(&header.1).unwrap();
        let target = Target::new("POST", "/base/sign/data", "autograph.test:8443", Transport::Https).unwrap();
        assert!(header.id == "kinto" && header.is_by(b"s3cret", &target));
        assert_eq!(header.hash(), Some(payload_hash("application/json", &asked[0].body).as_str()));
        house.end().await;
    }
}

#[tokio::test]
async fn a_signature_that_cannot_be_had_or_believed_leaves_everything_as_it_was() {
    let peer = Peer::new();
    let house = house(None, &peer).await;
    let site = Site::of(&house);
    site.make("source").await;
    site.put(&site.admin(), &format!("{SOURCE}/records/r"), json!({"a": 1})).await;
    let before = site.changeset(PUBLISHED, None).await;
    for mood in [Mood::Refuses, Mood::SignsSomethingElse, Mood::SignsTwice, Mood::IsGone] {
        peer.is(&[mood]);
        assert!(matches!(to_sign(&site).await, Err(Error::Unavailable(_))), "{mood:?}");
        assert_eq!(site.get(SOURCE).await["status"], "work-in-progress", "{mood:?}");
        assert_eq!(site.changeset(PUBLISHED, None).await, before, "{mood:?}");
        assert!(heartbeat(&house.ctx).await.is_err(), "{mood:?}");
    }
    house.end().await;
}

#[tokio::test]
async fn trouble_that_passes_is_not_noticed_and_no_request_is_sent_twice() {
    let peer = Peer::new();
    let house = house(None, &peer).await;
    let site = Site::of(&house);
    site.make("source").await;
    for moods in [[Mood::Fails, Mood::IsGone, Mood::Signs], [Mood::IsGone, Mood::Fails, Mood::Signs]] {
        site.put(&site.admin(), &format!("{SOURCE}/records/r"), json!({"a": format!("{moods:?}")})).await;
        peer.is(&moods);
        to_sign(&site).await.unwrap();
        let asked = peer.asked();
        assert_eq!(asked.len(), 3);
        let of = |request: &HttpRequest| {
            let text = &request.headers.iter().find(|(name, _)| *name == "Authorization").unwrap().1;
            let header = Header::parse(text).unwrap();
            (header.nonce().to_owned(), request.body.clone())
        };
        let [(one, first), (two, second), (three, third)] = [of(&asked[0]), of(&asked[1]), of(&asked[2])];
        assert!(one != two && two != three && one != three, "a nonce is used once");
        assert!(first == second && second == third);
    }
    peer.is(&[Mood::Refuses]);
    assert!(heartbeat(&house.ctx).await.is_err());
    assert_eq!(peer.asked().len(), 1, "a refusal is final");
    house.end().await;
}

#[tokio::test]
async fn a_silent_autograph_is_waited_for_as_long_as_configured() {
    let peer = Peer::new();
    let house = house(None, &peer).await;
    peer.is(&[Mood::IsSilent]);
    let begin = Instant::now();
    assert!(heartbeat(&house.ctx).await.is_err());
    let took = begin.elapsed();
    assert!((Duration::from_millis(700)..Duration::from_secs(3)).contains(&took), "{took:?}");
    house.end().await;
}

#[tokio::test]
async fn one_that_fails_again_and_again_is_left_alone() {
    let peer = Peer::new();
    let house = house(None, &peer).await;
    peer.is(&[Mood::IsGone]);
    for _ in 0..4 {
        assert!(heartbeat(&house.ctx).await.is_err());
    }
    assert_eq!(peer.asked().len(), 5, "three tries, two tries, and then none");
    let circuits = autograph::circuits(&house.ctx);
    assert_eq!(circuits, [("https://autograph.test:8443/base".to_owned(), CircuitState::Open)]);
    house.end().await;
}
