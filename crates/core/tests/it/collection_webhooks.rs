//! Webhooks: told of what was committed, until somebody listens.

use std::sync::{Arc, Mutex};

use countersign_core::Context;
use countersign_core::collections::outside::{
    Answering, HttpAnswer, HttpClient, HttpError, HttpMethod, HttpRequest,
};
use countersign_core::collections::settings::WebhookSettings;
use countersign_core::collections::webhook::{self, Counts};
use countersign_core::collections::{Error, Settings};
use countersign_core::startup;
use countersign_store::{NewTask, TaskState};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::collection_signing_site::{Site, settings};
use crate::support::{Database, House, options};

/// A receiver that answers as it is told.
#[derive(Debug, Default)]
struct Receiver {
    posted: Mutex<Vec<HttpRequest>>,
    /// What it answers from now on; 204 if nothing is said.
    status: Mutex<Option<Result<u16, HttpError>>>,
}

impl HttpClient for Receiver {
    fn send(&self, request: HttpRequest) -> Answering<'_> {
        self.posted.lock().unwrap().push(request);
        let status = self.status.lock().unwrap().clone().unwrap_or(Ok(204));
        Box::pin(async move { status.map(|status| HttpAnswer { status, body: Vec::new() }) })
    }
}

impl Receiver {
    fn taken(&self) -> Vec<HttpRequest> {
        std::mem::take(&mut *self.posted.lock().unwrap())
    }

    fn answers(&self, status: Result<u16, HttpError>) {
        *self.status.lock().unwrap() = Some(status);
    }
}

fn hook(url: &str, events: &[&str]) -> WebhookSettings {
    let events = events.iter().map(|event| (*event).to_owned()).collect();
    WebhookSettings { url: url.into(), secret: "s3cret".to_owned().into(), events }
}

async fn house(database: Option<Database>, webhooks: Vec<WebhookSettings>) -> (House, Arc<Receiver>) {
    let receiver = Arc::new(Receiver::default());
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path(), database.as_ref());
    options.collections = Settings { webhooks, ..settings() };
    options.http = Some(Arc::clone(&receiver) as _);
    let ctx = startup::open(options).await.unwrap();
    (House { dir, ctx, database }, receiver)
}

/// A source whose review can be asked for, with a change in it.
async fn source(site: &Site) -> String {
    let source = site.make("staging").await;
    for group in ["editors", "reviewers"] {
        let members = json!({"members": ["account:ed", "account:rev"]});
        site.put(&site.admin(), &format!("/buckets/staging/groups/c-{group}"), members).await;
    }
    site.put(&site.user("ed"), &format!("{source}/records/r"), json!({"a": 1})).await;
    source
}

async fn ask_for_review(site: &Site, source: &str) -> Result<Value, Error> {
    let change = json!({"status": "to-review", "last_editor_comment": "please"});
    site.patch(&site.user("ed"), source, change).await
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> &'a str {
    request.headers.iter().find(|(one, _)| *one == name).map(|(_, value)| value.as_str()).unwrap()
}

