//! What every answer has, whatever the route. No deployment is needed for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use countersign_server::app::Front;
use countersign_server::auth::Peer;
use countersign_server::metrics::Metrics;
use http::Request;
use http_body_util::BodyExt as _;
use serde_json::Value;

fn front() -> Front {
    let router = Router::new()
        .route("/here", get(|| async { "here" }))
        .route("/there", post(|| async { "there" }))
        .route("/broken", get(broken));
    let next = AtomicU64::new(1);
    let new_id = move || format!("id-{}", next.fetch_add(1, Ordering::Relaxed)).parse().unwrap();
    Front::new(router, Arc::new(Metrics::default()), new_id)
}

async fn broken() -> &'static str {
    panic!("as this test wants it")
}

async fn ask(front: &Front, method: &str, path: &str, id: Option<&str>) -> (http::response::Parts, Vec<u8>) {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(id) = id {
        request = request.header("Countersign-Request-Id", id);
    }
    let response = front.answer(request.body(Body::empty()).unwrap(), Peer::Network).await;
    let (parts, body) = response.into_parts();
    (parts, body.collect().await.unwrap().to_bytes().to_vec())
}

#[tokio::test]
async fn a_path_without_a_route_is_a_problem_with_the_request_id() {
    let (parts, body) = ask(&front(), "GET", "/nowhere", Some("mine.1")).await;
    assert_eq!(parts.status, 404);
    assert_eq!(parts.headers["countersign-request-id"], "mine.1");
    let problem: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(problem["type"], "urn:countersign:problem:not-found");
    assert_eq!(problem["request_id"], "mine.1");
}

#[tokio::test]
async fn a_wrong_method_is_a_problem_that_lists_the_right_ones() {
    let (parts, body) = ask(&front(), "DELETE", "/here", None).await;
    assert_eq!(parts.status, 405);
    assert_eq!(parts.headers["allow"], "GET,HEAD");
    assert_eq!(parts.headers["content-type"], "application/problem+json");
    let problem: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(problem["type"], "urn:countersign:problem:method-not-allowed");
    let (parts, _) = ask(&front(), "GET", "/there", None).await;
    assert_eq!((parts.status.as_u16(), &parts.headers["allow"]), (405, &"POST".parse().unwrap()));
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let (parts, body) = ask(&front(), "HEAD", "/here", None).await;
    assert_eq!((parts.status.as_u16(), body.len()), (200, 0));
    let (parts, body) = ask(&front(), "HEAD", "/nowhere", None).await;
    assert_eq!((parts.status.as_u16(), body.len()), (404, 0));
}

#[tokio::test]
async fn a_panic_is_an_answer_and_says_nothing_of_itself() {
    let (parts, body) = ask(&front(), "GET", "/broken", None).await;
    assert_eq!(parts.status, 500);
    let text = String::from_utf8(body).unwrap();
    assert!(text.contains("urn:countersign:problem:internal") && !text.contains("wants"), "{text}");
}

#[tokio::test]
async fn a_request_id_is_taken_from_the_client_only_if_it_follows_the_grammar() {
    let front = front();
    for (given, kept) in [("a-1_.Z", true), ("a b", false), ("", false), (&"x".repeat(65), false)] {
        let (parts, _) = ask(&front, "GET", "/here", Some(given)).await;
        let answered = parts.headers["countersign-request-id"].to_str().unwrap();
        assert_eq!(answered == given, kept, "{given}");
        assert!(kept || answered.starts_with("id-"), "{answered}");
    }
}
