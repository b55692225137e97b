use std::collections::BTreeSet;

use countersign_store::{HawkRequest, Store, StoreConfig};
use jiff::Timestamp;

use crate::support::on_each_engine;

fn request(stamped: i64, id: &str, nonce: &str) -> HawkRequest {
    HawkRequest { stamped, id: id.into(), nonce: nonce.into() }
}

/// The databases here are younger than this.
fn now() -> i64 {
    Timestamp::now().as_second() + 1
}

#[tokio::test]
async fn a_request_is_claimed_once_and_another_time_nonce_or_id_makes_another_request() {
    on_each_engine(async |t| {
        let at = now();
        let first = request(at, "ana", "n");
        let others = [request(at + 1, "ana", "n"), request(at, "bo", "n"), request(at, "ana", "N")];
        assert_eq!(t.store.claim_hawk_requests(std::slice::from_ref(&first)).await.unwrap(), [true]);
        assert_eq!(t.store.claim_hawk_requests(&others).await.unwrap(), [true; 3]);
        assert_eq!(t.store.claim_hawk_requests(&[first]).await.unwrap(), [false]);
        assert_eq!(t.store.claim_hawk_requests(&[]).await.unwrap(), [] as [bool; 0]);
    })
    .await;
}

#[tokio::test]
async fn of_several_alike_in_one_write_only_the_first_is_claimed() {
    on_each_engine(async |t| {
        let at = now();
        let (a, b) = (request(at, "ana", "\"quoted\" 'n' \\"), request(at, "ana", "b"));
        let requests = [b.clone(), a.clone(), a.clone(), b.clone(), a.clone()];
        let claimed = t.store.claim_hawk_requests(&requests).await.unwrap();
        assert_eq!(claimed, [true, true, false, false, false]);
        assert_eq!(t.store.claim_hawk_requests(&[a, b]).await.unwrap(), [false, false]);
    })
    .await;
}

#[tokio::test]
async fn of_many_who_claim_at_once_on_two_nodes_one_gets_it() {
    on_each_engine(async |t| {
        let at = now();
        let other = Store::open(&StoreConfig::new(&t.url)).await.unwrap();
        let mut racers = Vec::new();
        for i in 0..40 {
            let store = if i % 2 == 0 { t.store.clone() } else { other.clone() };
            // In opposite orders, so that they would wait for each other in a circle.
            let mut requests = vec![request(at, "ana", "x"), request(at, "bo", "y"), request(at, "cy", "z")];
            if i % 3 == 0 {
                requests.reverse();
            }
            racers.push(tokio::spawn(async move {
                let claimed = store.claim_hawk_requests(&requests).await.unwrap();
                requests.into_iter().zip(claimed).filter(|(_, claimed)| *claimed).map(|(r, _)| r.id).collect()
            }));
        }
        let mut winners: Vec<String> = Vec::new();
        for racer in racers {
            let won: Vec<String> = racer.await.unwrap();
            winners.extend(won);
        }
        winners.sort();
        assert_eq!(winners, ["ana", "bo", "cy"]);
        other.close().await;
    })
    .await;
}

#[tokio::test]
async fn what_was_forgotten_is_refused_and_the_horizon_never_goes_back() {
    on_each_engine(async |t| {
        let at = now();
        let (old, new) = (request(at, "ana", "n"), request(at + 100, "ana", "n"));
        assert_eq!(t.store.claim_hawk_requests(&[old.clone(), new.clone()]).await.unwrap(), [true, true]);
        t.store.forget_hawk_requests(at + 50).await.unwrap();
        t.store.forget_hawk_requests(at - 1000).await.unwrap();
        let again = [old, request(at, "ana", "never seen"), new, request(at + 50, "ana", "n")];
        assert_eq!(t.store.claim_hawk_requests(&again).await.unwrap(), [false, false, false, true]);
    })
    .await;
}

#[tokio::test]
async fn a_database_refuses_what_is_older_than_itself_also_after_a_restore() {
    on_each_engine(async |t| {
        let before = request(Timestamp::now().as_second() - 120, "ana", "n");
        assert_eq!(t.store.claim_hawk_requests(&[before]).await.unwrap(), [false]);
        let mut export = t.store.export().await.unwrap();
        let mut tables = BTreeSet::new();
        while let Some(line) = export.next_line().await.unwrap() {
            tables.extend(line.rsplit_once("\"table\":").map(|(_, table)| table.to_owned()));
        }
        assert!(tables.iter().all(|table| !table.contains("hawk")), "{tables:?}");
    })
    .await;
}
