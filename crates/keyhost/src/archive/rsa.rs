//! RSA keys between GnuPG's numbers and PKCS#1 (RFC 8017, A.1.2).

use countersign_model::pem;
use der::asn1::UintRef;
use der::{Decode as _, Encode as _};
use zeroize::Zeroizing;

use crate::soft::{ImportError, RsaPrivateKey, SoftKey};

/// The numbers of a private key, big-endian; `u` is the inverse of `p` modulo `q`.
#[derive(Clone, Copy)]
pub(super) struct Numbers<'a> {
    pub(super) n: &'a [u8],
    pub(super) e: &'a [u8],
    pub(super) d: &'a [u8],
    pub(super) p: &'a [u8],
    pub(super) q: &'a [u8],
    pub(super) u: &'a [u8],
}

/// Bytes of the largest modulus that is accepted.
const MAX_BYTES: usize = 1024;

/// The key with these numbers. PKCS#1 has the inverse the other way round, so the primes change places.
///
/// # Errors
/// [`ImportError`]: the library checks that the numbers belong together.
pub(super) fn from_numbers(numbers: &Numbers<'_>) -> Result<SoftKey, ImportError> {
    let malformed = |e: der::Error| ImportError::Malformed(e.to_string());
    // A remainder costs the product of both lengths: what no key has is not computed.
    if [numbers.n, numbers.e, numbers.d, numbers.u].iter().any(|number| number.len() > MAX_BYTES)
        || [numbers.p, numbers.q].iter().any(|prime| prime.len() > MAX_BYTES / 2 + 1)
    {
        return Err(ImportError::Unsupported(format!("RSA with more than {} bits", 8 * MAX_BYTES)));
    }
    let odd = |prime: &[u8]| prime.last().is_some_and(|b| b & 1 == 1);
    if !odd(numbers.p) || !odd(numbers.q) {
        return Err(ImportError::Malformed("the primes are even".into()));
    }
    let exponent1 = remainder(numbers.d, &less_one(numbers.q));
    let exponent2 = remainder(numbers.d, &less_one(numbers.p));
    let uint = |bytes| UintRef::new(bytes).map_err(malformed);
    let key = RsaPrivateKey {
        version: 0,
        modulus: uint(numbers.n)?,
        public_exponent: uint(numbers.e)?,
        private_exponent: uint(numbers.d)?,
        prime1: uint(numbers.q)?,
        prime2: uint(numbers.p)?,
        exponent1: uint(&exponent1)?,
        exponent2: uint(&exponent2)?,
        coefficient: uint(numbers.u)?,
    };
    let der = Zeroizing::new(key.to_der().map_err(malformed)?);
    SoftKey::from_pem(&Zeroizing::new(pem::encode("RSA PRIVATE KEY", &der)), None)
}

/// Hands the numbers of a key in PKCS#8 to `use_them`; `None` if it is not an RSA key.
pub(super) fn with_numbers<T>(pkcs8: &[u8], use_them: impl FnOnce(&Numbers<'_>) -> T) -> Option<T> {
    let info = pkcs8::PrivateKeyInfoRef::try_from(pkcs8).ok()?;
    let key = RsaPrivateKey::from_der(info.private_key.as_bytes()).ok()?;
    Some(use_them(&Numbers {
        n: key.modulus.as_bytes(),
        e: key.public_exponent.as_bytes(),
        d: key.private_exponent.as_bytes(),
        p: key.prime2.as_bytes(),
        q: key.prime1.as_bytes(),
        u: key.coefficient.as_bytes(),
    }))
}

/// An odd number less one.
fn less_one(odd: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut less = Zeroizing::new(odd.to_vec());
    if let Some(last) = less.last_mut() {
        *last &= 0xfe;
    }
    less
}

/// `number` modulo `modulus`, by shifting bit by bit. The subtraction is always done and taken or not by a
/// mask, so that the time does not depend on the digits.
fn remainder(number: &[u8], modulus: &[u8]) -> Zeroizing<Vec<u8>> {
    // One octet more than the modulus, for the bit that shifting brings.
    let width = modulus.len() + 1;
    let mut rest = Zeroizing::new(vec![0u8; width]);
    let mut less = Zeroizing::new(vec![0u8; width]);
    for bit in number.iter().flat_map(|byte| (0..8).rev().map(move |i| byte >> i & 1)) {
        let mut carry = bit;
        for octet in rest.iter_mut().rev() {
            let next = *octet >> 7;
            *octet = *octet << 1 | carry;
            carry = next;
        }
        let mut borrow = 0i16;
        for i in (0..width).rev() {
            let subtrahend = if i == 0 { 0 } else { modulus[i - 1] };
            let difference = i16::from(rest[i]) - i16::from(subtrahend) - borrow;
            borrow = difference >> 8 & 1;
            less[i] = difference as u8;
        }
        // All ones when the difference is not negative.
        let take = (borrow as u8).wrapping_sub(1);
        for (octet, smaller) in rest.iter_mut().zip(less.iter()) {
            *octet = *octet & !take | smaller & take;
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_model::KeyType;
    use countersign_model::key::PrivateKey as _;

    #[test]
    fn the_remainder_is_that_of_division() {
        for (number, modulus) in [
            (0u128, 1u64),
            (1, 1),
            (1000, 7),
            (u128::MAX, 3),
            (u128::MAX, u64::MAX),
            (u128::MAX - 5, 0x8000_0000_0000_0001),
        ] {
            let got = remainder(&number.to_be_bytes(), &modulus.to_be_bytes());
            let got = got.iter().fold(0u128, |n, b| n << 8 | u128::from(*b));
            assert_eq!(got, number % u128::from(modulus), "{number} mod {modulus}");
        }
    }

    #[test]
    fn numbers_that_no_key_has_cost_nothing() {
        let huge = vec![0xff; 900_000];
        let started = std::time::Instant::now();
        let small = Numbers { n: &[3], e: &[3], d: &[3], p: &[3], q: &[3], u: &[3] };
        for numbers in
            [Numbers { d: &huge, ..small }, Numbers { p: &huge, ..small }, Numbers { n: &huge, ..small }]
        {
            assert!(from_numbers(&numbers).is_err());
        }
        assert!(started.elapsed().as_secs() < 2);
    }

    #[test]
    fn a_key_survives_the_way_through_its_numbers() {
        let key = SoftKey::generate(KeyType::Rsa(2048)).unwrap();
        let again = with_numbers(&key.to_pkcs8().unwrap(), from_numbers).unwrap().unwrap();
        assert_eq!(again.public(), key.public());
        let refused = with_numbers(&key.to_pkcs8().unwrap(), |n| {
            let mut d = n.d.to_vec();
            d[20] ^= 1;
            from_numbers(&Numbers { d: &d, ..*n }).is_err()
        });
        assert_eq!(refused, Some(true), "numbers that do not belong together");
    }
}
