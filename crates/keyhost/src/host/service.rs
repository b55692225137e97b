//! What is done for each request.

mod archive;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_lc_rs::hmac;
use countersign_model::entry::Op;
use countersign_model::key::{KeyError, PrivateKey as _};
use countersign_model::{Format, KeyId, KeyName, KeyType, RawSignature, Scheme, ToSign, digest};

use super::cache::{KeyCache, LoadedKey};
use super::pool::{Outbox, Pool, lock};
use crate::backlog;
use crate::failpoint;
use crate::log::{Draft, LogWriter};
use crate::seal::{BlobHeader, DataKeys, SealFile, SealKey, check_passphrase};
use crate::soft::{self, ImportError, SoftKey};
use crate::wire::{
    Cause, HostError, KeySpec, MAX_MAC_TEXTS, NewSeal, Request, Response, Secret, SignItem, Signed,
};

/// The process's state after it was opened.
pub(super) struct Service {
    keys: DataKeys,
    seal: Mutex<SealKey>,
    /// The key of a rotation between its two halves.
    next_seal: Mutex<Option<SealKey>>,
    seal_file: SealFile,
    log: LogWriter,
    cache: KeyCache,
    outbox: Arc<Outbox>,
    signers: Mutex<Pool>,
    slow: Mutex<Pool>,
}

/// Slow requests that may wait; more are refused, to be tried again.
const MAX_SLOW: usize = 256;

impl Service {
    pub(super) fn new(
        keys: DataKeys,
        seal: SealKey,
        seal_file: SealFile,
        log: LogWriter,
        outbox: Arc<Outbox>,
        signers: Pool,
        slow: Pool,
    ) -> Self {
        Self {
            keys,
            seal: Mutex::new(seal),
            next_seal: Mutex::default(),
            seal_file,
            log,
            cache: KeyCache::default(),
            outbox,
            signers: Mutex::new(signers),
            slow: Mutex::new(slow),
        }
    }

    /// Finishes what was accepted.
    pub(super) fn stop(&self) {
        lock(&self.slow).stop();
        // Signatures wait for the log first, then for the signers.
        self.log.stop();
        lock(&self.signers).stop();
        self.outbox.flush();
    }

    /// Takes a request; the answer comes later, from whichever thread has it.
    pub(super) fn handle(self: &Arc<Self>, id: u64, request: Request) {
        match request {
            Request::Sign { blobs, items } => self.sign(id, &blobs, items),
            Request::Record { cause, op, key, subject } => {
                let (name, key_id) = key.unzip();
                let draft = trust_change(cause, op, name, key_id, subject);
                self.append_then(id, draft, |index| Response::Recorded { index });
            }
            Request::Checkpoint => {
                let service = Arc::clone(self);
                self.log.checkpoint(Box::new(move |head| {
                    service.answer(id, head.map(Response::Checkpoint));
                    service.outbox.flush();
                }));
            }
            Request::Hello(_) => {
                let error = HostError::Protocol("a second hello".into());
                self.answer(id, Err(error));
                self.outbox.flush();
            }
            Request::ProbeLog => {
                let service = Arc::clone(self);
                self.log.probe(Box::new(move |writable| {
                    service.answer(id, writable.map(|()| Response::Done));
                    service.outbox.flush();
                }));
            }
            // Takes a few microseconds: less than to hand it to another thread.
            Request::CheckMac { id: credential, sealed, texts, mac } => {
                let checked = self.check_mac(&credential, sealed.as_deref().map(Vec::as_slice), &texts, &mac);
                self.answer(id, checked.map(Response::MacChecked));
                self.outbox.flush();
            }
            slow => self.slowly(id, slow),
        }
    }

