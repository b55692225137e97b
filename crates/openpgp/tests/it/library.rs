//! A second reader: the library `pgp` reads what we make, and we read what it makes.

use countersign_openpgp::{Certificate, DetachedSignature, detached};
use pgp::composed::{
    ArmorOptions, Deserializable as _, DetachedSignature as LibrarySignature, SignedPublicKey,
};
use pgp::types::KeyDetails as _;
use proptest::prelude::*;

use crate::fixture;
use crate::signer::{CREATED, Signer};

#[test]
fn the_library_accepts_our_keys_and_signatures() {
    for key_type in Signer::TYPES {
        let signer = Signer::new(key_type);
        let certificate = signer.certificate("Second reader");
        let (key, _) = SignedPublicKey::from_armor_single(certificate.to_armored().as_bytes()).unwrap();
        key.verify_bindings().unwrap();
        assert_eq!(key.fingerprint().as_bytes(), certificate.fingerprint().as_bytes(), "{key_type}");

        let packet = signer.sign_content(&certificate, b"content", CREATED + 1);
        for signature in [
            LibrarySignature::from_bytes(packet.as_slice()).unwrap(),
            LibrarySignature::from_armor_single(detached::to_armored(&packet).as_bytes()).unwrap().0,
        ] {
            signature.verify(&key, b"content").unwrap();
            assert!(signature.verify(&key, b"Content").is_err(), "{key_type}");
        }
    }
}

#[test]
fn the_library_sees_in_the_fixtures_what_we_see() {
    for name in ["grub-key.asc", "subkey.asc", "before-revocation.asc", "expiring.asc", "cert-only.asc"] {
        let ours = Certificate::read(&fixture(name)).unwrap();
        let (theirs, _) = SignedPublicKey::from_armor_single(fixture(name).as_slice()).unwrap();
        assert_eq!(theirs.fingerprint().as_bytes(), ours.fingerprint().as_bytes(), "{name}");
        assert_eq!(theirs.primary_key.created_at().as_secs(), ours.primary().created(), "{name}");
        let users: Vec<_> =
            theirs.details.users.iter().map(|user| user.id.as_str().unwrap().to_owned()).collect();
        assert_eq!(ours.user_ids().collect::<Vec<_>>(), users, "{name}");
        assert_eq!(theirs.to_armored_string(ArmorOptions::default()).unwrap(), ours.to_armored(), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is done to a key or a signature: no panic, and what we accept the library accepts, if it can
    /// read it.
    #[test]
    fn damage_never_makes_us_accept_what_the_library_refuses(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        of_key in any::<bool>(),
    ) {
        let mut key = Certificate::read(&fixture("grub-key.asc")).unwrap().packets().to_vec();
        let mut signature = fixture("hello.sig");
        let target = if of_key { &mut key } else { &mut signature };
        for (at, value) in changes {
            let at = at.index(target.len());
            target[at] = value;
        }
        let content = fixture("hello.txt");
        let ours = Certificate::from_packets(&key).ok().zip(DetachedSignature::read(&signature).ok());
        let accepted = ours.is_some_and(|(key, found)| {
            let trusted = [key];
            found.iter().all(|s| s.verify(s.hash_of(&content), &trusted, 1_795_300_000).is_ok())
        });
        // It cannot read everything that stands where nothing is covered, and then has no opinion.
        let theirs = SignedPublicKey::from_bytes(key.as_slice()).ok();
        let theirs = theirs.zip(LibrarySignature::from_bytes(signature.as_slice()).ok());
        if let Some((key, signature)) = theirs.filter(|_| accepted) {
            prop_assert!(signature.verify(&key, &content).is_ok());
        }
    }
}
