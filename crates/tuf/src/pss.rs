//! RSASSA-PSS with a salt of any length (RFC 8017, 8.1.2 and 9.1.2).
//!
//! The library that checks signatures elsewhere wants a salt as long as the digest. Signers of TUF metadata have
//! used the longest one that fits, and their clients find the length in the signature. Only public values are
//! worked on, so nothing here needs constant time.

use countersign_model::digest::Hasher;
use countersign_model::{Digest, HashAlg, PublicKey};
use num_bigint::BigUint;

/// Whether `signature` is one over `digest` by `key`, MGF1 with the digest's own hash.
pub(crate) fn is_valid(key: &PublicKey, digest: &Digest, signature: &[u8]) -> bool {
    let Some((modulus, exponent)) = key.rsa_components() else { return false };
    // An exponent of more than 64 bits is nobody's, and raising to it would take long.
    if signature.len() != modulus.len() || exponent.len() > 8 {
        return false;
    }
    let modulus = BigUint::from_bytes_be(&modulus);
    let s = BigUint::from_bytes_be(signature);
    if s >= modulus {
        return false;
    }
    let bits = modulus.bits() as usize - 1;
    let message = s.modpow(&BigUint::from_bytes_be(&exponent), &modulus).to_bytes_be();
    let Some(padding) = bits.div_ceil(8).checked_sub(message.len()) else { return false };
    let encoded = [vec![0; padding], message].concat();
    is_encoding_of(&encoded, bits, digest)
}

/// EMSA-PSS-VERIFY with the length of the salt found in the padding. `bits`: emBits.
fn is_encoding_of(encoded: &[u8], bits: usize, digest: &Digest) -> bool {
    let width = digest.alg().digest_len();
    let Some((db_width, b"\xbc")) =
        encoded.len().checked_sub(width + 1).map(|db_width| (db_width, &encoded[encoded.len() - 1..]))
    else {
        return false;
    };
    let (masked, hash) = (&encoded[..db_width], &encoded[db_width..db_width + width]);
    let unused = 8 * encoded.len() - bits;
    let Some(first) = masked.first() else { return false };
    if u32::from(*first) >> (8 - unused) != 0 {
        return false;
    }
    let mask = mgf1(digest.alg(), hash, db_width);
    let mut block: Vec<u8> = masked.iter().zip(mask).map(|(a, b)| a ^ b).collect();
    block[0] &= u8::MAX >> unused;
    let Some(one) = block.iter().position(|byte| *byte != 0) else { return false };
    if block[one] != 1 {
        return false;
    }
    let mut again = Hasher::new(digest.alg());
    again.update(&[0; 8]);
    again.update(digest.as_bytes());
    again.update(&block[one + 1..]);
    again.finish().as_bytes() == hash
}

/// RFC 8017, B.2.1.
fn mgf1(alg: HashAlg, seed: &[u8], len: usize) -> Vec<u8> {
    let mut mask = Vec::with_capacity(len + alg.digest_len());
    for counter in 0u32.. {
        if mask.len() >= len {
            break;
        }
        let mut hasher = Hasher::new(alg);
        hasher.update(seed);
        hasher.update(&counter.to_be_bytes());
        mask.extend_from_slice(hasher.finish().as_bytes());
    }
    mask.truncate(len);
    mask
}
