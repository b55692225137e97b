//! Of one request only one copy is answered: at once, after a restart, on all nodes.

use std::sync::Arc;

use countersign_core::SealSource;
use serde_json::json;

use super::client::{Pair, Signing, input, refused};
use crate::support::House;

fn body() -> String {
    json!([input(b"some data that is long enough", "content")]).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_fifty_copies_that_come_at_once_one_is_answered() {
    for house in House::on_both("").await {
        house.key("content", "p384").await;
        let pair = Pair::new(&house, "ana", &["signer"]).await;
        let (body, house) = (body(), Arc::new(house));
        let copy = Signing::post(&pair, "/sign/data", body.clone());
        let (header, artifacts) = (copy.header(), copy.artifacts.clone());
        let mut copies = Vec::new();
        for _ in 0..50 {
            let (house, pair, body) = (Arc::clone(&house), pair.clone(), body.clone());
            let (header, artifacts) = (header.clone(), artifacts.clone());
            copies.push(tokio::spawn(async move {
                let copy = Signing { artifacts, ..Signing::post(&pair, "/sign/data", body) };
                copy.send_with(&house, &header).await.status.as_u16()
            }));
        }
        let mut statuses = Vec::new();
        for copy in copies {
            statuses.push(copy.await.unwrap());
        }
        statuses.sort_unstable();
        assert_eq!((statuses[0], &statuses[1..]), (201, [401; 49].as_slice()));

        // Others with the same nonce are other requests.
        let mut other = Signing::post(&pair, "/sign/data", body);
        other.artifacts.nonce = artifacts.nonce;
        other.artifacts.ts = artifacts.ts + 1;
        other.send(&house).await.expect(201);
    }
}

#[tokio::test]
async fn a_copy_is_refused_after_a_restart_and_a_request_with_a_wrong_body_takes_nothing_away() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::over(dir.path(), "", SealSource::File, None).await;
    house.key("content", "p384").await;
    let pair = Pair::new(&house, "ana", &["signer"]).await;
    let request = Signing::post(&pair, "/sign/data", body());
    let header = request.header();
    let forged = Signing::post(&pair, "/sign/data", "[{\"input\":\"AAAA\"}]");
    refused(&forged.send_with(&house, &header).await, 401);
    request.send_with(&house, &header).await.expect(201);
    house.close().await;

    let house = House::over(dir.path(), "", SealSource::File, None).await;
    refused(&request.send_with(&house, &header).await, 401);
    Signing::post(&pair, "/sign/data", body()).send(&house).await.expect(201);
    house.close().await;
}

#[tokio::test]
async fn two_nodes_on_one_database_answer_a_request_once() {
    let (one, other) = House::two_nodes().await;
    one.key("content", "p384").await;
    let pair = Pair::new(&one, "ana", &["signer"]).await;
    // The other node learns of key and pair within half a second.
    let mut waited = 0;
    while Signing::post(&pair, "/sign/data", body()).send(&other).await.status != 201 {
        assert!(waited < 100, "the other node does not learn of the pair");
        waited += 1;
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let request = Signing::post(&pair, "/sign/data", body());
    let header = request.header();
    let (a, b) = tokio::join!(request.send_with(&one, &header), request.send_with(&other, &header));
    let mut statuses = [a.status.as_u16(), b.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 401]);
    one.close().await;
    other.close().await;
}
