//! Keys of people, who sign roots away from the server.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PSS_SHA256, RsaKeyPair,
};
use countersign_model::{KeyType, PublicKey, RawSignature, Scheme};
use countersign_tuf::canonical;
use countersign_tuf::key::{Key, default_id, key_object};
use serde_json::{Value, json};

/// A key with both halves.
pub struct Signer {
    pub keyid: String,
    pub object: Value,
    key: Key,
    secret: Secret,
}

enum Secret {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl Signer {
    /// The same key for the same number.
    pub fn ed25519(number: u8) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[number; 32]).unwrap();
        let public = PublicKey::from_ed25519(pair.public_key().as_ref().try_into().unwrap()).unwrap();
        Self::new(&public, Scheme::Ed25519, Secret::Ed25519(pair))
    }

    /// A new key of the type that metadata calls so.
    pub fn like(keytype: &str, number: u8) -> Self {
        match keytype {
            "ed25519" => Self::ed25519(number),
            "ecdsa" => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
                let public = PublicKey::from_point(KeyType::P256, pair.public_key().as_ref()).unwrap();
                Self::new(&public, "ecdsa-sha256".parse().unwrap(), Secret::P256(pair))
            }
            "rsa" => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
                let public = PublicKey::from_rsa_public_key(pair.public_key().as_ref()).unwrap();
                Self::new(&public, "rsa-pss-sha256".parse().unwrap(), Secret::Rsa(pair))
            }
            other => panic!("{other}"),
        }
    }

    fn new(public: &PublicKey, scheme: Scheme, secret: Secret) -> Self {
        let object = key_object(public, scheme).unwrap();
        let key = Key::from_value(&object).unwrap();
        Self { keyid: default_id(&object).unwrap(), object, key, secret }
    }

    /// The signature over `message`, as it stands in metadata.
    pub fn over(&self, message: &[u8]) -> String {
        let raw = match &self.secret {
            Secret::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Secret::P256(pair) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Secret::Rsa(pair) => {
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PSS_SHA256, &SystemRandom::new(), message, &mut out).unwrap();
                out
            }
        };
        self.key.signature_text(&RawSignature(raw)).unwrap()
    }

    /// The same over the canonical form of `signed`.
    pub fn sign(&self, signed: &Value) -> String {
        self.over(&canonical::encode(signed).unwrap())
    }
}

/// `signed` of a root: these people, of whom `threshold` must sign, and the server's key for all else.
pub fn root(version: u64, people: &[&Signer], threshold: u64, online: &Value) -> Value {
    let online_id = online["keyid"].as_str().unwrap();
    let mut key = online.clone();
    key.as_object_mut().unwrap().remove("keyid");
    let mut keys = json!({online_id: key});
    for person in people {
        keys[&person.keyid] = person.object.clone();
    }
    let ids: Vec<&str> = people.iter().map(|person| person.keyid.as_str()).collect();
    let by_server = json!({"keyids": [online_id], "threshold": 1});
    json!({
        "_type": "root",
        "version": version,
        "spec_version": "1.0.31",
        "expires": "2099-01-01T00:00:00Z",
        "consistent_snapshot": true,
        "keys": keys,
        "roles": {
            "root": {"keyids": ids, "threshold": threshold},
            "timestamp": by_server,
            "snapshot": by_server,
            "targets": by_server,
        },
    })
}

/// Metadata that these people have signed.
pub fn signed_by(signed: &Value, people: &[&Signer]) -> Value {
    let signatures: Vec<Value> =
        people.iter().map(|person| json!({"keyid": person.keyid, "sig": person.sign(signed)})).collect();
    json!({"signatures": signatures, "signed": signed})
}
