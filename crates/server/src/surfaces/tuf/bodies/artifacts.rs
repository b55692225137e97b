//! Artifacts, which may be many: each is read by itself, and nothing is kept of it but what goes into metadata.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use countersign_core::tuf::error::BodyFault;
use countersign_core::tuf::request::{AddArtifacts, Artifact};
use countersign_model::strict_json;
use countersign_tuf::canonical;
use countersign_tuf::check::artifact::{self, Fault};
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::Removed;
use super::document::{NOT_SIGNABLE, explain};
use super::shape::{At, BODY, Faults};

/// The most artifacts of a request.
pub const MOST: usize = 100_000;

/// The longest text of one artifact, and of all that a request has beside them, in bytes.
const LONGEST: usize = 1 << 20;

/// Reads the body of `POST artifacts`.
///
/// # Errors
/// Its faults.
pub fn add(body: &[u8]) -> Result<AddArtifacts, Vec<BodyFault>> {
    let mut faults = Faults::default();
    let read = Document::read(body, &mut faults)?.and_then(|document| {
        let artifacts = document.each(&mut faults, artifact);
        let add_task_id_to_custom = document.switch(&mut faults, "add_task_id_to_custom", false);
        let publish = document.switch(&mut faults, "publish_artifacts", true);
        let (artifacts, publish) = (artifacts?, publish?);
        Some(AddArtifacts { artifacts, publish, add_task_id_to_custom: add_task_id_to_custom? })
    });
    faults.unless_any(read)
}

/// Reads the body of `POST artifacts/delete`. A path that no artifact can have is not refused: it will not be found.
///
/// # Errors
/// Its faults.
pub fn remove(body: &[u8]) -> Result<Removed, Vec<BodyFault>> {
    let mut faults = Faults::default();
    let read = Document::read(body, &mut faults)?.and_then(|document| {
        let path =
            |faults: &mut Faults, at: &At<'_>, value: &Value| faults.text(at, value).map(str::to_owned);
        let artifacts = document.each(&mut faults, path);
        let publish = document.switch(&mut faults, "publish_artifacts", true);
        Some(Removed { artifacts: artifacts?, publish: publish? })
    });
    faults.unless_any(read)
}

fn artifact(faults: &mut Faults, at: &At<'_>, value: &Value) -> Option<Artifact> {
    let before = faults.count();
    let members = faults.model(at, value)?;
    let info = faults.member(at, members, "info");
    if let Some(info) = info {
        check_info(faults, &at.name("info"), info);
    }
    let path = faults.text_member(at, members, "path");
    if faults.count() > before {
        return None;
    }
    match artifact::artifact(path?, info?) {
        Ok(Value::Object(info)) => Some(Artifact { path: path?.to_owned(), info }),
        Ok(_) => None,
        Err(fault) => {
            let info = at.name("info");
            let at = match fault {
                Fault::Path => at.name("path"),
                Fault::Length => info.name("length"),
                Fault::Hashes | Fault::Hash => info.name("hashes"),
                Fault::Custom => info.name("custom"),
                _ => info,
            };
            faults.value(&at, fault);
            None
        }
    }
}

/// The types of what is in `info`.
fn check_info(faults: &mut Faults, at: &At<'_>, value: &Value) {
    let Some(info) = faults.model(at, value) else { return };
    if let Some(length) = faults.member(at, info, "length") {
        faults.integer(&at.name("length"), length);
    }
    if let Some(hashes) = faults.member(at, info, "hashes") {
        let at = at.name("hashes");
        for (name, hash) in faults.dictionary(&at, hashes).into_iter().flatten() {
            faults.text(&at.name(name), hash);
        }
    }
    if let Some(custom) = info.get("custom").filter(|custom| !custom.is_null()) {
        faults.dictionary(&at.name("custom"), custom);
    }
}

/// The members of a body, as they were written.
struct Document<'a>(BTreeMap<Cow<'a, str>, &'a RawValue>);

