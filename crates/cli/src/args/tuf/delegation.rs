//! Options of `tuf delegation`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Commands of `tuf delegation`.
#[derive(Debug, Subcommand)]
pub enum DelegationCommand {
    /// List the delegated roles in the order in which they are asked: who signs them, and which paths are theirs.
    List,
    /// Delegate paths to a new role. It is asked after those that there are.
    Add(PutDelegation),
    /// Change a role: its paths, who signs it, how long it lives. What is not named stays.
    Update(UpdateDelegation),
    /// End delegations. Their targets go with them, unless another role takes the paths.
    #[command(
        after_help = "The last version of a role stays in every snapshot, since clients that have seen it \
    refuse one without it;\nnobody looks there any more.\n\nExample:\n  countersign tuf delegation remove docs"
    )]
    Remove {
        /// The roles.
        #[arg(value_name = "ROLE", required = true)]
        roles: Vec<String>,
    },
}

/// Options of `tuf delegation add`.
#[derive(Debug, Args)]
#[command(
    after_help = "A role with keys of people waits for their signatures, and clients that ask for one of its paths \
    fail until it has them:\nsign it at once with `tuf sign`.\n\n\
    Examples:\n  \
    countersign tuf delegation add tools --path 'tools/*'                     signed by the server\n  \
    countersign tuf delegation add docs --path 'docs/*' --role-key bo.pub --role-key cy.pub --threshold 2 --days 30\n  \
    countersign tuf delegation add --file delegations.json"
)]
pub struct PutDelegation {
    /// Its name: letters, digits, `_` and `-`.
    #[arg(value_name = "ROLE", required_unless_present = "file")]
    pub role: Option<String>,
    /// A pattern of paths that it is trusted with; `*` does not go over `/`. May be given several times.
    #[arg(long = "path", value_name = "PATTERN", required_unless_present = "file")]
    pub paths: Vec<String>,
    /// A key that signs it: PEM (public or private, of which the public half is taken), a public SSH key, or a TUF key
    /// in JSON. May be given several times; without any, the server signs it.
    #[arg(long = "role-key", value_name = "FILE")]
    pub keys: Vec<PathBuf>,
    /// How many of the keys must sign.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub threshold: u64,
    /// How many days a version lives.
    #[arg(long, default_value_t = 90)]
    pub days: u32,
    /// Ask the roles after it for its paths as well, where it has not got one.
    #[arg(long)]
    pub not_terminating: bool,
    /// Roles as the service takes them, in JSON: {"keys": {KEYID: KEY}, "roles": [{"name", "terminating", "keyids",
    /// "threshold", "paths", "x-rstuf-expire-policy"}]}.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["role", "paths", "keys", "threshold", "days", "not_terminating"])]
    pub file: Option<PathBuf>,
}

/// Options of `tuf delegation update`.
#[derive(Debug, Args)]
#[command(
    after_help = "With other keys or another threshold, a role of people waits for their signatures; its public version \
    must stay valid meanwhile: add a key, have the role signed with it, and only then remove the old one.\n\n\
    Examples:\n  \
    countersign tuf delegation update docs --add-key di.pub --days 60\n  \
    countersign tuf delegation update docs --remove-key 3e373ec6\n  \
    countersign tuf delegation update docs --by-server"
)]
pub struct UpdateDelegation {
    /// Its name.
    #[arg(value_name = "ROLE", required_unless_present = "file")]
    pub role: Option<String>,
    /// A pattern of paths; all of them take the place of those that it has.
    #[arg(long = "path", value_name = "PATTERN")]
    pub paths: Vec<String>,
    /// Let this key sign it as well, in place of the server if that signs it now. May be given several times.
    #[arg(long = "add-key", value_name = "FILE", conflicts_with = "by_server")]
    pub add_keys: Vec<PathBuf>,
    /// Let this key sign it no more: its key id, or at least the first 8 of its digits. May be given several times.
    #[arg(long = "remove-key", value_name = "KEYID", conflicts_with = "by_server")]
    pub remove_keys: Vec<String>,
    /// Have the server sign it, and nobody else.
    #[arg(long)]
    pub by_server: bool,
    /// How many of the keys must sign.
    #[arg(long, value_name = "N")]
    pub threshold: Option<u64>,
    /// How many days a version lives.
    #[arg(long)]
    pub days: Option<u32>,
    /// Whether roles after it are not asked for its paths.
    #[arg(long, value_name = "true|false")]
    pub terminating: Option<bool>,
    /// Roles as the service takes them, in JSON, whole: as for `add`.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["role", "paths", "add_keys", "remove_keys", "by_server",
        "threshold", "days", "terminating"])]
    pub file: Option<PathBuf>,
}
