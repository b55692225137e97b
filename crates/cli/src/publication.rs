//! The publication log of a server as a client sees it: its checkpoint must continue the one seen before,
//! and what is said to be in it is proved.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_tlog::checkpoint::Checkpoint;
use countersign_tlog::hash::{Hash, Head};
use countersign_tlog::note::{SignedNote, VerifierKey};
use countersign_tlog::proof::verify_consistency;
use countersign_tlog::tree::Tree;
use http::StatusCode;
use serde::Deserialize;

use crate::api::{Answer, Api, Request};
use crate::args;
use crate::commands::log::parse_key;
use crate::context::Context;
use crate::failure::{Failure, Kind};
use crate::files::{self, Mode};
use crate::output::Output;
use crate::seen::{Seen, SeenLog};

/// Where the log is.
const BASE: &str = "/tags/log";

/// A server's publication log.
pub struct Publication<'a> {
    out: Output,
    api: &'a Api,
    /// What the state knows the server by.
    server: String,
    /// `None`: nothing is remembered.
    seen: Option<Seen>,
    given: Option<VerifierKey>,
}

/// A checkpoint that is signed by the log's key and continues what was seen before.
#[derive(Clone, Debug)]
pub struct Covered {
    key: VerifierKey,
    /// How many entries, and their root.
    pub head: Head,
}

#[derive(Deserialize)]
struct Proof {
    hashes: Vec<String>,
}

#[derive(Deserialize)]
struct Entries {
    entries: Vec<String>,
}

impl<'a> Publication<'a> {
    /// The log of the server that `api` speaks to. Who works on a data directory of their own has nobody to be
    /// wary of: without `--server` only a state file that is named counts.
    ///
    /// # Errors
    /// If the key that was given is none, or there is no place for the state.
    pub fn new(context: &Context, api: &'a Api, options: &args::SeenLog) -> Result<Self, Failure> {
        let given = options.log_key.as_deref().map(given_key).transpose()?;
        let remembers = context.server().is_some() || options.state.is_some();
        let seen = remembers.then(|| Seen::at(options.state.as_deref())).transpose()?;
        let server = match context.server() {
            Some(_) => api.place(),
            // Whether a server runs on it or not.
            None => context.data().canonicalize().unwrap_or_default().display().to_string(),
        };
        Ok(Self { out: context.out, api, server, seen, given })
    }

    /// Fetches the newest checkpoint, demands that it continues the one that was seen before, and remembers
    /// it. `None` if the server has no log yet and never had one.
    ///
    /// # Errors
    /// [`Kind::Refused`] if the server shows another history than before.
    pub async fn look(&self) -> Result<Option<Covered>, Failure> {
        let before = self.seen.as_ref().map(|seen| seen.log(&self.server)).transpose()?.flatten();
        let Some(bytes) = found(self.api.send(Request::get(&format!("{BASE}/checkpoint"))).await?)? else {
            return match before {
                None => Ok(None),
                Some(_) => Err(Failure::refused("the server does not show its publication log any more")
                    .hint(self.advice())),
            };
        };
        let key = self.key(before.as_ref()).await?;
        let checked = self.check(&bytes, &key, before.as_ref()).await;
        let (note, head) = checked.map_err(|failure| self.with_evidence(failure, &bytes))?;
        if let Some(seen) = &self.seen {
            let now = SeenLog { key: key.to_string(), checkpoint: note.to_string() };
            if let Some(warning) = seen.remember_log(&self.server, now)? {
                self.out.say(&warning);
            }
        }
        Ok(Some(Covered { key, head }))
    }

    /// The key that was given, else the one that was seen before, else the one that the server names.
    async fn key(&self, before: Option<&SeenLog>) -> Result<VerifierKey, Failure> {
        match (&self.given, before) {
            (Some(given), Some(before)) if given.to_string() != before.key => Err(Failure::refused(
                "`--log-key` is not the key that this server's log was seen with before",
            )
            .hint(self.advice())),
            (Some(given), _) => Ok(given.clone()),
            (None, Some(before)) => parse_key(&before.key),
            (None, None) => {
                let answer = self.api.call(Request::get(&format!("{BASE}/key"))).await?;
                let text = String::from_utf8_lossy(&answer.body);
                let key = parse_key(text.trim())?;
                if self.seen.is_some() {
                    let taken = "the key of the publication log is taken from the server and remembered";
                    self.out.say(&format!("{taken}: {key}"));
                }
                Ok(key)
            }
        }
    }

    async fn check(
        &self,
        bytes: &[u8],
        key: &VerifierKey,
        before: Option<&SeenLog>,
    ) -> Result<(SignedNote, Head), Failure> {
        let note = SignedNote::parse(bytes).map_err(|e| Failure::refused(e.to_string()).hint(e.hint()))?;
        let opened = Checkpoint::open(&note, key);
        let now = opened.map_err(|error| match before {
            None => Failure::refused(error.to_string()).hint(error.hint()),
            Some(_) => Failure::refused(format!("the publication log is not the one seen before: {error}")).hint(
                "a server that was restored from a backup begins another log: only if its operator says so, \
                 delete the first",
            ),
        })?;
        let now = now.head;
        if let Some(before) = before {
            self.continues(before.opened()?.head, now).await?;
        }
        Ok((note, now))
    }

