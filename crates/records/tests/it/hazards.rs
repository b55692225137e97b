//! What can go wrong with such files, one test for each hazard of the format.

use countersign_model::{RawSignature, Scheme};
use countersign_records::tag::{self, AuthorityName, FormatError, Payload, Tag, TagError, TagFile, WeakKeys};

use crate::support::{TestKey, fixture, name, public_key, text};

const SIGNATURE: &str = "QUJDREVGR0g="; // 8 bytes

fn signing(lines: &[&str]) -> Result<Tag, TagError> {
    Tag::parse(&text(lines))
}

#[test]
fn hazard_1_a_header_line_inside_a_text_is_never_signed_around() {
    let header = |line| Err(TagError::HeaderLine { line });
    assert_eq!(signing(&["amount=1", "=== SIGNATURE zz", "limit=none"]), header(2));
    assert_eq!(signing(&["amount=1", "=== SIGNATURE zz"]), header(2), "no signature");
    assert_eq!(signing(&["amount=1", "=== SIGNATURE zz", ""]), header(2), "a blank line");
    assert_eq!(signing(&["a", "=== SIGNATURE zz", SIGNATURE, "", "limit=none"]), header(2), "text below");
    assert_eq!(signing(&["a", "=== SIGNATURE zz", "", SIGNATURE]), header(2), "a blank line first");
    assert_eq!(signing(&["a", "=== SIGNATURE zz", "QUJD"]), header(2), "3 bytes");
    assert_eq!(signing(&["a", "=== SIGNATURE zz", &"QUJD".repeat(683)]), header(2), "2049 bytes");
    assert_eq!(signing(&["a", "=== SIGNATURE zz", &format!("{SIGNATURE} ")]), header(2), "a space");
    assert_eq!(signing(&["a", "=== SIGNATURE zz", "QUJDREVGR0g"]), header(2), "no padding");
    assert_eq!(signing(&["a", "=== SIGNATURE zz\r", &format!("{SIGNATURE}\r")]), header(2), "CRLF");

    let good = ["a", "=== SIGNATURE zz", SIGNATURE];
    assert!(signing(&good).is_ok());
    assert_eq!(signing(&[&good[..], &["=== SIGNATURE yy", "limit=none"]].concat()), header(4));
    assert_eq!(signing(&[&good[..], &["=== SIGNATURE zz", SIGNATURE]].concat()), header(4), "twice");
}

#[test]
fn hazard_1_a_line_that_looks_like_a_header_is_not_signed_but_read_in_old_files() {
    for line in
        ["=== SIGNATURE a b", "=== SIGNATURE", "  ===\tsignature: x", "=== Signature\r", "x\r=== SIGNATURE y"]
    {
        assert_eq!(signing(&["a", line, "b"]), Err(TagError::LookAlike { line: 2 }), "{line:?}");
        assert_eq!(Payload::new(text(&[line])), Err(TagError::LookAlike { line: 1 }), "{line:?}");

        let file = text(&["a", line, "b", "=== SIGNATURE zz", SIGNATURE]);
        let file = TagFile::parse(&file).unwrap();
        assert_eq!(file.payload(), text(&["a", line, "b"]), "{line:?}");
        assert!(file.block(&name("zz")).is_ok());
    }
}

#[test]
fn hazard_1_a_raw_payload_may_not_have_a_header_even_before_a_whole_block() {
    let signed = text(&["a", "=== SIGNATURE zz", SIGNATURE]);
    assert_eq!(Payload::new(signed), Err(TagError::HeaderLine { line: 2 }));
    assert_eq!(Payload::new(""), Err(TagError::Empty));
}

#[test]
fn hazard_2_a_signer_can_see_how_much_is_signed_and_whose_blocks_are_kept() {
    let tag =
        signing(&["a", "", "b", "=== SIGNATURE zz  ", SIGNATURE, "=== SIGNATURE yy", SIGNATURE]).unwrap();
    assert_eq!(tag.payload().line_count(), 3);
    let kept: Vec<_> = tag.blocks().map(|block| block.authority().to_string()).collect();
    assert_eq!(kept, ["yy", "zz"]);
}

#[test]
fn hazard_2_a_block_that_does_not_verify_can_be_taken_out() {
    let mut tag = signing(&["a", "=== SIGNATURE alpha", SIGNATURE, "=== SIGNATURE zz", SIGNATURE]).unwrap();
    assert!(tag.remove(&name("zz")).is_some());
    assert!(tag.remove(&name("zz")).is_none());
    assert_eq!(tag.to_bytes(), text(&["a", "=== SIGNATURE alpha", SIGNATURE]));
}

#[test]
fn hazard_3_a_name_that_is_no_plain_file_name_is_refused() {
    for good in ["a", "A", "0", "_", "a.b", "jenkins-prd", "a@b.org", "a+b", &"a".repeat(64)] {
        assert_eq!(good.parse::<AuthorityName>().map(|n| n.to_string()), Ok(good.to_owned()));
    }
    for bad in [
        "",
        ".",
        "..",
        ".a",
        "-a",
        "@a",
        "+a",
        "a..b",
        "../../x",
        "a/b",
        "/a",
        "a b",
        "a\tb",
        "a\n",
        "a\0",
        "ä",
        "$(id)",
        "a;b",
        "*",
        "payload",
        &"a".repeat(65),
    ] {
        let error = bad.parse::<AuthorityName>().unwrap_err();
        assert!(matches!(error, TagError::BadName { .. }), "{bad:?}");
    }
    let error = "../../x".parse::<AuthorityName>().unwrap_err();
    assert_eq!(error.to_string(), "bad authority name: ../../x");
}

