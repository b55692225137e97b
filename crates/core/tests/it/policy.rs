use countersign_core::policy::{self, Question};
use countersign_core::{Code, keys, signing};
use countersign_model::policy::{Rule, builtin_rules};

use crate::support::{House, message, refused};

fn question(principal: &str, action: &str, resource: &str) -> Question {
    Question {
        principal: principal.parse().unwrap(),
        action: action.parse().unwrap(),
        resource: resource.parse().unwrap(),
        format: None,
        scheme: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_is_replaced_only_by_who_has_seen_it() {
    for house in House::on_both().await {
        let (ctx, owner) = (&house.ctx, house.owner());
        let seen = policy::get(ctx, &owner).unwrap();
        assert_eq!((seen.version, seen.rules.len()), (1, builtin_rules().len()));
        refused(policy::put(ctx, &owner, seen.rules.clone(), None).await, Code::Conflict);
        refused(policy::put(ctx, &owner, seen.rules.clone(), Some("\"7\"")).await, Code::Conflict);
        let new = policy::put(ctx, &owner, seen.rules.clone(), Some(&seen.etag())).await.unwrap().value;
        assert_eq!((new.version, &new.hash), (2, &seen.hash));
        refused(policy::put(ctx, &owner, seen.rules.clone(), Some(&seen.etag())).await, Code::Conflict);

        let house = house.again().await;
        assert_eq!(policy::get(&house.ctx, &house.owner()).unwrap().version, 2);
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_locks_everybody_out_is_refused() {
    for house in House::on_both().await {
        let (ctx, owner) = (&house.ctx, house.owner());
        let seen = policy::get(ctx, &owner).unwrap();
        refused(policy::put(ctx, &owner, Vec::new(), Some(&seen.etag())).await, Code::LocksOut);
        let twice: Vec<Rule> = [seen.rules[0].clone(), seen.rules[0].clone()].into();
        refused(policy::put(ctx, &owner, twice, Some(&seen.etag())).await, Code::InvalidRequest);
        for (actions, resources) in [("key:sign", "keys:*"), ("key:sign", "principal:*")] {
            let dead = serde_json::json!({"id": "dead", "effect": "deny", "principals": ["*"],
                "actions": [actions], "resources": [resources]});
            let mut rules = seen.rules.clone();
            rules.push(serde_json::from_value(dead).unwrap());
            let error = policy::put(ctx, &owner, rules.clone(), Some(&seen.etag())).await;
            let error = refused(error, Code::InvalidRequest);
            assert!(error.to_string().contains("rule `dead`"), "{error}");
            refused(policy::test(ctx, &owner, rules, 1).await, Code::InvalidRequest);
        }
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_policy_counts_from_the_next_request() {
    for house in House::on_both().await {
        let (ctx, owner) = (&house.ctx, house.owner());
        let key = house.key("release", "ed25519").await;
        let signer = house.person("sig", &["signer"]).await;
        signing::sign_one(ctx, &signer, message(&key, "x")).await.unwrap();

        let seen = policy::get(ctx, &owner).unwrap();
        let mut rules = seen.rules.clone();
        rules.retain(|rule| rule.id.as_str() != "signer");
        let replay = policy::test(ctx, &owner, rules.clone(), 1000).await.unwrap();
        assert_eq!(replay.changed.len(), 1);
        assert_eq!(
            (replay.changed[0].action, replay.changed[0].resource.as_str()),
            ("key:sign", "key:release")
        );
        assert!(replay.replayed > 4);
        assert!(policy::test(ctx, &owner, seen.rules.clone(), 1000).await.unwrap().changed.is_empty());
        refused(policy::test(ctx, &owner, rules.clone(), 1 << 40).await, Code::InvalidRequest);

        policy::put(ctx, &owner, rules, Some(&seen.etag())).await.unwrap();
        refused(signing::sign_one(ctx, &signer, message(&key, "x")).await, Code::NotPermitted);
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_explains_decisions() {
    for house in House::on_both().await {
        let (ctx, owner) = (&house.ctx, house.owner());
        house.person("sig", &["signer"]).await;
        let check = |p: &str, a: &str, r: &str| policy::check(ctx, &owner, &question(p, a, r)).unwrap();

        let yes = check("sig", "key:sign", "key:any");
        assert_eq!((yes.allowed, yes.rule.unwrap().as_str()), (true, "signer"));
        let no = check("sig", "key:create", "key:any");
        assert_eq!((no.allowed, no.rule), (false, None));
        assert!(!check("admin", "key:sign", "key:tuf/online").allowed, "it belongs to a surface");
        let mut tuf = question("surface:tuf", "key:sign", "key:tuf/online");
        tuf.format = Some(countersign_model::Format::Tuf);
        assert!(policy::check(ctx, &owner, &tuf).unwrap().allowed);
        assert!(check("balena:17", "key:sign", "key:appliance/cert/x").allowed);
        refused(policy::check(ctx, &owner, &question("nosuch", "key:sign", "key:a")), Code::UnknownPrincipal);
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_builtin_role_does_what_its_rule_says_in_every_state_of_a_key() {
    for house in House::on_both().await {
        let (ctx, owner) = (&house.ctx, house.owner());
        let active = house.key("active", "ed25519").await;
        let retired = house.key("retired", "ed25519").await;
        keys::retire(ctx, &owner, &retired).await.unwrap();
        let revoked = house.key("revoked", "ed25519").await;
        keys::revoke(ctx, &owner, &revoked, "test".into()).await.unwrap();

        for (role, reads, signs) in [
            ("admin", true, true),
            ("operator", true, true),
            ("signer", true, true),
            ("auditor", true, false),
            ("reader", true, false),
            ("appliance", false, false),
        ] {
            let caller = house.person(&format!("{role}-1"), &[role]).await;
            let states =
                [(&active, None), (&retired, Some(Code::KeyRetired)), (&revoked, Some(Code::KeyRevoked))];
            for (key, state) in states {
                let expected = if signs { state } else { Some(Code::NotPermitted) };
                let signed = signing::sign_one(ctx, &caller, message(key, "x")).await;
                assert_eq!(signed.err().map(|e| e.code()), expected, "{role} signs with {key}");
                let read = keys::get(ctx, &caller, key).err().map(|e| e.code());
                assert_eq!(read, (!reads).then_some(Code::NotPermitted), "{role} reads {key}");
            }
        }
        house.end().await;
    }
}
