//! `secureboot`: the keys that machines start by.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};
use countersign_core::appliance::CertificateId;
use countersign_model::KeyName;
use countersign_pki::esl::Guid;

/// Commands of `secureboot`.
#[derive(Debug, Subcommand)]
pub enum SecureBootCommand {
    /// Make the updates that bring machines from old keys of PK, KEK and db to new ones, in the order in which
    /// machines take them.
    #[command(after_help = "A key is one of\n  \
        ID        a certificate of the signing appliance, by its id\n  \
        KEY,FILE  a key of the server by its name, and the file of its certificate\n  \
        @FILE     a certificate alone, for what signs nothing\n\n\
        The directory gets 01-KEK.auth, 02-db.auth, … and README.txt, which says what to run on a machine, what to\n\
        look at between the steps, and after which one there is no way back. Nothing is written unless everything\n\
        verifies. dbx is not touched.\n\n\
        Examples:\n  \
        countersign secureboot rotate --pk pk --new-pk pk2 --kek kek --new-kek kek2 --out updates --dry-run\n  \
        countersign secureboot rotate --pk pk,pk.pem --kek kek,kek.pem --db @db.pem --new-db @db2.pem \\\n    \
        --present machine --out updates")]
    Rotate(Rotate),
}

/// Options of `secureboot rotate`.
#[derive(Debug, Args)]
pub struct Rotate {
    /// The platform key that the machines have: it signs PK and KEK.
    #[arg(long, value_name = "KEY")]
    pub pk: KeyArg,
    /// The platform key that they get.
    #[arg(long, value_name = "KEY")]
    pub new_pk: Option<KeyArg>,
    /// A key exchange key that the machines have and that --new-kek takes the place of. Can be given several
    /// times; the first one signs db.
    #[arg(long, value_name = "KEY")]
    pub kek: Vec<KeyArg>,
    /// The key exchange key that they get.
    #[arg(long, value_name = "KEY", requires = "kek")]
    pub new_kek: Option<KeyArg>,
    /// A certificate in db that is to go. Can be given several times. Without one, db only gets the new one.
    #[arg(long, value_name = "KEY", requires = "new_db")]
    pub db: Vec<KeyArg>,
    /// The certificate that programs are started by from now on.
    #[arg(long, value_name = "KEY", requires = "kek")]
    pub new_db: Option<KeyArg>,
    /// What a machine has now: PK, KEK and db as `efi-readvar -v PK -o PK.esl` writes them, or copied from
    /// /sys/firmware/efi/efivars. What stands there of others is kept. Without it, what the appliance signed before
    /// counts.
    #[arg(long, value_name = "DIR")]
    pub present: Option<PathBuf>,
    /// Append the new KEK to what is there instead of writing it anew. The appliance does not sign that.
    #[arg(long, requires = "new_kek")]
    pub append: bool,
    /// The owner that the new certificates get, where the appliance has not given them one.
    #[arg(long, value_name = "GUID", default_value = "00000000-0000-0000-0000-000000000000")]
    pub owner: Guid,
    /// Write the updates here: a directory that is not there yet, or empty.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Show what would be made. Signs nothing and writes nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// Where a key and its certificate are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyArg {
    /// A certificate of the signing appliance.
    Appliance(CertificateId),
    /// A key of the server, and its certificate's file.
    Native(KeyName, PathBuf),
    /// A certificate's file, for what signs nothing.
    File(PathBuf),
}

impl FromStr for KeyArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // An id has no comma, and begins with a letter or digit.
        if let Some(file) = text.strip_prefix('@') {
            return Ok(Self::File(file.into()));
        }
        match text.split_once(',') {
            Some((key, file)) => {
                let key = key.parse().map_err(|error| format!("`{key}` is no name of a key: {error}"))?;
                Ok(Self::Native(key, file.into()))
            }
            None => text.parse().map(Self::Appliance).map_err(|error| error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_an_id_or_a_key_with_its_certificate_or_a_certificate() {
        let read = |text: &str| text.parse::<KeyArg>();
        assert_eq!(read("pk 2=x@y"), Ok(KeyArg::Appliance("pk 2=x@y".parse().unwrap())));
        assert_eq!(read("pk,a,b.pem"), Ok(KeyArg::Native("pk".parse().unwrap(), "a,b.pem".into())));
        assert_eq!(read("@db.pem"), Ok(KeyArg::File("db.pem".into())));
        for bad in ["", "../pk", "P K,pk.pem", ",pk.pem"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
