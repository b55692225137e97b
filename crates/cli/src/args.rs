//! The command line as types. The doc comments are the help texts.

mod authority;
mod cert;
mod collection;
mod format;
mod secureboot;
mod tag;
mod tuf;

pub use authority::{AuthorityCommand, Bundle, CreateAuthority, RevokeKey, RotateKey};
pub use cert::{Authority, CertCommand, Issue, MakeCsr, MakeOpenPgp, SelfSign};
pub use collection::{
    CollectionCommand, CollectionPath, DiffCollection, ImportKinto, InitCollection, Place, ReviewCommand,
    Seen, Step, Target, TrustOptions, VerifyCollection,
};
pub use format::{FormatArg, FormatOptions};
pub use secureboot::{KeyArg, Rotate, SecureBootCommand};
pub use tag::{Check, Get, ListTags, Push, SeenLog, TagCommand, Voice, Words};
pub use tuf::{
    AdoptRepository, Ceremony, CollectGarbage, DelegationCommand, DownloadTarget, EditRoot, ExportRepository,
    InitCeremony, KeyFile, OnlineKeysCommand, PublishTargets, PutDelegation, ReadOptions, RemoveTargets,
    RootCommand, RotateOnline, SignMetadata, SigningKeys, StopSigning, SubmitRoot, TufCommand,
    UpdateDelegation, VerifyRepository,
};

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use countersign_model::{Encoding, KeyName, KeyType, Name, PrincipalName, RequestId, Scheme};

