//! A database of each engine for each test, and records to put in it.

use countersign_store::{KeyRecord, KeyState, PrincipalRecord, Store, StoreConfig};
use countersign_testkit::postgres::Database;
use jiff::Timestamp;
use tempfile::TempDir;

/// An empty database and what keeps it.
pub struct TestStore {
    pub store: Store,
    pub url: String,
    pub postgres: Option<Database>,
    _dir: Option<TempDir>,
}

pub async fn sqlite() -> TestStore {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("countersign.db").display());
    let store = Store::open(&StoreConfig::new(&url)).await.unwrap();
    TestStore { store, url, postgres: None, _dir: Some(dir) }
}

pub async fn postgres() -> TestStore {
    let database = Database::create().await.unwrap();
    let url = database.url.clone();
    let store = Store::open(&StoreConfig::new(&url)).await.unwrap();
    TestStore { store, url, postgres: Some(database), _dir: None }
}

/// Runs a test on an empty database of each engine.
pub async fn on_each_engine(test: impl AsyncFn(&TestStore)) {
    for database in [sqlite().await, postgres().await] {
        // Shown when the test fails.
        #[allow(clippy::print_stdout)]
        {
            println!("on {:?}", database.store.kind());
        }
        test(&database).await;
        database.store.close().await;
    }
}

/// `seconds` after a fixed time.
pub fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

pub fn key(name: &str) -> KeyRecord {
    KeyRecord {
        name: name.into(),
        id: format!("sha256:{name}"),
        key_type: "p256".into(),
        owner: None,
        spki: vec![0x30, 0, 0xff],
        blob: name.as_bytes().into(),
        state: KeyState::Active,
        exportable: false,
        formats: None,
        backend: "soft".into(),
        created: time(0),
        revoked_at: None,
        revoked_reason: None,
    }
}

pub fn principal(name: &str) -> PrincipalRecord {
    PrincipalRecord {
        name: name.into(),
        roles: vec!["signer".into(), "reader".into()],
        created: time(0),
        disabled: false,
    }
}
