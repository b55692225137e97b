//! Tags as they are written by several, hidden and restored.

use countersign_core::tags::authorities::{self, ForTag, NewAuthority, Outcome};
use countersign_core::tags::requests::{self, RequestDocument};
use countersign_core::tags::{self, Belief, Content, Error, OverOthers, TagName, WriteOutcome, Writer};
use countersign_core::{Caller, log};
use countersign_model::KeyType;
use countersign_model::digest::sha256;
use countersign_model::entry::Op;
use countersign_records::tag::Payload;
use countersign_store::Voice;

use crate::support::House;

fn payload(text: &str) -> Payload {
    Payload::new(text).unwrap()
}

fn tag(name: &str) -> TagName {
    name.parse().unwrap()
}

async fn make(house: &House, name: &str, threshold: u32) {
    let new = NewAuthority {
        name: name.parse().unwrap(),
        algorithm: KeyType::P256,
        threshold,
        principals: None,
        detached: false,
    };
    authorities::create(&house.ctx, &house.owner(), new).await.unwrap();
}

/// Three who may sign for `many`, which needs two of them.
async fn three(house: &House) -> [Caller; 3] {
    make(house, "many", 2).await;
    [
        house.person("ana", &["signer"]).await,
        house.person("bo", &["signer"]).await,
        house.person("cy", &["signer"]).await,
    ]
}

/// Asks `many` to sign a text for the tag `app`.
async fn ask(
    house: &House,
    caller: &Caller,
    text: &str,
    seen: u64,
    over_others: OverOthers,
) -> RequestDocument {
    let (name, many) = (tag("app"), "many".parse().unwrap());
    let for_tag = ForTag { name: &name, seen, over_others };
    match authorities::sign(&house.ctx, caller, &many, &payload(text), Some(for_tag)).await.unwrap() {
        Outcome::Waiting(request) => *request,
        Outcome::Signed(signed) => panic!("it is signed: {signed:?}"),
    }
}

async fn approve(house: &House, caller: &Caller, request: &RequestDocument) {
    let digest = hex::decode(&request.payload_sha256).unwrap().try_into().unwrap();
    let done = requests::voice(&house.ctx, caller, &request.id, &digest, Voice::Approve).await.unwrap();
    assert_eq!(done.state, "signed");
}

/// The version of `app` and what it says.
async fn app(house: &House) -> (u64, String) {
    let tag = house.ctx.store().tag("app", None).await.unwrap().unwrap();
    (tag.version, String::from_utf8(tag.payload).unwrap())
}

async fn post(house: &House, name: &str, text: &str, authority: &str) -> WriteOutcome {
    let (content, names) = (Content::Text(payload(text)), vec![authority.parse().unwrap()]);
    let (over, belief) = (OverOthers::NewVersion, Belief::default());
    tags::post(&house.ctx, &house.owner(), &tag(name), &content, names, over, &belief).await.unwrap()
}

async fn file_of(house: &House, name: &str) -> Vec<u8> {
    tags::get(&house.ctx, &tag(name), None).await.unwrap().file
}

