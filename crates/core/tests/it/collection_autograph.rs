//! An Autograph that signs for us, as a stand-in that can fail in every way. How the real surface answers is tested
//! where there is HTTP.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use countersign_core::collections::autograph::{self, CircuitState};
use countersign_core::collections::chain;
use countersign_core::collections::outside::{
    Answering, HttpAnswer, HttpClient, HttpError, HttpMethod, HttpRequest,
};
use countersign_core::collections::settings::{AutographSettings, Pins, ResourceSettings, Signer};
use countersign_core::collections::signer::heartbeat;
use countersign_core::collections::{Answer, Error, Method, Settings, execute};
use countersign_core::{Context, startup};
use countersign_model::hawk::{Header, Target, Transport, payload_hash};
use countersign_model::{KeyType, PublicKey, pem};
use serde_json::{Value, json};

use crate::collection_signing_site::{Site, call, ids, line, verify};
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
    /// Until it is told to go on; then it signs.
    Waits,
    SignsSomethingElse,
    SignsTwice,
}

pub struct Peer {
    key: EcdsaKeyPair,
    /// What it does with the next requests; the last one stays.
    moods: Mutex<Vec<Mood>>,
    asked: Mutex<Vec<HttpRequest>>,
    /// Where it says its chain is, and what is there.
    pub chain: Mutex<Option<(&'static str, Option<String>)>>,
    /// What was fetched, and what is there beside its chain.
    pub fetched: Mutex<Vec<String>>,
    pub places: Mutex<BTreeMap<String, String>>,
    /// What [`Mood::Waits`] waits for.
    goes_on: tokio::sync::Notify,
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Peer")
    }
}

impl Peer {
    pub fn new() -> Arc<Self> {
        let key = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
        Arc::new(Self {
            key,
            moods: Mutex::new(vec![Mood::Signs]),
            asked: Mutex::default(),
            chain: Mutex::default(),
            fetched: Mutex::default(),
            places: Mutex::default(),
            goes_on: Default::default(),
        })
    }

    pub fn public(&self) -> PublicKey {
        PublicKey::from_point(KeyType::P384, self.key.public_key().as_ref()).unwrap()
    }

    fn is(&self, moods: &[Mood]) {
        *self.moods.lock().unwrap() = moods.to_vec();
        self.asked.lock().unwrap().clear();
    }

    pub fn asked(&self) -> Vec<HttpRequest> {
        self.asked.lock().unwrap().clone()
    }

    /// Waits until it was asked that often.
    async fn is_asked(&self, count: usize) {
        for _ in 0..500 {
            if self.asked.lock().unwrap().len() >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it was not asked {count} times");
    }

    fn answer(&self, request: &HttpRequest, mood: Mood) -> Value {
        let asked: Vec<Value> = serde_json::from_slice(&request.body).unwrap();
        let x5u = self.chain.lock().unwrap().as_ref().map_or("", |(x5u, _)| x5u);
        let sign = |one: &Value| {
            let mut message = b"Content-Signature:\0".to_vec();
            message.extend(STANDARD.decode(one["input"].as_str().unwrap()).unwrap());
            if mood == Mood::SignsSomethingElse {
                message.push(b' ');
            }
            let signature = self.key.sign(&SystemRandom::new(), &message).unwrap();
            json!({"ref": "r", "type": "contentsignature", "mode": "p384ecdsa", "signer_id": one["keyid"],
                   "public_key": STANDARD.encode(self.public().spki()), "x5u": x5u,
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
        if request.method == HttpMethod::Get {
            let place = self.places.lock().unwrap().get(&request.url).cloned();
            let chain = place.or_else(|| self.chain.lock().unwrap().clone().and_then(|(_, pem)| pem));
            self.fetched.lock().unwrap().push(request.url);
            let status = if chain.is_some() { 200 } else { 404 };
            let body = chain.unwrap_or_default().into_bytes();
            return Box::pin(async move { Ok(HttpAnswer { status, body }) });
        }
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
                    if mood == Mood::Waits {
                        self.goes_on.notified().await;
                    }
                    Ok(HttpAnswer { status: 201, body: self.answer(&request, mood).to_string().into_bytes() })
                }
            }
        })
    }
}

async fn house(database: Option<Database>, peer: &Arc<Peer>) -> House {
    pinned(database, peer, Pins::default()).await
}

