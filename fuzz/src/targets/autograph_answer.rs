//! What an Autograph that signs for us answers.

use countersign_core::collections::autograph::answer;
use countersign_records::collections::content_signature::Profile;

/// What comes is read for both profiles; a key nobody has signed nothing.
pub fn autograph_answer(data: &[u8]) {
    let asked = ["one".to_owned()];
    for profile in [Profile::Modern, Profile::Seed] {
        let Ok(bundles) = answer::read(profile, &asked, data) else { continue };
        assert_eq!(bundles.len(), 1);
        for bundle in bundles {
            if let Ok(Some(key)) = answer::key_of("one", &bundle) {
                assert!(answer::check(profile, "one", bundle, &key, b"nobody signed this").is_err());
            }
        }
    }
}
