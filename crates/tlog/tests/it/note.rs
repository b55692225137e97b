use countersign_model::public_key::PublicKey;
use countersign_model::signing::{RawSignature, ToSign};
use countersign_tlog::note::{
    MAX_NOTE, MAX_SIGNATURES, NoteError, NoteKeyName, SignedNote, VerifierKey, prepare, prepare_another,
};

use crate::support::{NEUMANN, neumann, neumann_signs};

const TEXT: &str = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n";

/// As other implementations print it.
const NOTE: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n\
    \n\
    — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

/// A signature of a type that we do not know, by a key that we do not know.
const STRANGER: &str = "— witness.example/x AAAAAP8=\n";

fn name(text: &str) -> NoteKeyName {
    text.parse().unwrap()
}

/// A key of another name with other bytes: those of the first test vector of RFC 8032, 7.1.
fn another_key(of_name: &str) -> VerifierKey {
    let bytes = hex::decode("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a").unwrap();
    let key = PublicKey::from_ed25519(&bytes.try_into().unwrap()).unwrap();
    VerifierKey::new(name(of_name), key).unwrap()
}

#[test]
fn a_note_signed_by_another_implementation_verifies_and_is_written_again_byte_by_byte() {
    let note = SignedNote::parse(NOTE.as_bytes()).unwrap();
    assert_eq!(note.text(), TEXT);
    assert_eq!(note.verify(&neumann()), Ok(()));
    assert_eq!(note.to_string(), NOTE);
}

#[test]
fn prepare_sign_finish_gives_the_same_bytes_as_another_implementation() {
    let (to_sign, pending) = prepare(TEXT, &neumann()).unwrap();
    assert_eq!(to_sign, ToSign::Message(TEXT.as_bytes().to_vec()));
    let note = pending.finish(neumann_signs(&to_sign)).unwrap();
    assert_eq!(note.to_string(), NOTE);
}

#[test]
fn verifier_keys_go_round_and_have_the_ids_that_are_published() {
    let go_checksum_database = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
    for text in [NEUMANN, go_checksum_database] {
        let key: VerifierKey = text.parse().unwrap();
        assert_eq!(key.to_string(), text);
        assert_eq!(VerifierKey::new(key.name().clone(), key.public_key().clone()), Ok(key));
    }
}

#[test]
fn malformed_verifier_keys_are_refused() {
    for text in [
        "",
        "PeterNeumann",
        "PeterNeumann+c74f20a3",
        "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+",
        "PeterNeumann+c74f20a3+ARpc",
        "PeterNeumann+c74f20a3+AhpC2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW\n",
        "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz",
    ] {
        assert!(text.parse::<VerifierKey>().is_err(), "{text}");
    }
}

#[test]
fn unknown_signatures_are_kept_and_ignored() {
    let with_stranger = NOTE.replace("— Peter", &format!("{STRANGER}— Peter"));
    let note = SignedNote::parse(with_stranger.as_bytes()).unwrap();
    assert_eq!(note.signatures().len(), 2);
    assert_eq!(note.verify(&neumann()), Ok(()));
    assert_eq!(note.to_string(), with_stranger);

    let stranger = another_key("witness.example/x");
    let missing = Err(NoteError::NotSignedBy { key: name("witness.example/x") });
    assert_eq!(note.verify(&stranger), missing, "the name alone is not enough");
    let namesake = another_key("PeterNeumann");
    assert_eq!(note.verify(&namesake), Err(NoteError::NotSignedBy { key: name("PeterNeumann") }));
}

#[test]
fn a_second_signature_is_added_after_the_first() {
    let only_stranger = SignedNote::parse(format!("{TEXT}\n{STRANGER}").as_bytes()).unwrap();
    let (to_sign, pending) = prepare_another(only_stranger, &neumann());
    let note = pending.finish(neumann_signs(&to_sign)).unwrap();
    assert_eq!(note.to_string(), NOTE.replace("— Peter", &format!("{STRANGER}— Peter")));
}

#[test]
fn a_changed_text_or_signature_is_refused_even_beside_a_good_one() {
    let bad = Err(NoteError::BadSignature { key: name("PeterNeumann") });
    let changed = SignedNote::parse(NOTE.replace("answer", "question").as_bytes()).unwrap();
    assert_eq!(changed.verify(&neumann()), bad);

    let good_line = NOTE.lines().last().unwrap();
    let bad_line = good_line.replace("x08go/ZJ", "x08go/ZK");
    let both = SignedNote::parse(format!("{NOTE}{bad_line}\n").as_bytes()).unwrap();
    assert_eq!(both.verify(&neumann()), bad);
    let short_line = "— PeterNeumann x08gowA=";
    let short = SignedNote::parse(format!("{TEXT}\n{short_line}\n").as_bytes()).unwrap();
    assert_eq!(short.verify(&neumann()), bad);
}

#[test]
fn no_bit_of_a_note_can_change() {
    for bit in 0..8 * NOTE.len() {
        let mut bytes = NOTE.as_bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let result = SignedNote::parse(&bytes).and_then(|note| note.verify(&neumann()));
        assert!(result.is_err(), "bit {bit}");
    }
}

