//! Judges the signatures of a stored tag here: by the authorities' public keys, and by what the publication
//! log shows.

use std::collections::BTreeMap;
use std::time::Duration;

use countersign_model::HashAlg;
use countersign_records::tag::{AuthorityName, TagFile, WeakKeys};
use countersign_verify::authority::{self, AuthorityKey, AuthorityKeys, Judgement, Status};
use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::path;
use crate::api::{Api, Request, escape};
use crate::args::SeenLog;
use crate::commands::authority::AUTHORITIES;
use crate::context::Context;
use crate::failure::Failure;
use crate::publication::{Covered, Publication, is_masked};

/// Judges tags of one server, as the authorities' keys are now.
pub struct Judge<'a> {
    api: &'a Api,
    publication: Publication<'a>,
    /// `None` while the server has published nothing.
    covered: Option<Covered>,
    /// `None` for an authority that the server does not know.
    keys: Vec<(AuthorityName, Option<AuthorityKeys>)>,
    now: Timestamp,
}

/// A version of a tag, and what each signature of it is worth.
pub struct Judged {
    /// The tag's name.
    pub name: String,
    /// Which version.
    pub version: u64,
    /// Its text. Not to be relied on unless [`is_valid`](Self::is_valid).
    pub payload: Vec<u8>,
    judgements: BTreeMap<AuthorityName, Judgement>,
}

/// An entry of the publication log about a tag, as far as it is used here.
#[derive(Deserialize)]
struct Leaf {
    r#type: String,
    payload_sha256: String,
    /// All who have signed the version, with what this entry adds.
    authorities: Vec<AuthorityName>,
    time: Timestamp,
}

impl<'a> Judge<'a> {
    /// Checks the server's publication log against what was seen before, and fetches the keys.
    ///
    /// # Errors
    /// If the server shows another history than before, or does not answer.
    pub async fn new(
        context: &Context,
        api: &'a Api,
        authorities: &[AuthorityName],
        log: &SeenLog,
    ) -> Result<Self, Failure> {
        let publication = Publication::new(context, api, log)?;
        let covered = publication.look().await?;
        let mut keys = Vec::new();
        for name in authorities {
            keys.push((name.clone(), fetch_keys(api, name).await?));
        }
        Ok(Self { api, publication, covered, keys, now: Timestamp::now() })
    }

    /// What was seen of the publication log, as a member of a document.
    pub fn log(&self) -> Value {
        match &self.covered {
            Some(covered) => json!({ "origin": covered.origin(), "size": covered.head.size }),
            None => Value::Null,
        }
    }

    /// Fetches a version of a tag, the newest without a number, and judges it.
    ///
    /// # Errors
    /// If it cannot be had, or is no tag.
    pub async fn judge(&self, name: &str, version: Option<u64>) -> Result<Judged, Failure> {
        let query = version.map(|version| format!("?version={version}")).unwrap_or_default();
        let answer = self.api.call(Request::get(&format!("{}{query}", path(name)?))).await?;
        let stated = answer.header(&VERSION).and_then(|version| version.parse().ok());
        let version =
            version.or(stated).ok_or_else(|| Failure::unknown("the server does not say which version"))?;
        let file = TagFile::parse(&answer.body)
            .map_err(|error| Failure::refused(error.to_string()).hint(error.hint()))?;
        let mut judgements = BTreeMap::new();
        for (authority, keys) in &self.keys {
            let judgement = match keys {
                None => Judgement::unknown(authority),
                Some(keys) => self.judge_one(&file, keys).await?,
            };
            judgements.insert(authority.clone(), judgement);
        }
        let payload = file.payload().to_vec();
        Ok(Judged { name: name.to_owned(), version, payload, judgements })
    }

