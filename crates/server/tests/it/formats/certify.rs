//! Certificates, judged by `openssl`.

use serde_json::{Value, json};

use super::Bench;
use crate::support::House;

fn pem(made: &Value) -> &str {
    made["certificate"].as_str().unwrap()
}

#[tokio::test]
async fn openssl_verifies_a_chain_from_a_root_over_an_authority_to_a_request_of_ours() {
    let house = House::open().await;
    for (name, key_type) in [("root", "p384"), ("ca", "rsa-3072"), ("leaf", "p256"), ("ed", "ed25519")] {
        house.key(name, key_type).await;
    }
    let wanted = json!({"subject": "/O=Example/CN=Root", "days": 3650, "authority": true, "path_length": 1});
    let root = house.of_key("root", "self-sign", wanted).await;
    let request = house.of_key("ca", "csr", json!({"subject": "/CN=Issuing"})).await;
    let wanted = json!({"issuer": pem(&root), "request": pem(&request), "subject": "/O=Example/CN=Issuing",
        "days": 1000, "authority": true, "path_length": 0});
    let ca = house.of_key("root", "issue", wanted).await;

    for leaf in ["leaf", "ed"] {
        let wanted = json!({"subject": "/CN=x", "alt_names": ["dns:build.example.org"]});
        let request = house.of_key(leaf, "csr", wanted).await;
        let wanted = json!({"issuer": pem(&ca), "request": pem(&request), "subject": "/CN=build",
            "days": 30, "allow_names": ["below:example.org"]});
        let issued = house.of_key("ca", "issue", wanted).await;
        assert!(issued["log"]["index"].is_u64() && issued["key"] == "ca", "{issued}");

        let bench = Bench::new();
        bench.put("root.pem", pem(&root)).put("ca.pem", pem(&ca)).put("leaf.pem", pem(&issued));
        bench.put("leaf.csr", pem(&request));
        bench.run("openssl req -in leaf.csr -verify -noout");
        bench.run("openssl verify -x509_strict -CAfile root.pem -untrusted ca.pem leaf.pem");
        let text = bench.run("openssl x509 -in leaf.pem -noout -subject -ext subjectAltName");
        assert!(text.contains("CN = build") || text.contains("CN=build"), "{text}");
        assert!(text.contains("DNS:build.example.org"), "{text}");
    }
    house.close().await;
}

#[tokio::test]
async fn a_request_of_openssl_gets_nothing_that_was_not_allowed() {
    let house = House::open().await;
    house.key("ca", "p256").await;
    let wanted = json!({"subject": "/CN=Root", "days": 100, "authority": true});
    let root = house.of_key("ca", "self-sign", wanted).await;
    let bench = Bench::new();
    bench.run("openssl req -newkey rsa:2048 -nodes -keyout k -out csr -subj /CN=a -addext subjectAltName=DNS:a.example.org -addext extendedKeyUsage=serverAuth");
    bench.run("openssl req -newkey rsa:2048 -nodes -keyout k -out ca.csr -subj /CN=a -addext basicConstraints=CA:TRUE");
    let read = |name: &str| std::fs::read_to_string(bench.0.path().join(name)).unwrap();
    let issue = |request: String, days: u32, names: Value, purposes: Value| {
        let wanted = json!({"issuer": pem(&root), "request": request, "subject": "/CN=a", "days": days,
            "allow_names": names, "allow_purposes": purposes});
        let house = &house;
        async move { house.ask("POST", "/countersign/v1/keys/ca/issue").json(wanted).send().await }
    };
    let (name, purpose) = (json!(["dns:a.example.org"]), json!(["server-auth"]));
    issue(read("csr"), 9, name.clone(), purpose.clone()).await.expect(200);
    for (answer, member) in [
        (issue(read("csr"), 9, json!([]), purpose.clone()).await, "request"),
        (issue(read("csr"), 9, json!(["dns:b.example.org"]), purpose.clone()).await, "request"),
        (issue(read("csr"), 9, name.clone(), json!([])).await, "request"),
        (issue(read("ca.csr"), 9, json!([]), json!([])).await, "request"),
        (issue(read("csr"), 900, name.clone(), purpose.clone()).await, "issuer"),
        (issue(read("csr"), 0, name.clone(), purpose.clone()).await, "days"),
        (issue(read("k"), 9, name.clone(), purpose.clone()).await, "request"),
        (issue(read("csr"), 9, json!(["a"]), purpose.clone()).await, "allow_names"),
        (issue(read("csr"), 9, name.clone(), json!(["a"])).await, "allow_purposes"),
    ] {
        assert_eq!(answer.refused(400, "invalid-request")["member"], member, "{}", answer.text());
    }
    house.close().await;
}