    /// The log may only have grown.
    async fn continues(&self, before: Head, now: Head) -> Result<(), Failure> {
        if now == before {
            return Ok(());
        }
        if now.size < before.size {
            return Err(Failure::refused(format!(
                "the server's publication log went back from {} entries to {}",
                before.size, now.size
            )));
        }
        let another = || {
            Failure::refused(format!(
                "the server shows a different history: its publication log of {} entries does not continue the \
                 {} entries seen before",
                now.size, before.size
            ))
        };
        if now.size == before.size {
            return Err(another());
        }
        // Every log continues the empty one.
        let proof = if before.size == 0 {
            Vec::new()
        } else {
            self.proof(&format!("consistency?first={}&second={}", before.size, now.size)).await?
        };
        verify_consistency(&before, &now, &proof).map_err(|_| another())
    }

    /// Shows every entry from the first on to `visit`, and demands that together they are what the checkpoint
    /// says: none left out, none changed. An entry that the server has masked is shown as it is served.
    ///
    /// # Errors
    /// [`Kind::Refused`] if they are not.
    pub async fn read(&self, covered: &Covered, mut visit: impl FnMut(&[u8])) -> Result<(), Failure> {
        let size = covered.head.size;
        let mut tree = Tree::new();
        while tree.size() < size {
            // Both ends are included (RFC 6962, 4.6).
            let path = format!("{BASE}/entries?start={}&end={}", tree.size(), size - 1);
            let page: Entries = self.api.call(Request::get(&path)).await?.json()?;
            let missing = || {
                Failure::refused(format!(
                    "the publication log does not serve entry {} of {size}",
                    tree.size()
                ))
            };
            if page.entries.is_empty() {
                return Err(missing());
            }
            let entries: Result<Vec<_>, _> =
                page.entries.iter().map(|entry| STANDARD.decode(entry)).collect();
            for entry in entries.map_err(|_| missing())? {
                visit(&entry);
                // Full tiles are the log's business; only the root counts here.
                let _ = tree.append(leaf(&entry));
            }
        }
        if tree.head() == covered.head {
            return Ok(());
        }
        Err(Failure::refused("the entries of the publication log do not lead to its checkpoint")
            .hint("the server says one thing and its log another: do not trust it"))
    }

    async fn proof(&self, query: &str) -> Result<Vec<Hash>, Failure> {
        let proof: Proof = self.api.call(Request::get(&format!("{BASE}/{query}"))).await?.json()?;
        let hashes = proof.hashes.iter().map(|hash| Hash::from_base64(hash)).collect::<Result<_, _>>();
        hashes.map_err(|_| Failure::refused("the publication log gives a proof that is none"))
    }

    /// Both histories are kept: together they prove what the server did.
    fn with_evidence(&self, failure: Failure, checkpoint: &[u8]) -> Failure {
        let (Kind::Refused, Some(seen)) = (failure.kind, &self.seen) else { return failure };
        let path = files::with_suffix(seen.path(), ".evidence");
        let advice = match files::write(&path, checkpoint, Mode::Public) {
            Ok(()) => format!(
                "do not trust the server; keep `{}` and `{}`: together they prove it",
                seen.path().display(),
                path.display()
            ),
            Err(_) => self.advice(),
        };
        let hint = match &failure.hint {
            Some(more) => format!("{advice}; {more}"),
            None => advice,
        };
        failure.hint(hint)
    }

    fn advice(&self) -> String {
        match &self.seen {
            Some(seen) => {
                format!("do not trust the server; keep `{}`: it is the evidence", seen.path().display())
            }
            None => "do not trust the server".to_owned(),
        }
    }
}

impl Covered {
    /// The log's name.
    pub fn origin(&self) -> &str {
        self.key.name().as_str()
    }
}

/// What stands before the hash of an entry whose text is not served any more.
const MASKED: &[u8] = b"masked:";

/// Whether of an entry only its hash is served.
pub fn is_masked(entry: &[u8]) -> bool {
    entry.starts_with(MASKED)
}

/// The hash of an entry.
fn leaf(entry: &[u8]) -> Hash {
    let masked = entry.strip_prefix(MASKED).and_then(|hex| std::str::from_utf8(hex).ok()?.parse().ok());
    masked.unwrap_or_else(|| Hash::leaf(entry))
}

/// The body, or `None` for a file that is not there.
fn found(answer: Answer) -> Result<Option<bytes::Bytes>, Failure> {
    if answer.status == StatusCode::NOT_FOUND {
        return Ok(None);
    }
    answer.good().map(|answer| Some(answer.body))
}

/// A verifier key, or a file with it.
fn given_key(given: &str) -> Result<VerifierKey, Failure> {
    let path = std::path::Path::new(given);
    if !path.is_file() {
        return parse_key(given);
    }
    parse_key(String::from_utf8_lossy(&files::read_small(path)?).trim())
}

#[cfg(test)]
mod tests;
