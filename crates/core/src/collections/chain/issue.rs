//! The certificates: made by the one way to a key, and checked as a reader does before anybody sees them.

use countersign_model::{Format, KeyName, PublicKey, ToSign};
use countersign_pki::ca::{self, CaError, Leaf, Role};
use countersign_pki::extension::{AltName, Purpose};
use countersign_pki::subject::Subject;
use countersign_pki::x509::{Certificate, Pending, SerialNumber, Validity};
use countersign_verify::collection::{ExpectedName, Trust, check_chain};
use jiff::{SignedDuration, Timestamp};

use crate::collections::signer::keys::by_surface;
use crate::context::Context;
use crate::error::Error;
use crate::pipeline::{self, Order};
use crate::random;

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// How long certificates last. Each begins some days before it is made, since clocks of readers differ; who issues
/// begins earlier than what is issued at the same time.
const ROOT: Lasting = Lasting { before: 3, days: 3652 };
const INTERMEDIATE: Lasting = Lasting { before: 2, days: 730 };
const LEAF: Lasting = Lasting { before: 1, days: 30 };

struct Lasting {
    before: i32,
    days: i32,
}

impl Lasting {
    /// At most as long as the issuer.
    fn validity(&self, now: Timestamp, issuer: Option<&Certificate>) -> Result<Validity, Error> {
        let at = |days: i32| now.checked_add(DAY * days).map_err(|_| impossible(&"the clock is far off"));
        let end = at(self.days)?;
        let end = issuer.map_or(end, |issuer| end.min(issuer.not_after()));
        Validity::new(at(-self.before)?, end).map_err(|error| impossible(&error))
    }
}

/// The root's certificate, signed by itself. `domain`: as in the names of leaves.
pub(super) async fn root(
    ctx: &Context,
    key: &KeyName,
    domain: &str,
    now: Timestamp,
) -> Result<Certificate, Error> {
    let subject = subject(&format!("{domain} content signing root"))?;
    let validity = ROOT.validity(now, None)?;
    let serial = serial()?;
    sign(ctx, key, &subject, |own| ca::prepare_root(&subject, own, serial, validity, None)).await
}

/// The certificate of the authority that issues leaves, and nothing below it.
pub(super) async fn intermediate(
    ctx: &Context,
    root_key: &KeyName,
    root: &Certificate,
    key: &PublicKey,
    domain: &str,
    now: Timestamp,
) -> Result<Certificate, Error> {
    let subject = subject(&format!("{domain} content signing intermediate"))?;
    let leaf = Leaf {
        subject: &subject,
        key,
        serial: serial()?,
        validity: INTERMEDIATE.validity(now, Some(root))?,
        role: Role::Authority { path_length: Some(0) },
        purposes: &[Purpose::CodeSigning],
        alt_names: &[],
    };
    sign(ctx, root_key, &subject, |_| ca::prepare(root, &leaf)).await
}

/// The certificate of a key that signs content.
pub(super) async fn leaf(
    ctx: &Context,
    intermediate_key: &KeyName,
    intermediate: &Certificate,
    key: &PublicKey,
    host: &str,
    now: Timestamp,
) -> Result<Certificate, Error> {
    let name: AltName = format!("dns:{host}").parse().map_err(|_| {
        Error::invalid("collections.chain_domain", format!("`{host}` is no host name to certify"))
    })?;
    // A common name has at most 64 characters; the name that counts is the other one.
    let subject = subject(if host.len() <= 64 { host } else { "content signature" })?;
    let leaf = Leaf {
        subject: &subject,
        key,
        serial: serial()?,
        validity: LEAF.validity(now, Some(intermediate))?,
        role: Role::End,
        purposes: &[Purpose::CodeSigning],
        alt_names: &[name],
    };
    sign(ctx, intermediate_key, &subject, |_| ca::prepare(intermediate, &leaf)).await
}

/// The PEM text of a chain that readers with this root believe at `now`, for this host name.
pub(super) fn checked(certificates: [&Certificate; 3], host: &str, now: Timestamp) -> Result<String, Error> {
    let text: String = certificates.map(Certificate::to_pem).concat();
    let trust = Trust {
        roots: vec![certificates[2].clone()],
        name: Some(ExpectedName::Exactly(host.to_owned())),
        ..Trust::default()
    };
    check_chain(&text, &trust, now).map_err(|error| impossible(&error))?;
    Ok(text)
}

async fn sign(
    ctx: &Context,
    key: &KeyName,
    subject: &Subject,
    prepare: impl FnOnce(&PublicKey) -> Result<(ToSign, Pending), CaError>,
) -> Result<Certificate, Error> {
    let caller = by_surface(ctx);
    let admitted = pipeline::admit(ctx, &caller, key, None, |_| Format::X509)?;
    let public = admitted.key.public()?.clone();
    let (to_sign, pending) = prepare(&public).map_err(|error| impossible(&error))?;
    let subject = Some(subject.to_string().chars().take(256).collect());
    let signed = pipeline::sign(ctx, &caller, Order { admitted, to_sign, input: None, subject }).await?;
    let certificate = pending.finish(signed.signature).map_err(|error| impossible(&error))?;
    certificate.is_signed_by(&public).map_err(|error| impossible(&error))?;
    Ok(certificate)
}

/// The domain is the operator's: what has a meaning in the text form is escaped.
fn subject(common_name: &str) -> Result<Subject, Error> {
    let escaped = common_name.replace('\\', "\\\\").replace('/', "\\/").replace('+', "\\+");
    let shortened: String = escaped.chars().take(64).collect();
    format!("/CN={shortened}")
        .parse()
        .map_err(|error: countersign_pki::subject::SubjectError| impossible(&error))
}

fn serial() -> Result<SerialNumber, Error> {
    Ok(SerialNumber::from_random(random::bytes()?))
}

fn impossible(why: &dyn std::fmt::Display) -> Error {
    Error::Internal(format!("a certificate of a chain cannot be made: {why}"))
}
