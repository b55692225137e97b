//! A signed collection: edited by one, approved by another, and read by somebody who believes the root alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::slice;
use std::time::Instant;

use countersign_model::Encoding;
use countersign_pki::chain::Chain;
use countersign_pki::x509::Certificate;
use countersign_tlog::note::VerifierKey;
use countersign_verify::collection::{self, Bundle, Changeset, ExpectedName, LocalCopy, Profile, Trust};
use http::Method;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::authority::Authority;
use super::input::Input;
use super::millis;
use super::report::{Check, Signature, Tampered};
use super::server::Server;
use super::signing::Stage;
use crate::api::{Answer, Api, Request};
use crate::commands::log::LogReader;
use crate::failure::{Failure, OrUnknown as _};
use crate::files::{self, Mode};

const WHAT: &str = "collection";
const KEY: &str = "collections/main";
const BUCKET: &str = "/buckets/staging";
const SOURCE: &str = "/buckets/staging/collections/cats";
const PUBLISHED: &str = "/buckets/prod/collections/cats/changeset?_expected=0";
const UNEXPECTED: &str = "the published collection is not what was expected";
const RECORDS: [(&str, u32); 3] = [("kit", 1), ("max", 9), ("tom", 3)];

/// One bit of a record, before and after.
const CHANGE: (&str, &str) = ("\"age\":3", "\"age\":2");

/// Makes a collection and has it approved; reads it without credentials, and once more with one bit changed.
pub async fn run(
    stage: &Stage,
    server: &Server,
    log: &LogReader<'_>,
    key: &VerifierKey,
) -> Result<(Signature, Tampered), Failure> {
    let reviewer = edit(stage, server).await?;
    let begun = Instant::now();
    write(&reviewer, Method::PATCH, SOURCE, &json!({ "status": "to-sign" })).await?;
    let sign_ms = millis(begun);

    let read = Read::fetch(&server.api_as(None)?).await?;
    let who = read.signer(&stage.directory)?;
    let (copy, changed) = (read.copy(str::to_owned)?, read.copy(|text| text.replace(CHANGE.0, CHANGE.1))?);
    let mode = read.bundle.mode().or_unknown(UNEXPECTED)?;
    let raw = read.bundle.raw().or_unknown(UNEXPECTED)?.encode(mode.scheme(), Encoding::Der);
    let content = copy.to_sign(Profile::Modern, mode).or_unknown(UNEXPECTED)?;
    let input = keep_message(&copy, &stage.directory.join(WHAT))?;
    let kept = stage.keep(&input, &who, mode.scheme(), content, &raw)?;
    let signature = Signature { sign_ms, countersign: read.is_good(&copy).into(), ..kept };
    let signature = stage.find(log, key, signature).await?;

    let input = keep_message(&changed, &stage.directory.join("changed"))?;
    let openssl = stage.by_openssl(&who, mode.scheme(), &input.file, &signature.file)?.opposite();
    let _ = fs::remove_file(input.file);
    let countersign = Check::from(!read.is_good(&changed));
    Ok((signature, Tampered { what: WHAT, authority: KEY, openssl, countersign }))
}

/// Writes the records and asks for a review. The reviewer, who has the rights of a reader but for this collection.
async fn edit(stage: &Stage, server: &Server) -> Result<Api, Failure> {
    let api = &stage.api;
    api.post("/principals", &json!({ "name": "reviewer", "roles": ["reader"] })).await?;
    let made: Value = api.post("/principals/reviewer/tokens", &json!({})).await?.json()?;
    for place in [BUCKET, SOURCE] {
        write(api, Method::PUT, place, &json!({})).await?;
    }
    for (id, age) in RECORDS {
        write(api, Method::PUT, &format!("{SOURCE}/records/{id}"), &json!({ "age": age })).await?;
    }
    let reviewers = json!({ "members": ["principal:reviewer"] });
    write(api, Method::PATCH, &format!("{BUCKET}/groups/cats-reviewers"), &reviewers).await?;
    write(api, Method::PATCH, SOURCE, &json!({ "status": "to-review" })).await?;
    let token = made["token"].as_str().ok_or_else(|| Failure::unknown("the server made no token"))?;
    server.api_as(Some(&Zeroizing::new(token.to_owned())))
}

