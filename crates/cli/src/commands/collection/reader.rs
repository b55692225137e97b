//! What a reader fetches: changesets, and the chains of certificates that they name.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use countersign_model::digest::sha256;
use countersign_pki::chain::Chain;
use countersign_verify::collection::Bundle;
use http::{Method, Uri};
use jiff::Timestamp;

use super::kinto::{Kinto, good};
use crate::api::{Api, Request};
use crate::args::Target;
use crate::context::Context;
use crate::failure::{Failure, Kind, OrUnknown as _};
use crate::files;
use crate::transport::Transport;

/// The largest changeset that is read, in bytes.
const MAX_CHANGESET: usize = countersign_records::collections::changeset::MAX_CHANGESET;

/// The longest chain that is read, in bytes.
const MAX_CHAIN: usize = 256 << 10;

/// Where a collection is read.
pub enum Place {
    /// A server that answers with changes, at this path.
    Server(Kinto, String),
    /// A file on a server or a content network, at this path.
    Static(Api, String),
    /// A changeset in a file here.
    File(PathBuf),
}

impl Place {
    /// Finds what is meant.
    ///
    /// # Errors
    /// If there is no way to it, or the URL is malformed.
    pub async fn of(context: &Context, target: &Target) -> Result<Self, Failure> {
        match target {
            Target::Here(path) => {
                let kinto = Kinto::here(context.api().await?);
                Ok(Self::Server(kinto, format!("{}/changeset", path.uri())))
            }
            Target::Url(url) => Self::at(url),
        }
    }

    /// What `export` wrote: a directory, or the changeset in it.
    pub fn offline(path: &Path) -> Self {
        let file = if path.is_dir() { path.join(CHANGESET) } else { path.to_owned() };
        Self::File(file)
    }

    fn at(url: &str) -> Result<Self, Failure> {
        let bare = url.split(['?', '#']).next().unwrap_or(url).trim_end_matches('/');
        if bare.ends_with(".json") {
            let (api, path) = split(bare)?;
            return Ok(Self::Static(api, path));
        }
        let bare = bare.strip_suffix("/changeset").or(bare.strip_suffix("/records")).unwrap_or(bare);
        match bare.split_once("/v1/buckets/") {
            Some((base, rest)) if rest.split('/').count() == 3 => {
                let kinto = Kinto::at(base, None, None)?;
                Ok(Self::Server(kinto, format!("/buckets/{rest}/changeset")))
            }
            _ => Err(Failure::unknown(format!("`{url}` is not the URL of a collection")).hint(
                "it has the form https://HOST/v1/buckets/BUCKET/collections/COLLECTION, or ends with .json",
            )),
        }
    }

    /// Whether it answers with what has changed since a time.
    pub fn knows_changes(&self) -> bool {
        matches!(self, Self::Server(..))
    }

    /// A changeset.
    ///
    /// - `since`: only what has changed after this; where the place knows that.
    /// - `expected`: any text, which makes a URL of its own for caches.
    ///
    /// # Errors
    /// When nothing came, or too much.
    pub async fn changeset(&self, since: Option<i64>, expected: &str) -> Result<Vec<u8>, Failure> {
        match self {
            Self::Server(kinto, path) => {
                let since = since.map(|since| format!("&_since=%22{since}%22")).unwrap_or_default();
                let path = format!("{path}?_expected={expected}{since}");
                let fetched = fetch(kinto.api(), kinto.request(Method::GET, &path), MAX_CHANGESET).await;
                fetched.map_err(|failure| match failure.kind {
                    Kind::Refused => failure
                        .hint("is this where it is published? what is published can be read without a token"),
                    Kind::Unknown => failure,
                })
            }
            Self::Static(api, path) => fetch(api, Request::get(path), MAX_CHANGESET).await,
            Self::File(path) => Ok(files::read_whole(path, MAX_CHANGESET as u64)?.into()),
        }
    }

    /// The chains that bundles name, as far as they are to be had.
    pub async fn chains(&self, bundles: &[Bundle]) -> Chains {
        match self {
            Self::Server(kinto, _) => Chains::of(kinto.api(), bundles).await,
            Self::Static(api, _) => Chains::of(api, bundles).await,
            Self::File(file) => Chains::in_directory(file.parent().unwrap_or(Path::new("")), bundles),
        }
    }
}

/// The changeset in a directory of `export`.
pub const CHANGESET: &str = "changeset.json";

/// Where a chain is in a directory of `export`: its address can be any text, so the name is its hash.
pub fn chain_file(x5u: &str) -> PathBuf {
    Path::new("chains").join(format!("{}.pem", hex::encode(sha256(x5u.as_bytes()))))
}

/// Chains of certificates, by where they are. Nothing of them is verified.
#[derive(Debug, Default)]
pub struct Chains {
    /// PEM by `x5u`.
    pub found: BTreeMap<String, String>,
    /// Why others could not be had.
    pub missing: Vec<Failure>,
}

