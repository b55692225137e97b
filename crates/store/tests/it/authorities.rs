use countersign_store::{
    AuthorityKeyRecord, AuthorityRecord, AuthorityRevocation, BundleRecord, KeyEnd, RecordedSignature,
    RecordedTimes, StoreError,
};

use crate::support::{key, on_each_engine, time};

fn authority_key(number: u32) -> AuthorityKeyRecord {
    AuthorityKeyRecord {
        number,
        id: format!("sha256:{number}"),
        spki: vec![0x30, number as u8],
        signing_key: None,
        detached: false,
        not_before: time(0),
        not_after: None,
        revoked: None,
    }
}

fn authority(name: &str) -> AuthorityRecord {
    AuthorityRecord {
        name: name.into(),
        threshold: 1,
        principals: None,
        keys: vec![authority_key(1)],
        created: time(0),
        updated: time(0),
    }
}

fn revocation(at: i64, from: Option<i64>, until: Option<i64>) -> AuthorityRevocation {
    AuthorityRevocation { at: time(at), from: from.map(time), until: until.map(time), reason: "ü".into() }
}

#[tokio::test]
async fn an_authority_is_read_as_it_was_written() {
    on_each_engine(async |t| {
        t.store.insert_key(&key("tags/full/2")).await.unwrap();
        let full = AuthorityRecord {
            threshold: 2,
            principals: Some(vec!["ana".into(), "bo".into()]),
            keys: vec![
                AuthorityKeyRecord { revoked: Some(revocation(3, Some(1), Some(2))), ..authority_key(1) },
                AuthorityKeyRecord {
                    signing_key: Some("tags/full/2".into()),
                    detached: true,
                    not_after: Some(time(9)),
                    ..authority_key(2)
                },
            ],
            ..authority("full")
        };
        let before = t.store.generation().await.unwrap();
        t.store.insert_authority(&full).await.unwrap();
        let zoe = AuthorityRecord { keys: vec![authority_key(7)], ..authority("Zoe") };
        t.store.insert_authority(&zoe).await.unwrap();
        assert_eq!(t.store.generation().await.unwrap(), before + 2);
        assert_eq!(t.store.authority("full").await.unwrap(), Some(full.clone()));
        assert_eq!(t.store.authority("none").await.unwrap(), None);
        assert_eq!(t.store.all_authorities().await.unwrap(), [zoe, full]);
        let again = t.store.insert_authority(&authority("full")).await;
        assert!(matches!(again, Err(StoreError::Conflict { .. })));
    })
    .await;
}

#[tokio::test]
async fn a_new_key_comes_after_the_others_and_may_end_the_one_before() {
    on_each_engine(async |t| {
        t.store.insert_authority(&authority("a")).await.unwrap();
        let end = KeyEnd { number: 1, not_after: time(50) };
        let now = t.store.add_authority_key("a", &authority_key(2), Some(end), time(5)).await.unwrap();
        assert_eq!(now.updated, time(5));
        assert_eq!(now.keys[0].not_after, Some(time(50)));
        assert_eq!(now.keys[1], authority_key(2));
        assert_eq!(t.store.authority("a").await.unwrap(), Some(now));

        let later = KeyEnd { number: 1, not_after: time(60) };
        let now = t.store.add_authority_key("a", &authority_key(3), Some(later), time(6)).await.unwrap();
        assert_eq!(now.keys[0].not_after, Some(time(50)), "an end is not put off");

        let same_id = AuthorityKeyRecord { id: "sha256:1".into(), ..authority_key(4) };
        let same_number = AuthorityKeyRecord { id: "sha256:9".into(), ..authority_key(3) };
        for twice in [same_id, same_number] {
            let refused = t.store.add_authority_key("a", &twice, None, time(7)).await;
            assert!(matches!(refused, Err(StoreError::Conflict { .. })));
        }
        let nobody = t.store.add_authority_key("b", &authority_key(1), None, time(7)).await;
        assert!(matches!(nobody, Err(StoreError::NotFound { .. })));
        assert_eq!(t.store.authority("a").await.unwrap(), Some(now), "refusals leave nothing");
    })
    .await;
}

#[tokio::test]
async fn a_revocation_can_doubt_more_later_and_never_less() {
    on_each_engine(async |t| {
        t.store.insert_authority(&authority("a")).await.unwrap();
        let revoke = async |revocation| {
            t.store.revoke_authority_key("a", "sha256:1", &revocation).await.map(|now| now[0].keys.clone())
        };
        let first = revoke(revocation(10, Some(5), Some(8))).await.unwrap();
        assert_eq!(first[0].revoked, Some(revocation(10, Some(5), Some(8))));

        for (from, until) in [(Some(6), Some(8)), (Some(5), Some(7)), (Some(9), None)] {
            let refused = revoke(revocation(11, from, until)).await;
            assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{from:?} {until:?}");
        }
        for (from, until) in [(Some(4), Some(8)), (Some(4), None), (None, None)] {
            let now = revoke(revocation(12, from, until)).await.unwrap();
            assert_eq!(now[0].revoked, Some(revocation(10, from, until)), "the first time stays");
        }
        assert!(revoke(revocation(13, Some(4), None)).await.is_err());
        let unknown = t.store.revoke_authority_key("a", "sha256:2", &revocation(1, None, None)).await;
        assert!(matches!(unknown, Err(StoreError::NotFound { .. })));
    })
    .await;
}

