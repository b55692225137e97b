//! Signature packets in the making: everything but the bare signature.

use countersign_model::digest::Hasher;
use countersign_model::public_key::VerifyError;
use countersign_model::{Digest, RawSignature, Scheme, ToSign};

use crate::material::{Issuer, algorithm, to_sign, write_signature};
use crate::packet;
use crate::subpacket;

/// A signature packet that lacks its last field.
#[derive(Clone, Debug)]
pub(crate) struct Unsigned {
    issuer: Issuer,
    scheme: Scheme,
    to_sign: ToSign,
    /// From the version to the end of the hashed subpackets.
    hashed: Vec<u8>,
    left_bits: [u8; 2],
}

/// The number of SHA-512 (RFC 4880, 9.4).
const SHA512: u8 = 10;

impl Unsigned {
    /// `subject` has hashed what the signature is about; `more` are further hashed subpackets.
    pub(crate) fn prepare(
        issuer: &Issuer,
        scheme: Scheme,
        signature_type: u8,
        created: u32,
        more: &[(u8, &[u8])],
        mut subject: Hasher,
    ) -> (ToSign, Self) {
        let mut area = Vec::new();
        let fingerprint = [&[4], issuer.fingerprint.as_bytes().as_slice()].concat();
        subpacket::write(subpacket::ISSUER_FINGERPRINT, &fingerprint, &mut area);
        subpacket::write(subpacket::CREATED, &created.to_be_bytes(), &mut area);
        for (kind, content) in more {
            subpacket::write(*kind, content, &mut area);
        }
        let algorithm = algorithm(issuer.public.key_type()).unwrap_or_default();
        let mut hashed = vec![4, signature_type, algorithm, SHA512];
        hashed.extend_from_slice(&(area.len() as u16).to_be_bytes());
        hashed.extend_from_slice(&area);

        subject.update(&hashed);
        subject.update(&trailer(hashed.len()));
        let digest = subject.finish();
        let left_bits = left_bits(&digest);
        let to_sign = to_sign(scheme, digest);
        (to_sign.clone(), Self { issuer: issuer.clone(), scheme, to_sign, hashed, left_bits })
    }

    pub(crate) fn scheme(&self) -> Scheme {
        self.scheme
    }

    pub(crate) fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    pub(crate) fn finish(self, raw: &RawSignature) -> Result<Vec<u8>, VerifyError> {
        self.issuer.public.verify(self.scheme, &self.to_sign, raw)?;
        let mut body = self.hashed;
        let mut unhashed = Vec::new();
        subpacket::write(subpacket::ISSUER, &self.issuer.fingerprint.key_id(), &mut unhashed);
        body.extend_from_slice(&(unhashed.len() as u16).to_be_bytes());
        body.extend_from_slice(&unhashed);
        body.extend_from_slice(&self.left_bits);
        write_signature(self.issuer.public.key_type(), raw, &mut body);
        let mut packet = Vec::with_capacity(body.len() + 3);
        packet::write(packet::SIGNATURE, &body, &mut packet);
        Ok(packet)
    }
}

/// What is hashed last: version, a mark, and how many bytes of the signature were hashed (RFC 4880, 5.2.4).
pub(crate) fn trailer(hashed: usize) -> [u8; 6] {
    let [a, b, c, d] = (hashed as u32).to_be_bytes();
    [4, 0xff, a, b, c, d]
}

pub(crate) fn left_bits(digest: &Digest) -> [u8; 2] {
    [digest.as_bytes()[0], digest.as_bytes()[1]]
}
