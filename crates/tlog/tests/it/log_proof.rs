use countersign_tlog::checkpoint::CheckpointError;
use countersign_tlog::hash::Hash;
use countersign_tlog::log_proof::{LogProof, LogProofError, MAX_EXTRA};
use countersign_tlog::note::NoteError;
use countersign_tlog::proof::{self, ProofError};
use proptest::prelude::*;

use crate::support::{TestLog, entry, neumann, signed_checkpoint};

fn proof_of(index: u64, size: u64) -> LogProof {
    let log = TestLog::of_size(size);
    let hashes = proof::inclusion(index, size, &|id| log.read(id)).unwrap();
    LogProof { extra: None, index, hashes, checkpoint: signed_checkpoint(log.head()) }
}

#[test]
fn a_proof_goes_round_as_text_and_proves_its_entry() {
    let text = proof_of(5, 7).to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..2], ["c2sp.org/tlog-proof@v1", "index 5"]);
    assert_eq!(lines[2], Hash::leaf(&entry(4)).to_base64(), "the sibling comes first");
    assert_eq!(lines[5..8], ["", "PeterNeumann", "7"]);

    let read = LogProof::parse(text.as_bytes()).unwrap();
    assert_eq!(read.to_string(), text);
    assert_eq!(read.verify(&entry(5), &neumann()).map(|c| c.head.size), Ok(7));
    assert_eq!(read.verify_leaf(Hash::leaf(&entry(5)), &neumann()).map(|c| c.head.size), Ok(7));
}

#[test]
fn a_proof_in_a_log_of_one_entry_has_no_hashes() {
    let text = proof_of(0, 1).to_string();
    assert!(text.starts_with("c2sp.org/tlog-proof@v1\nindex 0\n\nPeterNeumann\n1\n"));
    let read = LogProof::parse(text.as_bytes()).unwrap();
    assert!(read.verify(&entry(0), &neumann()).is_ok());
}

#[test]
fn extra_data_is_carried_and_changes_nothing() {
    let with_extra = LogProof { extra: Some(b"age-v1.2.1".to_vec()), ..proof_of(2, 3) };
    let text = with_extra.to_string();
    assert!(text.starts_with("c2sp.org/tlog-proof@v1\nextra YWdlLXYxLjIuMQ==\nindex 2\n"));
    let read = LogProof::parse(text.as_bytes()).unwrap();
    assert_eq!(read, with_extra);
    assert!(read.verify(&entry(2), &neumann()).is_ok());
}

#[test]
fn another_entry_index_or_key_is_not_proved() {
    let proof = proof_of(5, 7);
    let not_included = |index, error| Err(LogProofError::NotIncluded { index, error });
    assert_eq!(proof.verify(&entry(4), &neumann()), not_included(5, ProofError::WrongRoot));
    let elsewhere = LogProof { index: 4, ..proof.clone() };
    assert_eq!(elsewhere.verify(&entry(5), &neumann()), not_included(4, ProofError::WrongRoot));
    let beyond = LogProof { index: 7, ..proof.clone() };
    assert_eq!(beyond.verify(&entry(5), &neumann()), not_included(7, ProofError::OutOfRange));

    let golang = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
    let key: countersign_tlog::note::VerifierKey = golang.parse().unwrap();
    let unsigned = NoteError::NotSignedBy { key: key.name().clone() };
    assert_eq!(proof.verify(&entry(5), &key), Err(CheckpointError::Note(unsigned).into()));
}

#[test]
fn malformed_proofs_are_refused() {
    let good = proof_of(5, 7).to_string();
    let hash = Hash::leaf(b"").to_base64();
    let cases = [
        (String::new(), LogProofError::Header),
        (good.replace("@v1", "@v2"), LogProofError::Header),
        (format!("\n{good}"), LogProofError::Header),
        (good.replace("index 5\n", ""), LogProofError::Index),
        (good.replace("index 5", "index 05"), LogProofError::Index),
        (good.replace("index 5", "index  5"), LogProofError::Index),
        (good.replace("index 5", "index 18446744073709551616"), LogProofError::Index),
        (good.replace("index 5", "extra \nindex 5"), LogProofError::Extra),
        (good.replace("index 5", "extra !\nindex 5"), LogProofError::Extra),
        (good.replace("index 5", "extra AA==\nextra AA==\nindex 5"), LogProofError::Index),
        (good.replace("index 5", "index 5\nAA=="), LogProofError::Hashes),
        (good.replace("index 5", "index 5\r"), LogProofError::Index),
        (good.replace("\n\nPeter", "\nPeter"), LogProofError::Hashes),
        (
            good.replace("index 5", &format!("index 5{}", format!("\n{hash}").repeat(65))),
            LogProofError::Hashes,
        ),
        (good.replace("Neumann\n7", "Neumann\n07"), CheckpointError::Size.into()),
        (good.split('—').next().unwrap().to_owned(), NoteError::NoSignatures.into()),
    ];
    for (text, error) in cases {
        assert_eq!(LogProof::parse(text.as_bytes()), Err(error), "{text:?}");
    }
    let oversized = LogProof { extra: Some(vec![0; MAX_EXTRA + 1]), ..proof_of(5, 7) };
    assert_eq!(LogProof::parse(oversized.to_string().as_bytes()), Err(LogProofError::Extra));
    let endless = vec![b'A'; 4 << 20];
    assert!(matches!(LogProof::parse(&endless), Err(LogProofError::TooLong { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn no_bit_of_a_proof_can_change(size in 1u64..600, index in any::<prop::sample::Index>()) {
        let index = index.index(usize::try_from(size).unwrap()) as u64;
        let text = proof_of(index, size).to_string();
        prop_assert!(LogProof::parse(text.as_bytes()).unwrap().verify(&entry(index), &neumann()).is_ok());
        for bit in 0..8 * text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let verified = LogProof::parse(&bytes).and_then(|p| p.verify(&entry(index), &neumann()));
            prop_assert!(verified.is_err(), "bit {bit}");
        }
    }
}