    fn slowly(self: &Arc<Self>, id: u64, request: Request) {
        let service = Arc::clone(self);
        let pool = lock(&self.slow);
        if pool.waiting() >= MAX_SLOW {
            drop(pool);
            self.answer(id, Err(HostError::Unavailable));
            return self.outbox.flush();
        }
        pool.push(Box::new(move || match request {
            Request::Generate { cause, spec, key_type } => service.generate(id, cause, spec, key_type),
            Request::Import { cause, spec, pem, passphrase } => {
                service.import(id, cause, spec, &pem, passphrase.as_ref());
            }
            Request::Export { cause, key, blob, passphrase } => {
                service.export(id, cause, &key, &blob, &passphrase);
            }
            Request::MakeSecret { id: credential } => {
                service.answer(id, service.make_secret(&credential));
            }
            Request::WrapForBackup { cause, passphrase } => service.wrap_for_backup(id, cause, &passphrase),
            Request::RotateSeal { cause, to } => service.rotate_seal(id, cause, &to),
            Request::CommitSeal => service.answer(id, service.commit_seal()),
            Request::ArchiveImport { cause, passphrase, salt, token } => {
                service.archive_import(id, cause, &passphrase, &salt, &token);
            }
            Request::ArchiveExport { cause, passphrase, keys, public } => {
                service.archive_export(id, cause, &passphrase, &keys, &public);
            }
            Request::Sign { .. }
            | Request::Record { .. }
            | Request::Checkpoint
            | Request::ProbeLog
            | Request::CheckMac { .. }
            | Request::Hello(_) => {
                service.answer(id, Err(HostError::Protocol("not a slow request".into())));
            }
        }));
    }

    fn answer(&self, id: u64, result: Result<Response, HostError>) {
        self.outbox.add(id, &result.unwrap_or_else(Response::Refused));
    }

    /// Logs, and answers when the entry is durable.
    fn append_then(
        self: &Arc<Self>,
        id: u64,
        draft: Draft,
        respond: impl FnOnce(u64) -> Response + Send + 'static,
    ) {
        let service = Arc::clone(self);
        self.log.append(
            vec![draft],
            Box::new(move |index| {
                service.answer(id, index.map(respond));
                service.outbox.flush();
            }),
        );
    }

    fn generate(self: &Arc<Self>, id: u64, cause: Cause, spec: KeySpec, key_type: KeyType) {
        let made = SoftKey::generate(key_type).map_err(key_error);
        self.keep(id, cause, Op::KeyCreate, spec, made);
    }

    fn import(
        self: &Arc<Self>,
        id: u64,
        cause: Cause,
        spec: KeySpec,
        pem: &Secret,
        passphrase: Option<&Secret>,
    ) {
        let read = std::str::from_utf8(&pem.0)
            .map_err(|_| HostError::MalformedKey("not a private key in PEM: it is not text".into()))
            .and_then(|pem| SoftKey::from_pem(pem, passphrase.map(|p| p.0.as_slice())).map_err(import_error))
            .and_then(|key| match key.public().key_type() {
                ours if KeyType::MADE.contains(&ours) => Ok(key),
                // The library reads more: secp256k1 is in tag files of others, and RSA of any size verifies.
                other => Err(HostError::MalformedKey(format!(
                    "unsupported kind of private key: {other}; RSA keys of 2048, 3072 and 4096 bits, P-256, \
                     P-384, P-521 and Ed25519 keys can be imported"
                ))),
            });
        self.keep(id, cause, Op::KeyImport, spec, read);
    }

    /// Seals a key that came to be, logs that it did, and gives out what the front may know.
    fn keep(self: &Arc<Self>, id: u64, cause: Cause, op: Op, spec: KeySpec, key: Result<SoftKey, HostError>) {
        let sealed = key.and_then(|key| {
            let header = BlobHeader {
                name: spec.name.clone(),
                id: digest::sha256(key.public().spki()),
                key_type: key.public().key_type(),
                exportable: spec.exportable,
                formats: spec.formats,
            };
            let pkcs8 = key.to_pkcs8().map_err(key_error)?;
            Ok((key.public().clone(), self.keys.seal(&header, &pkcs8)?))
        });
        match sealed {
            Ok((public, blob)) => {
                let draft = trust_change(cause, op, Some(spec.name), Some(public.id()), None);
                let spki = public.spki().to_vec();
                self.append_then(id, draft, |index| Response::Key { spki, blob, index });
            }
            Err(error) => self.answer(id, Err(error)),
        }
    }

