use countersign_store::{
    AuthorityRecord, NewTagRequest, Store, StoreError, TagRequestRecord, TagRequestState, Voice,
};

use crate::support::{on_each_engine, time};

async fn make_authority(store: &Store) {
    let authority = AuthorityRecord {
        name: "a".into(),
        threshold: 2,
        principals: None,
        keys: vec![],
        created: time(0),
        updated: time(0),
    };
    store.insert_authority(&authority).await.unwrap();
}

fn new<'a>(id: &'a str, principal: &'a str) -> NewTagRequest<'a> {
    NewTagRequest {
        id,
        authority: "a",
        tag: "",
        seen: 0,
        over_others: false,
        payload: b"x\n",
        payload_sha256: [7; 32],
        need: 2,
        expires: time(100),
        principal,
        most: 3,
    }
}

fn voices(request: &TagRequestRecord) -> Vec<(&str, Voice)> {
    request.voices.iter().map(|voice| (voice.principal.as_str(), voice.voice)).collect()
}

#[tokio::test]
async fn who_asks_for_what_waits_already_adds_a_voice_to_it() {
    on_each_engine(async |t| {
        make_authority(&t.store).await;
        let first = t.store.ask_tag_request(&new("r1", "ana"), time(0)).await.unwrap();
        assert_eq!((first.id.as_str(), first.state), ("r1", TagRequestState::Waiting));
        let again = t.store.ask_tag_request(&new("r2", "ana"), time(1)).await.unwrap();
        assert_eq!(again, first, "one voice a principal");
        let second = t.store.ask_tag_request(&new("r3", "bo"), time(2)).await.unwrap();
        assert_eq!(second.id, "r1");
        assert_eq!(voices(&second), [("ana", Voice::Approve), ("bo", Voice::Approve)]);

        let other_tag = NewTagRequest { tag: "t", ..new("r4", "ana") };
        assert_eq!(t.store.ask_tag_request(&other_tag, time(3)).await.unwrap().id, "r4");
        let other_payload = NewTagRequest { payload_sha256: [8; 32], ..new("r5", "ana") };
        assert_eq!(t.store.ask_tag_request(&other_payload, time(3)).await.unwrap().id, "r5");
        let one_more = NewTagRequest { payload_sha256: [9; 32], ..new("r6", "ana") };
        let refused = t.store.ask_tag_request(&one_more, time(3)).await;
        assert!(matches!(refused, Err(StoreError::Conflict { .. })), "only so many wait");
        assert_eq!(t.store.ask_tag_request(&new("r7", "cy"), time(3)).await.unwrap().id, "r1");
    })
    .await;
}

