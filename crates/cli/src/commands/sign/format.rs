//! `sign --format`: files in, signatures out as others read them.
//!
//! The content stays here where the format lets it: a digest is sent, or for OpenPGP the file is streamed, and
//! what comes back is put beside the file or into it. A signed module or program is verified before it is written.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use countersign_model::{Digest, HashAlg, KeyName};
use countersign_pki::authenticode::{self, PeImage};
use countersign_pki::cms;
use countersign_pki::x509::Certificate;
use countersign_verify::format as judge;
use serde_json::{Value, json};

use super::subject_of;
use crate::api::{Answer, Api, BASE, Request, Signed, base64, escape};
use crate::args::{FormatArg, Sign};
use crate::commands::verify::read_certificate;
use crate::context::Context;
use crate::failure::{Failure, OrUnknown as _, Outcome};
use crate::files::{self, Mode};

/// The largest module or program that is signed: it is held whole, to be verified.
const MAX_INSIDE: u64 = 1 << 30;

/// The longest signature lists that are signed.
const MAX_LISTS: u64 = 16 << 20;

/// What is asked for every file.
struct Wanted<'a> {
    key: &'a KeyName,
    format: FormatArg,
    /// Who signs, as it was read; empty for formats without.
    certificate: Vec<u8>,
    /// The same, for the formats that are made of X.509.
    signer: Option<Certificate>,
    options: &'a Sign,
}

/// Signs each file in a format.
pub async fn run(context: &Context, options: &Sign, format: FormatArg) -> Result<Outcome, Failure> {
    let wanted = Wanted::read(options, format)?;
    let targets =
        options.files.iter().map(|file| target(file, options, format)).collect::<Result<Vec<_>, _>>()?;
    let api = context.api().await?;
    let mut answers = Vec::new();
    for (file, target) in options.files.iter().zip(&targets) {
        let subject = options.subject.clone().or_else(|| subject_of(file));
        let (answer, artifact) = wanted.sign(&api, file, subject.as_deref()).await?;
        let signed: Signed = answer.json()?;
        match target {
            Some(path) => {
                write(path, file, &artifact, options.in_place)?;
                let (scheme, log) = (&signed.scheme, &signed.log);
                let place = format!("log entry {} of {}", log.index, log.origin);
                context.out.say(&format!("wrote `{}` ({scheme}, {place})", path.display()));
            }
            None if !context.out.is_json() => context.out.bytes(&artifact)?,
            // With `--json` the signature is in the document.
            None => {}
        }
        answers.push(answer.body);
    }
    if context.out.is_json() {
        context.out.document(&super::as_one_document(answers)?, |_| String::new())?;
    }
    Ok(Outcome::Done)
}

/// Where the artifact of `file` goes; `None` for standard output.
fn target(file: &Path, options: &Sign, format: FormatArg) -> Result<Option<PathBuf>, Failure> {
    let inside = matches!(format, FormatArg::Kmod | FormatArg::Authenticode);
    if options.in_place && !inside {
        return Err(Failure::unknown(
            "`--in-place` is for modules and programs: `--format kmod` or `authenticode`",
        ));
    }
    if options.in_place && files::is_dash(file) {
        return Err(Failure::unknown("standard input has no place").hint("leave `--in-place` out"));
    }
    if options.in_place {
        return Ok(Some(file.to_owned()));
    }
    let suffix = match format {
        FormatArg::Cms => ".p7s",
        FormatArg::EfiVar => ".auth",
        _ if inside && !options.detached => ".signed",
        _ => ".sig",
    };
    super::target_with(file, options, suffix)
}

/// A file that takes the place of another keeps its rights.
fn write(path: &Path, file: &Path, artifact: &[u8], in_place: bool) -> Result<(), Failure> {
    let mut making = files::Making::begin(path, Mode::Public)?;
    making.file().write_all(artifact).map_err(|error| Failure::file("write", path, &error))?;
    if in_place {
        let rights = std::fs::metadata(file).map(|metadata| metadata.permissions());
        let set = rights.and_then(|rights| making.file().set_permissions(rights));
        set.map_err(|error| Failure::file("write", path, &error))?;
    }
    making.finish()
}

impl<'a> Wanted<'a> {
    fn read(options: &'a Sign, format: FormatArg) -> Result<Self, Failure> {
        if format == FormatArg::X509 {
            return Err(Failure::unknown("certificates are made with `countersign cert`"));
        }
        let file = options.written.certificate.as_deref();
        let (certificate, signer) = match (format, file) {
            (FormatArg::RpiEeprom, None) => (Vec::new(), None),
            (FormatArg::RpiEeprom, Some(_)) => {
                return Err(Failure::unknown("Raspberry Pi images are signed without a certificate"));
            }
            (_, None) => {
                return Err(Failure::unknown("`--certificate FILE` is missing: who signs")
                    .hint("`countersign cert self-sign` and `countersign cert openpgp` make one"));
            }
            (FormatArg::Openpgp, Some(file)) => (files::read_small(file)?.to_vec(), None),
            (_, Some(file)) => {
                let signer = read_certificate(file)?;
                (signer.der().to_vec(), Some(signer))
            }
        };
        if format == FormatArg::EfiVar && options.written.variable.is_none() {
            return Err(Failure::unknown("`--variable` is missing: `PK`, `KEK`, `db` or `dbx`"));
        }
        Ok(Self { key: &options.key, format, certificate, signer, options })
    }

