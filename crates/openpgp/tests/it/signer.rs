//! Private keys in the place of the key host.

use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
    EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA512, RsaKeyPair,
};
use countersign_model::public_key::{backend_digest, ecdsa_digest};
use countersign_model::{KeyType, PublicKey, RawSignature, ToSign};
use countersign_openpgp::{Certificate, UserId, detached, key};

pub enum Signer {
    Rsa(RsaKeyPair),
    Ecdsa(KeyType, EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// When the keys of these tests are made.
pub const CREATED: u32 = 1_700_000_000;

impl Signer {
    pub const TYPES: [KeyType; 5] =
        [KeyType::Rsa(2048), KeyType::P256, KeyType::P384, KeyType::P521, KeyType::Ed25519];

    pub fn new(key_type: KeyType) -> Self {
        let ecdsa = |algorithm| Self::Ecdsa(key_type, EcdsaKeyPair::generate(algorithm).unwrap());
        match key_type {
            KeyType::Rsa(_) => Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()),
            KeyType::P256 => ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING),
            KeyType::P384 => ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING),
            KeyType::P521 => ecdsa(&ECDSA_P521_SHA512_FIXED_SIGNING),
            KeyType::Ed25519 => Self::Ed25519(Ed25519KeyPair::generate().unwrap()),
            KeyType::Secp256k1 => unreachable!(),
        }
    }

    pub fn public(&self) -> PublicKey {
        match self {
            Self::Rsa(key) => PublicKey::from_rsa_public_key(key.public_key().as_ref()).unwrap(),
            Self::Ecdsa(key_type, key) => {
                PublicKey::from_point(*key_type, key.public_key().as_ref()).unwrap()
            }
            Self::Ed25519(key) => {
                PublicKey::from_ed25519(key.public_key().as_ref().try_into().unwrap()).unwrap()
            }
        }
    }

    pub fn sign(&self, to_sign: &ToSign) -> RawSignature {
        RawSignature(match (self, to_sign) {
            (Self::Rsa(key), ToSign::Digest(digest)) => {
                let digest = backend_digest(digest.alg(), digest.as_bytes()).unwrap();
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign_digest(&RSA_PKCS1_SHA512, &digest, &mut signature).unwrap();
                signature
            }
            (Self::Ecdsa(key_type, key), ToSign::Digest(digest)) => {
                let digest = ecdsa_digest(*key_type, digest).unwrap();
                key.sign_digest(&digest).unwrap().as_ref().to_vec()
            }
            (Self::Ed25519(key), ToSign::Message(message)) => key.sign(message).as_ref().to_vec(),
            _ => panic!("not what a key of this type signs"),
        })
    }

    pub fn certificate(&self, name: &str) -> Certificate {
        let user = UserId::new(name, "test", "key@example.test").unwrap();
        let (to_sign, pending) = key::prepare(&self.public(), &user, CREATED).unwrap();
        pending.finish(&self.sign(&to_sign)).unwrap()
    }

    pub fn sign_content(&self, certificate: &Certificate, content: &[u8], created: u32) -> Vec<u8> {
        let mut hasher = detached::hasher();
        content.chunks(7).for_each(|piece| hasher.update(piece));
        let (to_sign, pending) = detached::prepare(&certificate.issuer(), hasher, created);
        pending.finish(&self.sign(&to_sign)).unwrap()
    }
}