    fn export(self: &Arc<Self>, id: u64, cause: Cause, named: &KeyName, blob: &[u8], passphrase: &Secret) {
        let written = self.cache.get_or_open(&self.keys, blob).and_then(|key| {
            if key.header.name != *named {
                return Err(HostError::BadBlob);
            }
            if !key.header.exportable {
                return Err(HostError::NotExportable);
            }
            key.header.belongs_to(cause.surface)?;
            let pem = soft::to_encrypted_pem(&key.key, &passphrase.0).map_err(|error| match error {
                soft::ExportError::ShortPassphrase => HostError::WrongPassphrase(error.to_string()),
                other => HostError::Internal(other.to_string()),
            })?;
            Ok((key, Secret(pem.as_bytes().to_vec())))
        });
        match written {
            Ok((key, pem)) => {
                let name = Some(key.header.name.clone());
                let draft = trust_change(cause, Op::KeyExport, name, Some(key.id.clone()), None);
                self.append_then(id, draft, |index| Response::Exported { pem, index });
            }
            Err(error) => self.answer(id, Err(error)),
        }
    }

    /// Whoever has a backup and its passphrase has all keys: that must leave a trace, whatever the front says.
    fn wrap_for_backup(self: &Arc<Self>, id: u64, cause: Cause, passphrase: &Secret) {
        let seal = SealKey::Passphrase(zeroize::Zeroizing::new(passphrase.0.clone()));
        match self.keys.wrap(&seal) {
            Ok(keys) => {
                let draft = trust_change(cause, Op::BackupCreate, None, None, None);
                self.append_then(id, draft, |index| Response::BackupKeys { keys, index });
            }
            Err(error) => self.answer(id, Err(error)),
        }
    }

    fn make_secret(&self, credential: &str) -> Result<Response, HostError> {
        let bytes = soft::random::<32>().map_err(key_error)?;
        let text = countersign_model::token::base32(bytes.as_slice());
        let sealed = self.keys.seal_secret(&hawk_context(credential), text.as_bytes())?;
        Ok(Response::Secret { secret: Secret(text.into_bytes()), sealed })
    }

    /// Compares with every text, whether or not there is a secret and one has matched already.
    fn check_mac(
        &self,
        credential: &str,
        sealed: Option<&[u8]>,
        texts: &[serde_bytes::ByteBuf],
        mac: &[u8],
    ) -> Result<bool, HostError> {
        if texts.len() > MAX_MAC_TEXTS {
            return Err(HostError::Protocol("too many texts for one MAC".into()));
        }
        let opened =
            sealed.map(|sealed| self.keys.open_secret(&hawk_context(credential), sealed)).transpose()?;
        let secret = opened.as_ref().map_or(NO_SECRET, |secret| secret.as_slice());
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let same = texts.iter().fold(false, |same, text| hmac::verify(&key, text, mac).is_ok() | same);
        Ok(same & opened.is_some())
    }

    /// Like a backup: whoever has what is answered here and the new seal key has all keys. So the entry comes
    /// first, also if the database then does not take them.
    fn rotate_seal(self: &Arc<Self>, id: u64, cause: Cause, to: &NewSeal) {
        let wrapped = self.next_seal(to).and_then(|next| Ok((self.keys.wrap(&next)?, next)));
        match wrapped {
            Ok((keys, next)) => {
                let subject = Some(next.kind().to_owned());
                *lock(&self.next_seal) = Some(next);
                let draft = trust_change(cause, Op::SealRotate, None, None, subject);
                self.append_then(id, draft, |index| Response::NewSeal { keys, index });
            }
            Err(error) => self.answer(id, Err(error)),
        }
    }

    fn next_seal(&self, to: &NewSeal) -> Result<SealKey, HostError> {
        match (to, &*lock(&self.seal)) {
            (NewSeal::File, _) | (NewSeal::SameKind, SealKey::Raw(_)) => self.seal_file.create_next(),
            (NewSeal::SameKind, SealKey::Passphrase(same)) => Ok(SealKey::Passphrase(same.clone())),
            (NewSeal::Passphrase(new), _) => {
                Ok(SealKey::Passphrase(check_passphrase(zeroize::Zeroizing::new(new.0.clone()))?))
            }
        }
    }

    fn commit_seal(&self) -> Result<Response, HostError> {
        let next = lock(&self.next_seal)
            .take()
            .ok_or_else(|| HostError::Protocol("no rotation was begun".into()))?;
        let mut seal = lock(&self.seal);
        match (&next, &*seal) {
            (SealKey::Raw(_), _) => self.seal_file.commit()?,
            // What it opens are old copies of the database only.
            (SealKey::Passphrase(_), SealKey::Raw(_)) => self.seal_file.remove()?,
            (SealKey::Passphrase(_), SealKey::Passphrase(_)) => {}
        }
        *seal = next;
        Ok(Response::Done)
    }

