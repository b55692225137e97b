//! `collection`: signed collections, for those who edit, review, publish and read them.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};
use countersign_core::collections::uri::is_id;
use jiff::Timestamp;

/// Commands of `collection`.
#[derive(Debug, Subcommand)]
pub enum CollectionCommand {
    /// Make a source collection with its bucket and its groups of editors and reviewers.
    Init(InitCollection),
    /// Show what is edited, what is published, how old signatures are and when chains expire.
    Status {
        /// A source bucket, or one collection of it [default: all that are signed].
        #[arg(value_name = "BUCKET[/COLLECTION]")]
        place: Option<Place>,
    },
    /// Show what would be published: how the source differs from what readers have.
    Diff(DiffCollection),
    /// Ask for a review, approve what is under review, or decline it.
    #[command(subcommand)]
    Review(ReviewCommand),
    /// Publish and sign the source.
    #[command(
        after_help = "Where there is a review, `review request` and `review approve` do it in two steps, by two people."
    )]
    Sign {
        /// The source collection.
        #[arg(value_name = "BUCKET/COLLECTION")]
        collection: CollectionPath,
        /// Sign what is published once more, as it is: with new keys or a new chain.
        #[arg(long)]
        resign: bool,
        #[command(flatten)]
        seen: Seen,
    },
    /// Take back all changes of the source since it was published.
    Rollback {
        /// The source collection.
        #[arg(value_name = "BUCKET/COLLECTION")]
        collection: CollectionPath,
        #[command(flatten)]
        seen: Seen,
    },
    /// Fetch a published collection and check its signature here, believing nothing that the server says.
    Verify(VerifyCollection),
    /// Write a published collection and its chains of certificates to a directory, to be verified without a network.
    #[command(after_help = "Example:\n  \
        countersign collection export https://sign.example.org/v1/buckets/main/collections/cats cats\n  \
        countersign collection verify --offline cats --root root.pem")]
    Export {
        /// Where it is published: its URL, or BUCKET/COLLECTION of the server.
        #[arg(value_name = "URL|BUCKET/COLLECTION")]
        target: Target,
        /// The directory, which is made if it is not there.
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
    /// Copy a bucket of a running Kinto to this server: collections, records, groups, permissions.
    Import(ImportKinto),
    /// Print the root certificate that readers must trust, as PEM.
    Root,
}

/// Options of `collection init`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    countersign collection init staging/cats --editor ana --editor account:eve --reviewer bo")]
pub struct InitCollection {
    /// The source collection. Its bucket is one that `[[collections.resource]]` of the server names.
    #[arg(value_name = "BUCKET/COLLECTION")]
    pub collection: CollectionPath,
    /// Who edits: the name of a principal, or `account:NAME`; may be given several times.
    #[arg(long = "editor", value_name = "WHO")]
    pub editors: Vec<String>,
    /// Who approves; may be given several times.
    #[arg(long = "reviewer", value_name = "WHO")]
    pub reviewers: Vec<String>,
}

/// Options of `collection diff`.
#[derive(Debug, Args)]
pub struct DiffCollection {
    /// The source collection.
    #[arg(value_name = "BUCKET/COLLECTION")]
    pub collection: CollectionPath,
    /// Compare with the preview instead of what is published.
    #[arg(long)]
    pub preview: bool,
}

/// Commands of `collection review`.
#[derive(Debug, Subcommand)]
pub enum ReviewCommand {
    /// Ask for a review. Editors do.
    Request(Step),
    /// Approve what is under review, which publishes and signs it. Reviewers do, but not the one who asked.
    Approve(Step),
    /// Say no to what is under review.
    Decline(Step),
}

/// One step of a review.
#[derive(Debug, Args)]
pub struct Step {
    /// The source collection.
    #[arg(value_name = "BUCKET/COLLECTION")]
    pub collection: CollectionPath,
    /// A word to those who come next.
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
    #[command(flatten)]
    pub seen: Seen,
}

