//! The encrypted file around a backup.
//!
//! ```text
//! file   = header | chunk … | last chunk
//! header = "CSBK" | version 1 (u8) | salt 16 | memory KiB (u32) | passes (u32) | lanes (u32) | nonce prefix 7
//! chunk  = AES-256-GCM of at most 64 KiB; nonce = prefix | number (u32) | 1 if it is the last, else 0
//! ```
//! The key is Argon2id of passphrase and salt; the header is associated data of every chunk. So no chunk
//! can be changed, moved, repeated or left out, and a file that was cut off is noticed. Numbers are
//! big-endian.

use std::io::{self, Read, Write};

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::BackupError;

/// Bytes of content in a chunk.
pub const CHUNK: usize = 64 << 10;
const TAG: usize = 16;
const MAGIC: &[u8; 5] = b"CSBK\x01";
const PREFIX: usize = NONCE_LEN - 5;
const HEADER: usize = MAGIC.len() + 16 + 12 + PREFIX;

/// RFC 9106's second recommendation: 64 MiB, 3 passes.
const MEMORY_KIB: u32 = 64 << 10;
const PASSES: u32 = 3;
/// What a header may ask for at most, so that a hostile file cannot exhaust the machine.
const MAX_MEMORY_KIB: u32 = 1 << 20;
const MAX_PASSES: u32 = 100;
const MAX_LANES: u32 = 16;

/// The first bytes of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    bytes: [u8; HEADER],
}

impl Header {
    /// A header for a new file.
    pub(crate) fn new(salt: &[u8; 16], prefix: &[u8; PREFIX]) -> Self {
        let mut bytes = [0; HEADER];
        bytes[..5].copy_from_slice(MAGIC);
        bytes[5..21].copy_from_slice(salt);
        for (slot, number) in bytes[21..33].chunks_exact_mut(4).zip([MEMORY_KIB, PASSES, 1]) {
            slot.copy_from_slice(&number.to_be_bytes());
        }
        bytes[33..].copy_from_slice(prefix);
        Self { bytes }
    }

    /// Reads the header of a file.
    ///
    /// # Errors
    /// [`BackupError::NotABackup`] for other files, other versions, and a cost beyond reason.
    pub fn read(source: &mut impl Read) -> Result<Self, BackupError> {
        let mut bytes = [0; HEADER];
        source.read_exact(&mut bytes).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => BackupError::NotABackup,
            _ => BackupError::Read(e),
        })?;
        let header = Self { bytes };
        let (memory, passes, lanes) = header.cost();
        let sane = memory <= MAX_MEMORY_KIB && passes <= MAX_PASSES && lanes <= MAX_LANES;
        if !header.bytes.starts_with(MAGIC) || !sane {
            return Err(BackupError::NotABackup);
        }
        Ok(header)
    }

    fn cost(&self) -> (u32, u32, u32) {
        let number = |at: usize| {
            u32::from_be_bytes([self.bytes[at], self.bytes[at + 1], self.bytes[at + 2], self.bytes[at + 3]])
        };
        (number(21), number(25), number(29))
    }

    /// The key of the file. Takes a tenth of a second.
    pub(crate) fn cipher(&self, passphrase: &[u8]) -> Result<Cipher, BackupError> {
        let (memory, passes, lanes) = self.cost();
        let params = Params::new(memory, passes, lanes, Some(32)).map_err(|_| BackupError::NotABackup)?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase, &self.bytes[5..21], key.as_mut_slice())
            .map_err(|_| BackupError::NotABackup)?;
        Cipher::new(self.clone(), &key)
    }
}

/// Encrypts or decrypts chunk after chunk.
pub(crate) struct Cipher {
    header: Header,
    key: LessSafeKey,
    next: u32,
}

impl Cipher {
    fn new(header: Header, key: &[u8; 32]) -> Result<Self, BackupError> {
        let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| BackupError::NotABackup)?;
        Ok(Self { header, key: LessSafeKey::new(key), next: 0 })
    }

    /// The key is of this file alone, since the salt is; so a counter makes each nonce unique.
    fn nonce(&mut self, last: bool) -> Result<Nonce, BackupError> {
        let mut nonce = [0; NONCE_LEN];
        nonce[..PREFIX].copy_from_slice(&self.header.bytes[33..]);
        nonce[PREFIX..PREFIX + 4].copy_from_slice(&self.next.to_be_bytes());
        nonce[PREFIX + 4] = last.into();
        self.next = self.next.checked_add(1).ok_or(BackupError::TooLarge)?;
        Ok(Nonce::assume_unique_for_key(nonce))
    }

    fn seal(&mut self, chunk: &mut Vec<u8>, last: bool) -> Result<(), BackupError> {
        let nonce = self.nonce(last)?;
        let associated = Aad::from(self.header.bytes);
        self.key.seal_in_place_append_tag(nonce, associated, chunk).map_err(|_| BackupError::TooLarge)
    }

    fn open(&mut self, chunk: &mut Vec<u8>, last: bool) -> Result<(), BackupError> {
        let first = self.next == 0;
        let nonce = self.nonce(last)?;
        let associated = Aad::from(self.header.bytes);
        let wrong = if first { BackupError::WrongPassphrase } else { BackupError::Damaged("a chunk") };
        let length = self.key.open_in_place(nonce, associated, chunk).map_err(|_| wrong)?.len();
        chunk.truncate(length);
        Ok(())
    }
}