/// A self-hosted signing authority: keys that never leave, and a log of every signature.
///
/// Commands that act on a server speak to the one that `--server` names. Without it they work on the local
/// data directory: through the server that runs on it, or directly when none does.
///
/// Exit codes: 0 done, 1 the answer is no (invalid, refused, not found), 2 wrong usage or could not tell.
#[derive(Debug, Parser)]
#[command(
    name = "countersign",
    version,
    after_help = "Examples:\n  \
        countersign demo                                       see it work\n  \
        countersign serve --data /var/lib/countersign          run a server\n  \
        countersign key create release --type p384             make a key\n  \
        countersign sign app.tar.gz --key release              writes app.tar.gz.sig\n  \
        countersign verify app.tar.gz --signature app.tar.gz.sig --key release.pem"
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Where to work and how to show the result.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The data directory [default: /var/lib/countersign if there, else ~/.local/share/countersign].
    #[arg(long, global = true, env = "COUNTERSIGN_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Speak to the server at this address, e.g. https://sign.example.org.
    #[arg(long, global = true, env = "COUNTERSIGN_SERVER", value_name = "URL")]
    pub server: Option<String>,

    /// A file with the token for --server; without it, COUNTERSIGN_TOKEN of the environment counts.
    #[arg(long, global = true, env = "COUNTERSIGN_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// Trust only this certification authority (PEM) for --server, not those of the system.
    #[arg(long, global = true, env = "COUNTERSIGN_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,

    /// Print one JSON document, the API's own where there is one.
    #[arg(long, global = true)]
    pub json: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server.
    Serve(Serve),
    /// Show the main job end to end: start a server, make keys, sign real files, verify everything.
    Demo(Demo),
    /// Check the data directory, the server and the machine, and say what could be better.
    Doctor,
    /// Make, list, import, export, retire and revoke keys.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Make, list and disable principals: those who may ask.
    #[command(subcommand)]
    Principal(PrincipalCommand),
    /// Give out, list and revoke tokens, and Hawk pairs.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Show, change and try the policy: who may do what.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Sign files with a key of the server.
    Sign(Sign),
    /// Check the signature of a file.
    Verify(Verify),
    /// Make and show certificates: self-signed ones, requests, those of a small authority, OpenPGP ones.
    #[command(subcommand)]
    Cert(CertCommand),
    /// Replace the keys that machines start by: PK, KEK and db.
    #[command(subcommand, name = "secureboot")]
    SecureBoot(SecureBootCommand),
    /// Texts that authorities vouch for: sign and read them with local keys, or keep them on a server.
    #[command(subcommand)]
    Tag(TagCommand),
    /// Who vouches for tags, and with which keys.
    #[command(subcommand, alias = "authorities")]
    Authority(AuthorityCommand),
    /// Signed collections of records: review, publish, verify, and move from Kinto.
    #[command(subcommand, alias = "collections")]
    Collection(CollectionCommand),
    /// A TUF repository: its ceremonies, its targets, and a complete client.
    #[command(subcommand)]
    Tuf(TufCommand),
    /// Read and check the signing log, or with `--publication` the publication log.
    #[command(subcommand)]
    Log(LogCommand),
    /// Make, check and restore encrypted backups.
    #[command(subcommand)]
    Backup(BackupCommand),
    /// The key that seals all other keys.
    #[command(subcommand)]
    Seal(SealCommand),
    /// Print a script that completes commands in your shell.
    #[command(after_help = "Example:\n  countersign completions bash > /etc/bash_completion.d/countersign")]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write the pages of all commands into a directory.
    Man {
        /// Write countersign.1, countersign-key.1, … here.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

/// Options of `serve`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Defaults work without any configuration. The first start writes the token of the principal\n\
    `admin` to DATA/admin.token, and the address it listens on to DATA/run/address."
)]
pub struct Serve {
    /// The address to listen on [default: 127.0.0.1:8080, or what the configuration says].
    #[arg(long, env = "COUNTERSIGN_LISTEN", value_name = "ADDR")]
    pub listen: Option<String>,
    /// The configuration file [default: DATA/countersign.toml, if there].
    #[arg(long, env = "COUNTERSIGN_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Options of `demo`.
#[derive(Debug, Clone, Args)]
pub struct Demo {
    /// Work in this directory, which must be empty or absent [default: a fresh temporary one].
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Leave the server running.
    #[arg(long)]
    pub keep: bool,
}

/// Commands of `key`.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key inside the server. It never leaves, unless it is made exportable.
    #[command(after_help = "Example:\n  countersign key create release-2026 --type p384")]
    Create {
        /// The key's name: 1 to 64 of `a-z 0-9 . _ -`.
        name: Name,
        /// What kind of key: rsa-2048, rsa-3072, rsa-4096, p256, p384, p521 or ed25519.
        #[arg(long = "type", value_name = "TYPE")]
        key_type: KeyType,
        #[command(flatten)]
        options: KeyOptions,
    },
    /// List the keys.
    List,
    /// Show a key.
    Show {
        /// The key's name.
        name: KeyName,
        /// Print only its public half, as PEM.
        #[arg(long)]
        pem: bool,
    },
    /// Bring in a private key: PKCS#8, encrypted PKCS#8, PKCS#1 or SEC1, as PEM.
    #[command(
        after_help = "Example:\n  countersign key import old.pem --name release-2019 --passphrase-file pass.txt"
    )]
    Import {
        /// The PEM file; `-` reads standard input.
        file: PathBuf,
        /// The name that the key gets.
        #[arg(long)]
        name: Name,
        #[command(flatten)]
        passphrase: Passphrase,
        #[command(flatten)]
        options: KeyOptions,
    },
    /// Write a key that was made exportable to a file, encrypted with a passphrase (12 characters or more).
    Export {
        /// The key's name.
        name: Name,
        /// The file to write, readable by you alone.
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        #[command(flatten)]
        passphrase: Passphrase,
    },
    /// Let a key sign no more. What it signed stays valid.
    Retire {
        /// The key's name.
        name: KeyName,
    },
    /// Declare a key compromised: it signs no more and what it signed is no longer valid. Not to be undone.
    Revoke {
        /// The key's name.
        name: KeyName,
        /// Why, for those who ask later.
        #[arg(long)]
        reason: String,
    },
}

/// What a new key may be used for.
#[derive(Debug, Clone, Args)]
pub struct KeyOptions {
    /// Allow `key export` later. Cannot be changed afterwards.
    #[arg(long)]
    pub exportable: bool,
    /// Use the key in this format only, e.g. raw or tag; may be given several times [default: any].
    #[arg(long = "format", value_name = "FORMAT")]
    pub formats: Vec<String>,
}

