//! Public keys in metadata, their ids, and the signatures made with them (specification 4.2).

use countersign_model::public_key::PublicKeyError;
use countersign_model::{Encoding, HashAlg, KeyType, PublicKey, RawSignature, Scheme, ToSign};
use serde_json::{Value, json};

use crate::canonical;
use crate::metadata::MetadataError;
use crate::pss;
use crate::shape::{bad, object, object_member, text};

/// A key as it stands in `keys` of a root or of delegations.
///
/// A key that we cannot use (another type, or a public value that cannot be read) is a key nevertheless: it has
/// an id, it can be told from others, and its signatures verify nothing. So metadata with such a key can be
/// read, and its other keys count. [`Key::usable`] says what is wrong.
#[derive(Clone, Debug)]
pub struct Key {
    keytype: String,
    scheme: String,
    material: Result<Material, KeyError>,
    value: PublicValue,
}

#[derive(Clone, Debug)]
struct Material {
    public: PublicKey,
    scheme: Scheme,
}

/// What two keys are compared by: not the id, which the author of metadata chooses, and not the PEM text, which
/// can be wrapped in several ways, but the public key itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicValue(Vec<u8>);

/// Why a key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The public value is not 64 hex digits.
    #[error("the public value of an ed25519 key is 64 hex digits")]
    Hex,
    /// The public value is not PEM of a key.
    #[error("the public value is not a key in PEM: {0}")]
    Pem(#[from] PublicKeyError),
    /// The public value is a key of another type or curve.
    #[error("the public value is a key of type `{got}`, which does not fit `{scheme}`")]
    Mismatch {
        /// What the public value is.
        got: KeyType,
        /// What the key says.
        scheme: String,
    },
    /// RSA below 2048 bits.
    #[error("an RSA key of {bits} bits is too short: 2048 is the least")]
    Weak {
        /// The length of its modulus.
        bits: u32,
    },
    /// A certificate of Sigstore.
    #[error("Sigstore keys cannot be verified here: their signatures need the roots of Sigstore")]
    Sigstore,
    /// A post-quantum key of TAP 21.
    #[error("ML-DSA keys are not supported yet")]
    MlDsa,
    /// Something else.
    #[error("keys of type `{keytype}` with scheme `{scheme}` are not supported")]
    Unknown {
        /// Its `keytype`.
        keytype: String,
        /// Its `scheme`.
        scheme: String,
    },
}

impl KeyError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Hex => "write the 32 bytes of the key in hex",
            Self::Pem(_) => "write the key as a `PUBLIC KEY` block, as `openssl pkey -pubout` prints it",
            Self::Mismatch { .. } => "the scheme must be one of the key's type and curve",
            Self::Weak { .. } => "make a new key",
            Self::Sigstore | Self::MlDsa | Self::Unknown { .. } => {
                "use an ed25519, ecdsa or rsa key; other keys may stand beside it, but do not count"
            }
        }
    }
}

/// Why a signature does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Not hex, or not a signature of the key's type in its form.
    #[error("the signature is not one of `{scheme}` in hex")]
    Form {
        /// The key's scheme.
        scheme: String,
    },
    /// The mathematics say no.
    #[error("the signature is not valid for this key and content")]
    Invalid,
}

impl Key {
    /// Reads a key object. Members that are not named here may be anything.
    ///
    /// # Errors
    /// [`MetadataError::Shape`] if it is not an object with the texts `keytype` and `scheme` and an object
    /// `keyval`.
    pub fn from_value(value: &Value) -> Result<Self, MetadataError> {
        let members = object(value, "key")?;
        let keytype = text(members, "keytype")?.to_owned();
        let scheme = text(members, "scheme")?.to_owned();
        let keyval = object_member(members, "keyval")?;
        canonical::check(value)?;
        let public = keyval.get("public").map(Value::as_str);
        let material = match public {
            Some(None) => return Err(bad("keyval.public", "a text")),
            Some(Some(public)) => material(&keytype, &scheme, public),
            None => Err(unusable(&keytype, &scheme)),
        };
        let value = match &material {
            Ok(material) => PublicValue(material.public.spki().to_vec()),
            // Such values begin with `{`, those of DER do not.
            Err(_) => PublicValue(canonical::encode_members(keyval)),
        };
        Ok(Self { keytype, scheme, material, value })
    }

    /// The member `keytype`.
    pub fn keytype(&self) -> &str {
        &self.keytype
    }