impl<'a> Document<'a> {
    /// `None` after a fault that was added.
    ///
    /// # Errors
    /// What is not JSON.
    fn read(body: &'a [u8], faults: &mut Faults) -> Result<Option<Self>, Vec<BodyFault>> {
        if body.is_empty() {
            faults.add(&BODY, "missing", "Field required");
            return Ok(None);
        }
        let whole: &RawValue = serde_json::from_slice(body).map_err(|error| explain(body, &error))?;
        if !whole.get().starts_with('{') {
            faults.model(&BODY, &Value::Null);
            return Ok(None);
        }
        let document: Self = serde_json::from_slice(body).map_err(|error| explain(body, &error))?;
        let others = document.0.iter().filter(|(name, _)| *name != ARTIFACTS);
        if others.clone().map(|(name, raw)| name.len() + raw.get().len()).sum::<usize>() > LONGEST {
            faults.value(&BODY, "there is too much beside the artifacts");
            return Ok(None);
        }
        for (_, raw) in others {
            let value = strict_json::parse(raw.get().as_bytes());
            let value = value.map_err(|error| explain(raw.get().as_bytes(), &error))?;
            if canonical::check(&value).is_err() {
                faults.value(&BODY, NOT_SIGNABLE);
            }
        }
        Ok(Some(document))
    }

    /// Reads each of `artifacts`.
    fn each<T>(
        &self,
        faults: &mut Faults,
        read: impl Fn(&mut Faults, &At<'_>, &Value) -> Option<T>,
    ) -> Option<Vec<T>> {
        let at = BODY.name(ARTIFACTS);
        let Some(raw) = self.0.get(ARTIFACTS) else {
            faults.add(&at, "missing", "Field required");
            return None;
        };
        if !raw.get().starts_with('[') {
            return faults.list(&at, &Value::Null).map(|_| Vec::new());
        }
        let Ok(Bounded(items)) = serde_json::from_str::<Bounded<&RawValue>>(raw.get()) else {
            let msg = format!("List should have at most {MOST} items after validation");
            faults.add(&at, "too_long", msg);
            return None;
        };
        let mut list = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            let at = at.index(index);
            let Some(value) = one(faults, &at, item) else { continue };
            let Some(read) = read(faults, &at, &value) else { continue };
            if canonical::check(&value).is_err() {
                faults.value(&at, NOT_SIGNABLE);
            }
            list.push(read);
        }
        Some(list)
    }

    fn switch(&self, faults: &mut Faults, name: &str, default: bool) -> Option<bool> {
        let Some(raw) = self.0.get(name) else { return Some(default) };
        let value = strict_json::parse(raw.get().as_bytes()).unwrap_or_default();
        faults.switch(&BODY.name(name), &value)
    }
}

const ARTIFACTS: &str = "artifacts";

/// Reads one of the list.
fn one(faults: &mut Faults, at: &At<'_>, raw: &RawValue) -> Option<Value> {
    let text = raw.get();
    if text.len() > LONGEST {
        faults.value(at, format_args!("an artifact has at most {LONGEST} bytes"));
        return None;
    }
    let value = strict_json::parse(text.as_bytes());
    if value.is_err() {
        faults.value(at, "a member is there twice, or the nesting is too deep");
    }
    value.ok()
}

impl<'de: 'a, 'a> Deserialize<'de> for Document<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(DocumentVisitor(PhantomData))
    }
}

struct DocumentVisitor<'a>(PhantomData<&'a ()>);

impl<'de: 'a, 'a> Visitor<'de> for DocumentVisitor<'a> {
    type Value = Document<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document<'a>, A::Error> {
        #[derive(Deserialize)]
        #[serde(transparent)]
        struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
        let mut members = BTreeMap::new();
        while let Some((Name(name), raw)) = map.next_entry::<Name<'a>, &'a RawValue>()? {
            if members.insert(name, raw).is_some() {
                return Err(A::Error::custom("a member is there twice"));
            }
        }
        Ok(Document(members))
    }
}

/// A list of at most [`MOST`] items: what is longer is refused before it takes memory.
struct Bounded<T>(Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Bounded<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(BoundedVisitor(PhantomData))
    }
}

struct BoundedVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for BoundedVisitor<T> {
    type Value = Bounded<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MOST}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Bounded<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            if list.len() == MOST {
                return Err(A::Error::invalid_length(MOST + 1, &self));
            }
            list.push(item);
        }
        Ok(Bounded(list))
    }
}