/// Where a passphrase comes from: never from the command line, which others can see.
#[derive(Debug, Clone, Args)]
pub struct Passphrase {
    /// Read the passphrase from the first line of this file instead of asking for it.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

/// Commands of `principal`.
#[derive(Debug, Subcommand)]
pub enum PrincipalCommand {
    /// Make a principal. It can do nothing before it has a token.
    #[command(
        after_help = "Example:\n  countersign principal create ci --role signer && countersign token create ci"
    )]
    Create {
        /// Its name: 1 to 64 of `a-z 0-9 . _ -`.
        name: Name,
        /// A role it has: admin, operator, signer, auditor, reader or one of your own; several are possible.
        #[arg(long = "role", value_name = "ROLE", required = true)]
        roles: Vec<Name>,
    },
    /// List the principals.
    List,
    /// Show a principal.
    Show {
        /// Its name.
        name: Name,
    },
    /// Refuse all tokens of a principal from now on.
    Disable {
        /// Its name.
        name: Name,
    },
}

/// Commands of `token`.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token, which is shown this once only.
    #[command(after_help = "Examples:\n  \
            countersign token create ci --expires 30d --action key:sign --resource 'key:release-*' -o ci.token\n  \
            countersign token create kinto --hawk --expires never -o hawk.secret")]
    Create {
        /// Whose token it is.
        principal: Name,
        /// What it is for, in your words.
        #[arg(long)]
        label: Option<String>,
        /// When it ends: `30d`, `12h`, a time such as 2027-01-01T00:00:00Z, or `never` [default: 90d].
        #[arg(long, value_name = "WHEN")]
        expires: Option<Expiry>,
        /// Narrow it to this action, e.g. key:sign; may be given several times.
        #[arg(long = "action", value_name = "ACTION")]
        actions: Vec<String>,
        /// Narrow it to these resources, e.g. 'key:release-*'; may be given several times.
        #[arg(long = "resource", value_name = "PATTERN")]
        resources: Vec<String>,
        /// Make a Hawk pair instead, an id and a secret, for clients of Autograph.
        #[arg(long, conflicts_with_all = ["actions", "resources"])]
        hawk: bool,
        /// Write the token to this new file, readable by you alone, instead of standard output; of a Hawk pair the
        /// secret, and print its id.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// List the tokens and Hawk pairs of a principal, without their secrets.
    List {
        /// Whose tokens.
        principal: Name,
    },
    /// Refuse a token or a Hawk pair from now on.
    Revoke {
        /// Its id: of a token the 12 characters after `cst_`.
        id: String,
    },
}

/// When a token ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// Never.
    Never,
    /// This many seconds from now.
    In(i64),
    /// At this time.
    At(jiff::Timestamp),
}

impl std::str::FromStr for Expiry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "never" {
            return Ok(Self::Never);
        }
        if let Ok(time) = text.parse() {
            return Ok(Self::At(time));
        }
        let bad = || "`30d`, `12h`, `45m`, a time such as 2027-01-01T00:00:00Z, or `never`".to_owned();
        let (number, unit) =
            text.char_indices().last().map(|(i, unit)| (&text[..i], unit)).ok_or_else(bad)?;
        let scale = match unit {
            'd' => 86_400,
            'h' => 3_600,
            'm' => 60,
            _ => return Err(bad()),
        };
        let number: i64 = number.parse().map_err(|_| bad())?;
        // A hundred years: far inside what a timestamp can be.
        match number.checked_mul(scale) {
            Some(seconds) if (1..=100 * 366 * 86_400).contains(&seconds) => Ok(Self::In(seconds)),
            _ => Err(bad()),
        }
    }
}

