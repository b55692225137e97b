//! Every cell of (role × action × state of the key).

use countersign_testkit::server::{Answer, TestServer};
use serde_json::{Value, json};

use super::servers;
use crate::openssl::openssl;

const ROLES: [&str; 6] = ["admin", "operator", "signer", "auditor", "reader", "nobody"];
const ACTIONS: [&str; 7] = ["read", "sign", "create", "import", "retire", "revoke", "export"];
const STATES: [&str; 4] = ["active", "retired", "revoked", "missing"];

/// What the documents say of a role.
fn may(role: &str, action: &str) -> bool {
    match role {
        "admin" => true,
        "operator" => action != "export",
        "signer" => matches!(action, "read" | "sign"),
        "auditor" | "reader" => action == "read",
        _ => false,
    }
}

/// What somebody who may gets.
fn outcome(action: &str, state: &str) -> (u16, &'static str) {
    match (action, state) {
        ("create" | "import", "missing") => (201, ""),
        ("create" | "import", _) => (409, "name-taken"),
        (_, "missing") => (404, "unknown-key"),
        ("sign", "retired") => (410, "key-retired"),
        ("sign", "revoked") => (410, "key-revoked"),
        _ => (200, ""),
    }
}

async fn key_in_state(server: &TestServer, name: &str, state: &str) {
    if state == "missing" {
        return;
    }
    let body = json!({"name": name, "type": "ed25519", "exportable": true});
    assert_eq!(server.post("/keys", &body).await.unwrap().status, 201);
    if state == "retired" {
        server.post(&format!("/keys/{name}/retire"), &json!({})).await.unwrap();
    } else if state == "revoked" {
        server.post(&format!("/keys/{name}/revoke"), &json!({"reason": "test"})).await.unwrap();
    }
}

async fn act(server: &TestServer, token: &str, action: &str, name: &str, pem: &str) -> Answer {
    let post = |path: String, body: Value| server.request_as(token, "POST", &path).json(&body);
    let request = match action {
        "read" => server.request_as(token, "GET", &format!("/keys/{name}")),
        "sign" => post(format!("/keys/{name}/sign"), json!({"message": ""})),
        "create" => post("/keys".into(), json!({"name": name, "type": "ed25519"})),
        "import" => post("/keys/import".into(), json!({"name": name, "pem": pem})),
        "retire" => post(format!("/keys/{name}/retire"), json!({})),
        "revoke" => post(format!("/keys/{name}/revoke"), json!({"reason": "test"})),
        _ => post(format!("/keys/{name}/export"), json!({"passphrase": "correct-horse-battery"})),
    };
    server.send(request).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_action_and_state_gets_what_the_documents_say() {
    let pem = String::from_utf8(openssl("genpkey -algorithm ED25519", b"")).unwrap();
    for server in servers().await {
        for role in ROLES {
            let roles: &[&str] = if role == "nobody" { &[] } else { &[role] };
            let token = server.principal(&format!("a-{role}"), roles).await.unwrap();
            for action in ACTIONS {
                for state in STATES {
                    let name = format!("{role}-{action}-{state}");
                    key_in_state(&server, &name, state).await;
                    let answer = act(&server, &token, action, &name, &pem).await;
                    let wanted =
                        if may(role, action) { outcome(action, state) } else { (403, "not-permitted") };
                    let code = if answer.status < 400 { String::new() } else { answer.problem() };
                    assert_eq!((answer.status, code.as_str()), wanted, "{name}");
                    if state == "revoked" && matches!(action, "read" | "retire" | "revoke") && wanted.0 == 200
                    {
                        assert_eq!(answer.json()["state"], "revoked", "{name}: not to be undone");
                    }
                }
            }
        }
    }
}
