//! Signs, and has every signature checked by somebody else.

use std::path::{Path, PathBuf};
use std::time::Instant;

use countersign_model::{Encoding, RawSignature, Scheme, ToSign};
use countersign_records::tag::{self, AuthorityName, Payload, Tag, TagFile, WeakKeys};
use countersign_tlog::note::VerifierKey;
use countersign_verify as verify;
use serde_json::json;

use super::authority::Authority;
use super::input::Input;
use super::millis;
use super::openssl::Openssl;
use super::report::{Check, Signature};
use crate::api::{Api, BASE, Request, Signed, escape};
use crate::args::EncodingArg;
use crate::commands::log::LogReader;
use crate::commands::sign::{self, Job};
use crate::failure::{Failure, OrUnknown as _};
use crate::files::{self, Mode};

/// What the stages of the demonstration share.
pub struct Stage {
    pub api: Api,
    pub directory: PathBuf,
    pub openssl: Option<Openssl>,
}

impl Stage {
    /// Signs a file as a user of `countersign sign` would, and checks the signature.
    pub async fn sign(&self, who: &Authority, input: &Input, scheme: Scheme) -> Result<Signature, Failure> {
        let encoding = EncodingArg::Der;
        let job = Job { file: &input.file, key: &who.key, scheme, encoding, subject: Some(input.what) };
        let request = sign::request(&job).await?;
        let (signed, sign_ms) = self.ask(request).await?;
        let content = match scheme.hash() {
            Some(hash) => ToSign::Digest(files::hash(&input.file, hash)?),
            None => ToSign::Message(files::read_whole(&input.file, sign::MAX_MESSAGE)?.to_vec()),
        };
        let bytes = signed.signature()?;
        let valid = verify::raw::verify(&who.public_key, scheme, &content, &bytes, Encoding::Der).is_ok();
        let signature = self.keep(input, who, scheme, content, &bytes)?;
        Ok(Signature { sign_ms, countersign: valid.into(), log_index: signed.log.index, ..signature })
    }

    /// Makes a tag of the job text: prepared here, signed there by each authority, finished here.
    pub async fn sign_tag(&self, job: &Input, who: &[&Authority]) -> Result<Vec<Signature>, Failure> {
        let text = files::read_small(&job.file)?;
        let mut made = Tag::new(Payload::new(text.to_vec()).or_unknown("the job text")?);
        let mut signatures = Vec::new();
        for authority in who {
            let name = tag_name(authority)?;
            let scheme = tag::scheme_for(authority.public_key.key_type())
                .ok_or_else(|| Failure::unknown(format!("`{name}` cannot sign tags")))?;
            let (to_sign, pending) = tag::prepare(made.payload(), scheme).or_unknown("the job text")?;
            let ToSign::Digest(digest) = &to_sign else {
                return Err(Failure::unknown("a tag is signed by its digest"));
            };
            let mut document = json!({ "scheme": scheme, "digest": digest.to_string(), "subject": TAG });
            if matches!(scheme, Scheme::Ecdsa(_)) {
                document["encoding"] = "raw".into();
            }
            let path = format!("{BASE}/keys/{}/sign", escape(authority.key.as_str()));
            let (signed, sign_ms) = self.ask(Request::post(&path).json(&document)?).await?;
            let block = tag::finish(pending, name, &RawSignature(signed.signature()?))
                .or_unknown("the server's signature")?;
            let input = Input { what: TAG, file: job.file.clone(), bytes: job.bytes };
            let signature = self.keep(&input, authority, scheme, to_sign, block.signature())?;
            made.put(block);
            signatures.push(Signature { sign_ms, log_index: signed.log.index, ..signature });
        }
        files::write(&self.tag_file(), &made.to_bytes(), Mode::Public)?;
        for (signature, authority) in signatures.iter_mut().zip(who) {
            signature.countersign = tag_holds(&self.tag_file(), authority)?.into();
        }
        Ok(signatures)
    }

    /// The tag that [`sign_tag`](Self::sign_tag) makes.
    pub fn tag_file(&self) -> PathBuf {
        self.directory.join(TAG)
    }

