//! The configuration file, `DATA/countersign.toml`, key by key.
//!
//! Every key has a default, and an unknown key is refused. Sections of surfaces that this build does not
//! have are read and checked; [`Config::warnings`] then says that they have no effect.
//!
//! ```
//! let config = countersign_server::config::Config::parse("listen = \"127.0.0.1:9000\"")?;
//! assert_eq!(config.listen.port(), 9000);
//! assert!(countersign_server::config::Config::parse("lisen = 1").is_err());
//! # Ok::<(), countersign_server::config::ConfigError>(())
//! ```

mod autograph;
mod collections;
mod tuf;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use countersign_core::FilesConfig;
use countersign_model::Name;
use serde::Deserialize;

pub use autograph::{Autograph, AutographSigner, SignerHash, SignerMode, SignerType};
pub use collections::{
    CollectionAutograph, CollectionBackend, CollectionCache, CollectionProfile, CollectionResource,
    CollectionReview, CollectionWebhook, Collections,
};
pub use tuf::{SignProof, Tuf};

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address and port to listen on; port 0 lets the system choose. Default `127.0.0.1:8080`.
    pub listen: SocketAddr,
    /// How clients reach the server, e.g. `https://sign.example.org`; used in stored URLs.
    /// Default: the scheme and listen address.
    pub public_url: Option<String>,
    /// Name of this node and origin of its log. Default: `node-` and 8 hex digits, made once and kept.
    pub node: Option<Name>,
    /// Where data is kept.
    pub storage: Storage,
    /// How the seal key is kept.
    pub seal: Seal,
    /// Bounds.
    pub limits: Limits,
    /// The signing log.
    pub log: Log,
    /// `GET /metrics`.
    pub metrics: Metrics,
    /// TLS. Absent: plain HTTP, for loopback or behind a proxy.
    pub tls: Option<Tls>,
    /// Hardware keys.
    pub pkcs11: Option<Pkcs11>,
    /// The native surface.
    pub native: Native,
    /// The appliance surface.
    pub appliance: Option<Appliance>,
    /// The collections surface.
    pub collections: Option<Collections>,
    /// The Autograph surface.
    pub autograph: Option<Autograph>,
    /// The TUF surface.
    pub tuf: Option<Tuf>,
    /// The tags surface.
    pub tags: Option<Tags>,
    /// The attestations surface.
    pub attestations: Option<Attestations>,
    /// The web console.
    pub console: Option<Console>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: None,
            node: None,
            storage: Storage::default(),
            seal: Seal::default(),
            limits: Limits::default(),
            log: Log::default(),
            metrics: Metrics::default(),
            tls: None,
            pkcs11: None,
            native: Native::default(),
            appliance: None,
            collections: None,
            autograph: None,
            tuf: None,
            tags: None,
            attestations: None,
            console: None,
        }
    }
}

/// `[storage]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    /// `sqlite` (default: a file in the data directory) or `postgres://USER@HOST/DATABASE`.
    pub database: String,
    /// `directory` (default: in the data directory) or `s3://BUCKET/PREFIX?endpoint=URL`.
    pub files: String,
    /// A directory that something must be mounted on, with the data directory in it; else the server does not
    /// start. For an encrypted disk that systemd opens: then `--config` names a file that is not on it.
    pub require_mount: Option<PathBuf>,
}

impl Default for Storage {
    fn default() -> Self {
        Self { database: "sqlite".into(), files: "directory".into(), require_mount: None }
    }
}

impl Storage {
    /// Where published files are; `None`: in the data directory.
    pub fn files(&self) -> Option<FilesConfig> {
        (self.files != "directory").then(|| FilesConfig::S3(self.files.clone()))
    }
}

/// `[seal]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Seal {
    /// Where the seal key comes from. Default `file`: a file with mode 0600 in `DATA/host`.
    pub source: SealSource,
    /// The file with the passphrase, for `passphrase-file`.
    pub passphrase_file: Option<PathBuf>,
    /// The name of the systemd credential, for `credential`. Default `countersign-seal`.
    pub credential: Option<String>,
}

/// Where the seal key comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SealSource {
    /// A file with mode 0600, made at the first start.
    #[default]
    File,
    /// Derived from a passphrase in a file.
    PassphraseFile,
    /// Derived from a passphrase that systemd gives as a credential.
    Credential,
    /// Derived from a passphrase typed at start.
    Prompt,
}

