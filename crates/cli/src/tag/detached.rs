//! `--detached`: signatures of a file's own bytes, each in `FILE.AUTHORITY.sig`, as
//! `openssl dgst -sha256 -sign KEY` makes them.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_keyhost::soft::SoftKey;
use countersign_model::key::PrivateKey as _;
use countersign_model::{Digest, Encoding, HashAlg, KeyId, ToSign};
use countersign_records::authorities::algorithm_of;
use countersign_records::tag::{self, AuthorityName, TagError, WeakKeys};
use countersign_verify::authority::{AuthorityKey, AuthorityKeys, Judgement, Status, judge_detached};
use countersign_verify::tag::{At, TrustedKey};
use jiff::Timestamp;
use serde_json::{Map, json};

use super::keys::{Found, Source, trusted_key};
use super::options::Options;
use super::payload::judge_all;
use super::sign::signers;
use super::{Refusal, another_digest, authority, concat, line};
use crate::files::{self, Mode};

/// Longer than any signature, also in base64.
const MAX_SIGNATURE: usize = 8 << 10;

/// `sign --detached PRIVDIR FILE AUTHORITY…`: returns what goes to standard output.
pub fn sign(options: &Options) -> Result<Vec<u8>, Refusal> {
    let digest = digest(options)?;
    let signers = signers(options)?;
    let mut signatures = Map::new();
    let mut made = Vec::new();
    for signer in &signers {
        let signature = signature(&signer.key, &signer.name, digest)?;
        let keys = keys_of(&signer.name, TrustedKey::new(signer.key.public().clone()), At::AnyTime);
        let judgement = judge_detached(&digest, &signature, &keys, None, Timestamp::now(), WeakKeys::Refuse);
        if !judgement.is_valid() {
            return Err(Refusal::new(format!("the new signature of {} does not verify", signer.name))
                .hint("nothing was written; is the private key damaged?"));
        }
        let entry = json!({"key": signer.key.public().id(), "signature": STANDARD.encode(&signature)});
        signatures.insert(signer.name.to_string(), entry);
        made.push((signature_path(&options.file, &signer.name), signature));
    }
    for (path, signature) in made {
        files::write(Path::new(&path), &signature, Mode::Public)?;
    }
    if !options.json {
        return Ok(Vec::new());
    }
    let file = options.file.to_string_lossy();
    Ok(line(&json!({"file": file, "digest": digest.to_string(), "signatures": signatures})))
}

fn signature(key: &SoftKey, name: &AuthorityName, digest: Digest) -> Result<Vec<u8>, Refusal> {
    let unsupported = || TagError::UnsupportedKey { name: name.clone() };
    let scheme = tag::scheme_for(key.public().key_type()).ok_or_else(unsupported)?;
    let raw = key
        .sign(scheme, &ToSign::Digest(digest))
        .map_err(|error| Refusal::new(format!("signing for {name} failed: {error}")))?;
    Ok(raw.encode(scheme, Encoding::Der))
}

/// `payload --detached PUBDIR FILE AUTHORITY…`: says nothing when all is well, since the text is FILE itself.
pub fn check(program: &str, options: &Options) -> Result<Vec<u8>, Refusal> {
    let digest = digest(options)?;
    let keys = Source::open(program, options)?;
    let (authorities, first) = judge_all(options, |name| verdict(options, &keys, &digest, name));
    let valid = first.is_none();
    let document = json!({"valid": valid, "digest": digest.to_string(), "authorities": authorities});
    match first {
        Some(refusal) => Err(Refusal { document: Some(document), ..refusal }),
        None if options.json => Ok(line(&document)),
        None => Ok(Vec::new()),
    }
}

fn verdict(
    options: &Options,
    keys: &Source,
    digest: &Digest,
    name: &OsStr,
) -> Result<KeyId, (&'static str, Refusal)> {
    let unknown = |refusal: Refusal| ("unknown", refusal);
    let name = authority(name).map_err(unknown)?;
    let found = keys.find(&name).map_err(unknown)?;
    let signature = read_signature(&options.file, &name)?;
    let keys = match found {
        Found::Keys(keys) => keys,
        Found::Pem { path, pem } => {
            keys_of(&name, trusted_key(&name, &path, &pem).map_err(unknown)?, options.at)
        }
    };
    match judge_detached(digest, &signature, &keys, None, options.now(), options.weak_keys) {
        Judgement { status: Status::Valid, key: Some(key), .. } => Ok(key),
        no => Err((no.status.as_str(), no.into())),
    }
}

/// A key of a file as an authority with one key. Without a time to judge at, its times do not count.
fn keys_of(name: &AuthorityName, trusted: TrustedKey, at: At) -> AuthorityKeys {
    let (not_before, not_after) = match at {
        At::AnyTime => (None, None),
        At::Time(_) => (trusted.not_before, trusted.not_after),
    };
    let key = AuthorityKey {
        id: trusted.key.id(),
        algorithm: algorithm_of(trusted.key.key_type()).to_string(),
        public_key: trusted.key,
        not_before: not_before.unwrap_or(Timestamp::MIN),
        not_after,
        revoked: None,
        detached: true,
    };
    AuthorityKeys { name: name.clone(), keys: vec![key] }
}

/// The digest of FILE, which must be that of `--digest` where it is given.
fn digest(options: &Options) -> Result<Digest, Refusal> {
    let path = Path::new(&options.file);
    if !path.is_file() {
        return Err(Refusal::at("file not found", &options.file));
    }
    let digest = files::hash(path, HashAlg::Sha256)?;
    match options.digest {
        Some(wanted) if wanted != digest => Err(another_digest(&options.file, &wanted)),
        _ => Ok(digest),
    }
}

/// A signature as openssl writes it, or its base64.
fn read_signature(file: &OsStr, name: &AuthorityName) -> Result<Vec<u8>, (&'static str, Refusal)> {
    let path = signature_path(file, name);
    if !Path::new(&path).exists() {
        return Err(("missing", TagError::NotSigned { name: name.clone() }.into()));
    }
    let bytes = files::read_small(Path::new(&path)).map_err(|failure| ("unknown", failure.into()))?;
    if bytes.is_empty() || bytes.len() > MAX_SIGNATURE {
        return Err(("invalid", TagError::InvalidSignature { name: name.clone() }.into()));
    }
    let text: Vec<u8> = bytes.iter().copied().filter(|b| *b != b'\n').collect();
    Ok(STANDARD.decode(&text).unwrap_or_else(|_| bytes.to_vec()))
}

/// `FILE.AUTHORITY.sig`.
fn signature_path(file: &OsStr, name: &AuthorityName) -> OsString {
    concat(&[file, ".".as_ref(), name.as_str().as_ref(), ".sig".as_ref()])
}
