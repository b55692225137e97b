//! Exchanges that were captured from Kinto and its signer, asked again: fixtures/collections/kinto.

use std::collections::HashMap;

use serde_json::Value;

use super::bindings::Bindings;
use crate::support::{Answer, House};

/// What failed there, and would change here what the following exchanges are about: what is answered here is tested
/// in `hazards` and `http`.
const NOT_ASKED: &[(&str, &str)] = &[
    ("record nul", "a NUL is kept like any other character"),
    ("patch light", "the header works"),
    ("patch diff", "the header works"),
];

/// What is answered differently here, and why: the name of the exchange, and the status here.
const OTHERWISE: &[(&str, u16, &str)] = &[
    ("version", 200, "it says which version this is"),
    ("record bad json", 400, "the parser's words are others"),
    ("record NaN", 400, "the parser's words are others"),
    ("record float raw", 400, "the parser's words are others"),
    ("record lone surrogate", 400, "the parser's words are others"),
    ("record bad utf8", 400, "the parser's words are others"),
    ("schema bad", 400, "the validator's words are others"),
    ("schema rec bad", 400, "the validator's words are others"),
    ("redirect", 200, "what the server can do is tested in `http`"),
    ("sort", 200, "random ids have another order"),
    ("permissions endpoint", 200, "random ids have another order"),
];

/// Lists of records that were published together: there the order is that of writing, here that of the ids.
const PUBLISHED: &[&str] = &["dst recs", "changeset", "dst recs since", "changeset since"];

#[tokio::test]
async fn objects_lists_and_errors_are_those_that_clients_of_kinto_know() {
    let config = "public_url = \"http://127.0.0.1:18882\"\nlisten = \"127.0.0.1:18882\"\n[collections]\nbucket_create_principals = [\"system.Authenticated\"]";
    for house in House::on_both(config).await {
        let people = [("ana", "basicauth:683aaf…"), ("bob", "basicauth:0b0b0b…")];
        replay(
            &house,
            include_str!("../../../../../fixtures/collections/kinto/kinto-http-api.json"),
            &people,
        )
        .await;
        house.close().await;
    }
}

const SIGNED: &str = r#"
public_url = "http://127.0.0.1:18882"
listen = "127.0.0.1:18882"
[collections]
# Everybody may there, but what is signed is for who is named here.
bucket_create_principals = ["principal:user-admin"]
# There the signer has no certificates.
chains = false
[[collections.resource]]
source = "/buckets/source"
destination = "/buckets/destination"
review = false
[[collections.resource]]
source = "/buckets/staging"
preview = "/buckets/preview"
destination = "/buckets/prod"
"#;

#[tokio::test]
async fn signing_and_review_go_as_with_the_signer_of_kinto() {
    for house in House::on_both(SIGNED).await {
        let people = [
            ("admin", "basicauth:683aaf…"),
            ("bob", "basicauth:0b0b0b…"),
            ("editor", "basicauth:26e3c2…"),
            ("reviewer", "basicauth:bbe110…"),
        ];
        replay(
            &house,
            include_str!("../../../../../fixtures/collections/kinto/signer-workflow.json"),
            &people,
        )
        .await;
        house.close().await;
    }
}

async fn replay(house: &House, capture: &str, people: &[(&str, &str)]) {
    let exchanges: Vec<Value> = serde_json::from_str(capture).unwrap();
    let mut bindings = Bindings::default();
    let mut tokens = HashMap::new();
    for (name, there) in people {
        // The one who is `admin` in the capture has no more rights than the others.
        let here = format!("user-{name}");
        tokens.insert(*name, house.somebody(&here, &[]).await);
        bindings.bind(there, &format!("principal:{here}"));
    }
    let mut wrong = Vec::new();
    for exchange in &exchanges {
        let name = exchange["name"].as_str().unwrap();
        if NOT_ASKED.iter().any(|(other, _)| *other == name) {
            continue;
        }
        let answer = ask(house, exchange, &tokens, &mut bindings).await;
        if let Err(why) = compare(exchange, &answer, &mut bindings) {
            wrong.push(format!("{name}: {why}\n    {} {}", answer.status, answer.text()));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), exchanges.len(), wrong.join("\n"));
}

