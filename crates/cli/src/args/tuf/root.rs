//! Options of `tuf sign`, `tuf stop` and `tuf root`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{KeyFile, SigningKeys};

/// Options of `tuf sign`.
#[derive(Debug, Args)]
#[command(after_help = "What changes is shown in words, against the root that is in force.\n\n\
    Far from any network:\n  \
    countersign tuf sign --save pending.json                                  on the server\n  \
    countersign tuf sign --from pending.json --key ana.pem --out signature.json   far away\n  \
    countersign tuf sign --submit signature.json                              on the server\n\n\
    Examples:\n  \
    countersign tuf sign --key bo.pem\n  \
    countersign tuf sign --agent-key bo@laptop --root root.json --role root --yes")]
pub struct SignMetadata {
    /// What is signed, if several roles wait.
    #[arg(long, value_name = "ROLE")]
    pub role: Option<String>,
    #[command(flatten)]
    pub signing: SigningKeys,
    /// A root of the repository that you trust: what the server says is in force must follow from it.
    #[arg(long, value_name = "FILE")]
    pub root: Option<PathBuf>,
    /// Do not ask whether it is right.
    #[arg(short, long)]
    pub yes: bool,
    /// Write what is pending here, and sign nothing.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from", "submit", "out"])]
    pub save: Option<PathBuf>,
    /// Sign what --save wrote; with --out.
    #[arg(long, value_name = "FILE", requires = "out")]
    pub from: Option<PathBuf>,
    /// Write the signature here instead of sending it.
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Send what --out wrote.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from", "out", "keys", "agent_key", "signer"])]
    pub submit: Option<PathBuf>,
}

/// Options of `tuf stop`.
#[derive(Debug, Args)]
pub struct StopSigning {
    /// What is dropped.
    #[arg(value_name = "ROLE", default_value = "root")]
    pub role: String,
    /// The keys: where the server asks for a proof, a root key gives it.
    #[command(flatten)]
    pub signing: SigningKeys,
    /// Do not ask whether it is right.
    #[arg(short, long)]
    pub yes: bool,
}

/// Commands of `tuf root`.
#[derive(Debug, Subcommand)]
pub enum RootCommand {
    /// Print the root in force, in words; with --json, the file.
    Show {
        /// An older one.
        #[arg(long, value_name = "N")]
        version: Option<u64>,
    },
    /// Make the next root: keys, threshold, lifetime, online keys. It waits until enough have signed.
    Edit(EditRoot),
    /// Make a new online key and the next root with it in place of the old one.
    Rotate(RotateOnline),
}

/// Options of `tuf root edit`.
#[derive(Debug, Args)]
#[command(after_help = "Everything that is not named stays as it is.\n\n\
    Examples:\n  \
    countersign tuf root edit --add-key cy=cy.pub --remove-key bo --threshold 2 --key ana.pem\n  \
    countersign tuf root edit --days 365 --key ana.pem --out root.json\n  \
    countersign tuf root edit --submit root.json\n  \
    countersign tuf root edit --override --threshold 1 --key ana.pem      in place of the one that waits")]
pub struct EditRoot {
    /// Let this key sign the root as well, NAME=FILE; may be given several times.
    #[arg(long = "add-key", value_name = "NAME=FILE")]
    pub add_keys: Vec<KeyFile>,
    /// Let this key sign the root no more: its name or key id; may be given several times.
    #[arg(long = "remove-key", value_name = "NAME|KEYID")]
    pub remove_keys: Vec<String>,
    /// How many must sign.
    #[arg(long, value_name = "N")]
    pub threshold: Option<u64>,
    /// In how many days it expires [default: what the server's settings say].
    #[arg(long, value_name = "DAYS")]
    pub days: Option<u32>,
    /// The server's key for a role, ROLE=NAME, or NAME for timestamp, snapshot and targets.
    #[arg(long = "online", value_name = "[ROLE=]NAME")]
    pub online: Vec<String>,
    #[command(flatten)]
    pub how: SubmitRoot,
}

/// Options of `tuf root rotate`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  countersign tuf root rotate online-2027 --key ana.pem")]
pub struct RotateOnline {
    /// The new key's name; made if there is none.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Its scheme, where it is made.
    #[arg(long, default_value = "ed25519", value_parser = ["ed25519", "ecdsa-sha2-nistp256", "rsassa-pss-sha256"])]
    pub scheme: String,
    #[command(flatten)]
    pub how: SubmitRoot,
}

/// How a new root is sent.
#[derive(Clone, Debug, Args)]
pub struct SubmitRoot {
    #[command(flatten)]
    pub signing: SigningKeys,
    /// A root of the repository that you trust: what the server says is in force must follow from it.
    #[arg(long, value_name = "FILE")]
    pub root: Option<PathBuf>,
    /// Put the result in the place of the root that waits for signatures.
    #[arg(long = "override")]
    pub override_pending: bool,
    /// With --override: begin with the root that waits, not with the one in force. All that it changes is shown, and
    /// signed.
    #[arg(long, requires = "override_pending")]
    pub amend: bool,
    /// Do not ask whether it is right.
    #[arg(short, long)]
    pub yes: bool,
    /// Write the root here instead of sending it.
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Send what --out wrote.
    #[arg(long, value_name = "FILE", conflicts_with = "out")]
    pub submit: Option<PathBuf>,
}
