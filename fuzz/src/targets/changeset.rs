//! Changesets of signed collections.

use std::collections::BTreeMap;

use countersign_model::{ToSign, canonical, strict_json};
use countersign_records::collections::changeset::{Changeset, LocalCopy};
use countersign_records::collections::content_signature::{Mode, Profile};
use countersign_records::collections::find_float;

/// A record's text is canonical and has no float that was not there; a copy has each live record once, and the
/// message is the same in pieces and whole.
pub fn changeset(data: &[u8]) {
    let Ok(changeset) = Changeset::parse(data) else { return };
    let mut live = BTreeMap::new();
    for change in &changeset.changes {
        let Some(text) = &change.record else { continue };
        let value = strict_json::parse(text.as_bytes()).expect("canonical JSON is JSON");
        assert_eq!(canonical::content_signature(&value).as_ref(), Ok(text));
        assert!(text.is_ascii());
        let compact = canonical::python_compact(&value);
        assert_eq!(find_float(&value).is_none(), compact == *text);
        assert_eq!(strict_json::parse(compact.as_bytes()).expect("it is JSON"), value);
        live.insert(change.id.clone(), text.clone());
    }
    if let Ok(bundles) = changeset.bundles() {
        bundles.iter().for_each(|bundle| drop(bundle.raw()));
    }

    let mut copy = LocalCopy::new();
    copy.apply(changeset).expect("an empty copy is older than everything");
    assert!(copy.records().map(|(id, text)| (id.to_owned(), text.to_owned())).eq(live));
    for profile in [Profile::Modern, Profile::Seed] {
        let message = copy.message(profile).expect("the copy was read");
        let to_sign = copy.to_sign(profile, Mode::P384).expect("the copy was read");
        assert_eq!(to_sign, ToSign::of_message(Mode::P384.scheme(), &message));
    }
}
