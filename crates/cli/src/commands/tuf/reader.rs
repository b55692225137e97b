//! A client at work: asks places for what it needs, and keeps what it has verified.

use countersign_tuf::client::{Client, Local, Lookup, Wanted};
use countersign_tuf::metadata::{Document, Kind};
use countersign_tuf::names::file_name;
use countersign_tuf::targets::TargetFile;
use jiff::Timestamp;

use super::memory::Memory;
use super::place::Place;
use super::refused;
use crate::args::ReadOptions;
use crate::context::Context;
use crate::failure::{Failure, Kind as Answer};
use crate::files;

/// The largest root that is taken from a file.
const MAX_ROOT: u64 = 512_000;

/// A client with the places that it asks.
pub struct Reader {
    /// The machine that judges.
    pub client: Client,
    /// The places, the first first.
    pub places: Vec<Place>,
    /// Every root that was verified, the trusted one first.
    pub roots: Vec<Vec<u8>>,
    memory: Option<Memory>,
}

impl Reader {
    /// A client that trusts `root`, or what it has kept since.
    ///
    /// # Errors
    /// If there is no root to trust, or it is none.
    pub fn new(
        places: Vec<Place>,
        root: Option<Vec<u8>>,
        memory: Option<Memory>,
        now: Option<Timestamp>,
    ) -> Result<Self, Failure> {
        let kept = memory.as_ref().map(Memory::root).transpose()?.flatten();
        let root = newer(root, kept)?;
        let local = memory.as_ref().map(Memory::local).transpose()?.unwrap_or_else(Local::default);
        let now = now.unwrap_or_else(Timestamp::now);
        let client = Client::new(&root, local, now).map_err(|error| {
            Failure::unknown(format!("the root to trust is none: {error}"))
                .hint("a root is the file `N.root.json` of the repository, got on a way that you trust")
        })?;
        Ok(Self { client, places, roots: vec![root], memory })
    }

    /// A client of the server that commands speak to, from its first root on, which has fetched and verified root,
    /// timestamp, snapshot and targets.
    ///
    /// # Errors
    /// As [`Self::refresh`], and if nothing is published yet.
    pub async fn of_server(context: &Context) -> Result<Self, Failure> {
        let place = Place::Server(context.api().await?);
        let first = file_name(Kind::Root.as_str(), Some(1));
        let first = place.metadata(&first, MAX_ROOT).await.map_err(refused::of_fetch)?;
        let first = first.ok_or_else(|| {
            Failure::refused("the server has not published a root yet")
                .hint("`countersign tuf status` says who must sign it first")
        })?;
        let mut reader = Self::new(vec![place], Some(first), None, None)?;
        reader.refresh().await?;
        Ok(reader)
    }

    /// Fetches and verifies root, timestamp, snapshot and targets, and keeps them.
    ///
    /// # Errors
    /// Why the repository is not believed, or could not be asked. What was verified before is kept.
    pub async fn refresh(&mut self) -> Result<(), Failure> {
        let done = self.refresh_files().await;
        self.keep()?;
        done
    }

    async fn refresh_files(&mut self) -> Result<(), Failure> {
        while let Some(wanted) = self.client.needs() {
            self.supply(&wanted).await?;
        }
        Ok(())
    }

    /// Looks for the target at `path`, and keeps what was verified for it.
    ///
    /// # Errors
    /// As [`Self::refresh`].
    pub async fn find(&mut self, path: &str) -> Result<Option<TargetFile>, Failure> {
        let found = self.find_file(path).await;
        self.keep()?;
        found
    }

    async fn find_file(&mut self, path: &str) -> Result<Option<TargetFile>, Failure> {
        loop {
            match self.client.find(path).map_err(|error| refused::of_client(&error))? {
                Lookup::Needs(wanted) => self.supply(&wanted).await?,
                Lookup::Found(target) => return Ok(Some(target)),
                Lookup::Absent => return Ok(None),
            }
        }
    }

