//! A root that several people sign: signed, overridden, stopped, proved.

use countersign_tuf::canonical;
use serde_json::{Value, json};

use super::signers::{Signer, root, signed_by};
use super::{errs, file, online_key, repository, settings, show, succeeds, tell};
use crate::support::House;

#[tokio::test]
async fn a_bootstrap_waits_for_its_second_signature_and_nothing_is_public_before() {
    for house in House::on_both("").await {
        let (ana, bo) = (Signer::ed25519(1), Signer::like("ecdsa", 2));
        let signed = root(1, &[&ana, &bo], 2, &online_key(&house).await);
        let body = json!({"settings": settings(2), "metadata": {"root": signed_by(&signed, &[&ana])}, "timeout": 300});
        let accepted = tell(&house, "POST", "bootstrap/", body, 202).await;
        let details = json!({"bootstrap": "Root v1 is pending signature"});
        assert_eq!(succeeds(&house, &accepted).await, details);
        let state = show(&house, "bootstrap/").await;
        assert_eq!(
            state["data"],
            json!({"bootstrap": false, "state": "signing", "id": accepted["data"]["task_id"]})
        );
        for name in ["1.root.json", "timestamp.json"] {
            house.ask_as_nobody("GET", &format!("/metadata/{name}")).send().await.expect(404);
        }
        let pending = show(&house, "metadata/sign/").await;
        assert_eq!(pending["message"], "Metadata role(s) pending signing");
        assert_eq!(pending["data"]["metadata"]["root"]["signed"], signed);
        assert_eq!(pending["data"]["status"]["root"]["new"]["missing"], json!([bo.keyid]), "fault 21");

        let signature = json!({"keyid": bo.keyid, "sig": bo.sign(&signed)});
        let accepted =
            tell(&house, "POST", "metadata/sign/", json!({"role": "root", "signature": signature}), 202)
                .await;
        assert_eq!(succeeds(&house, &accepted).await, json!({"bootstrap": "Bootstrap Finished"}));
        assert_eq!(file(&house, "1.root.json").await["signed"], signed);
        let none = show(&house, "metadata/sign").await;
        assert_eq!(none, json!({"message": "No metadata pending signing available"}));
        house.close().await;
    }
}

#[tokio::test]
async fn fault_6_a_pending_root_is_replaced_by_patch_only() {
    for house in House::on_both("").await {
        let ana = repository(&house).await;
        let (bo, cy) = (Signer::ed25519(2), Signer::ed25519(3));
        let online = online_key(&house).await;
        let two = root(2, &[&ana, &bo], 2, &online);
        let body = |signed: &Value| json!({"metadata": {"root": signed_by(signed, &[&ana])}});
        let accepted = tell(&house, "POST", "metadata/", body(&two), 202).await;
        assert_eq!(succeeds(&house, &accepted).await["update"], "Root v2 is pending signatures");

        let other = root(2, &[&ana, &cy], 2, &online);
        let refusal = tell(&house, "POST", "metadata/", body(&other), 409).await;
        let detail = json!({
            "message": "Task not accepted.",
            "error": "The root role is already in a signing process.",
        });
        assert_eq!(refusal["detail"], detail);

        let patched = tell(&house, "PATCH", "metadata/sign", body(&other), 202).await;
        assert_eq!(patched["message"], "Metadata sign override accepted.");
        let details = json!({"role": "root", "update": "Root v2 is pending signatures"});
        assert_eq!(succeeds(&house, &patched).await, details);
        let pending = show(&house, "metadata/sign").await;
        assert_eq!(pending["data"]["metadata"]["root"]["signed"], other);
        assert!(pending["data"]["metadata"]["trusted_root"].is_object());

        let again = tell(&house, "PATCH", "metadata/sign", body(&other), 202).await;
        assert_eq!(
            errs(&house, &again).await,
            "Metadata cannot be patched - new metadata same as the old one"
        );
        let back = tell(&house, "PATCH", "metadata/sign", body(&two), 202).await;
        assert_eq!(errs(&house, &back).await, "Metadata cannot be patched - this metadata was withdrawn");

        let stopped = tell(&house, "DELETE", "metadata/sign", json!({"role": "root"}), 202).await;
        assert_eq!(stopped["message"], "Metadata sign delete accepted.");
        succeeds(&house, &stopped).await;
        for (method, path, body) in [
            ("PATCH", "metadata/sign", body(&other)),
            ("DELETE", "metadata/sign", json!({"role": "root"})),
            ("POST", "metadata/sign/delete", json!({"role": "root"})),
            ("POST", "metadata/sign/challenge", json!({"role": "root", "operation": "delete"})),
        ] {
            let refusal = tell(&house, method, path, body, 404).await;
            let detail = json!({
                "message": "No signing process for root.",
                "error": "The root role is not in a signing process.",
            });
            assert_eq!(refusal["detail"], detail, "{method} {path}");
        }
        house.close().await;
    }
}

#[tokio::test]
async fn where_a_proof_is_required_nothing_is_stopped_without_one() {
    for house in House::on_both("[tuf]\nsign_proof = \"required\"").await {
        let ana = repository(&house).await;
        let bo = Signer::ed25519(2);
        let two = root(2, &[&ana, &bo], 2, &online_key(&house).await);
        let body = json!({"metadata": {"root": signed_by(&two, &[&ana])}});
        succeeds(&house, &tell(&house, "POST", "metadata/", body.clone(), 202).await).await;
        for (method, path, body) in [
            ("PATCH", "metadata/sign", body),
            ("DELETE", "metadata/sign", json!({"role": "root"})),
            ("POST", "metadata/sign/delete", json!({"role": "root"})),
        ] {
            let refusal = tell(&house, method, path, body, 403).await;
            assert_eq!(refusal["detail"]["message"], "Proof required.", "{method} {path}");
        }
        let ask = json!({"role": "root", "operation": "delete"});
        let challenge = tell(&house, "POST", "metadata/sign/challenge", ask, 201).await;
        assert_eq!(challenge["message"], "Challenge issued.");
        let text = challenge["data"]["payload"].as_str().unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let pending = hex::encode(countersign_model::digest::sha256(&canonical::encode(&two).unwrap()));
        assert_eq!(lines[0], "countersign-das-proof-v1");
        assert_eq!(
            lines[2..],
            ["delete", "root", &pending, "-", challenge["data"]["nonce"].as_str().unwrap()]
        );
        let proof =
            json!({"nonce": challenge["data"]["nonce"], "keyid": bo.keyid, "sig": bo.over(text.as_bytes())});
        let body = json!({"role": "root", "proof": proof});
        let stopped = tell(&house, "POST", "metadata/sign/delete", body, 202).await;
        succeeds(&house, &stopped).await;
        house.close().await;
    }
}
