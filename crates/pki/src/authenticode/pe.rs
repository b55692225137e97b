//! PE images: headers, the digest of a signature, the certificate table.
//!
//! ```text
//! 0        "MZ", at 0x3c the place of "PE\0\0"
//! PE+4     COFF header, 20 bytes: sections u16 at +2, size of the optional header u16 at +16
//! PE+24    optional header: 0x10b or 0x20b, SizeOfHeaders at +60, CheckSum at +64, directories at +96 or +112
//!          section headers, 40 bytes each: SizeOfRawData at +16, PointerToRawData at +20
//! ```

use countersign_model::digest::Hasher;
use countersign_model::{Digest, HashAlg};

/// The place of the certificate table among the directories.
const CERTIFICATE_TABLE: usize = 4;

/// Bytes of a directory's entry: place and size.
const DIRECTORY: usize = 8;

/// Bytes of a section header.
const SECTION: usize = 40;

/// Bytes of a `WIN_CERTIFICATE` before its data.
const CERTIFICATE_HEAD: usize = 8;

/// `WIN_CERT_REVISION_2_0`.
const REVISION: u16 = 0x0200;

/// `WIN_CERT_TYPE_PKCS_SIGNED_DATA`.
const TYPE_SIGNED_DATA: u16 = 0x0002;

/// Certificates begin at multiples of this.
const ALIGNMENT: usize = 8;

/// Why bytes are not an image that can be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeError {
    /// No `MZ` or no `PE\0\0`.
    #[error("not a PE image")]
    NotPe,
    /// Neither PE32 nor PE32+.
    #[error("a PE image of an unknown kind: its optional header begins with 0x{magic:04x}")]
    Magic {
        /// What the optional header begins with.
        magic: u16,
    },
    /// The headers are cut off, or sizes in them are impossible.
    #[error("the headers of the PE image are cut off or their sizes are impossible")]
    Headers,
    /// No entry for a certificate table.
    #[error("the PE image has {got} directories: without a fifth it cannot be signed")]
    Directories {
        /// Their number.
        got: u32,
    },
    /// A section that is not there as a whole.
    #[error("section {number} of the PE image reaches past its end")]
    Section {
        /// Counted from 1.
        number: usize,
    },
    /// Sections with more bytes together than the image has, or in the headers.
    #[error("the sections of the PE image overlap each other or the headers")]
    Overlap,
    /// A certificate table that does not end the file, or whose entries do not fill it.
    #[error("the certificate table of the PE image is damaged or not at its end")]
    Table,
    /// A file as large as its own fields cannot say.
    #[error("the PE image is too large: signed it would have 4 GiB or more")]
    TooLarge,
}

impl PeError {
    /// One sentence for the person who reads the terminal or the log.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotPe | Self::Magic { .. } => {
                "give an EFI program or a kernel with an EFI stub, not compressed"
            }
            Self::Headers | Self::Section { .. } | Self::Overlap => {
                "the file is damaged or cut off: build it again"
            }
            Self::Directories { .. } => "link it with at least five data directories",
            Self::Table => "remove the old signatures, with `sbattach --remove`, and sign again",
            Self::TooLarge => "images of 4 GiB cannot be signed",
        }
    }
}

/// Where things are in an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// The place of CheckSum.
    checksum: usize,
    /// The place of the certificate table's entry among the directories.
    directory: usize,
    size_of_headers: usize,
    /// Place and size of each section with data, by place.
    sections: Vec<(usize, usize)>,
    /// The end of what is hashed: the certificate table's place, or the end of the file.
    end: usize,
}

impl Layout {
    pub(super) fn parse(image: &[u8]) -> Result<Self, PeError> {
        let headers = Headers::read(image)?;
        let end = headers.table.map_or(image.len(), |(place, _)| place);
        let sections = headers.sections(image, end)?;
        let layout = Self {
            checksum: headers.optional + 64,
            directory: headers.directory,
            size_of_headers: headers.size_of_headers,
            sections,
            end,
        };
        // What is hashed last begins where headers and sections would end if there were no gaps.
        if layout.sum_of_sizes().is_none_or(|sum| sum > end) {
            return Err(PeError::Overlap);
        }
        if let Some((place, size)) = headers.table {
            let table = image.get(place..).filter(|table| table.len() == size).ok_or(PeError::Table)?;
            if place % ALIGNMENT != 0 || !Certificates(table).all(|found| found.is_some()) {
                return Err(PeError::Table);
            }
        }
        Ok(layout)
    }

