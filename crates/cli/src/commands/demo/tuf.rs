//! A TUF repository: two people sign its first root, the second of them later; a file is published; a client that
//! believes the root alone downloads it, and refuses copies that are not what was published.

use std::fs;
use std::path::{Path, PathBuf};
use std::slice;
use std::time::Instant;

use countersign_keyhost::soft::SoftKey;
use countersign_model::{KeyType, Scheme, ToSign, pem};
use countersign_tlog::note::VerifierKey;
use countersign_tuf::metadata::{Document, Kind};
use countersign_tuf::names::file_name;
use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::authority::Authority;
use super::input::Input;
use super::millis;
use super::report::{Check, Signature, Tampered};
use super::server::Server;
use super::signing::Stage;
use super::tamper::{Place as Bit, copy_changed};
use crate::commands::log::LogReader;
use crate::commands::tuf::ceremony::plan::{BinsPlan, OnlinePlan, Plan, RootPlan, default_days, named_key};
use crate::commands::tuf::ceremony::sign_root;
use crate::commands::tuf::memory::Memory;
use crate::commands::tuf::online_keys::OnlineKeys;
use crate::commands::tuf::pending::Pending;
use crate::commands::tuf::place::{METADATA, Place, TARGETS};
use crate::commands::tuf::reader::Reader;
use crate::commands::tuf::service::Service;
use crate::commands::tuf::signer::Signer;
use crate::commands::tuf::{download, publish, refused, sign};
use crate::failure::{Failure, OrUnknown as _};
use crate::files::{self, Mode};
use crate::output::Output;

const WHAT: &str = "timestamp";
const KEY: &str = "tuf/online";
/// Who signs the root, and with which type of key.
const PEOPLE: [(&str, KeyType); 2] = [("ana", KeyType::Ed25519), ("bo", KeyType::P256)];
/// Few, so that a look into the repository shows all of them.
const BINS: u64 = 4;
/// The path of the published file.
const PATH: &str = "jobs/job.txt";
/// Longer than a timestamp lives, shorter than a root.
const LATER: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The largest root, in bytes.
const MAX_ROOT: u64 = 512_000;
const UNEXPECTED: &str = "the repository is not what was expected";

