//! Tags by name: write, read, list, hide.

use serde_json::json;

use super::{authority, authority_of, get, refused, sha256, signed, write, writer};
use crate::support::House;

#[tokio::test]
async fn a_tag_is_made_and_read_with_its_headers() {
    for house in House::on_both("").await {
        authority(&house, "a").await;
        let post = house.ask("POST", "/tags/team/app-1.0?content=build%3D42").send().await;
        let made = post.expect(201);
        let hex = sha256("build=42\n");
        assert_eq!((&made["name"], &made["version"]), (&json!("team/app-1.0"), &json!(1)));
        assert_eq!((&made["payload_sha256"], &made["authorities"]), (&json!(hex), &json!(["a"])));
        assert_eq!(post.header("location"), "/tags/team/app-1.0");
        assert_eq!(post.header("etag"), format!("\"{hex}\""));
        assert_eq!(post.header("countersign-publication"), "0");
        assert!(made["created"].as_str().unwrap().ends_with('Z'));

        let path = "/tags/team/app-1.0";
        let file = get(&house, path).await;
        assert_eq!(file.status, 200);
        assert!(file.text().starts_with("build=42\n=== SIGNATURE a\n"));
        assert_eq!((file.header("etag"), file.header("countersign-version")), (post.header("etag"), "1"));
        // Nothing was verified, and nothing is said to be.
        assert_eq!(file.header("countersign-authorities"), "");

        let valid = get(&house, "/tags/team/app-1.0?authorities=a").await;
        assert_eq!((valid.status.as_u16(), valid.text().as_str()), (200, "build=42\n"));
        assert_eq!(valid.header("countersign-authorities"), "a");

        for path in ["/tags/team/app-1.0", "/tags/team/app-1.0?authorities=a"] {
            let head = house.ask_as_nobody("HEAD", path).send().await;
            assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
            assert_eq!(head.header("etag"), post.header("etag"));
            for known in [post.header("etag"), "*", &format!("W/{}", post.header("etag"))] {
                let known = house.ask_as_nobody("GET", path).header("if-none-match", known).send().await;
                assert_eq!((known.status.as_u16(), known.body.len()), (304, 0));
                assert_eq!(known.header("etag"), post.header("etag"));
            }
            let other = house.ask_as_nobody("GET", path).header("if-none-match", "\"x\"").send().await;
            assert_eq!(other.status, 200);
        }
        house.close().await;
    }
}

#[tokio::test]
async fn the_same_content_adds_a_signature_and_other_content_is_a_new_version() {
    for house in House::on_both("").await {
        for name in ["a", "b"] {
            authority(&house, name).await;
        }
        let ana = writer(&house, "ana", "a", "").await;
        let bo = writer(&house, "bo", "b", "").await;
        let post = async |token: &str, query: &str, text: &str| {
            let path = format!("/tags/app?{query}");
            house.ask_as(token, "POST", &path).body("text/plain", text).send().await
        };
        post(&ana, "", "one").await.expect(201);
        let same = post(&bo, "", "one\n").await.expect(200);
        assert_eq!((&same["version"], &same["authorities"]), (&json!(1), &json!(["a", "b"])));

        refused(&post(&ana, "", "two").await, 409, "exists");
        let second = post(&ana, "new_version=1", "two").await.expect(201);
        assert_eq!((&second["version"], &second["authorities"]), (&json!(2), &json!(["a"])));
        // Only own signatures are on it: no need to ask.
        assert_eq!(post(&ana, "", "three").await.expect(201)["version"], 3);

        let old = get(&house, "/tags/app?version=1&authorities=a,b").await;
        assert_eq!((old.text().as_str(), old.header("countersign-version")), ("one\n", "1"));
        refused(&get(&house, "/tags/app?version=4").await, 404, "unknown-tag");
        refused(&get(&house, "/tags/app?version=0").await, 404, "unknown-tag");
        refused(&get(&house, "/tags/app?version=x").await, 400, "bad-request");
        let list = get(&house, "/tags/app?versions=1").await.expect(200);
        assert_eq!(list["name"], "app");
        let versions = list["versions"].as_array().unwrap();
        assert_eq!(versions.len(), 3);
        assert_eq!((&versions[0]["version"], &versions[0]["hidden"]), (&json!(1), &json!(false)));
        assert_eq!(versions[0]["payload_sha256"], sha256("one\n"));
        assert!(list["next"].is_null());
        let piece = get(&house, "/tags/app?versions=1&after=1&limit=1").await.expect(200);
        assert_eq!((&piece["versions"][0]["version"], &piece["next"]), (&json!(2), &json!(2)));
        house.close().await;
    }
}