/// Which state somebody has looked at.
#[derive(Debug, Args)]
pub struct Seen {
    /// Only if the collection is as it was then: the `state` that `collection status` and `diff` print.
    #[arg(long, value_name = "MILLISECONDS")]
    pub seen: Option<u64>,
}

/// Options of `collection verify`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 0: the records are those that were signed. 1: they are not. 2: nobody could tell.\n\n\
    Examples:\n  \
    countersign collection verify https://sign.example.org/v1/buckets/main/collections/cats --root root.pem\n  \
    countersign collection verify main/cats --root-sha256 9f86… --name main --since cats.json -o cats.json\n  \
    countersign collection verify --offline cats --key public.pem --now 2027-01-01T00:00:00Z"
)]
pub struct VerifyCollection {
    /// Where it is published: its URL, or BUCKET/COLLECTION of the server.
    #[arg(value_name = "URL|BUCKET/COLLECTION", required_unless_present = "offline")]
    pub target: Option<Target>,
    /// A directory of `collection export`, or a file with a changeset, instead of a server.
    #[arg(long, value_name = "DIR", conflicts_with = "target")]
    pub offline: Option<PathBuf>,
    #[command(flatten)]
    pub trust: TrustOptions,
    /// A copy from before, to which only what has changed since is fetched and applied.
    #[arg(long, value_name = "FILE")]
    pub since: Option<PathBuf>,
    /// Write the whole verified collection here: the copy for the next `--since`.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Whether it is good at this time (RFC 3339) [default: now].
    #[arg(long, value_name = "TIME")]
    pub now: Option<Timestamp>,
}

/// What is believed without being told by the server.
#[derive(Debug, Args)]
pub struct TrustOptions {
    /// Trust chains under this root certificate (PEM).
    #[arg(long, value_name = "FILE", required_unless_present_any = ["root_sha256", "key"])]
    pub root: Vec<PathBuf>,
    /// Trust chains under the root certificate whose DER has this SHA-256; colons do not count.
    #[arg(long, value_name = "HEX", value_parser = fingerprint)]
    pub root_sha256: Vec<[u8; 32]>,
    /// Trust this public key (PEM), for signatures that name no chain. Without a root, for all.
    #[arg(long, value_name = "PEM")]
    pub key: Vec<PathBuf>,
    /// The name that the signer's certificate must have: a host name, or the part before `.content-signature.`.
    #[arg(long, value_name = "SAN")]
    pub name: Option<String>,
}

/// Options of `collection import`.
#[derive(Debug, Args)]
#[command(
    after_help = "Run it as often as you like: with --resume it goes on where it stopped, or fetches what has changed\n\
    since. Ids and timestamps stay as they are. Records that were changed here meanwhile are left alone.\n\n\
    The mapping file has a line for each principal: the old name, spaces, the new name or `-` for none:\n  \
    basicauth:683aaf60…  principal:ana\n\n\
    Examples:\n  \
    countersign collection import https://kinto.example.org/v1 staging --auth-file kinto.auth --dry-run\n  \
    countersign collection import https://kinto.example.org/v1 staging --auth-file kinto.auth --map people.txt\n  \
    countersign collection import https://kinto.example.org/v1 staging --auth-file kinto.auth --resume"
)]
pub struct ImportKinto {
    /// Where the old server is, e.g. https://kinto.example.org/v1.
    #[arg(value_name = "KINTO-URL")]
    pub url: String,
    /// The bucket to copy.
    #[arg(value_parser = id)]
    pub bucket: String,
    /// What it is called here [default: as there].
    #[arg(long = "as", value_name = "BUCKET", value_parser = id)]
    pub name: Option<String>,
    /// Only this collection; may be given several times [default: all].
    #[arg(long = "collection", value_name = "ID", value_parser = id)]
    pub collections: Vec<String>,
    /// A file whose first line is `NAME:PASSWORD` of the old server, or `Bearer TOKEN`.
    #[arg(long, value_name = "FILE")]
    pub auth_file: Option<PathBuf>,
    /// Trust only this certification authority (PEM) for the old server.
    #[arg(long, value_name = "FILE")]
    pub kinto_ca: Option<PathBuf>,
    /// Who the old server's principals are here. Those of no line that mean nothing here are left out.
    #[arg(long, value_name = "FILE")]
    pub map: Option<PathBuf>,
    /// Also permissions of single records, which takes a request for each of them.
    #[arg(long)]
    pub record_permissions: bool,
    /// Leave deleted records out, of which readers with an older copy learn by them.
    #[arg(long)]
    pub without_tombstones: bool,
    /// Where is kept how far it came [default: countersign-import-BUCKET.json].
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Go on where the state file says.
    #[arg(long, conflicts_with = "dry_run")]
    pub resume: bool,
    /// Only count, and say whose permissions would be left out.
    #[arg(long)]
    pub dry_run: bool,
}