    /// Gives the client the file that it wants: what was kept if it is still that, else from the first place that
    /// has a good one.
    ///
    /// # Errors
    /// Why the first place's was not good.
    pub async fn supply(&mut self, wanted: &Wanted) -> Result<(), Failure> {
        if self.supply_kept(wanted) {
            return Ok(());
        }
        let mut first = None;
        for at in 0..self.places.len() {
            let failure = match self.places[at].metadata(&wanted.name, wanted.limit).await {
                Ok(Some(bytes)) => match self.give(wanted, bytes) {
                    Ok(()) => return Ok(()),
                    Err(failure) => failure,
                },
                Ok(None) if wanted.optional => {
                    return self.client.give_missing().map_err(|error| refused::of_client(&error));
                }
                Ok(None) => self.missing(wanted),
                Err(error) => refused::of_fetch(error),
            };
            // A definite no says more than a place that could not be asked.
            let better = first.as_ref().is_none_or(|known: &Failure| {
                known.kind == Answer::Unknown && failure.kind == Answer::Refused
            });
            if better {
                first = Some(failure);
            }
            if self.client.needs().as_ref() != Some(wanted) {
                break;
            }
        }
        Err(first.unwrap_or_else(|| Failure::unknown("there is no place to ask")))
    }

    /// Gives bytes that were fetched.
    ///
    /// # Errors
    /// If they are not good.
    pub fn give(&mut self, wanted: &Wanted, bytes: Vec<u8>) -> Result<(), Failure> {
        let root = wanted.optional.then(|| bytes.clone());
        self.client.give(bytes).map_err(|error| refused::of_client(&error))?;
        self.roots.extend(root);
        Ok(())
    }

    fn missing(&mut self, _wanted: &Wanted) -> Failure {
        match self.client.give_missing() {
            Err(error) => refused::of_client(&error),
            Ok(()) => Failure::unknown("a file is missing"),
        }
    }

    fn supply_kept(&mut self, wanted: &Wanted) -> bool {
        let Some(role) = self.role_of(wanted) else { return false };
        let kept = self.memory.as_ref().and_then(|memory| memory.role(&role));
        kept.is_some_and(|bytes| self.client.give(bytes).is_ok())
    }

    /// The targets role whose file it is: names of roles are in file names as they are, or percent-encoded.
    fn role_of(&self, wanted: &Wanted) -> Option<String> {
        // Root, timestamp and snapshot are asked for anew, each time.
        self.client.snapshot()?;
        let bare = wanted.name.strip_suffix(".json")?;
        let consistent = self.client.root().root().is_ok_and(|root| root.consistent_snapshot);
        let role = if consistent { bare.split_once('.')?.1 } else { bare };
        let plain = role.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~'));
        plain.then(|| role.to_owned())
    }

    fn keep(&self) -> Result<(), Failure> {
        match (&self.memory, self.roots.first()) {
            (Some(memory), Some(began_with)) => memory.keep(&self.client, began_with),
            _ => Ok(()),
        }
    }
}

/// The root file that the options name.
///
/// # Errors
/// If it cannot be read.
pub fn root_of(options: &ReadOptions) -> Result<Option<Vec<u8>>, Failure> {
    options.root.as_deref().map(|file| Ok(files::read_whole(file, MAX_ROOT)?.to_vec())).transpose()
}

/// The newer of two roots, both of which are trusted.
fn newer(given: Option<Vec<u8>>, kept: Option<Vec<u8>>) -> Result<Vec<u8>, Failure> {
    let version = |bytes: &[u8]| {
        let document = Document::parse(bytes).ok().filter(|document| document.kind() == Kind::Root);
        document.map_or(0, |document| document.version())
    };
    match (given, kept) {
        (Some(given), Some(kept)) => Ok(if version(&kept) >= version(&given) { kept } else { given }),
        (Some(root), None) | (None, Some(root)) => Ok(root),
        (None, None) => Err(Failure::unknown("there is no root to trust")
            .hint("give the repository's root, got on a way that you trust: `--root FILE`")),
    }
}
