//! `tuf`: a repository of The Update Framework, for those who run it and those who download from it.

mod ceremony;
mod delegation;
mod reader;
mod root;

pub use ceremony::{Ceremony, InitCeremony, KeyFile};
pub use delegation::{DelegationCommand, PutDelegation, UpdateDelegation};
pub use reader::{DownloadTarget, ExportRepository, ReadOptions, VerifyRepository};
pub use root::{EditRoot, RootCommand, RotateOnline, SignMetadata, StopSigning, SubmitRoot};

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Commands of `tuf`.
#[derive(Debug, Subcommand)]
pub enum TufCommand {
    /// Write a ceremony file: who signs the root, how long roles live, to whom targets are delegated.
    Init(InitCeremony),
    /// Make the first root and sign it: guided by questions, or from a ceremony file.
    Ceremony(Ceremony),
    /// Show what waits for signatures and sign it.
    Sign(SignMetadata),
    /// Show how far the repository is, who waits for whom, and when roles expire.
    Status,
    /// Add files to the repository: upload them, or only register their lengths and hashes.
    Publish(PublishTargets),
    /// Take targets out of the repository.
    Remove(RemoveTargets),
    /// Check a whole repository: every role, who signed it, and when it expires. Nothing but the root is believed.
    Verify(VerifyRepository),
    /// Download a file from any TUF repository, as its specification says. Nothing but the root is believed.
    Download(DownloadTarget),
    /// Write the metadata of the server, and maybe its targets, to a directory, verified.
    Export(ExportRepository),
    /// Remove metadata and target files that no client needs any more.
    Gc(CollectGarbage),
    /// Take over a repository that was made elsewhere: its metadata, and its online keys.
    Adopt(AdoptRepository),
    /// Delegated roles: which paths are whose.
    #[command(subcommand)]
    Delegation(DelegationCommand),
    /// The server's own keys, for timestamp, snapshot, targets and bins.
    #[command(subcommand)]
    Keys(OnlineKeysCommand),
    /// Show and change the root.
    #[command(subcommand)]
    Root(RootCommand),
    /// Drop what waits for signatures.
    Stop(StopSigning),
    /// Sign online roles anew, before their time.
    #[command(after_help = "Example:\n  countersign tuf online timestamp snapshot")]
    Online {
        /// `timestamp`, `snapshot`, `targets`, `bins`, or a delegated role that the server signs [default: all].
        #[arg(value_name = "ROLE")]
        roles: Vec<String>,
    },
}

/// The keys that sign.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Keys")]
pub struct SigningKeys {
    /// Sign with the private key in this PEM file, encrypted or not; may be given several times.
    #[arg(long = "key", value_name = "PEM")]
    pub keys: Vec<PathBuf>,
    /// Read the passphrase of encrypted keys from the first line of this file instead of asking for it.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Sign with a key of the SSH agent (SSH_AUTH_SOCK): its comment or fingerprint. gpg-agent is one for the keys of
    /// OpenPGP cards.
    #[arg(long, value_name = "COMMENT|SHA256:…")]
    pub agent_key: Vec<String>,
    /// Sign by this command, e.g. for a PKCS#11 token: it gets the bytes on standard input and prints the signature,
    /// raw, in hex or in base64. For the key of --signer-key.
    #[arg(long, value_name = "COMMAND", requires = "signer_key")]
    pub signer: Option<String>,
    /// The public key (PEM) of --signer.
    #[arg(long, value_name = "PEM", requires = "signer")]
    pub signer_key: Option<PathBuf>,
}

impl SigningKeys {
    /// Whether none is named.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.agent_key.is_empty() && self.signer.is_none()
    }
}

/// Options of `tuf publish`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    countersign tuf publish app-1.0.tar.gz --path-prefix app\n  \
    countersign tuf publish --dir dist --no-upload          the files are served elsewhere\n  \
    countersign tuf publish a b --no-upload --stage && countersign tuf publish --staged")]
pub struct PublishTargets {
    /// The files. Each is published under its name.
    #[arg(value_name = "FILE", required_unless_present_any = ["dir", "staged"])]
    pub files: Vec<PathBuf>,
    /// All files below this directory, under their paths in it.
    #[arg(long, value_name = "DIR", conflicts_with = "files")]
    pub dir: Option<PathBuf>,
    /// What the paths begin with in the repository, e.g. `app/1.0`.
    #[arg(long, value_name = "PATH")]
    pub path_prefix: Option<String>,
    /// Only register lengths and hashes: the files are served from elsewhere.
    #[arg(long)]
    pub no_upload: bool,
    /// Keep them back until the next publication, or --staged. What is uploaded is published at once.
    #[arg(long, requires = "no_upload")]
    pub stage: bool,
    /// Publish what was kept back.
    #[arg(long, conflicts_with_all = ["files", "dir", "stage", "no_upload", "path_prefix"])]
    pub staged: bool,
    /// What the publisher says of the files: a file with a JSON object. Without uploading only.
    #[arg(long, value_name = "FILE", requires = "no_upload")]
    pub custom: Option<PathBuf>,
}

/// Options of `tuf remove`.
#[derive(Debug, Args)]
pub struct RemoveTargets {
    /// Paths in the repository.
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<String>,
    /// Keep it back until the next publication.
    #[arg(long)]
    pub stage: bool,
}

/// Options of `tuf gc`.
#[derive(Debug, Args)]
pub struct CollectGarbage {
    /// Only say what would be removed.
    #[arg(long)]
    pub dry_run: bool,
}

/// Options of `tuf adopt`.
#[derive(Debug, Args)]
#[command(
    after_help = "The server must not be running. Clients of the repository see nothing of it: they are served the\n\
    same metadata, and then new versions signed by the same keys.\n\n\
    Example:\n  \
    countersign --data /var/lib/countersign tuf adopt old/metadata --root old/metadata/1.root.json \\\n    \
    --online-key online.pem"
)]
pub struct AdoptRepository {
    /// The directory with the metadata files.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// A root that is trusted: what is in the directory is verified by it.
    #[arg(long, value_name = "FILE")]
    pub root: PathBuf,
    /// A private key (PEM) that signs timestamp, snapshot, targets or delegated roles, and its name here:
    /// NAME=FILE, or FILE for the name of the file. May be given several times.
    #[arg(long = "online-key", value_name = "[NAME=]PEM", required_unless_present = "dry_run")]
    pub online_keys: Vec<KeyFile>,
    /// What `GET /api/v1/config/` of an RSTUF server said: how long roles live.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Read the passphrase of encrypted keys from the first line of this file instead of asking for it.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Only say what would be adopted.
    #[arg(long)]
    pub dry_run: bool,
}

/// Commands of `tuf keys`.
#[derive(Debug, Subcommand)]
pub enum OnlineKeysCommand {
    /// List them; the first is the default. With --json: what `ceremony --online-keys` takes.
    List,
    /// Make one.
    #[command(after_help = "Example:\n  countersign tuf keys create online-2027 --scheme ed25519")]
    Create {
        /// Its name.
        name: String,
        /// `ed25519`, `ecdsa-sha2-nistp256` or `rsassa-pss-sha256`.
        #[arg(long, default_value = "ed25519", value_parser = ["ed25519", "ecdsa-sha2-nistp256", "rsassa-pss-sha256"])]
        scheme: String,
    },
}
