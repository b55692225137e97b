//! `tag`: the commands that speak to a server's tag store. `sign` and `payload` have a grammar of their own.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use countersign_model::digest::Digest;
use countersign_records::tag::AuthorityName;

/// Commands of `tag`.
#[derive(Debug, Subcommand)]
pub enum TagCommand {
    /// Sign a tag text file with local keys (as the program `stags`).
    #[command(disable_help_flag = true)]
    Sign(Words),
    /// Print the text of a tag file if all named authorities signed it (as the program `stags`).
    #[command(disable_help_flag = true)]
    Payload(Words),
    /// Have the server sign a text or the digest of an artifact, and keep it under a name.
    Push(Push),
    /// Fetch a tag. With --authority it is checked here, and only its text is printed.
    Get(Get),
    /// Check that authorities vouch for an artifact: hashes it, asks the server, verifies here.
    Check(Check),
    /// List the tags of a server.
    List(ListTags),
    /// Take a tag out of sight. Nothing is lost: `restore` brings it back, and the log shows both.
    Hide {
        /// The tag's name.
        name: String,
    },
    /// Bring a hidden tag back.
    Restore {
        /// The tag's name.
        name: String,
    },
    /// Show a signature that waits for more voices.
    Request {
        /// The request's id, as `tag push` shows it.
        id: String,
    },
    /// Give your voice to a signature that waits for more.
    Approve(Voice),
    /// Refuse a signature that waits for more voices.
    Refuse(Voice),
}

/// Words that are passed on as they are.
#[derive(Debug, Args)]
pub struct Words {
    /// `PRIVDIR FILE AUTHORITY…` of `sign`, `PUBDIR FILE AUTHORITY…` of `payload`; `--help` says more.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub rest: Vec<OsString>,
}

/// Options of `tag push`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    countersign tag push app-1.0 notes.txt --authority builder\n  \
    countersign tag push app-1.0.jar --artifact app-1.0.jar --authority builder --param JOB=nightly\n  \
    countersign tag push repo/app/1.0 --digest sha256:… --subject repo/app --authority builder\n  \
    countersign tag push app-1.0.jar --existing --artifact app-1.0.jar --authority qa\n  \
    countersign tag push app-1.0 signed.tag              adds signatures made with local keys")]
pub struct Push {
    /// The tag's name, e.g. app-1.0.jar or repo/app/1.0.
    pub name: String,
    /// The text to sign, or a file that was signed elsewhere; `-` reads standard input.
    #[arg(conflicts_with_all = ["artifact", "digest"])]
    pub file: Option<PathBuf>,
    /// Sign the digest of this file, which stays here.
    #[arg(long, value_name = "FILE", conflicts_with = "digest")]
    pub artifact: Option<PathBuf>,
    /// Sign this digest, e.g. of a container image: sha256: and 64 hex digits.
    #[arg(long, value_name = "DIGEST", value_parser = sha256)]
    pub digest: Option<Digest>,
    /// What the artifact is called [default: the name of the --artifact file].
    #[arg(long, value_name = "TEXT")]
    pub subject: Option<String>,
    /// The artifact's media type.
    #[arg(long, value_name = "TYPE")]
    pub media_type: Option<String>,
    /// Who built the artifact.
    #[arg(long, value_name = "TEXT")]
    pub built_by: Option<String>,
    /// A parameter to sign with the digest; may be given several times.
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
    pub params: Vec<(String, String)>,
    /// Who signs; may be given several times [default: the only one that the token may sign for].
    #[arg(long = "authority", value_name = "NAME")]
    pub authorities: Vec<AuthorityName>,
    /// Sign what the store has, if it is what is named here: the text, the artifact's digest or --sha256.
    #[arg(long, conflicts_with = "new_version")]
    pub existing: bool,
    /// With --existing: the SHA-256 of the text that is to be signed.
    #[arg(long, value_name = "HEX", requires = "existing", value_parser = hex_sha256)]
    pub sha256: Option<String>,
    /// Make a new version where another text is there that others have signed.
    #[arg(long)]
    pub new_version: bool,
}

/// Options of `tag get`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    countersign tag get app-1.0 -o app.tag                 the signed file, as it is: check it later\n  \
    countersign tag get app-1.0 --authority builder        its text, if builder signed it\n  \
    countersign tag get app-1.0 --versions")]
