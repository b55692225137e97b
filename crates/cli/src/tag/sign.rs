//! `sign PRIVDIR FILE AUTHORITY…`: adds signatures by local keys.

use std::ffi::OsStr;
use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_keyhost::soft::{ImportError, SoftKey};
use countersign_model::key::PrivateKey as _;
use countersign_records::tag::{self, AuthorityName, Tag, TagError, TagFile, WeakKeys};
use serde_json::{Map, json};

use super::keys::trusted_key;
use super::options::{Keys, Options};
use super::{
    Refusal, authority, check_digest, joined, key_path, line, names, read_file, read_key, read_optional_key,
    replace, say,
};

/// Signs, and returns what goes to standard output.
pub fn run(program: &str, options: &Options) -> Result<Vec<u8>, Refusal> {
    let bytes = read_file(&options.file)?;
    let mut tag = Tag::parse(&bytes)?;
    check_digest(options, tag.payload().as_bytes())?;
    let signers = signers(options)?;

    let others = |tag: &Tag| -> Vec<AuthorityName> {
        let named = |name: &AuthorityName| signers.iter().any(|signer| signer.name == *name);
        tag.blocks().map(|block| block.authority().clone()).filter(|name| !named(name)).collect()
    };
    let dropped = match &options.drop_invalid {
        Some(directory) => blocks_that_do_not_verify(options, directory, &bytes, &others(&tag))?,
        None => Vec::new(),
    };
    for name in &dropped {
        tag.remove(name);
        say(program, OsStr::new(&format!("dropped the block of {name}: it does not verify")));
    }
    let kept = others(&tag);
    let lines = tag.payload().line_count();
    if options.check || options.verbose {
        let noun = if lines == 1 { "line" } else { "lines" };
        say(program, OsStr::new(&format!("signing {lines} payload {noun}")));
    }
    if options.verbose && !kept.is_empty() {
        say(program, OsStr::new(&format!("keeping the blocks of {}", joined(&kept))));
    }

    for signer in &signers {
        tag.put(signer.sign(&tag)?);
    }
    let signed = tag.to_bytes();
    verify_own(&signed, &signers)?;
    write_file(&options.file, &signed)?;

    if !options.json {
        return Ok(Vec::new());
    }
    let mut signatures = Map::new();
    for signer in &signers {
        let signature = tag.block(&signer.name).map(|block| STANDARD.encode(block.signature()));
        let entry = json!({"key": signer.key.public().id(), "signature": signature});
        signatures.insert(signer.name.to_string(), entry);
    }
    Ok(line(&json!({
        "file": options.file.to_string_lossy(),
        "payload_lines": lines,
        "signatures": signatures,
        "kept": names(&kept),
        "dropped": names(&dropped),
    })))
}

/// An authority with its private key.
pub struct Signer {
    pub name: AuthorityName,
    pub key: SoftKey,
}

impl Signer {
    fn sign(&self, tag: &Tag) -> Result<tag::Block, Refusal> {
        let name = &self.name;
        let unsupported = || TagError::UnsupportedKey { name: name.clone() };
        let scheme = tag::scheme_for(self.key.public().key_type()).ok_or_else(unsupported)?;
        let failed = |why: &dyn std::fmt::Display| Refusal::new(format!("signing for {name} failed: {why}"));
        let (to_sign, pending) = tag::prepare(tag.payload(), scheme).map_err(|e| failed(&e))?;
        let signature = self.key.sign(scheme, &to_sign).map_err(|e| failed(&e))?;
        tag::finish(pending, name.clone(), &signature).map_err(|e| failed(&e))
    }
}

/// All private keys, before anything is signed: the first that cannot be used decides.
pub fn signers(options: &Options) -> Result<Vec<Signer>, Refusal> {
    // Private keys are nowhere else: other sources were refused with the words.
    let Keys::Directory(directory) = &options.keys else { return Ok(Vec::new()) };
    options.authorities.iter().map(|name| signer(directory, name)).collect()
}

fn signer(directory: &OsStr, name: &OsStr) -> Result<Signer, Refusal> {
    let name = authority(name)?;
    let path = key_path(directory, &name, ".key");
    let bytes = read_key(&path, "private key")?;
    let bad = |why: &dyn std::fmt::Display| Refusal::because("bad private key", &path, why);
    let text = std::str::from_utf8(&bytes).map_err(|e| bad(&e))?;
    // The encryption of before PKCS#8, inside the block of another label.
    let encrypted = || {
        Refusal::at("private key is encrypted", &path)
            .hint("`openssl pkey -in FILE` writes it without encryption; or keep it in a server")
    };
    if text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(encrypted());
    }
    let key = SoftKey::from_pem(text, None).map_err(|error| match error {
        ImportError::Encrypted => encrypted(),
        ImportError::Weak(_) => TagError::WeakKey { name: name.clone() }.into(),
        ImportError::Unsupported(_) => TagError::UnsupportedKey { name: name.clone() }.into(),
        other => bad(&other).hint(other.hint()),
    })?;
    if tag::scheme_for(key.public().key_type()).is_none() {
        return Err(TagError::UnsupportedKey { name }.into());
    }
    Ok(Signer { name, key })
}

/// What was written must verify as a stranger would read it, before it takes the place of the old file.
fn verify_own(signed: &[u8], signers: &[Signer]) -> Result<(), Refusal> {
    let file = TagFile::parse(signed)?;
    for signer in signers {
        file.verify(&signer.name, signer.key.public(), WeakKeys::Refuse).map_err(|_| {
            Refusal::new(format!("the new signature of {} does not verify", signer.name))
                .hint("nothing was written; is the private key damaged?")
        })?;
    }
    Ok(())
}

/// Those of `names` whose block does not verify by a key in `directory`, or who have no key there.
fn blocks_that_do_not_verify(
    options: &Options,
    directory: &OsStr,
    bytes: &[u8],
    names: &[AuthorityName],
) -> Result<Vec<AuthorityName>, Refusal> {
    let file = TagFile::parse(bytes)?;
    let mut invalid = Vec::new();
    for name in names {
        let path = key_path(directory, name, ".pub");
        let valid = match read_optional_key(&path, "public key")? {
            None => false,
            Some(pem) => {
                let trusted = trusted_key(name, &path, &pem)?;
                let verdict =
                    countersign_verify::tag::verify(&file, name, &trusted, options.at, options.weak_keys);
                verdict.is_ok()
            }
        };
        if !valid {
            invalid.push(name.clone());
        }
    }
    Ok(invalid)
}

fn write_file(path: &OsStr, bytes: &[u8]) -> Result<(), Refusal> {
    let is_file = fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    if !is_file {
        return Err(Refusal::at("not a regular file", path));
    }
    replace::replace(path.as_ref(), bytes).map_err(|error| Refusal::because("cannot write", path, &error))
}