    fn sum_of_sizes(&self) -> Option<usize> {
        self.sections.iter().try_fold(self.size_of_headers, |sum, (_, size)| sum.checked_add(*size))
    }

    /// Zeros that fill the file up before a certificate table: they are hashed too.
    fn padding(&self) -> &'static [u8] {
        &[0; ALIGNMENT][..self.end.next_multiple_of(ALIGNMENT) - self.end]
    }

    /// Steps 3 to 14 of "Calculating the PE Image Hash".
    fn digest(&self, image: &[u8]) -> Digest {
        let mut hasher = Hasher::new(HashAlg::Sha256);
        hasher.update(&image[..self.checksum]);
        hasher.update(&image[self.checksum + 4..self.directory]);
        hasher.update(&image[self.directory + DIRECTORY..self.size_of_headers]);
        for (place, size) in &self.sections {
            hasher.update(&image[*place..*place + *size]);
        }
        // `parse` has checked that the sum is within the image.
        let hashed = self.sum_of_sizes().unwrap_or(self.end);
        hasher.update(&image[hashed..self.end]);
        hasher.update(self.padding());
        hasher.finish()
    }

    /// Puts one more certificate into the table. The image grows in place, once.
    pub(super) fn attach(&self, mut image: Vec<u8>, signature: &[u8]) -> Result<Vec<u8>, PeError> {
        let length = CERTIFICATE_HEAD + signature.len();
        let start = image.len().next_multiple_of(ALIGNMENT);
        let end = start + length.next_multiple_of(ALIGNMENT);
        let table = self.end.next_multiple_of(ALIGNMENT);
        let field = |value: usize| u32::try_from(value).map_err(|_| PeError::TooLarge);
        let (length, size) = (field(length)?, field(end - table)?);
        let (place, file) = (field(table)?, field(end)?);

        image.reserve_exact(end - image.len());
        image.resize(start, 0);
        image.extend_from_slice(&length.to_le_bytes());
        image.extend_from_slice(&REVISION.to_le_bytes());
        image.extend_from_slice(&TYPE_SIGNED_DATA.to_le_bytes());
        image.extend_from_slice(signature);
        image.resize(end, 0);
        // The entry holds a place in the file, not an address as the other directories do.
        image[self.directory..self.directory + 4].copy_from_slice(&place.to_le_bytes());
        image[self.directory + 4..self.directory + 8].copy_from_slice(&size.to_le_bytes());
        image[self.checksum..self.checksum + 4].fill(0);
        let sum = checksum(&image).wrapping_add(file);
        image[self.checksum..self.checksum + 4].copy_from_slice(&sum.to_le_bytes());
        Ok(image)
    }
}

/// The 16-bit one's-complement sum of an image whose CheckSum is zero.
fn checksum(image: &[u8]) -> u32 {
    let words = image.chunks(2).map(|word| match *word {
        [low, high] => u64::from(u16::from_le_bytes([low, high])),
        _ => u64::from(word[0]),
    });
    // At most 2^31 words of 16 bits: no carry is lost.
    let mut sum: u64 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u32
}

/// What is read from the headers, with the bytes they stand on being there.
struct Headers {
    /// The place of the optional header.
    optional: usize,
    directory: usize,
    size_of_headers: usize,
    /// The place of the section headers, and their number.
    section_headers: (usize, usize),
    /// Place and size of the certificate table.
    table: Option<(usize, usize)>,
}

