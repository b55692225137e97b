//! Options of `tuf verify`, `tuf download` and `tuf export`.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;

/// Options of `tuf verify`.
#[derive(Debug, Args)]
#[command(after_help = "Exit code 0: the repository is good. 1: it is not. 2: nobody could tell.\n\n\
    Examples:\n  \
    countersign tuf verify https://tuf.example.org/metadata --root root.json\n  \
    countersign tuf verify exported --root exported/metadata/1.root.json --targets")]
pub struct VerifyRepository {
    /// Where the metadata are: a URL, or a directory [default: the server].
    #[arg(value_name = "URL|DIR")]
    pub place: Option<String>,
    #[command(flatten)]
    pub read: ReadOptions,
    /// Only root, timestamp, snapshot and targets: no delegated roles.
    #[arg(long)]
    pub top: bool,
    /// Also that each target file is there, with its length and hashes.
    #[arg(long)]
    pub targets: bool,
}

/// Options of `tuf download`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 0: the file is what the repository has vouched for. 1: it is not, or there is none.\n\
    2: nobody could tell. With --json a refusal names the kind of attack that it may be.\n\n\
    Example:\n  \
    countersign tuf download https://tuf.example.org/metadata app/app-1.0.tar.gz --root root.json --to app.tar.gz"
)]
pub struct DownloadTarget {
    /// Where the metadata are: a URL, or a directory.
    #[arg(value_name = "URL|DIR")]
    pub place: String,
    /// The target's path in the repository.
    pub path: String,
    #[command(flatten)]
    pub read: ReadOptions,
    /// Where to write it [default: the last part of its path, here].
    #[arg(short, long = "to", value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// How a repository is read, and what is believed.
#[derive(Clone, Debug, Args)]
pub struct ReadOptions {
    /// The root that is trusted from the beginning. Not needed once --metadata-dir has one.
    #[arg(long, value_name = "FILE")]
    pub root: Option<PathBuf>,
    /// Where is kept what was verified, so that the repository cannot go back [default: for downloads, a place of
    /// the user's own].
    #[arg(long, value_name = "DIR")]
    pub metadata_dir: Option<PathBuf>,
    /// Where the target files are [default: `targets` beside the metadata].
    #[arg(long, value_name = "URL|DIR")]
    pub targets_url: Option<String>,
    /// Another place of the same metadata, which is asked where the first does not give what is good; may be given
    /// several times.
    #[arg(long = "mirror", value_name = "URL|DIR")]
    pub mirrors: Vec<String>,
    /// Target files are under their own names, although the snapshot is consistent.
    #[arg(long)]
    pub plain_names: bool,
    /// Give up a place that sends nothing for so long.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub idle_timeout: u64,
    /// Give up a place that sends fewer bytes in a second than this.
    #[arg(long, value_name = "BYTES", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub least_rate: u64,
    /// Trust only this certification authority (PEM) for the repository.
    #[arg(long, value_name = "FILE")]
    pub repository_ca: Option<PathBuf>,
    /// Whether it is good at this time (RFC 3339) [default: now].
    #[arg(long, value_name = "TIME")]
    pub now: Option<Timestamp>,
}

/// Options of `tuf export`.
#[derive(Debug, Args)]
#[command(
    after_help = "Run it again to go on where it stopped, or to add what is new. The directory can be served as it is.\n\n\
    Example:\n  \
    countersign tuf export backup --targets && countersign tuf verify backup --root backup/metadata/1.root.json"
)]
pub struct ExportRepository {
    /// The directory, which is made if it is not there. It gets `metadata/`, and with --targets `targets/`.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Also the target files that the server has.
    #[arg(long)]
    pub targets: bool,
    /// The root that is trusted [default: the first that the server has].
    #[arg(long, value_name = "FILE")]
    pub root: Option<PathBuf>,
}
