//! Tags that are safe to sign, and how they are written.

use std::collections::BTreeMap;

use super::block::Block;
use super::lines::{header_name, lines, looks_like_header};
use super::{AuthorityName, TagError, TagFile};

/// A text that is safe to sign: at least one line, each with its line feed, and none that is a header or
/// looks like one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload(Vec<u8>);

impl Payload {
    /// Takes a text without signatures. A missing final line feed is added and will be signed; nothing else
    /// is changed.
    ///
    /// # Errors
    /// [`TagError::Empty`]; [`TagError::HeaderLine`] and [`TagError::LookAlike`] with the first such line.
    pub fn new(text: impl Into<Vec<u8>>) -> Result<Self, TagError> {
        let mut text = text.into();
        if text.is_empty() {
            return Err(TagError::Empty);
        }
        for line in lines(&text) {
            if header_name(line.text).is_some() {
                return Err(TagError::HeaderLine { line: line.number });
            }
            if looks_like_header(line.text) {
                return Err(TagError::LookAlike { line: line.number });
            }
        }
        if text.last() != Some(&b'\n') {
            text.push(b'\n');
        }
        Ok(Self(text))
    }

    /// The payload of a head: its lines begin with keys, so that none is or looks like a header.
    pub(super) fn of_head(text: String) -> Self {
        Self(text.into_bytes())
    }

    /// What is signed.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// How many lines it has.
    pub fn line_count(&self) -> usize {
        lines(&self.0).count()
    }
}

/// A payload and well-formed blocks, one for each authority. Whether they verify is for [`TagFile::verify`]
/// to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    payload: Payload,
    /// By `NAME.sig`: the order in which they are written, by which `a-b` comes before `a`.
    blocks: BTreeMap<String, Block>,
}

impl Tag {
    /// A tag without signatures.
    pub fn new(payload: Payload) -> Self {
        Self { payload, blocks: BTreeMap::new() }
    }

    /// Reads a tag in order to sign it.
    ///
    /// What stands below the first header must be well-formed blocks of different authorities and nothing
    /// else. Otherwise a header line may be part of a text that somebody wants signed, and all below it would
    /// be left out.
    ///
    /// # Errors
    /// [`TagError::Empty`]; [`TagError::LookAlike`]; [`TagError::HeaderLine`] with the line of the first header
    /// that does not begin such a block.
    pub fn parse(file: &[u8]) -> Result<Self, TagError> {
        let found = TagFile::parse(file)?;
        let mut tag = Self::new(Payload::new(found.payload())?);
        for found in found.blocks() {
            let refused = TagError::HeaderLine { line: found.line };
            let block = Block::well_formed(found.header, found.body).ok_or_else(|| refused.clone())?;
            if tag.put(block).is_some() {
                return Err(refused);
            }
        }
        Ok(tag)
    }

    /// The text.
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// The blocks, in the order in which they are written.
    pub fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.blocks.values()
    }

    /// The block of `authority`.
    pub fn block(&self, authority: &AuthorityName) -> Option<&Block> {
        self.blocks.get(&file_name(authority))
    }

    /// Adds a block, or replaces the one of the same authority and returns it.
    pub fn put(&mut self, block: Block) -> Option<Block> {
        self.blocks.insert(file_name(block.authority()), block)
    }

    /// Takes the block of `authority` away.
    pub fn remove(&mut self, authority: &AuthorityName) -> Option<Block> {
        self.blocks.remove(&file_name(authority))
    }

    /// The file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.payload.as_bytes().to_vec();
        for block in self.blocks() {
            out.extend_from_slice(b"=== SIGNATURE ");
            out.extend_from_slice(block.authority().as_str().as_bytes());
            out.push(b'\n');
            out.extend_from_slice(block.base64_lines());
        }
        out
    }
}

fn file_name(authority: &AuthorityName) -> String {
    format!("{authority}.sig")
}
