//! Who asks: a Hawk pair's secret over this request, which was never answered before.
//!
//! The secret stays in the key host, which compares the MAC. Everything but what the body says is judged before the
//! body is read, so that only who has a secret can send a large one.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_model::hawk::{Header, PayloadHasher, Target};
use countersign_store::HawkRequest;

use super::{Autograph, Error};
use crate::caller::Identity;
use crate::context::Context;
use crate::snapshot::{TokenEntry, TokenSecret};

/// A request as it was sent, without its body.
pub struct Presented<'a> {
    /// The `Authorization` header.
    pub header: &'a Header,
    /// The request by every name that the server has: at most four.
    pub targets: &'a [Target],
}

/// That a request is by who has the secret, and from now. Whether its body is the one that was signed is to be asked
/// yet ([`Autograph::check_body`]), and then whether it is a copy ([`Autograph::accept`]); until then nobody is told
/// whose it is.
pub struct Proof {
    /// The Hawk id, as it was sent.
    id: String,
    entry: Arc<TokenEntry>,
    request: HawkRequest,
}

/// One answer for every reason.
const REFUSED: Error = Error::Unauthorized("the request is not signed by a key that is valid here and now");

impl Autograph {
    /// Judges everything but the body.
    ///
    /// # Errors
    /// [`Error::Unauthorized`], the same and after the same work for an unknown id, a wrong MAC and a time that is
    /// not now; when the key host does not answer.
    pub async fn authenticate(&self, ctx: &Context, shown: Presented<'_>) -> Result<Proof, Error> {
        let Presented { header, targets } = shown;
        let now = ctx.now();
        let id = self.settings.pair_of(&header.id);
        let entry = {
            let snapshot = ctx.cache.read();
            let entry = snapshot.tokens.get(id).filter(|entry| snapshot.counts(entry, now));
            entry.filter(|entry| matches!(entry.secret, TokenSecret::Hawk(_))).cloned()
        };
        let sealed = entry.as_ref().and_then(|entry| match &entry.secret {
            TokenSecret::Hawk(sealed) => Some(sealed.as_slice()),
            TokenSecret::Hash(_) => None,
        });
        let texts = targets.iter().map(|target| header.covered(target).into_bytes()).collect();
        // The header's form was checked when it was read.
        let mac = STANDARD.decode(header.mac()).unwrap_or_default();
        let same = ctx.key_host.check_mac(id, sealed, texts, &mac).await.map_err(crate::Error::from)?;

        let stamped = i64::try_from(header.ts()).unwrap_or(i64::MAX);
        let skew = now.as_second().abs_diff(stamped);
        match entry.filter(|_| same && skew <= u64::from(self.settings.skew_seconds)) {
            None => Err(REFUSED),
            Some(entry) => Ok(Proof {
                id: header.id.clone(),
                request: HawkRequest { stamped, id: id.to_owned(), nonce: header.nonce().to_owned() },
                entry,
            }),
        }
    }

    /// Claims the request: of its copies only one is ever accepted, on all nodes and across restarts. Gives the Hawk
    /// id as it was sent, and whose it is.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] for a copy; when the database does not answer.
    pub async fn accept(&self, ctx: &Context, proof: Proof) -> Result<(String, Arc<Identity>), Error> {
        let Proof { id, entry, request } = proof;
        if !self.claims.claim(ctx, request).await? {
            return Err(REFUSED);
        }
        entry.touch(ctx.now());
        Ok((id, Arc::clone(&entry.identity)))
    }

    /// Judges a body that has arrived.
    ///
    /// - `content_type`: of the body; empty if none is said.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] if it is not the one that the header's hash is of.
    pub fn check_body(header: &Header, content_type: &str, body: &[u8]) -> Result<(), Error> {
        let mut hasher = PayloadHasher::new(content_type);
        hasher.update(body);
        if header.hash() == Some(hasher.finish().as_str()) { Ok(()) } else { Err(REFUSED) }
    }
}
