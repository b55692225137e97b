//! The members of a request to sign that say how the signature is to be written.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use countersign_core::signing::format::{Parameters, SigningTime, Write};
use countersign_model::Format;
use countersign_openpgp::Certificate as OpenPgpCertificate;
use countersign_pki::csr::Csr;
use countersign_pki::efi_var::Variable;
use countersign_pki::x509::Certificate;

use crate::call::value;
use crate::problem::Problem;

/// The members as they came.
#[derive(Clone, Copy, Default)]
pub(super) struct Members<'a> {
    pub(super) format: Option<&'a str>,
    pub(super) certificate: Option<&'a str>,
    pub(super) variable: Option<&'a str>,
    pub(super) append: Option<bool>,
    pub(super) signing_time: Option<bool>,
}

impl<'a> Members<'a> {
    /// What is asked for; `None`: a bare signature.
    ///
    /// # Errors
    /// `invalid-request` for a format that is not signed here, a member that it has not, one that it needs and is
    /// missing, and a certificate that is none.
    pub(super) fn read(self) -> Result<Option<Parameters>, Problem> {
        let format = self.format.map(|text| value("format", text)).transpose()?.unwrap_or(Format::Raw);
        self.check_no_others(format)?;
        Ok(Some(match format {
            Format::Raw => return Ok(None),
            Format::Openpgp => {
                let bytes = binary("certificate", self.signer()?)?;
                let read = OpenPgpCertificate::read(&bytes);
                Parameters::OpenPgp(Box::new(
                    read.map_err(|e| Problem::invalid("certificate", e.to_string()))?,
                ))
            }
            Format::Cms => {
                let time = match self.signing_time {
                    Some(false) => SigningTime::Unsaid,
                    _ => SigningTime::Said,
                };
                Parameters::Cms { signer: self.x509()?, time }
            }
            Format::Kmod => Parameters::Kmod(self.x509()?),
            Format::Authenticode => Parameters::Authenticode(self.x509()?),
            Format::EfiVar => {
                let write = if self.append == Some(true) { Write::Append } else { Write::Replace };
                Parameters::EfiVar { signer: self.x509()?, variable: self.variable()?, write }
            }
            Format::RpiEeprom => Parameters::RpiEeprom,
            other => {
                let why = format!("`{other}` is not a format that is signed here");
                let hint = "one of `raw openpgp cms kmod authenticode efi-var rpi-eeprom`";
                return Err(Problem::invalid("format", why).hint(hint));
            }
        }))
    }

    /// A member that means nothing would be a wish that is not fulfilled.
    fn check_no_others(&self, format: Format) -> Result<(), Problem> {
        let given = [
            ("certificate", self.certificate.is_some(), !matches!(format, Format::Raw | Format::RpiEeprom)),
            ("variable", self.variable.is_some(), format == Format::EfiVar),
            ("append", self.append.is_some(), format == Format::EfiVar),
            ("signing_time", self.signing_time.is_some(), format == Format::Cms),
        ];
        match given.into_iter().find(|(_, given, known)| *given && !known) {
            None => Ok(()),
            Some((member, ..)) => {
                Err(Problem::invalid(member, format!("`{member}` means nothing in format `{format}`")))
            }
        }
    }

    fn signer(&self) -> Result<&'a str, Problem> {
        let missing =
            || Problem::invalid("certificate", "`certificate` is missing: who signs in this format");
        self.certificate.ok_or_else(missing)
    }

    fn x509(&self) -> Result<Box<Certificate>, Problem> {
        certificate("certificate", self.signer()?).map(Box::new)
    }

    fn variable(&self) -> Result<Variable, Problem> {
        let text = self.variable.unwrap_or_default();
        text.parse().map_err(|_| Problem::invalid("variable", "`variable` is `PK`, `KEK`, `db` or `dbx`"))
    }
}

/// Reads a certificate: PEM, else base64 of DER.
pub(super) fn certificate(member: &'static str, text: &str) -> Result<Certificate, Problem> {
    let read = if is_armored(text) {
        Certificate::from_pem(text)
    } else {
        Certificate::from_der(&binary(member, text)?)
    };
    read.map_err(|error| Problem::invalid(member, error.to_string()).hint(error.hint()))
}

/// Reads a certificate request: PEM, else base64 of DER.
pub(super) fn request(member: &'static str, text: &str) -> Result<Csr, Problem> {
    let read = if is_armored(text) { Csr::from_pem(text) } else { Csr::from_der(&binary(member, text)?) };
    read.map_err(|error| Problem::invalid(member, error.to_string()).hint(error.hint()))
}

fn is_armored(text: &str) -> bool {
    text.contains("-----BEGIN ")
}

/// An armored text as it is, else what it is the base64 of; in a query that is best in the alphabet for URLs.
fn binary(member: &'static str, text: &str) -> Result<Vec<u8>, Problem> {
    if is_armored(text) {
        return Ok(text.as_bytes().to_vec());
    }
    let decoded = STANDARD.decode(text).or_else(|_| URL_SAFE_NO_PAD.decode(text));
    let why = || Problem::invalid(member, format!("`{member}` is neither armored nor base64"));
    decoded.map_err(|_| why())
}
