use countersign_core::auth::{Presented, authenticate};
use countersign_core::idempotency::{self, Begun, StoredAnswer};
use countersign_core::principals::{self, Expiry, NewToken};
use countersign_core::{Code, Page, keys, log, signing};
use countersign_model::PrincipalName;
use countersign_model::entry::Op;

use crate::support::{House, any_token, message, name, new_key, refused};

fn principal(text: &str) -> PrincipalName {
    text.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gives_a_role_that_they_do_not_have() {
    for house in House::on_both().await {
        let (ctx, owner) = (&house.ctx, house.owner());
        // A rule lets `manager` write principals, without being an admin.
        let mut rules = countersign_core::policy::get(ctx, &owner).unwrap();
        let rule = serde_json::json!({"id": "manager", "effect": "allow", "principals": ["role:manager"],
        "actions": ["principal:*"], "resources": ["*"]});
        rules.rules.push(serde_json::from_value(rule).unwrap());
        countersign_core::policy::put(ctx, &owner, rules.rules.clone(), Some(&rules.etag())).await.unwrap();
        let manager = house.person("max", &["manager", "reader"]).await;

        principals::create(ctx, &manager, name("ana"), vec![name("reader")]).await.unwrap();
        let give = principals::create(ctx, &manager, name("bo"), vec![name("signer")]).await;
        refused(give, Code::NotPermitted);
        let take = principals::create_token(ctx, &manager, &principal("admin"), any_token()).await;
        refused(take, Code::NotPermitted);
        principals::create_token(ctx, &manager, &principal("ana"), any_token()).await.unwrap();
        let unknown = principals::create(ctx, &owner, name("cy"), vec![name("nosuch")]).await;
        refused(unknown, Code::InvalidRequest);
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_acts_as_somebody_whom_a_rule_names_and_lets_do_more() {
    for house in House::on_both().await {
        let (ctx, owner) = (&house.ctx, house.owner());
        let mut rules = countersign_core::policy::get(ctx, &owner).unwrap();
        for rule in [
            serde_json::json!({"id": "manager", "effect": "allow", "principals": ["role:manager"],
                "actions": ["principal:*"], "resources": ["*"]}),
            serde_json::json!({"id": "chief", "effect": "allow", "principals": ["ana", "later"],
                "actions": ["policy:write"], "resources": ["*"]}),
            serde_json::json!({"id": "not-max", "effect": "deny", "principals": ["max"],
                "actions": ["key:sign"], "resources": ["*"]}),
        ] {
            rules.rules.push(serde_json::from_value(rule).unwrap());
        }
        countersign_core::policy::put(ctx, &owner, rules.rules.clone(), Some(&rules.etag())).await.unwrap();
        house.person("ana", &[]).await;
        house.person("sue", &["signer"]).await;
        let max = house.person("max", &["manager", "signer"]).await;

        let as_ana = principals::create_token(ctx, &max, &principal("ana"), any_token()).await;
        refused(as_ana, Code::NotPermitted);
        refused(principals::create(ctx, &max, name("later"), vec![]).await, Code::NotPermitted);
        let as_sue = principals::create_token(ctx, &max, &principal("sue"), any_token()).await;
        refused(as_sue, Code::NotPermitted);
        principals::create_token(ctx, &max, &principal("max"), any_token()).await.unwrap();
        principals::create(ctx, &max, name("new"), vec![]).await.unwrap();
        house.end().await;
    }
}

/// `max` manages principals, without being an admin.
async fn with_manager(house: &House) -> countersign_core::Caller {
    let (ctx, owner) = (&house.ctx, house.owner());
    let mut rules = countersign_core::policy::get(ctx, &owner).unwrap();
    let rule = serde_json::json!({"id": "manager", "effect": "allow", "principals": ["role:manager"],
        "actions": ["principal:*"], "resources": ["*"]});
    rules.rules.push(serde_json::from_value(rule).unwrap());
    countersign_core::policy::put(ctx, &owner, rules.rules.clone(), Some(&rules.etag())).await.unwrap();
    house.person("max", &["manager", "reader"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_disables_somebody_mightier_or_revokes_their_tokens() {
    for house in House::on_both().await {
        let (ctx, owner) = (&house.ctx, house.owner());
        let manager = with_manager(&house).await;
        let second = house.person("ann", &["admin"]).await;
        let token = |caller: &countersign_core::Caller| caller.identity.token.as_ref().unwrap().id.clone();

        for mighty in ["admin", "ann"] {
            let taken = principals::disable(ctx, &manager, &principal(mighty)).await;
            refused(taken, Code::NotPermitted);
        }
        refused(principals::revoke_token(ctx, &manager, &token(&second)).await, Code::NotPermitted);
        assert!(!principals::get(ctx, &owner, &principal("ann")).unwrap().disabled);

        let ray = house.person("ray", &["reader"]).await;
        assert!(principals::revoke_token(ctx, &manager, &token(&ray)).await.unwrap().is_some());
        assert!(principals::disable(ctx, &manager, &principal("ray")).await.unwrap().value.disabled);
        assert!(principals::revoke_token(ctx, &manager, &token(&manager)).await.unwrap().is_some());
        // An admin takes from anybody, also with a token that is limited to it.
        let limited = NewToken { actions: Some(vec!["principal:write".into()]), ..any_token() };
        let limited =
            principals::create_token(ctx, &owner, &principal("admin"), limited).await.unwrap().value;
        let limited = house.bearer(limited.token.expose());
        assert!(principals::disable(ctx, &limited, &principal("ann")).await.unwrap().value.disabled);
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_revoke_a_token_at_once_one_writes_the_entry() {
    for house in House::on_both().await {
        let (ctx, owner) = (&house.ctx, house.owner());
        let ray = house.person("ray", &["reader"]).await;
        let id = ray.identity.token.as_ref().unwrap().id.clone();
        let mut revoking = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (ctx, owner, id) = (ctx.clone(), owner.clone(), id.clone());
            revoking.spawn(async move { principals::revoke_token(&ctx, &owner, &id).await.unwrap() });
        }
        assert_eq!(revoking.join_all().await.into_iter().flatten().count(), 1);
        let found = log::by_request(ctx, &owner, &owner.request_id, None).await.unwrap();
        assert_eq!(found.entries.iter().filter(|found| found.entry.op == Op::TokenRevoke).count(), 1);
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_one_who_can_change_the_policy_is_not_disabled() {
    for house in House::on_both().await {
        let (ctx, owner) = (&house.ctx, house.owner());
        let admin = principal("admin");
        house.person("ray", &["reader"]).await;
        refused(principals::disable(ctx, &owner, &admin).await, Code::LocksOut);
        principals::disable(ctx, &owner, &principal("ray")).await.unwrap();

        let ann = house.person("ann", &["admin"]).await;
        principals::disable(ctx, &owner, &admin).await.unwrap();
        refused(principals::disable(ctx, &ann, &principal("ann")).await, Code::LocksOut);
        assert!(
            principals::disable(ctx, &ann, &admin).await.unwrap().log.is_none(),
            "nothing left to change"
        );
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_changes_at_the_same_time_do_not_lock_out_together() {
    for house in House::on_both().await {
        let (ctx, owner) = (&house.ctx, house.owner());
        let ann = principal("ann");
        house.person("ann", &["reader"]).await;
        let mut before = countersign_core::policy::get(ctx, &owner).unwrap();
        let chief = serde_json::json!({"id": "chief", "effect": "allow", "principals": ["ann"],
            "actions": ["policy:write"], "resources": ["*"]});
        before.rules.push(serde_json::from_value(chief).unwrap());
        let etag = before.etag();
        let both = countersign_core::policy::put(ctx, &owner, before.rules, Some(&etag)).await.unwrap().value;

        // Without the role's rule only `ann` is left, who is being disabled.
        let only_ann: Vec<_> =
            both.rules.iter().filter(|rule| rule.id.as_str() != "admin").cloned().collect();
        let etag = both.etag();
        let (disabled, put) = tokio::join!(
            principals::disable(ctx, &owner, &ann),
            countersign_core::policy::put(ctx, &owner, only_ann, Some(&etag)),
        );
        // Whichever came second was refused.
        match (disabled, put) {
            (Ok(_), put) => drop(refused(put, Code::LocksOut)),
            (disabled, Ok(_)) => drop(refused(disabled, Code::LocksOut)),
            (Err(disabled), Err(put)) => panic!("{disabled}; {put}"),
        }
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrowed_token_does_not_get_the_answer_of_a_wider_one() {
    for house in House::on_both().await {
        let (ctx, owner) = (&house.ctx, house.owner());
        let admin = principal("admin");
        let wide = house.bearer(&house.token("admin").await);
        let narrowed = async |resource: &str| {
            let new = NewToken { resources: Some(vec![resource.into()]), ..any_token() };
            let made = principals::create_token(ctx, &owner, &admin, new).await.unwrap().value;
            house.bearer(made.token.expose())
        };
        let (on_a, on_b) = (narrowed("key:a").await, narrowed("key:b").await);

        let key = "k".parse().unwrap();
        let Begun::Fresh(claim) = idempotency::begin(ctx, &wide.identity, &key, [1; 32]).await.unwrap()
        else {
            panic!("the first is fresh")
        };
        let answer = StoredAnswer { status: 200, headers: Vec::new(), body: b"{}".to_vec() };
        idempotency::finish(ctx, claim, &answer).await.unwrap();
        let narrow = idempotency::begin(ctx, &on_a.identity, &key, [1; 32]).await;
        refused(narrow, Code::IdempotencyMismatch);
        // Another token with the same rights makes the same request.
        let replaced = house.bearer(&house.token("admin").await);
        let again = idempotency::begin(ctx, &replaced.identity, &key, [1; 32]).await.unwrap();
        assert!(matches!(again, Begun::Replay(_)));

        let key = "k-2".parse().unwrap();
        let Begun::Fresh(claim) = idempotency::begin(ctx, &on_a.identity, &key, [1; 32]).await.unwrap()
        else {
            panic!("the first is fresh")
        };
        idempotency::finish(ctx, claim, &answer).await.unwrap();
        for other in [&on_b, &wide] {
            let other = idempotency::begin(ctx, &other.identity, &key, [1; 32]).await;
            refused(other, Code::IdempotencyMismatch);
        }
        let again = idempotency::begin(ctx, &narrowed("key:a").await.identity, &key, [1; 32]).await.unwrap();
        assert!(matches!(again, Begun::Replay(_)));
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_narrows_its_principals_rights_and_never_widens_them() {
    for house in House::on_both().await {
        let (ctx, owner) = (&house.ctx, house.owner());
        let (a, b) = (house.key("a", "ed25519").await, house.key("b", "ed25519").await);
        let narrow = NewToken {
            actions: Some(vec!["key:sign".into(), "principal:write".into()]),
            resources: Some(vec!["key:a".into(), "principal:*".into()]),
            ..any_token()
        };
        let made = principals::create_token(ctx, &owner, &principal("admin"), narrow).await.unwrap().value;
        let narrow = house.bearer(made.token.expose());
        signing::sign_one(ctx, &narrow, message(&a, "x")).await.unwrap();
        refused(signing::sign_one(ctx, &narrow, message(&b, "x")).await, Code::NotPermitted);
        refused(keys::create(ctx, &narrow, new_key("c", "p256")).await, Code::NotPermitted);
        let wider = principals::create_token(ctx, &narrow, &principal("admin"), any_token()).await;
        refused(wider, Code::NotPermitted);

        let nonsense = NewToken { actions: Some(vec!["key:fly".into()]), ..any_token() };
        let made = principals::create_token(ctx, &owner, &principal("admin"), nonsense).await;
        refused(made, Code::InvalidRequest);
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_is_refused() {
    for house in House::on_both().await {
        let (ctx, owner) = (&house.ctx, house.owner());
        let past = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(1);
        let new = NewToken { expires: Expiry::At(past), ..any_token() };
        let made = principals::create_token(ctx, &owner, &principal("admin"), new).await;
        refused(made, Code::InvalidRequest);

        let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_millis(300);
        let new = NewToken { expires: Expiry::At(soon), ..any_token() };
        let made = principals::create_token(ctx, &owner, &principal("admin"), new).await.unwrap().value;
        assert!(authenticate(ctx, Presented::Token(made.token.expose())).is_ok());
        tokio::time::sleep(std::time::Duration::from_millis(350)).await;
        assert!(authenticate(ctx, Presented::Token(made.token.expose())).is_err());
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn principals_are_listed_and_found_by_who_may_read_them() {
    for house in House::on_both().await {
        let (ctx, owner) = (&house.ctx, house.owner());
        let auditor = house.person("aud", &["auditor"]).await;
        let reader = house.person("ray", &["reader"]).await;
        let page = Page::new(None, None).unwrap();
        let names: Vec<String> = principals::list(ctx, &auditor, &page)
            .unwrap()
            .principals
            .iter()
            .map(|p| p.name.to_string())
            .collect();
        assert_eq!(names, ["admin", "aud", "ray"]);
        assert!(principals::list(ctx, &reader, &page).unwrap().principals.is_empty());
        refused(principals::get(ctx, &reader, &principal("nosuch")), Code::NotPermitted);
        refused(principals::get(ctx, &auditor, &principal("nosuch")), Code::UnknownPrincipal);
        refused(principals::create(ctx, &owner, name("ray"), vec![]).await, Code::NameTaken);
        refused(principals::revoke_token(ctx, &reader, "aaaaaaaaaaaa").await, Code::NotPermitted);
        refused(principals::revoke_token(ctx, &owner, "aaaaaaaaaaaa").await, Code::NotFound);
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hawk_pair_is_shown_once_and_revoked_like_a_token() {
    for house in House::on_both().await {
        let (ctx, owner) = (&house.ctx, house.owner());
        let admin = principal("admin");
        let made = principals::create_hawk(ctx, &owner, &admin, Some("autograph".into()), Expiry::Never)
            .await
            .unwrap();
        assert!(made.value.secret.len() >= 32);
        principals::revoke_token(ctx, &owner, &made.value.id).await.unwrap();
        let listed = principals::tokens(ctx, &owner, &admin).await.unwrap();
        let hawk = listed.tokens.iter().find(|t| t.id == made.value.id).unwrap();
        assert!(hawk.revoked.is_some() && hawk.expires.is_none());
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_an_idempotency_key_is_done_once() {
    for house in House::on_both().await {
        let ctx = &house.ctx;
        let (admin, key) = (house.owner().identity, "k-1".parse().unwrap());
        let answer = StoredAnswer {
            status: 201,
            headers: vec![("Location".into(), "/x".into())],
            body: b"{}".to_vec(),
        };
        let Begun::Fresh(claim) = idempotency::begin(ctx, &admin, &key, [1; 32]).await.unwrap() else {
            panic!("the first is fresh")
        };
        let second = {
            let (ctx, admin, key) = (ctx.clone(), admin.clone(), "k-1".parse().unwrap());
            tokio::spawn(async move { idempotency::begin(&ctx, &admin, &key, [1; 32]).await })
        };
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        assert!(!second.is_finished(), "it waits for the first");
        idempotency::finish(ctx, claim, &answer).await.unwrap();
        match second.await.unwrap().unwrap() {
            Begun::Replay(replayed) => assert_eq!(replayed, answer),
            Begun::Fresh(_) => panic!("done twice"),
        }
        refused(idempotency::begin(ctx, &admin, &key, [2; 32]).await, Code::IdempotencyMismatch);

        let key = "k-2".parse().unwrap();
        let Begun::Fresh(claim) = idempotency::begin(ctx, &admin, &key, [1; 32]).await.unwrap() else {
            panic!("the first is fresh")
        };
        idempotency::forget(ctx, claim).await.unwrap();
        assert!(matches!(idempotency::begin(ctx, &admin, &key, [1; 32]).await.unwrap(), Begun::Fresh(_)));
        refused("a b".parse::<idempotency::IdempotencyKey>(), Code::InvalidRequest);
        house.end().await;
    }
}
