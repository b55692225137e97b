use countersign_core::keys::{self, ImportKey};
use countersign_core::{Code, Page, Secret, signing};
use countersign_model::{Format, PublicKey};

use crate::support::{House, message, new_key, refused};

#[tokio::test(flavor = "multi_thread")]
async fn of_parallel_creations_of_one_name_exactly_one_succeeds() {
    for house in House::on_both().await {
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let (ctx, owner) = (house.ctx.clone(), house.owner());
                tokio::spawn(async move { keys::create(&ctx, &owner, new_key("release", "p256")).await })
            })
            .collect();
        let mut made = Vec::new();
        for task in tasks {
            match task.await.unwrap() {
                Ok(logged) => made.push(logged.value),
                Err(error) => assert_eq!(error.code(), Code::NameTaken),
            }
        }
        assert_eq!(made.len(), 1);
        let name = "release".parse().unwrap();
        assert_eq!(keys::get(&house.ctx, &house.owner(), &name).unwrap(), made[0]);
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_document_has_the_members_of_the_contract() {
    for house in House::on_both().await {
        let name = house.key("release", "p384").await;
        let document = keys::get(&house.ctx, &house.owner(), &name).unwrap();
        let public = PublicKey::from_pem(&document.public_key).unwrap();
        assert_eq!(public.id(), document.id);
        assert_eq!(keys::public_pem(&house.ctx, &name).unwrap(), document.public_key);

        let mut value = serde_json::to_value(&document).unwrap();
        let members = value.as_object_mut().unwrap();
        for varying in ["id", "created", "public_key"] {
            assert!(members.remove(varying).unwrap().is_string());
        }
        let expected = serde_json::json!({
            "name": "release", "type": "p384", "schemes": ["ecdsa-sha384", "ecdsa-sha256", "ecdsa-sha512"],
            "state": "active", "exportable": false, "formats": null, "backend": "soft", "revoked": null,
        });
        assert_eq!(value, expected);
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn permission_is_asked_before_anything_is_said_about_a_key() {
    for house in House::on_both().await {
        house.key("release", "p256").await;
        let reader = house.person("ray", &["reader"]).await;
        for name in ["release", "nosuch"] {
            let name = name.parse().unwrap();
            refused(keys::retire(&house.ctx, &reader, &name).await, Code::NotPermitted);
            let request = message(&name, "x");
            refused(signing::sign_one(&house.ctx, &reader, request).await, Code::NotPermitted);
        }
        let nosuch = "nosuch".parse().unwrap();
        refused(keys::get(&house.ctx, &reader, &nosuch), Code::UnknownKey);
        refused(keys::create(&house.ctx, &reader, new_key("release", "p256")).await, Code::NotPermitted);
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_show_what_the_caller_may_read_page_by_page() {
    for house in House::on_both().await {
        for name in ["a", "b", "c"] {
            house.key(name, "ed25519").await;
        }
        let reader = house.person("ray", &["reader"]).await;
        let first = keys::list(&house.ctx, &reader, &Page::new(Some(2), None).unwrap()).unwrap();
        assert_eq!(first.keys.len(), 2);
        let after = first.next.unwrap().to_string();
        assert_eq!(after, "b");
        let rest = keys::list(&house.ctx, &reader, &Page::new(Some(2), Some(after)).unwrap()).unwrap();
        // The last one is that of the TUF service, `tuf/online`.
        assert_eq!((rest.keys.len(), rest.next), (2, None));

        let nobody = house.person("nobody", &[]).await;
        let page = Page::new(None, None).unwrap();
        assert!(keys::list(&house.ctx, &nobody, &page).unwrap().keys.is_empty());
        refused(Page::new(Some(0), None), Code::InvalidRequest);
        refused(Page::new(Some(1001), None), Code::InvalidRequest);
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_key_verifies_and_a_revoked_one_does_not() {
    use countersign_core::signing::{Content, VerifyKey, VerifyRequest};

    for house in House::on_both().await {
        let (ctx, owner) = (&house.ctx, house.owner());
        let key = house.key("release", "p256").await;
        let answer = signing::sign_one(ctx, &owner, message(&key, "x")).await.unwrap();
        let verify = || {
            let request = VerifyRequest {
                key: VerifyKey::Named(key.clone()),
                scheme: answer.scheme,
                content: Content::Message(b"x".to_vec()),
                signature: answer.signature.clone(),
                encoding: None,
            };
            signing::verify(ctx, &owner, request)
        };
        assert!(verify().await.unwrap().valid);

        let retired = keys::retire(ctx, &owner, &key).await.unwrap();
        assert_eq!(retired.value.state, "retired");
        assert!(retired.log.is_some());
        assert!(verify().await.unwrap().valid);
        refused(signing::sign_one(ctx, &owner, message(&key, "x")).await, Code::KeyRetired);
        assert!(keys::retire(ctx, &owner, &key).await.unwrap().log.is_none(), "nothing left to change");

        refused(keys::revoke(ctx, &owner, &key, String::new()).await, Code::InvalidRequest);
        let revoked = keys::revoke(ctx, &owner, &key, "stolen".into()).await.unwrap().value;
        assert_eq!((revoked.state, revoked.revoked.as_ref().unwrap().reason.as_str()), ("revoked", "stolen"));
        refused(signing::sign_one(ctx, &owner, message(&key, "x")).await, Code::KeyRevoked);
        let verdict = verify().await.unwrap();
        assert!(!verdict.valid && verdict.reason.is_some());
        let again = keys::revoke(ctx, &owner, &key, "for another reason".into()).await.unwrap().value;
        assert_eq!(again, revoked, "not to be undone or changed");
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_signature_stands_in_the_log_after_the_revocation_of_its_key() {
    for house in House::on_both().await {
        let (ctx, owner) = (&house.ctx, house.owner());
        let key = house.key("release", "ed25519").await;
        let other = house.key("other", "ed25519").await;
        let signers: Vec<_> = (0..16)
            .map(|i| {
                let (ctx, caller) = (ctx.clone(), house.owner());
                let (key, other) = (key.clone(), other.clone());
                tokio::spawn(async move {
                    let mut last = 0;
                    loop {
                        // Half of them sign batches that name the key twice, and another key.
                        let requests = if i % 2 == 0 { vec![&key] } else { vec![&key, &other, &key] };
                        let requests = requests.into_iter().map(|key| Ok(message(key, "x"))).collect();
                        let mut answers = signing::sign_batch(&ctx, &caller, requests).await;
                        if i % 2 == 1 {
                            assert!(answers.remove(1).is_ok(), "the other key goes on");
                        }
                        for answer in answers {
                            match answer {
                                Ok(answer) => last = last.max(answer.log.index),
                                Err(error) => {
                                    assert_eq!(error.code(), Code::KeyRevoked);
                                    return last;
                                }
                            }
                        }
                        let Ok(answer) = signing::sign_one(&ctx, &caller, message(&key, "x")).await else {
                            return last;
                        };
                        last = last.max(answer.log.index);
                    }
                })
            })
            .collect();
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let revoked = keys::revoke(ctx, &owner, &key, "stolen".into()).await.unwrap().log.unwrap();
        for signer in signers {
            let last = signer.await.unwrap();
            assert!((1..revoked.index).contains(&last), "{last} and {}", revoked.index);
        }
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_that_cannot_be_logged_is_not_made() {
    for house in House::on_both().await {
        let (ctx, owner) = (&house.ctx, house.owner());
        let key = house.key("release", "p256").await;
        ctx.key_host().stop().await;
        let failed = keys::revoke(ctx, &owner, &key, "stolen".into()).await;
        refused(failed, Code::KeyHostUnavailable);
        assert_eq!(keys::get(ctx, &owner, &key).unwrap().state, "active");
        refused(signing::sign_one(ctx, &owner, message(&key, "x")).await, Code::KeyHostUnavailable);

        let house = house.again().await;
        signing::sign_one(&house.ctx, &house.owner(), message(&key, "x")).await.unwrap();
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_exportable_key_leaves_and_comes_back_as_it_was() {
    for house in House::on_both().await {
        let (ctx, owner) = (&house.ctx, house.owner());
        let passphrase = || Secret(b"correct horse battery".to_vec());
        let stays = house.key("stays", "p256").await;
        refused(keys::export(ctx, &owner, &stays, passphrase()).await, Code::NotExportable);

        let mut new = new_key("leaves", "p256");
        new.exportable = true;
        let made = keys::create(ctx, &owner, new).await.unwrap().value;
        let short = Secret(b"eleven char".to_vec());
        refused(keys::export(ctx, &owner, &made.name, short).await, Code::WrongPassphrase);
        let pem = keys::export(ctx, &owner, &made.name, passphrase()).await.unwrap().value;
        assert!(pem.0.starts_with(b"-----BEGIN ENCRYPTED PRIVATE KEY-----"));

        let import = |name: &str, pem: &Secret, passphrase: Option<Secret>| ImportKey {
            name: name.parse().unwrap(),
            pem: pem.clone(),
            passphrase,
            exportable: false,
            formats: None,
        };
        let missing = keys::import(ctx, &owner, import("back", &pem, None)).await;
        refused(missing, Code::WrongPassphrase);
        let public = Secret(made.public_key.clone().into_bytes());
        refused(keys::import(ctx, &owner, import("back", &public, None)).await, Code::MalformedKey);
        let back = keys::import(ctx, &owner, import("back", &pem, Some(passphrase()))).await.unwrap().value;
        assert_eq!(back.id, made.id);
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_signs_only_the_formats_of_its_list() {
    for house in House::on_both().await {
        let (ctx, owner) = (&house.ctx, house.owner());
        let mut new = new_key("tags", "p256");
        new.formats = Some(vec![Format::Tag]);
        let key = keys::create(ctx, &owner, new).await.unwrap().value.name;
        refused(signing::sign_one(ctx, &owner, message(&key, "x")).await, Code::FormatNotAllowed);

        let mut empty = new_key("nothing", "p256");
        empty.formats = Some(Vec::new());
        refused(keys::create(ctx, &owner, empty).await, Code::InvalidRequest);
        house.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_surfaces_key_is_not_made_through_the_native_api() {
    for house in House::on_both().await {
        let (ctx, owner) = (&house.ctx, house.owner());
        for name in ["tuf/online", "appliance/cert/x", "log/publication"] {
            refused(keys::create(ctx, &owner, new_key(name, "p256")).await, Code::NotPermitted);
        }
        house.end().await;
    }
}