/// Commands of `policy`.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Show the rules in force.
    Show,
    /// Replace all rules. Take what `policy show --json` prints, edit it, and give it back.
    Set {
        /// The new rules: `{"rules":[…]}` as JSON; `-` reads standard input.
        file: PathBuf,
    },
    /// Ask whether something would be allowed, and why. Exit code 0: allowed, 1: denied.
    #[command(
        after_help = "Example:\n  countersign policy check ci key:sign key:release-2026 --format raw --scheme ecdsa-sha384"
    )]
    Check {
        /// Who.
        principal: PrincipalName,
        /// Would do what, e.g. key:sign.
        action: String,
        /// To what, e.g. key:release-2026.
        resource: String,
        /// In which format.
        #[arg(long)]
        format: Option<String>,
        /// With which scheme.
        #[arg(long)]
        scheme: Option<Scheme>,
    },
    /// Replay the last requests against new rules and list those that would be decided otherwise.
    Test {
        /// The new rules, as for `policy set`.
        file: PathBuf,
        /// How many requests.
        #[arg(long, value_name = "N", default_value_t = 1000)]
        last: u32,
    },
}

/// How an ECDSA signature is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum EncodingArg {
    /// SEQUENCE of r and s, as OpenSSL reads it.
    #[default]
    Der,
    /// r and s one after the other, each as wide as the field.
    Raw,
}

impl From<EncodingArg> for Encoding {
    fn from(encoding: EncodingArg) -> Self {
        match encoding {
            EncodingArg::Der => Self::Der,
            EncodingArg::Raw => Self::Raw,
        }
    }
}

/// Options of `sign`.
#[derive(Debug, Args)]
#[command(
    after_help = "Where the scheme has a hash, the file is hashed here and only the digest is sent.\n\n\
    Examples:\n  \
    countersign sign a.tar.gz b.tar.gz --key release      writes a.tar.gz.sig and b.tar.gz.sig\n  \
    tar c dir | countersign sign - --key release > dir.tar.sig\n  \
    countersign sign *.ko --key modules --format kmod --certificate modules.pem --in-place\n  \
    countersign sign grub.cfg --key release --format openpgp --certificate release.asc"
)]
pub struct Sign {
    /// The files to sign; `-` reads standard input.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// The key that signs.
    #[arg(long, value_name = "NAME")]
    pub key: KeyName,
    /// The scheme [default: the key type's own, e.g. ecdsa-sha384 for p384].
    #[arg(long)]
    pub scheme: Option<Scheme>,
    /// What the log shall say was signed [default: the file's name].
    #[arg(long, value_name = "TEXT")]
    pub subject: Option<String>,
    /// How an ECDSA signature is written.
    #[arg(long, value_enum, default_value_t)]
    pub encoding: EncodingArg,
    /// Write the signature here; `-` is standard output. For one file only.
    #[arg(short, long, value_name = "OUT", conflicts_with = "detached")]
    pub output: Option<PathBuf>,
    /// Write each signature beside its file, as FILE.sig: what happens without -o. With --format kmod and
    /// authenticode: only what is to be put into the file.
    #[arg(long)]
    pub detached: bool,
    #[command(flatten)]
    pub written: FormatOptions,
    /// With --format efi-var: the lists are added to the variable, instead of taking its place.
    #[arg(long, requires = "variable")]
    pub append: bool,
    /// With --format cms: the signature does not say when it was made.
    #[arg(long, requires = "format")]
    pub no_signing_time: bool,
    /// With --format kmod and authenticode: the signed file takes the place of the unsigned one.
    #[arg(long, requires = "format", conflicts_with_all = ["output", "detached"])]
    pub in_place: bool,
}

/// Options of `verify`.
#[derive(Debug, Args)]
#[command(after_help = "With a PEM file as the key nothing is asked of any server.\n\n\
    Examples:\n  \
    countersign verify a.tar.gz --signature a.tar.gz.sig --key release.pem --scheme ecdsa-sha384\n  \
    countersign verify a.tar.gz --signature a.tar.gz.sig --key release\n  \
    countersign verify module.ko --format kmod --certificate modules.pem\n  \
    countersign verify image --format cms --certificate root.pem --signature image.p7s")]