    // Signing.

    fn sign(self: &Arc<Self>, id: u64, blobs: &[serde_bytes::ByteBuf], items: Vec<SignItem>) {
        let loaded: Vec<Option<Arc<LoadedKey>>> = blobs.iter().map(|blob| self.cache.get(blob)).collect();
        if loaded.iter().all(Option::is_some) {
            self.sign_with(id, loaded.into_iter().map(|key| key.ok_or(HostError::BadBlob)).collect(), items);
            return;
        }
        // Parsing takes as long as signing: the reader must not wait for it.
        let service = Arc::clone(self);
        let blobs = blobs.to_vec();
        lock(&self.signers).push(Box::new(move || {
            let loaded = blobs.iter().map(|b| service.cache.get_or_open(&service.keys, b)).collect();
            service.sign_with(id, loaded, items);
        }));
    }

    /// Checks every item, logs those that are in order with one durable write, then signs them on all cores.
    fn sign_with(
        self: &Arc<Self>,
        id: u64,
        keys: Vec<Result<Arc<LoadedKey>, HostError>>,
        items: Vec<SignItem>,
    ) {
        let mut drafts = Vec::with_capacity(items.len());
        let mut tasks = Vec::with_capacity(items.len());
        let mut results = vec![Err(HostError::Unavailable); items.len()];
        for (slot, item) in items.into_iter().enumerate() {
            let key = keys.get(item.blob as usize).cloned().unwrap_or(Err(HostError::BadBlob));
            match key.and_then(|key| check(key, item)) {
                Ok((task, draft)) => {
                    tasks.push((slot, task));
                    drafts.push(draft);
                }
                Err(error) => results[slot] = Err(error),
            }
        }
        if tasks.is_empty() {
            self.answer(id, Ok(Response::Signed(results)));
            return self.outbox.flush();
        }
        let batch = Arc::new(Batch { id, left: AtomicUsize::new(tasks.len()), results: Mutex::new(results) });
        let service = Arc::clone(self);
        self.log.append(
            drafts,
            Box::new(move |first| match first {
                Ok(first) => service.spread(&batch, tasks, first),
                Err(error) => {
                    let mut results = std::mem::take(&mut *lock(&batch.results));
                    for (slot, _) in tasks {
                        results[slot] = Err(error.clone());
                    }
                    service.answer(batch.id, Ok(Response::Signed(results)));
                    service.outbox.flush();
                }
            }),
        );
    }

    /// Hands the logged items to the signers, a few at a time.
    fn spread(self: &Arc<Self>, batch: &Arc<Batch>, tasks: Vec<(usize, Task)>, first: u64) {
        self.log.backlog().add(tasks.iter().map(|(_, task)| task.cost()).sum());
        let mut index = first;
        let mut tasks = tasks.into_iter().peekable();
        while tasks.peek().is_some() {
            let chunk: Vec<(usize, Task)> = tasks.by_ref().take(CHUNK).collect();
            let begin = index;
            index += chunk.len() as u64;
            let (service, batch) = (Arc::clone(self), Arc::clone(batch));
            lock(&self.signers).push(Box::new(move || service.work(&batch, chunk, begin)));
        }
    }

    fn work(&self, batch: &Batch, chunk: Vec<(usize, Task)>, begin: u64) {
        let count = chunk.len();
        let mut done = Vec::with_capacity(count);
        for (i, (slot, task)) in chunk.into_iter().enumerate() {
            let cost = task.cost();
            let signed =
                task.run().map(|signature| Signed { signature: signature.0, index: begin + i as u64 });
            self.log.backlog().done(cost);
            done.push((slot, signed));
        }
        failpoint::pass("after-sign");
        let mut results = lock(&batch.results);
        for (slot, signed) in done {
            results[slot] = signed;
        }
        if batch.left.fetch_sub(count, Ordering::AcqRel) == count {
            let results = std::mem::take(&mut *results);
            self.answer(batch.id, Ok(Response::Signed(results)));
        }
    }
}

