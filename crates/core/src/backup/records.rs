//! What is in a backup, inside the encryption.
//!
//! ```text
//! content = record …        record = kind (u8) | length (u32) | body
//! kinds:  1 manifest, JSON, first        2 data key under the backup's passphrase, JSON
//!         3 line of the database         4 file: length of path (u16) | path | content
//!         5 end: number of records before it (u64), last
//! ```
//! Numbers are big-endian.

use std::io::{self, Read};

use super::BackupError;

/// The longest body: a bundle of 256 entries of 64 KiB, and room.
pub const MAX_BODY: u32 = 32 << 20;

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// What the backup is of.
    Manifest(Vec<u8>),
    /// A data key.
    DataKey(Vec<u8>),
    /// A line of the database's snapshot.
    Line(String),
    /// A file of the data directory.
    File {
        /// Its path in the data directory. Not checked here.
        path: String,
        /// Its content.
        content: Vec<u8>,
    },
}

const MANIFEST: u8 = 1;
const DATA_KEY: u8 = 2;
const LINE: u8 = 3;
const FILE: u8 = 4;
const END: u8 = 5;

impl Record {
    /// The record as bytes.
    ///
    /// # Errors
    /// [`BackupError::TooLarge`] beyond [`MAX_BODY`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, BackupError> {
        match self {
            Self::Manifest(body) => framed(MANIFEST, &[body]),
            Self::DataKey(body) => framed(DATA_KEY, &[body]),
            Self::Line(line) => framed(LINE, &[line.as_bytes()]),
            Self::File { path, content } => {
                let length = u16::try_from(path.len()).map_err(|_| BackupError::TooLarge)?;
                framed(FILE, &[&length.to_be_bytes(), path.as_bytes(), content])
            }
        }
    }
}

/// The last record.
pub(crate) fn end(records: u64) -> Result<Vec<u8>, BackupError> {
    framed(END, &[&records.to_be_bytes()])
}

fn framed(kind: u8, parts: &[&[u8]]) -> Result<Vec<u8>, BackupError> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let length = u32::try_from(length).ok().filter(|l| *l <= MAX_BODY).ok_or(BackupError::TooLarge)?;
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&length.to_be_bytes());
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    Ok(bytes)
}

/// Reads record after record.
pub struct Records<R> {
    source: R,
    count: u64,
}

impl<R: Read> Records<R> {
    /// Reads from decrypted content.
    pub fn new(source: R) -> Self {
        Self { source, count: 0 }
    }

    /// The next record; `None` after the last, which says how many there must have been.
    ///
    /// # Errors
    /// [`BackupError::Damaged`] for anything that is not as above.
    pub fn next_record(&mut self) -> Result<Option<Record>, BackupError> {
        let mut head = [0; 5];
        self.source.read_exact(&mut head).map_err(of_io)?;
        let [kind, length @ ..] = head;
        let length = u32::from_be_bytes(length);
        if length > MAX_BODY {
            return Err(BackupError::Damaged("a record's length"));
        }
        // Grows with the bytes that are there, not with the length that was announced.
        let mut body = Vec::new();
        self.source.by_ref().take(u64::from(length)).read_to_end(&mut body).map_err(of_io)?;
        if body.len() as u64 != u64::from(length) {
            return Err(BackupError::Damaged("a record"));
        }
        let record = match kind {
            MANIFEST => Record::Manifest(body),
            DATA_KEY => Record::DataKey(body),
            LINE => Record::Line(text(body)?),
            FILE => file(&body)?,
            END => return self.end(&body),
            _ => return Err(BackupError::Damaged("a record's kind")),
        };
        self.count += 1;
        Ok(Some(record))
    }

    fn end(&mut self, body: &[u8]) -> Result<Option<Record>, BackupError> {
        let mut more = [0];
        if self.source.read(&mut more).map_err(of_io)? != 0 {
            return Err(BackupError::Damaged("the end"));
        }
        let count = body.try_into().map(u64::from_be_bytes);
        if count.is_ok_and(|count| count == self.count) {
            Ok(None)
        } else {
            Err(BackupError::Damaged("the number of records"))
        }
    }
}

fn text(body: Vec<u8>) -> Result<String, BackupError> {
    String::from_utf8(body).map_err(|_| BackupError::Damaged("a text"))
}

fn file(body: &[u8]) -> Result<Record, BackupError> {
    let damaged = || BackupError::Damaged("a file's record");
    let (length, rest) = body.split_first_chunk::<2>().ok_or_else(damaged)?;
    let (path, content) =
        rest.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or_else(damaged)?;
    Ok(Record::File { path: text(path.to_vec())?, content: content.to_vec() })
}

/// Our own errors come through `Read` wrapped.
fn of_io(error: io::Error) -> BackupError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return BackupError::Damaged("the end");
    }
    match error.downcast::<BackupError>() {
        Ok(ours) => ours,
        Err(error) => BackupError::Read(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examples() -> Vec<Record> {
        vec![
            Record::Manifest(b"{}".to_vec()),
            Record::DataKey(Vec::new()),
            Record::Line("{\"é\":1}".into()),
            Record::File { path: "log/a/checkpoint".into(), content: vec![0, 255] },
        ]
    }

    fn written(records: &[Record], count: u64) -> Vec<u8> {
        let mut bytes: Vec<u8> = records.iter().flat_map(|r| r.to_bytes().unwrap()).collect();
        bytes.extend(end(count).unwrap());
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Vec<Record>, BackupError> {
        let mut records = Records::new(bytes);
        let mut all = Vec::new();
        while let Some(record) = records.next_record()? {
            all.push(record);
        }
        Ok(all)
    }

    #[test]
    fn records_go_round() {
        assert_eq!(read(&written(&examples(), 4)).unwrap(), examples());
    }

    #[test]
    fn what_is_cut_miscounted_or_longer_is_refused() {
        let bytes = written(&examples(), 4);
        for cut in 0..bytes.len() {
            assert!(read(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        assert!(read(&written(&examples(), 3)).is_err());
        assert!(read(&[bytes.as_slice(), b"x"].concat()).is_err());
        assert!(read(&[3, 0xff, 0xff, 0xff, 0xff]).is_err());
        assert!(read(&[9, 0, 0, 0, 0]).is_err());
    }
}
