//! A deployment that signs collections, people who ask it, and a reader in Python.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use countersign_core::collections::call::{Behavior, Form};
use countersign_core::collections::settings::{Profile, ResourceSettings, Signer};
use countersign_core::collections::writer::execute;
use countersign_core::collections::{
    Answer, Body, Call, Conditions, Error, ListUri, Method, ObjectUri, Settings, Target, Who, reading,
};
use countersign_core::{Caller, Context, startup};
use countersign_model::Surface;
use serde_json::{Value, json};

use crate::support::{Database, House, options};

/// Sources, previews and destinations as checkers have them.
pub fn settings() -> Settings {
    Settings {
        resources: vec![
            line("/buckets/source", None, "/buckets/destination"),
            ResourceSettings {
                review: true,
                ..line("/buckets/staging", Some("/buckets/preview"), "/buckets/prod")
            },
        ],
        ..Settings::default()
    }
}

pub fn line(source: &str, preview: Option<&str>, destination: &str) -> ResourceSettings {
    ResourceSettings {
        source: source.into(),
        preview: preview.map(Into::into),
        destination: destination.into(),
        review: false,
        review_by_collection: Vec::new(),
        allow_floats: false,
        hard_delete: false,
        signer: Signer::Local(vec!["main".parse().unwrap()]),
        preview_keys: Vec::new(),
        profile: Profile::ContentSignature,
    }
}

/// `House`, with collections.
pub async fn house(database: Option<Database>, settings: Settings) -> House {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path(), database.as_ref());
    options.collections = settings;
    let ctx = startup::open(options).await.unwrap();
    House { dir, ctx, database }
}

/// One on each engine.
pub async fn on_both(settings: Settings) -> [House; 2] {
    let postgres = Database::create().await.unwrap();
    [house(None, settings.clone()).await, house(Some(postgres), settings).await]
}

/// Another node on the same database.
pub async fn beside(house: &House, dir: &Path, settings: Settings) -> Context {
    // The seal key is the deployment's.
    std::fs::create_dir_all(dir.join("host")).unwrap();
    for file in std::fs::read_dir(house.dir.path().join("host")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), dir.join("host").join(file.file_name())).unwrap();
    }
    let mut options = options(dir, house.database.as_ref());
    options.collections = settings;
    startup::open(options).await.unwrap()
}

/// The people of a deployment.
#[derive(Clone)]
pub struct Site {
    pub ctx: Context,
    owner: Caller,
}

impl Site {
    pub fn of(house: &House) -> Self {
        Self { ctx: house.ctx.clone(), owner: house.owner() }
    }

    pub fn at(&self, ctx: &Context) -> Self {
        Self { ctx: ctx.clone(), owner: self.owner.clone() }
    }

    fn caller(&self) -> Caller {
        Caller::new(Arc::clone(&self.owner.identity), Surface::Collections, self.ctx.request_id())
    }

    pub fn admin(&self) -> Who {
        Who { caller: self.caller(), user: Some("principal:admin".into()), admin: true }
    }

    pub fn user(&self, name: &str) -> Who {
        Who { caller: self.caller(), user: Some(format!("account:{name}")), admin: false }
    }

    pub fn nobody(&self) -> Who {
        Who { caller: self.caller(), user: None, admin: false }
    }

    pub async fn send(&self, who: &Who, method: Method, uri: &str, body: Option<Value>) -> Answer {
        execute(&self.ctx, who, vec![call(method, uri, body)]).await.pop().unwrap()
    }

