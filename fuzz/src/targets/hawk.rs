//! Headers of Hawk.

use countersign_model::hawk::{self, Header, ServerHeader, Target, Transport};

/// What is read can be written again and is read as the same; nothing that comes from outside is believed.
pub fn hawk(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (first, rest) = text.split_once('\n').unwrap_or((text, "example.org"));
    let Ok(target) = Target::new("POST", "/sign/data", rest, Transport::Https) else { return };
    if let Ok(header) = Header::parse(first) {
        assert!(first.len() <= hawk::MAX_HEADER);
        assert!(!header.is_by(b"a key that nobody has", &target));
        // Without its application a delegation is not under the MAC, and not written.
        if header.artifacts().dlg.is_none() || header.artifacts().app.is_some() {
            let Ok(written) = hawk::header(&header.id, b"key", &target, header.artifacts()) else {
                // The longest headers have no room for the spaces that we put between.
                assert!(first.len() > hawk::MAX_HEADER - 16);
                return;
            };
            let again = Header::parse(&written).expect("our own header is read again");
            assert_eq!((&again.id, again.artifacts()), (&header.id, header.artifacts()));
            assert!(again.is_by(b"key", &target));
        }
        let _ = hawk::server_header(b"key", &target, header.artifacts(), None);
    }
    if let Ok(answer) = ServerHeader::parse(first) {
        assert!(!answer.is_by(b"a key that nobody has", &target, &hawk::Artifacts::default()));
    }
}
