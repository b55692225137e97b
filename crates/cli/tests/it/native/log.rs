use countersign_model::entry::Entry;
use countersign_tlog::checkpoint::Checkpoint;
use countersign_tlog::hash::Hash;
use countersign_tlog::log_proof::LogProof;
use countersign_tlog::note::{SignedNote, VerifierKey};
use countersign_tlog::tile::{BundleId, parse_bundle};
use countersign_tlog::tree::Tree;
use serde_json::json;

use super::{b64, make_key, servers};

#[tokio::test(flavor = "multi_thread")]
async fn every_signature_is_found_in_the_log_and_proved_offline() {
    for server in servers().await {
        let service = server.send(server.anonymous("GET", "/countersign/v1/")).await.unwrap().json();
        let origin = service["log"]["origin"].as_str().unwrap().to_owned();
        let verifier: VerifierKey = service["log"]["public_key"].as_str().unwrap().parse().unwrap();
        make_key(&server, "k", "ed25519").await;
        let mut held = Vec::new();
        for i in 0..300 {
            let body = json!({"message": b64(format!("{i}").as_bytes())});
            let signed = server.post("/keys/k/sign", &body).await.unwrap().json();
            held.push((signed["log"]["index"].as_u64().unwrap(), signed["request_id"].clone()));
        }
        // As a stranger: checkpoint and bundles only.
        let get = |path: String| server.send(server.anonymous("GET", &path).bearer_auth(&server.token));
        let note = get(format!("/log/{origin}/checkpoint")).await.unwrap();
        let note = SignedNote::parse(&note.body).unwrap();
        let checkpoint = Checkpoint::open(&note, &verifier).unwrap();
        let size = checkpoint.head.size;
        let mut tree = Tree::new();
        let mut entries = Vec::new();
        while (entries.len() as u64) < size {
            let id = BundleId::holding(entries.len() as u64, size).unwrap();
            let bundle = get(format!("/log/{origin}/{id}")).await.unwrap();
            assert_eq!(bundle.status, 200, "{id}");
            for entry in parse_bundle(&bundle.body, id.width()).unwrap() {
                let _ = tree.append(Hash::leaf(entry));
                entries.push(entry.to_vec());
            }
        }
        assert_eq!(tree.head(), checkpoint.head);
        for (index, request_id) in &held {
            let entry = Entry::parse(&entries[*index as usize]).unwrap();
            assert_eq!(json!(entry.request_id.as_str()), *request_id);
        }
        // The proof of one entry stands alone.
        let index = held[150].0;
        let one = server.get(&format!("/log/{origin}/{index}")).await.unwrap().json();
        let proof = LogProof::parse(one["proof"].as_str().unwrap().as_bytes()).unwrap();
        proof.verify(&entries[index as usize], &verifier).unwrap();
        assert!(proof.verify(&entries[index as usize + 1], &verifier).is_err());
        assert_eq!(one["leaf"], Hash::leaf(&entries[index as usize]).to_string());
        let logs = server.get("/log").await.unwrap().json();
        assert_eq!(logs["logs"][0]["origin"], origin);

        let beyond = server.get(&format!("/log/{origin}/{size}")).await.unwrap();
        assert_eq!((beyond.status, beyond.problem().as_str()), (404, "not-found"));
        for path in [
            "tile/0/999",
            "tile/9/000",
            "tile/0/x",
            "../../../etc/passwd",
            "tile/entries/000.p/0",
            "key",
            "journal/0",
        ] {
            let answer = get(format!("/log/{origin}/{path}")).await.unwrap();
            assert_eq!(answer.status, 404, "{path}");
        }
        let anonymous =
            server.send(server.anonymous("GET", &format!("/log/{origin}/checkpoint"))).await.unwrap();
        assert_eq!((anonymous.status, anonymous.problem().as_str()), (401, "no-credentials"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_trust_are_entries_too() {
    for server in servers().await {
        make_key(&server, "k", "ed25519").await;
        server.principal("ci", &["signer"]).await.unwrap();
        server.post("/keys/k/retire", &json!({})).await.unwrap();
        server.post("/keys/k/revoke", &json!({"reason": "test"})).await.unwrap();
        server.post("/principals/ci/disable", &json!({})).await.unwrap();
        let logs = server.get("/log").await.unwrap().json();
        let origin = logs["logs"][0]["origin"].as_str().unwrap().to_owned();
        let mut ops = Vec::new();
        for index in 0..logs["logs"][0]["size"].as_u64().unwrap() {
            let entry = server.get(&format!("/log/{origin}/{index}")).await.unwrap().json()["entry"].clone();
            assert_eq!(entry.get("scheme"), None, "{entry}");
            ops.push(entry["op"].as_str().unwrap().to_owned());
        }
        for op in [
            "policy-set",
            "principal-create",
            "token-create",
            "key-create",
            "key-retire",
            "key-revoke",
            "principal-disable",
        ] {
            assert!(ops.iter().any(|o| o == op), "{op} is missing in {ops:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_parallel_changes_only_the_one_that_happened_is_in_the_log() {
    for server in servers().await {
        make_key(&server, "old", "p256").await;
        let policy = server.get("/policy").await.unwrap();
        let rules = json!({"rules": policy.json()["rules"]});
        let (key, person) = (json!({"name": "one", "type": "p256"}), json!({"name": "ana", "roles": []}));
        let (reason, nothing) = (json!({"reason": "lost"}), json!({}));
        for (path, body) in [
            ("/keys", &key),
            ("/principals", &person),
            ("/keys/old/revoke", &reason),
            ("/principals/ana/disable", &nothing),
        ] {
            futures_util::future::join_all((0..12).map(|_| server.post(path, body))).await;
        }
        let put = || server.request("PUT", "/policy").header("if-match", policy.header("etag")).json(&rules);
        let answers = futures_util::future::join_all((0..12).map(|_| server.send(put()))).await;
        let done = answers.iter().filter(|answer| answer.as_ref().unwrap().status == 200).count();
        assert_eq!(done, 1);

        let log = server.get("/log").await.unwrap().json()["logs"][0].clone();
        let (origin, size) = (log["origin"].as_str().unwrap(), log["size"].as_u64().unwrap());
        let mut ops = Vec::new();
        for index in 0..size {
            let entry = server.get(&format!("/log/{origin}/{index}")).await.unwrap().json()["entry"].clone();
            // The first start makes a principal and a key of its own.
            if entry["request_id"] != "first-start" && entry["key"] != "tuf/online" {
                ops.push(entry["op"].as_str().unwrap().to_owned());
            }
        }
        let once =
            ["key-create", "key-create", "principal-create", "key-revoke", "principal-disable", "policy-set"];
        assert_eq!(ops, once);
    }
}
