//! awslabs' tough: it reads repositories of named roles whose keys have no member beside type, scheme and value. What
//! it cannot read, and why, is here as well.

use std::sync::Arc;

use async_trait::async_trait;
use countersign_testkit::server::{Engine, TestServer};
use futures_util::stream;
use reqwest::Url;
use serde_json::{Value, json};
use tough::{RepositoryLoader, TargetName, Transport, TransportError, TransportErrorKind, TransportStream};

use super::people::{Person, ask, bootstrap, done, first_root, online_key, plain, request};
use super::server;

/// Fetches over HTTP.
#[derive(Clone, Debug, Default)]
struct Http(Arc<reqwest::Client>);

#[async_trait]
impl Transport for Http {
    async fn fetch(&self, url: Url) -> Result<TransportStream, TransportError> {
        let other = |error| TransportError::new_with_cause(TransportErrorKind::Other, &url, error);
        let answer = self.0.get(url.clone()).send().await.map_err(other)?;
        if answer.status() == 404 {
            return Err(TransportError::new(TransportErrorKind::FileNotFound, &url));
        }
        let bytes = answer.error_for_status().map_err(other)?.bytes().await.map_err(other)?;
        Ok(Box::pin(stream::iter([Ok(bytes)])))
    }
}

/// Loads the repository, trusting its first root, and reads a target.
async fn read(server: &TestServer, target: &str) -> Result<Vec<u8>, String> {
    let first = server.send(server.anonymous("GET", "/metadata/1.root.json")).await.unwrap().body;
    let url = |path| Url::parse(&format!("{}/{path}/", server.url)).unwrap();
    let loader = RepositoryLoader::new(&first, url("metadata"), url("targets")).transport(Http::default());
    let repository = loader.load().await.map_err(|error| error.to_string())?;
    let name = TargetName::new(target).unwrap();
    let stream = repository.read_target(&name).await.map_err(|error| error.to_string())?;
    let Some(stream) = stream else { return Err("no such target".into()) };
    tough::IntoVec::into_vec(stream).await.map_err(|error| error.to_string())
}

/// One role for `apps/`, which the online key signs.
fn apps() -> (&'static str, Value) {
    let role = json!({"name": "apps", "terminating": true, "keyids": [], "threshold": 1, "paths": ["apps/*"],
        "x-rstuf-expire-policy": 30});
    ("delegations", json!({"keys": {}, "roles": [role]}))
}

async fn upload(server: &TestServer, path: &str, content: &'static [u8]) {
    let sha256 = hex::encode(countersign_model::digest::sha256(content));
    let path = format!("targets/{path}?sha256={sha256}&length={}", content.len());
    let put = server.send(request(server, "PUT", &path).body(content)).await.unwrap();
    assert_eq!(put.status, 202, "{}", String::from_utf8_lossy(&put.body));
    let task = put.json()["data"]["task_id"].as_str().unwrap().to_owned();
    while ask(server, &format!("task/?task_id={task}")).await["data"]["state"] != "SUCCESS" {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tough_reads_named_roles_through_a_rotation_of_every_key() {
    let server = server(Engine::Sqlite).await;
    let people = [Person::new(1), Person::new(2)];
    let mut root = first_root(&people, 2, &online_key(&server).await);
    people.iter().for_each(|person| person.sign(&mut root));
    done(&server, "POST", "bootstrap/", &bootstrap(&root, apps())).await;

    upload(&server, "apps/one.txt", b"one").await;
    assert_eq!(read(&server, "apps/one.txt").await.unwrap(), b"one");
    assert_eq!(read(&server, "apps/two.txt").await.unwrap_err(), "no such target");

    let made = request(&server, "POST", "keys/online").json(&json!({"name": "second", "scheme": "ed25519"}));
    let made = server.send(made).await.unwrap().json();
    let (keyid, object) = plain(&made["data"]["key"]);
    let newcomer = Person::new(3);
    let mut next = root
        .edited(|signed| {
            signed["version"] = json!(2);
            signed["keys"][&keyid] = object.clone();
            signed["keys"][&newcomer.keyid] = newcomer.object.clone();
            for role in ["timestamp", "snapshot", "targets"] {
                signed["roles"][role]["keyids"] = json!([keyid]);
            }
            signed["roles"]["root"]["keyids"] = json!([people[0].keyid, newcomer.keyid]);
        })
        .unwrap();
    [&people[0], &people[1], &newcomer].iter().for_each(|person| person.sign(&mut next));
    done(&server, "POST", "metadata/", &json!({"metadata": {"root": next.to_value()}})).await;
    upload(&server, "apps/two.txt", b"two").await;
    assert_eq!(read(&server, "apps/two.txt").await.unwrap(), b"two");
}

/// It has no notion of `succinct_roles` (TAP 15): it finds no path in the delegations that it reads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tough_cannot_read_hash_bins() {
    let server = server(Engine::Sqlite).await;
    let people = [Person::new(1)];
    let mut root = first_root(&people, 1, &online_key(&server).await);
    people[0].sign(&mut root);
    let bins = json!({"expiration": 7, "number_of_delegated_bins": 4});
    done(&server, "POST", "bootstrap/", &bootstrap(&root, ("bins", bins))).await;
    upload(&server, "apps/one.txt", b"one").await;
    let refused = read(&server, "apps/one.txt").await.unwrap_err();
    assert!(refused.contains("roles"), "{refused}");
}

/// It wants a key's id to be the hash of the whole object; RSTUF's command line adds a name after it has made the id.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tough_refuses_keys_whose_id_is_not_the_hash_of_all_members() {
    let server = server(Engine::Sqlite).await;
    let mut people = [Person::new(1)];
    people[0].object["x-rstuf-key-name"] = Value::from("ana");
    let mut root = first_root(&people, 1, &online_key(&server).await);
    people[0].sign(&mut root);
    done(&server, "POST", "bootstrap/", &bootstrap(&root, apps())).await;
    let refused = read(&server, "apps/one.txt").await.unwrap_err();
    assert!(refused.contains("InvalidKeyId") || refused.contains("key ID"), "{refused}");
}
