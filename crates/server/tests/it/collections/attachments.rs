//! Files that belong to records.

use serde_json::{Value, json};

use crate::support::{Answer, House};

const RECORD: &str = "/v1/buckets/source/collections/c/records/r";

const CONFIG: &str = "[[collections.resource]]\nsource = \"/buckets/source\"\ndestination = \"/buckets/destination\"\nreview = false";

/// A form as browsers write it.
fn form(data: Option<&Value>, name: &str, content: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    if let Some(data) = data {
        body.extend_from_slice(
            format!("--X\r\nContent-Disposition: form-data; name=\"data\"\r\n\r\n{data}\r\n").as_bytes(),
        );
    }
    let head = format!(
        "--X\r\nContent-Disposition: form-data; name=\"attachment\"; filename=\"{name}\"\r\nContent-Type: image/png\r\n\r\n"
    );
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(content);
    body.extend_from_slice(b"\r\n--X--\r\n");
    body
}

impl House {
    async fn attach(&self, token: Option<&str>, body: Vec<u8>) -> Answer {
        let path = format!("{RECORD}/attachment");
        let ask = match token {
            Some(token) => self.ask_as(token, "POST", &path),
            None => self.ask_as_nobody("POST", &path),
        };
        ask.header("host", "h:1").body("multipart/form-data; boundary=X", body).send().await
    }
}

#[tokio::test]
async fn a_file_is_stored_described_signed_and_served() {
    for house in House::on_both(CONFIG).await {
        house.ask("PUT", "/v1/buckets/source").send().await.expect(201);
        house.ask("PUT", "/v1/buckets/source/collections/c").send().await.expect(201);
        let content = [b"\x89PNG\r\n\x1a\n".as_slice(), &vec![7; 300_000]].concat();
        let made =
            house.attach(Some(&house.admin), form(Some(&json!({"n": 1})), "../a/Logo.PNG", &content)).await;
        let file = made.expect(201);
        assert_eq!(made.header("location"), format!("http://h:1{RECORD}"));
        assert_eq!((&file["filename"], &file["mimetype"]), (&json!("Logo.PNG"), &json!("image/png")));
        assert_eq!(file["size"], content.len());
        assert_eq!(file["hash"], hex::encode(countersign_model::digest::sha256(&content)));
        let record = house.ask("GET", RECORD).send().await.expect(200);
        assert_eq!((&record["data"]["attachment"], &record["data"]["n"]), (&file, &json!(1)));

        let root = house.ask_as_nobody("GET", "/v1/").header("host", "h:1").send().await.expect(200);
        let base = root["capabilities"]["attachments"]["base_url"].as_str().unwrap();
        let url = format!("{base}{}", file["location"].as_str().unwrap());
        let served = house.ask_as_nobody("GET", url.strip_prefix("http://h:1").unwrap()).send().await;
        assert_eq!((served.status.as_u16(), served.body == content), (200, true));
        for (name, wanted) in [
            ("x-content-type-options", "nosniff"),
            ("content-type", "image/png"),
            ("content-disposition", "attachment"),
        ] {
            assert_eq!(served.header(name), wanted);
        }

        let signed = json!({"data": {"status": "to-sign"}});
        house.ask("PATCH", "/v1/buckets/source/collections/c").json(signed).send().await.expect(200);
        let path = "/v1/buckets/destination/collections/c/records/r";
        assert_eq!(house.ask_as_nobody("GET", path).send().await.expect(200)["data"]["attachment"], file);

        house.ask("DELETE", &format!("{RECORD}/attachment")).send().await.expect(204);
        let record = house.ask("GET", RECORD).send().await.expect(200);
        assert!(record["data"].get("attachment").is_none() && record["data"]["n"] == 1, "{record}");
        house.close().await;
    }
}

