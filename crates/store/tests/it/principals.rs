use countersign_store::{PrincipalRecord, StoreError};

use crate::support::{on_each_engine, principal};

#[tokio::test]
async fn a_principal_is_made_once_and_can_be_disabled() {
    on_each_engine(async |t| {
        let none = PrincipalRecord { roles: vec![], ..principal("bo") };
        t.store.insert_principal(&none).await.unwrap();
        t.store.insert_principal(&principal("ana")).await.unwrap();
        let again = t.store.insert_principal(&principal("ana")).await;
        assert!(matches!(again, Err(StoreError::Conflict { .. })));

        let before = t.store.generation().await.unwrap();
        let disabled = PrincipalRecord { disabled: true, ..principal("ana") };
        assert_eq!(t.store.disable_principal("ana").await.unwrap(), disabled);
        assert_eq!(t.store.disable_principal("ana").await.unwrap(), disabled);
        assert_eq!(t.store.generation().await.unwrap(), before + 1);
        assert_eq!(t.store.principal("ana").await.unwrap(), Some(disabled.clone()));

        assert_eq!(t.store.all_principals().await.unwrap(), [disabled.clone(), none.clone()]);
        assert_eq!(t.store.principals(None, 1).await.unwrap(), [disabled]);
        assert_eq!(t.store.principals(Some("ana"), 1).await.unwrap(), [none]);
        let unknown = t.store.disable_principal("cy").await;
        assert!(matches!(unknown, Err(StoreError::NotFound { .. })));
    })
    .await;
}
