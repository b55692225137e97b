//! Online keys of the TUF service.

use countersign_core::tuf::{self, online};
use countersign_core::{Caller, keys};
use countersign_model::Surface;
use countersign_tuf::key::{Key, default_id};
use serde_json::json;

use crate::support::House;
use crate::tuf_people::*;

#[tokio::test]
async fn the_first_start_makes_a_key_so_that_there_is_always_one() {
    for house in House::on_both().await {
        let listed = online::list(&house.ctx).await.unwrap();
        let key = &listed["keys"][0];
        assert_eq!((&key["keytype"], &key["scheme"]), (&json!("ed25519"), &json!("ed25519")));
        assert_eq!(key["x-rstuf-online-key-uri"], "countersign:online");
        let keyid = key["keyid"].as_str().unwrap();
        assert_eq!(keyid, default_id(key).unwrap());
        assert!(listed["pem"][keyid].as_str().unwrap().starts_with("-----BEGIN PUBLIC KEY-----\n"));
        house.end().await;
    }
}

#[tokio::test]
async fn keys_are_made_for_each_scheme_and_every_role_can_have_its_own() {
    for house in House::on_both().await {
        let caller = caller(&house);
        for (name, scheme) in [("b", "ecdsa-sha2-nistp256"), ("a", "rsassa-pss-sha256"), ("c", "ed25519")] {
            let made = online::create(&house.ctx, &caller, name, scheme).await.unwrap();
            assert_eq!(made["key"]["scheme"], scheme);
            assert_eq!(made["key"]["x-rstuf-online-key-uri"], format!("countersign:{name}"));
            Key::from_value(&made["key"]).unwrap().usable().unwrap();
        }
        let listed = online_keys(&house.ctx).await;
        let schemes: Vec<&str> = listed.iter().map(|(_, key)| key["scheme"].as_str().unwrap()).collect();
        assert_eq!(schemes[0], "ed25519", "the default first, then by age");
        assert_eq!(schemes[1..], ["ecdsa-sha2-nistp256", "rsassa-pss-sha256", "ed25519"]);

        match online::create(&house.ctx, &caller, "a", "ed25519").await {
            Err(tuf::Error::Conflict { .. }) => {}
            other => panic!("{other:?}"),
        }
        for (name, scheme) in [("x", "rsa-pkcs1v15-sha256"), ("x", ""), ("../x", "ed25519"), ("", "ed25519")]
        {
            match online::create(&house.ctx, &caller, name, scheme).await {
                Err(tuf::Error::Invalid(faults)) => assert_eq!(faults.len(), 1),
                other => panic!("{name} {scheme}: {other:?}"),
            }
        }
        let reader = Caller { surface: Surface::Tuf, ..house.person("rita", &["reader"]).await };
        assert!(matches!(
            online::create(&house.ctx, &reader, "d", "ed25519").await,
            Err(tuf::Error::Other(_))
        ));

        // Fault 17: no key for all; ids and addresses are not believed, only what the key is.
        let alice = Person::ed25519(1);
        let mut signed = Root::first(&house.ctx, &[&alice], 1).await.signed();
        for (role, (_, object)) in ["targets", "snapshot", "timestamp"].into_iter().zip(&listed[1..]) {
            let mut object = object.clone();
            object["x-rstuf-online-key-uri"] = json!("fn:elsewhere");
            signed["keys"][role] = object;
            signed["roles"][role]["keyids"] = json!([role]);
        }
        succeeded(&done(&house, bootstrap(signed_by(signed, &[&alice]), bins(2))).await);
        let mut reader = client(&house.ctx, 1).await.unwrap();
        assert!(!find(&house.ctx, &mut reader, "x").await.unwrap());
        assert_eq!(reader.timestamp().unwrap().signatures().next().unwrap().keyid, "timestamp");
        house.end().await;
    }
}

#[tokio::test]
async fn a_retired_key_is_not_offered_any_more() {
    for house in House::on_both().await {
        let caller = caller(&house);
        online::create(&house.ctx, &caller, "next", "ed25519").await.unwrap();
        keys::retire(&house.ctx, &caller, &"tuf/online".parse().unwrap()).await.unwrap();
        let listed = online::list(&house.ctx).await.unwrap();
        assert_eq!(listed["keys"].as_array().unwrap().len(), 1);
        assert_eq!(listed["keys"][0]["x-rstuf-online-key-uri"], "countersign:next");
        house.end().await;
    }
}
