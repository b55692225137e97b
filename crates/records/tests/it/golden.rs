//! Runs of the older program, as far as they do not depend on files. All of them go through our program in
//! the tests of the command line.

use countersign_model::RawSignature;
use countersign_records::tag::{self, AuthorityName, Tag, TagError, TagFile, WeakKeys};

use crate::support::{Case, cases, fixture, name, public_key};

const HAS_PUBLIC_KEY: [&str; 6] = ["alpha", "bravo", "Charlie", "delta", "echo-384", "ed"];

#[test]
fn every_payload_run_ends_as_it_did() {
    let mut seen = 0;
    for case in cases().into_iter().filter(|case| case.op == "payload" && case.ours.starts_with("same")) {
        if case.stderr.contains("key not found") {
            continue;
        }
        seen += 1;
        match read(&case) {
            Ok(payload) => {
                assert_eq!(case.exit_code, 0, "{}", case.name);
                assert_eq!(payload, case.stdout, "{}", case.name);
            }
            Err(error) => assert_eq!(error.to_string(), refusal(&case), "{}", case.name),
        }
    }
    assert_eq!(seen, 17);
}

fn read(case: &Case) -> Result<Vec<u8>, TagError> {
    let file = TagFile::parse(&case.input)?;
    for authority in &case.authorities {
        assert!(HAS_PUBLIC_KEY.contains(&authority.as_str()));
        file.verify(&name(authority), &public_key(&format!("keys/{authority}.pub")), WeakKeys::Refuse)?;
    }
    Ok(file.payload().to_vec())
}

/// What we say where it said so, or showed another program's message.
fn refusal(case: &Case) -> String {
    assert_eq!(case.exit_code, 1, "{}", case.name);
    match case.ours.split_once("message: ") {
        Some((_, ours)) => ours.to_owned(),
        None => case.stderr.strip_prefix("stags: ").unwrap().trim_end().to_owned(),
    }
}

#[test]
fn every_signing_run_writes_the_same_bytes() {
    let mut seen = 0;
    let signed = |case: &Case| case.op == "sign" && case.exit_code == 0 && case.ours == "same";
    for case in cases().into_iter().filter(signed) {
        seen += 1;
        let written = case.output.as_ref().unwrap_or(&case.input);
        let golden = Tag::parse(written).unwrap();
        let mut tag = Tag::parse(&case.input).unwrap();
        for authority in case.authorities.iter().map(|authority| name(authority)) {
            // The signature is theirs; everything around it must come out as they wrote it.
            tag.put(block(&tag, &authority, golden.block(&authority).unwrap().signature()));
        }
        assert_eq!(tag.to_bytes(), *written, "{}", case.name);
        let file = TagFile::parse(written).unwrap();
        for authority in &case.authorities {
            let key = public_key(&format!("keys/{authority}.pub"));
            assert_eq!(file.verify(&name(authority), &key, WeakKeys::Refuse), Ok(()), "{}", case.name);
        }
    }
    assert_eq!(seen, 16);
}

fn block(tag: &Tag, authority: &AuthorityName, signature: &[u8]) -> tag::Block {
    let key = public_key(&format!("keys/{authority}.pub"));
    let scheme = tag::scheme_for(key.key_type()).unwrap();
    let (to_sign, pending) = tag::prepare(tag.payload(), scheme).unwrap();
    let width = key.key_type().ecdsa_width();
    let raw = RawSignature::decode(signature, width, countersign_model::Encoding::Der).unwrap();
    assert_eq!(key.verify(scheme, &to_sign, &raw), Ok(()));
    tag::finish(pending, authority.clone(), &raw).unwrap()
}

#[test]
fn a_file_that_cannot_be_signed_is_refused_with_the_same_text() {
    for case in cases().into_iter().filter(|case| case.op == "sign" && case.exit_code == 1) {
        if let Some(text) = case.stderr.strip_prefix("stags: cannot sign") {
            let error = Tag::parse(&case.input).unwrap_err();
            assert_eq!(error.to_string(), format!("cannot sign{}", text.trim_end()), "{}", case.name);
        }
    }
}

#[test]
fn the_example_is_read_and_written_again_byte_by_byte() {
    let bytes = fixture("example.signed");
    let tag = Tag::parse(&bytes).unwrap();
    let names: Vec<_> = tag.blocks().map(|block| block.authority().as_str()).collect();
    assert_eq!(names, ["Charlie", "alpha", "bravo"]);
    assert_eq!(tag.payload().line_count(), 3);
    assert_eq!(tag.to_bytes(), bytes);
}