pub struct Verify {
    /// The file that was signed; `-` reads standard input.
    pub file: PathBuf,
    /// The file with the signature. Not for formats that have it inside.
    #[arg(long, value_name = "SIG", required_unless_present = "format")]
    pub signature: Option<PathBuf>,
    /// A file with the public key or a certificate (PEM), else the name of a key of the server.
    #[arg(long, value_name = "PEM|NAME", required_unless_present = "format")]
    pub key: Option<String>,
    /// The scheme [default: the key type's own].
    #[arg(long)]
    pub scheme: Option<Scheme>,
    /// How an ECDSA signature is written.
    #[arg(long, value_enum, default_value_t)]
    pub encoding: EncodingArg,
    #[command(flatten)]
    pub written: FormatOptions,
    /// With --format openpgp, cms and x509: whether it was good at this time (RFC 3339) [default: now].
    #[arg(long, value_name = "TIME", requires = "format")]
    pub at: Option<jiff::Timestamp>,
}

/// Which log, and whose word for it.
#[derive(Debug, Clone, Args)]
pub struct WhichLog {
    /// The log, by the name of its node [default: that of the node that answers].
    #[arg(long, value_name = "NAME")]
    pub origin: Option<Name>,
    /// The publication log: what was published, instead of what keys signed.
    #[arg(long, conflicts_with = "origin")]
    pub publication: bool,
    /// The log's verifier key, or a file with it [default: the one that the server names].
    #[arg(long, value_name = "VKEY")]
    pub key: Option<String>,
}

/// Commands of `log`. All of them read only the public files of the log and check them here.
#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Show the newest checkpoint: how many entries, and their root.
    Head(WhichLog),
    /// Prove that an entry is in the log: a text that anyone can check offline, years later.
    #[command(after_help = "Examples:\n  \
        countersign log prove 17 -o release.proof     writes release.proof and release.proof.entry\n  \
        countersign log verify release.proof --key log.vkey")]
    Prove {
        /// The number of the entry, from 0.
        #[arg(required_unless_present = "request_id", conflicts_with = "request_id")]
        index: Option<u64>,
        /// Find the entry by the request that caused it.
        #[arg(long, value_name = "ID", conflicts_with = "publication")]
        request_id: Option<RequestId>,
        /// Write the proof here and the entry to FILE.entry [default: the proof to standard output].
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        #[command(flatten)]
        log: WhichLog,
    },
    /// Check a proof offline; without one, fetch the whole log and check that its checkpoint is true.
    Verify {
        /// The proof.
        proof: Option<PathBuf>,
        /// The entry that the proof is about [default: PROOF.entry].
        #[arg(long, value_name = "FILE", requires = "proof")]
        entry: Option<PathBuf>,
        #[command(flatten)]
        log: WhichLog,
    },
    /// Watch the log: each new checkpoint must continue the last one. Prints new entries as JSON lines.
    #[command(
        after_help = "Run it on another machine than the server. Exit code 1 means that the log was rolled back,\n\
        rewritten or forked: keep the state file, it is the evidence."
    )]
    Monitor {
        /// Where the last checkpoint is kept between runs.
        #[arg(long, value_name = "FILE")]
        state: PathBuf,
        /// Seconds between two looks.
        #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
        interval: u64,
        /// Look once and stop.
        #[arg(long)]
        once: bool,
        #[command(flatten)]
        log: WhichLog,
    },
}

