//! `verify --format`: whether others would accept a signature. Asks no server.

use std::ops::ControlFlow;
use std::path::Path;

use countersign_openpgp::Certificate as OpenPgpCertificate;
use countersign_pki::efi_var::Update;
use countersign_pki::x509::Certificate;
use countersign_verify::format::{self, Content, FormatError};
use countersign_verify::tag::At;
use jiff::Timestamp;

use super::{Verdict, read_public_key, show};
use crate::args::{FormatArg, Verify};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::files;

/// The largest file that has its signature inside: it is held whole.
const MAX_INSIDE: u64 = 4 << 30;

/// Checks a file with a signature inside it, or beside it.
pub fn run(context: &Context, options: &Verify, format: FormatArg) -> Result<Outcome, Failure> {
    let checked = match format {
        FormatArg::Openpgp => openpgp(options),
        FormatArg::Cms => cms(options),
        FormatArg::Kmod => {
            inside(options, |bytes, trusted| format::kernel_module(bytes, trusted).map(|()| subject(trusted)))
        }
        FormatArg::Authenticode => {
            inside(options, |bytes, trusted| format::authenticode(bytes, trusted).map(|()| subject(trusted)))
        }
        FormatArg::EfiVar => efi_variable(options),
        FormatArg::RpiEeprom => rpi_eeprom(options),
        FormatArg::X509 => certificate(options),
    };
    let (verdict, by) = match checked? {
        Ok(by) => (Verdict::Valid, by),
        Err(error) => {
            context.out.say(&format!("hint: {}", error.hint()));
            (Verdict::Invalid(error.to_string()), String::new())
        }
    };
    show(context, &verdict, &by)
}

/// Who signed, or why that does not count.
type Checked = Result<Result<String, FormatError>, Failure>;

/// Reads an X.509 certificate: PEM or DER.
pub fn read_certificate(file: &Path) -> Result<Certificate, Failure> {
    let bytes = files::read_small(file)?;
    let text = std::str::from_utf8(&bytes).ok().filter(|text| text.contains("-----BEGIN "));
    let read = text.map_or_else(|| Certificate::from_der(&bytes), Certificate::from_pem);
    read.map_err(|error| Failure::unknown(format!("`{}`: {error}", file.display())).hint(error.hint()))
}

fn trusted(options: &Verify) -> Result<&Path, Failure> {
    options.written.certificate.as_deref().ok_or_else(|| {
        Failure::unknown("`--certificate FILE` is missing: whom to trust")
            .hint("the signer's certificate, its issuer's, or an OpenPGP key with `--format openpgp`")
    })
}

fn signature(options: &Verify) -> Result<Vec<u8>, Failure> {
    let missing = || Failure::unknown("`--signature FILE` is missing: the signature lies beside the file");
    Ok(files::read_small(options.signature.as_deref().ok_or_else(missing)?)?.to_vec())
}

fn now(options: &Verify) -> Timestamp {
    options.at.unwrap_or_else(Timestamp::now)
}

fn content(file: &Path) -> Result<Content, Failure> {
    let mut content = Content::new();
    files::feed(file, |piece| {
        content.update(piece);
        ControlFlow::Continue(())
    })?;
    Ok(content)
}

fn subject(certificate: &Certificate) -> String {
    certificate.subject().to_string()
}

fn openpgp(options: &Verify) -> Checked {
    let file = trusted(options)?;
    let keys = OpenPgpCertificate::read_all(&files::read_small(file)?)
        .map_err(|error| Failure::unknown(format!("`{}`: {error}", file.display())))?;
    let signature = signature(options)?;
    let good = format::openpgp(&signature, &content(&options.file)?, &keys, now(options));
    Ok(good.map(|good| {
        let signer = keys.iter().find(|key| key.fingerprint() == good.certificate);
        let user = signer.and_then(|key| key.user_ids().next()).unwrap_or_default();
        crate::output::safe(&format!("{user} {}", good.key))
    }))
}

fn cms(options: &Verify) -> Checked {
    let trusted = read_certificate(trusted(options)?)?;
    let (signature, content) = (signature(options)?, content(&options.file)?);
    Ok(format::cms(&signature, &content, &trusted, At::Time(now(options))).map(|signer| subject(&signer)))
}

fn inside(
    options: &Verify,
    check: impl FnOnce(&[u8], &Certificate) -> Result<String, FormatError>,
) -> Checked {
    let trusted = read_certificate(trusted(options)?)?;
    if options.signature.is_some() {
        return Err(
            Failure::unknown("this format has its signature inside the file").hint("leave `--signature` out")
        );
    }
    Ok(check(&files::read_whole(&options.file, MAX_INSIDE)?, &trusted))
}

fn efi_variable(options: &Verify) -> Checked {
    let variable = options.written.variable.ok_or_else(|| {
        Failure::unknown("`--variable` is missing: `PK`, `KEK`, `db` or `dbx`")
            .hint("an update is signed for one of them")
    })?;
    inside(options, |bytes, trusted| {
        let update = format::efi_variable(bytes, variable, trusted)?;
        let does = if update == Update::Append { "appends to" } else { "replaces" };
        Ok(format!("{}; {does} {}", subject(trusted), variable.name()))
    })
}

fn rpi_eeprom(options: &Verify) -> Checked {
    let missing = || Failure::unknown("`--key FILE` is missing: the public key whose signature is expected");
    let key = read_public_key(Path::new(options.key.as_deref().ok_or_else(missing)?))?;
    let signature = signature(options)?;
    let image = content(&options.file)?;
    let lines = String::from_utf8_lossy(&signature);
    Ok(format::rpi_eeprom(&lines, &image, &key).map(|_| key.id().to_string()))
}

fn certificate(options: &Verify) -> Checked {
    let issuer = read_certificate(trusted(options)?)?;
    let certificate = read_certificate(&options.file)?;
    let at = At::Time(now(options));
    Ok(format::certificate(&certificate, &issuer, at).map(|()| subject(&issuer)))
}
