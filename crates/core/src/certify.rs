//! Certificates made with keys of the native surface: self-signed ones, requests, those of a small authority,
//! and OpenPGP ones.
//!
//! Nothing of them is kept here: a certificate is a public text, and lies where it is used. What was certified
//! is in the signing log.

use countersign_keyhost::client::LogRef;
use countersign_model::digest::sha256;
use countersign_model::{Format, KeyId, KeyName, RequestId, Scheme, ToSign};
use countersign_openpgp::{UserId, key as openpgp};
use countersign_pki::ca::{self, CaError, Leaf, NameRule, Role, Rules};
use countersign_pki::csr::{self, Csr, CsrError};
use countersign_pki::extension::{AltName, Purpose};
use countersign_pki::subject::Subject;
use countersign_pki::x509::{self, Certificate, SerialNumber, Validity, X509Error};
use serde::{Serialize, Serializer};

use crate::caller::Caller;
use crate::context::Context;
use crate::error::Error;
use crate::pipeline::{self, Admitted, Order};
use crate::random;
use crate::signing::LogDocument;
use crate::signing::format::{admit, seconds};

/// What was certified. Serialises as the API's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Certified {
    /// The key that signed.
    pub key: KeyName,
    /// Its id.
    pub key_id: KeyId,
    /// The scheme.
    pub scheme: Scheme,
    /// A PEM text, or an armored OpenPGP key.
    pub certificate: String,
    /// Its entry in the log.
    #[serde(serialize_with = "log_document")]
    pub log: LogRef,
    /// The request.
    pub request_id: RequestId,
}

fn log_document<S: Serializer>(log: &LogRef, serializer: S) -> Result<S::Ok, S::Error> {
    LogDocument::from(log).serialize(serializer)
}

/// A certificate that a key signs for itself.
#[derive(Clone, Debug)]
pub struct SelfSign {
    /// The key.
    pub key: KeyName,
    /// Whose key it is.
    pub subject: Subject,
    /// Days of validity, from now on.
    pub days: u32,
    /// What it says.
    pub profile: Profile,
}

/// What a self-signed certificate says that it is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// What `openssl req -x509` says: an authority, and nothing about the key's usage. For boot loaders, kernels
    /// and everybody who believes the certificate itself.
    #[default]
    Plain,
    /// The root of a small authority.
    Authority {
        /// The number of authorities that may stand below it; `None`: any.
        path_length: Option<u8>,
    },
}

/// Makes a self-signed certificate.
///
/// # Errors
/// As for any signature, in format `x509`; [`Error::NotSignable`] for a subject or days that cannot be.
pub async fn self_sign(ctx: &Context, caller: &Caller, order: SelfSign) -> Result<Certified, Error> {
    let admitted = admit(ctx, caller, &order.key, None, Format::X509)?;
    let key = admitted.key.public()?.clone();
    let serial = SerialNumber::from_random(random::bytes()?);
    let validity = Validity::days(ctx.now(), order.days).map_err(|e| of_x509("days", &e))?;
    let (to_sign, pending) = match order.profile {
        Profile::Plain => {
            x509::prepare(&order.subject, &key, serial, validity).map_err(|e| of_x509("subject", &e))?
        }
        Profile::Authority { path_length } => {
            ca::prepare_root(&order.subject, &key, serial, validity, path_length)
                .map_err(|e| of_ca("subject", &e))?
        }
    };
    let answer = Answer::new(&admitted);
    let raw = sign(ctx, caller, admitted, to_sign, None, &order.subject.to_string()).await?;
    let certificate = pending.finish(raw.signature).map_err(unverified)?;
    certificate.is_signed_by(&key).map_err(unverified)?;
    Ok(answer.with(certificate.to_pem(), raw.log, caller))
}

/// A request to be certified by somebody else.
#[derive(Clone, Debug)]
pub struct MakeRequest {
    /// The key to be certified.
    pub key: KeyName,
    /// The name asked for.
    pub subject: Subject,
    /// The other names asked for.
    pub alt_names: Vec<AltName>,
}

/// Makes a certificate request (CSR, RFC 2986).
///
/// # Errors
/// As for any signature, in format `x509`.
pub async fn request(ctx: &Context, caller: &Caller, order: MakeRequest) -> Result<Certified, Error> {
    let admitted = admit(ctx, caller, &order.key, None, Format::X509)?;
    let key = admitted.key.public()?.clone();
    let (to_sign, pending) =
        csr::prepare(&order.subject, &key, &order.alt_names).map_err(|e| of_csr("subject", &e))?;
    let answer = Answer::new(&admitted);
    let raw = sign(ctx, caller, admitted, to_sign, None, &order.subject.to_string()).await?;
    // Finishing checks the proof of possession.
    let request = pending.finish(raw.signature).map_err(unverified)?;
    Ok(answer.with(request.to_pem(), raw.log, caller))
}

