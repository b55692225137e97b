use countersign_store::{DataKey, StoreError};

use crate::support::{on_each_engine, time};

fn data_key(id: &str, wrapped: u8) -> DataKey {
    DataKey { id: id.into(), wrapped: vec![wrapped; 60], created: time(0) }
}

#[tokio::test]
async fn all_data_keys_are_replaced_at_once_or_none() {
    on_each_engine(async |t| {
        t.store.add_data_key(&data_key("1", 1)).await.unwrap();
        t.store.add_data_key(&data_key("2", 2)).await.unwrap();
        let twice = t.store.add_data_key(&data_key("2", 3)).await;
        assert!(matches!(twice, Err(StoreError::Conflict { .. })));

        // One that was added since is not forgotten, nor one made up or given twice.
        for wrong in [
            vec![data_key("1", 9)],
            vec![data_key("1", 9), data_key("3", 9)],
            vec![data_key("1", 9), data_key("2", 9), data_key("3", 9)],
        ] {
            let result = t.store.replace_data_keys(&wrong).await;
            assert!(matches!(result, Err(StoreError::Conflict { .. })));
        }
        let before = t.store.data_keys().await.unwrap();
        assert_eq!(before, [data_key("1", 1), data_key("2", 2)]);

        let after = [data_key("1", 11), data_key("2", 12)];
        t.store.replace_data_keys(&after).await.unwrap();
        assert_eq!(t.store.data_keys().await.unwrap(), after);
    })
    .await;
}
