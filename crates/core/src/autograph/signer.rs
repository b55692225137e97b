//! A signer: which key, what it makes, and whether a client may have it made.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_model::{Action, Format, HashAlg, KeyType, Scheme};
use countersign_openpgp::detached;
use serde::Serialize;

use super::Error;
use super::chain::x5u_of;
use super::client::Client;
use super::settings::{Kind, OpenPgpMode, Padding, SignerSettings};
use crate::caller::Caller;
use crate::context::Context;
use crate::pipeline::{self, Admitted};
use crate::snapshot::{Key, KeyState};

/// What an answer says of the signer.
#[derive(Clone, Debug)]
pub struct Described {
    /// Its id.
    pub id: String,
    /// Its type.
    pub kind: &'static str,
    /// How it signs.
    pub mode: &'static str,
    /// The public key: base64 of SubjectPublicKeyInfo in DER, or an armored certificate.
    pub public_key: String,
    /// Where the certificate chain is; for content signatures never absent, but maybe empty.
    pub x5u: Option<String>,
    /// What a verifier of RSA needs.
    pub options: Option<RsaOptions>,
}

/// How an RSA signature was made, in the original's numbers.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RsaOptions {
    /// Bytes of the salt, with PSS.
    #[serde(rename = "SaltLength", skip_serializing_if = "Option::is_none")]
    pub salt_length: Option<usize>,
    /// 5 is SHA-256, 6 is SHA-384, 7 is SHA-512.
    #[serde(rename = "Hash")]
    pub hash: u8,
}

/// A key, and what is made with it.
#[derive(Clone)]
pub(super) struct Signer {
    pub(super) id: String,
    pub(super) key: Arc<Key>,
    pub(super) kind: Kind,
    x5u: Option<String>,
}

impl Signer {
    /// `None` for a key of a type that no signer has.
    fn new(id: String, key: Arc<Key>, kind: Option<Kind>, x5u: Option<String>) -> Option<Self> {
        let kind = match (kind, key.key_type) {
            (Some(kind), _) => kind,
            (None, KeyType::P256 | KeyType::P384 | KeyType::P521) => Kind::Content { pki: false },
            (None, KeyType::Rsa(_)) => Kind::Rsa(Padding::Pkcs15, HashAlg::Sha256),
            (None, KeyType::Ed25519 | KeyType::Secp256k1) => return None,
        };
        Some(Self { id, key, kind, x5u })
    }

    /// One of the configuration; `None` if its key is not there.
    pub(super) fn configured(ctx: &Context, settings: &SignerSettings) -> Option<Self> {
        let SignerSettings { id, key, kind, x5u } = settings;
        Self::new(id.clone(), ctx.cache.key(key)?, kind.clone(), x5u.clone())
    }

    /// A native key under its own name; `None` for a type that signs nothing here.
    pub(super) fn native(key: Arc<Key>) -> Option<Self> {
        Self::new(key.name.to_string(), key, None, None)
    }

    /// What data are signed with; `None` if the key has no such scheme.
    pub(super) fn scheme(&self) -> Option<Scheme> {
        let scheme = match &self.kind {
            Kind::Content { .. } => self.key.key_type.default_scheme(),
            Kind::Rsa(Padding::Pkcs15, hash) => Scheme::RsaPkcs1(*hash),
            Kind::Rsa(Padding::Pss, hash) => Scheme::RsaPss(*hash),
            Kind::OpenPgp(..) => detached::scheme_for(self.key.key_type)?,
        };
        scheme.fits(self.key.key_type).then_some(scheme)
    }

    /// How signatures of data are written.
    pub(super) fn format(&self) -> Format {
        match &self.kind {
            Kind::Content { .. } => Format::ContentSignature,
            Kind::Rsa(..) => Format::Raw,
            Kind::OpenPgp(..) => Format::Openpgp,
        }
    }

