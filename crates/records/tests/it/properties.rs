//! What holds for any text.

use std::sync::LazyLock;

use countersign_records::tag::{Payload, Tag, TagFile, WeakKeys};
use proptest::prelude::*;

use crate::support::{TestKey, name};

static KEY: LazyLock<TestKey> = LazyLock::new(TestKey::generate);

fn signed(text: &[u8]) -> Option<Vec<u8>> {
    let mut tag = Tag::new(Payload::new(text).ok()?);
    tag.put(KEY.sign(&tag.payload().clone(), "ana"));
    tag.put(KEY.sign(&tag.payload().clone(), "bo"));
    Some(tag.to_bytes())
}

fn verifies(file: &[u8]) -> bool {
    let verify = |file: TagFile<'_>| {
        ["ana", "bo"].iter().all(|a| file.verify(&name(a), &KEY.public, WeakKeys::Refuse).is_ok())
    };
    TagFile::parse(file).is_ok_and(verify)
}

fn payload(file: &[u8]) -> Vec<u8> {
    TagFile::parse(file).unwrap().payload().to_vec()
}

/// Lines that have to do with headers, among others.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(vec![
        &b"==="[..],
        b"SIGNATURE",
        b"signature",
        b" ",
        b"  ",
        b"\t",
        b"\r",
        b"a",
        b"ana",
        b"QUJDREVGR0g=",
        b"\0",
        b"\xff",
    ]);
    prop_oneof![
        prop::collection::vec(word, 0..6).prop_map(|words| words.concat()),
        prop::collection::vec(any::<u8>(), 0..40),
        Just(b"=== SIGNATURE ana".to_vec()),
        Just(b"QUJDREVGR0g=".to_vec()),
    ]
}

fn file() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(line(), 0..8).prop_map(|lines| lines.join(&b'\n'))
}

proptest! {
    #[test]
    fn what_is_signed_verifies_and_gives_the_text_back(text in file()) {
        if let Some(bytes) = signed(&text) {
            prop_assert!(verifies(&bytes));
            let file = TagFile::parse(&bytes).unwrap();
            prop_assert_eq!(file.payload().strip_suffix(b"\n"), Some(text.strip_suffix(b"\n").unwrap_or(&text)));
            prop_assert_eq!(Tag::parse(&bytes).unwrap().to_bytes(), bytes);
        }
    }

    #[test]
    fn a_changed_byte_of_the_payload_never_verifies(
        text in prop::collection::vec(any::<u8>(), 1..200), at in any::<prop::sample::Index>(), with in 1u8..,
    ) {
        if let Some(mut bytes) = signed(&text) {
            let at = at.index(text.len());
            bytes[at] ^= with;
            prop_assert!(!verifies(&bytes), "{at}");
        }
    }

    #[test]
    fn a_changed_byte_anywhere_never_yields_another_payload(
        text in prop::collection::vec(any::<u8>(), 1..200), at in any::<prop::sample::Index>(), with in 1u8..,
    ) {
        if let Some(mut bytes) = signed(&text) {
            let before = payload(&bytes);
            let at = at.index(bytes.len());
            bytes[at] ^= with;
            if verifies(&bytes) {
                prop_assert_eq!(payload(&bytes), before);
            }
        }
    }

    #[test]
    fn any_file_is_read_without_loss(bytes in file()) {
        if let Ok(file) = TagFile::parse(&bytes) {
            let mut again = file.payload().to_vec();
            for block in file.blocks() {
                let header = bytes.split(|b| *b == b'\n').nth(block.line - 1).unwrap();
                prop_assert!(header.starts_with(&[b"=== SIGNATURE ", block.header].concat()));
                again.extend_from_slice(header);
                again.push(b'\n');
                again.extend_from_slice(block.body);
            }
            let whole = [&bytes[..], if again.len() > bytes.len() { b"\n" } else { b"" }].concat();
            prop_assert_eq!(again, whole);
        }
    }

    #[test]
    fn what_may_be_signed_is_what_a_reader_sees(bytes in file()) {
        if let Ok(tag) = Tag::parse(&bytes) {
            let written = tag.to_bytes();
            prop_assert_eq!(payload(&bytes), tag.payload().as_bytes());
            prop_assert_eq!(Tag::parse(&written).unwrap(), tag);
        }
    }
}
