use std::time::{Duration, Instant};

use countersign_store::{EngineKind, Store, StoreConfig, StoreError};

use crate::support::{key, on_each_engine, postgres, sqlite};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_after_opening_again() {
    on_each_engine(async |t| {
        t.store.insert_key(&key("a")).await.unwrap();
        t.store.close().await;
        let closed = t.store.ping().await.unwrap_err();
        assert!(closed.is_retryable());

        let again = Store::open(&StoreConfig::new(&t.url)).await.unwrap();
        again.ping().await.unwrap();
        assert_eq!(again.key("a").await.unwrap(), Some(key("a")));
        again.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_can_open_a_new_database_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let database = countersign_testkit::postgres::Database::create().await.unwrap();
    for url in [format!("sqlite:{}", dir.path().join("new.db").display()), database.url.clone()] {
        let attempts: Vec<_> = (0..6)
            .map(|n| {
                let config = StoreConfig::new(&url);
                tokio::spawn(async move {
                    let store = Store::open(&config).await.unwrap();
                    store.insert_key(&key(&n.to_string())).await.unwrap();
                    store
                })
            })
            .collect();
        for attempt in attempts {
            attempt.await.unwrap().close().await;
        }
        let store = Store::open(&StoreConfig::new(&url)).await.unwrap();
        assert_eq!(store.all_keys().await.unwrap().len(), 6);
        store.close().await;
    }
}

#[tokio::test]
async fn a_url_that_cannot_work_is_a_matter_of_configuration_and_is_not_shown() {
    for url in [
        "",
        "mysql://h/db",
        "sqlite:",
        "sqlite:/nonexistent/dir/a.db",
        "sqlite:/",
        "postgres://user:hunter2@[bad/db",
        "postgres://user:hunter2@h:99999/db",
    ] {
        let error = Store::open(&StoreConfig::new(url)).await.unwrap_err();
        assert!(matches!(error, StoreError::Configuration { .. }), "{url}: {error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
    let config = StoreConfig::new("postgres://user:hunter2@h/db");
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_corrupt() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    std::fs::write(&path, vec![b'x'; 8192]).unwrap();
    let url = format!("sqlite:{}", path.display());
    let error = Store::open(&StoreConfig::new(url)).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable_within_the_timeout() {
    // A port that nobody listens on, and one that accepts and then says nothing.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for address in [closed, silent.local_addr().unwrap()] {
        let start = Instant::now();
        let url = format!("postgres://postgres@{address}/postgres");
        let error = Store::open(&StoreConfig::new(url)).await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
        assert!(start.elapsed() < Duration::from_secs(20));
    }
}

#[tokio::test]
async fn an_unknown_database_is_a_matter_of_configuration() {
    let t = postgres().await;
    let error = Store::open(&StoreConfig::new(format!("{}_unknown", t.url))).await.unwrap_err();
    assert!(matches!(error, StoreError::Configuration { .. }), "{error}");
}

#[tokio::test]
async fn after_the_server_cut_its_connections_the_store_goes_on() {
    let t = postgres().await;
    assert_eq!(t.store.kind(), EngineKind::Postgres);
    t.store.insert_key(&key("a")).await.unwrap();
    t.postgres.as_ref().unwrap().cut_connections().await.unwrap();
    // The first call may still meet a connection that was cut.
    if let Err(error) = t.store.insert_key(&key("b")).await {
        assert!(error.is_retryable(), "{error}");
        t.store.insert_key(&key("b")).await.unwrap();
    }
    assert_eq!(t.store.all_keys().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    let t = sqlite().await;
    assert_eq!(t.store.kind(), EngineKind::Sqlite);
    t.store.close().await;
    let path = t.url.strip_prefix("sqlite:").unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut connection = sqlx::ConnectOptions::connect(&options).await.unwrap();
    let sql = "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
               values (9999, 'later', 1, x'00', 1)";
    sqlx::query(sql).execute(&mut connection).await.unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    let error = Store::open(&StoreConfig::new(&t.url)).await.unwrap_err();
    assert!(matches!(error, StoreError::Newer { .. }), "{error}");
}
