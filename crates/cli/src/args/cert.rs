//! `cert`: certificates of keys.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use countersign_model::KeyName;
use countersign_pki::extension::{AltName, Purpose};

/// Commands of `cert`.
#[derive(Debug, Subcommand)]
pub enum CertCommand {
    /// Make a self-signed certificate of a key: for modules, programs and secure boot, or an authority's root.
    #[command(after_help = "Examples:\n  \
        countersign cert self-sign --key modules --subject '/O=Example/CN=Example modules' -o modules.pem\n  \
        countersign cert self-sign --key root --subject '/O=Example/CN=Root' --days 3650 --authority -o root.pem")]
    SelfSign(SelfSign),
    /// Make a request (CSR) for somebody else to certify a key.
    #[command(after_help = "Example:\n  \
        countersign cert csr --key build --subject /CN=build --alt-name dns:build.example.org -o build.csr")]
    Csr(MakeCsr),
    /// Issue a certificate for a request, with the key of an authority.
    #[command(
        after_help = "The request gets the other names and the purposes that it asks for, if all of them are allowed.\n\n\
        Example:\n  \
        countersign cert issue --key root --issuer root.pem --csr build.csr --subject /CN=build --days 90 \\\n    \
        --allow-name below:example.org --allow-purpose server-auth -o build.pem"
    )]
    Issue(Issue),
    /// Make an OpenPGP certificate of a key, which `gpg --import` reads.
    #[command(
        after_help = "Make it once and keep it: each time is another one, with another fingerprint.\n\n\
        Example:\n  \
        countersign cert openpgp --key release --name Release --email release@example.org -o release.asc"
    )]
    Openpgp(MakeOpenPgp),
    /// Show a certificate, a request or an OpenPGP key. Asks no server.
    Show {
        /// The file (PEM, armored or binary); `-` reads standard input.
        file: PathBuf,
    },
}

/// Options of `cert self-sign`.
#[derive(Debug, Args)]
pub struct SelfSign {
    /// The key.
    #[arg(long, value_name = "NAME")]
    pub key: KeyName,
    /// Whose key it is, as `openssl -subj` writes it.
    #[arg(long, value_name = "/TYPE=VALUE…")]
    pub subject: String,
    /// Days of validity.
    #[arg(long, value_name = "N", default_value_t = 7305)]
    pub days: u32,
    #[command(flatten)]
    pub authority: Authority,
    /// Write it here [default: standard output].
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Whether a certificate is that of an authority.
#[derive(Debug, Args)]
pub struct Authority {
    /// It may issue certificates, and says so.
    #[arg(long)]
    pub authority: bool,
    /// How many authorities may stand below it [default: any number, or what its issuer allows].
    #[arg(long, value_name = "N", requires = "authority")]
    pub path_length: Option<u8>,
}

/// Options of `cert csr`.
#[derive(Debug, Args)]
pub struct MakeCsr {
    /// The key to be certified.
    #[arg(long, value_name = "NAME")]
    pub key: KeyName,
    /// Whose key it is, as `openssl -subj` writes it.
    #[arg(long, value_name = "/TYPE=VALUE…")]
    pub subject: String,
    /// Another name: dns:NAME, email:ADDRESS, ip:ADDRESS or uri:URI. Can be given several times.
    #[arg(long = "alt-name", value_name = "NAME")]
    pub alt_names: Vec<AltName>,
    /// Write it here [default: standard output].
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Options of `cert issue`.
#[derive(Debug, Args)]
pub struct Issue {
    /// The authority's key.
    #[arg(long, value_name = "NAME")]
    pub key: KeyName,
    /// The authority's certificate.
    #[arg(long, value_name = "FILE")]
    pub issuer: PathBuf,
    /// The request.
    #[arg(long, value_name = "FILE")]
    pub csr: PathBuf,
    /// Whose key it is: your word, not the request's.
    #[arg(long, value_name = "/TYPE=VALUE…")]
    pub subject: String,
    /// Days of validity.
    #[arg(long, value_name = "N")]
    pub days: u32,
    /// Another name that the request may have, like dns:NAME or below:DOMAIN. Can be given several times.
    #[arg(long = "allow-name", value_name = "NAME")]
    pub allow_names: Vec<String>,
    /// What the request may be for: server-auth, client-auth, code-signing, email-protection or an OID.
    #[arg(long = "allow-purpose", value_name = "PURPOSE", value_parser = purpose)]
    pub allow_purposes: Vec<Purpose>,
    #[command(flatten)]
    pub authority: Authority,
    /// Write it here [default: standard output].
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

fn purpose(text: &str) -> Result<Purpose, String> {
    text.parse().map_err(|error: countersign_pki::extension::BadPurpose| error.to_string())
}

/// Options of `cert openpgp`.
#[derive(Debug, Args)]
pub struct MakeOpenPgp {
    /// The key.
    #[arg(long, value_name = "NAME")]
    pub key: KeyName,
    /// Whose key it is.
    #[arg(long, value_name = "TEXT")]
    pub name: String,
    /// Stands in brackets behind the name.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub comment: String,
    /// Their address.
    #[arg(long, value_name = "ADDRESS")]
    pub email: String,
    /// Write it here [default: standard output].
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}
