//! Heads of tags about bytes.

use countersign_model::{Digest, HashAlg};
use countersign_records::tag::head::{Head, HeadError};
use countersign_records::tag::{Payload, Tag, TagFile};
use proptest::prelude::*;

/// The example of the module, written by hand.
const EXAMPLE: &str = "countersign-tag: 1
subject: bundle-jira-1.0.jar
digest: sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
size: 3
built-by: jenkins-prd
param.JOB: nightly
param.MESSAGE: 100%25 done%0A=== SIGNATURE jenkins-prd%0D%0A\u{fc}%C2%85
created: 2026-01-02T03:04:05Z
";

fn digest() -> Digest {
    HashAlg::Sha256.digest(b"abc")
}

fn head() -> Head {
    Head::new("app.jar", &digest()).unwrap()
}

#[test]
fn a_head_is_written_line_by_line_in_the_order_of_its_fields() {
    let head = Head::new("bundle-jira-1.0.jar", &digest())
        .and_then(|head| head.with_size(3))
        .and_then(|head| head.with("built-by", "jenkins-prd"))
        .and_then(|head| head.with("param.JOB", "nightly"))
        .and_then(|head| head.with("param.MESSAGE", "100% done\n=== SIGNATURE jenkins-prd\r\n\u{fc}\u{85}"))
        .and_then(|head| head.with_created("2026-01-02T03:04:05.678Z".parse().unwrap()))
        .unwrap();
    assert_eq!(String::from_utf8_lossy(head.to_payload().as_bytes()), EXAMPLE);
    assert_eq!(Head::parse(EXAMPLE.as_bytes()), Ok(head));
}

#[test]
fn a_head_gives_what_it_says() {
    let head = Head::parse(EXAMPLE.as_bytes()).unwrap();
    assert_eq!(head.subject(), "bundle-jira-1.0.jar");
    assert_eq!(*head.digest(), digest());
    assert_eq!(head.size(), Some(3));
    assert_eq!(head.get("param.JOB"), Some("nightly"));
    assert_eq!(head.get("param.NONE"), None);
    let keys: Vec<_> = head.fields().map(|(key, _)| key).collect();
    let wanted = ["subject", "digest", "size", "built-by", "param.JOB", "param.MESSAGE", "created"];
    assert_eq!(keys, wanted);
}

#[test]
fn only_the_exact_first_line_makes_a_payload_a_head() {
    assert!(Head::is_head(b"countersign-tag: 1\n"));
    assert!(Head::is_head(b"countersign-tag: 1"), "that it is no whole head is another matter");
    for text in [
        "",
        "\ncountersign-tag: 1\n",
        "countersign-tag: 2\n",
        "countersign-tag: 10\n",
        "countersign-tag:1\n",
        "countersign-tag: 1 \n",
        "countersign-tag: 1\r\n",
        " countersign-tag: 1\n",
        "Countersign-Tag: 1\n",
    ] {
        assert!(!Head::is_head(text.as_bytes()), "{text:?}");
        assert_eq!(Head::parse(text.as_bytes()), Err(HeadError::NotAHead), "{text:?}");
    }
}

#[test]
fn what_is_no_head_is_refused_with_the_reason() {
    let key = |key: &str| HeadError::Key { key: key.into() };
    let value = |key: &str| HeadError::Value { key: key.into() };
    let upper = "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD";
    for (line, wanted) in [
        ("", HeadError::Line { line: 4 }),
        ("x", HeadError::Line { line: 4 }),
        ("x:", HeadError::Line { line: 4 }),
        ("x:y", HeadError::Line { line: 4 }),
        (": y", key("")),
        ("X: y", key("X")),
        ("1x: y", key("1x")),
        ("x_y: z", key("x_y")),
        (" x: y", key(" x")),
        ("x : y", key("x ")),
        ("param.: y", key("param.")),
        ("param.a b: y", key("param.a b")),
        ("param.\u{fc}: y", key("param.\u{fc}")),
        ("countersign-tag: 1", key("countersign-tag")),
        ("subject: other", HeadError::Twice { key: "subject".into() }),
        ("digest: sha256:00", HeadError::Twice { key: "digest".into() }),
        ("size: 03", value("size")),
        ("size: +3", value("size")),
        ("size: 18446744073709551616", value("size")),
        ("created: 2026-01-02", value("created")),
        ("created: 2026-01-02T03:04:05+00:00", value("created")),
        ("created: 2026-01-02T03:04:05.000Z", value("created")),
        ("x: a\rb", HeadError::Spelling { line: 4 }),
        ("x: a\tb", HeadError::Spelling { line: 4 }),
        ("x: a\u{85}b", HeadError::Spelling { line: 4 }),
        ("x: 100%", HeadError::Spelling { line: 4 }),
        ("x: %0", HeadError::Spelling { line: 4 }),
        ("x: %0a", HeadError::Spelling { line: 4 }),
        ("x: %+A", HeadError::Spelling { line: 4 }),
        ("x: %20", HeadError::Spelling { line: 4 }),
        ("x: %FF", HeadError::Spelling { line: 4 }),
    ] {
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let text = format!("countersign-tag: 1\nsubject: a\ndigest: sha256:{hex}\n{line}\n");
        let got = Head::parse(text.as_bytes());
        // A second digest is refused for being one or for what it says.
        let got = if line.starts_with("digest") { got.map_err(|_| wanted.clone()) } else { got };
        assert_eq!(got, Err(wanted), "{line:?}");
    }
    for (rest, wanted) in [
        ("", HeadError::Missing { key: "subject" }),
        ("subject: a\n", HeadError::Missing { key: "digest" }),
        ("subject: a\ndigest: sha256:00\n", value("digest")),
        ("subject: a\ndigest: md5:00\n", value("digest")),
        (&format!("subject: a\ndigest: sha256:{upper}\n"), value("digest")),
        (&format!("subject: \ndigest: {}\n", digest()), value("subject")),
        (&format!("digest: {}\n\nsubject: a\n", digest()), HeadError::Line { line: 3 }),
    ] {
        let text = format!("countersign-tag: 1\n{rest}");
        assert_eq!(Head::parse(text.as_bytes()), Err(wanted), "{rest:?}");
    }
}