    /// The member `scheme`.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Whether signatures of this key can be verified.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn usable(&self) -> Result<(), KeyError> {
        self.material.as_ref().map(|_| ()).map_err(Clone::clone)
    }

    /// What the key is compared by.
    pub fn public_value(&self) -> &PublicValue {
        &self.value
    }

    /// The public key, if it is usable.
    pub fn public_key(&self) -> Option<&PublicKey> {
        self.material.as_ref().ok().map(|material| &material.public)
    }

    /// The scheme in the words of the signing pipeline, if the key is usable.
    pub fn signing_scheme(&self) -> Option<Scheme> {
        self.material.as_ref().ok().map(|material| material.scheme)
    }

    /// Whether both are the same key, used in the same way: public value and scheme. Ids, names, the address of
    /// a private half and old words for the key's type do not matter.
    pub fn is_same(&self, other: &Self) -> bool {
        self.value == other.value && self.scheme == other.scheme
    }

    /// What the key signs for `message`, the canonical bytes of `signed`.
    ///
    /// # Errors
    /// [`KeyError`] if the key is not usable.
    pub fn to_sign(&self, message: &[u8]) -> Result<ToSign, KeyError> {
        let material = self.material.as_ref().map_err(Clone::clone)?;
        Ok(ToSign::of_message(material.scheme, message))
    }

    /// `raw` as it stands in `sig`: lower-case hex, ECDSA in DER.
    ///
    /// # Errors
    /// [`KeyError`] if the key is not usable.
    pub fn signature_text(&self, raw: &RawSignature) -> Result<String, KeyError> {
        let material = self.material.as_ref().map_err(Clone::clone)?;
        Ok(hex::encode(raw.encode(material.scheme, Encoding::Der)))
    }

    /// Checks `signature` (hex; ECDSA in DER; PSS with a salt of any length) over `message`.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(&self, message: &[u8], signature: &str) -> Result<(), SignatureError> {
        let Material { public, scheme } = self.material.as_ref().map_err(Clone::clone)?;
        let form = || SignatureError::Form { scheme: self.scheme.clone() };
        let bytes = hex::decode(signature).map_err(|_| form())?;
        let width = public.key_type().ecdsa_width();
        let raw = RawSignature::decode(&bytes, width, Encoding::Der).map_err(|_| form())?;
        let to_sign = ToSign::of_message(*scheme, message);
        if public.verify(*scheme, &to_sign, &raw).is_ok() {
            return Ok(());
        }
        match (scheme, &to_sign) {
            (Scheme::RsaPss(_), ToSign::Digest(digest)) if pss::is_valid(public, digest, &raw.0) => Ok(()),
            _ => Err(SignatureError::Invalid),
        }
    }
}

/// The object that stands for `public` in `keys`: `keytype`, `keyval.public`, `scheme`, nothing more. `None` for
/// a scheme or curve that TUF has no name for.
pub fn key_object(public: &PublicKey, scheme: Scheme) -> Option<Value> {
    let curve = |hash| match (public.key_type(), hash) {
        (KeyType::P256, HashAlg::Sha256) => Some("ecdsa-sha2-nistp256"),
        (KeyType::P384, HashAlg::Sha384) => Some("ecdsa-sha2-nistp384"),
        (KeyType::P521, HashAlg::Sha512) => Some("ecdsa-sha2-nistp521"),
        _ => None,
    };
    let (keytype, name) = match scheme {
        Scheme::Ed25519 => ("ed25519", "ed25519"),
        Scheme::Ecdsa(hash) => ("ecdsa", curve(hash)?),
        Scheme::RsaPss(HashAlg::Sha256) => ("rsa", "rsassa-pss-sha256"),
        Scheme::RsaPss(HashAlg::Sha384) => ("rsa", "rsassa-pss-sha384"),
        Scheme::RsaPss(HashAlg::Sha512) => ("rsa", "rsassa-pss-sha512"),
        Scheme::RsaPkcs1(HashAlg::Sha256) => ("rsa", "rsa-pkcs1v15-sha256"),
        Scheme::RsaPkcs1(HashAlg::Sha384) => ("rsa", "rsa-pkcs1v15-sha384"),
        Scheme::RsaPkcs1(HashAlg::Sha512) => ("rsa", "rsa-pkcs1v15-sha512"),
        Scheme::RsaPkcs1Raw => return None,
    };
    if !scheme.fits(public.key_type()) {
        return None;
    }
    let value = public.ed25519_bytes().map_or_else(|| public.to_pem(), hex::encode);
    Some(json!({"keytype": keytype, "scheme": name, "keyval": {"public": value}}))
}

