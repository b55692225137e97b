//! What a start finds left over is done at once.

use std::time::{Duration, Instant};

use countersign_core::tuf::publish::Step;
use countersign_core::tuf::{self, task};
use countersign_store::{NewTufTask, RoleRow};
use jiff::{SignedDuration, Timestamp};

use crate::support::House;
use crate::tuf_people::*;
use crate::tuf_publish::*;

/// Shorter than a node waits between two looks, where nobody rings.
const AT_ONCE: Duration = Duration::from_secs(8);

#[tokio::test]
async fn a_task_that_nobody_began_is_done_after_the_next_start() {
    for house in House::on_both().await {
        with_bins(&house, &Person::ed25519(1), 4).await;
        let before = done(&house, add(&["first"])).await;
        // As if the process had ended right after it was accepted.
        let mut tx = house.ctx.store().tuf_write().await.unwrap();
        let caller = tx.task(&before.id).await.unwrap().unwrap().caller;
        let request = serde_json::to_string(&add(&["second"])).unwrap();
        let id = "ab".repeat(16);
        let now = Timestamp::now();
        tx.add_task(&NewTufTask { id: id.clone(), kind: "add_artifacts".into(), request, caller, now })
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let house = house.again().await;
        let begun = Instant::now();
        succeeded(&end_of(&house.ctx, &id).await);
        assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
        let mut client = client(&house.ctx, 1).await.unwrap();
        assert!(find(&house.ctx, &mut client, "second").await.unwrap());
        house.end().await;
    }
}

#[tokio::test]
async fn a_publication_that_was_cut_off_goes_on_after_the_next_start_and_says_how_far_it_is() {
    for house in House::on_both().await {
        with_bins(&house, &Person::ed25519(1), 128).await;
        let cut_off = |step: &Step| match step {
            Step::Signed(_) => Err(tuf::Error::Unavailable("a crash".into())),
            _ => Ok(()),
        };
        house.ctx.tuf().steps.watch(cut_off);
        let accepted = task::submit(&house.ctx, &caller(&house), force(&["bins"])).await.unwrap();
        let running = loop {
            let view = task::get(&house.ctx, &accepted.id, Duration::from_millis(20)).await.unwrap();
            if view.state == task::TaskState::Running {
                break view.result.unwrap();
            }
        };
        assert_eq!(running["task"], "force_online_metadata_update");
        assert_eq!(running["message"], "Publishing");
        assert_eq!(running["details"]["published_roles"], 0);
        let names = running["details"]["roles_to_publish"].as_str().unwrap();
        assert!(names.starts_with("bins-00, bins-01, ") && names.ends_with(" and 80 more"), "{names}");

        let house = house.again().await;
        let begun = Instant::now();
        succeeded(&end_of(&house.ctx, &accepted.id).await);
        assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
        client(&house.ctx, 1).await.unwrap();
        house.end().await;
    }
}

#[tokio::test]
async fn what_expired_while_nothing_ran_is_signed_anew_at_the_start() {
    for house in House::on_both().await {
        with_bins(&house, &Person::ed25519(1), 4).await;
        let before = versions(&house).await;
        age(&house, &["timestamp"], 7).await;
        let house = house.again().await;
        assert_eq!(wait_for(&house, &before, &[("timestamp", 1)]).await, named(&[("timestamp", 1)]));

        let before = versions(&house).await;
        age(&house, &["bins-0", "bins-2", "snapshot", "timestamp"], -48).await;
        let house = house.again().await;
        let wanted = [("bins-0", 1), ("bins-2", 1), ("snapshot", 1), ("timestamp", 1)];
        assert_eq!(wait_for(&house, &before, &wanted).await, named(&wanted));
        client(&house.ctx, 1).await.unwrap();
        house.end().await;
    }
}

#[tokio::test]
#[ignore = "takes more than a minute"]
async fn what_is_about_to_expire_is_signed_anew_within_the_minute_though_nobody_asks() {
    let house = House::new(None).await;
    with_bins(&house, &Person::ed25519(1), 2).await;
    let before = versions(&house).await;
    age(&house, &["timestamp"], 7).await;
    for _ in 0..80 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if versions(&house).await != before {
            break;
        }
    }
    assert_eq!(risen(&before, &versions(&house).await), named(&[("timestamp", 1)]));
    house.end().await;
}

/// These roles expire in so many hours, as far as the database knows.
async fn age(house: &House, roles: &[&str], hours: i64) {
    let expires = Timestamp::now().checked_add(SignedDuration::from_hours(hours)).unwrap();
    let mut tx = house.ctx.store().tuf_write().await.unwrap();
    for role in roles {
        let row = tx.role(role).await.unwrap().unwrap();
        tx.put_roles(&[RoleRow { expires, ..row }]).await.unwrap();
    }
    tx.commit().await.unwrap();
}

/// By how much versions have risen, once it is by so much or it takes too long.
async fn wait_for(
    house: &House,
    before: &std::collections::BTreeMap<String, u64>,
    wanted: &[(&str, u64)],
) -> std::collections::BTreeMap<String, u64> {
    let begun = Instant::now();
    loop {
        let risen = risen(before, &versions(house).await);
        if risen == named(wanted) || begun.elapsed() > AT_ONCE {
            return risen;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