/// Writes an encrypted file. Nothing is complete before [`Self::finish`].
pub(crate) struct SealedWriter<W: Write> {
    out: W,
    cipher: Cipher,
    chunk: Vec<u8>,
}

impl<W: Write> SealedWriter<W> {
    pub(crate) fn new(mut out: W, cipher: Cipher) -> Result<Self, BackupError> {
        out.write_all(&cipher.header.bytes).map_err(BackupError::Write)?;
        Ok(Self { out, cipher, chunk: Vec::with_capacity(CHUNK + TAG) })
    }

    pub(crate) fn write(&mut self, mut bytes: &[u8]) -> Result<(), BackupError> {
        while !bytes.is_empty() {
            // A full chunk is written only when more follows, so that the last one is never empty.
            if self.chunk.len() == CHUNK {
                self.write_chunk(false)?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK - self.chunk.len()));
            self.chunk.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    fn write_chunk(&mut self, last: bool) -> Result<(), BackupError> {
        self.cipher.seal(&mut self.chunk, last)?;
        self.out.write_all(&self.chunk).map_err(BackupError::Write)?;
        self.chunk.clear();
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<W, BackupError> {
        self.write_chunk(true)?;
        self.out.flush().map_err(BackupError::Write)?;
        Ok(self.out)
    }
}

/// Reads the content of an encrypted file. The end of the content is an end only if the last chunk says so.
pub(crate) struct SealedReader<R: Read> {
    source: R,
    cipher: Cipher,
    chunk: Vec<u8>,
    at: usize,
    /// The first byte of the next chunk, read to learn whether there is one.
    ahead: Option<u8>,
    ended: bool,
}

impl<R: Read> SealedReader<R> {
    pub(crate) fn new(source: R, cipher: Cipher) -> Self {
        Self { source, cipher, chunk: Vec::new(), at: 0, ahead: None, ended: false }
    }

    fn next_chunk(&mut self) -> Result<(), BackupError> {
        self.chunk.clear();
        self.at = 0;
        self.chunk.extend(self.ahead.take());
        let wanted = (CHUNK + TAG - self.chunk.len()) as u64;
        self.source.by_ref().take(wanted).read_to_end(&mut self.chunk).map_err(BackupError::Read)?;
        let mut byte = [0];
        let more = self.chunk.len() == CHUNK + TAG
            && loop {
                match self.source.read(&mut byte) {
                    Ok(count) => break count == 1,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(BackupError::Read(e)),
                }
            };
        self.ahead = more.then_some(byte[0]);
        self.ended = !more;
        self.cipher.open(&mut self.chunk, !more)
    }
}

impl<R: Read> Read for SealedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.chunk.len() {
            if self.ended {
                return Ok(0);
            }
            self.next_chunk().map_err(io::Error::other)?;
        }
        let count = buffer.len().min(self.chunk.len() - self.at);
        buffer[..count].copy_from_slice(&self.chunk[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cipher() -> Cipher {
        Cipher::new(Header::new(&[1; 16], &[2; PREFIX]), &[3; 32]).unwrap()
    }

    fn sealed(content: &[u8]) -> Vec<u8> {
        let mut writer = SealedWriter::new(Vec::new(), cipher()).unwrap();
        writer.write(content).unwrap();
        writer.finish().unwrap()
    }

    fn opened(file: &[u8]) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        SealedReader::new(&file[HEADER..], cipher()).read_to_end(&mut content)?;
        Ok(content)
    }

    #[test]
    fn content_of_any_length_goes_round() {
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let content = vec![7; length];
            assert!(opened(&sealed(&content)).unwrap() == content, "{length}");
        }
    }

    #[test]
    fn a_file_that_was_cut_changed_or_reordered_is_refused() {
        let content: Vec<u8> = (0..3 * CHUNK + 5).map(|i| i as u8).collect();
        let file = sealed(&content);
        let whole = CHUNK + TAG;
        for cut in [HEADER, HEADER + 1, HEADER + whole, HEADER + 2 * whole, file.len() - 1] {
            assert!(opened(&file[..cut]).is_err(), "cut at {cut}");
        }
        for at in [HEADER, HEADER + whole, file.len() - 1] {
            let mut changed = file.clone();
            changed[at] ^= 1;
            assert!(opened(&changed).is_err(), "byte {at}");
        }
        let mut swapped = file[..HEADER].to_vec();
        swapped.extend_from_slice(&file[HEADER + whole..HEADER + 2 * whole]);
        swapped.extend_from_slice(&file[HEADER..HEADER + whole]);
        swapped.extend_from_slice(&file[HEADER + 2 * whole..]);
        assert!(opened(&swapped).is_err());
        assert!(opened(&[file.as_slice(), b"x"].concat()).is_err(), "more than the end");
    }

    #[test]
    fn a_header_that_asks_for_too_much_is_refused() {
        let good = Header::new(&[1; 16], &[2; PREFIX]);
        assert_eq!(Header::read(&mut good.bytes.as_slice()).unwrap(), good);
        for at in [0, 4, 21, 25, 29] {
            let mut bytes = good.bytes;
            bytes[at] = 0xff;
            assert!(Header::read(&mut bytes.as_slice()).is_err(), "byte {at}");
        }
        assert!(Header::read(&mut &good.bytes[..HEADER - 1]).is_err());
    }
}