    async fn judge_one(&self, file: &TagFile<'_>, keys: &AuthorityKeys) -> Result<Judgement, Failure> {
        let judge = |recorded| authority::judge(file, keys, recorded, self.now, WeakKeys::Refuse);
        let judgement = judge(None);
        let for_a_time = |key: &AuthorityKey| key.revoked.as_ref().is_some_and(|r| r.from.is_some());
        if judgement.status != Status::Revoked || !keys.keys.iter().any(for_a_time) {
            return Ok(judgement);
        }
        // A key that is revoked for a part of its life: what counts is when the log recorded the signature.
        let recorded = self.recorded(file.payload(), &keys.name).await?;
        Ok(recorded.map_or(judgement, |recorded| judge(Some(recorded))))
    }

    /// When the publication log first showed that the authority signed this text.
    async fn recorded(&self, payload: &[u8], name: &AuthorityName) -> Result<Option<Timestamp>, Failure> {
        let Some(covered) = &self.covered else { return Ok(None) };
        if let Some(recorded) = self.recorded_in(covered, payload, name).await? {
            return Ok(Some(recorded));
        }
        // The checkpoint follows what is published within about a second.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        match self.publication.look().await? {
            Some(newer) if newer.head.size > covered.head.size => {
                self.recorded_in(&newer, payload, name).await
            }
            _ => Ok(None),
        }
    }

    /// `None` also where an entry before it is masked: it could be an earlier one.
    async fn recorded_in(
        &self,
        covered: &Covered,
        payload: &[u8],
        name: &AuthorityName,
    ) -> Result<Option<Timestamp>, Failure> {
        let payload = hex::encode(HashAlg::Sha256.digest(payload).as_bytes());
        let (mut first, mut masked) = (None, false);
        let visit = |entry: &[u8]| {
            masked |= first.is_none() && is_masked(entry);
            let Ok(leaf) = serde_json::from_slice::<Leaf>(entry) else { return };
            if leaf.r#type == "tag" && leaf.payload_sha256 == payload && leaf.authorities.contains(name) {
                first.get_or_insert(leaf.time);
            }
        };
        self.publication.read(covered, visit).await?;
        Ok(first.filter(|_| !masked))
    }
}

impl Judged {
    /// Whether every authority that was asked for vouches for the text. Over none the answer is no.
    pub fn is_valid(&self) -> bool {
        !self.judgements.is_empty() && self.judgements.values().all(Judgement::is_valid)
    }

    /// Why not.
    pub fn failure(&self) -> Failure {
        let no = self.judgements.values().find(|judgement| !judgement.is_valid());
        let (message, hint) = match no {
            Some(no) => (no.message.as_str(), no.status.hint()),
            None => ("no authority was named", "say who must have signed"),
        };
        let mut failure = Failure::refused(format!("tag `{}`: {message}", self.name)).hint(hint);
        let document = json!({ "valid": false, "name": self.name, "version": self.version,
            "authorities": self.authorities() });
        failure.document = Some(document.to_string().into());
        failure
    }

    /// The judgements, as the tags API has them.
    pub fn authorities(&self) -> Value {
        let judgement = |judgement: &Judgement| {
            let Judgement { status, key, message } = judgement;
            json!({ "status": status.as_str(), "key": key, "message": message })
        };
        let entries = self.judgements.iter().map(|(name, j)| (name.to_string(), judgement(j)));
        Value::Object(entries.collect::<Map<_, _>>())
    }

    /// The names of those who signed, for a sentence.
    pub fn names(&self) -> String {
        self.judgements.keys().map(AuthorityName::as_str).collect::<Vec<_>>().join(", ")
    }
}

/// In which answers say which version they are.
const VERSION: http::HeaderName = http::HeaderName::from_static("countersign-version");

/// The keys of an authority; `None` if the server does not know it.
async fn fetch_keys(api: &Api, name: &AuthorityName) -> Result<Option<AuthorityKeys>, Failure> {
    let answer = api.send(Request::get(&format!("{AUTHORITIES}/{}", escape(name.as_str())))).await?;
    if answer.status == StatusCode::NOT_FOUND {
        return Ok(None);
    }
    let keys: AuthorityKeys = answer.good()?.json()?;
    if keys.name == *name {
        Ok(Some(keys))
    } else {
        Err(Failure::unknown(format!("the server gave the keys of `{}` for `{name}`", keys.name)))
    }
}
