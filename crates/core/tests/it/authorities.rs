//! Authorities, their keys over time, and requests that wait for more voices.

use std::collections::BTreeSet;
use std::sync::Arc;

use countersign_core::tags::authorities::{
    self, Authority, ForTag, KeyUse, NewAuthority, Outcome, Register, Revoke, Rotate, Signed,
};
use countersign_core::tags::requests::{self, RequestDocument};
use countersign_core::tags::{Error, OverOthers, TagName, bundle, recorded};
use countersign_core::{Caller, Context, keys, log, principals};
use countersign_model::digest::sha256;
use countersign_model::entry::Op;
use countersign_model::{KeyType, PublicKey};
use countersign_records::tag::{AuthorityName, Payload, Tag, TagFile, WeakKeys};
use countersign_store::Voice;
use countersign_verify::authority::{Status, judge};
use countersign_verify::bundle::Expired;
use jiff::{SignedDuration, Timestamp};

use crate::support::{Database, House, name, options};

fn authority_name(text: &str) -> AuthorityName {
    text.parse().unwrap()
}

fn new(name: &str) -> NewAuthority {
    NewAuthority {
        name: authority_name(name),
        algorithm: KeyType::P256,
        threshold: 1,
        principals: None,
        detached: false,
    }
}

async fn make(house: &House, new: NewAuthority) -> Arc<Authority> {
    authorities::create(&house.ctx, &house.owner(), new).await.unwrap().value
}

fn payload(text: &str) -> Payload {
    Payload::new(text).unwrap()
}

async fn sign(ctx: &Context, caller: &Caller, name: &str, text: &str) -> Result<Outcome, Error> {
    authorities::sign(ctx, caller, &authority_name(name), &payload(text), None).await
}

#[track_caller]
fn signed(outcome: Result<Outcome, Error>) -> Signed {
    match outcome.unwrap() {
        Outcome::Signed(signed) => signed,
        Outcome::Waiting(request) => panic!("it waits: {request:?}"),
    }
}

#[track_caller]
fn waiting(outcome: Result<Outcome, Error>) -> RequestDocument {
    match outcome.unwrap() {
        Outcome::Waiting(request) => *request,
        Outcome::Signed(signed) => panic!("it is signed: {signed:?}"),
    }
}

fn file(text: &str, signed: &Signed) -> Vec<u8> {
    let mut tag = Tag::new(payload(text));
    tag.put(signed.block.clone());
    tag.to_bytes()
}

async fn status(house: &House, name: &str, bytes: &[u8]) -> Status {
    let authority = authorities::find(&house.ctx, &authority_name(name)).unwrap();
    let file = TagFile::parse(bytes).unwrap();
    let at = recorded::find(&house.ctx, &authority, &file).await.unwrap();
    judge(&file, authority.to_verify(), at, house.ctx.now(), WeakKeys::Refuse).status
}

#[track_caller]
fn refused<T>(result: Result<T, Error>, code: &str) {
    match result {
        Ok(_) => panic!("not refused; `{code}` was expected"),
        Err(error) => assert_eq!(error.code(), code, "{error}"),
    }
}