    #[track_caller]
    pub fn ok(answer: Answer) -> Value {
        match answer {
            Answer::Object { data, .. } => serde_json::from_str(&data).unwrap(),
            Answer::List { items, .. } => {
                items.iter().map(|item| serde_json::from_str::<Value>(item).unwrap()).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    pub async fn put(&self, who: &Who, uri: &str, data: Value) -> Value {
        Self::ok(self.send(who, Method::Put, uri, Some(json!({"data": data}))).await)
    }

    pub async fn patch(&self, who: &Who, uri: &str, data: Value) -> Result<Value, Error> {
        match self.send(who, Method::Patch, uri, Some(json!({"data": data}))).await {
            Answer::Refused(error) => Err(error),
            answer => Ok(Self::ok(answer)),
        }
    }

    pub async fn status(&self, who: &Who, uri: &str, status: &str) -> Result<Value, Error> {
        self.patch(who, uri, json!({"status": status})).await
    }

    pub async fn get(&self, uri: &str) -> Value {
        Self::ok(self.send(&self.admin(), Method::Get, uri, None).await)
    }

    pub async fn permissions(&self, uri: &str) -> Value {
        match self.send(&self.admin(), Method::Get, uri, None).await {
            Answer::Object { permissions, .. } => serde_json::to_value(permissions).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    pub async fn delete(&self, who: &Who, uri: &str) -> Result<Value, Error> {
        match self.send(who, Method::Delete, uri, None).await {
            Answer::Refused(error) => Err(error),
            answer => Ok(Self::ok(answer)),
        }
    }

    /// The timestamp of a list.
    pub async fn timestamp(&self, uri: &str) -> i64 {
        match self.send(&self.admin(), Method::Get, uri, None).await {
            Answer::List { timestamp, .. } => timestamp,
            other => panic!("{other:?}"),
        }
    }

    /// A source with a collection `c` in it.
    pub async fn make(&self, bucket: &str) -> String {
        self.put(&self.admin(), &format!("/buckets/{bucket}"), json!({})).await;
        let uri = format!("/buckets/{bucket}/collections/c");
        self.put(&self.admin(), &uri, json!({})).await;
        uri
    }

    pub async fn changeset(&self, uri: &str, since: Option<i64>) -> Value {
        let mut query = vec![("_expected".to_owned(), "0".to_owned())];
        query.extend(since.map(|since| ("_since".to_owned(), format!("\"{since}\""))));
        let mut parts = uri.split('/').skip(2).step_by(2);
        let (bucket, collection) = (parts.next().unwrap(), parts.next().unwrap());
        let read = reading::changeset(&self.ctx, &self.nobody(), bucket, collection, &query).await.unwrap();
        serde_json::from_slice(&read.body).unwrap()
    }

    /// Whether the signature of a changeset is that of a key, over what Python makes of the records.
    pub async fn verifies(&self, uri: &str) -> bool {
        let name = "collections/main".parse().unwrap();
        let key = countersign_core::keys::public_pem(&self.ctx, &name).unwrap();
        verify(&self.changeset(uri, None).await, &key)
    }
}

pub fn call(method: Method, uri: &str, body: Option<Value>) -> Call {
    Call {
        method,
        target: target(uri),
        conditions: Conditions::default(),
        query: Vec::new(),
        body: Ok(body.map(|value| Body { form: Form::Json, value })),
        behavior: Behavior::default(),
    }
}

fn target(uri: &str) -> Target {
    let parts: Vec<&str> = uri.split('/').skip(1).collect();
    match parts[..] {
        ["buckets"] => Target::List(ListUri::buckets()),
        ["buckets", b] => Target::Object(ObjectUri::bucket(b)),
        ["buckets", b, "groups"] => Target::List(ListUri::groups(b)),
        ["buckets", b, "groups", g] => Target::Object(ObjectUri::group(b, g)),
        ["buckets", b, "collections"] => Target::List(ListUri::collections(b)),
        ["buckets", b, "history"] => Target::List(ListUri::history(b)),
        ["buckets", b, "collections", c] => Target::Object(ObjectUri::collection(b, c)),
        ["buckets", b, "collections", c, "records"] => Target::List(ListUri::records(b, c)),
        ["buckets", b, "collections", c, "records", r] => Target::Object(ObjectUri::record(b, c, r)),
        _ => panic!("{uri}"),
    }
}

/// A reader that knows the public key, and computes everything else itself.
const READER: &str = r#"
import base64, canonicaljson, json, sys
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
asked = json.load(sys.stdin)
changeset = asked["changeset"]
records = sorted((r for r in changeset["changes"] if not r.get("deleted")), key=lambda r: r["id"])
bundle = changeset["metadata"]["signature"]
if bundle.get("signature_encoding") == "rs_base64":
    message = json.dumps(records, sort_keys=True, separators=(",", ":")).encode()
    raw = base64.b64decode(bundle["signature"])
else:
    content = {"data": records, "last_modified": str(changeset["timestamp"])}
    message = b"Content-Signature:\x00" + canonicaljson.dumps(content).encode()
    raw = base64.urlsafe_b64decode(bundle["signature"])
assert len(raw) == 96
der = utils.encode_dss_signature(int.from_bytes(raw[:48], "big"), int.from_bytes(raw[48:], "big"))
key = serialization.load_pem_public_key(asked["key"].encode())
try:
    key.verify(der, message, ec.ECDSA(hashes.SHA384()))
    print("yes")
except InvalidSignature:
    print("no")
"#;

/// Whether Python finds the signature of a changeset good.
pub fn verify(changeset: &Value, key: &str) -> bool {
    let python = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../test-venv/bin/python");
    let mut child = Command::new(&python)
        .args(["-W", "ignore", "-c", READER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}: run scripts/install-test-tools", python.display()));
    let asked = json!({"changeset": changeset, "key": key}).to_string();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(asked.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "run scripts/install-test-tools");
    output.stdout == b"yes\n"
}

/// The members of `data` that are named.
pub fn only(data: &Value, names: &[&str]) -> Value {
    names.iter().filter_map(|name| Some(((*name).to_owned(), data.get(*name)?.clone()))).collect()
}

/// Ids of a list of objects, sorted; those of tombstones with `-` before them.
pub fn ids(list: &Value) -> Vec<String> {
    let mut ids: Vec<String> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|object| {
            let mark = if object.get("deleted").is_some() { "-" } else { "" };
            format!("{mark}{}", object["id"].as_str().unwrap())
        })
        .collect();
    ids.sort();
    ids
}
