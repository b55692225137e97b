//! The appliance as its clients use it: `curl`, one field, `base64 -d`; judged by `openssl` and `gpg`.

use std::fs;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::{Answer, House, base64};

impl House {
    async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask_as_nobody("POST", path).header("x-api-key", &self.admin).json(body).send().await
    }

    async fn show(&self, path: &str) -> Answer {
        self.ask_as_nobody("GET", path).send().await
    }

    async fn certificate(&self, id: &str) -> String {
        let body = json!({"cert_id": id, "subject": format!("/O=Example/CN={id}")});
        let made = self.post("/cert", body).await.expect(200);
        made["cert"].as_str().unwrap().to_owned()
    }
}

fn decoded(document: &Value, member: &str) -> Vec<u8> {
    let text = document[member].as_str().unwrap_or_else(|| panic!("no {member}: {document}"));
    STANDARD.decode(text).unwrap_or_else(|error| panic!("{member} is not flat base64: {error}"))
}

/// A program that must succeed, in a directory with these files.
fn run(files: &[(&str, &[u8])], program: &str, arguments: &[&str]) -> bool {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    let output = Command::new(program).args(arguments).current_dir(&dir).output().unwrap();
    output.status.success()
}

#[tokio::test]
async fn a_certificate_is_made_shown_and_signs_digests_bare() {
    for house in House::on_both("").await {
        let pem = house.certificate("release").await;
        let shown = house.show("/cert/release").await.expect(200);
        assert_eq!(shown["cert"], pem);
        assert_eq!(house.show("/kmod/cert/release").await.expect(200)["cert"], pem);
        let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        let signed =
            house.post("/cert/sign", json!({"cert_id": "release", "digest": digest})).await.expect(200);
        let signature = decoded(&signed, "signature");
        let upper = json!({"cert_id": "release", "digest": digest.to_uppercase()});
        assert_eq!(house.post("/cert/sign", upper).await.expect(200), signed, "deterministic");
        let files = [
            ("cert", pem.as_bytes()),
            ("digest", &hex::decode(digest).unwrap()[..]),
            ("signature", &signature[..]),
        ];
        let verify =
            ["pkeyutl", "-verify", "-in", "digest", "-certin", "-inkey", "cert", "-sigfile", "signature"];
        assert!(run(&files, "openssl", &verify));
        let files = [("cert", pem.as_bytes()), ("digest", &[0; 32][..]), ("signature", &signature[..])];
        assert!(!run(&files, "openssl", &verify), "another digest");
        house.close().await;
    }
}

