//! TUF metadata, canonical JSON, and what a repository makes of what people send.

use countersign_tuf::check::{artifact, delegation, root};
use countersign_tuf::metadata::{Document, Kind};
use countersign_tuf::threshold::Tally;
use countersign_tuf::{canonical, key};
use jiff::Timestamp;

/// What was read is written as the same values, its canonical form does not depend on how it was written, and no
/// check of it panics.
pub fn tuf_metadata(data: &[u8]) {
    let Ok(value) = canonical::read(data) else { return };
    let bytes = canonical::encode(&value).expect("it was read, so it can be signed");
    assert_eq!(canonical::sha256(&value).expect("as before"), countersign_model::digest::sha256(&bytes));
    let _ = key::default_id(&value);
    let _ = artifact::artifact("a", &value);
    let _ = delegation::delegations(&value, Some(&value), ("online", &value));

    let Ok(document) = Document::from_value(value.clone()) else { return };
    assert_eq!(document.to_value(), value);
    let again = Document::parse(&document.to_bytes()).expect("our own file is read again");
    assert_eq!(again, document);
    assert_eq!(again.signed_bytes(), document.signed_bytes());
    let edited = document.edited(|_| {}).expect("nothing was changed");
    assert_eq!((edited.signed_sha256(), edited.signatures().count()), (document.signed_sha256(), 0));

    match document.kind() {
        Kind::Root => {
            let view = document.root().expect("its type");
            for kind in Kind::ALL {
                let tally = Tally::of(&document, &view.keys, view.role(kind));
                assert!(tally.have.len() + tally.missing.len() <= view.role(kind).keyids.len());
            }
            let rules = root::Rules { trusted: Some(&document), now: Timestamp::UNIX_EPOCH, online: &[] };
            assert!(root::content(&document, rules).is_err(), "its own version is not the next");
            let _ = root::signatures(&document, Some(&document));
        }
        Kind::Timestamp => drop(document.timestamp().expect("its type")),
        Kind::Snapshot => drop(document.snapshot().expect("its type")),
        Kind::Targets => {
            let view = document.targets().expect("its type");
            for path in view.targets.keys().take(16) {
                let file = document.target(path).expect("it was read").expect("it is listed");
                let _ = file.hashes.check(b"");
                assert!(file.consistent_paths(path).iter().all(|other| other.len() > path.len()));
            }
            if let Some(delegations) = view.delegations {
                assert_eq!(
                    delegations.home_of("a/b"),
                    delegations.roles_for("a/b").first().map(|c| c.name.clone())
                );
            }
        }
    }
}