/// What the secret of a Hawk credential is sealed for.
fn hawk_context(credential: &str) -> String {
    format!("hawk/{credential}")
}

/// Stands for the secret of a credential that is not there. As long as one.
const NO_SECRET: &[u8] = &[0; 52];

/// Signatures that one thread makes before another may take the next ones.
const CHUNK: usize = 8;

/// The answers of one request in the making.
struct Batch {
    id: u64,
    left: AtomicUsize,
    results: Mutex<Vec<Result<Signed, HostError>>>,
}

/// A signature that is allowed and logged.
struct Task {
    key: Arc<LoadedKey>,
    scheme: Scheme,
    to_sign: ToSign,
    /// Whether the signature is checked before it is released.
    verify: bool,
}

impl Task {
    fn cost(&self) -> u64 {
        backlog::cost(self.key.header.key_type)
    }

    fn run(self) -> Result<RawSignature, HostError> {
        let signature = self.key.key.sign(self.scheme, &self.to_sign).map_err(key_error)?;
        if self.verify && !self.key.verify(self.scheme, &self.to_sign, &signature) {
            return Err(HostError::NotVerified);
        }
        Ok(signature)
    }
}

/// Everything that can be refused is refused here, before anything is logged.
fn check(key: Arc<LoadedKey>, item: SignItem) -> Result<(Task, Draft), HostError> {
    let SignItem { blob: _, key: named, cause, format, scheme, to_sign, input, subject, check } = item;
    if key.header.name != named {
        return Err(HostError::BadBlob);
    }
    key.header.allows(cause.surface, format)?;
    let key_type = key.header.key_type;
    if !scheme.fits(key_type) {
        return Err(HostError::SchemeMismatch { scheme, key_type });
    }
    if (scheme == Scheme::RsaPkcs1Raw) != (format == Format::RawUnprefixed)
        && matches!(format, Format::Raw | Format::RawUnprefixed)
    {
        return Err(HostError::FormatNotAllowed(Format::RawUnprefixed));
    }
    let to_sign = to_sign
        .into_to_sign(scheme)
        .filter(|to_sign| to_sign.suits(scheme))
        .ok_or(HostError::Unsuitable(scheme))?;
    if let (Scheme::RsaPkcs1Raw, KeyType::Rsa(bits)) = (scheme, key_type) {
        let (got, max) = (to_sign.as_bytes().len(), bits.div_ceil(8) as usize - 11);
        if got > max {
            return Err(HostError::MessageTooLong { got: got as u64, max: max as u64 });
        }
    }
    let draft = Draft {
        cause,
        op: Op::Sign,
        format: Some(format),
        scheme: Some(scheme),
        key: Some(key.header.name.clone()),
        key_id: Some(key.id.clone()),
        input: input.map(|hash| sha256_text(&hash)),
        subject,
        to_sign: Some(sha256_text(&to_sign.fingerprint())),
    };
    let verify = check.applies(key_type, format);
    Ok((Task { key, scheme, to_sign, verify }, draft))
}

fn trust_change(
    cause: Cause,
    op: Op,
    key: Option<KeyName>,
    key_id: Option<KeyId>,
    subject: Option<String>,
) -> Draft {
    Draft { cause, op, format: None, scheme: None, key, key_id, input: None, subject, to_sign: None }
}

fn sha256_text(hash: &[u8; 32]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(71);
    text.push_str("sha256:");
    for byte in hash {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

fn key_error(error: KeyError) -> HostError {
    match error {
        KeyError::SchemeMismatch { scheme, key_type } => HostError::SchemeMismatch { scheme, key_type },
        KeyError::Unsuitable { scheme, .. } => HostError::Unsuitable(scheme),
        KeyError::MessageTooLong { got, max } => {
            HostError::MessageTooLong { got: got as u64, max: max as u64 }
        }
        other => HostError::Internal(other.to_string()),
    }
}

fn import_error(error: ImportError) -> HostError {
    let text = format!("{error}: {}", error.hint());
    match error {
        ImportError::Weak(_) => HostError::WeakKey(text),
        ImportError::Encrypted | ImportError::WrongPassphrase => HostError::WrongPassphrase(text),
        ImportError::KdfTooCostly(_) => HostError::KdfTooCostly(text),
        _ => HostError::MalformedKey(text),
    }
}
