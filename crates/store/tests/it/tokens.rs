use countersign_store::{StoreError, TokenKind, TokenRecord};

use crate::support::{on_each_engine, principal, time};

fn token(id: &str) -> TokenRecord {
    TokenRecord {
        id: id.into(),
        principal: "ana".into(),
        kind: TokenKind::Token,
        hash: vec![7; 32],
        sealed: None,
        label: None,
        created: time(0),
        expires: None,
        last_used: None,
        revoked: None,
        actions: None,
        resources: None,
    }
}

#[tokio::test]
async fn a_credential_is_read_as_it_was_written() {
    on_each_engine(async |t| {
        t.store.insert_principal(&principal("ana")).await.unwrap();
        let hawk = TokenRecord {
            kind: TokenKind::Hawk,
            hash: vec![],
            sealed: Some(vec![1, 2, 3]),
            label: Some("ci".into()),
            created: time(1),
            expires: Some(time(9)),
            last_used: Some(time(2)),
            revoked: Some(time(3)),
            actions: Some(vec!["key:sign".into()]),
            resources: Some(vec!["key:a*".into()]),
            ..token("b")
        };
        t.store.insert_token(&hawk).await.unwrap();
        t.store.insert_token(&token("a")).await.unwrap();
        assert_eq!(t.store.token("b").await.unwrap(), Some(hawk.clone()));
        assert_eq!(t.store.tokens_of("ana").await.unwrap(), [token("a"), hawk]);
        assert_eq!(t.store.token("c").await.unwrap(), None);
        assert!(t.store.tokens_of("bo").await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_credential_needs_its_principal_and_an_id_of_its_own() {
    on_each_engine(async |t| {
        let orphan = t.store.insert_token(&token("a")).await;
        assert!(matches!(orphan, Err(StoreError::NotFound { what }) if what == "principal `ana`"));
        t.store.insert_principal(&principal("ana")).await.unwrap();
        t.store.insert_token(&token("a")).await.unwrap();
        let again = t.store.insert_token(&token("a")).await;
        assert!(matches!(again, Err(StoreError::Conflict { .. })));
    })
    .await;
}

#[tokio::test]
async fn only_credentials_neither_revoked_nor_expired_are_live() {
    on_each_engine(async |t| {
        t.store.insert_principal(&principal("ana")).await.unwrap();
        for record in [
            token("forever"),
            TokenRecord { expires: Some(time(10)), ..token("later") },
            TokenRecord { expires: Some(time(5)), ..token("now") },
            token("revoked"),
        ] {
            t.store.insert_token(&record).await.unwrap();
        }
        assert!(t.store.revoke_token("revoked", time(4)).await.unwrap());
        assert!(t.store.revoke_token("revoked", time(6)).await.unwrap());
        assert!(!t.store.revoke_token("unknown", time(6)).await.unwrap());
        assert_eq!(t.store.token("revoked").await.unwrap().unwrap().revoked, Some(time(4)));

        let live = t.store.live_tokens(time(5)).await.unwrap();
        let ids: Vec<_> = live.iter().map(|token| token.id.as_str()).collect();
        assert_eq!(ids, ["forever", "later"]);
    })
    .await;
}

#[tokio::test]
async fn the_last_use_never_goes_back_and_is_no_change_for_the_other_nodes() {
    on_each_engine(async |t| {
        t.store.insert_principal(&principal("ana")).await.unwrap();
        t.store.insert_token(&token("a")).await.unwrap();
        t.store.insert_token(&token("b")).await.unwrap();
        let before = t.store.generation().await.unwrap();
        let uses = [("b".into(), time(3)), ("a".into(), time(2)), ("gone".into(), time(1))];
        t.store.touch_tokens(&uses).await.unwrap();
        t.store.touch_tokens(&[("b".into(), time(1))]).await.unwrap();
        t.store.touch_tokens(&[]).await.unwrap();
        assert_eq!(t.store.token("a").await.unwrap().unwrap().last_used, Some(time(2)));
        assert_eq!(t.store.token("b").await.unwrap().unwrap().last_used, Some(time(3)));
        assert_eq!(t.store.generation().await.unwrap(), before);
    })
    .await;
}