#[tokio::test]
async fn requests_are_refused_with_the_status_and_shape_that_clients_know() {
    let house = House::open().await;
    house.certificate("c").await;
    let cases = [
        ("/cert", json!({"cert_id": "c", "subject": "/CN=c"}), 409),
        ("/cert", json!({"subject": "/CN=c"}), 400),
        ("/cert", json!({"cert_id": 5, "subject": "/CN=c"}), 400),
        ("/cert", json!({"cert_id": "../x", "subject": "/CN=c"}), 400),
        ("/cert", json!({"cert_id": "d", "subject": "CN=c"}), 400),
        ("/cert", json!({"cert_id": "d", "subject": "/CN=c", "key_length": 1024}), 400),
        ("/cert", json!({"cert_id": "d", "subject": "/CN=c", "days": 0}), 400),
        ("/cert", json!({"cert_id": "d", "subject": "/CN=c", "days": 4_000_000_000u64}), 400),
        ("/cert", json!([1]), 400),
        ("/cert/sign", json!({"cert_id": "c", "digest": "ab"}), 400),
        ("/cert/sign", json!({"cert_id": "none", "digest": "0".repeat(64)}), 404),
        ("/gpg/key", json!({"name_real": "A\nKey-Length: 1024", "name_email": "a@b"}), 400),
        ("/gpg/sign", json!({"key_id": "zz", "payload": "eA=="}), 400),
        ("/gpg/sign", json!({"key_id": "AABB", "payload": "eA=="}), 404),
        ("/kmod/sign", json!({"key_id": "none", "payload": "eA=="}), 404),
        ("/kmod/sign", json!({"key_id": "c", "payload": ""}), 400),
        ("/kmod/sign", json!({"key_id": "c", "payload": "a"}), 400),
        ("/secureboot/efi", json!({"key_id": "c", "payload": base64(b"nope")}), 400),
        ("/secureboot/pk", json!({"key_id": []}), 400),
        ("/secureboot/pk", json!({"key_id": ["c"]}), 400),
        ("/secureboot/pk", json!({"key_id": ["x", "y"], "signing_key_id": "c"}), 404),
        ("/secureboot/pk", json!({"key_id": vec!["x"; 65], "signing_key_id": "c"}), 400),
        ("/secureboot/db", json!({"esl": base64(&vec![0; (8 << 20) + 1]), "signing_key_id": "c"}), 400),
        ("/secureboot/db", json!({"key_id": "c", "esl": "eA=="}), 400),
        ("/secureboot/db", json!({"esl": "eA==", "signing_key_id": "c"}), 400),
        ("/secureboot/db", json!({"key_id": "c", "append": "yes"}), 400),
        ("/rsa/sign", json!({"key_id": "ab", "payload": "eA=="}), 404),
        ("/imx/pki", json!({"hab_type": "other"}), 400),
        ("/bootstrap", json!({}), 400),
    ];
    for (path, body, status) in cases {
        let answer = house.post(path, body.clone()).await;
        let document = answer.expect(status);
        let says = document["error"].is_string() || document["detail"].is_string();
        assert!(says, "{path}: {document}");
        for taken in ["signature", "signed", "auth"] {
            assert!(document.get(taken).is_none(), "{path} {body}: {document}");
        }
    }
    let many = format!("/secureboot/pk/{}", vec!["c"; 65].join(","));
    house.show(&many).await.expect(400);
    house.show(&many.replacen("c,", "", 1)).await.expect(404);
    let missing = house.post("/gpg/sign", json!({"key_id": "AA"})).await.expect(400);
    assert_eq!(missing["detail"], "'payload' is a required property");
    for (path, status) in [
        ("/cert/none", 404),
        ("/gpg/key/AABB", 404),
        ("/rsa/key/ab", 404),
        ("/secureboot/pk/c", 404),
        ("/secureboot/pk/none", 404),
        ("/imx/efuses/ab", 404),
        ("/cert", 405),
        ("/secureboot/dbx/c", 404),
        ("/gpg/keys/", 307),
        ("/health", 200),
        ("/gpg/keys", 200),
        ("/rsa/keys", 200),
        ("/imx/pkis", 200),
    ] {
        assert_eq!(house.show(path).await.status.as_u16(), status, "{path}");
    }
    house.close().await;
}

#[tokio::test]
async fn only_the_key_in_its_own_header_opens_and_reading_needs_none() {
    let house = House::open().await;
    let body = json!({"cert_id": "c", "subject": "/CN=c"});
    let without = house.ask_as_nobody("POST", "/cert").json(body.clone()).send().await.expect(401);
    assert_eq!(without["detail"], "No authorization token provided");
    let bearer = house.ask("POST", "/cert").json(body.clone()).send().await.expect(401);
    assert_eq!(bearer["detail"], "No authorization token provided");
    let wrong = house.ask_as_nobody("POST", "/cert").header("X-API-Key", "x").body("text/plain", "no json");
    assert_eq!(wrong.send().await.expect(401)["detail"], "Provided apikey is not valid");
    let kind =
        house.ask_as_nobody("POST", "/cert").header("x-api-key", &house.admin).body("text/plain", "{}");
    kind.send().await.expect(415);
    let reader = house.somebody("reader", &["reader"]).await;
    let denied = house.ask_as_nobody("POST", "/cert").header("x-api-key", &reader).json(body.clone());
    denied.send().await.expect(403);
    let machine = house.somebody("machine", &["appliance"]).await;
    let allowed = house.ask_as_nobody("POST", "/cert").header("x-api-key", &machine).json(body);
    allowed.send().await.expect(200);
    house.ask_as_nobody("GET", "/cert/c").header("x-api-key", "wrong").send().await.expect(200);
    house.close().await;
}

