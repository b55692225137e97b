use countersign_store::StoreError;

use crate::support::on_each_engine;

#[tokio::test]
async fn a_value_put_as_new_never_changes_and_the_same_bytes_again_are_fine() {
    on_each_engine(async |t| {
        assert_eq!(t.store.meta_get("node").await.unwrap(), None);
        t.store.meta_put_new("node", b"a\0\xff").await.unwrap();
        t.store.meta_put_new("node", b"a\0\xff").await.unwrap();
        let other = t.store.meta_put_new("node", b"b").await;
        assert!(matches!(other, Err(StoreError::Conflict { .. })));
        assert_eq!(t.store.meta_get("node").await.unwrap().unwrap(), b"a\0\xff");
    })
    .await;
}

#[tokio::test]
async fn a_value_that_is_set_takes_the_place_of_the_other() {
    on_each_engine(async |t| {
        t.store.meta_set("x", b"1").await.unwrap();
        t.store.meta_set("x", b"").await.unwrap();
        assert_eq!(t.store.meta_get("x").await.unwrap().unwrap(), b"");
    })
    .await;
}

#[tokio::test]
async fn a_text_with_a_nul_is_refused_alike_on_both_engines() {
    on_each_engine(async |t| {
        let result = t.store.meta_set("a\0b", b"").await;
        assert!(matches!(result, Err(StoreError::Unstorable { .. })));
    })
    .await;
}
