//! `/authorities` and `/tags/requests` as the contract has them, with openssl as the judge.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::support::{Answer, House, base64};

/// openssl in a directory of its own.
struct OpenSsl(tempfile::TempDir);

impl OpenSsl {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Whether it succeeds, and what it says.
    fn run(&self, args: &[&str]) -> (bool, Vec<u8>) {
        let output = Command::new("openssl").args(args).current_dir(self.0.path()).output().unwrap();
        (output.status.success(), output.stdout)
    }

    #[track_caller]
    fn must(&self, args: &[&str]) -> Vec<u8> {
        let (ok, out) = self.run(args);
        assert!(ok, "openssl {args:?}");
        out
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(Path::new(self.0.path()).join(name)).unwrap()
    }
}

/// A refusal in the form of the surface.
#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str) {
    let document = answer.expect(status);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!((&document["code"], &document["error"]), (&json!(status), &json!(code)), "{document}");
    assert!(!document["message"].as_str().unwrap().is_empty());
}

async fn make(house: &House, document: Value) -> Value {
    house.ask("POST", "/authorities/").json(document).send().await.expect(201)
}

async fn get(house: &House, path: &str) -> Answer {
    house.ask_as_nobody("GET", path).send().await
}

async fn sign(house: &House, token: &str, authority: &str, text: &str) -> Answer {
    let path = format!("/tags/sign?authority={authority}");
    house.ask_as(token, "POST", &path).body("text/plain", text).send().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_is_made_and_shown_to_anybody_as_the_contract_says() {
    let house = House::open().await;
    let answer = house.ask("POST", "/authorities/");
    let answer = answer.json(json!({"name": "ci+x@y", "algorithm": "ec-p256"})).send().await;
    let made = answer.expect(201);
    assert_eq!(answer.header("location"), "/authorities/ci+x@y");
    assert!(!answer.header("countersign-log").is_empty());
    let key = made["keys"][0].as_object().unwrap();
    let members: Vec<_> = key.keys().map(String::as_str).collect();
    assert_eq!(members, ["algorithm", "id", "not_after", "not_before", "pem", "revoked"]);
    assert_eq!(
        (&key["algorithm"], &key["not_after"], &key["revoked"]),
        (&json!("ec-p256"), &Value::Null, &Value::Null)
    );

    assert_eq!(get(&house, "/authorities/ci+x@y").await.expect(200), made);
    make(&house, json!({"name": "a", "algorithm": "ec-p384", "threshold": 2, "detached": true})).await;
    for path in ["/authorities/", "/authorities"] {
        let list = get(&house, path).await.expect(200);
        assert_eq!(list["authorities"][0]["name"], "a");
        assert_eq!(list["authorities"][0]["threshold"], 2);
        assert_eq!(list["authorities"][0]["keys"], 2);
        assert_eq!(list["authorities"][1]["current"], key["id"]);
    }
    let detached = get(&house, "/authorities/a").await.expect(200);
    assert_eq!(detached["keys"][0].get("detached"), None);
    assert_eq!(detached["keys"][1]["detached"], true);
    assert_eq!(house.ask_as_nobody("HEAD", "/authorities/a").send().await.status, 200);

    // Keys of authorities are seen in the native list, and used through authorities only.
    let native = house.ask("GET", "/countersign/v1/keys/tags%2Fa%2F1").send().await.expect(200);
    assert_eq!(native["formats"], json!(["tag"]));
    let native = house.ask("POST", "/countersign/v1/keys/tags%2Fa%2F1/sign");
    native.json(json!({"message": "eA=="})).send().await.refused(403, "not-permitted");
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_verifies_with_the_published_key_what_each_algorithm_signed() {
    let (house, openssl) = (House::open().await, OpenSsl::new());
    for algorithm in ["rsa-2048", "rsa-3072", "rsa-4096", "ec-p256", "ec-p384", "ec-p521"] {
        let made = make(&house, json!({"name": algorithm, "algorithm": algorithm})).await;
        assert_eq!(made["keys"][0]["algorithm"], algorithm);
        let published = get(&house, &format!("/authorities/{algorithm}.pub")).await;
        assert_eq!(published.header("content-type"), "application/x-pem-file");
        assert_eq!(published.text(), made["keys"][0]["pem"].as_str().unwrap());
        openssl.write("key.pub", &published.body);
        let id = openssl.must(&["pkey", "-pubin", "-in", "key.pub", "-outform", "DER"]);
        assert_eq!(made["keys"][0]["id"], countersign_model::digest::sha256_text(&id));

        let file = sign(&house, &house.admin, algorithm, "build=42").await;
        assert_eq!(file.status, 200, "{}", file.text());
        let text = file.text();
        let (payload, block) = text.split_once("=== SIGNATURE ").unwrap();
        let (_, lines) = block.split_once('\n').unwrap();
        let signature = base64::engine::general_purpose::STANDARD.decode(lines.replace('\n', "")).unwrap();
        openssl.write("payload", payload);
        openssl.write("sig", signature);
        let verify = ["dgst", "-sha256", "-verify", "key.pub", "-signature", "sig", "payload"];
        assert!(openssl.run(&verify).0, "{algorithm}");
        openssl.write("payload", "build=43\n");
        assert!(!openssl.run(&verify).0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_an_authority_is_refused_in_the_words_of_the_surface() {
    let house = House::open().await;
    make(&house, json!({"name": "ci", "algorithm": "ec-p256"})).await;
    for (document, status, code) in [
        (json!({"name": "ci", "algorithm": "ec-p256"}), 409, "exists"),
        (json!({"name": "bundle", "algorithm": "ec-p256"}), 400, "bad-name"),
        (json!({"name": "x.pub", "algorithm": "ec-p256"}), 400, "bad-name"),
        (json!({"name": "../x", "algorithm": "ec-p256"}), 400, "bad-name"),
        (json!({"name": "payload", "algorithm": "ec-p256"}), 400, "bad-name"),
        (json!({"name": "x", "algorithm": "ed25519"}), 400, "bad-request"),
        (json!({"name": "x", "algorithm": "p256"}), 400, "bad-request"),
        (json!({"name": "x", "algorithm": "rsa-1024"}), 400, "bad-request"),
        (json!({"name": "x"}), 400, "bad-request"),
        (json!({"name": "x", "algorithm": "ec-p256", "more": 1}), 400, "bad-request"),
        (json!({"name": "x", "algorithm": "ec-p256", "threshold": 0}), 400, "bad-request"),
        (
            json!({"name": "x", "algorithm": "ec-p256", "threshold": 2, "principals": ["a"]}),
            400,
            "bad-request",
        ),
        (json!({"name": "x", "algorithm": "ec-p256", "principals": ["*"]}), 400, "bad-request"),
    ] {
        let answer = house.ask("POST", "/authorities/").json(document.clone()).send().await;
        refused(&answer, status, code);
        let text = house.ask("POST", "/authorities/").json(document).header("accept", "text/plain");
        let text = text.send().await;
        assert_eq!(text.status.as_u16(), status);
        assert!(text.header("content-type").starts_with("text/plain"));
    }
    for path in ["/authorities/nobody", "/authorities/nobody.pub"] {
        refused(&get(&house, path).await, 404, "unknown-authority");
    }
    let of_none = format!("/authorities/ci.pub?key=sha256:{}", "0".repeat(64));
    refused(&get(&house, &of_none).await, 404, "not-found");
    refused(&get(&house, "/authorities/ci.pub?key=x").await, 400, "bad-request");
    refused(&get(&house, "/authorities/ci?x=1").await, 400, "bad-request");
    refused(&get(&house, "/authorities/ci/nothing/here").await, 404, "not-found");
    refused(&get(&house, "/tags/requests/x").await, 404, "not-found");
    for (method, path, allow) in [
        ("DELETE", "/authorities/ci", "GET, HEAD"),
        ("GET", "/authorities/ci/rotate", "POST"),
        ("PUT", "/authorities/bundle", "GET, HEAD, POST"),
        ("DELETE", "/tags/requests/x", "GET, HEAD"),
    ] {
        let answer = house.ask(method, path).send().await;
        refused(&answer, 405, "method-not-allowed");
        assert_eq!(answer.header("allow"), allow);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_need_good_credentials_and_the_right_to_the_authority() {
    let house = House::open().await;
    make(&house, json!({"name": "ci", "algorithm": "ec-p256"})).await;
    let signer = house.somebody("sig", &["signer"]).await;
    let narrow = json!({"resources": ["authority:other"]});
    let narrow = house.token("admin", narrow).await;
    let changes = [
        ("/authorities/", json!({"name": "x", "algorithm": "ec-p256"})),
        ("/authorities/ci/rotate", json!({})),
        ("/authorities/ci/keys", json!({"pem": "x"})),
        ("/authorities/ci/revoke", json!({"key": format!("sha256:{}", "0".repeat(64)), "reason": "x"})),
        ("/authorities/bundle", json!({"root": null})),
    ];
    for (path, document) in changes {
        let nobody = house.ask_as_nobody("POST", path).json(document.clone()).send().await;
        refused(&nobody, 401, "no-credentials");
        assert_eq!(nobody.header("www-authenticate"), "Bearer");
        let other_header = house.ask_as_nobody("POST", path).header("x-api-key", &house.admin);
        refused(&other_header.json(document.clone()).send().await, 401, "no-credentials");
        let bad = house.ask_as("nonsense", "POST", path).json(document.clone()).send().await;
        refused(&bad, 401, "bad-credentials");
        for token in [&signer, &narrow] {
            let answer = house.ask_as(token, "POST", path).json(document.clone()).send().await;
            refused(&answer, 403, "not-allowed");
        }
    }
    refused(&house.ask_as_nobody("GET", "/authorities/bundle?draft=1").send().await, 401, "no-credentials");
    refused(&house.ask_as(&signer, "GET", "/authorities/bundle?draft=1").send().await, 403, "not-allowed");

    let basic = format!("Basic {}", base64(format!("admin:{}", house.admin).as_bytes()));
    let by_basic = house.ask_as_nobody("POST", "/authorities/ci/rotate").header("authorization", &basic);
    by_basic.send().await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_key_is_found_by_its_id_and_a_revoked_one_is_gone() {
    let house = House::open().await;
    let made = make(&house, json!({"name": "ci", "algorithm": "rsa-2048"})).await;
    let first = made["keys"][0]["id"].as_str().unwrap().to_owned();
    let end = "2100-01-02T03:04:05Z";
    let rotate = house.ask("POST", "/authorities/ci/rotate");
    let rotated = rotate.json(json!({"algorithm": "ec-p521", "not_after": end})).send().await.expect(200);
    assert_eq!(rotated["keys"][0]["not_after"], end);
    assert_eq!(rotated["keys"][1]["algorithm"], "ec-p521");
    let second = rotated["keys"][1]["id"].as_str().unwrap().to_owned();
    let old = get(&house, &format!("/authorities/ci.pub?key={first}")).await;
    assert_eq!(old.text(), rotated["keys"][0]["pem"].as_str().unwrap());
    assert_eq!(get(&house, "/authorities/ci.pub").await.text(), rotated["keys"][1]["pem"].as_str().unwrap());

    let revoke =
        async |document: Value| house.ask("POST", "/authorities/ci/revoke").json(document).send().await;
    for bad in [
        json!({"key": second, "reason": ""}),
        json!({"key": second, "reason": "x", "until": end}),
        json!({"key": second, "reason": "x", "from": end, "until": "2026-01-01T00:00:00Z"}),
        json!({"key": second, "reason": "x", "from": "yesterday"}),
        json!({"key": "x", "reason": "x"}),
    ] {
        refused(&revoke(bad).await, 400, "bad-request");
    }
    refused(
        &revoke(json!({"key": format!("sha256:{}", "0".repeat(64)), "reason": "x"})).await,
        404,
        "not-found",
    );

    let window = json!({"key": second, "reason": "break\u{2011}in", "from": "2026-01-02T03:04:05Z"});
    let revoked = revoke(window.clone()).await.expect(200);
    let said = &revoked["keys"][1]["revoked"];
    assert_eq!((&said["from"], &said["until"]), (&json!("2026-01-02T03:04:05Z"), &Value::Null));
    assert_eq!((said["reason"].as_str(), said["at"].is_string()), (Some("break\u{2011}in"), true));
    assert_eq!(revoke(window).await.expect(200), revoked, "once more is the same");
    let less = json!({"key": second, "reason": "x", "from": "2027-01-02T03:04:05Z"});
    refused(&revoke(less).await, 409, "exists");
    refused(&get(&house, &format!("/authorities/ci.pub?key={second}")).await, 410, "gone");

    // The one before it is not in doubt, but it gave way for good: it is no successor.
    assert_eq!(get(&house, &format!("/authorities/ci.pub?key={first}")).await.text(), old.text());
    refused(&get(&house, "/authorities/ci.pub").await, 410, "gone");
    assert_eq!(get(&house, "/authorities/").await.document()["authorities"][0]["current"], Value::Null);
    refused(&sign(&house, &house.admin, "ci", "x").await, 403, "revoked");
    let rotated = house.ask("POST", "/authorities/ci/rotate").send().await.expect(200);
    assert_eq!(rotated["keys"][2]["algorithm"], "ec-p521", "as the key before it");
    assert_eq!(sign(&house, &house.admin, "ci", "x").await.status, 200);
    assert_eq!(get(&house, "/authorities/ci.pub").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_or_certificate_of_elsewhere_is_registered() {
    let (house, openssl) = (House::open().await, OpenSsl::new());
    openssl.must(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "a.key"]);
    openssl.must(&["ec", "-in", "a.key", "-pubout", "-out", "a.pub"]);
    let config = "[req]\ndistinguished_name=dn\n[dn]\n";
    openssl.write("cnf", config);
    openssl.must(&[
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "b.key", "-out", "b.crt", "-days", "30",
        "-subj", "/CN=b", "-config", "cnf",
    ]);
    openssl.must(&["genpkey", "-algorithm", "ed25519", "-out", "c.key"]);
    openssl.must(&["pkey", "-in", "c.key", "-pubout", "-out", "c.pub"]);
    openssl.must(&["genrsa", "-out", "d.key", "1024"]);
    openssl.must(&["rsa", "-in", "d.key", "-pubout", "-out", "d.pub"]);

    let keys = "/authorities/jenkins/keys";
    let register = async |document: Value| house.ask("POST", keys).json(document).send().await;
    let made = register(json!({"pem": openssl.read("a.pub")})).await.expect(201);
    assert_eq!((&made["name"], &made["keys"][0]["algorithm"]), (&json!("jenkins"), &json!("ec-p256")));
    refused(&register(json!({"pem": openssl.read("a.pub")})).await, 409, "exists");

    let certificate = house.ask("POST", keys).body("application/x-pem-file", openssl.read("b.crt"));
    let both = certificate.send().await.expect(201);
    let end = openssl.must(&["x509", "-in", "b.crt", "-noout", "-enddate", "-dateopt", "iso_8601"]);
    let end = String::from_utf8(end).unwrap().trim().trim_start_matches("notAfter=").replace(' ', "T");
    assert_eq!(both["keys"][1]["not_after"], end, "as the certificate says");
    assert_eq!(
        get(&house, "/authorities/jenkins.pub").await.text(),
        both["keys"][1]["pem"].as_str().unwrap()
    );
    for bad in ["a.key", "c.pub", "d.pub", "cnf"] {
        refused(&register(json!({"pem": openssl.read(bad)})).await, 400, "bad-request");
    }

    // What openssl signs elsewhere is found valid here.
    openssl.write("payload", "build=42\n");
    openssl.must(&["dgst", "-sha256", "-sign", "a.key", "-out", "sig", "payload"]);
    let sig = base64(&std::fs::read(openssl.0.path().join("sig")).unwrap());
    let lines: Vec<_> = sig.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let file = format!("build=42\n=== SIGNATURE jenkins\n{}\n", lines.join("\n"));
    let validate = house.ask_as_nobody("POST", "/tags/validate?authorities=jenkins");
    let valid = validate.body("text/plain", file).send().await;
    assert_eq!((valid.status.as_u16(), valid.text().as_str()), (200, "build=42\n"));
    refused(&sign(&house, &house.admin, "jenkins", "x").await, 403, "not-allowed");
}

/// The bytes that the root key of a bundle signs, and the signature.
fn signed_part(document: &str) -> (&str, Vec<u8>) {
    let (_, rest) = document.split_once("\"signed\": ").unwrap();
    let bundle: Value = serde_json::from_str(document).unwrap();
    let signature = bundle["signatures"][0]["sig"].as_str().unwrap();
    let signature = base64::engine::general_purpose::STANDARD.decode(signature).unwrap();
    (rest.strip_suffix("}\n").unwrap(), signature)
}

#[track_caller]
fn openssl_verifies(openssl: &OpenSsl, bundle: &Answer, root: &Answer) {
    let text = bundle.text();
    let (signed, signature) = signed_part(&text);
    openssl.write("root.pub", &root.body);
    openssl.write("signed", signed);
    openssl.write("sig", signature);
    let verify = |file: &str| {
        let args =
            ["pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "root.pub", "-sigfile", "sig", "-in", file];
        openssl.run(&args).0
    };
    assert!(verify("signed"));
    openssl.write("other", signed.replace("\"version\"", "\"versiom\""));
    assert!(!verify("other"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bundle_is_signed_by_the_published_root_key_and_openssl_says_so() {
    let (house, openssl) = (House::open().await, OpenSsl::new());
    let made = make(&house, json!({"name": "ci", "algorithm": "ec-p256"})).await;
    let bundle = get(&house, "/authorities/bundle").await;
    let root = get(&house, "/authorities/bundle.pub").await;
    openssl_verifies(&openssl, &bundle, &root);

    let signed = &bundle.document()["signed"];
    assert_eq!((&signed["type"], &signed["version"]), (&json!("countersign-authorities"), &json!(1)));
    assert_eq!(signed["authorities"]["ci"], made["keys"]);
    assert_eq!(signed["revocations"], json!([]));
    let key_id = &bundle.document()["signatures"][0]["keyid"];
    let native = house.ask("GET", "/countersign/v1/keys/tags%2Fbundle").send().await.expect(200);
    assert_eq!((&native["id"], &native["type"]), (key_id, &json!("ed25519")));

    let again = get(&house, "/authorities/bundle").await;
    assert_eq!(again.body, bundle.body, "nothing has changed");
    let known = house.ask_as_nobody("GET", "/authorities/bundle");
    let known = known.header("if-none-match", bundle.header("etag")).send().await;
    assert_eq!((known.status.as_u16(), known.body.len()), (304, 0));

    let key = made["keys"][0]["id"].clone();
    let revoke = house.ask("POST", "/authorities/ci/revoke");
    revoke.json(json!({"key": key, "reason": "lost"})).send().await.expect(200);
    let next = get(&house, "/authorities/bundle").await;
    openssl_verifies(&openssl, &next, &root);
    let signed = &next.document()["signed"];
    assert_eq!((&signed["version"], &signed["revocations"][0]["key"]), (&json!(2), &key));
    assert_eq!(signed["revocations"][0]["authority"], "ci");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_signs_the_bundle_with_a_key_of_their_own() {
    let (house, openssl) = (House::open().await, OpenSsl::new());
    make(&house, json!({"name": "ci", "algorithm": "ec-p256"})).await;
    openssl.must(&["genpkey", "-algorithm", "ed25519", "-out", "own.key"]);
    openssl.must(&["pkey", "-in", "own.key", "-pubout", "-out", "own.pub"]);
    openssl.must(&["pkey", "-in", "own.key", "-pubout", "-outform", "DER", "-out", "own.der"]);
    let own = openssl.read("own.pub");
    let id =
        countersign_model::digest::sha256_text(&std::fs::read(openssl.0.path().join("own.der")).unwrap());

    // Signs what is between `"signed": ` and the last brace, as it came.
    let signed_by_own = |draft: &Answer| {
        let text = draft.text();
        let signed = text.strip_prefix("{\"signed\": ").unwrap().strip_suffix("}\n").unwrap().to_owned();
        openssl.write("draft", &signed);
        openssl.must(&[
            "pkeyutl",
            "-sign",
            "-rawin",
            "-inkey",
            "own.key",
            "-in",
            "draft",
            "-out",
            "draft.sig",
        ]);
        let sig = base64(&std::fs::read(openssl.0.path().join("draft.sig")).unwrap());
        let signed: Value = serde_json::from_str(&signed).unwrap();
        json!({"signed": signed, "signatures": [{"keyid": id, "sig": sig}]})
    };
    let draft = async || house.ask("GET", "/authorities/bundle?draft=1").send().await;
    let install = async |bundle: &Value, root: Option<&str>| {
        let mut document = bundle.clone();
        if let Some(root) = root {
            document["root"] = root.into();
        }
        house.ask("POST", "/authorities/bundle").json(document).send().await
    };

    let first = get(&house, "/authorities/bundle").await;
    let bundle = signed_by_own(&draft().await);
    refused(&install(&bundle, None).await, 400, "bad-request");
    let server_root = get(&house, "/authorities/bundle.pub").await.text();
    refused(&install(&bundle, Some(&server_root)).await, 400, "bad-request");
    let mut changed = bundle.clone();
    changed["signed"]["version"] = json!(9);
    refused(&install(&changed, Some(&own)).await, 400, "bad-request");
    assert_eq!(get(&house, "/authorities/bundle").await.body, first.body, "refusals change nothing");

    let answer = install(&bundle, Some(&own)).await;
    assert_eq!(answer.expect(200)["signed"], bundle["signed"]);
    assert!(!answer.header("countersign-log").is_empty());
    let given = get(&house, "/authorities/bundle").await;
    assert_eq!(given.document(), bundle);
    let root = get(&house, "/authorities/bundle.pub").await;
    assert_eq!(root.text(), own);
    openssl_verifies(&openssl, &given, &root);

    // The server says that it cannot say what has changed.
    let stale = draft().await;
    make(&house, json!({"name": "more", "algorithm": "ec-p256"})).await;
    let given = get(&house, "/authorities/bundle").await;
    assert_eq!((given.document(), given.header("countersign-bundle-stale")), (bundle.clone(), "true"));
    refused(&install(&signed_by_own(&stale), None).await, 412, "precondition-failed");
    install(&signed_by_own(&draft().await), None).await.expect(200);
    assert_eq!(get(&house, "/authorities/bundle").await.header("countersign-bundle-stale"), "");
    refused(&install(&bundle, None).await, 412, "precondition-failed");

    let own_again = house.ask("POST", "/authorities/bundle").json(json!({"root": null}));
    let back = own_again.send().await.expect(200);
    assert_eq!(back["signed"]["version"], 4);
    assert_eq!(get(&house, "/authorities/bundle.pub").await.text(), server_root);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_waits_until_the_second_of_two_agrees() {
    let house = House::open().await;
    let ana = house.somebody("ana", &["signer"]).await;
    let bo = house.somebody("bo", &["signer"]).await;
    let cy = house.somebody("cy", &["signer"]).await;
    let two = json!({"name": "release", "algorithm": "ec-p256", "threshold": 2, "principals": ["ana", "bo"]});
    make(&house, two).await;

    let asked = sign(&house, &ana, "release", "v1").await;
    assert_eq!(asked.status, 202, "{}", asked.text());
    let location = asked.header("location").to_owned();
    let digest = countersign_model::digest::sha256(b"v1\n").map(|b| format!("{b:02x}")).concat();
    let request = get(&house, &location).await.expect(200);
    let id = location.strip_prefix("/tags/requests/").unwrap();
    assert_eq!(
        request,
        json!({
            "id": id, "authority": "release", "payload_sha256": digest, "have": ["ana"], "need": 2,
            "state": "waiting", "expires": request["expires"],
        })
    );
    let shown = house.ask_as(&bo, "GET", &location).send().await.expect(200);
    assert_eq!(shown["payload"], "v1\n");
    let hidden = house.ask_as(&cy, "GET", &location).send().await.expect(200);
    assert_eq!(hidden.get("payload"), None);
    refused(&house.ask_as("nonsense", "GET", &location).send().await, 401, "bad-credentials");

    let approve = format!("{location}/approve");
    let say = async |token: &str, digest: &str| {
        house.ask_as(token, "POST", &approve).json(json!({"payload_sha256": digest})).send().await
    };
    assert_eq!(say(&ana, &digest).await.expect(200)["have"], json!(["ana"]), "one voice a principal");
    refused(&say(&cy, &digest).await, 403, "not-allowed");
    refused(&say(&bo, &"0".repeat(64)).await, 412, "precondition-failed");
    refused(&say(&bo, "x").await, 400, "bad-request");
    let nobody = house.ask_as_nobody("POST", &approve).json(json!({"payload_sha256": digest})).send().await;
    refused(&nobody, 401, "no-credentials");

    let done = say(&bo, &digest).await.expect(200);
    assert_eq!((&done["state"], &done["have"]), (&json!("signed"), &json!(["ana", "bo"])));
    let file = done["signed"].as_str().unwrap().to_owned();
    assert_eq!(get(&house, &location).await.expect(200)["signed"], done["signed"]);
    let validate = house.ask_as_nobody("POST", "/tags/validate?authorities=release");
    assert_eq!(validate.body("text/plain", file).send().await.text(), "v1\n");

    let asked = sign(&house, &ana, "release", "v2").await;
    let refuse = format!("{}/refuse", asked.header("location"));
    let digest = countersign_model::digest::sha256_text(b"v2\n");
    let no = house.ask_as(&bo, "POST", &refuse).json(json!({"payload_sha256": digest})).send().await;
    assert_eq!(no.expect(200)["state"], "refused");
}