#[tokio::test]
async fn a_reader_names_who_must_have_signed_and_gets_the_payload_only_then() {
    let house = House::open().await;
    for name in ["a", "b"] {
        authority(&house, name).await;
    }
    write(&house, "app", "a", "SECRET").await;
    for (query, status, error) in [
        ("authorities=b", 403, "not-signed"),
        ("authorities=a,b", 403, "not-signed"),
        ("authorities=", 400, "no-authorities"),
        ("authorities=nobody", 404, "unknown-authority"),
        ("authorities=a%2F", 400, "bad-name"),
        ("authorites=a", 400, "bad-request"),
    ] {
        let answer = get(&house, &format!("/tags/app?{query}")).await;
        refused(&answer, status, error);
        assert!(!answer.text().contains("SECRET"));
    }
    refused(&get(&house, "/tags/none?authorities=a").await, 404, "unknown-tag");
    refused(&get(&house, "/tags/none").await, 404, "unknown-tag");
    super::revoke(&house, "a", None, None).await;
    let answer = get(&house, "/tags/app?authorities=a").await;
    refused(&answer, 403, "revoked");
    assert!(!answer.text().contains("SECRET"));
    house.close().await;
}

#[tokio::test]
async fn an_existing_payload_is_signed_by_who_says_which() {
    for house in House::on_both("").await {
        for name in ["a", "b", "c"] {
            authority(&house, name).await;
        }
        write(&house, "app", "a", "one").await;
        let (hex, other) = (sha256("one\n"), sha256("two\n"));
        let put = async |query: &str, if_match: &str| {
            let path = format!("/tags/app?{query}");
            let ask = house.ask("PUT", &path);
            let ask = if if_match.is_empty() { ask } else { ask.header("if-match", if_match) };
            ask.send().await
        };
        refused(&put("authority=b", &format!("\"{other}\"")).await, 412, "precondition-failed");
        refused(&put("authority=b", &format!("W/\"{hex}\"")).await, 412, "precondition-failed");
        refused(&put(&format!("authority=b&sha256={other}"), "").await, 412, "precondition-failed");
        refused(&put("authority=b&sha256=x", "").await, 400, "bad-request");
        refused(&put(&format!("authority=b&sha256={hex}"), "*").await, 400, "ambiguous");
        refused(&put("authority=b&version=2", "").await, 404, "unknown-tag");
        refused(&put("", "").await, 400, "no-authority");
        let by_tag = put("authority=b", &format!("\"{other}\", \"{hex}\"")).await.expect(200);
        assert_eq!(by_tag["authorities"], json!(["a", "b"]));
        let by_digest = put(&format!("authority=c&sha256={hex}&version=1"), "").await.expect(200);
        assert_eq!(by_digest["authorities"], json!(["a", "b", "c"]));
        refused(&house.ask("PUT", "/tags/none?authority=a").send().await, 404, "unknown-tag");

        write(&house, "app", "a", "two").await;
        refused(&put("authority=b&version=1", "").await, 409, "new-version");
        let post = house.ask("POST", "/tags/app?authority=a").header("if-match", &format!("\"{hex}\""));
        refused(&post.body("text/plain", "three").send().await, 412, "precondition-failed");
        house.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_writers_neither_loses_the_signature_of_the_other() {
    for house in House::on_both("").await {
        let names: Vec<String> = (0..12).map(|n| format!("a{n:02}")).collect();
        for name in &names {
            authority(&house, name).await;
        }
        // Half of them make the tag, and half sign what is there.
        let writes = names.iter().enumerate().map(async |(n, name)| {
            let path = format!("/tags/app?authority={name}");
            loop {
                let ask = if n % 2 == 0 {
                    house.ask("POST", &path).body("text/plain", "one")
                } else {
                    house.ask("PUT", &path)
                };
                let answer = ask.send().await;
                match answer.status.as_u16() {
                    200 | 201 => break answer.status.as_u16(),
                    404 => {}
                    _ => panic!("{}", answer.text()),
                }
            }
        });
        let statuses = futures_util::future::join_all(writes).await;
        assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
        let all = names.join(",");
        let valid = get(&house, &format!("/tags/app?authorities={all}")).await;
        assert_eq!((valid.status.as_u16(), valid.text().as_str()), (200, "one\n"));
        // One entry for each write.
        assert_eq!(house.app.ctx.store().publication_size().await.unwrap(), 12);
        house.close().await;
    }
}

#[tokio::test]
async fn a_hidden_tag_says_by_whom_and_comes_back_with_everything() {
    for house in House::on_both("").await {
        authority(&house, "a").await;
        write(&house, "app", "a", "one").await;
        let file = get(&house, "/tags/app").await.text();
        refused(&house.ask_as_nobody("DELETE", "/tags/app").send().await, 401, "no-credentials");
        let hide = house.ask("DELETE", "/tags/app").send().await;
        assert_eq!((hide.status.as_u16(), hide.body.len()), (204, 0));
        assert_eq!(house.ask("DELETE", "/tags/app").send().await.status, 204);
        refused(&house.ask("DELETE", "/tags/none").send().await, 404, "unknown-tag");

        for path in ["/tags/app", "/tags/app?authorities=a", "/tags/app?version=1", "/tags/app.a.sig"] {
            let gone = refused(&get(&house, path).await, 410, "hidden");
            assert_eq!(gone["by"], "admin");
            assert!(gone["at"].as_str().unwrap().ends_with('Z'), "{gone}");
        }
        refused(&house.ask("POST", "/tags/app?content=two").send().await, 410, "hidden");
        refused(&house.ask("PUT", "/tags/app?authority=a").send().await, 410, "hidden");
        assert_eq!(get(&house, "/tags/").await.expect(200)["tags"], json!([]));
        assert_eq!(get(&house, "/tags/app?versions=1").await.expect(200)["versions"][0]["hidden"], true);

        let restore = house.ask("POST", "/tags/app?restore=1").send().await.expect(200);
        assert_eq!(restore["authorities"], json!(["a"]));
        assert_eq!(get(&house, "/tags/app").await.text(), file);

        let log = house.app.ctx.store().publication_entries(0, 10).await.unwrap();
        let said: Vec<_> = log
            .iter()
            .map(|entry| serde_json::from_slice::<serde_json::Value>(entry.leaf.as_deref().unwrap()).unwrap())
            .collect();
        let ops: Vec<_> = said.iter().map(|entry| entry["op"].as_str().unwrap()).collect();
        assert_eq!(ops, ["create", "hide", "restore"]);
        assert_eq!(said[0]["signed_sha256"], sha256(&file));
        assert_eq!(said[0]["payload_sha256"], sha256("one\n"));
        assert_eq!(
            (&said[0]["type"], &said[0]["v"], &said[0]["version"]),
            (&json!("tag"), &json!(1), &json!(1))
        );
        house.close().await;
    }
}

#[tokio::test]
async fn rights_are_by_prefix_and_by_authority() {
    let house = House::open().await;
    for name in ["a", "b"] {
        authority(&house, name).await;
    }
    let ana = writer(&house, "ana", "a", "team/").await;
    let ask = async |method: &str, path: &str, body: &str| {
        house.ask_as(&ana, method, path).body("text/plain", body).send().await
    };
    // One authority is hers: no need to name it.
    ask("POST", "/tags/team/app", "x").await.expect(201);
    refused(&ask("POST", "/tags/other", "x").await, 403, "not-allowed");
    refused(&ask("POST", "/tags/team/two?authority=b", "x").await, 403, "not-allowed");
    refused(&ask("PUT", "/tags/team/app?authority=b", "").await, 403, "not-allowed");
    refused(&ask("DELETE", "/tags/other", "").await, 403, "not-allowed");
    refused(&ask("POST", "/tags/other?restore=1", "").await, 403, "not-allowed");
    let none = house.somebody("rea", &["reader"]).await;
    refused(&house.ask_as(&none, "POST", "/tags/x?content=y").send().await, 403, "not-allowed");
    refused(&house.ask_as_nobody("POST", "/tags/x?content=y").send().await, 401, "no-credentials");
    refused(&house.ask("POST", "/tags/x?content=y").send().await, 400, "no-authority");
    house.close().await;
}

#[tokio::test]
async fn a_file_that_is_signed_elsewhere_is_merged_as_far_as_it_verifies() {
    for house in House::on_both("").await {
        for name in ["a", "b"] {
            authority(&house, name).await;
        }
        let put = async |path: &str, file: &str| house.ask("PUT", path).body("text/plain", file).send().await;
        let by_a = signed(&house, "a", "one").await;
        let by_b = signed(&house, "b", "one").await;
        let block_b = &by_b[by_b.find("=== ").unwrap()..];
        let made = put("/tags/app", &format!("{by_a}=== SIGNATURE nobody\nAAAAAAAAAAAA\n")).await.expect(201);
        assert_eq!(made["authorities"], json!(["a"]));
        assert_eq!(put("/tags/app", &by_b).await.expect(200)["authorities"], json!(["a", "b"]));
        assert_eq!(put("/tags/app", &by_b).await.header("countersign-publication"), "");

        let forged = format!("two\n{block_b}");
        refused(&put("/tags/app", &forged).await, 403, "invalid-signature");
        refused(&put("/tags/app", "one\n=== SIGNATURE nobody\nAAAAAAAAAAAA\n").await, 403, "not-allowed");
        refused(&put("/tags/app", "one\n").await, 403, "not-signed");
        refused(&put("/tags/app", &signed(&house, "a", "two").await).await, 409, "exists");
        let over = put("/tags/app?new_version=1", &signed(&house, "a", "two").await).await.expect(201);
        assert_eq!(over["version"], 2);
        refused(
            &house.ask_as_nobody("PUT", "/tags/n").body("text/plain", by_a.clone()).send().await,
            401,
            "no-credentials",
        );
        house.close().await;
    }
}

#[tokio::test]
async fn who_holds_a_key_needs_no_token_where_the_operator_says_so() {
    let house = House::with("[tags]\nself_signed_writes = true").await;
    for name in ["a", "b"] {
        authority(&house, name).await;
    }
    let put =
        async |path: &str, file: &str| house.ask_as_nobody("PUT", path).body("text/plain", file).send().await;
    put("/tags/app", &signed(&house, "a", "one").await).await.expect(201);
    put("/tags/app", &signed(&house, "b", "one").await).await.expect(200);
    // Without a token nobody's version gives way, not even to a file that all have signed: it may be an old one.
    let two = signed(&house, "a", "two").await;
    refused(&put("/tags/app", &two).await, 409, "exists");
    refused(&put("/tags/app?new_version=1", &two).await, 409, "exists");
    refused(&put("/tags/app", &signed(&house, "a,b", "two").await).await, 409, "exists");
    refused(&put("/tags/app", "three\n=== SIGNATURE a\nAAAAAAAAAAAA\n").await, 403, "invalid-signature");
    // Our own keys sign for nobody without credentials.
    refused(&put("/tags/app?authority=a", "").await, 401, "no-credentials");
    refused(&house.ask_as_nobody("POST", "/tags/x?content=y").send().await, 401, "no-credentials");
    refused(&house.ask_as_nobody("DELETE", "/tags/app").send().await, 401, "no-credentials");
    let bad = house.ask_as("cst_x", "PUT", "/tags/app").body("text/plain", two.clone()).send().await;
    refused(&bad, 401, "bad-credentials");
    house.close().await;
}

#[tokio::test]
async fn a_signature_has_a_path_of_its_own_and_the_longest_name_wins() {
    for house in House::on_both("").await {
        for name in ["a", "b.a", "x"] {
            authority(&house, name).await;
        }
        write(&house, "app", "a", "one").await;
        let sig = get(&house, "/tags/app.a.sig").await;
        assert_eq!(sig.header("content-type"), "text/plain; charset=utf-8");
        assert!(sig.text().ends_with('\n') && get(&house, "/tags/app").await.text().ends_with(&sig.text()));
        let raw = get(&house, "/tags/app.a.sig?raw=1").await;
        assert_eq!(raw.header("content-type"), "application/octet-stream");
        assert_eq!(crate::support::base64(&raw.body), sig.text().replace('\n', ""));
        let accept =
            house.ask_as_nobody("GET", "/tags/app.a.sig").header("accept", "application/octet-stream");
        assert_eq!(accept.send().await.body, raw.body);
        for path in [
            "/tags/app.x.sig",
            "/tags/none.a.sig",
            "/tags/app.sig",
            "/tags/.sig",
            "/tags/app.a.sig?version=2",
        ] {
            refused(&get(&house, path).await, 404, "not-found");
        }
        let head = house.ask_as_nobody("HEAD", "/tags/app.a.sig").send().await;
        assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));

        // `app.b.a.sig`: tag `app` by `b.a`, unless there is a tag `app.b`.
        write(&house, "app", "b.a", "one").await;
        let before = get(&house, "/tags/app.b.a.sig").await;
        assert_eq!(before.status, 200);
        let taken = house.ask("POST", "/tags/app.b?authority=x&content=two").send().await;
        refused(&taken, 409, "ambiguous-name");
        assert_eq!(get(&house, "/tags/app.b.a.sig").await.body, before.body);
        write(&house, "app.c", "x", "two").await;
        assert_eq!(get(&house, "/tags/app.c.x.sig").await.status, 200);
        house.close().await;
    }
}

