//! EFI signature lists (UEFI 2.10, 32.4.1): what PK, KEK, db and dbx hold.
//!
//! ```text
//! EFI_SIGNATURE_LIST: SignatureType GUID, SignatureListSize u32, SignatureHeaderSize u32, SignatureSize u32,
//!                     then entries of SignatureSize bytes: SignatureOwner GUID, data
//! ```
//!
//! Little-endian. A variable holds any number of lists, one after the other. A list has entries of one size,
//! so certificates come one a list, and hashes many.

mod guid;

pub use guid::{BadGuid, Guid};

/// X.509 certificates in DER.
pub const CERT_X509: Guid =
    Guid::new(0xa5c059a1, 0x94e4, 0x4aa7, [0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0, 0x72]);

/// SHA-256 digests of programs.
pub const CERT_SHA256: Guid =
    Guid::new(0xc1c41626, 0x504c, 0x4092, [0xac, 0xa9, 0x41, 0xf9, 0x36, 0x93, 0x43, 0x28]);

/// Bytes before a list's header and entries.
const LIST_HEAD: usize = 28;

/// Bytes of a GUID.
const OWNER: usize = 16;

/// Why bytes are not signature lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EslError {
    /// No list at all. Written to a variable this would delete it.
    #[error("there is no signature list")]
    Empty,
    /// The sizes in a list do not agree with each other, or with the bytes there are.
    #[error("the sizes in the signature list at byte {at} do not agree")]
    Sizes {
        /// Where the list begins.
        at: usize,
    },
    /// A list of a type whose entries have another size.
    #[error("the signature list at byte {at} has entries of a size that its type does not have")]
    EntrySize {
        /// Where the list begins.
        at: usize,
    },
    /// A certificate that is not one element of DER.
    #[error("the signature list at byte {at} has a certificate that is not DER")]
    Certificate {
        /// Where the list begins.
        at: usize,
    },
}

impl EslError {
    /// One sentence for the person who reads the terminal or the log.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Empty => "an empty update deletes the variable: give at least one list",
            Self::Sizes { .. } => "the file is cut off, or something else than signature lists stands in it",
            Self::EntrySize { .. } | Self::Certificate { .. } => {
                "make the list again, with `cert-to-efi-sig-list` or `hash-to-efi-sig-list`"
            }
        }
    }
}

/// One entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Who put it there: tells entries of one owner from those of others, protects nothing.
    pub owner: Guid,
    /// A certificate, a digest, or what else the list's type says.
    pub data: Vec<u8>,
}

/// A list: entries of one type and one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureList {
    signature_type: Guid,
    header: Vec<u8>,
    /// At least one, all of one length.
    entries: Vec<Signature>,
}

impl SignatureList {
    /// The list of one certificate in DER.
    pub fn x509(owner: Guid, certificate: &[u8]) -> Self {
        let entry = Signature { owner, data: certificate.to_vec() };
        Self { signature_type: CERT_X509, header: Vec::new(), entries: vec![entry] }
    }

    /// The list of these SHA-256 digests; `None` if there are none.
    pub fn sha256(owner: Guid, digests: &[[u8; 32]]) -> Option<Self> {
        let entries: Vec<_> =
            digests.iter().map(|digest| Signature { owner, data: digest.to_vec() }).collect();
        if entries.is_empty() {
            return None;
        }
        Some(Self { signature_type: CERT_SHA256, header: Vec::new(), entries })
    }

    /// What the entries are.
    pub fn signature_type(&self) -> Guid {
        self.signature_type
    }

    /// The entries, at least one.
    pub fn entries(&self) -> &[Signature] {
        &self.entries
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        let entry = OWNER + self.entries.first().map_or(0, |entry| entry.data.len());
        let whole = LIST_HEAD + self.header.len() + entry * self.entries.len();
        bytes.extend_from_slice(self.signature_type.as_bytes());
        for size in [whole, self.header.len(), entry] {
            // What was read had 32-bit sizes, and what is made here holds a few certificates.
            bytes.extend_from_slice(&(size as u32).to_le_bytes());
        }
        bytes.extend_from_slice(&self.header);
        for entry in &self.entries {
            bytes.extend_from_slice(entry.owner.as_bytes());
            bytes.extend_from_slice(&entry.data);
        }
    }
}