/// Waits, since the worker of the deployment posts too.
async fn settled(ctx: &Context) {
    for _ in 0..200 {
        webhook::deliver_due(ctx).await.unwrap();
        let tasks = ctx.store().tasks(0, 100).await.unwrap();
        if tasks.iter().all(|task| task.lease.is_none()) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("an event is still being posted");
}

#[tokio::test]
async fn an_event_is_posted_signed_to_those_who_want_it() {
    for database in [None, Some(Database::create().await.unwrap())] {
        let hooks = vec![hook("https://a/x", &[]), hook("https://b/", &["ReviewApproved"])];
        let (house, receiver) = house(database, hooks).await;
        let site = Site::of(&house);
        let source = source(&site).await;
        ask_for_review(&site, &source).await.unwrap();
        settled(&house.ctx).await;
        let posted = receiver.taken();
        assert_eq!(posted.len(), 1, "{posted:?}");
        let request = &posted[0];
        assert_eq!((request.method, request.url.as_str()), (HttpMethod::Post, "https://a/x"));
        assert_eq!(header(request, "Countersign-Event"), "ReviewRequested");
        let timestamp: i64 = header(request, "Countersign-Timestamp").parse().unwrap();
        assert!((Timestamp::now().as_second() - timestamp).abs() < 60);
        let signed = webhook::signature(b"s3cret", timestamp, &request.body);
        assert_eq!(header(request, "Countersign-Signature"), signed);
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(body["id"], header(request, "Countersign-Delivery"));
        assert!(body["time"].as_str().unwrap().parse::<Timestamp>().is_ok());
        for (name, value) in [
            ("event", json!("ReviewRequested")),
            ("bucket", json!("staging")),
            ("collection", json!("c")),
            ("user", json!("account:ed")),
            ("comment", json!("please")),
            ("changes_count", json!(1)),
            ("destination", json!("/buckets/prod/collections/c")),
        ] {
            assert_eq!(body[name], value, "{name}");
        }
        assert!(body["changes_size_bytes"].as_u64().unwrap() > 10);

        site.status(&site.user("rev"), &source, "to-sign").await.unwrap();
        settled(&house.ctx).await;
        let mut urls: Vec<_> = receiver.taken().into_iter().map(|request| request.url).collect();
        urls.sort();
        assert_eq!(urls, ["https://a/x", "https://b/"]);
        assert_eq!(webhook::counts(&house.ctx), Counts { delivered: 3, failed: 0, dropped: 0 });
        house.end().await;
    }
}

#[tokio::test]
async fn what_was_refused_is_told_to_nobody() {
    let (house, receiver) = house(None, vec![hook("https://a/", &[])]).await;
    let site = Site::of(&house);
    let source = source(&site).await;
    let stranger = site.user("eve");
    assert!(site.status(&stranger, &source, "to-review").await.is_err());
    assert!(site.status(&site.user("rev"), &source, "to-sign").await.is_err());
    settled(&house.ctx).await;
    assert!(receiver.taken().is_empty());
    house.end().await;
}

#[tokio::test]
async fn an_event_that_nobody_takes_is_posted_again_later_under_the_same_id() {
    let (house, receiver) = house(None, vec![hook("https://a/", &[])]).await;
    let site = Site::of(&house);
    let source = source(&site).await;
    receiver.answers(Ok(500));
    ask_for_review(&site, &source).await.unwrap();
    settled(&house.ctx).await;
    let first = receiver.taken();
    assert_eq!(first.len(), 1);
    let waiting = |tasks: Vec<countersign_store::TaskRecord>| {
        tasks.into_iter().find(|task| task.queue == "collection-webhook").unwrap()
    };
    let task = waiting(house.ctx.store().tasks(0, 100).await.unwrap());
    assert_eq!((task.state, task.error.as_deref()), (TaskState::Waiting, Some("the receiver answered 500")));
    let pause = task.run_at.duration_since(Timestamp::now());
    assert!((SignedDuration::from_secs(1)..SignedDuration::from_secs(6)).contains(&pause), "{pause}");

    receiver.answers(Err(HttpError::TimedOut));
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    settled(&house.ctx).await;
    receiver.answers(Ok(200));
    let again = receiver.taken();
    assert_eq!(again.len(), 1);
    assert_eq!(header(&again[0], "Countersign-Delivery"), header(&first[0], "Countersign-Delivery"));
    assert_eq!(again[0].body, first[0].body);
    assert_eq!(webhook::counts(&house.ctx).failed, 2);
    house.end().await;
}

#[tokio::test]
async fn too_many_events_that_wait_are_dropped_and_never_stop_a_review() {
    let (house, _) = house(None, vec![hook("https://a/", &[])]).await;
    let site = Site::of(&house);
    let source = source(&site).await;
    let mut tx = house.ctx.store().collections_write().await.unwrap();
    let later = Timestamp::now() + SignedDuration::from_hours(1);
    let task = NewTask {
        queue: "collection-webhook".into(),
        key: None,
        payload: "{}".into(),
        run_at: later,
        max_attempts: 1,
    };
    for _ in 0..webhook::MOST_WAITING {
        tx.enqueue(&task, later).await.unwrap();
    }
    tx.commit().await.unwrap();
    ask_for_review(&site, &source).await.unwrap();
    assert_eq!(webhook::counts(&house.ctx).dropped, 1);
    assert_eq!(site.get(&source).await["status"], "to-review");
    house.end().await;
}
