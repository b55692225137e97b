//! Two nodes with one PostgreSQL and one place of files: whoever is asked, one works at a time, and both serve.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use countersign_core::tuf::publish::Step;
use countersign_core::tuf::task;
use countersign_core::{Context, FilesConfig, tuf};
use countersign_store::NewTask;
use futures_util::future::join_all;

use crate::nodes::beside_with;
use crate::support::{Database, House};
use crate::tuf_people::*;
use crate::tuf_publish::*;

/// How long a node that says nothing keeps the turn. What takes less was given back.
const TURN: Duration = Duration::from_secs(15);

/// Two nodes, and a repository with four bins.
async fn two() -> (House, House) {
    let first = House::new(Some(Database::create().await.unwrap())).await;
    let files = FilesConfig::Directory(first.dir.path().join("files"));
    let second = beside_with(&first, Some(files)).await;
    with_bins(&first, &Person::ed25519(1), 4).await;
    (first, second)
}

async fn end(first: House, second: House) {
    second.end().await;
    first.end().await;
}

async fn is_found(ctx: &Context, path: &str) -> bool {
    let mut client = client(ctx, 1).await.unwrap();
    find(ctx, &mut client, path).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_works_at_a_time_and_both_serve_what_a_finished_task_speaks_of() {
    let (first, second) = two().await;
    let seen: Arc<Mutex<Vec<(usize, Step)>>> = Arc::default();
    for (number, house) in [&first, &second].into_iter().enumerate() {
        let seen = Arc::clone(&seen);
        house.ctx.tuf().steps.watch(move |step| {
            seen.lock().unwrap().push((number, step.clone()));
            Ok(())
        });
    }
    let before = versions(&first).await;
    let houses = [&first, &second];
    let asking = (0..24).map(|number| async move {
        let (asked, other) = (houses[number % 2], houses[(number + 1) % 2]);
        let path = format!("file/{number}");
        succeeded(&done(asked, add(&[&path])).await);
        // The one that was not asked serves it from then on, too.
        assert!(is_found(&other.ctx, &path).await, "{path} at the other node");
        assert!(is_found(&asked.ctx, &path).await, "{path}");
    });
    join_all(asking).await;
    assert_eq!(versions(&first).await, versions(&second).await);

    let mut at_work = None;
    let mut publications = 0;
    for (node, step) in &*seen.lock().unwrap() {
        assert!(
            at_work.is_none_or(|at_work| at_work == node),
            "{step:?} by node {node} in the turn of the other"
        );
        at_work = Some(node);
        if *step == Step::Settled {
            publications += 1;
            at_work = None;
        }
    }
    assert_eq!(versions(&first).await["timestamp"] - before["timestamp"], publications);
    end(first, second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_cannot_finish_the_other_does() {
    let (first, second) = two().await;
    for at in 1..7 {
        let count = Mutex::new(0);
        first.ctx.tuf().steps.watch(move |_| {
            let mut count = count.lock().unwrap();
            *count += 1;
            if *count > at { Err(tuf::Error::Unavailable("a crash".into())) } else { Ok(()) }
        });
        let path = format!("file/{at}");
        let before = versions(&second).await["timestamp"];
        succeeded(&done(&first, add(&[&path])).await);
        for house in [&first, &second] {
            assert!(is_found(&house.ctx, &path).await, "{path}");
        }
        assert_eq!(versions(&second).await["timestamp"], before + 1, "it was published once");
    }
    end(first, second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stops_in_the_middle_gives_its_turn_back() {
    let (first, second) = two().await;
    let mut ids = Vec::new();
    for number in 0..8 {
        let path = format!("file/{number}");
        ids.push(task::submit(&first.ctx, &caller(&first), add(&[&path])).await.unwrap().id);
    }
    let begun = Instant::now();
    let House { dir: _dir, ctx, database: _database } = first;
    ctx.shutdown().await;
    for id in ids {
        succeeded(&end_of(&second.ctx, &id).await);
    }
    assert!(begun.elapsed() < TURN, "{:?}", begun.elapsed());
    for number in 0..8 {
        assert!(is_found(&second.ctx, &format!("file/{number}")).await, "{number}");
    }
    second.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_turn_of_a_node_that_died_ends_by_itself() {
    let (first, second) = two().await;
    let now = jiff::Timestamp::now();
    let (queue, turn) = ("tuf", Duration::from_secs(4));
    let new = NewTask {
        queue: queue.into(),
        key: Some("lease".into()),
        payload: "{}".into(),
        run_at: now,
        max_attempts: u32::MAX,
    };
    // Between two turns of the living.
    let begun = loop {
        second.ctx.store().enqueue(&new, now).await.unwrap();
        let now = jiff::Timestamp::now();
        if second.ctx.store().claim(queue, now, turn, "dead").await.unwrap().is_some() {
            break Instant::now();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let asked = [done(&first, add(&["a"])), done(&second, add(&["b"]))];
    for view in join_all(asked).await {
        succeeded(&view);
    }
    let waited = begun.elapsed();
    assert!(waited >= turn - Duration::from_millis(500) && waited < TURN, "{waited:?}");
    end(first, second).await;
}
