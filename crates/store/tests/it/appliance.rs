use countersign_store::{
    ApplianceBatch, CertificateRecord, KeyRecord, KeyState, ListRecord, OpenPgpRecord, RsaRecord, StoreError,
    TreeMemberRecord, TreeRecord,
};

use crate::support::{on_each_engine, time};

fn key(name: &str) -> KeyRecord {
    KeyRecord {
        name: format!("appliance/{name}"),
        id: format!("sha256:{:064x}", name.len()),
        key_type: "rsa-2048".into(),
        owner: Some("appliance".into()),
        spki: name.as_bytes().to_vec(),
        blob: vec![1],
        state: KeyState::Active,
        exportable: true,
        formats: None,
        backend: "soft".into(),
        created: time(1),
        revoked_at: None,
        revoked_reason: None,
    }
}

fn certificate(id: &str) -> CertificateRecord {
    CertificateRecord {
        id: id.into(),
        signing_key: format!("appliance/{id}"),
        der: vec![0x30, 0],
        owner: [7; 16],
        created: time(2),
    }
}

fn list(name: &str, variable: &str) -> ListRecord {
    ListRecord {
        list: name.into(),
        variable: variable.into(),
        esl: vec![1, 2],
        auth: vec![3],
        created: time(3),
    }
}

/// One of everything.
fn whole() -> ApplianceBatch {
    ApplianceBatch {
        keys: vec![key("pk"), key("pgp"), key("rsa"), key("tree")],
        certificates: vec![certificate("pk")],
        lists: vec![list("aa", "PK"), list("aa", "KEK")],
        openpgp: vec![OpenPgpRecord {
            fingerprint: "A".repeat(40),
            signing_key: "appliance/pgp".into(),
            public_key: vec![0x99],
            created: time(4),
        }],
        rsa: vec![RsaRecord { id: "b".repeat(32), signing_key: "appliance/rsa".into(), created: time(5) }],
        trees: vec![TreeRecord {
            id: "c".repeat(32),
            kind: "hab".into(),
            srk_table: vec![0xd7],
            fuses: vec![9; 32],
            created: time(6),
            members: vec![
                TreeMemberRecord {
                    name: "CA1".into(),
                    signing_key: Some("appliance/tree".into()),
                    der: vec![1],
                },
                TreeMemberRecord { name: "SRK1".into(), signing_key: None, der: vec![2] },
            ],
        }],
    }
}

#[tokio::test]
async fn what_one_request_makes_is_read_back_as_it_was() {
    on_each_engine(async |t| {
        let batch = whole();
        t.store.insert_appliance(&batch).await.unwrap();
        assert_eq!(t.store.certificate("pk").await.unwrap().as_ref(), batch.certificates.first());
        assert_eq!(t.store.certificate("none").await.unwrap(), None);
        assert_eq!(t.store.certificates().await.unwrap(), batch.certificates);
        let kek = t.store.certificate_list("aa", "KEK").await.unwrap();
        assert_eq!(kek.as_ref(), batch.lists.get(1));
        assert_eq!(t.store.certificate_list("aa", "db").await.unwrap(), None);
        assert_eq!(t.store.certificate_lists().await.unwrap().len(), 2);
        assert_eq!(t.store.openpgp_keys().await.unwrap(), batch.openpgp);
        assert_eq!(t.store.rsa_keys().await.unwrap(), batch.rsa);
        assert_eq!(t.store.rsa_key(&"b".repeat(32)).await.unwrap().as_ref(), batch.rsa.first());
        assert_eq!(t.store.rsa_key("b").await.unwrap(), None);
        assert_eq!(t.store.trees().await.unwrap(), ["c".repeat(32)]);
        assert_eq!(t.store.tree(&"c".repeat(32)).await.unwrap().as_ref(), batch.trees.first());
        assert_eq!(t.store.key("appliance/pk").await.unwrap(), Some(key("pk")));
    })
    .await;
}

#[tokio::test]
async fn openpgp_keys_are_found_by_the_end_of_their_fingerprint_two_of_an_ambiguous_one() {
    on_each_engine(async |t| {
        let mut batch = whole();
        let first = batch.openpgp[0].clone();
        for head in ["B", "C"] {
            let fingerprint = format!("{head}{}", "A".repeat(39));
            batch.openpgp.push(OpenPgpRecord { fingerprint, ..first.clone() });
        }
        let other = OpenPgpRecord { fingerprint: format!("{}B", "A".repeat(39)), ..first.clone() };
        batch.openpgp.push(other.clone());
        t.store.insert_appliance(&batch).await.unwrap();
        let find = async |digits: &str| t.store.openpgp_keys_ending(digits).await.unwrap();
        assert_eq!(find(&"A".repeat(40)).await, [first]);
        for id in ["AAAAAAAAAAAAAAAB", "AAAAAAAB"] {
            assert_eq!(find(id).await, std::slice::from_ref(&other));
        }
        assert_eq!(find("AAAAAAAA").await.len(), 2, "of three");
        assert!(find("BBBBBBBB").await.is_empty() && find(&"B".repeat(40)).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_name_that_is_taken_leaves_nothing_of_the_request_behind() {
    on_each_engine(async |t| {
        t.store.insert_appliance(&whole()).await.unwrap();
        let other = |name| key(name);
        let taken = [
            ApplianceBatch { keys: vec![other("new"), key("pk")], ..Default::default() },
            ApplianceBatch {
                keys: vec![other("new")],
                certificates: vec![certificate("pk")],
                ..Default::default()
            },
            ApplianceBatch { keys: vec![other("new")], lists: vec![list("aa", "PK")], ..Default::default() },
            ApplianceBatch { keys: vec![other("new")], openpgp: whole().openpgp, ..Default::default() },
            ApplianceBatch { keys: vec![other("new")], rsa: whole().rsa, ..Default::default() },
            ApplianceBatch { keys: vec![other("new")], trees: whole().trees, ..Default::default() },
        ];
        for batch in taken {
            let refused = t.store.insert_appliance(&batch).await;
            assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
            assert_eq!(t.store.key("appliance/new").await.unwrap(), None);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_make_one_certificate_exactly_one_succeeds() {
    on_each_engine(async |t| {
        let tries: Vec<_> = (0..8)
            .map(|_| {
                let store = t.store.clone();
                let batch = ApplianceBatch {
                    keys: vec![key("one")],
                    certificates: vec![certificate("one")],
                    ..Default::default()
                };
                tokio::spawn(async move { store.insert_appliance(&batch).await.is_ok() })
            })
            .collect();
        let mut made = 0;
        for one in tries {
            made += usize::from(one.await.unwrap());
        }
        assert_eq!(made, 1);
    })
    .await;
}
