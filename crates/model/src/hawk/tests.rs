use super::*;

const KEY: &[u8] = b"werxhqb98rpaxn39848xrunpaw3489ruxnpa98w4rxn";
const BODY: &[u8] =
    br#"[{"input": "eyJkYXRhIjpbXSwibGFzdF9tb2RpZmllZCI6IjE3OTUyMDg3MDA5NjEifQ==", "keyid": "remote-settings"}]"#;
const HASH: &str = "p29i1tNb+9+Gf05heqxEfOuaS6m3Ex8w09Iar9I1GYk=";
const MAC: &str = "eV81PvOtF6/rlK47E6p4U9IM471Btjy2C0LkyUfNbCY=";

fn target() -> Target {
    Target::new("POST", "/sign/data", "127.0.0.1:8000", Transport::Http).unwrap()
}

/// Written by a Kinto signer that asked an Autograph server for a signature.
fn of_kinto() -> String {
    format!(r#"Hawk mac="{MAC}", hash="{HASH}", id="alice", ts="1795208701", nonce="xAbC12""#)
}

#[test]
fn a_request_of_a_kinto_signer_is_read_and_believed() {
    let header = Header::parse(&of_kinto()).unwrap();
    assert_eq!((header.id.as_str(), header.ts(), header.nonce()), ("alice", 1_795_208_701, "xAbC12"));
    assert_eq!(header.hash(), Some(payload_hash("application/json", BODY).as_str()));
    assert!(header.is_by(KEY, &target()));

    let written = super::header("alice", KEY, &target(), header.artifacts()).unwrap();
    assert_eq!(Header::parse(&written).as_ref(), Ok(&header));
}

#[test]
fn whatever_is_under_the_mac_cannot_be_changed() {
    let genuine = of_kinto();
    for (from, to) in [
        ("1795208701", "1795208702"),
        ("xAbC12", "xAbC13"),
        ("hash=\"p", "hash=\"q"),
        ("mac=\"e", "mac=\"f"),
        ("id=", "ext=\"x\", id="),
        ("id=", "app=\"x\", id="),
    ] {
        let header = Header::parse(&genuine.replace(from, to)).unwrap();
        assert!(!header.is_by(KEY, &target()), "{to}");
    }
    let header = Header::parse(&genuine).unwrap();
    assert!(!header.is_by(b"another key", &target()));
    for (method, resource, host) in [
        ("GET", "/sign/data", "127.0.0.1:8000"),
        ("POST", "/sign/hash", "127.0.0.1:8000"),
        ("POST", "/sign/data", "127.0.0.2:8000"),
        ("POST", "/sign/data", "127.0.0.1"),
    ] {
        let other = Target::new(method, resource, host, Transport::Http).unwrap();
        assert!(!header.is_by(KEY, &other), "{method} {resource} {host}");
    }
}

/// The example of the scheme's own documentation, with `ext`.
#[test]
fn the_example_of_the_documentation() {
    let key = b"werxhqb98rpaxn39848xrunpaw3489ruxnpa98w4rxn";
    let target = Target::new("GET", "/resource/1?b=1&a=2", "example.com:8000", Transport::Http).unwrap();
    let text = concat!(
        r#"Hawk id="dh37fgj492je", ts="1353832234", nonce="j4h3g2", ext="some-app-ext-data", "#,
        r#"mac="6R4rV5iE+NPoym+WwjeHzjAGXUtLNIxmo1vpMofpLAE=""#
    );
    assert!(Header::parse(text).unwrap().is_by(key, &target));
}

#[test]
fn of_the_content_type_counts_the_media_type_alone() {
    let hash = payload_hash("application/json", BODY);
    assert_eq!(hash, HASH);
    assert_eq!(payload_hash("Application/JSON ; charset=utf-8", BODY), hash);
    assert_ne!(payload_hash("", BODY), hash);

    let mut pieces = PayloadHasher::new("application/json");
    BODY.chunks(7).for_each(|piece| pieces.update(piece));
    assert_eq!(pieces.finish(), hash);
}

#[test]
fn an_answer_is_bound_to_its_request() {
    let request = Artifacts { ts: 1, nonce: "n".into(), hash: Some(HASH.into()), ..Artifacts::default() };
    let text = server_header(KEY, &target(), &request, Some(payload_hash("text/plain", b"yes"))).unwrap();
    let answer = ServerHeader::parse(&text).unwrap();
    assert_eq!(answer.hash, Some(payload_hash("text/plain", b"yes")));
    assert!(answer.is_by(KEY, &target(), &request));
    assert!(!answer.is_by(b"another", &target(), &request));
    assert!(!answer.is_by(KEY, &target(), &Artifacts { nonce: "m".into(), ..request.clone() }));

    // A request's MAC is not an answer's.
    let mac = Header::parse(&header("a", KEY, &target(), &request).unwrap()).unwrap();
    let forged = format!(r#"Hawk mac="{}", hash="{HASH}""#, mac.mac());
    assert!(!ServerHeader::parse(&forged).unwrap().is_by(KEY, &target(), &request));
}

#[test]
fn a_header_has_each_attribute_once_in_its_one_form() {
    let genuine = of_kinto();
    for (from, to, wanted) in [
        ("Hawk ", "Basic ", HawkError::Scheme),
        ("Hawk ", "Hawk", HawkError::Scheme),
        ("id=", "ts=\"1795208701\", id=", HawkError::Twice("ts")),
        ("id=\"alice\", ", "", HawkError::Missing("id")),
        ("ts=\"1795208701\", ", "", HawkError::Missing("ts")),
        (", nonce=\"xAbC12\"", "", HawkError::Missing("nonce")),
        ("id=", "bewit=\"x\", id=", HawkError::Unknown("bewit".into())),
        ("id=\"alice\"", "id=alice", HawkError::Malformed),
        ("\", id=", "\" id=", HawkError::Malformed),
        ("nonce=\"xAbC12\"", "nonce=\"xAbC12\",", HawkError::Malformed),
        ("nonce=\"xAbC12\"", "nonce=\"xAbC12", HawkError::Malformed),
        ("alice", "al\\ice", HawkError::Attribute("id")),
        ("alice", "al\tice", HawkError::Attribute("id")),
        ("alice", "alicé", HawkError::Attribute("id")),
        ("alice", "", HawkError::Attribute("id")),
        ("1795208701", "01795208701", HawkError::Attribute("ts")),
        ("1795208701", "+1795208701", HawkError::Attribute("ts")),
        ("1795208701", "99999999999999999999", HawkError::Attribute("ts")),
        (MAC, "AAAA", HawkError::Attribute("mac")),
        (HASH, "p29i1tNb-9-Gf05heqxEfOuaS6m3Ex8w09Iar9I1GYk=", HawkError::Attribute("hash")),
    ] {
        assert_eq!(Header::parse(&genuine.replace(from, to)), Err(wanted), "{to}");
    }
    let long = genuine.replace("alice", &"a".repeat(MAX_HEADER));
    assert_eq!(Header::parse(&long), Err(HawkError::TooLong));
    // What libraries write otherwise.
    for (from, to) in [("Hawk ", "hawk "), ("\", ", "\","), ("\", ", "\" , "), ("Hawk ", "Hawk  ")] {
        assert!(Header::parse(&genuine.replace(from, to)).unwrap().is_by(KEY, &target()), "{to}");
    }
}

#[test]
fn nothing_is_written_that_would_not_be_read() {
    let artifacts = Artifacts { ts: 1, nonce: "a\"b".into(), ..Artifacts::default() };
    assert_eq!(header("alice", KEY, &target(), &artifacts), Err(HawkError::Attribute("nonce")));
    let artifacts = Artifacts { ts: 1, nonce: "n".repeat(MAX_HEADER), ..Artifacts::default() };
    assert_eq!(header("alice", KEY, &target(), &artifacts), Err(HawkError::TooLong));
}
