//! `authority`: who vouches for tags, and with which keys.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use countersign_model::PrincipalName;
use countersign_records::tag::AuthorityName;
use jiff::Timestamp;

/// Commands of `authority`.
#[derive(Debug, Subcommand)]
pub enum AuthorityCommand {
    /// Make an authority with a key inside the server, which never leaves.
    #[command(after_help = "Examples:\n  \
        countersign authority create builder\n  \
        countersign authority create release --type rsa-3072 --threshold 2 --principal ana --principal bo --principal cy")]
    Create(CreateAuthority),
    /// Give an authority a new key. Tags of the old one stay valid.
    Rotate(RotateKey),
    /// Let signatures of an outside key count as the authority's.
    #[command(after_help = "Example:\n  countersign authority register jenkins jenkins.pub")]
    Register {
        /// The authority; it is made if it is not there.
        name: AuthorityName,
        /// The public key or certificate (PEM); `-` reads standard input.
        file: PathBuf,
        /// The key signs an artifact's own bytes, and no tags.
        #[arg(long)]
        detached: bool,
    },
    /// Refuse the signatures of a key: all of them, or those from a time on. Not to be undone.
    #[command(
        after_help = "With --from (and --until) the signatures that the server's log shows outside that window stay good;\n\
        those that no log shows are refused.\n\n\
        Example:\n  countersign authority revoke builder --key sha256:… --reason 'host broken into' --from 2026-03-01T00:00:00Z"
    )]
    Revoke(RevokeKey),
    /// List the authorities.
    List,
    /// Show an authority and its keys.
    Show {
        /// The authority.
        name: AuthorityName,
        /// Print only its current public key, as PEM.
        #[arg(long)]
        pem: bool,
    },
    /// Write NAME.pub files of the current keys, for `tag payload`, stags and openssl.
    Export {
        /// The directory; it is made if it is not there.
        dir: PathBuf,
    },
    /// Fetch the signed bundle of all authorities' keys, for checking tags offline.
    Bundle(Bundle),
}

/// Options of `authority create`.
#[derive(Debug, Args)]
pub struct CreateAuthority {
    /// Its name: 1 to 64 of `A-Z a-z 0-9 . _ @ + -`.
    pub name: AuthorityName,
    /// What kind of key.
    #[arg(long = "type", value_enum, value_name = "TYPE", default_value_t)]
    pub algorithm: AlgorithmArg,
    /// How many principals must agree to each signature.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub threshold: u32,
    /// Whose voices count; may be given several times [default: whoever may sign for it].
    #[arg(long = "principal", value_name = "NAME")]
    pub principals: Vec<PrincipalName>,
    /// Make a second key, for signatures of an artifact's own bytes.
    #[arg(long)]
    pub detached: bool,
}

/// Kinds of keys that tags can be signed with, in the words of the tags API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "kebab-case")]
pub enum AlgorithmArg {
    /// RSA, 2048 bits.
    #[value(name = "rsa-2048")]
    Rsa2048,
    /// RSA, 3072 bits.
    #[value(name = "rsa-3072")]
    Rsa3072,
    /// RSA, 4096 bits.
    #[value(name = "rsa-4096")]
    Rsa4096,
    /// ECDSA on P-256.
    #[default]
    #[value(name = "ec-p256", alias = "p256")]
    EcP256,
    /// ECDSA on P-384.
    #[value(name = "ec-p384", alias = "p384")]
    EcP384,
    /// ECDSA on P-521.
    #[value(name = "ec-p521", alias = "p521")]
    EcP521,
}

impl AlgorithmArg {
    /// As the tags API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
            Self::EcP256 => "ec-p256",
            Self::EcP384 => "ec-p384",
            Self::EcP521 => "ec-p521",
        }
    }
}

/// Options of `authority rotate`.
#[derive(Debug, Args)]
pub struct RotateKey {
    /// The authority.
    pub name: AuthorityName,
    /// What kind of key [default: that of the old one].
    #[arg(long = "type", value_enum, value_name = "TYPE")]
    pub algorithm: Option<AlgorithmArg>,
    /// The old key's signatures count until then, e.g. 2027-01-01T00:00:00Z [default: always].
    #[arg(long, value_name = "TIME")]
    pub not_after: Option<Timestamp>,
    /// A new key for signatures of an artifact's own bytes instead.
    #[arg(long)]
    pub detached: bool,
}

/// Options of `authority revoke`.
#[derive(Debug, Args)]
pub struct RevokeKey {
    /// The authority.
    pub name: AuthorityName,
    /// The key's id, as `authority show` has it.
    #[arg(long, value_name = "ID")]
    pub key: String,
    /// Why, for those who ask later.
    #[arg(long)]
    pub reason: String,
    /// Signatures before this time stay good, where the log shows when they were made.
    #[arg(long, value_name = "TIME")]
    pub from: Option<Timestamp>,
    /// Signatures after this time are good again, where the log shows when they were made.
    #[arg(long, value_name = "TIME", requires = "from")]
    pub until: Option<Timestamp>,
}

/// Options of `authority bundle`.
#[derive(Debug, Args)]
#[command(after_help = "What `tag payload --offline` needs:\n  \
    countersign authority bundle -o keys.bundle\n  \
    countersign authority bundle --print-root > root.pub\n\n\
    With a root key that is kept offline:\n  \
    countersign authority bundle --draft -o draft.json\n  \
    countersign authority bundle --input draft.json --sign-with root.key -o keys.bundle     asks no server\n  \
    countersign authority bundle --publish keys.bundle --root root.pub")]
pub struct Bundle {
    /// Write the bundle to this file instead of standard output.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub what: BundleAction,
    /// With --sign-with: sign what is in this file, a draft or a bundle, instead of a new draft.
    #[arg(long, value_name = "FILE", requires = "sign_with")]
    pub input: Option<PathBuf>,
    /// With --publish: the public key (PEM) that signed it; once given, the server remembers it.
    #[arg(long, value_name = "FILE", requires = "publish")]
    pub root: Option<PathBuf>,
}

/// What else to do than to fetch the bundle.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct BundleAction {
    /// Print the public key (PEM) that the bundle is signed with.
    #[arg(long)]
    pub print_root: bool,
    /// Fetch what a new bundle would say, to be signed elsewhere.
    #[arg(long)]
    pub draft: bool,
    /// Sign a bundle with this private key (PEM).
    #[arg(long, value_name = "FILE")]
    pub sign_with: Option<PathBuf>,
    /// Have the server give out this bundle, which was signed elsewhere.
    #[arg(long, value_name = "FILE")]
    pub publish: Option<PathBuf>,
    /// Have the server sign bundles with its own key again.
    #[arg(long)]
    pub server_signs: bool,
}
