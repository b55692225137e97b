//! A database that goes away while clients work: they are told to try again, and nothing is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use countersign_testkit::postgres::Database;
use countersign_testkit::server::{Engine, TestServer};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::super::native::{PROGRAM, make_key};
use super::check::check;
use super::clients::Clients;

/// The way to a database, which can be closed.
struct Way {
    /// As [`Database::url`], but over this way.
    url: String,
    open: Arc<AtomicBool>,
    cut: watch::Sender<()>,
}

impl Way {
    async fn to(database: &Database) -> Self {
        let (scheme, rest) = database.url.split_once("://").unwrap();
        let (authority, name) = rest.split_once('/').unwrap();
        let (user, address) = authority.rsplit_once('@').map_or(("", authority), |(user, a)| (user, a));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = if user.is_empty() { "" } else { "@" };
        let url = format!("{scheme}://{user}{at}{}/{name}", listener.local_addr().unwrap());
        let (address, open) = (address.to_owned(), Arc::new(AtomicBool::new(true)));
        let (cut, cuts) = watch::channel(());
        let opened = Arc::clone(&open);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                if !opened.load(Ordering::Relaxed) {
                    continue;
                }
                let (address, mut cuts) = (address.clone(), cuts.clone());
                cuts.mark_unchanged();
                tokio::spawn(async move {
                    let Ok(mut far) = TcpStream::connect(address).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = cuts.changed() => {}
                    }
                });
            }
        });
        Self { url, open, cut }
    }

    fn close(&self) {
        self.open.store(false, Ordering::Relaxed);
        self.cut.send_replace(());
    }

    fn open(&self) {
        self.open.store(true, Ordering::Relaxed);
    }
}

async fn server_over(way: &Way) -> TestServer {
    // The engine of the test server is what it would add by itself.
    let configuration = format!("[storage]\ndatabase = \"{}\"\n", way.url);
    TestServer::start_with(PROGRAM, Engine::Sqlite, &configuration).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_comes_and_goes_loses_no_write() {
    let database = Database::create().await.unwrap();
    let way = Way::to(&database).await;
    let mut server = server_over(&way).await;
    let clients = Clients::start(&server).await;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        database.cut_connections().await.unwrap();
    }
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        way.close();
        tokio::time::sleep(Duration::from_millis(500)).await;
        way.open();
    }
    let ledger = clients.stop().await;
    let report = check(&server, ledger).await;
    println!("the database went away 13 times; {}", report.figures());
    report.assert_clean();
    assert!(report.retries.contains_key("storage-unavailable"), "no client noticed: {:?}", report.retries);
    assert!(server.stop().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_database_the_server_says_so_and_comes_back_by_itself() {
    let database = Database::create().await.unwrap();
    let way = Way::to(&database).await;
    let server = server_over(&way).await;
    make_key(&server, "k", "p256").await;
    way.close();
    let new = json!({"name": "new", "type": "p256"});
    let write = || server.post("/keys", &new);
    let refused = write().await.unwrap();
    assert_eq!((refused.status, refused.problem().as_str()), (503, "storage-unavailable"));
    assert_eq!(refused.header("retry-after"), "1");
    // What is known by heart is answered, and a signature needs no row.
    assert_eq!(server.get("/keys/k").await.unwrap().status, 200);
    assert_eq!(server.post("/keys/k/sign", &json!({"message": ""})).await.unwrap().status, 200);
    way.open();
    let begun = std::time::Instant::now();
    while write().await.unwrap().status != 201 {
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
