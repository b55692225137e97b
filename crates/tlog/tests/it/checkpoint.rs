use countersign_tlog::checkpoint::{Checkpoint, CheckpointError};
use countersign_tlog::hash::{Hash, Head};
use countersign_tlog::note::NoteError;

use crate::support::{TestLog, neumann, neumann_signs, signed_checkpoint};

/// The example of the standard.
const TEXT: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

#[test]
fn the_example_of_the_standard_goes_round() {
    let checkpoint = Checkpoint::parse(TEXT).unwrap();
    assert_eq!(checkpoint.origin, "example.com/behind-the-sofa");
    assert_eq!(checkpoint.head.size, 20_852_163);
    let root = "0ac5186a91863e8e1d90c808014aa89bf5da8e3ee1d9f07630f0378f68f1ab62";
    assert_eq!(checkpoint.head.root.to_string(), root);
    assert_eq!(checkpoint.to_string(), TEXT);

    let theirs = tlog_tiles::Checkpoint::from_bytes(TEXT.as_bytes()).unwrap();
    assert_eq!(theirs.to_bytes(), checkpoint.to_string().as_bytes());
}

#[test]
fn extension_lines_are_kept() {
    let text = format!("{TEXT}one\ntwo words\n");
    let checkpoint = Checkpoint::parse(&text).unwrap();
    assert_eq!(checkpoint.extensions, ["one", "two words"]);
    assert_eq!(checkpoint.to_string(), text);
}

#[test]
fn a_signed_checkpoint_opens_for_its_own_log_only() {
    let head = TestLog::of_size(300).head();
    let note = signed_checkpoint(head);
    assert_eq!(Checkpoint::open(&note, &neumann()), Ok(Checkpoint::new("PeterNeumann", head)));

    let other = Checkpoint::new("another.example/log", head);
    let (to_sign, pending) = other.prepare(&neumann()).unwrap();
    let note = pending.finish(neumann_signs(&to_sign)).unwrap();
    assert!(matches!(Checkpoint::open(&note, &neumann()), Err(CheckpointError::Origin { .. })));
    assert_eq!(Checkpoint::open_as(&note, &neumann(), "another.example/log"), Ok(other));
}

#[test]
fn a_signed_text_that_is_no_checkpoint_does_not_open() {
    let (to_sign, pending) = countersign_tlog::note::prepare("PeterNeumann\n1\n", &neumann()).unwrap();
    let note = pending.finish(neumann_signs(&to_sign)).unwrap();
    assert_eq!(Checkpoint::open(&note, &neumann()), Err(CheckpointError::Lines));
}

#[test]
fn malformed_checkpoints_are_refused() {
    let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
    let lines = CheckpointError::Lines;
    let cases = [
        (String::new(), lines.clone()),
        ("\n".to_owned(), lines.clone()),
        ("o\n".to_owned(), lines.clone()),
        ("o\n5\n".to_owned(), lines.clone()),
        (format!("o\n5\n{root}"), lines.clone()),
        (format!("\n5\n{root}\n"), lines.clone()),
        (format!("o\n\n5\n{root}\n"), lines.clone()),
        (format!("o\n5\n{root}\n\n"), lines.clone()),
        (format!("o\n5\n{root}\next\n\next\n"), lines),
        (format!("o\n05\n{root}\n"), CheckpointError::Size),
        (format!("o\n+5\n{root}\n"), CheckpointError::Size),
        (format!("o\n-5\n{root}\n"), CheckpointError::Size),
        (format!("o\n5 \n{root}\n"), CheckpointError::Size),
        (format!("o\n0x5\n{root}\n"), CheckpointError::Size),
        (format!("o\n9223372036854775808\n{root}\n"), CheckpointError::Size),
        (format!("o\n18446744073709551616\n{root}\n"), CheckpointError::Size),
        (format!("o\n5\n{}\n", root.trim_end_matches('=')), CheckpointError::Root),
        (format!("o\n5\n{}\n", &root[4..]), CheckpointError::Root),
        (format!("o\n5\n{root} \n"), CheckpointError::Root),
        (format!("o\n5\n{}\n", root.replace("2I=", "2J=")), CheckpointError::Root),
        (format!("o\n5\n{}\n", root.replace('/', "_")), CheckpointError::Root),
        (format!("o\n0\n{root}\n"), CheckpointError::EmptyRoot),
    ];
    for (text, error) in cases {
        assert_eq!(Checkpoint::parse(&text), Err(error), "{text:?}");
    }
    assert!(Checkpoint::parse(&format!("o\n9223372036854775807\n{root}\n")).is_ok());
    assert!(Checkpoint::parse(&Checkpoint::new("o", Head::empty()).to_string()).is_ok());
}

#[test]
fn a_line_feed_cannot_be_smuggled_into_a_checkpoint() {
    let head = Head { size: 1, root: Hash::leaf(b"one") };
    let two_logs = Checkpoint::new(&format!("PeterNeumann\n9\n{}", head.root.to_base64()), head);
    assert_eq!(two_logs.prepare(&neumann()), Err(CheckpointError::Lines));
    let empty_origin = Checkpoint::new("", head);
    assert_eq!(empty_origin.prepare(&neumann()), Err(CheckpointError::Lines));
    let mut extended = Checkpoint::new("PeterNeumann", head);
    extended.extensions = vec!["a\nb".to_owned()];
    assert_eq!(extended.prepare(&neumann()), Err(CheckpointError::Lines));
    extended.extensions = vec!["a\rb".to_owned()];
    assert_eq!(extended.prepare(&neumann()), Err(CheckpointError::Note(NoteError::NotText)));
}
