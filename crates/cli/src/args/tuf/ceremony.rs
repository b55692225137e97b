//! Options of `tuf init` and `tuf ceremony`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use super::SigningKeys;

/// Options of `tuf init`.
#[derive(Debug, Args)]
#[command(after_help = "The file is JSON, to be read and changed by people, and has no secrets.\n\n\
    Examples:\n  \
    countersign tuf init -o ceremony.json --root-key ana=ana.pem --root-key bo=bo.pub --threshold 2 --bins 256\n  \
    countersign tuf init -o ceremony.json --root-key ana=ana.pem --role 'dev=dev/*,nightly/*' --role-key dev=dev.pem")]
pub struct InitCeremony {
    /// Where to write it; `-` is standard output.
    #[arg(short, long, value_name = "FILE", default_value = "ceremony.json")]
    pub output: PathBuf,
    /// A key that signs the root, NAME=FILE: PEM (public or private, of which the public half is taken), a public SSH
    /// key, or a TUF key in JSON. May be given several times.
    #[arg(long = "root-key", value_name = "NAME=FILE", required = true)]
    pub root_keys: Vec<KeyFile>,
    /// How many of them must sign.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub threshold: u64,
    /// How many days a role lives: `root`, `targets`, `snapshot`, `timestamp`, `bins` or a delegated role; may be
    /// given several times [default: root 365, targets 365, snapshot 7, timestamp 1, bins 7, delegated roles 90].
    #[arg(long = "days", value_name = "ROLE=DAYS")]
    pub days: Vec<RoleDays>,
    /// Delegate targets to so many hash bins, a power of two from 2 to 16384 [default: 16, unless there are roles].
    #[arg(long, value_name = "N", conflicts_with = "roles")]
    pub bins: Option<u64>,
    /// Delegate paths of these patterns to a role; may be given several times, the first that fits counts.
    #[arg(long = "role", value_name = "NAME=PATTERN,…")]
    pub roles: Vec<RolePatterns>,
    /// A key that signs a delegated role; without any, the server signs it. May be given several times.
    #[arg(long = "role-key", value_name = "ROLE=FILE")]
    pub role_keys: Vec<RoleKey>,
    /// How many keys of a delegated role must sign.
    #[arg(long = "role-threshold", value_name = "ROLE=N")]
    pub role_thresholds: Vec<RoleDays>,
    /// The name of the server's key for timestamp, snapshot and targets [default: the server's first].
    #[arg(long, value_name = "NAME")]
    pub online: Option<String>,
    /// Keys get no names, which awslabs' tough refuses. It knows named roles only, no bins.
    #[arg(long)]
    pub tough_compatible: bool,
}

/// Options of `tuf ceremony`.
#[derive(Debug, Args)]
#[command(
    after_help = "Without --file it asks. Nothing is public before enough people have signed: `tuf sign` is for them.\n\n\
    Far from any network:\n  \
    countersign tuf keys list --json > online.json                            on the server\n  \
    countersign tuf ceremony --file c.json --online-keys online.json --key ana.pem --out root.json   far away\n  \
    countersign tuf ceremony --submit root.json                               on the server\n\n\
    Examples:\n  \
    countersign tuf ceremony --file ceremony.json --key ana.pem --yes\n  \
    countersign tuf ceremony --file ceremony.json --signer-key token.pem \\\n    \
    --signer 'pkcs11-tool --module MODULE --login --pin env:PIN --sign --mechanism SHA256-RSA-PKCS-PSS --id 01'"
)]
pub struct Ceremony {
    /// The ceremony file of `tuf init`; without it, questions are asked.
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub signing: SigningKeys,
    /// Do not ask whether it is right.
    #[arg(short, long)]
    pub yes: bool,
    /// Write what would be sent here instead of sending it.
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// The server's keys from this file, instead of asking the server: `tuf keys list --json`.
    #[arg(long, value_name = "FILE", requires = "out")]
    pub online_keys: Option<PathBuf>,
    /// Send what --out wrote.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["file", "out", "keys", "agent_key", "signer"])]
    pub submit: Option<PathBuf>,
}

/// `NAME=FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFile {
    /// Whose key it is; empty if it was not said.
    pub name: String,
    /// Where it is.
    pub file: PathBuf,
}

/// `ROLE=FILE`.
pub type RoleKey = KeyFile;

/// `ROLE=NUMBER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleDays {
    /// The role.
    pub role: String,
    /// The number.
    pub number: u64,
}

/// `NAME=PATTERN,PATTERN`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolePatterns {
    /// The role.
    pub role: String,
    /// The patterns of paths that it is trusted with.
    pub patterns: Vec<String>,
}

impl FromStr for KeyFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, file)) if !name.is_empty() && !file.is_empty() => {
                Ok(Self { name: name.to_owned(), file: file.into() })
            }
            None if !text.is_empty() => Ok(Self { name: String::new(), file: text.into() }),
            _ => Err("NAME=FILE".to_owned()),
        }
    }
}

impl FromStr for RoleDays {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (role, number) = text.split_once('=').ok_or("ROLE=NUMBER")?;
        let number = number.parse().map_err(|_| "ROLE=NUMBER")?;
        Ok(Self { role: role.to_owned(), number })
    }
}

impl FromStr for RolePatterns {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (role, patterns) = text.split_once('=').ok_or("NAME=PATTERN,…")?;
        let patterns: Vec<String> = patterns.split(',').map(str::to_owned).collect();
        if role.is_empty() || patterns.iter().any(String::is_empty) {
            return Err("NAME=PATTERN,… without empty ones".to_owned());
        }
        Ok(Self { role: role.to_owned(), patterns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_split_at_the_first_equals_sign() {
        let key: KeyFile = "ana=keys/a=b.pem".parse().unwrap();
        assert_eq!((key.name.as_str(), key.file.to_str()), ("ana", Some("keys/a=b.pem")));
        assert_eq!("k.pem".parse::<KeyFile>().unwrap().name, "");
        assert!("=x".parse::<KeyFile>().is_err() && "x=".parse::<KeyFile>().is_err());
        let role: RolePatterns = "dev=dev/*,x".parse().unwrap();
        assert_eq!(role.patterns, ["dev/*", "x"]);
        assert!("dev=".parse::<RolePatterns>().is_err() && "dev".parse::<RolePatterns>().is_err());
        assert_eq!("root=7".parse::<RoleDays>().unwrap().number, 7);
        assert!("root=x".parse::<RoleDays>().is_err());
    }
}