#[tokio::test]
async fn the_description_lists_what_is_answered_with_which_methods_and_to_whom() {
    let house = House::open().await;
    let description = house.show("/openapi.json").await.expect(200);
    let paths = description["paths"].as_object().unwrap();
    let ours = paths.iter().filter_map(|(path, item)| Some((path, item.as_object()?)));
    let ours: Vec<_> =
        ours.filter(|(_, item)| item.values().any(|one| one["tags"] == json!(["appliance"]))).collect();
    assert_eq!(ours.len(), 31);
    for (path, item) in ours {
        let methods: Vec<&String> = item.keys().collect();
        let [method] = methods.as_slice() else { panic!("{path}: {methods:?}") };
        let allowed = if method.as_str() == "get" { "GET,HEAD" } else { "POST" };
        let real = path.replace("{id}", "x").replace("{ids}", "x");
        let refused = house.ask_as_nobody("PATCH", &real).send().await;
        assert_eq!((refused.status.as_u16(), refused.header("allow")), (405, allowed), "{path}");

        let operation = &item[*method];
        assert!(
            operation["responses"]["default"]["content"]["application/problem+json"].is_object(),
            "{path}"
        );
        if method.as_str() == "get" {
            assert_eq!(operation["security"], json!([{}]), "{path}: anybody");
        } else {
            assert_eq!(operation["security"], json!([{"key": []}]), "{path}");
            assert!(operation["requestBody"]["content"]["application/json"].is_object(), "{path}");
            house.ask_as_nobody("POST", &real).json(json!({})).send().await.expect(401);
        }
    }
    let scheme = json!({"type": "apiKey", "in": "header", "name": "X-API-Key"});
    assert_eq!(description["components"]["securitySchemes"]["key"], scheme);
    house.close().await;

    let house = House::with("[appliance]\nenabled = false").await;
    let description = house.show("/openapi.json").await.expect(200);
    assert!(description["paths"]["/kmod/sign"].is_null());
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_make_one_certificate_exactly_one_succeeds() {
    for house in House::on_both("").await {
        let body = || json!({"cert_id": "one", "subject": "/CN=one"});
        let tries = (0..6).map(|_| house.post("/cert", body()));
        let mut statuses: Vec<u16> =
            futures_util::future::join_all(tries).await.iter().map(|answer| answer.status.as_u16()).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409, 409, 409, 409, 409]);
        house.close().await;
    }
}

#[tokio::test]
async fn an_openpgp_signature_is_good_for_gpgv() {
    let house = House::open().await;
    let made =
        house.post("/gpg/key", json!({"name_real": "A", "name_email": "a@b.example"})).await.expect(200);
    let fingerprint = made["fingerprint"].as_str().unwrap();
    assert_eq!(house.show("/gpg/keys").await.expect(200)["keys"], json!([fingerprint]));
    let key = house.show(&format!("/gpg/key/{}", &fingerprint[24..].to_lowercase())).await.expect(200);
    let body = json!({"key_id": fingerprint, "payload": base64(b"hello")});
    let signed = house.post("/gpg/sign", body).await.expect(200);
    let signature = decoded(&signed, "signature");
    assert_eq!(signature[..3], [0x89, 0x01, 0x33], "as gpg writes it");
    let script = "gpg --homedir . --batch --dearmor <key >ring && gpgv --homedir . --keyring ./ring sig file";
    let key = key["key"].as_str().unwrap().as_bytes();
    assert!(run(&[("key", key), ("sig", &signature), ("file", b"hello")], "sh", &["-c", script]));
    assert!(!run(&[("key", key), ("sig", &signature), ("file", b"hullo")], "sh", &["-c", script]));
    house.close().await;
}