#[test]
fn hazard_3_a_block_of_a_bad_name_is_ignored_by_readers_and_refused_by_signers() {
    for bad in ["../../x", ".a", "payload", "a/b", "a\tb", "ä"] {
        let file = text(&["a", &format!("=== SIGNATURE {bad}"), SIGNATURE, "=== SIGNATURE zz", SIGNATURE]);
        assert_eq!(Tag::parse(&file), Err(TagError::HeaderLine { line: 2 }), "{bad:?}");
        assert!(TagFile::parse(&file).unwrap().block(&name("zz")).is_ok(), "{bad:?}");
    }
}

#[test]
fn hazard_3_a_name_in_a_header_is_cut_at_the_first_tab() {
    let file = text(&["a", "=== SIGNATURE zz\tx", SIGNATURE]);
    let file = TagFile::parse(&file).unwrap();
    assert_eq!(file.blocks()[0].name(), b"zz");
    assert!(file.block(&name("zz")).is_ok());
}

#[test]
fn hazard_6_two_blocks_of_one_authority_are_refused_even_if_the_first_is_good() {
    let mut bytes = fixture("openssl/alpha.signed");
    bytes.extend_from_slice(b"=== SIGNATURE alpha\nQUJDREVGR0g=\n");
    let file = TagFile::parse(&bytes).unwrap();
    let duplicate = TagError::Duplicate { name: name("alpha") };
    assert_eq!(duplicate.to_string(), "duplicate signature block for alpha");
    let key = public_key("keys/alpha.pub");
    assert_eq!(file.verify(&name("alpha"), &key, WeakKeys::Refuse), Err(duplicate));
}

#[test]
fn hazard_10_a_weak_key_counts_only_on_request() {
    let bytes = fixture("openssl/weak.signed");
    let file = TagFile::parse(&bytes).unwrap();
    let key = public_key("more/weak.pub");
    let weak = TagError::WeakKey { name: name("weak") };
    assert_eq!(weak.to_string(), "weak key for weak");
    assert_eq!(file.verify(&name("weak"), &key, WeakKeys::Refuse), Err(weak));
    assert_eq!(file.verify(&name("weak"), &key, WeakKeys::Allow), Ok(()));
}

#[test]
fn ed25519_is_not_part_of_the_format() {
    let payload = Payload::new("a").unwrap();
    assert_eq!(tag::prepare(&payload, Scheme::Ed25519), Err(FormatError::Scheme(Scheme::Ed25519)));
    let file = text(&["a", "=== SIGNATURE ed", SIGNATURE]);
    let file = TagFile::parse(&file).unwrap();
    let error = file.verify(&name("ed"), &public_key("keys/ed.pub"), WeakKeys::Refuse).unwrap_err();
    assert_eq!(error.to_string(), "unsupported key type for ed");
}

#[test]
fn only_schemes_with_sha256_and_no_salt_are_prepared() {
    let payload = Payload::new("a").unwrap();
    let fit: Vec<_> =
        Scheme::ALL.into_iter().filter(|scheme| tag::prepare(&payload, *scheme).is_ok()).collect();
    assert_eq!(fit.iter().map(|s| s.as_str()).collect::<Vec<_>>(), ["rsa-pkcs1-sha256", "ecdsa-sha256"]);
}

#[test]
fn a_signature_of_an_impossible_length_makes_no_block() {
    let payload = Payload::new("a").unwrap();
    let scheme: Scheme = "rsa-pkcs1-sha256".parse().unwrap();
    for (length, ok) in [(0, false), (7, false), (8, true), (2048, true), (2049, false)] {
        let (_, pending) = tag::prepare(&payload, scheme).unwrap();
        let block = tag::finish(pending, name("a"), &RawSignature(vec![1; length]));
        assert_eq!(block.is_ok(), ok, "{length}");
    }
}

#[test]
fn blocks_are_sorted_as_file_names_byte_by_byte() {
    let key = TestKey::generate();
    let mut tag = Tag::new(Payload::new("x").unwrap());
    for authority in ["alpha", "a", "a-b", "Charlie", "a.b", "_x", "a+b"] {
        tag.put(key.sign(&tag.payload().clone(), authority));
    }
    let order: Vec<_> = tag.blocks().map(|block| block.authority().to_string()).collect();
    assert_eq!(order, ["Charlie", "_x", "a+b", "a-b", "a.b", "a", "alpha"]);
}

#[test]
fn a_body_of_one_long_line_or_without_its_last_line_feed_is_kept_as_it_is() {
    let long = "QUJD".repeat(64);
    let file = [text(&["a", "=== SIGNATURE zz"]), long.clone().into_bytes()].concat();
    let tag = Tag::parse(&file).unwrap();
    assert_eq!(tag.to_bytes(), text(&["a", "=== SIGNATURE zz", &long]));
    assert_eq!(tag.block(&name("zz")).unwrap().signature(), b"ABC".repeat(64));
}
