//! Tag files as they are found.

use std::borrow::Cow;
use std::collections::BTreeMap;

use countersign_model::{Encoding, HashAlg, PublicKey, RawSignature, ToSign};

use super::lines::{header_name, lines};
use super::{AuthorityName, TagError, block, scheme_for};

/// A tag file as it was found, with whatever stands in it. Nothing is verified by reading it.
#[derive(Clone, Debug)]
pub struct TagFile<'a> {
    payload: Cow<'a, [u8]>,
    /// Every scheme of the format signs this.
    to_sign: ToSign,
    blocks: Vec<FoundBlock<'a>>,
    /// By name, so that looking all of them up costs no more in a file of very many blocks.
    by_name: BTreeMap<&'a [u8], Named<'a>>,
}

/// What there is under a name.
#[derive(Clone, Copy, Debug)]
enum Named<'a> {
    One(FoundBlock<'a>),
    Several,
}

/// A header line and what stands below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundBlock<'a> {
    /// The line of the header, counted from 1.
    pub line: usize,
    /// The name as it stands there, without the spaces after it.
    pub header: &'a [u8],
    /// Everything up to the next header.
    pub body: &'a [u8],
}

/// Whether signatures by RSA keys below 2048 bits count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WeakKeys {
    /// They do not.
    #[default]
    Refuse,
    /// They do: for files that are too old for anything better.
    Allow,
}

impl<'a> FoundBlock<'a> {
    /// The name, which ends at the first tab.
    pub fn name(&self) -> &'a [u8] {
        self.header.split(|b| *b == b'\t').next().unwrap_or_default()
    }
}

impl<'a> TagFile<'a> {
    /// Splits a file into payload and blocks.
    ///
    /// # Errors
    /// [`TagError::Empty`] if there is no line before the first header.
    pub fn parse(file: &'a [u8]) -> Result<Self, TagError> {
        let mut end = file.len();
        let mut blocks: Vec<FoundBlock<'a>> = Vec::new();
        let mut body = 0;
        for line in lines(file) {
            let Some(header) = header_name(line.text) else { continue };
            match blocks.last_mut() {
                Some(last) => last.body = &file[body..line.start],
                None => end = line.start,
            }
            // The last line of a file may lack its line feed.
            body = file.len().min(line.start + line.text.len() + 1);
            blocks.push(FoundBlock { line: line.number, header, body: &file[body..] });
        }
        if end == 0 {
            return Err(TagError::Empty);
        }
        let mut payload = Cow::Borrowed(&file[..end]);
        if payload.last() != Some(&b'\n') {
            payload.to_mut().push(b'\n');
        }
        let to_sign = ToSign::Digest(HashAlg::Sha256.digest(&payload));
        let mut by_name = BTreeMap::new();
        for block in &blocks {
            let entry = by_name.entry(block.name());
            entry.and_modify(|named| *named = Named::Several).or_insert(Named::One(*block));
        }
        Ok(Self { payload, to_sign, blocks, by_name })
    }

    /// The lines before the first header, each with its line feed.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// All blocks in the order of the file, also those that nobody can use.
    pub fn blocks(&self) -> &[FoundBlock<'a>] {
        &self.blocks
    }

    /// The one block of `authority`.
    ///
    /// # Errors
    /// [`TagError::NotSigned`] if there is none or it is empty, [`TagError::Duplicate`] if there are several.
    pub fn block(&self, authority: &AuthorityName) -> Result<FoundBlock<'a>, TagError> {
        match self.by_name.get(authority.as_str().as_bytes()) {
            Some(Named::One(block)) if !block.body.is_empty() => Ok(*block),
            Some(Named::One(_)) | None => Err(TagError::NotSigned { name: authority.clone() }),
            Some(Named::Several) => Err(TagError::Duplicate { name: authority.clone() }),
        }
    }

    /// Checks that `authority`, whose key is `key`, signed the payload.
    ///
    /// # Errors
    /// Those of [`block`](Self::block); [`TagError::UnsupportedKey`], [`TagError::WeakKey`];
    /// [`TagError::InvalidSignature`] if the signature is not one of this key over this payload.
    pub fn verify(
        &self,
        authority: &AuthorityName,
        key: &PublicKey,
        weak_keys: WeakKeys,
    ) -> Result<(), TagError> {
        let name = || authority.clone();
        let block = self.block(authority)?;
        let scheme = scheme_for(key.key_type()).ok_or_else(|| TagError::UnsupportedKey { name: name() })?;
        if key.is_weak() && weak_keys == WeakKeys::Refuse {
            return Err(TagError::WeakKey { name: name() });
        }
        let invalid = || TagError::InvalidSignature { name: name() };
        let signature = block::decode(block.body).ok_or_else(invalid)?;
        let width = key.key_type().ecdsa_width();
        let signature = RawSignature::decode(&signature, width, Encoding::Der).map_err(|_| invalid())?;
        key.verify(scheme, &self.to_sign, &signature).map_err(|_| invalid())
    }
}