/// Makes a repository, publishes `job` in it, and reads it as anybody could.
pub async fn run(
    stage: &Stage,
    server: &Server,
    out: Output,
    job: &Input,
    (log, key): (&LogReader<'_>, &VerifierKey),
) -> Result<(Signature, Vec<Tampered>), Failure> {
    let client = Client::new(server, &stage.directory.join("tuf"))?;
    let service = Service::at(server.api()?, out);
    let root = ceremony(&service, &client, &stage.directory.join("keys")).await?;
    client.copy(&client.old, &root).await?;

    let begun = Instant::now();
    publish::put(&service, &job.file, PATH).await?;
    let sign_ms = millis(begun);
    let timestamp = client.copy(&client.new, &root).await?;
    let is_good = client.downloads(&root, &job.file).await?;

    let (who, raw) = signer(&root, &timestamp, &stage.directory)?;
    let content = timestamp.signed_bytes();
    let input = keep_message(&content, &stage.directory.join(WHAT))?;
    let kept = stage.keep(&input, &who, Scheme::Ed25519, ToSign::Message(content), &raw)?;
    let signature = Signature { sign_ms, countersign: is_good.into(), ..kept };
    let signature = stage.find(log, key, signature).await?;
    Ok((signature, client.refusals(&root).await?))
}

/// The ceremony: Ana makes the first root and signs it, and nothing is public until Bo has signed it too.
async fn ceremony(service: &Service, client: &Client<'_>, keys: &Path) -> Result<Document, Failure> {
    let (ana, bo) = (person(keys, PEOPLE[0])?, person(keys, PEOPLE[1])?);
    let plan = plan(keys)?;
    let mut root = plan.root(&OnlineKeys::of_server(service).await?, Timestamp::now())?;
    sign_root(&mut root, slice::from_ref(&ana))?;
    service.run(Method::POST, "bootstrap/", &plan.body(&root)?).await?;
    if client.metadata(Kind::Timestamp, None).await?.is_some() {
        return Err(Failure::unknown("the repository is public before enough people have signed"));
    }

    let pending = Pending::read(&service.get("metadata/sign").await?)?;
    let (role, document) = pending.choose(None)?;
    if document.signed_sha256() != root.signed_sha256() {
        return Err(Failure::unknown("the second is shown another root than the first has signed"));
    }
    for signature in sign::sign(&pending, role, document, slice::from_ref(&bo))? {
        service.run(Method::POST, "metadata/sign/", &signature).await?;
    }
    let published = client.metadata(Kind::Root, Some(1)).await?.unwrap_or_default();
    let published = Document::parse(&published).or_unknown(UNEXPECTED)?;
    if published.signed_sha256() != root.signed_sha256() {
        return Err(Failure::unknown("another root was published than the two have signed"));
    }
    Ok(published)
}

/// A key that the server never sees, in a file as `openssl genpkey` writes it.
fn person(keys: &Path, (name, key_type): (&str, KeyType)) -> Result<Signer, Failure> {
    let key = SoftKey::generate(key_type).or_unknown("cannot make a key")?;
    let der = key.to_pkcs8().or_unknown("cannot write a key")?;
    files::write(&key_file(keys, name), pem::encode("PRIVATE KEY", &der).as_bytes(), Mode::Private)?;
    Ok(Signer::of(key, name.to_owned()))
}

fn key_file(keys: &Path, name: &str) -> PathBuf {
    keys.join(format!("{name}.pem"))
}

fn plan(keys: &Path) -> Result<Plan, Failure> {
    let lives = |role| OnlinePlan { days: default_days(role), online: None };
    let people = PEOPLE.iter().map(|(name, _)| named_key(name, &key_file(keys, name)));
    Ok(Plan {
        root: RootPlan { keys: people.collect::<Result<_, _>>()?, threshold: 2, days: default_days("root") },
        targets: lives("targets"),
        snapshot: lives("snapshot"),
        timestamp: lives("timestamp"),
        bins: Some(BinsPlan { number: BINS, days: default_days("bins") }),
        roles: Vec::new(),
        tough_compatible: false,
        extensions: Map::new(),
    })
}

/// Keeps what is signed as a file, for openssl.
fn keep_message(message: &[u8], file: &Path) -> Result<Input, Failure> {
    files::write(file, message, Mode::Public)?;
    Ok(Input { what: WHAT, file: file.to_owned(), bytes: message.len() as u64 })
}

/// Whose the timestamp's signature is, with the key kept among the others, and the signature.
fn signer(root: &Document, timestamp: &Document, directory: &Path) -> Result<(Authority, Vec<u8>), Failure> {
    let view = root.root().or_unknown(UNEXPECTED)?;
    let signed = timestamp.signatures().next().map(|signature| (signature.keyid, signature.sig));
    let (keyid, sig) = signed.ok_or_else(|| Failure::unknown(UNEXPECTED))?;
    let public_key = view.keys.get(keyid).and_then(|key| key.public_key()).cloned();
    let public_key = public_key.ok_or_else(|| Failure::unknown(UNEXPECTED))?;
    let pem = directory.join("keys").join("tuf-online.pem");
    files::write(&pem, public_key.to_pem().as_bytes(), Mode::Public)?;
    let key = KEY.parse().or_unknown("a name of the demonstration")?;
    Ok((Authority { name: KEY, key, public_key, pem }, hex::decode(sig).or_unknown(UNEXPECTED)?))
}

/// Somebody who downloads, without credentials; and two copies of the repository, which anybody could keep.
struct Client<'a> {
    server: &'a Server,
    /// What was verified before, which a repository must not fall behind.
    memory: PathBuf,
    /// The copy from before the publication.
    old: PathBuf,
    /// The copy from after it.
    new: PathBuf,
    /// What was downloaded last.
    output: PathBuf,
}

impl<'a> Client<'a> {
    fn new(server: &'a Server, directory: &Path) -> Result<Self, Failure> {
        let [memory, old, new] = ["seen", "old", "new"].map(|name| directory.join(name));
        for place in [&old, &new] {
            for below in [METADATA.to_owned(), format!("{TARGETS}/jobs")] {
                let path = place.join(below);
                fs::create_dir_all(&path).map_err(|error| Failure::file("make", &path, &error))?;
            }
        }
        Ok(Self { server, memory, old, new, output: directory.join("job.txt") })
    }

