//! Credentials: tokens in other tests, Hawk pairs here, as `requests-hawk` uses them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::server::{Server, done, output, text};

/// Signs data with the pair and says the status.
const PYTHON: &str = r#"
import base64, sys
import requests
from requests_hawk import HawkAuth
url, identity, secret_file = sys.argv[1:]
auth = HawkAuth(id=identity, key=open(secret_file).read().strip())
asked = [{"input": base64.b64encode(b"a few bytes of data").decode(), "keyid": "remote-settings"}]
answer = requests.post(url + "/sign/data", auth=auth, json=asked)
print(answer.status_code)
assert answer.status_code != 201 or answer.json()[0]["mode"] == "p384ecdsa"
"#;

fn status_of(server: &Server, id: &str, secret: &Path) -> String {
    let ran = Command::new("python3")
        .args(["-W", "ignore", "-c", PYTHON, &server.address, id, text(secret)])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}\nthe packages are in scripts/test-requirements.txt");
    String::from_utf8(ran.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_hawk_pair_is_made_listed_used_and_revoked() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let secret = directory.path().join("hawk.secret");
    let server = Server::start(&data);
    let run = |words: &[&str]| done(&[&["--data", text(&data)], words].concat());
    let json =
        |words: &[&str]| -> Value { serde_json::from_str(&run(&[&["--json"], words].concat())).unwrap() };
    run(&["key", "create", "remote-settings", "--type", "p384"]);
    run(&["principal", "create", "kinto", "--role", "signer"]);

    let create = ["token", "create", "kinto", "--hawk", "--label", "signer", "-o", text(&secret)];
    let id = run(&create).trim().to_owned();
    assert_eq!(std::fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(std::fs::read_to_string(&secret).unwrap().trim().len() >= 32);
    assert_eq!(status_of(&server, &id, &secret), "201");

    let again = output(&[&["--data", text(&data)], &create[..]].concat());
    assert_eq!(again.status.code(), Some(2), "the file is there already");
    let said = String::from_utf8(again.stderr).unwrap();
    let unused = said.split("token revoke ").nth(1).and_then(|rest| rest.split('`').next()).unwrap();
    run(&["token", "revoke", unused]);

    let shown = run(&["token", "create", "kinto", "--hawk", "--expires", "never"]);
    let words: Vec<&str> = shown.split_whitespace().collect();
    assert!(matches!(words.as_slice(), ["id", _, "secret", _]), "{shown}");
    let whole = json(&["token", "create", "kinto", "--hawk"]);
    assert!(["id", "secret", "expires"].iter().all(|name| whole[name].is_string()), "{whole}");
    run(&["token", "create", "kinto"]);

    let listed = json(&["token", "list", "kinto"]);
    let of = |name: &str| listed["tokens"].as_array().unwrap().iter().map(|one| one[name].clone()).collect();
    let (ids, kinds, ends): (Vec<_>, Vec<_>, Vec<_>) = (of("id"), of("kind"), of("expires"));
    assert_eq!(kinds, ["hawk", "hawk", "hawk", "hawk", "token"]);
    assert_eq!((&ids[0], &ids[1], &ends[2]), (&json!(id), &json!(unused), &Value::Null));
    assert!(!listed.to_string().contains(words[3]), "the secret is shown once");
    assert!(run(&["token", "list", "kinto"]).lines().next().unwrap().starts_with("ID            KIND"));

    assert_eq!(json(&["token", "revoke", &id]), json!({ "id": id, "revoked": true }));
    assert_eq!(status_of(&server, &id, &secret), "401");
    server.stop();
}