#[tokio::test]
async fn a_file_is_refused_from_who_may_not_write_and_in_what_is_no_form() {
    let house = House::with(CONFIG).await;
    house.ask("PUT", "/v1/buckets/source").send().await.expect(201);
    house.ask("PUT", "/v1/buckets/source/collections/c").send().await.expect(201);
    let bob = house.somebody("bob", &[]).await;
    assert_eq!(house.attach(None, form(None, "a", b"x")).await.expect(401)["errno"], 104);
    assert_eq!(house.attach(Some(&bob), form(None, "a", b"x")).await.expect(403)["errno"], 121);
    for body in [
        b"nonsense".to_vec(),
        b"--X--\r\n".to_vec(),
        form(None, "..", b"x"),
        form(Some(&json!([1])), "a", b"x"),
    ] {
        assert_eq!(house.attach(Some(&house.admin), body).await.expect(400)["errno"], 107);
    }
    let path = format!("{RECORD}/attachment");
    house.ask("POST", &path).json(json!({"data": {}})).send().await.expect(415);
    house.ask("GET", &path).send().await.expect(405);
    house.ask("GET", RECORD).send().await.expect(404);
    for name in ["none", "../../db/countersign.sqlite", "%2e%2e/x", "source/c/none.png", ""] {
        let answer = house.ask_as_nobody("GET", &format!("/v1/attachments/{name}")).send().await;
        assert!(matches!(answer.status.as_u16(), 307 | 404), "{name}: {}", answer.status);
    }
    house.close().await;
}

#[tokio::test]
async fn a_file_that_browsers_would_run_is_bytes_to_them() {
    let house = House::with(CONFIG).await;
    house.ask("PUT", "/v1/buckets/source").send().await.expect(201);
    house.ask("PUT", "/v1/buckets/source/collections/c").send().await.expect(201);
    // The first makes the record.
    for (name, status) in [("a.html", 201), ("a.svg", 200), ("a.js", 200), ("a.xml", 200), ("a", 200)] {
        let file = house.attach(Some(&house.admin), form(None, name, b"<script>")).await.expect(status);
        assert_eq!(file["mimetype"], "image/png", "the record has what the uploader said");
        let path = format!("/v1/attachments/{}", file["location"].as_str().unwrap());
        let served = house.ask_as_nobody("GET", &path).send().await;
        assert_eq!(served.header("content-type"), "application/octet-stream", "{name}");
    }
    house.close().await;
}

#[tokio::test]
async fn a_file_that_is_larger_than_configured_is_refused() {
    let house = House::with(&format!("[collections]\nattachment_mib = 1\n{CONFIG}")).await;
    house.ask("PUT", "/v1/buckets/source").send().await.expect(201);
    house.ask("PUT", "/v1/buckets/source/collections/c").send().await.expect(201);
    let large = vec![7; (1 << 20) + 1];
    assert_eq!(house.attach(Some(&house.admin), form(None, "a", &large)).await.expect(413)["errno"], 113);
    house.attach(Some(&house.admin), form(None, "a", &large[..1 << 19])).await.expect(201);
    house.close().await;
}

#[tokio::test]
async fn a_file_that_was_not_uploaded_is_not_named() {
    let house =
        House::with(&format!("[collections]\nbucket_create_principals = [\"principal:ana\"]\n{CONFIG}"))
            .await;
    let ana = house.somebody("ana", &[]).await;
    house.ask_as(&ana, "PUT", "/v1/buckets/source").send().await.expect(201);
    house.ask_as(&ana, "PUT", "/v1/buckets/source/collections/c").send().await.expect(201);
    let forged = json!({"data": {"attachment": {"location": "other/file", "hash": "00", "size": 1, "filename": "a", "mimetype": "b"}}});
    assert_eq!(house.ask_as(&ana, "PUT", RECORD).json(forged.clone()).send().await.expect(400)["errno"], 107);
    house.attach(Some(&ana), form(None, "a.png", b"x")).await.expect(201);
    assert_eq!(house.ask_as(&ana, "PATCH", RECORD).json(forged).send().await.expect(400)["errno"], 107);
    house.ask_as(&ana, "PATCH", RECORD).json(json!({"data": {"n": 1}})).send().await.expect(200);
    house.close().await;
}