/// Commands of `backup`.
#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// Write everything to one encrypted file. Works with and without a running server.
    #[command(
        after_help = "Example:\n  countersign backup create monday.backup --passphrase-file backup.pass"
    )]
    Create {
        #[command(flatten)]
        backup: Backup,
        /// Take the place of a file that is there.
        #[arg(long)]
        force: bool,
    },
    /// Restore into a scratch directory, check the log, and sign with each key in a test domain.
    Verify(Backup),
    /// Restore into the data directory, which must be empty or absent.
    #[command(
        after_help = "Example:\n  countersign --data new backup restore monday.backup --passphrase-file backup.pass\n\n\
                      The restored node gets a log of its own, which names the old one; the old log stays to be read."
    )]
    Restore {
        #[command(flatten)]
        backup: Backup,
        /// Use this configuration in place of the one in the backup: it says which database (an empty one) is
        /// filled and how the seal key is kept.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

/// The file of a backup and the passphrase that protects it.
#[derive(Debug, Clone, Args)]
pub struct Backup {
    /// The backup file.
    pub file: PathBuf,
    #[command(flatten)]
    pub passphrase: Passphrase,
}

/// Commands of `seal`.
#[derive(Debug, Subcommand)]
pub enum SealCommand {
    /// Make a new seal key and wrap all keys with it. The server must be stopped. Without options it stays of
    /// its kind: a new file, or the same passphrase with a new salt.
    #[command(after_help = "Examples:\n  \
            countersign seal rotate                                            a new key of the same kind\n  \
            countersign seal rotate --new-passphrase-file new.pass             another passphrase\n  \
            countersign seal rotate --source credential --new-passphrase-file new.pass\n  \
            countersign seal rotate --source file                              a key file from now on")]
    Rotate(RotateSeal),
    /// Give a running server its passphrase again, after its key host was restarted.
    Unlock(Passphrase),
}

/// Options of `seal rotate`.
#[derive(Debug, Clone, Args)]
pub struct RotateSeal {
    /// The present passphrase, if it is one that is typed otherwise.
    #[command(flatten)]
    pub passphrase: Passphrase,
    /// Take the new passphrase from the first line of this file.
    #[arg(long, value_name = "FILE")]
    pub new_passphrase_file: Option<PathBuf>,
    /// What `[seal] source` will say from the next start on [default: what it says now]. A new passphrase is
    /// asked for unless it is in a file.
    #[arg(long, value_name = "SOURCE")]
    pub source: Option<SealSourceArg>,
}

/// `[seal] source`, as in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SealSourceArg {
    /// Random bytes in `host/seal.key`.
    File,
    /// A passphrase in a file.
    PassphraseFile,
    /// A passphrase that systemd gives as a credential.
    Credential,
    /// A passphrase that is typed at each start.
    Prompt,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("countersign").chain(line.split(' ')))
    }

    #[test]
    fn the_tree_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_documented_forms_are_understood() {
        for line in [
            "serve --data d --listen 127.0.0.1:0 --config c.toml",
            "demo --dir d --keep",
            "doctor --json",
            "key create release --type p384",
            "key create release --type rsa-4096 --exportable --format raw --format tag",
            "key show tuf/online --pem",
            "key import - --name n --passphrase-file p",
            "key export n -o out.pem",
            "key revoke appliance/cert/pk --reason lost",
            "principal create ci --role signer --role reader",
            "token create ci --expires never",
            "token create kinto --hawk --label signer --expires 30d -o hawk.secret",
            "token revoke abcdefgh2345",
            "policy check surface:tuf key:sign key:tuf/online --format tuf --scheme ed25519",
            "policy test rules.json --last 50",
            "sign a b --key release --scheme ecdsa-sha256 --subject x",
            "sign - --key release -o -",
            "sign a --key release --detached",
            "verify a --signature a.sig --key k.pem --scheme rsa-pss-sha256 --encoding raw",
            "tag sign --json keys file alice",
            "tag push app-1.0 notes.txt --authority builder --new-version",
            "tag push app.jar --artifact app.jar --authority a --authority b --param JOB=nightly --param N=a=b",
            "tag push app.jar --existing --artifact app.jar --authority qa",
            "tag get app-1.0 --authority builder --version 2 -o f --state s",
            "tag get app-1.0 --versions",
            "tag check app.jar --authority builder --server https://x",
            "tag list --prefix app",
            "tag hide app-1.0",
            "tag restore app-1.0",
            "tag approve r1 --payload f",
            "authority create builder --type rsa-3072 --threshold 2 --principal ana --detached",
            "authority rotate builder --not-after 2027-01-01T00:00:00Z",
            "authority register jenkins jenkins.pub",
            "authority revoke builder --key k --reason r --from 2027-01-01T00:00:00Z",
            "authority show builder --pem",
            "authorities export pub",
            "authority bundle --input b --sign-with root.key -o signed",
            "authority bundle --publish b --root root.pub",
            "authority bundle --print-root",
            "collection init staging/cats --editor ana --editor account:eve --reviewer bo",
            "collection status",
            "collection status staging",
            "collection diff /buckets/staging/collections/cats --preview",
            "collection review request staging/cats --comment please",
            "collection review approve staging/cats --seen 1795208700961",
            "collection review decline staging/cats --comment no",
            "collection sign staging/cats --resign",
            "collection rollback staging/cats",
            "collection verify https://h/v1/buckets/main/collections/cats --root r.pem --name main",
            "collection verify main/cats --key k.pem --since c.json -o c.json --now 2027-01-01T00:00:00Z",
            "collection verify --offline dir --root r.pem",
            "collection export main/cats dir",
            "collection import https://k/v1 staging --auth-file a --map m --as s --collection c --resume",
            "collection root",
            "log head --origin node-1",
            "log head --publication",
            "log monitor --publication --state s --once",
            "log prove 17 -o p",
            "log prove --request-id r1",
            "log verify p --entry e --key n+01020304+AQ==",
            "log verify",
            "log monitor --state s --interval 5 --once",
            "backup create f --passphrase-file p",
            "seal rotate",
            "seal rotate --source passphrase-file --new-passphrase-file n --passphrase-file p",
            "seal unlock --passphrase-file p",
            "completions bash",
            "man --dir d",
            "--server https://x --token-file t --json key list",
        ] {
            if let Err(error) = parse(line) {
                panic!("{line}: {error}");
            }
        }
    }

    #[test]
    fn wrong_usage_is_refused_with_exit_code_2() {
        for line in [
            "key create Release --type p384",
            "key create release --type p999",
            "key create release",
            "key revoke release",
            "sign --key release",
            "sign a --key release -o x --detached",
            "sign a --key release --scheme md5",
            "log prove",
            "log prove 1 --request-id r",
            "log prove --request-id r --publication",
            "log head --publication --origin node-1",
            "log verify --entry e",
            "principal create ci",
            "token create ci --expires soon",
            "token create ci --hawk --action key:sign",
            "log monitor --state s --interval 0",
            "tag push app f --digest sha256:00",
            "tag push app --sha256 00",
            "tag check --authority a",
            "tag check f --digest sha256:00 --authority a",
            "tag check f",
            "tag approve r1",
            "collection init staging",
            "collection status a/b/c",
            "collection verify main/cats",
            "collection verify --root r.pem",
            "collection verify main/cats --root-sha256 00",
            "collection verify main/cats --offline dir --root r.pem",
            "collection import https://k/v1 staging --resume --dry-run",
            "authority create builder --type ed25519",
            "authority bundle --draft --print-root",
            "authority bundle --root root.pub",
            "authority revoke builder --key k --reason r --until 2027-01-01T00:00:00Z",
            "nosuch",
        ] {
            let error = parse(line).err().unwrap_or_else(|| panic!("{line} was understood"));
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn an_expiry_is_a_time_or_a_duration() {
        assert_eq!("never".parse(), Ok(Expiry::Never));
        assert_eq!("30d".parse(), Ok(Expiry::In(30 * 86_400)));
        assert_eq!("12h".parse(), Ok(Expiry::In(43_200)));
        let time = "2027-01-01T00:00:00Z";
        assert_eq!(time.parse(), Ok(Expiry::At(time.parse().unwrap())));
        for bad in ["", "d", "0d", "-1d", "99999999999999999999d", "1y", "30"] {
            assert!(bad.parse::<Expiry>().is_err(), "{bad}");
        }
    }

    #[test]
    fn words_of_tag_payload_are_passed_on_as_they_are() {
        let Command::Tag(TagCommand::Payload(words)) =
            parse("tag payload --at 2026-01-01T00:00:00Z -v keys -- file a").unwrap().command
        else {
            panic!("another command");
        };
        assert_eq!(words.rest.len(), 7, "{:?}", words.rest);
    }
}