pub struct Get {
    /// The tag's name.
    pub name: String,
    /// Print the text only if this authority signed it; may be given several times.
    #[arg(long = "authority", value_name = "NAME")]
    pub authorities: Vec<AuthorityName>,
    /// An older version.
    #[arg(long, value_name = "N")]
    pub version: Option<u64>,
    /// List the versions instead.
    #[arg(long, conflicts_with_all = ["version", "authorities", "output"])]
    pub versions: bool,
    /// Write to this file instead of standard output.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub log: SeenLog,
}

/// Options of `tag check`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 0: every named authority vouches for the artifact. 1: not so, or the server shows another\n\
    history than before. The last checkpoint of its log is kept in the state file.\n\n\
    Examples:\n  \
    countersign tag check app-1.0.jar --authority builder --server https://sign.example.org\n  \
    countersign tag check --digest sha256:… --authority builder --authority qa"
)]
pub struct Check {
    /// The artifact; `-` reads standard input.
    #[arg(required_unless_present = "digest", conflicts_with = "digest")]
    pub file: Option<PathBuf>,
    /// The artifact's digest instead, e.g. of a container image: sha256: and 64 hex digits.
    #[arg(long, value_name = "DIGEST", value_parser = sha256)]
    pub digest: Option<Digest>,
    /// Who must have signed; may be given several times.
    #[arg(long = "authority", value_name = "NAME", required = true)]
    pub authorities: Vec<AuthorityName>,
    /// Only a tag of this name counts.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Only a tag with this subject counts.
    #[arg(long, value_name = "TEXT")]
    pub subject: Option<String>,
    #[command(flatten)]
    pub log: SeenLog,
}

/// What is remembered of the server's publication log.
#[derive(Debug, Clone, Args)]
pub struct SeenLog {
    /// Where the last checkpoint is kept between runs
    /// [default: $XDG_STATE_HOME/countersign/seen.json, else ~/.local/state/countersign/seen.json].
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// The verifier key of the server's publication log [default: the one that was seen first].
    #[arg(long, value_name = "VKEY")]
    pub log_key: Option<String>,
}

/// Options of `tag list`.
#[derive(Debug, Args)]
pub struct ListTags {
    /// Only names that begin with this.
    #[arg(long, value_name = "TEXT", conflicts_with = "digest")]
    pub prefix: Option<String>,
    /// Only tags about the artifact with this digest.
    #[arg(long, value_name = "DIGEST", value_parser = sha256, requires = "authorities")]
    pub digest: Option<Digest>,
    /// With --digest: only tags that this authority signed, as the server says; several are possible.
    #[arg(long = "authority", value_name = "NAME", requires = "digest")]
    pub authorities: Vec<AuthorityName>,
}

/// Options of `tag approve` and `tag refuse`.
#[derive(Debug, Args)]
#[command(after_help = "The text is named by its SHA-256, so that nobody signs what they have not seen.\n\n\
    Examples:\n  \
    countersign tag approve 6f3c… --payload app.txt\n  \
    countersign tag refuse 6f3c… --sha256 9f86…")]
pub struct Voice {
    /// The request's id.
    pub id: String,
    /// The file with the text.
    #[arg(long, value_name = "FILE", required_unless_present = "sha256", conflicts_with = "sha256")]
    pub payload: Option<PathBuf>,
    /// The SHA-256 of the text.
    #[arg(long, value_name = "HEX", value_parser = hex_sha256)]
    pub sha256: Option<String>,
}

/// `sha256:` and 64 hex digits, as registries write it.
fn sha256(text: &str) -> Result<Digest, String> {
    let bad = || "sha256: and 64 lower-case hex digits".to_owned();
    let hex = text.strip_prefix("sha256:").ok_or_else(bad)?;
    hex_sha256(hex).map_err(|_| bad())?;
    text.parse().map_err(|_| bad())
}

fn hex_sha256(text: &str) -> Result<String, String> {
    let hex = text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if hex { Ok(text.to_owned()) } else { Err("64 lower-case hex digits".to_owned()) }
}

fn parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE")?;
    let ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    if name.is_empty() || !name.bytes().all(ok) {
        return Err("NAME=VALUE with a name of `A-Z a-z 0-9 _ . -`".to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
}
