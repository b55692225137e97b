//! How signatures are written: `sign --format` and `verify --format`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use countersign_model::Format;
use countersign_pki::efi_var::Variable;

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    /// A detached OpenPGP signature, as `gpg --verify` and GRUB read it: FILE.sig.
    Openpgp,
    /// A detached CMS signature (DER), as `openssl cms -verify` reads it: FILE.p7s.
    Cms,
    /// A kernel module with its signature at its end: FILE.signed.
    Kmod,
    /// An EFI program or kernel with its signature inside: FILE.signed.
    Authenticode,
    /// A signed update of a secure boot variable, from signature lists: FILE.auth.
    EfiVar,
    /// The lines beside a Raspberry Pi boot image or EEPROM configuration: FILE.sig.
    RpiEeprom,
    /// A certificate; made with `countersign cert`.
    X509,
}

impl FormatArg {
    /// The format.
    pub fn format(self) -> Format {
        match self {
            Self::Openpgp => Format::Openpgp,
            Self::Cms => Format::Cms,
            Self::Kmod => Format::Kmod,
            Self::Authenticode => Format::Authenticode,
            Self::EfiVar => Format::EfiVar,
            Self::RpiEeprom => Format::RpiEeprom,
            Self::X509 => Format::X509,
        }
    }
}

/// What a format needs.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Formats")]
pub struct FormatOptions {
    /// How the signature is written [default: bare].
    #[arg(long, value_enum)]
    pub format: Option<FormatArg>,
    /// Who signs: a certificate, or an OpenPGP key with --format openpgp. To verify: whom to trust.
    #[arg(long, value_name = "FILE", requires = "format")]
    pub certificate: Option<PathBuf>,
    /// With --format efi-var: PK, KEK, db or dbx.
    #[arg(long, value_name = "NAME", requires = "format", value_parser = variable)]
    pub variable: Option<Variable>,
}

fn variable(text: &str) -> Result<Variable, String> {
    text.parse().map_err(|_| "`PK`, `KEK`, `db` or `dbx`".into())
}