/// `BUCKET/COLLECTION`, or `/buckets/BUCKET/collections/COLLECTION`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CollectionPath {
    /// The bucket's id.
    pub bucket: String,
    /// The collection's id.
    pub collection: String,
}

impl CollectionPath {
    /// `/buckets/BUCKET/collections/COLLECTION`
    pub fn uri(&self) -> String {
        format!("/buckets/{}/collections/{}", self.bucket, self.collection)
    }
}

impl fmt::Display for CollectionPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.bucket, self.collection)
    }
}

impl FromStr for CollectionPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let short = match text.strip_prefix("/buckets/") {
            Some(rest) => rest.split_once("/collections/"),
            None => text.split_once('/'),
        };
        match short {
            Some((bucket, collection)) if is_id(bucket) && is_id(collection) => {
                Ok(Self { bucket: bucket.to_owned(), collection: collection.to_owned() })
            }
            _ => Err("BUCKET/COLLECTION, each of `A-Z a-z 0-9 _ -`".to_owned()),
        }
    }
}

/// A bucket, or a collection in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The bucket's id.
    pub bucket: String,
    /// The collection's id.
    pub collection: Option<String>,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bucket = text.strip_prefix("/buckets/").unwrap_or(text);
        if is_id(bucket) {
            return Ok(Self { bucket: bucket.to_owned(), collection: None });
        }
        let CollectionPath { bucket, collection } = text.parse()?;
        Ok(Self { bucket, collection: Some(collection) })
    }
}

/// Where a collection is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// At the server that commands speak to.
    Here(CollectionPath),
    /// At a URL: that of the collection, of its changeset, or of a file with one.
    Url(String),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("http://") || text.starts_with("https://") {
            Ok(Self::Url(text.to_owned()))
        } else {
            text.parse().map(Self::Here)
        }
    }
}

fn id(text: &str) -> Result<String, String> {
    if is_id(text) { Ok(text.to_owned()) } else { Err("letters, digits, `_` and `-`".to_owned()) }
}

fn fingerprint(text: &str) -> Result<[u8; 32], String> {
    let mut hash = [0; 32];
    let digits: String = text.chars().filter(|c| *c != ':').collect();
    hex::decode_to_slice(digits, &mut hash).map_err(|_| "64 hex digits".to_owned())?;
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collection_is_named_shortly_or_by_its_uri() {
        for text in ["main/cats", "/buckets/main/collections/cats"] {
            assert_eq!(text.parse::<CollectionPath>().unwrap().to_string(), "main/cats");
        }
        for bad in ["main", "main/", "/cats", "main/cats/x", "a b/c", "../x", "/buckets/main"] {
            assert!(bad.parse::<CollectionPath>().is_err(), "{bad}");
        }
        assert_eq!("main".parse(), Ok(Place { bucket: "main".into(), collection: None }));
        assert_eq!("/buckets/main".parse(), Ok(Place { bucket: "main".into(), collection: None }));
    }

    #[test]
    fn a_fingerprint_may_have_colons() {
        let bare = "0f".repeat(32);
        let colons = vec!["0F"; 32].join(":");
        assert_eq!(fingerprint(&bare), fingerprint(&colons));
        assert!(fingerprint("0f").is_err());
    }
}