/// `[limits]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The largest body of any request, in MiB, but for streamed ones. Default 512; a surface may have a
    /// lower limit of its own (native JSON: 64).
    pub body_mib: u32,
    /// The largest streamed body, in MiB. Default 65 536 (64 GiB).
    pub streamed_mib: u64,
    /// Whether bare ECDSA and Ed25519 signatures are checked before they are released, too.
    pub verify_raw: bool,
    /// The most connections at a time; more wait to be accepted. Default 2048.
    pub connections: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body_mib: 512, streamed_mib: 64 << 10, verify_raw: false, connections: 2048 }
    }
}

/// The largest JSON body of the native surface.
const NATIVE_JSON_BYTES: u64 = 64 << 20;

impl Limits {
    /// The largest JSON body of the native surface, in bytes.
    pub fn native_json(&self) -> u64 {
        (u64::from(self.body_mib) << 20).min(NATIVE_JSON_BYTES)
    }

    /// The largest streamed body, in bytes.
    pub fn streamed(&self) -> u64 {
        self.streamed_mib << 20
    }
}

/// `[log]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Whether everybody may read the signing log. Default: only who has `log:read`.
    pub public: bool,
}

/// `[metrics]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// Whether everybody may read the metrics. Default: only who has `metrics:read`.
    pub public: bool,
}

/// `[tls]`: both files in PEM, relative to the data directory; read again when they change, and on SIGHUP.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate chain, the server's own first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// `[pkcs11]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pkcs11 {
    /// Paths and sockets that the key host may use for its modules.
    pub allow: Vec<PathBuf>,
}

/// `[native]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Native {
    /// Whether the surface answers over the network; the control socket always does.
    pub enabled: bool,
}

impl Default for Native {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// `[appliance]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Appliance {
    /// Whether the surface answers.
    pub enabled: bool,
    /// Who says whether an API key is good. Default `tokens`.
    pub authenticator: ApplianceAuthenticator,
    /// The fleet that a balenaCloud key must have access to.
    pub fleet_id: Option<u64>,
    /// The balenaCloud API. Default `https://api.balena-cloud.com`.
    pub api: Option<String>,
}

impl Default for Appliance {
    fn default() -> Self {
        Self { enabled: true, authenticator: ApplianceAuthenticator::Tokens, fleet_id: None, api: None }
    }
}

/// Who says whether an API key of the appliance surface is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApplianceAuthenticator {
    /// Our own tokens.
    Tokens,
    /// balenaCloud: access to a fleet.
    BalenaCloud,
}

/// `[tags]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tags {
    /// Whether the surface answers.
    pub enabled: bool,
    /// Whether the surface's short forms answer at the root of the server.
    pub root_forms: bool,
    /// Whether a tag signed by its own authority may be written without credentials.
    pub self_signed_writes: bool,
    /// How often a token may write tags in a minute, and without credentials an address or an IPv6 network.
    /// Default 600.
    pub writes_per_minute: u32,
}

impl Default for Tags {
    fn default() -> Self {
        Self { enabled: true, root_forms: false, self_signed_writes: false, writes_per_minute: 600 }
    }
}

/// `[attestations]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Attestations {
    /// Whether the surface answers.
    pub enabled: bool,
    /// Who may write. Default `registered`.
    pub writers: AttestationWriters,
}

impl Default for Attestations {
    fn default() -> Self {
        Self { enabled: true, writers: AttestationWriters::Registered }
    }
}

/// Who may write attestations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttestationWriters {
    /// Keys that were registered.
    Registered,
    /// Every key.
    Open,
    /// Who shows a token.
    Token,
}

/// `[console]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Console {
    /// Whether the console answers.
    pub enabled: bool,
}

impl Default for Console {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file is there but cannot be read.
    #[error("`{path}` cannot be read: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Not TOML, an unknown key, or a value of the wrong type. The text has the place and the line.
    #[error("{0}")]
    Syntax(String),
    /// A value that cannot be.
    #[error("`{key}`: {why}")]
    Value {
        /// The key, with its section.
        key: &'static str,
        /// What is wrong with its value.
        why: String,
    },
}

impl ConfigError {
    /// One sentence that says what to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "check that the file is there and that this user may read it",
            Self::Syntax(_) => "docs/configuration.md lists every key; all can be left out",
            Self::Value { .. } => "leave the key out for its default, or correct its value",
        }
    }
}