/// The content of a variable: lists, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureDatabase {
    lists: Vec<SignatureList>,
}

impl SignatureDatabase {
    /// These lists, in this order.
    ///
    /// # Errors
    /// [`EslError::Empty`] if there are none.
    pub fn new(lists: Vec<SignatureList>) -> Result<Self, EslError> {
        if lists.is_empty() { Err(EslError::Empty) } else { Ok(Self { lists }) }
    }

    /// Reads lists up to the last byte. What it reads, [`to_bytes`](Self::to_bytes) writes again byte by byte.
    ///
    /// # Errors
    /// [`EslError`]. Lists of types that are not known here need consistent sizes only.
    pub fn parse(bytes: &[u8]) -> Result<Self, EslError> {
        let mut lists = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let list = RawList::read(&bytes[at..]).ok_or(EslError::Sizes { at })?;
            list.check_type(at)?;
            at += list.size;
            lists.push(list.to_list());
        }
        Self::new(lists)
    }

    /// The lists.
    pub fn lists(&self) -> &[SignatureList] {
        &self.lists
    }

    /// All certificates in it, in DER, in their order.
    pub fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        let lists = self.lists.iter().filter(|list| list.signature_type == CERT_X509);
        lists.flat_map(|list| list.entries.iter().map(|entry| entry.data.as_slice()))
    }

    /// All SHA-256 digests in it, in their order.
    pub fn sha256_digests(&self) -> impl Iterator<Item = &[u8]> {
        let lists = self.lists.iter().filter(|list| list.signature_type == CERT_SHA256);
        lists.flat_map(|list| list.entries.iter().map(|entry| entry.data.as_slice()))
    }

    /// The bytes of the variable.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for list in &self.lists {
            list.write(&mut bytes);
        }
        bytes
    }
}

/// A list as it stands in the bytes, with sizes that agree.
struct RawList<'a> {
    signature_type: Guid,
    size: usize,
    header: &'a [u8],
    entry_size: usize,
    entries: &'a [u8],
}

impl<'a> RawList<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (head, _) = bytes.split_first_chunk::<LIST_HEAD>()?;
        let (guid, sizes) = head.split_first_chunk::<16>()?;
        let field = |at: usize| {
            let bytes = sizes.get(at..at + 4)?;
            usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
        };
        let (size, header_size, entry_size) = (field(0)?, field(4)?, field(8)?);
        let body = bytes.get(LIST_HEAD..size)?;
        let (header, entries) = body.split_at_checked(header_size)?;
        // An entry has an owner and at least one byte; without entries a list says nothing.
        if entry_size <= OWNER || entries.is_empty() || entries.len() % entry_size != 0 {
            return None;
        }
        Some(Self { signature_type: Guid::from_bytes(*guid), size, header, entry_size, entries })
    }

    fn check_type(&self, at: usize) -> Result<(), EslError> {
        match self.signature_type {
            CERT_SHA256 if self.entry_size != OWNER + 32 || !self.header.is_empty() => {
                Err(EslError::EntrySize { at })
            }
            CERT_X509 if !self.header.is_empty() => Err(EslError::EntrySize { at }),
            CERT_X509 => {
                let whole = |der: &[u8]| {
                    let mut reader = crate::asn1::Reader::new(der);
                    reader.sequence().is_ok() && reader.finish().is_ok()
                };
                let mut entries = self.entries.chunks_exact(self.entry_size);
                if entries.all(|entry| whole(&entry[OWNER..])) {
                    Ok(())
                } else {
                    Err(EslError::Certificate { at })
                }
            }
            _ => Ok(()),
        }
    }

    fn to_list(&self) -> SignatureList {
        let entry = |bytes: &[u8]| {
            let (owner, data) = bytes.split_first_chunk::<OWNER>()?;
            Some(Signature { owner: Guid::from_bytes(*owner), data: data.to_vec() })
        };
        SignatureList {
            signature_type: self.signature_type,
            header: self.header.to_vec(),
            entries: self.entries.chunks_exact(self.entry_size).filter_map(entry).collect(),
        }
    }
}