#[tokio::test]
async fn tags_are_listed_in_pieces() {
    let house = House::open().await;
    authority(&house, "a").await;
    for name in ["b", "a/1", "a/2", "c"] {
        write(&house, name, "a", name).await;
    }
    let names = async |path: &str| {
        let list = get(&house, path).await.expect(200);
        let names = list["tags"].as_array().unwrap().iter();
        (names.map(|t| t["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>(), list["next"].clone())
    };
    assert_eq!(
        names("/tags/").await,
        (vec!["a/1".into(), "a/2".into(), "b".into(), "c".into()], json!(null))
    );
    assert_eq!(names("/tags").await.0.len(), 4);
    assert_eq!(names("/tags/?prefix=a/").await.0, ["a/1", "a/2"]);
    assert_eq!(names("/tags/?limit=2").await, (vec!["a/1".into(), "a/2".into()], json!("a/2")));
    assert_eq!(names("/tags/?limit=2&after=a/2").await, (vec!["b".into(), "c".into()], json!(null)));
    let first = &get(&house, "/tags/?limit=1").await.expect(200)["tags"][0];
    assert_eq!((&first["version"], &first["authorities"]), (&json!(1), &json!(["a"])));
    for bad in ["limit=0", "limit=1001", "limit=x", "size=1", "prefix=a&prefix=b"] {
        assert_eq!(get(&house, &format!("/tags/?{bad}")).await.status, 400, "{bad}");
    }
    refused(&get(&house, "/tags/?prefix=%2e%2e%20").await, 400, "bad-name");
    refused(&house.ask("POST", "/tags/").send().await, 405, "method-not-allowed");
    house.close().await;
}

#[tokio::test]
async fn an_artifact_is_tagged_by_its_digest_and_found_by_it() {
    for house in House::on_both("").await {
        for name in ["a", "b"] {
            authority(&house, name).await;
        }
        let digest = format!("sha256:{}", sha256("bytes"));
        let path = format!(
            "/tags/app.jar?authority=a&digest={digest}&subject=app.jar&size=5&param.JOB=n%0Aightly&param.N=%25"
        );
        let made = house.ask("POST", &path).send().await.expect(201);
        let payload = get(&house, "/tags/app.jar?authorities=a").await.text();
        let created = made["created"].as_str().unwrap();
        assert_eq!(
            payload,
            format!(
                "countersign-tag: 1\nsubject: app.jar\ndigest: {digest}\nsize: 5\nparam.JOB: n%0Aightly\n\
                 param.N: %25\ncreated: {created}\n"
            )
        );
        // Said again it is the same, whatever the time.
        assert_eq!(house.ask("POST", &path).send().await.expect(200)["version"], 1);
        // The service hashes what it is given.
        let hash = "/tags/app2.jar?authority=b&hash=1";
        let hashed = house.ask("POST", hash).body("application/octet-stream", "bytes").send().await;
        hashed.expect(201);
        let payload = get(&house, "/tags/app2.jar?authorities=b").await.text();
        assert!(payload.contains(&format!("subject: app2.jar\ndigest: {digest}\nsize: 5\n")), "{payload}");

        let find = async |query: &str| {
            let list = get(&house, &format!("/tags/?digest={digest}{query}")).await.expect(200);
            let names = list["tags"].as_array().unwrap().iter();
            names.map(|t| t["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(find("&authorities=a").await, ["app.jar"]);
        assert_eq!(find("&authorities=b").await, ["app2.jar"]);
        assert_eq!(find("&authorities=a,b").await, [""; 0]);
        refused(&get(&house, &format!("/tags/?digest={digest}")).await, 400, "no-authorities");
        refused(
            &get(&house, &format!("/tags/?digest={digest}&authorities=c")).await,
            404,
            "unknown-authority",
        );
        refused(&get(&house, "/tags/?digest=sha256:00&authorities=a").await, 400, "bad-request");

        for (query, body, error) in [
            (format!("digest={digest}&content=x"), "", "ambiguous"),
            (format!("digest={digest}"), "x", "ambiguous"),
            (format!("digest={digest}&hash=1"), "x", "ambiguous"),
            ("digest=md5:00".into(), "", "bad-request"),
            (format!("digest={digest}&param.=x"), "", "bad-request"),
            (format!("digest={digest}&size=-1"), "", "bad-request"),
            (format!("digest={digest}&created=today"), "", "bad-request"),
            (format!("digest={digest}&owner=x"), "", "bad-request"),
            ("content=x&param.A=b".into(), "", "bad-request"),
        ] {
            let path = format!("/tags/new?authority=a&{query}");
            let answer = house.ask("POST", &path).body("application/octet-stream", body).send().await;
            refused(&answer, 400, error);
        }
        house.close().await;
    }
}

#[tokio::test]
async fn a_threshold_signature_is_added_to_its_tag_when_it_is_there() {
    let house = House::open().await;
    authority_of(&house, "many", "ec-p256", 2).await;
    let bo = house.somebody("bo", &["signer"]).await;
    let post = house.ask("POST", "/tags/app?authority=many&content=one").send().await;
    let request = post.expect(202);
    assert!(post.header("location").starts_with("/tags/requests/"));
    refused(&get(&house, "/tags/app").await, 404, "unknown-tag");
    assert_eq!(request["payload_sha256"], sha256("one\n"));
    // The second voice, by the same request.
    let second = house.ask_as(&bo, "POST", "/tags/app?authority=many&content=one").send().await;
    assert!([200, 201].contains(&second.status.as_u16()), "{}", second.text());
    assert_eq!(get(&house, "/tags/app?authorities=many").await.text(), "one\n");
    house.close().await;
}

#[tokio::test]
async fn writes_are_counted_by_token() {
    let house = House::with("[tags]\nwrites_per_minute = 3").await;
    authority(&house, "a").await;
    let ana = writer(&house, "ana", "a", "").await;
    let write = async |token: &str| house.ask_as(token, "POST", "/tags/app?content=x").send().await;
    for _ in 0..3 {
        assert!(write(&ana).await.status.is_success());
    }
    let answer = write(&ana).await;
    refused(&answer, 429, "rate-limited");
    let seconds: u32 = answer.header("retry-after").parse().unwrap();
    assert!((1..=20).contains(&seconds), "{seconds}");
    // Others write on, and she reads and signs what is not kept.
    assert!(write(&house.admin).await.status.is_success());
    assert_eq!(house.ask_as(&ana, "GET", "/tags/app").send().await.status, 200);
    let sign = house.ask_as(&ana, "POST", "/tags/sign?authority=a").body("text/plain", "x");
    assert_eq!(sign.send().await.status, 200);
    house.close().await;
}

#[tokio::test]
async fn what_is_kept_until_more_agree_is_counted_as_a_write() {
    let house = House::with("[tags]\nwrites_per_minute = 3").await;
    authority_of(&house, "many", "ec-p256", 2).await;
    let (ana, bo) = (house.somebody("ana", &["signer"]).await, house.somebody("bo", &["signer"]).await);
    let ask = async |text: &str| {
        let path = format!("/tags/sign?authority=many&content={text}");
        house.ask_as(&ana, "POST", &path).send().await
    };
    let mut last = String::new();
    for text in ["one", "two", "three"] {
        last = ask(text).await.expect(202)["id"].as_str().unwrap().to_owned();
    }
    refused(&ask("four").await, 429, "rate-limited");
    let no = async || {
        let path = format!("/tags/requests/{last}/refuse");
        house.ask_as(&bo, "POST", &path).json(json!({"payload_sha256": sha256("three\n")})).send().await
    };
    for _ in 0..3 {
        let refused = no().await.expect(200);
        assert_eq!((&refused["state"], refused.get("payload")), (&json!("refused"), None));
    }
    refused(&no().await, 429, "rate-limited");
    house.close().await;
}

#[tokio::test]
async fn names_that_are_none_and_methods_that_are_none_are_refused_in_the_surface_s_form() {
    let house = House::open().await;
    authority(&house, "a").await;
    let long = format!("/tags/{}?content=x", "n".repeat(201));
    for path in [
        "/tags/.a?content=x",
        "/tags/a%20b?content=x",
        "/tags/a.sig?content=x",
        "/tags/a.bak?content=x",
        "/tags/bundle?content=x",
        "/tags/a//b?content=x",
        "/tags/a/..%2Fb?content=x",
        "/tags/%FF?content=x",
        &long,
    ] {
        refused(&house.ask("POST", path).send().await, 400, "bad-name");
    }
    let patch = house.ask("PATCH", "/tags/app").send().await;
    refused(&patch, 405, "method-not-allowed");
    assert_eq!(patch.header("allow"), "GET, HEAD, POST, PUT, DELETE");
    refused(&get(&house, "/tags/validate").await, 405, "method-not-allowed");
    refused(&get(&house, "/tags/sign").await, 405, "method-not-allowed");
    let large = house.ask("POST", "/tags/app").body("text/plain", "x".repeat(1 << 20)).send().await;
    refused(&large, 413, "too-large");
    house.close().await;
}