    /// Whether `caller` may have data signed by it now.
    pub(super) fn is_open_to(&self, ctx: &Context, caller: &Caller) -> bool {
        let Some(scheme) = self.scheme() else { return false };
        let (key, format) = (&self.key, self.format());
        let listed = key.formats.as_ref().is_none_or(|formats| formats.contains(&format));
        key.state == KeyState::Active && listed && self.is_allowed(ctx, caller, scheme, format)
    }

    /// Whether `caller` may have anything signed by it, data or hashes; maybe not now.
    pub(super) fn is_for(&self, ctx: &Context, caller: &Caller) -> bool {
        let allowed = |scheme, format| self.is_allowed(ctx, caller, scheme, format);
        self.scheme().is_some_and(|scheme| allowed(scheme, self.format()))
            || self.key.key_type.schemes().into_iter().any(|scheme| {
                // Of a hash or of data in the form of 2016, the client says which scheme it is.
                allowed(scheme, self.format()) || allowed(scheme, Format::Raw)
            })
    }

    fn is_allowed(&self, ctx: &Context, caller: &Caller, scheme: Scheme, format: Format) -> bool {
        let current = ctx.cache.policy();
        caller.ask(Action::KeySign, &self.key.resource, Some(format), Some(scheme), |ask| {
            current.policy.decide(ask).is_ok()
        })
    }

    /// As [`pipeline::admit`].
    ///
    /// # Errors
    /// [`Error::NotForYou`] without permission; [`Error::Core`] for a key that is retired, revoked, or signs no
    /// such format.
    pub(super) fn admit(
        &self,
        ctx: &Context,
        client: &Client<'_>,
        scheme: Scheme,
        format: Format,
    ) -> Result<Admitted, Error> {
        let admitted =
            pipeline::admit_key(ctx, client.caller, Arc::clone(&self.key), Some(scheme), |_| format);
        admitted.map_err(|error| match error {
            crate::Error::NotPermitted { .. } => client.may_not(&self.id),
            other => Error::Core(other),
        })
    }

    /// What an answer says of it.
    pub(super) fn describe(&self, ctx: &Context) -> Described {
        let spki = || STANDARD.encode(&self.key.spki);
        let chain = || self.x5u.clone().or_else(|| x5u_of(ctx, &self.key.name));
        let (kind, mode, public_key, x5u, options) = match &self.kind {
            Kind::Content { pki } => {
                let kept = x5u_of(ctx, &self.key.name).is_some();
                let kind = if *pki || kept { "contentsignaturepki" } else { "contentsignature" };
                (kind, curve_mode(self.key.key_type), spki(), Some(chain().unwrap_or_default()), None)
            }
            Kind::Rsa(padding, hash) => {
                let (mode, salt_length) = match padding {
                    Padding::Pkcs15 => ("pkcs15", None),
                    Padding::Pss => ("pss", Some(hash.digest_len())),
                };
                ("genericrsa", mode, spki(), None, Some(RsaOptions { salt_length, hash: number(*hash) }))
            }
            Kind::OpenPgp(mode, certificate) => {
                let mode = match mode {
                    OpenPgpMode::Gpg2 => "gpg2",
                    OpenPgpMode::Debsign => "debsign",
                };
                ("gpg2", mode, certificate.to_armored(), None, None)
            }
        };
        Described { id: self.id.clone(), kind, mode, public_key, x5u, options }
    }
}

/// The original's name of a curve.
fn curve_mode(key_type: KeyType) -> &'static str {
    match key_type {
        KeyType::P256 => "p256ecdsa",
        KeyType::P521 => "p521ecdsa",
        _ => "p384ecdsa",
    }
}

/// The number of a hash in Go's `crypto` package.
fn number(hash: HashAlg) -> u8 {
    match hash {
        HashAlg::Sha256 => 5,
        HashAlg::Sha384 => 6,
        HashAlg::Sha512 => 7,
    }
}
