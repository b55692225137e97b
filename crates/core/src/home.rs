//! What the key host asks at each start: data keys, and how far the log must be.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use countersign_keyhost::client::Home;
use countersign_keyhost::wire::{Hello, KnownHead, Secret, VERSION, Welcome, WrappedDataKey};
use countersign_model::Name;
use countersign_store::{DataKey, Store, StoreError};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Answers the key host from the database.
pub(crate) struct StoreHome {
    pub store: Store,
    pub node: Name,
    /// Given once and not kept: after a death of the key host it must be typed again.
    pub passphrase: Mutex<Option<Secret>>,
}

/// The first data key of a deployment, as it is written before it is in its table. Of nodes that start
/// together only one can write this.
#[derive(Serialize, Deserialize)]
struct FirstDataKey {
    id: String,
    wrapped: Vec<u8>,
    created: Timestamp,
}

const FIRST_DATA_KEY: &str = "first-data-key";

impl StoreHome {
    /// All data keys. The first one may have been announced by a node that died before it was stored.
    async fn data_keys(&self) -> Result<Vec<DataKey>, StoreError> {
        let keys = self.store.data_keys().await?;
        if !keys.is_empty() {
            return Ok(keys);
        }
        let Some(announced) = self.store.meta_get(FIRST_DATA_KEY).await? else { return Ok(keys) };
        let first: FirstDataKey = serde_json::from_slice(&announced)
            .map_err(|_| StoreError::Corrupt { what: "the first data key".into() })?;
        let key = DataKey { id: first.id, wrapped: first.wrapped, created: first.created };
        match self.store.add_data_key(&key).await {
            Ok(()) => Ok(vec![key]),
            Err(StoreError::Conflict { .. }) => self.store.data_keys().await,
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Home for StoreHome {
    async fn hello(&self) -> Result<Hello, String> {
        let data_keys = self.data_keys().await.map_err(|e| e.to_string())?;
        let head = self.store.log_head(self.node.as_str()).await.map_err(|e| e.to_string())?;
        let wrapped = |key: DataKey| WrappedDataKey { id: key.id, wrapped: key.wrapped };
        Ok(Hello {
            version: VERSION,
            origin: self.node.clone(),
            data_keys: data_keys.into_iter().map(wrapped).collect(),
            known_head: head.map(|head| KnownHead { size: head.size, root: head.root }),
            passphrase: self.passphrase.lock().unwrap_or_else(PoisonError::into_inner).take(),
        })
    }

    async fn welcomed(&self, welcome: &Welcome) -> Result<(), String> {
        let Some(new) = &welcome.new_data_key else { return Ok(()) };
        let first =
            FirstDataKey { id: new.id.clone(), wrapped: new.wrapped.clone(), created: Timestamp::now() };
        let announced = serde_json::to_vec(&first).map_err(|e| e.to_string())?;
        match self.store.meta_put_new(FIRST_DATA_KEY, &announced).await {
            Ok(()) => {}
            Err(StoreError::Conflict { .. }) => return Err(ANOTHER_WAS_FIRST.into()),
            Err(error) => return Err(error.to_string()),
        }
        let key = DataKey { id: first.id, wrapped: first.wrapped, created: first.created };
        self.store.add_data_key(&key).await.map_err(|e| e.to_string())
    }
}

const ANOTHER_WAS_FIRST: &str = "another node has made the keys of this deployment meanwhile: \
    copy its seal key to this node, then start again";