impl Config {
    /// Reads `file`, or `DATA/countersign.toml` if that is there, or takes the defaults.
    ///
    /// # Errors
    /// [`ConfigError`] if a named file is missing, and for anything wrong in it.
    pub fn load(data: &Path, file: Option<&Path>) -> Result<Self, ConfigError> {
        let path = file.map_or_else(|| data.join("countersign.toml"), Path::to_path_buf);
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && file.is_none() => {
                Ok(Self::default())
            }
            Err(error) => Err(ConfigError::Unreadable { path, error }),
        }
    }

    /// Reads and checks the text of a configuration.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self =
            toml::from_str(text).map_err(|e| ConfigError::Syntax(e.to_string().trim_end().into()))?;
        config.check()?;
        Ok(config)
    }

    /// The appliance surface, as it is configured or by default.
    pub fn appliance(&self) -> Appliance {
        self.appliance.clone().unwrap_or_default()
    }

    /// The collections surface, as it is configured or by default.
    pub fn collections(&self) -> Collections {
        self.collections.clone().unwrap_or_default()
    }

    /// How clients reach the server: as configured, or the scheme and the listen address.
    pub fn reached_at(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        self.public_url.clone().unwrap_or_else(|| format!("{scheme}://{}", self.listen))
    }

    /// The Autograph surface, as it is configured or by default.
    pub fn autograph(&self) -> Autograph {
        self.autograph.clone().unwrap_or_default()
    }

    /// The tags surface, as it is configured or by default.
    pub fn tags(&self) -> Tags {
        self.tags.clone().unwrap_or_default()
    }

    /// The TUF surface, as it is configured or by default.
    pub fn tuf(&self) -> Tuf {
        self.tuf.clone().unwrap_or_default()
    }

    /// What an operator should know: a line each.
    pub fn warnings(&self) -> Vec<String> {
        let sections = [
            ("pkcs11", self.pkcs11.is_some()),
            ("attestations", self.attestations.is_some()),
            ("console", self.console.is_some()),
        ];
        let present = sections.into_iter().filter(|(_, present)| *present);
        let mut warnings: Vec<String> = present
            .map(|(name, _)| format!("`[{name}]` has no effect: this version does not have that surface"))
            .collect();
        if let Some(Tls { certificate, key }) = &self.tls
            && [certificate, key].into_iter().any(|path| path.parent() == Some(Path::new("")))
        {
            // The confined server reaches what is there when it starts, and all that is in directories.
            warnings.push(
                "`[tls]` names a file directly in the data directory: it is read at the start only, because \
                 the confined server cannot open a new one there; put both in a directory of their own"
                    .into(),
            );
        }
        if self.tls.is_none() && !self.listen.ip().is_loopback() {
            warnings.push(format!(
                "plain HTTP on `{}`: tokens pass unencrypted; set `[tls]` or put a proxy before it",
                self.listen
            ));
        }
        warnings
    }

    fn check(&self) -> Result<(), ConfigError> {
        let bad = |key, why: &str| Err(ConfigError::Value { key, why: why.into() });
        if !(1..=1 << 20).contains(&self.limits.body_mib) {
            return bad("limits.body_mib", "1 to 1 048 576");
        }
        if !(1..=16 << 20).contains(&self.limits.streamed_mib) {
            return bad("limits.streamed_mib", "1 to 16 777 216");
        }
        if !(4..=1_000_000).contains(&self.limits.connections) {
            return bad("limits.connections", "4 to 1 000 000");
        }
        let database = self.storage.database.as_str();
        if database != "sqlite"
            && !database.starts_with("postgres://")
            && !database.starts_with("postgresql://")
        {
            return bad("storage.database", "`sqlite` or `postgres://USER@HOST/DATABASE`");
        }
        let files = self.storage.files.as_str();
        if files != "directory" && !files.starts_with("s3://") {
            return bad("storage.files", "`directory` or `s3://BUCKET/PREFIX`");
        }
        if self.storage.require_mount.as_ref().is_some_and(|path| !path.is_absolute()) {
            return bad("storage.require_mount", "an absolute path");
        }
        if let Some(url) = &self.public_url {
            let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
            let plain = rest.is_some_and(|host| {
                !host.is_empty()
                    && host.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#' | b'@'))
            });
            if !plain || url.ends_with('/') {
                return bad("public_url", "`https://HOST` or `http://HOST:PORT`, without `/` at the end");
            }
        }
        if (self.seal.source == SealSource::PassphraseFile) != self.seal.passphrase_file.is_some() {
            return bad(
                "seal.passphrase_file",
                "is given with `source = \"passphrase-file\"`, and only then",
            );
        }
        if self.seal.credential.is_some() && self.seal.source != SealSource::Credential {
            return bad("seal.credential", "is given with `source = \"credential\"` only");
        }
        self.check_surfaces()
    }

    fn check_surfaces(&self) -> Result<(), ConfigError> {
        let bad = |key, why: &str| Err(ConfigError::Value { key, why: why.into() });
        if self.tags.as_ref().is_some_and(|tags| !(1..=1_000_000).contains(&tags.writes_per_minute)) {
            return bad("tags.writes_per_minute", "1 to 1 000 000");
        }
        if let Some(appliance) = &self.appliance
            && (appliance.authenticator == ApplianceAuthenticator::BalenaCloud)
                != appliance.fleet_id.is_some()
        {
            return bad(
                "appliance.fleet_id",
                "is given with `authenticator = \"balena-cloud\"`, and only then",
            );
        }
        self.autograph.as_ref().map_or(Ok(()), Autograph::check)?;
        self.tuf.as_ref().map_or(Ok(()), Tuf::check)?;
        self.collections.as_ref().map_or(Ok(()), Collections::check)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = r#"
        listen = "127.0.0.1:8080"
        public_url = "https://sign.example.org"
        node = "a"
        [storage]
        database = "sqlite"
        files = "directory"
        [seal]
        source = "file"
        [limits]
        body_mib = 512
        verify_raw = false
        [log]
        public = false
        [metrics]
        public = false
        [tls]
        certificate = "tls/cert.pem"
        key = "tls/key.pem"
        [appliance]
        authenticator = "tokens"
        [collections]
        accounts = true
        batch_max_requests = 25
        [[collections.resource]]
        source = "/buckets/staging"
        preview = "/buckets/preview"
        destination = "/buckets/prod"
        review = true
        keys = ["main"]
        profile = "content-signature"
        [tuf]
        sign_proof = "optional"
        [tags]
        root_forms = false
        self_signed_writes = false
        [attestations]
        writers = "registered"
    "#;

    #[test]
    fn the_documented_example_is_a_configuration_with_one_warning_for_each_surface_not_built() {
        let config = Config::parse(EXAMPLE).unwrap();
        assert_eq!(config.node.as_ref().map(Name::as_str), Some("a"));
        let warnings = config.warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("[attestations]"));
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        let config = Config::parse("").unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(config.limits.native_json(), 64 << 20);
        assert_eq!(config.limits.streamed(), 64 << 30);
        assert!(config.warnings().is_empty());
    }

    #[test]
    fn a_body_limit_below_that_of_native_json_lowers_it() {
        let config = Config::parse("[limits]\nbody_mib = 2").unwrap();
        assert_eq!(config.limits.native_json(), 2 << 20);
    }

    #[test]
    fn unknown_keys_and_impossible_values_are_refused_by_name() {
        for (text, named) in [
            ("lisen = \"127.0.0.1:1\"", "lisen"),
            ("[limits]\nbody = 1", "body"),
            ("[limits]\nbody_mib = 0", "limits.body_mib"),
            ("[storage]\ndatabase = \"mysql://x\"", "storage.database"),
            ("[storage]\nfiles = \"/tmp\"", "storage.files"),
            ("[storage]\nrequire_mount = \"secrets\"", "storage.require_mount"),
            ("[seal]\nsource = \"tpm\"", "tpm"),
            ("[seal]\nsource = \"passphrase-file\"", "seal.passphrase_file"),
            ("[tls]\ncertificate = \"c.pem\"", "key"),
            ("public_url = \"sign.example.org\"", "public_url"),
            ("public_url = \"https://user@h\"", "public_url"),
            ("node = \"A B\"", "A B"),
            ("[appliance]\nauthenticator = \"balena-cloud\"", "appliance.fleet_id"),
            (
                "[[collections.resource]]\nsource = \"x\"\ndestination = \"/buckets/b\"",
                "collections.resource",
            ),
            ("[tags]\nwrites_per_minute = 0", "tags.writes_per_minute"),
            ("[tuf]\ngroup_for_ms = 60001", "tuf.group_for_ms"),
            ("[tuf]\ngroup_of = 0", "tuf.group_of"),
            ("[tuf]\ntarget_mib = 0", "tuf.target_mib"),
            ("listen = \"here\"", "listen"),
        ] {
            let error = Config::parse(text).unwrap_err();
            assert!(error.to_string().contains(named), "{text}: {error}");
            assert!(!error.hint().is_empty());
        }
    }

    #[test]
    fn a_certificate_that_could_not_be_read_again_is_warned_of() {
        let warnings = |text: &str| Config::parse(text).unwrap().warnings().len();
        assert_eq!(warnings("[tls]\ncertificate = \"cert.pem\"\nkey = \"tls/key.pem\""), 1);
        assert_eq!(warnings("[tls]\ncertificate = \"tls/cert.pem\"\nkey = \"/etc/tls/key.pem\""), 0);
    }

    #[test]
    fn plain_http_beyond_loopback_is_warned_of() {
        let config = Config::parse("listen = \"0.0.0.0:80\"").unwrap();
        assert!(config.warnings()[0].contains("unencrypted"));
    }
}