    fn place(&self) -> Result<Place, Failure> {
        Ok(Place::Server(self.server.api_as(None)?))
    }

    /// A file of metadata from the server.
    async fn metadata(&self, kind: Kind, version: Option<u64>) -> Result<Option<Vec<u8>>, Failure> {
        let name = file_name(kind.as_str(), version);
        self.place()?.metadata(&name, MAX_ROOT).await.map_err(refused::of_fetch)
    }

    /// Copies the metadata that lead to [`PATH`], whether it is there or not, and the file. The timestamp.
    async fn copy(&self, to: &Path, root: &Document) -> Result<Document, Failure> {
        let mut reader = Reader::new(vec![self.place()?], Some(root.to_bytes()), None, None)?;
        let found = reader.find(PATH).await?;
        for (role, bytes) in reader.client.trusted() {
            let document = Document::parse(bytes).or_unknown(UNEXPECTED)?;
            let version = (document.kind() != Kind::Timestamp).then(|| document.version());
            files::write(&to.join(METADATA).join(file_name(role, version)), bytes, Mode::Public)?;
        }
        if let Some(target) = found {
            for name in target.consistent_paths(PATH) {
                let output = to.join(TARGETS).join(&name);
                download::fetch(&reader, PATH, &target, vec![name], &output).await?;
            }
        }
        reader.client.timestamp().cloned().ok_or_else(|| Failure::unknown(UNEXPECTED))
    }

    /// Whether the file comes from the server, and from the copy as it is now, and is the one that was published.
    async fn downloads(&self, root: &Document, published: &Path) -> Result<bool, Failure> {
        let published = files::read_small(published)?;
        for place in [self.place()?, directory(&self.new)] {
            self.download(place, root, Timestamp::now()).await?;
            if *files::read_small(&self.output)? != *published {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn download(&self, place: Place, root: &Document, now: Timestamp) -> Result<(), Failure> {
        let memory = Memory::open(&self.memory).await?;
        let mut reader = Reader::new(vec![place], Some(root.to_bytes()), Some(memory), Some(now))?;
        let target = reader.find(PATH).await?.ok_or_else(|| Failure::refused(UNEXPECTED))?;
        download::fetch(&reader, PATH, &target, target.consistent_paths(PATH), &self.output).await
    }

    /// Shows the client what it must refuse, each time with signatures that are good.
    async fn refusals(&self, root: &Document) -> Result<Vec<Tampered>, Failure> {
        let now = Timestamp::now();
        let later = now.checked_add(LATER).or_unknown("there is no next week")?;
        let older = self.download(directory(&self.old), root, now).await;
        let expired = self.download(directory(&self.new), root, later).await;
        change_target(&self.new.join(TARGETS).join("jobs"))?;
        let changed = self.download(directory(&self.new), root, now).await;
        let refused = |what, shown: Result<(), Failure>, attack| Tampered {
            what,
            authority: KEY,
            openssl: Check::NotAsked,
            countersign: is_refused(&shown, attack).into(),
        };
        Ok(vec![
            refused("target", changed, "arbitrary-software"),
            refused("older timestamp", older, "rollback"),
            refused("expired timestamp", expired, "freeze"),
        ])
    }
}

fn directory(copy: &Path) -> Place {
    Place::Directory { metadata: copy.join(METADATA), targets: copy.join(TARGETS) }
}

/// Changes one bit of the one file there.
fn change_target(directory: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::file("change", directory, &error);
    for entry in fs::read_dir(directory).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        let changed = directory.with_extension("changed");
        copy_changed(&file, &changed, Bit::Middle)?;
        fs::rename(&changed, &file).map_err(failed)?;
    }
    Ok(())
}

/// Whether it was refused, and for the right reason.
fn is_refused(shown: &Result<(), Failure>, attack: &str) -> bool {
    let document = shown.as_ref().err().and_then(|failure| failure.document.as_deref());
    let document: Option<Value> = document.and_then(|document| serde_json::from_slice(document).ok());
    document.is_some_and(|document| document["attack"] == attack)
}