/// The default id of a key object: SHA-256 in lower-case hex of its canonical `keytype`, `keyval.public` and
/// `scheme`. What else the object has does not count.
///
/// Ids are opaque: Sigstore keys and keys of other makers have other ids, so never compare an id with this.
///
/// # Errors
/// As [`Key::from_value`]; [`MetadataError::Shape`] also if there is no `keyval.public`.
pub fn default_id(key: &Value) -> Result<String, MetadataError> {
    let members = object(key, "key")?;
    let public = text(object_member(members, "keyval")?, "public")?;
    let hashed = json!({
        "keytype": text(members, "keytype")?,
        "keyval": {"public": public},
        "scheme": text(members, "scheme")?,
    });
    Ok(hex::encode(canonical::sha256(&hashed)?))
}

fn material(keytype: &str, scheme: &str, public: &str) -> Result<Material, KeyError> {
    let known = known_scheme(keytype, scheme).ok_or_else(|| unusable(keytype, scheme))?;
    let key = if keytype == "ed25519" { ed25519(public)? } else { pem(public)? };
    let fits = known.fits(key.key_type()) && curve_fits(known, key.key_type());
    if !fits {
        return Err(KeyError::Mismatch { got: key.key_type(), scheme: scheme.to_owned() });
    }
    match key.key_type() {
        KeyType::Rsa(bits) if bits < 2048 => Err(KeyError::Weak { bits }),
        _ => Ok(Material { public: key, scheme: known }),
    }
}

/// The scheme behind TUF's two names. Old ECDSA keys have the scheme as their type.
fn known_scheme(keytype: &str, scheme: &str) -> Option<Scheme> {
    let known = match scheme {
        "ed25519" => Scheme::Ed25519,
        "ecdsa-sha2-nistp256" => Scheme::Ecdsa(HashAlg::Sha256),
        "ecdsa-sha2-nistp384" => Scheme::Ecdsa(HashAlg::Sha384),
        "ecdsa-sha2-nistp521" => Scheme::Ecdsa(HashAlg::Sha512),
        "rsassa-pss-sha256" => Scheme::RsaPss(HashAlg::Sha256),
        "rsassa-pss-sha384" => Scheme::RsaPss(HashAlg::Sha384),
        "rsassa-pss-sha512" => Scheme::RsaPss(HashAlg::Sha512),
        "rsa-pkcs1v15-sha256" => Scheme::RsaPkcs1(HashAlg::Sha256),
        "rsa-pkcs1v15-sha384" => Scheme::RsaPkcs1(HashAlg::Sha384),
        "rsa-pkcs1v15-sha512" => Scheme::RsaPkcs1(HashAlg::Sha512),
        _ => return None,
    };
    let expected = match known {
        Scheme::Ed25519 => "ed25519",
        Scheme::Ecdsa(_) => "ecdsa",
        _ => "rsa",
    };
    let old_name = matches!(known, Scheme::Ecdsa(_)) && keytype == scheme;
    (keytype == expected || old_name).then_some(known)
}

/// The scheme names the curve, and with it the hash.
fn curve_fits(scheme: Scheme, key: KeyType) -> bool {
    match scheme {
        Scheme::Ecdsa(HashAlg::Sha256) => key == KeyType::P256,
        Scheme::Ecdsa(HashAlg::Sha384) => key == KeyType::P384,
        Scheme::Ecdsa(HashAlg::Sha512) => key == KeyType::P521,
        _ => true,
    }
}

fn ed25519(public: &str) -> Result<PublicKey, KeyError> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(public, &mut bytes).map_err(|_| KeyError::Hex)?;
    Ok(PublicKey::from_ed25519(&bytes)?)
}

fn pem(public: &str) -> Result<PublicKey, KeyError> {
    // The reader would also take the key out of a certificate, which no client of TUF does.
    let begin = public.trim_start();
    if !begin.starts_with("-----BEGIN PUBLIC KEY-----")
        && !begin.starts_with("-----BEGIN RSA PUBLIC KEY-----")
    {
        return Err(KeyError::Pem(PublicKeyError::NoKey));
    }
    Ok(PublicKey::from_pem(public)?)
}

fn unusable(keytype: &str, scheme: &str) -> KeyError {
    let cut = |text: &str| text.chars().take(80).flat_map(char::escape_debug).collect();
    match keytype {
        "sigstore-oidc" => KeyError::Sigstore,
        "ml-dsa" => KeyError::MlDsa,
        _ => KeyError::Unknown { keytype: cut(keytype), scheme: cut(scheme) },
    }
}