async fn ops(house: &House, caller: &Caller) -> Vec<(Op, String)> {
    let found = log::by_request(&house.ctx, &house.owner(), &caller.request_id, None).await.unwrap();
    found.entries.into_iter().map(|e| (e.entry.op, e.entry.subject.unwrap_or_default())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_an_authority_is_in_the_log_before_it_is_made() {
    for house in House::on_both().await {
        let (ctx, owner) = (&house.ctx, house.owner());
        let made = authorities::create(ctx, &owner, new("ci")).await.unwrap();
        let first = made.value.current(KeyUse::Tags).unwrap().id.clone();
        assert!(made.log.is_some());
        let what = ("ci create threshold=1".to_owned(), String::new());
        assert_eq!(ops(&house, &owner).await, [(Op::KeyCreate, what.1), (Op::AuthoritySet, what.0)]);

        let owner = house.owner();
        let rotate = Rotate { algorithm: Some(KeyType::Rsa(2048)), not_after: None, of: KeyUse::Tags };
        let rotated = authorities::rotate(ctx, &owner, &authority_name("ci"), rotate).await.unwrap().value;
        let second = rotated.current(KeyUse::Tags).unwrap().id.clone();
        let kinds: Vec<_> = ops(&house, &owner).await.into_iter().map(|(op, _)| op).collect();
        assert_eq!(kinds, [Op::KeyCreate, Op::AuthoritySet, Op::KeyRetire]);

        let owner = house.owner();
        let revoke = Revoke { key: second.clone(), reason: "lost".into(), from: None, until: None };
        authorities::revoke(ctx, &owner, &authority_name("ci"), revoke.clone()).await.unwrap();
        let entries = ops(&house, &owner).await;
        assert_eq!(entries[0], (Op::KeyRevoke, "lost".into()));
        assert_eq!(entries[1], (Op::AuthoritySet, format!("ci revoke {second} lost")));
        let again = authorities::revoke(ctx, &owner, &authority_name("ci"), revoke).await.unwrap();
        assert!(again.log.is_none(), "nothing is left to change");

        let before = authorities::find(ctx, &authority_name("ci")).unwrap().document();
        let house = house.again().await;
        assert_eq!(authorities::find(&house.ctx, &authority_name("ci")).unwrap().document(), before);
        assert_eq!(before.keys[0].id, first);
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_key_verifies_what_it_signed_and_signs_no_more() {
    for house in House::on_both().await {
        make(&house, new("ci")).await;
        let (ctx, owner) = (&house.ctx, house.owner());
        let old = signed(sign(ctx, &owner, "ci", "one").await);
        let name = authority_name("ci");
        let rotate = || Rotate { algorithm: None, not_after: None, of: KeyUse::Tags };
        authorities::rotate(ctx, &owner, &name, rotate()).await.unwrap();
        let new = signed(sign(ctx, &owner, "ci", "two").await);
        assert_ne!(old.key, new.key);
        assert_eq!(status(&house, "ci", &file("one", &old)).await, Status::Valid);
        assert_eq!(status(&house, "ci", &file("two", &new)).await, Status::Valid);
        let retired = keys::get(ctx, &owner, &"tags/ci/1".parse().unwrap()).unwrap();
        assert_eq!((retired.state, retired.formats.unwrap().len()), ("retired", 1));

        let now = ctx.now();
        let past = Rotate { not_after: Some(now - SignedDuration::from_secs(60)), ..rotate() };
        refused(authorities::rotate(ctx, &owner, &name, past).await, "bad-request");
        let soon = Rotate { not_after: Some(now + SignedDuration::from_secs(1)), ..rotate() };
        authorities::rotate(ctx, &owner, &name, soon).await.unwrap();
        assert_eq!(status(&house, "ci", &file("two", &new)).await, Status::Valid);
        tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
        assert_eq!(status(&house, "ci", &file("two", &new)).await, Status::Expired);
        assert_eq!(status(&house, "ci", &file("one", &old)).await, Status::Valid, "only the one before it");
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_key_is_rotated_again_and_again_every_signature_is_made_and_valid() {
    let house = House::new(None).await;
    make(&house, new("ci")).await;
    let signers: Vec<_> = (0..4)
        .map(|n| {
            let (ctx, caller) = (house.ctx.clone(), house.owner());
            tokio::spawn(async move {
                let mut made = Vec::new();
                for i in 0..50 {
                    let text = format!("{n} {i}");
                    made.push((text.clone(), signed(sign(&ctx, &caller, "ci", &text).await)));
                }
                made
            })
        })
        .collect();
    for _ in 0..5 {
        let rotate = Rotate { algorithm: None, not_after: None, of: KeyUse::Tags };
        authorities::rotate(&house.ctx, &house.owner(), &authority_name("ci"), rotate).await.unwrap();
    }
    for signer in signers {
        for (text, signed) in signer.await.unwrap() {
            assert_eq!(status(&house, "ci", &file(&text, &signed)).await, Status::Valid);
        }
    }
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_key_revoked_for_a_time_only_what_the_log_shows_outside_it_stays_good() {
    for house in House::on_both().await {
        make(&house, new("ci")).await;
        let (ctx, owner, name) = (&house.ctx, house.owner(), authority_name("ci"));
        let good = signed(sign(ctx, &owner, "ci", "good").await);
        tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
        let from = ctx.now();
        let bad = signed(sign(ctx, &owner, "ci", "bad").await);
        let revoke = |from, until| Revoke { key: good.key.clone(), reason: "leak".into(), from, until };
        let narrow = revoke(Some(from), None);
        authorities::revoke(ctx, &owner, &name, narrow).await.unwrap();
        assert_eq!(status(&house, "ci", &file("good", &good)).await, Status::Valid);
        assert_eq!(status(&house, "ci", &file("bad", &bad)).await, Status::Revoked);
        refused(sign(ctx, &owner, "ci", "more").await, "revoked");
        refused(authorities::public_pem(ctx, &name, None).map(drop), "gone");

        // Nobody recorded this one: the key signed it elsewhere, as far as anybody can tell.
        let elsewhere = authorities::find(ctx, &name).unwrap();
        let unrecorded = file("good", &good);
        let parsed = TagFile::parse(&unrecorded).unwrap();
        let judged = judge(&parsed, elsewhere.to_verify(), None, ctx.now(), WeakKeys::Refuse);
        assert_eq!(judged.status, Status::Revoked);

        let narrower = revoke(Some(from + SignedDuration::from_secs(1)), None);
        refused(authorities::revoke(ctx, &owner, &name, narrower).await, "exists");
        authorities::revoke(ctx, &owner, &name, revoke(None, None)).await.unwrap();
        assert_eq!(status(&house, "ci", &file("good", &good)).await, Status::Revoked);
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outside_key_is_registered_and_makes_its_authority() {
    for house in House::on_both().await {
        let (ctx, owner, name) = (&house.ctx, house.owner(), authority_name("jenkins"));
        let key = house.key("theirs", "p384").await;
        let pem = keys::public_pem(ctx, &key).unwrap();
        let register =
            |pem: &str| Register { pem: pem.into(), not_before: None, not_after: None, of: KeyUse::Tags };
        let made = authorities::register(ctx, &owner, &name, register(&pem)).await.unwrap().value;
        assert_eq!(made.document().keys[0].algorithm, "ec-p384");
        assert_eq!(authorities::public_pem(ctx, &name, None).unwrap(), pem);
        refused(authorities::register(ctx, &owner, &name, register(&pem)).await, "exists");
        refused(authorities::register(ctx, &owner, &name, register("no key")).await, "bad-request");
        let ed25519 = keys::public_pem(ctx, &house.key("ed", "ed25519").await).unwrap();
        refused(authorities::register(ctx, &owner, &name, register(&ed25519)).await, "bad-request");
        refused(sign(ctx, &owner, "jenkins", "x").await, "not-allowed");

        // A key that is made here signs from now on, and the outside one still counts.
        let rotate = Rotate { algorithm: None, not_after: None, of: KeyUse::Tags };
        authorities::rotate(ctx, &owner, &name, rotate).await.unwrap();
        let signed = signed(sign(ctx, &owner, "jenkins", "x").await);
        let present = authorities::find(ctx, &name).unwrap();
        assert_eq!(present.current(KeyUse::Tags).unwrap().id, signed.key);
        assert_eq!(present.document().keys.len(), 2);
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_key_signs_no_bytes_and_a_key_for_bytes_no_tags() {
    let house = House::new(None).await;
    let (ctx, owner) = (&house.ctx, house.owner());
    make(&house, new("tags-only")).await;
    make(&house, NewAuthority { detached: true, ..new("both") }).await;
    let digest = sha256(b"bytes");
    let of_none = authorities::sign_detached(ctx, &owner, &authority_name("tags-only"), digest).await;
    refused(of_none, "not-allowed");
    let detached = authorities::sign_detached(ctx, &owner, &authority_name("both"), digest).await.unwrap();
    let tag = signed(sign(ctx, &owner, "both", "bytes").await);
    assert_ne!(detached.key, tag.key);
    let both = authorities::find(ctx, &authority_name("both")).unwrap();
    let formats: Vec<_> = [1, 2]
        .map(|n| keys::get(ctx, &owner, &format!("tags/both/{n}").parse().unwrap()).unwrap())
        .into_iter()
        .map(|key| key.formats.unwrap().iter().map(ToString::to_string).collect::<String>())
        .collect();
    assert_eq!(formats, ["tag", "raw"]);
    assert_eq!(both.current(KeyUse::Detached).unwrap().id, detached.key);
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_changes_and_signs_nothing() {
    let house = House::new(None).await;
    make(&house, NewAuthority { principals: Some(vec!["ana".parse().unwrap()]), ..new("ci") }).await;
    let (ctx, name) = (&house.ctx, authority_name("ci"));
    let (ana, bo) = (house.person("ana", &["signer"]).await, house.person("bo", &["signer"]).await);
    let reader = house.person("ray", &["reader"]).await;
    signed(sign(ctx, &ana, "ci", "x").await);
    refused(sign(ctx, &bo, "ci", "x").await, "not-allowed");
    refused(sign(ctx, &reader, "ci", "x").await, "not-allowed");
    refused(sign(ctx, &ana, "nobody", "x").await, "unknown-authority");
    let key = authorities::find(ctx, &name).unwrap().current(KeyUse::Tags).unwrap().id.clone();
    let revoke = Revoke { key, reason: "x".into(), from: None, until: None };
    refused(authorities::revoke(ctx, &ana, &name, revoke).await, "not-allowed");
    refused(authorities::create(ctx, &ana, new("mine")).await, "not-allowed");
    let rotate = Rotate { algorithm: None, not_after: None, of: KeyUse::Tags };
    refused(authorities::rotate(ctx, &ana, &name, rotate).await, "not-allowed");
    let register = Register { pem: String::new(), not_before: None, not_after: None, of: KeyUse::Tags };
    refused(authorities::register(ctx, &ana, &name, register).await, "not-allowed");
    refused(bundle::draft(ctx, &ana).await, "not-allowed");

    let owner = house.owner();
    for bad in ["bundle", "a.pub"] {
        refused(authorities::create(ctx, &owner, new(bad)).await, "bad-name");
    }
    refused(authorities::create(ctx, &owner, new("ci")).await, "exists");
    let ed25519 = NewAuthority { algorithm: KeyType::Ed25519, ..new("ed") };
    refused(authorities::create(ctx, &owner, ed25519).await, "bad-request");
    let names = |names: &[&str]| Some(names.iter().map(|name| name.parse().unwrap()).collect());
    for (threshold, principals) in
        [(0, None), (2, names(&["ana"])), (1, names(&[])), (2, names(&["ana", "ana"])), (101, None)]
    {
        let unreachable = NewAuthority { threshold, principals, ..new("t") };
        refused(authorities::create(ctx, &owner, unreachable).await, "bad-request");
    }
    assert_eq!(authorities::list(ctx).authorities.len(), 1);
    house.end().await;
}

/// An authority `release` that needs two of three.
async fn two_of_three(house: &House) -> [Caller; 3] {
    let people = [
        house.person("ana", &["signer"]).await,
        house.person("bo", &["signer"]).await,
        house.person("cy", &["signer"]).await,
    ];
    let principals = people.iter().map(|caller| caller.identity.principal.clone()).collect();
    make(house, NewAuthority { threshold: 2, principals: Some(principals), ..new("release") }).await;
    people
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_two_is_not_signed_until_the_second_agrees() {
    for house in House::on_both().await {
        let [ana, bo, cy] = two_of_three(&house).await;
        let ctx = &house.ctx;
        let digest = sha256(b"v1\n");
        let request = waiting(sign(ctx, &ana, "release", "v1").await);
        assert_eq!(
            (request.have.as_slice(), request.need, request.state),
            (&["ana".into()][..], 2, "waiting")
        );
        assert_eq!(request.payload_sha256, hex::encode(digest));
        let voice = async |caller, digest: &[u8; 32]| {
            requests::voice(ctx, caller, &request.id, digest, Voice::Approve).await
        };
        assert_eq!(voice(&ana, &digest).await.unwrap().state, "waiting", "one voice a principal");
        refused(voice(&bo, &[0; 32]).await, "precondition-failed");
        let owner = house.owner();
        refused(voice(&owner, &digest).await, "not-allowed");
        let anonymous = requests::get(ctx, None, &request.id).await.unwrap();
        assert_eq!((anonymous.payload, anonymous.signed), (None, None));
        let shown = requests::get(ctx, Some(&cy), &request.id).await.unwrap();
        assert_eq!(shown.payload.as_deref(), Some("v1\n"));

        let done = voice(&bo, &digest).await.unwrap();
        assert_eq!((done.state, done.have.as_slice()), ("signed", &["ana".to_owned(), "bo".into()][..]));
        let text = done.signed.clone().unwrap();
        assert_eq!(status(&house, "release", text.as_bytes()).await, Status::Valid);
        let subject = format!("request {} by ana bo", request.id);
        assert_eq!(ops(&house, &bo).await, [(Op::Sign, subject)]);
        assert_eq!(voice(&cy, &digest).await.unwrap().signed, done.signed, "signed once");
        assert_eq!(requests::get(ctx, None, &request.id).await.unwrap().signed, done.signed);
        refused(requests::get(ctx, None, "nosuch").await, "not-found");
        refused(requests::get(ctx, None, "'; --").await, "not-found");

        // Who asks for the same has said yes to it.
        waiting(sign(ctx, &ana, "release", "v2").await);
        signed(sign(ctx, &cy, "release", "v2").await);
        let detached = authorities::sign_detached(ctx, &ana, &authority_name("release"), digest).await;
        refused(detached, "not-allowed");
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_no_ends_a_request() {
    let house = House::new(None).await;
    let [ana, bo, cy] = two_of_three(&house).await;
    let request = waiting(sign(&house.ctx, &ana, "release", "v1").await);
    let digest = sha256(b"v1\n");
    let voice = async |caller, voice| {
        requests::voice(&house.ctx, caller, &request.id, &digest, voice).await.unwrap().state
    };
    assert_eq!(voice(&bo, Voice::Refuse).await, "refused");
    assert_eq!(voice(&cy, Voice::Approve).await, "refused");
    assert_ne!(waiting(sign(&house.ctx, &ana, "release", "v1").await).id, request.id);
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_voice_of_who_may_no_longer_sign_does_not_count() {
    let house = House::new(None).await;
    let [ana, bo, cy] = two_of_three(&house).await;
    let request = waiting(sign(&house.ctx, &ana, "release", "v1").await);
    principals::disable(&house.ctx, &house.owner(), &name("ana").into()).await.unwrap();
    let digest = sha256(b"v1\n");
    let voice = async |caller| {
        requests::voice(&house.ctx, caller, &request.id, &digest, Voice::Approve).await.unwrap()
    };
    let second = voice(&bo).await;
    assert_eq!((second.state, second.have), ("waiting", vec!["bo".to_owned()]));
    assert_eq!(voice(&cy).await.state, "signed");
    house.end().await;
}

/// Lets many agree at once, on these nodes, and tells how many signatures the logs have for it.
async fn agree_at_once(nodes: &[&House], callers: &[Vec<Caller>], id: &str, digest: [u8; 32]) -> usize {
    let voices: Vec<_> = nodes
        .iter()
        .zip(callers)
        .flat_map(|(house, callers)| callers.iter().map(|caller| (house.ctx.clone(), caller.clone())))
        .map(|(ctx, caller)| {
            let id = id.to_owned();
            tokio::spawn(async move {
                requests::voice(&ctx, &caller, &id, &digest, Voice::Approve).await.unwrap()
            })
        })
        .collect();
    let mut results = BTreeSet::new();
    for voice in voices {
        let document = voice.await.unwrap();
        assert_eq!(document.state, "signed");
        results.insert(document.signed);
    }
    assert_eq!(results.len(), 1, "all see one result");
    let mut signatures = 0;
    for (house, callers) in nodes.iter().zip(callers) {
        for caller in callers {
            signatures += ops(house, caller).await.iter().filter(|(op, _)| *op == Op::Sign).count();
        }
    }
    signatures
}

#[tokio::test(flavor = "multi_thread")]
async fn many_that_agree_at_once_make_one_signature() {
    for house in House::on_both().await {
        let [ana, bo, cy] = two_of_three(&house).await;
        for round in 0..5 {
            let text = format!("v{round}\n");
            let request = waiting(sign(&house.ctx, &ana, "release", &text).await);
            let fresh = |caller: &Caller| house.caller(Arc::clone(&caller.identity));
            let callers = vec![vec![fresh(&bo), fresh(&cy), fresh(&bo), fresh(&cy)]];
            let made = agree_at_once(&[&house], &callers, &request.id, sha256(text.as_bytes())).await;
            assert_eq!(made, 1);
        }
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_where_the_last_voices_come_at_once_make_one_signature() {
    let a = House::new(Some(Database::create().await.unwrap())).await;
    let [ana, bo, cy] = two_of_three(&a).await;
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("host")).unwrap();
    std::fs::copy(a.dir.path().join("host/seal.key"), dir.path().join("host/seal.key")).unwrap();
    let ctx = countersign_core::startup::open(options(dir.path(), a.database.as_ref())).await.unwrap();
    let b = House { dir, ctx, database: None };
    for round in 0..5 {
        let text = format!("v{round}\n");
        let request = waiting(sign(&a.ctx, &ana, "release", &text).await);
        let on_b = b.caller(Arc::clone(&cy.identity));
        let callers = vec![vec![a.caller(Arc::clone(&bo.identity))], vec![on_b]];
        let made = agree_at_once(&[&a, &b], &callers, &request.id, sha256(text.as_bytes())).await;
        assert_eq!(made, 1);
    }
    b.end().await;
    a.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_signer_died_is_signed_by_the_next_voice() {
    for house in House::on_both().await {
        let [ana, bo, _] = two_of_three(&house).await;
        let ctx = &house.ctx;
        let request = waiting(sign(ctx, &ana, "release", "v1").await);
        // Somebody claimed it, signed, and was killed before the result was stored.
        ctx.store().voice_tag_request(&request.id, "bo", Voice::Approve, ctx.now()).await.unwrap();
        let until = ctx.now() + SignedDuration::from_millis(1500);
        assert!(ctx.store().claim_tag_request(&request.id, ctx.now(), until).await.unwrap());
        let house = house.again().await;
        let digest = sha256(b"v1\n");
        let done = requests::voice(&house.ctx, &bo, &request.id, &digest, Voice::Approve).await.unwrap();
        assert_eq!(done.state, "signed");
        assert!(house.ctx.now() >= until, "the one who had it might have been alive");
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_for_a_tag_is_added_to_it_when_it_is_made() {
    for house in House::on_both().await {
        let [ana, bo, _] = two_of_three(&house).await;
        let ctx = &house.ctx;
        let tag: TagName = "app/1.0".parse().unwrap();
        let text = payload("v1");
        let for_tag = ForTag { name: &tag, seen: 0, over_others: OverOthers::Refuse };
        let asked = authorities::sign(ctx, &ana, &authority_name("release"), &text, Some(for_tag)).await;
        let request = waiting(asked);
        assert_eq!(request.tag.as_deref(), Some("app/1.0"));
        requests::voice(ctx, &bo, &request.id, &sha256(b"v1\n"), Voice::Approve).await.unwrap();
        let stored = ctx.store().tag("app/1.0", None).await.unwrap().unwrap();
        assert_eq!(stored.payload, b"v1\n");
        assert_eq!(stored.signatures[0].authority, "release");
        house.end().await;
    }
}

fn read(bundle: &bundle::BundleDocument, root: &str, now: Timestamp) -> countersign_verify::bundle::Content {
    let root = PublicKey::from_pem(root).unwrap();
    countersign_verify::bundle::verify(bundle.document.as_bytes(), &root, now, None, Expired::Refuse).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bundle_is_issued_anew_when_something_has_changed_and_only_then() {
    for house in House::on_both().await {
        let ctx = &house.ctx;
        let empty = bundle::get(ctx).await.unwrap();
        let root = bundle::root_pem(ctx).await.unwrap();
        assert_eq!((empty.version, empty.stale), (1, false));
        assert_eq!(bundle::get(ctx).await.unwrap(), empty);

        let made = make(&house, new("ci")).await;
        let second = bundle::get(ctx).await.unwrap();
        let said = read(&second, &root, ctx.now());
        assert_eq!(said.version, 2);
        assert_eq!(said.expires.duration_since(said.issued), SignedDuration::from_hours(7 * 24));
        assert_eq!(said.authorities[&made.name], *made.to_verify());

        let key = made.current(KeyUse::Tags).unwrap().id.clone();
        let revoke = Revoke { key, reason: "lost".into(), from: None, until: None };
        authorities::revoke(ctx, &house.owner(), &made.name, revoke).await.unwrap();
        let third = bundle::get(ctx).await.unwrap();
        assert_eq!(read(&third, &root, ctx.now()).revocations.len(), 1);
        let house = house.again().await;
        assert_eq!(bundle::get(&house.ctx).await.unwrap(), third, "a restart issues nothing");
        assert_eq!(bundle::root_pem(&house.ctx).await.unwrap(), root);
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_two_authorities_is_revoked_for_both_and_bundles_go_on() {
    for house in House::on_both().await {
        let (ctx, owner) = (&house.ctx, house.owner());
        let pem = keys::public_pem(ctx, &house.key("outside", "p256").await).unwrap();
        let register = async |caller: &Caller, name: &str| {
            let new = Register { pem: pem.clone(), not_before: None, not_after: None, of: KeyUse::Tags };
            authorities::register(ctx, caller, &authority_name(name), new).await
        };
        let key = register(&owner, "a").await.unwrap().value.current(KeyUse::Tags).unwrap().id.clone();
        // Who could revoke it then must be allowed to.
        let narrow = principals::NewToken {
            label: None,
            expires: principals::Expiry::Default,
            actions: None,
            resources: Some(vec!["authority:b".into()]),
        };
        let admin = owner.identity.principal.clone();
        let made = principals::create_token(ctx, &owner, &admin, narrow).await.unwrap().value;
        let of_b = house.bearer(made.token.expose());
        refused(register(&of_b, "b").await, "not-allowed");
        register(&owner, "b").await.unwrap();
        bundle::get(ctx).await.unwrap();

        let revoke = |from| Revoke { key: key.clone(), reason: "leak".into(), from, until: None };
        let caller = house.owner();
        authorities::revoke(ctx, &caller, &authority_name("a"), revoke(Some(ctx.now()))).await.unwrap();
        let subjects: Vec<_> = ops(&house, &caller).await.into_iter().map(|(_, subject)| subject).collect();
        assert!(subjects.iter().any(|subject| subject.starts_with("b revoke ")), "{subjects:?}");
        authorities::revoke(ctx, &owner, &authority_name("b"), revoke(None)).await.unwrap();
        let [a, b] = ["a", "b"].map(|name| authorities::find(ctx, &authority_name(name)).unwrap());
        assert!(a.to_verify().keys[0].revoked.is_some());
        assert_eq!(a.to_verify().keys[0].revoked, b.to_verify().keys[0].revoked);
        refused(register(&owner, "c").await, "revoked");

        let said = bundle::get(ctx).await.unwrap();
        let root = bundle::root_pem(ctx).await.unwrap();
        assert_eq!(read(&said, &root, ctx.now()).revocations.len(), 2);
        assert_eq!(bundle::get(ctx).await.unwrap(), said, "nothing is issued again");
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_has_not_heard_of_a_revocation_issues_no_bundle_without_it() {
    let a = House::new(Some(Database::create().await.unwrap())).await;
    let b = crate::nodes::beside(&a).await;
    for n in 0..4 {
        let made = make(&a, new(&format!("ci{n}"))).await;
        let first = bundle::get(&a.ctx).await.unwrap();
        assert_eq!(bundle::get(&b.ctx).await.unwrap(), first);
        let key = made.current(KeyUse::Tags).unwrap().id.clone();
        let revoke = Revoke { key, reason: "lost".into(), from: None, until: None };
        authorities::revoke(&a.ctx, &a.owner(), &made.name, revoke).await.unwrap();
        let newer = bundle::get(&a.ctx).await.unwrap();
        assert_eq!(bundle::get(&b.ctx).await.unwrap(), newer);
        assert_eq!(newer.version, first.version + 1);
    }
    b.end().await;
    a.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_past_half_of_its_life_is_issued_anew() {
    let mut house = House::new(None).await;
    bundle::get(&house.ctx).await.unwrap();
    let stored = house.ctx.store().authority_bundle().await.unwrap().unwrap();
    for (days, version) in [(3, 1), (4, 2)] {
        let issued = house.ctx.now() - SignedDuration::from_hours(24 * days);
        let old = countersign_store::BundleRecord {
            issued,
            expires: issued + SignedDuration::from_hours(24 * 7),
            ..stored.clone()
        };
        let generation = house.ctx.store().generation().await.unwrap();
        house.ctx.store().put_authority_bundle(1, generation, &old).await.unwrap();
        house = house.again().await;
        assert_eq!(bundle::get(&house.ctx).await.unwrap().version, version, "after {days} days");
    }
    house.end().await;
}
