//! `cert`: certificates of keys.

use std::path::{Path, PathBuf};

use countersign_model::KeyName;
use countersign_openpgp::Certificate as OpenPgpCertificate;
use countersign_pki::csr::Csr;
use countersign_pki::x509::Certificate;
use serde_json::{Value, json};

use crate::api::escape;
use crate::args::{Authority, CertCommand, Issue, MakeCsr, MakeOpenPgp, SelfSign};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::files::{self, Mode};
use crate::output::card;

/// Runs a command of `cert`.
pub async fn run(context: &Context, command: CertCommand) -> Result<Outcome, Failure> {
    match command {
        CertCommand::SelfSign(options) => self_sign(context, &options).await,
        CertCommand::Csr(options) => csr(context, &options).await,
        CertCommand::Issue(options) => issue(context, &options).await,
        CertCommand::Openpgp(options) => openpgp(context, &options).await,
        CertCommand::Show { file } => show(context, &file),
    }
}

async fn self_sign(context: &Context, options: &SelfSign) -> Result<Outcome, Failure> {
    let mut document = json!({ "subject": options.subject, "days": options.days });
    say_authority(&mut document, &options.authority);
    make(context, &options.key, "self-sign", &document, options.output.as_ref()).await
}

fn say_authority(document: &mut Value, options: &Authority) {
    if options.authority {
        document["authority"] = true.into();
    }
    if let Some(length) = options.path_length {
        document["path_length"] = length.into();
    }
}

async fn csr(context: &Context, options: &MakeCsr) -> Result<Outcome, Failure> {
    let names: Vec<String> = options.alt_names.iter().map(ToString::to_string).collect();
    let document = json!({ "subject": options.subject, "alt_names": names });
    make(context, &options.key, "csr", &document, options.output.as_ref()).await
}

async fn issue(context: &Context, options: &Issue) -> Result<Outcome, Failure> {
    let purposes: Vec<String> = options.allow_purposes.iter().map(ToString::to_string).collect();
    let mut document = json!({
        "issuer": text(&options.issuer)?, "request": text(&options.csr)?, "subject": options.subject,
        "days": options.days, "allow_names": options.allow_names, "allow_purposes": purposes,
    });
    say_authority(&mut document, &options.authority);
    make(context, &options.key, "issue", &document, options.output.as_ref()).await
}

async fn openpgp(context: &Context, options: &MakeOpenPgp) -> Result<Outcome, Failure> {
    let document = json!({ "name": options.name, "comment": options.comment, "email": options.email });
    make(context, &options.key, "openpgp", &document, options.output.as_ref()).await
}

/// A file as the API takes it: PEM as it is, else in base64.
fn text(file: &Path) -> Result<String, Failure> {
    let bytes = files::read_small(file)?;
    let pem = std::str::from_utf8(&bytes).ok().filter(|text| text.contains("-----BEGIN "));
    Ok(pem.map_or_else(|| crate::api::base64(&bytes), str::to_owned))
}

/// Asks for a certificate, and writes it.
async fn make(
    context: &Context,
    key: &KeyName,
    what: &str,
    document: &Value,
    output: Option<&PathBuf>,
) -> Result<Outcome, Failure> {
    let api = context.api().await?;
    let answer = api.post(&format!("/keys/{}/{what}", escape(key.as_str())), document).await?;
    let made: Value = answer.json()?;
    let certificate =
        made["certificate"].as_str().ok_or_else(|| Failure::unknown("the server gave no certificate"))?;
    if let Some(path) = output.filter(|path| !files::is_dash(path)) {
        files::write(path, certificate.as_bytes(), Mode::Public)?;
        let log = &made["log"];
        let place = format!("log entry {} of {}", log["index"], log["origin"].as_str().unwrap_or_default());
        context.out.say(&format!("wrote `{}` ({place})", path.display()));
        if !context.out.is_json() {
            return Ok(Outcome::Done);
        }
    }
    context.out.document(&answer.body, |_| certificate.to_owned())?;
    Ok(Outcome::Done)
}

fn show(context: &Context, file: &Path) -> Result<Outcome, Failure> {
    let bytes = files::read_small(file)?;
    let document = read(&bytes).ok_or_else(|| {
        Failure::unknown(format!("`{}` is no certificate, no request and no OpenPGP key", file.display()))
    })?;
    context.out.value(&document, |document| {
        let fields = [
            ("kind", "/kind"),
            ("subject", "/subject"),
            ("user ids", "/user_ids"),
            ("fingerprint", "/fingerprint"),
            ("issuer", "/issuer"),
            ("serial", "/serial"),
            ("from", "/not_before"),
            ("to", "/not_after"),
            ("authority", "/authority"),
            ("other names", "/alt_names"),
            ("purposes", "/purposes"),
            ("key", "/key_type"),
            ("key id", "/key_id"),
        ];
        let there: Vec<_> = fields.into_iter().filter(|(_, at)| document.pointer(at).is_some()).collect();
        card(document, &there)
    })?;
    Ok(Outcome::Done)
}

/// What a file is, and says.
fn read(bytes: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.contains("-----BEGIN "));
    let certificate = text.map_or_else(|| Certificate::from_der(bytes), Certificate::from_pem);
    if let Ok(certificate) = certificate {
        return Some(of_certificate(&certificate));
    }
    let request = text.map_or_else(|| Csr::from_der(bytes), Csr::from_pem);
    if let Ok(request) = request {
        return Some(of_request(&request));
    }
    OpenPgpCertificate::read(bytes).ok().map(|key| of_openpgp(&key))
}

fn of_certificate(certificate: &Certificate) -> Value {
    json!({
        "kind": "certificate",
        "subject": certificate.subject().to_string(),
        "issuer": certificate.issuer().to_string(),
        "serial": hex::encode(certificate.serial()),
        "not_before": certificate.not_before().to_string(),
        "not_after": certificate.not_after().to_string(),
        "authority": certificate.is_authority(),
        "alt_names": texts(certificate.alt_names()),
        "purposes": texts(certificate.purposes()),
        "key_type": certificate.public_key().key_type().to_string(),
        "key_id": certificate.public_key().id().to_string(),
    })
}

fn of_request(request: &Csr) -> Value {
    json!({
        "kind": "request",
        "subject": request.subject().to_string(),
        "authority": request.wants_authority(),
        "alt_names": texts(request.alt_names()),
        "purposes": texts(request.purposes()),
        "key_type": request.public_key().key_type().to_string(),
        "key_id": request.public_key().id().to_string(),
    })
}

fn of_openpgp(key: &OpenPgpCertificate) -> Value {
    let public = key.primary().public();
    json!({
        "kind": "openpgp",
        "fingerprint": key.fingerprint().to_string(),
        "user_ids": key.user_ids().collect::<Vec<_>>(),
        "key_type": public.key_type().to_string(),
        "key_id": public.id().to_string(),
    })
}

fn texts(items: &[impl ToString]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}
