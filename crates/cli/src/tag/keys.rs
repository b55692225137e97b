//! Where the keys of authorities come from: a directory, a server, or a signed bundle.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use countersign_model::public_key::PublicKeyError;
use countersign_records::tag::{AuthorityName, TagError};
use countersign_verify::authority::AuthorityKeys;
use countersign_verify::bundle::{self, BundleError, Content};
use countersign_verify::tag::TrustedKey;
use http::StatusCode;
use zeroize::Zeroizing;

use super::options::{Bundle, Keys, Options};
use super::{Refusal, key_path, read_key, say};
use crate::api::{Api, Request};
use crate::commands::verify::read_public_key;
use crate::files;
use crate::seen::Seen;
use crate::transport::{Transport, is_loopback};

/// Where keys come from, ready to be asked.
pub enum Source {
    /// A directory of PEM files, as given.
    Directory(OsString),
    /// A server.
    Server(Box<Server>),
    /// A bundle that was checked, and the name of its file.
    Bundle(Box<Content>, OsString),
}

/// The keys of one authority.
pub enum Found {
    /// One key in a file.
    Pem { path: OsString, pem: Zeroizing<Vec<u8>> },
    /// All its keys with their times and revocations.
    Keys(AuthorityKeys),
}

impl Source {
    /// Opens what the options name. A directory is looked into only when an authority is asked for.
    pub fn open(program: &str, options: &Options) -> Result<Self, Refusal> {
        match &options.keys {
            Keys::Directory(directory) => Ok(Self::Directory(directory.clone())),
            Keys::Url { url, ca } => {
                Server::new(program, url, ca.as_deref()).map(|s| Self::Server(Box::new(s)))
            }
            Keys::Bundle(from) => {
                let content = open_bundle(program, from, options)?;
                Ok(Self::Bundle(Box::new(content), from.file.clone()))
            }
        }
    }

    /// The keys of an authority.
    pub fn find(&self, name: &AuthorityName) -> Result<Found, Refusal> {
        match self {
            Self::Directory(directory) => {
                let path = key_path(directory, name, ".pub");
                let pem = read_key(&path, "public key")?;
                Ok(Found::Pem { path, pem })
            }
            Self::Server(server) => server.find(name),
            Self::Bundle(content, file) => match content.authorities.get(name) {
                Some(keys) => Ok(Found::Keys(keys.clone())),
                None => Err(Refusal::at(&format!("no public key of {name} in the key bundle"), file)
                    .hint("is it the bundle of the service that knows this authority?")),
            },
        }
    }
}

/// The server of `--keys-url`.
pub struct Server {
    url: OsString,
    api: Api,
    runtime: tokio::runtime::Runtime,
}

impl Server {
    fn new(program: &str, url: &OsStr, ca: Option<&OsStr>) -> Result<Self, Refusal> {
        let text = url.to_string_lossy();
        let plain = text.strip_prefix("http://").and_then(|rest| rest.split(['/', ':']).next());
        if plain.is_some_and(|host| !host.starts_with('[') && !is_loopback(host)) {
            let warning = "warning: keys that come over http can be exchanged on the way; use https://";
            say(program, OsStr::new(warning));
        }
        let from_environment = || std::env::var_os("COUNTERSIGN_CA").filter(|ca| !ca.is_empty());
        let ca = ca.map(OsStr::to_owned).or_else(from_environment);
        let ca = ca.map(|ca| files::read_small(Path::new(&ca))).transpose()?;
        let transport = Transport::remote(&text, None, ca.as_deref().map(Vec::as_slice))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Refusal::new(format!("cannot start the runtime: {error}")))?;
        Ok(Self { url: url.to_owned(), api: Api::new(transport), runtime })
    }

    /// The document of all keys, else the file of one: a server of static files has no revocations to tell.
    fn find(&self, name: &AuthorityName) -> Result<Found, Refusal> {
        if let Some(bytes) = self.fetch(name, "")? {
            let keys: AuthorityKeys = serde_json::from_slice(&bytes)
                .map_err(|error| Refusal::because("bad public key", &self.path(name, ""), &error))?;
            return if keys.name == *name {
                Ok(Found::Keys(keys))
            } else {
                Err(Refusal::at("keys of another authority", &self.path(name, "")))
            };
        }
        let path = self.path(name, ".pub");
        match self.fetch(name, ".pub")? {
            Some(bytes) => Ok(Found::Pem { path, pem: Zeroizing::new(bytes.to_vec()) }),
            None => Err(Refusal::at("public key not found", &path)),
        }
    }

    /// `None` if there is nothing of that name.
    fn fetch(&self, name: &AuthorityName, extension: &str) -> Result<Option<bytes::Bytes>, Refusal> {
        let request = Request::get(&format!("/{name}{extension}"));
        let failed =
            |why: &str| Refusal::because("cannot read public key", &self.path(name, extension), &why);
        let answer = self.runtime.block_on(self.api.send(request)).map_err(|error| failed(&error.message))?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(None),
            _ => answer.good().map(|answer| Some(answer.body)).map_err(|error| failed(&error.message)),
        }
    }

    fn path(&self, name: &AuthorityName, extension: &str) -> OsString {
        key_path(&self.url, name, extension)
    }
}

/// Reads a bundle, checks it against its root key and the time, and remembers its version.
fn open_bundle(program: &str, from: &Bundle, options: &Options) -> Result<Content, Refusal> {
    let bytes = super::read_file(&from.file)?;
    if !Path::new(&from.root).exists() {
        return Err(Refusal::at("root key not found", &from.root));
    }
    let root = read_public_key(Path::new(&from.root))?;
    let seen = Seen::at(from.state.as_deref().map(Path::new));
    let (seen, before) = match seen {
        Ok(seen) => {
            let before = seen.bundle(&root.id())?;
            (Some(seen), before)
        }
        // Without a home there is nothing to compare with.
        Err(failure) if from.state.is_none() => {
            say(program, OsStr::new(&format!("warning: {}", failure.message)));
            (None, None)
        }
        Err(failure) => return Err(failure.into()),
    };
    let now = options.now();
    let content = bundle::verify(&bytes, &root, now, before, from.expired)?;
    if bundle::is_expired(&content, now) {
        let expired = BundleError::Expired { expires: content.expires };
        say(program, OsStr::new(&format!("warning: {expired}")));
    }
    if let Some(seen) = seen
        && let Some(warning) = seen.remember_bundle(&root.id(), content.version)?
    {
        say(program, OsStr::new(&warning));
    }
    Ok(content)
}

impl From<BundleError> for Refusal {
    fn from(error: BundleError) -> Self {
        Self::new(error.to_string()).hint(error.hint())
    }
}

/// A public key file as a verifier trusts it.
pub fn trusted_key(name: &AuthorityName, path: &OsStr, pem: &[u8]) -> Result<TrustedKey, Refusal> {
    TrustedKey::from_pem(&String::from_utf8_lossy(pem)).map_err(|error| match error {
        PublicKeyError::Unsupported => TagError::UnsupportedKey { name: name.clone() }.into(),
        other => Refusal::because("bad public key", path, &other)
            .hint("`openssl pkey -pubin -in FILE -text` shows whether it is one"),
    })
}