/// A certificate to be issued for a request.
#[derive(Clone, Debug)]
pub struct Issue {
    /// The authority's key.
    pub key: KeyName,
    /// The authority's certificate.
    pub issuer: Certificate,
    /// The request, whose key is certified.
    pub request: Csr,
    /// Whose key it is: the issuer's word, not the request's.
    pub subject: Subject,
    /// Days of validity, from now on.
    pub days: u32,
    /// An authority gets no other names and no purposes.
    pub role: Role,
    /// Other names that the request may have. Each that it has is certified.
    pub names: Vec<NameRule>,
    /// Purposes that the request may have. Each that it has is certified.
    pub purposes: Vec<Purpose>,
}

/// Issues a certificate.
///
/// # Errors
/// As for any signature, in format `x509`; [`Error::NotSignable`] for what the authority's certificate does not
/// allow, and for a request that asks for more than it may.
pub async fn issue(ctx: &Context, caller: &Caller, order: Issue) -> Result<Certified, Error> {
    let admitted = admit(ctx, caller, &order.key, None, Format::X509)?;
    if order.issuer.public_key() != admitted.key.public()? {
        let why = "the issuer's certificate is not of the key that shall sign";
        return Err(Error::NotSignable { member: "issuer", why: why.into(), hint: "give the key's own" });
    }
    let validity = Validity::days(ctx.now(), order.days).map_err(|e| of_x509("days", &e))?;
    let (alt_names, purposes) = granted(&order, validity)?;
    let leaf = Leaf {
        subject: &order.subject,
        key: order.request.public_key(),
        serial: SerialNumber::from_random(random::bytes()?),
        validity,
        role: order.role,
        purposes,
        alt_names,
    };
    let (to_sign, pending) = ca::prepare(&order.issuer, &leaf).map_err(|e| of_ca("issuer", &e))?;
    let answer = Answer::new(&admitted);
    let input = Some(sha256(order.request.der()));
    let raw = sign(ctx, caller, admitted, to_sign, input, &order.subject.to_string()).await?;
    let certificate = pending.finish(raw.signature).map_err(unverified)?;
    ca::verify(&certificate, &order.issuer, validity.not_before()).map_err(unverified)?;
    Ok(answer.with(certificate.to_pem(), raw.log, caller))
}

/// What of a request is granted. An authority's request is for a key and nothing else.
fn granted(order: &Issue, validity: Validity) -> Result<(&[AltName], &[Purpose]), Error> {
    if let Role::Authority { .. } = order.role {
        return Ok((&[], &[]));
    }
    let rules = Rules { max_days: order.days, names: order.names.clone(), purposes: order.purposes.clone() };
    rules.check(&order.request, validity).map_err(|e| of_ca("request", &e))?;
    Ok((order.request.alt_names(), order.request.purposes()))
}

/// Makes an OpenPGP certificate of a key: its public half, one user id, and its own word that both belong
/// together. Each time is another one, with another fingerprint: the fingerprint covers the time.
///
/// # Errors
/// As for any signature, in format `openpgp`.
pub async fn openpgp_key(
    ctx: &Context,
    caller: &Caller,
    key: &KeyName,
    user_id: &UserId,
) -> Result<Certified, Error> {
    let admitted = admit(ctx, caller, key, None, Format::Openpgp)?;
    let (to_sign, pending) = openpgp::prepare(admitted.key.public()?, user_id, seconds(ctx.now())?)
        .map_err(|e| Error::invalid("key", e.to_string()))?;
    let fingerprint = pending.fingerprint().to_string();
    let answer = Answer::new(&admitted);
    let raw = sign(ctx, caller, admitted, to_sign, None, &fingerprint).await?;
    // Finishing verifies the certification.
    let certificate = pending.finish(&raw.signature).map_err(unverified)?;
    Ok(answer.with(certificate.to_armored(), raw.log, caller))
}

/// What an answer says about the key.
struct Answer {
    key: KeyName,
    key_id: KeyId,
    scheme: Scheme,
}

impl Answer {
    fn new(admitted: &Admitted) -> Self {
        let key = &admitted.key;
        Self { key: key.name.clone(), key_id: key.id.clone(), scheme: admitted.scheme }
    }

    fn with(self, certificate: String, log: LogRef, caller: &Caller) -> Certified {
        let Self { key, key_id, scheme } = self;
        Certified { key, key_id, scheme, certificate, log, request_id: caller.request_id.clone() }
    }
}

async fn sign(
    ctx: &Context,
    caller: &Caller,
    admitted: Admitted,
    to_sign: ToSign,
    input: Option<[u8; 32]>,
    subject: &str,
) -> Result<countersign_keyhost::client::SignedRef, Error> {
    let subject = Some(subject.chars().take(256).collect());
    pipeline::sign(ctx, caller, Order { admitted, to_sign, input, subject }).await
}

fn of_x509(member: &'static str, error: &X509Error) -> Error {
    Error::NotSignable { member, why: error.to_string(), hint: error.hint() }
}

fn of_ca(member: &'static str, error: &CaError) -> Error {
    Error::NotSignable { member, why: error.to_string(), hint: error.hint() }
}

fn of_csr(member: &'static str, error: &CsrError) -> Error {
    Error::NotSignable { member, why: error.to_string(), hint: error.hint() }
}

fn unverified(why: impl std::fmt::Display) -> Error {
    Error::Internal(format!("the certificate that was made does not verify: {why}"))
}