#[tokio::test]
async fn what_is_asked_for_another_version_is_another_request() {
    on_each_engine(async |t| {
        make_authority(&t.store).await;
        let of = |id, seen, over_others| NewTagRequest { tag: "t", seen, over_others, ..new(id, "ana") };
        let first = t.store.ask_tag_request(&of("r1", 1, false), time(0)).await.unwrap();
        assert_eq!((first.seen, first.over_others), (1, false));
        assert_eq!(t.store.ask_tag_request(&of("r2", 2, false), time(0)).await.unwrap().id, "r2");
        let over = t.store.ask_tag_request(&of("r3", 1, true), time(0)).await.unwrap();
        assert_eq!((over.id.as_str(), over.over_others), ("r1", true));
        let again = t.store.ask_tag_request(&of("r4", 1, false), time(0)).await.unwrap();
        assert_eq!(again, over, "who asked for a new version still does");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_sixteen_that_ask_at_once_only_as_many_as_may_wait_do() {
    on_each_engine(async |t| {
        make_authority(&t.store).await;
        let asked: Vec<_> = (0..16)
            .map(|n| {
                let store = t.store.clone();
                tokio::spawn(async move {
                    let id = format!("r{n}");
                    let new = NewTagRequest { payload_sha256: [n; 32], ..new(&id, "ana") };
                    store.ask_tag_request(&new, time(0)).await.is_ok()
                })
            })
            .collect();
        let mut waiting = 0;
        for task in asked {
            waiting += u32::from(task.await.unwrap());
        }
        assert_eq!(waiting, 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_sixteen_that_ask_at_once_all_have_a_voice_in_one_request() {
    on_each_engine(async |t| {
        make_authority(&t.store).await;
        let asked: Vec<_> = (0..16)
            .map(|n| {
                let store = t.store.clone();
                tokio::spawn(async move {
                    let (id, principal) = (format!("r{n}"), format!("p{n:02}"));
                    store.ask_tag_request(&new(&id, &principal), time(0)).await.unwrap().id
                })
            })
            .collect();
        let mut ids = Vec::new();
        for task in asked {
            ids.push(task.await.unwrap());
        }
        ids.dedup();
        assert_eq!(ids.len(), 1);
        let request = t.store.tag_request(&ids[0], time(1)).await.unwrap().unwrap();
        assert_eq!(request.voices.len(), 16);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_claims_a_request_until_its_time_is_over() {
    on_each_engine(async |t| {
        make_authority(&t.store).await;
        t.store.ask_tag_request(&new("r", "ana"), time(0)).await.unwrap();
        let claims: Vec<_> = (0..16)
            .map(|_| {
                let store = t.store.clone();
                tokio::spawn(async move { store.claim_tag_request("r", time(1), time(20)).await.unwrap() })
            })
            .collect();
        let mut claimed = 0;
        for claim in claims {
            claimed += u32::from(claim.await.unwrap());
        }
        assert_eq!(claimed, 1);

        assert!(!t.store.claim_tag_request("r", time(19), time(40)).await.unwrap());
        assert!(t.store.claim_tag_request("r", time(20), time(40)).await.unwrap(), "whoever had it died");
        t.store.release_tag_request("r", time(20), time(20)).await.unwrap();
        assert!(
            !t.store.claim_tag_request("r", time(21), time(50)).await.unwrap(),
            "not theirs to give back"
        );
        t.store.release_tag_request("r", time(40), time(21)).await.unwrap();
        assert!(t.store.claim_tag_request("r", time(22), time(60)).await.unwrap());

        let done = t.store.complete_tag_request("r", b"signed").await.unwrap();
        assert_eq!((done.state, done.signed.as_deref()), (TagRequestState::Signed, Some(&b"signed"[..])));
        assert_eq!(
            t.store.complete_tag_request("r", b"again").await.unwrap(),
            done,
            "the first result stays"
        );
        assert!(!t.store.claim_tag_request("r", time(70), time(90)).await.unwrap());
        let late = t.store.voice_tag_request("r", "cy", Voice::Refuse, time(71)).await.unwrap();
        assert_eq!(late, done);
    })
    .await;
}

#[tokio::test]
async fn a_no_during_a_signature_ends_the_request_if_there_is_no_signature() {
    on_each_engine(async |t| {
        make_authority(&t.store).await;
        // It fails; or its process dies; or it comes.
        for outcome in ["released", "dead", "signed"] {
            let other = NewTagRequest { tag: outcome, ..new(outcome, "ana") };
            t.store.ask_tag_request(&other, time(0)).await.unwrap();
            assert!(t.store.claim_tag_request(outcome, time(1), time(20)).await.unwrap());
            let refused = t.store.voice_tag_request(outcome, "bo", Voice::Refuse, time(2)).await.unwrap();
            assert_eq!(refused.state, TagRequestState::Waiting, "it is being signed");
        }
        t.store.release_tag_request("released", time(20), time(3)).await.unwrap();
        let done = t.store.complete_tag_request("signed", b"signed").await.unwrap();
        assert_eq!(done.state, TagRequestState::Signed);
        for (id, now) in [("released", 4), ("dead", 20)] {
            assert!(!t.store.claim_tag_request(id, time(now), time(40)).await.unwrap(), "{id}");
            let found = t.store.tag_request(id, time(now)).await.unwrap().unwrap();
            assert_eq!(found.state, TagRequestState::Refused, "{id}");
            let late = t.store.voice_tag_request(id, "cy", Voice::Approve, time(now)).await.unwrap();
            assert_eq!((late.state, late.payload.len()), (TagRequestState::Refused, 0), "{id}");
        }
    })
    .await;
}

#[tokio::test]
async fn one_no_ends_a_request_and_so_does_time() {
    on_each_engine(async |t| {
        make_authority(&t.store).await;
        t.store.ask_tag_request(&new("r1", "ana"), time(0)).await.unwrap();
        let same = t.store.voice_tag_request("r1", "ana", Voice::Refuse, time(1)).await.unwrap();
        assert_eq!(same.state, TagRequestState::Waiting, "the first word of each counts");
        let ended = t.store.voice_tag_request("r1", "bo", Voice::Refuse, time(1)).await.unwrap();
        assert_eq!((ended.state, ended.payload.len()), (TagRequestState::Refused, 0), "and is forgotten");
        assert_eq!(t.store.voice_tag_request("r1", "cy", Voice::Approve, time(2)).await.unwrap(), ended);

        let next = t.store.ask_tag_request(&new("r2", "ana"), time(3)).await.unwrap();
        assert_eq!(next.id, "r2", "what was refused can be asked for again");
        assert!(!t.store.claim_tag_request("r2", time(100), time(120)).await.unwrap());
        let late = t.store.tag_request("r2", time(100)).await.unwrap().unwrap();
        assert_eq!(late.state, TagRequestState::Expired);
        let late = t.store.voice_tag_request("r2", "bo", Voice::Approve, time(100)).await.unwrap();
        assert_eq!((late.state, late.voices.len()), (TagRequestState::Expired, 1));
        let new = NewTagRequest { expires: time(300), ..new("r3", "ana") };
        assert_eq!(t.store.ask_tag_request(&new, time(101)).await.unwrap().id, "r3");

        assert_eq!(t.store.remove_tag_requests(time(200)).await.unwrap(), 2);
        assert_eq!(t.store.remove_tag_requests(time(200)).await.unwrap(), 0);
        assert_eq!(t.store.tag_request("r1", time(102)).await.unwrap(), None);
        assert!(t.store.tag_request("r3", time(102)).await.unwrap().is_some());
        let unknown = t.store.voice_tag_request("r1", "bo", Voice::Approve, time(102)).await;
        assert!(matches!(unknown, Err(StoreError::NotFound { .. })));
    })
    .await;
}