/// Two collections that the stand-in signs, one of them with a preview, and one that this server signs itself.
async fn pinned(database: Option<Database>, peer: &Arc<Peer>, pins: Pins) -> House {
    let dir = tempfile::tempdir().unwrap();
    let ctx = open(dir.path(), database.as_ref(), peer, pins).await;
    House { dir, ctx, database }
}

pub async fn open(dir: &Path, database: Option<&Database>, peer: &Arc<Peer>, pins: Pins) -> Context {
    let signer = Signer::Autograph(AutographSettings {
        url: "https://autograph.test:8443/base".into(),
        id: "kinto".into(),
        secret: "s3cret".to_owned().into(),
        key_ids: vec!["one".into(), "two".into()],
        timeout: Duration::from_millis(800),
        pins,
    });
    let previewed = line("/buckets/staging", Some("/buckets/preview"), "/buckets/prod");
    let resources = vec![
        ResourceSettings { signer: signer.clone(), ..line("/buckets/source", None, "/buckets/destination") },
        ResourceSettings { signer, ..previewed },
        line("/buckets/own", None, "/buckets/published"),
    ];
    let mut options = options(dir, database);
    options.collections = Settings { resources, ..Settings::default() };
    options.http = Some(Arc::clone(peer) as _);
    startup::open(options).await.unwrap()
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
async fn a_batch_in_which_a_signature_cannot_be_had_leaves_nothing_of_itself() {
    for database in [None, Some(Database::create().await.unwrap())] {
        let peer = Peer::new();
        let house = house(database, &peer).await;
        let site = Site::of(&house);
        let (admin, other) = (site.admin(), "/buckets/other");
        site.make("source").await;
        let record = format!("{SOURCE}/records/r");
        let batch = || {
            vec![
                call(Method::Put, &record, Some(json!({"data": {"a": 1}}))),
                call(Method::Put, other, None),
                call(Method::Patch, SOURCE, Some(json!({"data": {"status": "to-sign"}}))),
                call(Method::Get, other, None),
            ]
        };
        let before = site.get(SOURCE).await;
        peer.is(&[Mood::Refuses]);
        let answers = execute(&site.ctx, &admin, batch()).await;
        let all_failed =
            answers.iter().all(|answer| matches!(answer, Answer::Refused(Error::Unavailable(_))));
        assert!(answers.len() == 4 && all_failed, "{answers:?}");
        assert_eq!(site.get(SOURCE).await, before);
        for uri in [record.as_str(), other] {
            let read = site.send(&admin, Method::Get, uri, None).await;
            assert!(matches!(read, Answer::Refused(Error::NotFound { .. })), "{read:?}");
        }
        // The whole of it can be sent again.
        peer.is(&[Mood::Signs]);
        let answers = execute(&site.ctx, &admin, batch()).await;
        assert!(!answers.iter().any(|answer| matches!(answer, Answer::Refused(_))), "{answers:?}");
        assert_eq!(site.get(SOURCE).await["status"], "signed");
        house.end().await;
    }
}

#[tokio::test]
async fn while_an_autograph_is_silent_everybody_else_goes_on() {
    for database in [None, Some(Database::create().await.unwrap())] {
        let peer = Peer::new();
        let house = house(database, &peer).await;
        let site = Site::of(&house);
        let admin = site.admin();
        site.make("source").await;
        site.make("own").await;
        site.put(&admin, &format!("{SOURCE}/records/r"), json!({"a": 1})).await;
        let (before, published) = (site.get(SOURCE).await, site.changeset(PUBLISHED, None).await);
        peer.is(&[Mood::IsSilent]);
        let begin = Instant::now();
        let asking = site.clone();
        let signing = tokio::spawn(async move { (to_sign(&asking).await, Instant::now()) });
        peer.is_asked(1).await;

        // Another family's write, a plain one, and one that is signed here.
        house.key("meanwhile", "ed25519").await;
        site.put(&admin, "/buckets/other", json!({})).await;
        site.put(&admin, "/buckets/own/collections/c/records/r", json!({"b": 1})).await;
        site.status(&admin, "/buckets/own/collections/c", "to-sign").await.unwrap();
        assert!(site.verifies("/buckets/published/collections/c").await);
        assert!(!signing.is_finished(), "all that took {:?}", begin.elapsed());

        let (refused, end) = signing.await.unwrap();
        assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
        let took = end - begin;
        assert!((Duration::from_millis(700)..Duration::from_secs(2)).contains(&took), "{took:?}");
        assert_eq!(site.get(SOURCE).await, before);
        assert_eq!(site.changeset(PUBLISHED, None).await, published);
        house.end().await;
    }
}

#[tokio::test]
async fn what_changes_while_an_autograph_signs_is_signed_as_it_is_in_the_end() {
    for database in [None, Some(Database::create().await.unwrap())] {
        let peer = Peer::new();
        let house = house(database, &peer).await;
        let site = Site::of(&house);
        let admin = site.admin();
        site.make("source").await;
        site.put(&admin, &format!("{SOURCE}/records/r"), json!({"a": 1})).await;
        peer.is(&[Mood::Waits, Mood::Signs]);
        let asking = site.clone();
        let signing = tokio::spawn(async move { to_sign(&asking).await });
        peer.is_asked(1).await;
        site.put(&admin, &format!("{SOURCE}/records/late"), json!({"b": 2})).await;
        peer.goes_on.notify_one();
        signing.await.unwrap().unwrap();
        assert_eq!(site.get(SOURCE).await["status"], "signed");
        assert_eq!(peer.asked().len(), 2);
        let changeset = site.changeset(PUBLISHED, None).await;
        assert_eq!(ids(&changeset["changes"]), ["late", "r"]);
        assert!(verify(&changeset, &pem::encode("PUBLIC KEY", peer.public().spki())));
        house.end().await;
    }
}

#[tokio::test]
async fn what_changes_each_time_before_it_is_signed_is_given_up() {
    let peer = Peer::new();
    let house = house(None, &peer).await;
    let site = Site::of(&house);
    let admin = site.admin();
    site.make("source").await;
    site.put(&admin, &format!("{SOURCE}/records/r"), json!({"n": 0})).await;
    peer.is(&[Mood::Waits]);
    let asking = site.clone();
    let signing = tokio::spawn(async move { to_sign(&asking).await });
    for count in 1..5 {
        peer.is_asked(count).await;
        site.put(&admin, &format!("{SOURCE}/records/r"), json!({ "n": count })).await;
        peer.goes_on.notify_one();
    }
    assert!(matches!(signing.await.unwrap(), Err(Error::Unavailable(why)) if why.contains("faster")));
    assert_eq!(peer.asked().len(), 4);
    assert_eq!(site.get(SOURCE).await["status"], "work-in-progress");
    house.end().await;
}

#[tokio::test]
async fn who_loses_the_right_while_an_autograph_signs_publishes_nothing() {
    for database in [None, Some(Database::create().await.unwrap())] {
        let peer = Peer::new();
        let house = house(database, &peer).await;
        let site = Site::of(&house);
        let (admin, ana) = (site.admin(), site.user("ana"));
        site.make("source").await;
        let allow = |who: Value| json!({"data": {}, "permissions": {"write": who}});
        let bucket = "/buckets/source";
        Site::ok(site.send(&admin, Method::Put, bucket, Some(allow(json!(["account:ana"])))).await);
        site.put(&ana, &format!("{SOURCE}/records/r"), json!({"a": 1})).await;
        let published = site.changeset(PUBLISHED, None).await;
        peer.is(&[Mood::Waits]);
        let (asking, who) = (site.clone(), ana.clone());
        let signing = tokio::spawn(async move { asking.status(&who, SOURCE, "to-sign").await });
        peer.is_asked(1).await;
        Site::ok(site.send(&admin, Method::Put, bucket, Some(allow(json!([])))).await);
        peer.goes_on.notify_one();
        let refused = signing.await.unwrap();
        assert!(matches!(refused, Err(Error::Forbidden(_))), "{refused:?}");
        assert_eq!(site.changeset(PUBLISHED, None).await, published);
        house.end().await;
    }
}

#[tokio::test]
async fn a_request_is_signed_with_one_request_and_one_transaction() {
    for database in [None, Some(Database::create().await.unwrap())] {
        let peer = Peer::new();
        let house = house(database, &peer).await;
        let site = Site::of(&house);
        let admin = site.admin();
        site.make("source").await;
        peer.is(&[Mood::Signs]);
        site.make("staging").await;
        assert_eq!(peer.asked().len(), 1, "preview and destination");
        // Records whose ids nobody has named, and two collections.
        let records = |bucket: &str| format!("/buckets/{bucket}/collections/c/records");
        let sign = Some(json!({"data": {"status": "to-sign"}}));
        let batch = vec![
            call(Method::Post, &records("source"), Some(json!({"data": {"a": 1}}))),
            call(Method::Patch, SOURCE, sign.clone()),
            call(Method::Post, &records("staging"), Some(json!({"data": {"b": 1}}))),
            call(Method::Patch, "/buckets/staging/collections/c", sign),
        ];
        peer.is(&[Mood::Signs]);
        let answers = execute(&site.ctx, &admin, batch).await;
        assert!(!answers.iter().any(|answer| matches!(answer, Answer::Refused(_))), "{answers:?}");
        assert_eq!(peer.asked().len(), 1);
        for published in [PUBLISHED, "/buckets/preview/collections/c", "/buckets/prod/collections/c"] {
            let changeset = site.changeset(published, None).await;
            assert_eq!(changeset["changes"].as_array().unwrap().len(), 1, "{published}");
            assert!(verify(&changeset, &pem::encode("PUBLIC KEY", peer.public().spki())), "{published}");
        }
        house.end().await;
    }
}

#[tokio::test]
async fn many_who_publish_at_once_have_it_signed_one_after_the_other() {
    let peer = Peer::new();
    let house = house(None, &peer).await;
    let site = Site::of(&house);
    site.make("source").await;
    peer.is(&[Mood::Signs]);
    let create = |n: usize| {
        let site = site.clone();
        async move { site.put(&site.admin(), &format!("/buckets/source/collections/n{n}"), json!({})).await }
    };
    let creating: Vec<_> = (0..12).map(|n| tokio::spawn(create(n))).collect();
    for (n, created) in creating.into_iter().enumerate() {
        created.await.unwrap();
        assert_eq!(site.get(&format!("/buckets/source/collections/n{n}")).await["status"], "signed");
    }
    assert_eq!(peer.asked().len(), 12, "nothing was signed twice");
    house.end().await;
}

#[tokio::test]
async fn a_signature_by_a_key_that_is_not_pinned_is_not_taken() {
    let peer = Peer::new();
    let roots = vec![[7; 32]];
    for (pins, believed) in [
        (Pins { public_keys: vec![Peer::new().public(), peer.public()], ..Pins::default() }, true),
        (Pins { public_keys: vec![Peer::new().public()], ..Pins::default() }, false),
        // It names no chain.
        (Pins { roots, ..Pins::default() }, false),
    ] {
        let house = pinned(None, &peer, pins.clone()).await;
        assert_eq!(heartbeat(&house.ctx).await.is_ok(), believed, "{pins:?}");
        house.end().await;
    }
}

#[tokio::test]
async fn a_chain_that_can_be_fetched_is_that_of_the_key_that_signed() {
    let peer = Peer::new();
    let house = house(None, &peer).await;
    // A good chain, for a key of another's.
    let x5u = chain::x5u_of(&house.ctx, &"collections/main".parse().unwrap()).unwrap();
    let name = x5u.rsplit_once('/').unwrap().1.strip_suffix(".pem").unwrap();
    let others = chain::pem(&house.ctx, name).await.unwrap().unwrap();
    for (chain, believed) in [(None, true), (Some(others), false), (Some("no chain".to_owned()), false)] {
        *peer.chain.lock().unwrap() = Some(("https://chains.test/c.pem", chain.clone()));
        assert_eq!(heartbeat(&house.ctx).await.is_ok(), believed, "{chain:?}");
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

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_past_an_autograph_is_in_no_file_whatever_its_metadata_say() {
    for database in [None, Some(Database::create().await.unwrap())] {
        let peer = Peer::new();
        let house = house(database, &peer).await;
        let site = Site::of(&house);
        site.make("source").await;
        let name = "collections/destination/c/changeset.json".parse().unwrap();
        let file = async || site.ctx.files().get(&name).await.unwrap();
        let written = async {
            while file().await.is_none() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), written).await.unwrap();
        let before = file().await;
        site.put(&site.admin(), &format!("{PUBLISHED}/records/evil"), json!({})).await;
        let mut bundles = site.get(PUBLISHED).await["signatures"].clone();
        for at in [0, 1] {
            bundles[at].as_object_mut().unwrap().remove("public_key");
            site.patch(&site.admin(), PUBLISHED, json!({"signatures": bundles})).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1500)).await;
            assert_eq!(file().await, before);
        }
        let refused = site.status(&site.admin(), SOURCE, "to-resign").await.unwrap_err();
        assert!(matches!(refused, Error::Refused(_)), "{refused:?}");
        house.end().await;
    }
}