#[tokio::test]
async fn a_list_is_signed_once_and_shown_as_it_was_ever_after() {
    for house in House::on_both("").await {
        for id in ["pk", "kek", "db"] {
            house.certificate(id).await;
        }
        house.post("/secureboot/pk", json!({"key_id": "pk"})).await.expect(200);
        let two = json!({"key_id": ["kek", "db", "kek"], "signing_key_id": "pk"});
        assert_eq!(house.post("/secureboot/kek", two).await.expect(200), json!({}));
        let again = json!({"key_id": ["db", "kek"], "signing_key_id": "pk"});
        house.post("/secureboot/kek", again).await.expect(409);
        let shown = house.show("/secureboot/kek/kek,db").await.expect(200);
        assert_eq!(house.show("/secureboot/kek/db%2Ckek").await.expect(200), shown);
        let (auth, esl) = (decoded(&shown, "kek"), decoded(&shown, "esl"));
        assert!(auth.ends_with(&esl), "an update ends with its lists");
        assert_eq!(shown["der"].as_array().unwrap().len(), 2);

        let external = json!({"esl": shown["esl"], "signing_key_id": "kek", "append": true});
        let update = decoded(&house.post("/secureboot/dbx", external.clone()).await.expect(200), "auth");
        assert_eq!(update[..16], [0; 16], "an update that appends has no time");
        let again = decoded(&house.post("/secureboot/dbx", external).await.expect(200), "auth");
        assert_eq!(again, update, "reproducible");
        house.close().await;
    }
}

#[tokio::test]
async fn an_eeprom_image_is_signed_as_raspberry_pi_boards_check_it() {
    let house = House::open().await;
    let id = house.post("/rsa/key", json!({"key_length": 4096})).await.expect(200)["fingerprint"].clone();
    let id = id.as_str().unwrap();
    let pem = house.show(&format!("/rsa/key/{}", id.to_uppercase())).await.expect(200)["key"].clone();
    let signed = house.post("/rsa/sign", json!({"key_id": id, "payload": base64(b"boot")})).await.expect(200);
    let text = String::from_utf8(decoded(&signed, "signature")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    let signature = hex::decode(lines[2].strip_prefix("rsa2048: ").unwrap()).unwrap();
    let files = [("key", pem.as_str().unwrap().as_bytes()), ("sig", &signature[..]), ("file", b"boot")];
    assert!(run(&files, "openssl", &["dgst", "-sha256", "-verify", "key", "-signature", "sig", "file"]));
    house.close().await;
}

#[tokio::test]
async fn a_module_of_many_megabytes_is_signed_whole() {
    let house = House::open().await;
    house.certificate("kmod").await;
    let module: Vec<u8> = (0..3u32 << 20).map(|n| (n >> 7) as u8).collect();
    let signed =
        house.post("/kmod/sign", json!({"key_id": "kmod", "payload": base64(&module)})).await.expect(200);
    let signed = decoded(&signed, "signed");
    assert!(signed.starts_with(&module) && signed.ends_with(b"~Module signature appended~\n"));
    house.close().await;
}

/// 22 keys of RSA-4096 take their time.
#[tokio::test(flavor = "multi_thread")]
async fn a_whole_key_set_is_made_at_once_or_not_at_all() {
    let house = House::open().await;
    let certificate = |id: &str| json!({"cert_id": id, "subject": format!("/CN={id}")});
    let wanted = |db: &str| {
        json!({
            "gpg": {"name_real": "A", "name_email": "a@b.example"}, "rsa": {},
            "hab": {"hab_type": "hab"}, "ahab": {"hab_type": "ahab"},
            "certificates": {
                "pk": certificate("pk"), "kek": certificate("kek"), "kmod": certificate("kmod"), "db": certificate(db),
            },
        })
    };
    house.certificate("taken").await;
    house.post("/bootstrap", wanted("taken")).await.expect(409);
    house.post("/bootstrap", wanted("pk")).await.expect(409);
    assert_eq!(house.show("/gpg/keys").await.expect(200)["keys"], json!([]));
    house.show("/cert/pk").await.expect(404);

    let made = house.post("/bootstrap", wanted("db")).await.expect(200);
    assert_eq!(made["hab"], made["pkiHab"]);
    for variable in ["pk", "kek", "db"] {
        house.show(&format!("/secureboot/{variable}/{variable}")).await.expect(200);
    }
    for (tree, bytes) in [("hab", 32), ("ahab", 64)] {
        let id = made[tree]["pki_id"].as_str().unwrap();
        let fuses = house.show(&format!("/imx/efuses/{id}")).await.expect(200);
        assert_eq!(decoded(&fuses, "efuses").len(), bytes);
        assert_eq!(house.show(&format!("/nxp/efuses/{id}")).await.expect(200), fuses);
    }
    house.post("/bootstrap", wanted("db")).await.expect(409);
    house.close().await;
}
