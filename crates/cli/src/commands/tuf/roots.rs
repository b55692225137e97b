//! Roots from one that is trusted on: each is signed as the one before demands, and as it demands itself
//! (specification 5.3).

use std::collections::BTreeMap;

use countersign_tuf::check::root as check;
use countersign_tuf::metadata::{Document, Kind};
use countersign_tuf::names::file_name;
use serde_json::Value;

use super::place::Place;
use super::{refused, words};
use crate::context::Context;
use crate::failure::{Failure, OrUnknown as _};

/// The largest root, in bytes.
pub const MAX_ROOT: u64 = 512_000;

/// How many roots are followed from the one that is trusted.
const MAX_ROOTS: u64 = 1024;

/// How many bytes of roots are kept at once.
const MAX_SAVED: usize = 32 << 20;

/// The member of a saved file that has them.
pub const SAVED: &str = "roots";

/// Where roots come from. None of them is believed because of that.
pub enum Roots {
    /// What a place publishes.
    Published(Place),
    /// What was saved for a machine without a network, by version.
    Saved(BTreeMap<u64, Document>),
}

impl Roots {
    /// Those that the server publishes.
    ///
    /// # Errors
    /// If there is no way to it.
    pub async fn of_server(context: &Context) -> Result<Self, Failure> {
        Ok(Self::Published(Place::Server(context.api().await?)))
    }

    /// Those in the file that `tuf sign --save` wrote.
    ///
    /// # Errors
    /// If one of them is none.
    pub fn saved(file: &Value) -> Result<Self, Failure> {
        let mut roots = BTreeMap::new();
        for value in file[SAVED].as_array().into_iter().flatten() {
            let root = Document::from_value(value.clone()).or_unknown("a saved root is no metadata")?;
            roots.insert(root.version(), root);
        }
        Ok(Self::Saved(roots))
    }

    /// The root of this version, not verified; `None` if there is none.
    ///
    /// # Errors
    /// If nobody knows, or it is none.
    pub async fn version(&self, version: u64) -> Result<Option<Document>, Failure> {
        let place = match self {
            Self::Published(place) => place,
            Self::Saved(roots) => return Ok(roots.get(&version).cloned()),
        };
        let name = file_name(Kind::Root.as_str(), Some(version));
        let bytes = place.metadata(&name, MAX_ROOT).await.map_err(refused::of_fetch)?;
        bytes.map(|bytes| parse(&bytes)).transpose()
    }

    /// All of them, verified, the trusted one first; none before the end of the bootstrap.
    ///
    /// - `from`: the root to begin with; `None`: the repository's first, which says only that the later ones follow
    ///   from it.
    ///
    /// # Errors
    /// If the chain is broken, or too long to be kept.
    pub async fn all(&self, from: Option<&[u8]>) -> Result<Vec<Document>, Failure> {
        let (mut all, mut left) = (Vec::new(), MAX_SAVED);
        self.each(from, |root| {
            left = left
                .checked_sub(root.to_bytes().len())
                .ok_or_else(|| Failure::unknown("there are too many roots").hint("begin with a newer one"))?;
            all.push(root.clone());
            Ok(())
        })
        .await?;
        Ok(all)
    }

    /// The newest of them, verified; `from` as in [`Self::all`].
    ///
    /// # Errors
    /// If there is none, or the chain is broken.
    pub async fn newest(&self, from: Option<&[u8]>) -> Result<Document, Failure> {
        self.each(from, |_| Ok(())).await?.ok_or_else(|| {
            Failure::refused("there is no root in force yet")
                .hint("`countersign tuf status` says how far the bootstrap is")
        })
    }

    /// Shows each to `visit`, and returns the newest.
    async fn each(
        &self,
        from: Option<&[u8]>,
        mut visit: impl FnMut(&Document) -> Result<(), Failure>,
    ) -> Result<Option<Document>, Failure> {
        let Some(mut root) = self.begin(from).await? else { return Ok(None) };
        for _ in 0..MAX_ROOTS {
            visit(&root)?;
            let Some(next) = self.after(&root).await? else { return Ok(Some(root)) };
            root = next;
        }
        Err(Failure::unknown(format!("there are more than {MAX_ROOTS} roots")))
    }

    /// Checks that they lead to `trusted`, which the server says is in force; `from` as in [`Self::all`].
    ///
    /// # Errors
    /// If they do not.
    pub async fn lead_to(&self, from: Option<&[u8]>, trusted: &Document) -> Result<(), Failure> {
        let mut root =
            self.begin(from).await?.ok_or_else(|| Failure::unknown("the first root is not published"))?;
        let newest = trusted.version();
        if root.version() > newest || newest - root.version() > MAX_ROOTS {
            return Err(Failure::refused(format!(
                "the root that you trust has version {}, and the server says that {newest} is in force",
                root.version()
            ))
            .hint("somebody may be showing you an older repository, or another one: do not sign"));
        }
        while root.version() < newest {
            let next = self.after(&root).await?;
            let wanted = root.version() + 1;
            root = next.ok_or_else(|| Failure::unknown(format!("root {wanted} is not published")))?;
        }
        if root.signed_sha256() == trusted.signed_sha256() {
            return Ok(());
        }
        Err(refuse("what the server shows as the root in force is not the one that it publishes"))
    }

    async fn begin(&self, from: Option<&[u8]>) -> Result<Option<Document>, Failure> {
        let first = match from {
            Some(bytes) => Some(parse(bytes)?),
            None => self.version(1).await?,
        };
        let Some(first) = first else { return Ok(None) };
        signed_by(&first, &first)?;
        Ok(Some(first))
    }

    async fn after(&self, root: &Document) -> Result<Option<Document>, Failure> {
        let wanted = root.version().saturating_add(1);
        let Some(next) = self.version(wanted).await? else { return Ok(None) };
        if next.version() != wanted {
            return Err(refuse(&format!("root {wanted} says that it is version {}", next.version())));
        }
        signed_by(&next, root)?;
        signed_by(&next, &next)?;
        Ok(Some(next))
    }
}

fn parse(bytes: &[u8]) -> Result<Document, Failure> {
    Document::parse(bytes).or_unknown("the root is no metadata")
}

fn signed_by(document: &Document, by: &Document) -> Result<(), Failure> {
    let signed = check::progress(document, Some(by)).map_err(|error| refuse(&error.to_string()))?;
    if signed.trusted.is_some_and(|tally| tally.is_met()) {
        return Ok(());
    }
    let (version, by) = (document.version(), by.version());
    Err(refuse(&format!("root {version} is not signed as root {by} demands")))
}

/// What a server shows is not what it should be.
pub fn refuse(why: &str) -> Failure {
    Failure::refused(words::shown(why)).hint("do not sign: somebody may be showing you another repository")
}