impl Chains {
    /// Fetches the chains that bundles name.
    ///
    /// - `api`: the server that the bundles are from, which may have its chains itself.
    pub async fn of(api: &Api, bundles: &[Bundle]) -> Self {
        let mut chains = Self::default();
        for x5u in addresses(bundles) {
            match fetch_chain(api, x5u).await {
                Ok(text) => drop(chains.found.insert(x5u.to_owned(), text)),
                Err(failure) => chains.missing.push(failure),
            }
        }
        chains
    }

    fn in_directory(directory: &Path, bundles: &[Bundle]) -> Self {
        let mut chains = Self::default();
        for x5u in addresses(bundles) {
            let path = directory.join(chain_file(x5u));
            let read = files::read_whole(&path, MAX_CHAIN as u64)
                .and_then(|bytes| String::from_utf8(bytes.into()).or_unknown("a chain is not text"));
            match read {
                Ok(text) => drop(chains.found.insert(x5u.to_owned(), text)),
                Err(failure) => chains.missing.push(failure),
            }
        }
        chains
    }

    /// When the first of all certificates expires.
    pub fn first_expiry(&self) -> Option<Timestamp> {
        let chains = self.found.values().filter_map(|text| Chain::from_pem(text).ok());
        let ends = chains.filter_map(|chain| chain.certificates().map(|one| one.not_after()).min());
        ends.min()
    }
}

fn addresses(bundles: &[Bundle]) -> impl Iterator<Item = &str> {
    bundles.iter().filter_map(Bundle::x5u)
}

/// Fetches a chain: from the server that named it, if the address has the hash of what is there, else from where
/// it says, without any credentials.
async fn fetch_chain(api: &Api, x5u: &str) -> Result<String, Failure> {
    if let Some((path, hash)) = own_chain(x5u)
        && let Ok(bytes) = fetch(api, Request::get(path), MAX_CHAIN).await
        && hex::encode(sha256(&bytes)) == hash
    {
        return String::from_utf8(bytes).or_unknown("the chain is not text");
    }
    let (api, path) = split(x5u)?;
    let bytes = fetch(&api, Request::get(&path), MAX_CHAIN).await?;
    String::from_utf8(bytes).or_unknown("the chain is not text")
}

/// `/chains/HASH.pem` at the end of an address, and the hash.
fn own_chain(x5u: &str) -> Option<(&str, &str)> {
    let path = x5u.get(x5u.rfind("/chains/")?..)?;
    let hash = path.strip_prefix("/chains/")?.strip_suffix(".pem")?;
    let is_hash = hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    is_hash.then_some((path, hash))
}

/// A server by the beginning of a URL, and the rest of it.
fn split(url: &str) -> Result<(Api, String), Failure> {
    let uri: Uri = url.parse().or_unknown("not a URL")?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(Failure::unknown(format!("`{url}` is not a URL with a host")));
    };
    let transport = Transport::remote(&format!("{scheme}://{authority}"), None, None)?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    Ok((Api::new(transport), path.to_owned()))
}

/// Fetches at most so many bytes.
async fn fetch(api: &Api, request: Request, limit: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Limited { bytes: Vec::new(), limit };
    let what = request.path.clone();
    good(api.fetch(request, &mut bytes).await?, &what)?;
    Ok(bytes.bytes)
}

struct Limited {
    bytes: Vec<u8>,
    limit: usize,
}

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.limit {
            return Err(io::Error::other(format!("it is longer than {} KiB", self.limit >> 10)));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_may_be_that_of_the_collection_or_of_what_is_in_it() {
        let base = "https://h/prefix/v1/buckets/main/collections/cats";
        for url in [base.to_owned(), format!("{base}/"), format!("{base}/changeset?_expected=0")] {
            let place = Place::at(&url).unwrap();
            let Place::Server(kinto, path) = place else { panic!("{url}") };
            assert_eq!(
                (&*kinto.place(), &*path),
                ("https://h/prefix", "/buckets/main/collections/cats/changeset")
            );
        }
        let url = "https://cdn/x/collections/main/cats/changeset.json";
        assert!(
            matches!(Place::at(url).unwrap(), Place::Static(_, path) if path == "/x/collections/main/cats/changeset.json")
        );
        for bad in ["https://h/v1", "https://h/v1/buckets/main", "https://h/collections/cats"] {
            assert!(Place::at(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_chain_with_its_hash_in_its_address_can_come_from_anywhere() {
        let hash = "0a".repeat(32);
        let x5u = format!("https://public.example.org/chains/{hash}.pem");
        assert_eq!(own_chain(&x5u), Some((format!("/chains/{hash}.pem").as_str(), hash.as_str())));
        assert_eq!(own_chain("https://h/chains/main.pem"), None);
        assert_eq!(own_chain("https://h/other"), None);
    }
}