#[tokio::test]
async fn a_key_is_revoked_for_all_that_have_it_and_taken_in_by_nobody_then() {
    on_each_engine(async |t| {
        for name in ["c", "a", "b"] {
            t.store.insert_authority(&authority(name)).await.unwrap();
        }
        let before = t.store.generation().await.unwrap();
        let now = t.store.revoke_authority_key("b", "sha256:1", &revocation(10, None, None)).await.unwrap();
        assert_eq!(t.store.generation().await.unwrap(), before + 1);
        let names: Vec<_> = now.iter().map(|authority| authority.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert!(now.iter().all(|one| one.keys[0].revoked == Some(revocation(10, None, None))));
        assert_eq!(t.store.all_authorities().await.unwrap(), now);

        let refused = t.store.insert_authority(&authority("d")).await;
        assert!(matches!(refused, Err(StoreError::Conflict { .. })));
        t.store.insert_authority(&AuthorityRecord { keys: vec![], ..authority("e") }).await.unwrap();
        let refused = t.store.add_authority_key("e", &authority_key(1), None, time(11)).await;
        assert!(matches!(refused, Err(StoreError::Conflict { .. })));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_revoked_and_taken_in_at_once_is_revoked_for_both_or_not_taken_in() {
    on_each_engine(async |t| {
        for n in 0..20 {
            let id = format!("sha256:{n}");
            let key = AuthorityKeyRecord { id: id.clone(), ..authority_key(1) };
            let of = |name: &str| AuthorityRecord { keys: vec![key.clone()], ..authority(name) };
            t.store.insert_authority(&of(&format!("a{n}"))).await.unwrap();
            let (store, other) = (t.store.clone(), of(&format!("b{n}")));
            let insert = tokio::spawn(async move { store.insert_authority(&other).await.is_ok() });
            let revoked =
                t.store.revoke_authority_key(&format!("a{n}"), &id, &revocation(1, None, None)).await;
            assert_eq!(revoked.unwrap().len(), 1 + usize::from(insert.await.unwrap()));
        }
    })
    .await;
}

#[tokio::test]
async fn the_version_of_the_bundle_only_grows() {
    on_each_engine(async |t| {
        let bundle = |version| BundleRecord {
            version,
            document: format!("{{\"v\": {version}}}\n"),
            content: [version as u8; 32],
            issued: time(1),
            expires: time(2),
            root: (version > 1).then(|| "PEM".into()),
        };
        assert_eq!(t.store.authority_bundle().await.unwrap(), None);
        let now = t.store.generation().await.unwrap();
        t.store.put_authority_bundle(0, now, &bundle(1)).await.unwrap();
        t.store.put_authority_bundle(1, now, &bundle(5)).await.unwrap();
        for (replaces, version) in [(0, 6), (1, 6), (6, 7), (5, 4)] {
            let refused = t.store.put_authority_bundle(replaces, now, &bundle(version)).await;
            assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{replaces} {version}");
        }
        t.store.insert_authority(&authority("a")).await.unwrap();
        let stale = t.store.put_authority_bundle(5, now, &bundle(6)).await;
        assert!(matches!(stale, Err(StoreError::Conflict { .. })), "it has not the authorities of now");
        assert_eq!(t.store.authority_bundle().await.unwrap(), Some(bundle(5)));
    })
    .await;
}

#[tokio::test]
async fn of_recorded_signatures_the_first_and_the_last_time_are_known() {
    on_each_engine(async |t| {
        let signature = |to_sign: u8, at| RecordedSignature {
            key_id: "sha256:1".into(),
            to_sign: [to_sign; 32],
            at: time(at),
        };
        assert_eq!(t.store.recorded_until("node-a").await.unwrap(), 0);
        let entries = [signature(1, 5), signature(1, 3), signature(1, 4), signature(2, 9)];
        t.store.add_recorded("node-a", 100, &entries).await.unwrap();
        t.store.add_recorded("node-a", 50, &entries).await.unwrap();
        assert_eq!(t.store.recorded_until("node-a").await.unwrap(), 100, "it does not go back");
        assert_eq!(t.store.recorded_until("node-b").await.unwrap(), 0);
        let times = RecordedTimes { first: time(3), last: time(5) };
        assert_eq!(t.store.recorded_times("sha256:1", &[1; 32]).await.unwrap(), Some(times));
        assert_eq!(t.store.recorded_times("sha256:1", &[3; 32]).await.unwrap(), None);
        assert_eq!(t.store.recorded_times("sha256:2", &[1; 32]).await.unwrap(), None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_take_in_the_same_signatures_in_opposite_order_none_is_refused() {
    on_each_engine(async |t| {
        let forth: Vec<_> = (0..200)
            .map(|n| RecordedSignature { key_id: format!("sha256:{n}"), to_sign: [1; 32], at: time(n) })
            .collect();
        let back: Vec<_> = forth.iter().rev().cloned().collect();
        for round in 1..=5 {
            let (store, entries) = (t.store.clone(), back.clone());
            let other = tokio::spawn(async move { store.add_recorded("node-b", round, &entries).await });
            t.store.add_recorded("node-a", round, &forth).await.unwrap();
            other.await.unwrap().unwrap();
        }
    })
    .await;
}