async fn ops(house: &House, caller: &Caller) -> Vec<(Op, String)> {
    let found = log::by_request(&house.ctx, &house.owner(), &caller.request_id, None).await.unwrap();
    found.entries.into_iter().map(|e| (e.entry.op, e.entry.subject.unwrap_or_default())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approved_request_puts_its_text_in_the_place_of_what_was_seen_and_of_nothing_else() {
    for house in House::on_both().await {
        let [ana, bo, cy] = three(&house).await;
        let refuse = OverOthers::Refuse;
        let one = ask(&house, &ana, "one", 0, refuse).await;
        approve(&house, &bo, &one).await;
        assert_eq!(app(&house).await, (1, "one\n".into()));
        let two = ask(&house, &ana, "two", 1, refuse).await;
        let late = ask(&house, &ana, "late", 1, refuse).await;
        approve(&house, &bo, &two).await;
        assert_eq!(app(&house).await, (2, "two\n".into()));

        approve(&house, &cy, &one).await;
        approve(&house, &bo, &one).await;
        assert_eq!(app(&house).await, (2, "two\n".into()), "what was signed long ago stays where it is");
        approve(&house, &cy, &late).await;
        assert_eq!(app(&house).await, (2, "two\n".into()), "it was for the version before");
        let again = ask(&house, &ana, "one", 2, refuse).await;
        assert_ne!(again.id, one.id, "to go back takes voices of its own");
        approve(&house, &cy, &again).await;
        assert_eq!(app(&house).await, (3, "one\n".into()));
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approved_request_replaces_what_others_signed_only_if_that_was_asked_for() {
    for house in House::on_both().await {
        let [ana, bo, cy] = three(&house).await;
        make(&house, "other", 1).await;
        post(&house, "app", "one", "other").await;
        let asker = OverOthers::NewVersion;
        let two = ask(&house, &ana, "two", 1, asker).await;
        approve(&house, &bo, &two).await;
        assert_eq!(app(&house).await, (2, "two\n".into()));

        let three = ask(&house, &bo, "three", 2, OverOthers::Refuse).await;
        let listed = NewAuthority {
            name: "closed".parse().unwrap(),
            algorithm: KeyType::P256,
            threshold: 1,
            principals: Some(vec![house.owner().identity.principal.clone()]),
            detached: false,
        };
        authorities::create(&house.ctx, &house.owner(), listed).await.unwrap();
        post(&house, "app", "two", "closed").await;
        approve(&house, &cy, &three).await;
        assert_eq!(app(&house).await, (2, "two\n".into()), "somebody else has signed it meanwhile");
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_an_old_file_or_that_of_another_tag_and_no_credentials_replaces_nothing() {
    for house in House::on_both().await {
        make(&house, "rel", 1).await;
        post(&house, "app", "one", "rel").await;
        let old = file_of(&house, "app").await;
        post(&house, "app", "two", "rel").await;
        post(&house, "other", "three", "rel").await;
        let (name, refuse, belief) = (tag("app"), OverOthers::NewVersion, Belief::default());
        for file in [old, file_of(&house, "other").await] {
            let merged =
                tags::merge(&house.ctx, Writer::SelfSigned, &name, file.clone(), refuse, &belief).await;
            assert!(matches!(merged, Err(Error::Exists(_))), "{merged:?}");
            assert_eq!(app(&house).await, (2, "two\n".into()));
        }
        let present = file_of(&house, "app").await;
        tags::merge(&house.ctx, Writer::SelfSigned, &name, present, refuse, &belief).await.unwrap();
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_says_who_hid_and_restored_and_merged_a_tag() {
    for house in House::on_both().await {
        make(&house, "rel", 1).await;
        post(&house, "app", "one", "rel").await;
        let (ctx, name, belief) = (&house.ctx, tag("app"), Belief::default());
        let ana = house.person("ana", &["signer"]).await;
        let again = || house.caller(std::sync::Arc::clone(&ana.identity));

        let (hides, twice) = (again(), again());
        assert!(tags::hide(ctx, &hides, &name, &belief).await.unwrap().is_some());
        assert_eq!(ops(&house, &hides).await, [(Op::TagWrite, "app hide".to_owned())]);
        assert_eq!(tags::hide(ctx, &twice, &name, &belief).await.unwrap(), None);
        assert_eq!(ops(&house, &twice).await, []);

        let (restores, twice) = (again(), again());
        assert_eq!(tags::restore(ctx, &restores, &name).await.unwrap().logs.len(), 1);
        assert_eq!(ops(&house, &restores).await, [(Op::TagWrite, "app restore".to_owned())]);
        assert_eq!(tags::restore(ctx, &twice, &name).await.unwrap().logs.len(), 0);
        let entry = log::by_request(ctx, &house.owner(), &restores.request_id, None).await.unwrap();
        assert_eq!(entry.entries[0].entry.principal, ana.identity.principal);

        post(&house, "new", "two", "rel").await;
        let file = file_of(&house, "new").await;
        let (merges, twice) = (again(), again());
        for (caller, count) in [(&merges, 1), (&twice, 0)] {
            let over = OverOthers::NewVersion;
            let made =
                tags::merge(ctx, Writer::Caller(caller), &name, file.clone(), over, &belief).await.unwrap();
            assert_eq!((made.tag.version, made.logs.len()), (2, count));
        }
        let what = format!("app merge {}", hex::encode(sha256(b"two\n")));
        assert_eq!(ops(&house, &merges).await, [(Op::TagWrite, what)]);
        assert_eq!(ops(&house, &twice).await, [], "nothing was changed");
        house.end().await;
    }
}