impl Headers {
    fn read(image: &[u8]) -> Result<Self, PeError> {
        if !image.starts_with(b"MZ") {
            return Err(PeError::NotPe);
        }
        let pe = word(image, 0x3c).ok_or(PeError::NotPe)?;
        if image.get(pe..).is_none_or(|rest| !rest.starts_with(b"PE\0\0")) {
            return Err(PeError::NotPe);
        }
        let number_of_sections = half(image, pe + 6).ok_or(PeError::Headers)?;
        let size_of_optional = half(image, pe + 20).ok_or(PeError::Headers)?;
        let optional = pe + 24;
        let magic = half(image, optional).ok_or(PeError::Headers)?;
        let directories = optional
            + match magic {
                0x10b => 96,
                0x20b => 112,
                magic => return Err(PeError::Magic { magic }),
            };
        let got = word(image, directories - 4).ok_or(PeError::Headers)? as u32;
        let directory = directories + CERTIFICATE_TABLE * DIRECTORY;
        if got <= CERTIFICATE_TABLE as u32 {
            return Err(PeError::Directories { got });
        }
        let sections = optional + usize::from(size_of_optional);
        let size_of_headers = word(image, optional + 60).ok_or(PeError::Headers)?;
        let end = sections + usize::from(number_of_sections) * SECTION;
        if directory + DIRECTORY > sections || end > size_of_headers || size_of_headers > image.len() {
            return Err(PeError::Headers);
        }
        let entry = (word(image, directory), word(image, directory + 4));
        let table = match entry {
            (Some(0), Some(0)) => None,
            (Some(place), Some(size)) if place >= size_of_headers && size > 0 => Some((place, size)),
            _ => return Err(PeError::Table),
        };
        if table.is_some_and(|(place, size)| place.checked_add(size) != Some(image.len())) {
            return Err(PeError::Table);
        }
        let section_headers = (sections, usize::from(number_of_sections));
        Ok(Self { optional, directory, size_of_headers, section_headers, table })
    }

    /// Place and size of each section with data, sorted by place. `end`: where sections must end.
    fn sections(&self, image: &[u8], end: usize) -> Result<Vec<(usize, usize)>, PeError> {
        let (at, count) = self.section_headers;
        let mut sections = Vec::with_capacity(count);
        for number in 0..count {
            let header = at + number * SECTION;
            let (Some(size), Some(place)) = (word(image, header + 16), word(image, header + 20)) else {
                return Err(PeError::Headers);
            };
            if size == 0 {
                continue;
            }
            if place.checked_add(size).is_none_or(|section_end| section_end > end) {
                return Err(PeError::Section { number: number + 1 });
            }
            // Signing would change what the section holds.
            if place < self.directory + DIRECTORY {
                return Err(PeError::Overlap);
            }
            sections.push((place, size));
        }
        sections.sort_by_key(|(place, _)| *place);
        Ok(sections)
    }
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_le_bytes(*bytes))
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    usize::try_from(u32::from_le_bytes(*bytes)).ok()
}

/// Walks over a certificate table: type and data of each; `None`, once, where it is damaged.
struct Certificates<'a>(&'a [u8]);

impl<'a> Iterator for Certificates<'a> {
    type Item = Option<(u16, &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let found = self.read();
        if found.is_none() {
            self.0 = &[];
        }
        Some(found)
    }
}

impl<'a> Certificates<'a> {
    fn read(&mut self) -> Option<(u16, &'a [u8])> {
        let length = word(self.0, 0)?;
        let kind = half(self.0, 6)?;
        let data = self.0.get(CERTIFICATE_HEAD..length)?;
        // The last one may lack its padding.
        let next = length.next_multiple_of(ALIGNMENT).min(self.0.len());
        self.0 = &self.0[next..];
        Some((kind, data))
    }
}

/// A PE image, read as far as signatures go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeImage<'a> {
    bytes: &'a [u8],
    layout: Layout,
}

impl<'a> PeImage<'a> {
    /// Reads an image: whole, with sections and certificate table where the headers say.
    ///
    /// # Errors
    /// [`PeError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, PeError> {
        Ok(Self { bytes, layout: Layout::parse(bytes)? })
    }

    /// The Authenticode digest, SHA-256: everything but CheckSum, the certificate table and its entry, with
    /// zeros up to a multiple of 8. Also what dbx lists.
    pub fn digest(&self) -> Digest {
        self.layout.digest(self.bytes)
    }

    /// The SignedData of the certificate table in its order, each in DER, perhaps with zeros after it.
    pub fn signatures(&self) -> impl Iterator<Item = &'a [u8]> {
        let table = Certificates(&self.bytes[self.layout.end..]).flatten();
        table.filter(|(kind, _)| *kind == TYPE_SIGNED_DATA).map(|(_, data)| data)
    }
}