async fn ask(
    house: &House,
    exchange: &Value,
    tokens: &HashMap<&str, String>,
    bindings: &mut Bindings,
) -> Answer {
    let path = exchange["path"].as_str().unwrap();
    let path = match path.strip_prefix("http://127.0.0.1:18882") {
        Some(path) => path.to_owned(),
        None => format!("/v1{path}"),
    };
    let path = bindings.sent(&path).replace(' ', "%20").replace('"', "%22");
    let method = exchange["method"].as_str().unwrap();
    let mut ask = match exchange["who"].as_str() {
        Some(who) => house.ask_as(&tokens[who], method, &path),
        None => house.ask_as_nobody(method, &path),
    };
    ask = ask.header("host", "127.0.0.1:18882");
    let mut kind = None;
    for (name, value) in exchange["headers"].as_object().unwrap() {
        let value = bindings.sent(value.as_str().unwrap());
        if name == "Content-Type" { kind = Some(value) } else { ask = ask.header(name, &value) }
    }
    let body = match (exchange["body"].as_str(), exchange["hex"].as_str()) {
        (Some(text), _) => Some(bindings.sent(text).into_bytes()),
        (None, Some(hex)) => Some(hex::decode(hex).unwrap()),
        (None, None) => None,
    };
    if let Some(body) = body {
        ask = ask.body(kind.as_deref().unwrap_or("application/json"), body);
    }
    ask.send().await
}

fn compare(exchange: &Value, answer: &Answer, bindings: &mut Bindings) -> Result<(), String> {
    let name = exchange["name"].as_str().unwrap();
    let status = answer.status.as_u16();
    if let Some((_, here, _)) = OTHERWISE.iter().find(|(other, ..)| *other == name) {
        return if status == *here { Ok(()) } else { Err(format!("status {status}, not {here}")) };
    }
    if exchange["status"] != status {
        return Err(format!("status {} there", exchange["status"]));
    }
    let headers = exchange["answer_headers"].as_object().unwrap();
    for (name, value) in headers {
        same_header(name, value.as_str().unwrap(), answer.header(name), bindings)?;
    }
    if !headers.contains_key("Etag") && answer.headers.contains_key("etag") {
        return Err("an ETag here".into());
    }
    match exchange.get("answer") {
        Some(there) if PUBLISHED.contains(&name) => {
            let (mut there, mut here) = (there.clone(), answer.document());
            for document in [&mut there, &mut here] {
                for list in ["data", "changes"] {
                    without_order(&mut document[list]);
                }
            }
            bindings.same(&there, &here)
        }
        Some(there) => bindings.same(there, &answer.document()),
        None => Ok(()),
    }
}

fn same_header(name: &str, there: &str, here: &str, bindings: &mut Bindings) -> Result<(), String> {
    let same = match name {
        "Etag" => return bindings.same(&there.into(), &here.into()).map_err(|why| format!("ETag {why}")),
        "Last-Modified" | "Expires" => here.len() == there.len() && here.ends_with(" GMT"),
        "Content-Type" if there.starts_with("text/html") => true,
        "Next-Page" => here.split("_token=").next() == there.split("_token=").next(),
        _ => here == there,
    };
    if same { Ok(()) } else { Err(format!("{name}: {there:?} there, {here:?} here")) }
}

/// Sorts records by their ids, and leaves out when they were written.
fn without_order(list: &mut Value) {
    let Some(items) = list.as_array_mut() else { return };
    items.sort_by_key(|item| item["id"].to_string());
    for item in items {
        item["last_modified"] = 0.into();
    }
}