async fn write(api: &Api, method: Method, path: &str, data: &Value) -> Result<Answer, Failure> {
    api.call(Request::new(method, &format!("/v1{path}")).json(&json!({ "data": data }))?).await
}

/// Keeps what is signed as a file, for openssl.
fn keep_message(copy: &LocalCopy, file: &Path) -> Result<Input, Failure> {
    let message = copy.message(Profile::Modern).or_unknown(UNEXPECTED)?;
    files::write(file, &message, Mode::Public)?;
    Ok(Input { what: WHAT, file: file.to_owned(), bytes: message.len() as u64 })
}

/// What anybody can fetch. Nothing of it is believed.
struct Read {
    changeset: Changeset,
    bundle: Bundle,
    chain: String,
    root: Certificate,
}

impl Read {
    async fn fetch(api: &Api) -> Result<Self, Failure> {
        let get = async |path: &str| Ok::<_, Failure>(api.call(Request::get(path)).await?.body);
        let changeset = Changeset::parse(&get(&format!("/v1{PUBLISHED}")).await?).or_unknown(UNEXPECTED)?;
        let bundle = changeset.bundles().or_unknown(UNEXPECTED)?.into_iter().next();
        let bundle = bundle.ok_or_else(|| Failure::unknown(UNEXPECTED))?;
        let x5u = bundle.x5u().unwrap_or_default();
        let path = x5u.find("/chains/").map_or("", |at| &x5u[at..]);
        let chain = String::from_utf8(get(path).await?.to_vec()).or_unknown(UNEXPECTED)?;
        let root = String::from_utf8(get("/chains/root.pem").await?.to_vec()).or_unknown(UNEXPECTED)?;
        let root = Certificate::from_pem(&root).or_unknown(UNEXPECTED)?;
        Ok(Self { changeset, bundle, chain, root })
    }

    /// Whose signature it is: the key of the chain's leaf, kept with the keys of the others.
    fn signer(&self, directory: &Path) -> Result<Authority, Failure> {
        let public_key = Chain::from_pem(&self.chain).or_unknown(UNEXPECTED)?.leaf().public_key().clone();
        let pem = directory.join("keys").join("collections-main.pem");
        files::write(&pem, public_key.to_pem().as_bytes(), Mode::Public)?;
        let key = KEY.parse().or_unknown("a name of the demonstration")?;
        Ok(Authority { name: KEY, key, public_key, pem })
    }

    /// The records as a reader has them, each text as `edit` leaves it.
    fn copy(&self, edit: impl Fn(&str) -> String) -> Result<LocalCopy, Failure> {
        let (mut changeset, mut copy) = (self.changeset.clone(), LocalCopy::new());
        for change in &mut changeset.changes {
            change.record = change.record.as_deref().map(&edit);
        }
        copy.apply(changeset).or_unknown(UNEXPECTED)?;
        Ok(copy)
    }

    /// What our own reader says of a copy: it trusts the root, and a leaf of the name `main` below it.
    fn is_good(&self, copy: &LocalCopy) -> bool {
        let name = Some(ExpectedName::Signer("main".into()));
        let trust = Trust { roots: vec![self.root.clone()], name, ..Trust::default() };
        let x5u = self.bundle.x5u().unwrap_or_default().to_owned();
        let (chains, now) = (BTreeMap::from([(x5u, self.chain.clone())]), jiff::Timestamp::now());
        let verdict = collection::verify(slice::from_ref(&self.bundle), copy, &chains, &trust, now);
        verdict.is_ok() && copy.len() == RECORDS.len()
    }
}