#[test]
fn the_text_may_have_blank_lines_and_lines_like_signatures() {
    let text = format!("\n\none\n\n{STRANGER}\n\n");
    let (to_sign, pending) = prepare(&text, &neumann()).unwrap();
    let note = pending.finish(neumann_signs(&to_sign)).unwrap();
    let read = SignedNote::parse(note.to_string().as_bytes()).unwrap();
    assert_eq!(read, note);
    assert_eq!(read.text(), text);
    assert_eq!(read.verify(&neumann()), Ok(()));

    let other = signed_note::Note::from_bytes(note.to_string().as_bytes()).unwrap();
    assert_eq!(other.text(), text.as_bytes());
}

#[test]
fn malformed_notes_are_refused_here_and_by_another_implementation() {
    let cases = [
        (String::new(), NoteError::NoSignatures),
        (TEXT.to_owned(), NoteError::NoSignatures),
        (format!("{TEXT}\n"), NoteError::NoSignatures),
        (format!("{TEXT}{STRANGER}"), NoteError::NoSignatures),
        (NOTE.trim_end().to_owned(), NoteError::NoSignatures),
        (format!("{NOTE}\n"), NoteError::NoSignatures),
        (format!("{NOTE}— name\n"), NoteError::SignatureLine { line: 2 }),
        (format!("{NOTE}- witness.example/x AAAAAP8=\n"), NoteError::SignatureLine { line: 2 }),
        (format!("{NOTE}—  AAAAAP8=\n"), NoteError::SignatureLine { line: 2 }),
        (format!("{NOTE}— a+b AAAAAP8=\n"), NoteError::SignatureLine { line: 2 }),
        (format!("{NOTE}— a\u{a0}b AAAAAP8=\n"), NoteError::SignatureLine { line: 2 }),
        (format!("{NOTE}— ab AAAAAP8= \n"), NoteError::SignatureLine { line: 2 }),
        (format!("{NOTE}— ab AAAAAP9=\n"), NoteError::SignatureLine { line: 2 }),
        (format!("{NOTE}— ab AAAAAP8\n"), NoteError::SignatureLine { line: 2 }),
        (format!("{NOTE}— ab AAAAAA\n"), NoteError::SignatureLine { line: 2 }),
        (format!("{NOTE}— ab AAAAAA==\n"), NoteError::SignatureLine { line: 2 }),
        (NOTE.replace("answer", "an\rswer"), NoteError::NotText),
        (NOTE.replace('\n', "\r\n"), NoteError::NotText),
        (NOTE.replace("answer", "\0"), NoteError::NotText),
    ];
    for (text, error) in cases {
        assert_eq!(SignedNote::parse(text.as_bytes()), Err(error), "{text:?}");
        assert!(signed_note::Note::from_bytes(text.as_bytes()).is_err(), "{text:?}");
    }
    assert_eq!(SignedNote::parse(b"\xff\n\n"), Err(NoteError::NotText));
}

#[test]
fn a_note_is_bounded_in_size_and_signatures() {
    let many = |count| format!("{TEXT}\n{}", STRANGER.repeat(count));
    assert!(SignedNote::parse(many(MAX_SIGNATURES).as_bytes()).is_ok());
    let too_many = Err(NoteError::TooManySignatures);
    assert_eq!(SignedNote::parse(many(MAX_SIGNATURES + 1).as_bytes()), too_many);

    let tail = format!("\n\n{STRANGER}");
    let largest = "x".repeat(MAX_NOTE - tail.len()) + &tail;
    let note = SignedNote::parse(largest.as_bytes()).unwrap();
    let got = largest.len() + 1;
    assert_eq!(SignedNote::parse(format!("x{largest}").as_bytes()), Err(NoteError::TooLong { got }));

    let (to_sign, pending) = prepare_another(note, &neumann());
    assert!(matches!(pending.finish(neumann_signs(&to_sign)), Err(NoteError::TooLong { .. })));
    let full = SignedNote::parse(many(MAX_SIGNATURES).as_bytes()).unwrap();
    let (to_sign, pending) = prepare_another(full, &neumann());
    assert_eq!(pending.finish(neumann_signs(&to_sign)), too_many);
}

#[test]
fn what_cannot_be_in_a_note_is_not_prepared_or_finished() {
    for text in ["", "no line feed", "carriage return\r\n", "nul\0\n"] {
        assert!(prepare(text, &neumann()).is_err(), "{text:?}");
    }
    for bad in ["", "a b", "a+b", "a\nb", "a\u{2003}b", "a\u{1}b"] {
        assert_eq!(bad.parse::<NoteKeyName>(), Err(NoteError::KeyName), "{bad:?}");
    }
    let (_, pending) = prepare(TEXT, &neumann()).unwrap();
    let short = pending.finish(RawSignature(vec![0; 63]));
    assert_eq!(short, Err(NoteError::SignatureLength { got: 63 }));
}