#[test]
fn a_builder_refuses_what_a_reader_would() {
    assert_eq!(Head::new("", &digest()), Err(HeadError::Value { key: "subject".into() }));
    let long = HashAlg::Sha512.digest(b"abc");
    assert_eq!(Head::new("a", &long), Err(HeadError::Value { key: "digest".into() }));
    for key in ["", "A", "a b", "a:", "a\nb", "param.", "param.\n", "param.a:", "countersign-tag", "\u{e9}"] {
        let refused = head().with(key, "x");
        assert!(matches!(refused, Err(HeadError::Key { .. })), "{key:?}: {refused:?}");
    }
    assert_eq!(head().with("digest", &digest().to_string()), Err(HeadError::Twice { key: "digest".into() }));
    let twice = head().with("param.A", "1").and_then(|head| head.with("param.A", "2"));
    assert_eq!(twice, Err(HeadError::Twice { key: "param.A".into() }));
    assert_eq!(head().with("size", "many"), Err(HeadError::Value { key: "size".into() }));
}

/// Text that has to do with lines, keys and headers, among other text.
fn value() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "\n",
        "\r",
        "\r\n",
        "\t",
        "\0",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "%",
        "%0A",
        "=== SIGNATURE a",
        "digest: sha256:00",
        "countersign-tag: 1",
        "param.A: x",
        ": ",
        " ",
        "a",
        "\u{fc}",
        "\u{1f600}",
    ]);
    prop_oneof![prop::collection::vec(word, 0..8).prop_map(|words| words.concat()), any::<String>()]
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z][a-z0-9.-]{0,8}", "param\\.[A-Za-z0-9_.-]{1,8}", value()]
}

proptest! {
    #[test]
    fn no_value_makes_a_line_a_key_or_a_header(
        subject in value(), fields in prop::collection::vec((key(), value()), 0..6),
    ) {
        prop_assume!(!subject.is_empty());
        let mut head = Head::new(&subject, &digest()).unwrap();
        let mut wanted = vec![("subject".to_owned(), subject.clone()), ("digest".into(), digest().to_string())];
        for (key, value) in fields {
            if let Ok(more) = head.clone().with(&key, &value) {
                head = more;
                wanted.push((key, value));
            }
        }
        let payload = head.to_payload();

        let got: Vec<_> = head.fields().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        prop_assert_eq!(&got, &wanted);
        prop_assert_eq!(payload.line_count(), wanted.len() + 1);
        prop_assert_eq!(Head::parse(payload.as_bytes()).unwrap(), head);

        // The text is one that may be signed, and that a reader of tags sees whole.
        prop_assert_eq!(&Payload::new(payload.as_bytes()).unwrap(), &payload);
        prop_assert_eq!(Tag::parse(payload.as_bytes()).unwrap().blocks().count(), 0);
        let file = TagFile::parse(payload.as_bytes()).unwrap();
        prop_assert_eq!(file.payload(), payload.as_bytes());
        let controls = payload.as_bytes().iter().filter(|b| b.is_ascii_control()).count();
        prop_assert_eq!(controls, payload.line_count(), "line feeds and no other");
    }

    #[test]
    fn what_is_read_as_a_head_is_written_as_it_was(lines in prop::collection::vec((key(), value()), 0..4)) {
        let mut text = format!("countersign-tag: 1\nsubject: a\ndigest: {}\n", digest());
        for (key, value) in lines {
            text.push_str(&format!("{key}: {value}\n"));
        }
        if let Ok(head) = Head::parse(text.as_bytes()) {
            let written = head.to_payload();
            prop_assert_eq!(written.as_bytes(), text.as_bytes());
        }
    }
}
