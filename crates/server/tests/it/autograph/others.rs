//! Hawk clients of others, over a real socket: `requests-hawk`, as Kinto uses it, and `mohawk`. Signatures are judged
//! by Python's `cryptography`.

use std::process::Command;
use std::sync::Arc;

use countersign_server::listener::{self, Serving};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::client::Pair;
use crate::support::House;

const PYTHON: &str = r#"
import base64, hashlib, json, sys
import mohawk, requests
from requests_hawk import HawkAuth
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

url, identity, secret = sys.argv[1:]
auth = HawkAuth(id=identity, key=secret)
data = json.dumps({"data": [], "last_modified": "1795208700961"}, separators=(",", ":")).encode()

def public(answer):
    return serialization.load_der_public_key(base64.b64decode(answer["public_key"]))

def judge(answer, message, digest):
    raw = base64.urlsafe_b64decode(answer["signature"] + "=" * (-len(answer["signature"]) % 4))
    half = len(raw) // 2
    r, s = int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big")
    public(answer).verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(digest))

# As Kinto's signer asks.
asked = [{"input": base64.b64encode(data).decode(), "keyid": "remote-settings"}]
answer = requests.post(url + "/sign/data", auth=auth, json=asked)
assert answer.status_code == 201, answer.text
[answer] = answer.json()
assert answer["type"] == "contentsignature" and answer["mode"] == "p384ecdsa" and answer["x5u"] == ""
judge(answer, b"Content-Signature:\0" + data, hashes.SHA384())

# As its first version did.
asked = [{"input": base64.b64encode(data).decode(), "hashwith": "sha384", "keyid": "remote-settings"}]
[answer] = requests.post(url + "/signature", auth=auth, json=asked).json()
judge(answer, data, hashes.SHA384())

# By hash, and by RSA.
digest = hashlib.sha384(b"Content-Signature:\0" + data).digest()
asked = [{"input": base64.b64encode(digest).decode(), "keyid": "remote-settings"}]
[answer] = requests.post(url + "/sign/hash", auth=auth, json=asked).json()
judge(answer, b"Content-Signature:\0" + data, hashes.SHA384())

asked = [{"input": base64.b64encode(data).decode(), "keyid": name} for name in ("rsa", "pss")]
rsa, pss = requests.post(url + "/sign/data", auth=auth, json=asked).json()
public(rsa).verify(base64.b64decode(rsa["signature"]), data, padding.PKCS1v15(), hashes.SHA256())
salt = padding.PSS(padding.MGF1(hashes.SHA256()), pss["signer_opts"]["SaltLength"])
public(pss).verify(base64.b64decode(pss["signature"]), data, salt, hashes.SHA256())

# What can be asked with GET.
auth.always_hash_content = False
answer = requests.get(url + "/auths/" + identity + "/keyids", auth=auth)
assert answer.json() == ["pss", "remote-settings", "rsa"], answer.text
answer = requests.get(url + "/__monitor__", auth=auth)
assert answer.status_code == 201 and len(answer.text.splitlines()) == 3, answer.text

auth.always_hash_content = True

# Another library, whose header is sent twice.
credentials = {"id": identity, "key": secret, "algorithm": "sha256"}
asked = json.dumps([{"input": base64.b64encode(data).decode()}])
sender = mohawk.Sender(credentials, url + "/sign/data", "POST", content=asked, content_type="application/json", ext="x y")
headers = {"Authorization": sender.request_header, "Content-Type": "application/json"}
statuses = [requests.post(url + "/sign/data", headers=headers, data=asked).status_code for _ in range(2)]
assert statuses == [201, 401], statuses

# Large data, and a wrong secret with them: refused before they are read.
large = json.dumps([{"input": base64.b64encode(bytes(8 << 20)).decode()}])
answer = requests.post(url + "/sign/data", auth=auth, data=large, headers={"Content-Type": "application/json"})
assert answer.status_code == 201, answer.text
wrong = HawkAuth(id=identity, key="guess")
assert requests.post(url + "/sign/data", auth=wrong, json=[{"input": "AAAA"}]).status_code == 401
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unmodified_clients_get_signatures_that_others_verify() {
    let config = "
        [[autograph.signer]]
        id = \"pss\"
        key = \"rsa\"
        type = \"genericrsa\"
        mode = \"pss\"";
    for house in House::on_both(config).await {
        house.key("remote-settings", "p384").await;
        house.key("rsa", "rsa-2048").await;
        let pair = Pair::new(&house, "kinto", &["signer"]).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopping) = watch::channel(false);
        let serving = Serving { front: house.front.clone(), stop: stopping, alive: None };
        let accepting = tokio::spawn(listener::accept_network(listener, None, 100, serving));

        let asked = Arc::new([url, pair.id.clone(), pair.secret.clone()]);
        let answered = tokio::task::spawn_blocking(move || {
            Command::new("python3").args(["-W", "ignore", "-c", PYTHON]).args(asked.iter()).output().unwrap()
        });
        let output = answered.await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}\nthe packages are in scripts/test-requirements.txt");
        stop.send_replace(true);
        accepting.await.unwrap();
    }
}