    /// The answer, and what is to be written.
    async fn sign(&self, api: &Api, file: &Path, subject: Option<&str>) -> Result<(Answer, Bytes), Failure> {
        let detached = self.options.detached;
        match self.format {
            FormatArg::Openpgp => {
                let answer = api.upload(self.streamed(subject), file).await?;
                with_signature(answer)
            }
            FormatArg::EfiVar => {
                let lists = files::read_whole(file, MAX_LISTS)?;
                with_signature(self.ask(api, subject, "message", base64(&lists)).await?)
            }
            FormatArg::Kmod if !detached => self.module(api, file, subject).await,
            FormatArg::Authenticode => self.program(api, file, subject).await,
            FormatArg::Cms | FormatArg::Kmod | FormatArg::RpiEeprom | FormatArg::X509 => {
                let (path, hash) = (file.to_owned(), self.hash()?);
                let digest = tokio::task::spawn_blocking(move || files::hash(&path, hash))
                    .await
                    .or_unknown("hashing was interrupted")??;
                with_signature(self.ask_digest(api, subject, digest).await?)
            }
        }
    }

    /// The hash that the content is signed by.
    fn hash(&self) -> Result<HashAlg, Failure> {
        let scheme = match (self.format, &self.signer) {
            (FormatArg::Kmod, _) => return Ok(HashAlg::Sha512),
            (_, Some(signer)) => cms::scheme_for(signer.public_key().key_type()),
            (_, None) => return Ok(HashAlg::Sha256),
        };
        scheme.and_then(|scheme| scheme.hash()).ok_or_else(|| {
            Failure::refused("no CMS signature is made with a key of this type").hint("use an RSA key")
        })
    }

    async fn module(
        &self,
        api: &Api,
        file: &Path,
        subject: Option<&str>,
    ) -> Result<(Answer, Bytes), Failure> {
        let module = files::read_whole(file, MAX_INSIDE)?;
        let (digest, module) = tokio::task::spawn_blocking(move || (HashAlg::Sha512.digest(&module), module))
            .await
            .or_unknown("hashing was interrupted")?;
        let (answer, appendix) = with_signature(self.ask_digest(api, subject, digest).await?)?;
        let signed = [&module[..], &appendix].concat();
        let check = self.signer.as_ref().map_or(Ok(()), |signer| judge::kernel_module(&signed, signer));
        check.map_err(|error| not_good(&error))?;
        Ok((answer, signed.into()))
    }

    async fn program(
        &self,
        api: &Api,
        file: &Path,
        subject: Option<&str>,
    ) -> Result<(Answer, Bytes), Failure> {
        let image = files::read_whole(file, MAX_INSIDE)?;
        let digest = PeImage::parse(&image)
            .map(|image| image.digest())
            .map_err(|error| Failure::refused(format!("`{}`: {error}", file.display())).hint(error.hint()))?;
        let (answer, signature) = with_signature(self.ask_digest(api, subject, digest).await?)?;
        if self.options.detached {
            return Ok((answer, signature));
        }
        let signed = authenticode::attach(image.to_vec(), &signature)
            .map_err(|error| Failure::refused(error.to_string()).hint(error.hint()))?;
        let check = self.signer.as_ref().map_or(Ok(()), |signer| judge::authenticode(&signed, signer));
        check.map_err(|error| not_good(&error))?;
        Ok((answer, signed.into()))
    }

    async fn ask_digest(&self, api: &Api, subject: Option<&str>, digest: Digest) -> Result<Answer, Failure> {
        self.ask(api, subject, "digest", digest.to_string()).await
    }

    async fn ask(
        &self,
        api: &Api,
        subject: Option<&str>,
        member: &str,
        content: String,
    ) -> Result<Answer, Failure> {
        let mut document = json!({ "format": self.format.format(), member: content });
        if !self.certificate.is_empty() {
            document["certificate"] = base64(&self.certificate).into();
        }
        let others: [(&str, Option<Value>); 5] = [
            ("subject", subject.map(Value::from)),
            ("scheme", self.options.scheme.map(|scheme| scheme.as_str().into())),
            ("variable", self.options.written.variable.map(|variable| variable.name().into())),
            ("append", self.options.append.then_some(true.into())),
            ("signing_time", self.options.no_signing_time.then_some(false.into())),
        ];
        for (member, value) in others {
            if let Some(value) = value {
                document[member] = value;
            }
        }
        api.call(Request::post(&self.path()).json(&document)?).await
    }

    fn streamed(&self, subject: Option<&str>) -> Request {
        let mut query =
            format!("?format={}&certificate={}", self.format.format(), escape(&base64(&self.certificate)));
        if let Some(subject) = subject {
            query.push_str(&format!("&subject={}", escape(subject)));
        }
        Request::post(&format!("{}{query}", self.path()))
    }

    fn path(&self) -> String {
        format!("{BASE}/keys/{}/sign", escape(self.key.as_str()))
    }
}

fn with_signature(answer: Answer) -> Result<(Answer, Bytes), Failure> {
    let signature = answer.json::<Signed>()?.signature()?;
    Ok((answer, signature.into()))
}

fn not_good(error: &judge::FormatError) -> Failure {
    Failure::unknown(format!("what was signed does not verify, and was not written: {error}"))
        .hint(error.hint())
}