    /// The answer of the server, and how long it took. The request is ready by then: what is timed is what a
    /// user waits for.
    async fn ask(&self, request: Request) -> Result<(Signed, f64), Failure> {
        let begun = Instant::now();
        let answer = self.api.call(request).await?;
        let took = millis(begun);
        Ok((answer.json()?, took))
    }

    /// Keeps a signature in a file, and asks openssl about it.
    pub fn keep(
        &self,
        input: &Input,
        who: &Authority,
        scheme: Scheme,
        content: ToSign,
        signature: &[u8],
    ) -> Result<Signature, Failure> {
        let stem = format!("{}.{}.{scheme}", input.what, who.name.replace('/', "-"));
        let file = self.directory.join("signatures").join(format!("{stem}.sig"));
        files::write(&file, signature, Mode::Public)?;
        Ok(Signature {
            what: input.what,
            authority: who.name,
            public_key: who.public_key.clone(),
            scheme,
            content,
            input_bytes: input.bytes,
            signature_bytes: signature.len(),
            sign_ms: 0.0,
            openssl: self.by_openssl(who, scheme, &input.file, &file)?,
            countersign: Check::Failed,
            log_index: 0,
            proof: Check::Failed,
            proof_file: self.directory.join("proofs").join(format!("{stem}.proof")),
            file,
        })
    }

    /// What openssl says about a signature.
    pub fn by_openssl(
        &self,
        who: &Authority,
        scheme: Scheme,
        file: &Path,
        signature: &Path,
    ) -> Result<Check, Failure> {
        match &self.openssl {
            Some(openssl) => openssl.verify(scheme, &who.pem, file, signature).map(Check::from),
            None => Ok(Check::NotAsked),
        }
    }

    /// Fetches the proof that the log has a signature, and checks it from its files alone.
    pub async fn prove(
        &self,
        reader: &LogReader<'_>,
        key: &VerifierKey,
        signature: &Signature,
    ) -> Result<Check, Failure> {
        let proven = reader.prove(key, signature.log_index).await?;
        let file = &signature.proof_file;
        files::write(file, proven.proof.to_string().as_bytes(), Mode::Public)?;
        files::write(&files::with_suffix(file, ".entry"), &proven.entry, Mode::Public)?;
        proof_holds(file, key, signature).map(Check::from)
    }

    /// A signature that was made just now, with its place in the log, which not every answer of a server says.
    pub async fn find(
        &self,
        reader: &LogReader<'_>,
        key: &VerifierKey,
        mut signature: Signature,
    ) -> Result<Signature, Failure> {
        let size = reader.checkpoint(key).await?.1.head.size;
        for index in (size.saturating_sub(RECENT)..size).rev() {
            signature.log_index = index;
            signature.proof = self.prove(reader, key, &signature).await?;
            if signature.proof == Check::Good {
                break;
            }
        }
        Ok(signature)
    }
}

/// How far from the end of the log [`Stage::find`] looks.
const RECENT: u64 = 16;

/// The name of the tag, which is its file's.
const TAG: &str = "job.tag";

fn tag_name(authority: &Authority) -> Result<AuthorityName, Failure> {
    authority.name.parse().or_unknown("a name of the demonstration")
}

/// Whether an authority signed the text of a tag file.
pub fn tag_holds(file: &Path, authority: &Authority) -> Result<bool, Failure> {
    let bytes = files::read_small(file)?;
    let trusted = verify::tag::TrustedKey::new(authority.public_key.clone());
    let name = tag_name(authority)?;
    let at = verify::tag::At::AnyTime;
    Ok(TagFile::parse(&bytes)
        .is_ok_and(|file| verify::tag::verify(&file, &name, &trusted, at, WeakKeys::Refuse).is_ok()))
}

/// Whether the files of a proof show that the log has this signature: the proof leads from the entry to a
/// checkpoint signed by the log, and the entry names this key, this scheme and this content.
pub fn proof_holds(file: &Path, key: &VerifierKey, signature: &Signature) -> Result<bool, Failure> {
    let (proof, entry) = (files::read_small(file)?, files::read_small(&files::with_suffix(file, ".entry"))?);
    Ok(verify::log::entry(&proof, &entry, key).is_ok_and(|proven| {
        proven.is_about(&signature.public_key, signature.scheme, &signature.content).is_ok()
    }))
}
