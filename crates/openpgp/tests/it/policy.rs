//! Signatures that are mathematically sound and yet do not count.

use countersign_model::{HashAlg, KeyType, digest::Hasher};
use countersign_openpgp::{
    Certificate, CertificateError, DetachedSignature, NotUsable, Refusal, SignatureError,
};

use crate::fixture;
use crate::signer::{CREATED, Signer};

const LATER: u32 = 1_795_281_000;

fn judge(key: &str, signature: &str, at: u32) -> Result<(), Refusal> {
    let trusted = [Certificate::read(&fixture(key)).unwrap()];
    let found = DetachedSignature::read(&fixture(signature)).unwrap().remove(0);
    found.verify(found.hash_of(&fixture("content.txt")), &trusted, at).map(|_| ())
}

#[test]
fn a_revoked_key_counts_for_nothing_even_before_its_revocation() {
    assert_eq!(judge("before-revocation.asc", "revoked.sig", LATER), Ok(()));
    let refused = judge("revoked.asc", "revoked.sig", LATER).unwrap_err();
    assert!(matches!(refused, Refusal::Key(NotUsable::Revoked(_))), "{refused}");
}

#[test]
fn a_revocation_with_a_weak_hash_counts_from_its_time_on() {
    let certificate = Certificate::read(&fixture("weak-revocation.asc")).unwrap();
    let revoked = NotUsable::Revoked(certificate.fingerprint());
    // It says "superseded", so what was signed before it stands when asked about then.
    assert_eq!(certificate.check(1_795_282_000), Ok(()));
    assert_eq!(certificate.check(1_795_300_000), Err(revoked));
}

#[test]
fn an_expired_key_counts_until_its_end() {
    let certificate = Certificate::read(&fixture("expiring.asc")).unwrap();
    let end = certificate.primary().created() + 86_400;
    assert_eq!(judge("expiring.asc", "expiring.sig", end - 1), Ok(()));
    let refused = judge("expiring.asc", "expiring.sig", end).unwrap_err();
    let expired = NotUsable::Expired { key: certificate.fingerprint(), at: u64::from(end) };
    assert_eq!(refused, Refusal::Key(expired));
}

#[test]
fn a_signature_from_the_future_or_older_than_its_key_is_refused() {
    let signer = Signer::new(KeyType::Ed25519);
    let trusted = [signer.certificate("Time")];
    let judge = |signed_at, at| {
        let found =
            DetachedSignature::read(&signer.sign_content(&trusted[0], b"x", signed_at)).unwrap().remove(0);
        found.verify(found.hash_of(b"x"), &trusted, at).map(|good| good.signed_at)
    };
    assert_eq!(judge(CREATED, CREATED), Ok(CREATED));
    assert_eq!(
        judge(CREATED + 2, CREATED + 1),
        Err(Refusal::Future { signed_at: CREATED + 2, at: CREATED + 1 })
    );
    let younger = NotUsable::Younger(trusted[0].fingerprint());
    assert_eq!(judge(CREATED - 1, CREATED + 1), Err(Refusal::Key(younger)));
}

#[test]
fn weak_hashes_and_text_documents_are_refused() {
    let refused = |name: &str| DetachedSignature::read(&fixture(name)).unwrap_err();
    assert_eq!(refused("sha1.sig"), SignatureError::Hash(2));
    assert_eq!(refused("text.sig"), SignatureError::Type);
}

#[test]
fn a_key_whose_flags_do_not_allow_it_is_no_signer() {
    let certificate = Certificate::read(&fixture("cert-only.asc")).unwrap();
    assert_eq!(certificate.check(LATER), Err(NotUsable::NotForSigning(certificate.fingerprint())));
}

#[test]
fn a_subkey_without_its_back_signature_or_of_another_key_is_no_signer() {
    let certificate = Certificate::read(&fixture("subkey.asc")).unwrap();
    let other = Signer::new(KeyType::Ed25519).certificate("Thief");
    // The subkey and its binding begin at 227 and 340: put behind another primary key nothing holds.
    let stolen = [other.packets(), &certificate.packets()[227..]].concat();
    let stolen = [Certificate::read(&stolen).unwrap()];
    let found = DetachedSignature::read(&fixture("subkey.sig.asc")).unwrap().remove(0);
    let refused = found.verify(found.hash_of(&fixture("content.txt")), &stolen, LATER).unwrap_err();
    assert!(matches!(refused, Refusal::Key(NotUsable::NoSelfSignature(_))), "{refused}");

    // The type of the back signature changed in the unhashed area: the binding holds, the subkey's word not.
    let mut packets = certificate.packets().to_vec();
    let at = packets.windows(3).rposition(|w| w == [4, 0x19, 19]).unwrap();
    packets[at + 10] ^= 1;
    let broken = [Certificate::read(&packets).unwrap()];
    let refused = found.verify(found.hash_of(&fixture("content.txt")), &broken, LATER).unwrap_err();
    assert!(matches!(refused, Refusal::Key(NotUsable::NoBackSignature(_))), "{refused}");
}

#[test]
fn an_unknown_key_is_named_and_another_hash_noticed() {
    let trusted = [Certificate::read(&fixture("subkey.asc")).unwrap()];
    let found = DetachedSignature::read(&fixture("hello.sig")).unwrap().remove(0);
    let refused = found.verify(found.hash_of(b""), &trusted, LATER).unwrap_err();
    assert_eq!(refused, Refusal::UnknownKey("E1724EB061CD4D589C5E0402385CEB0A479AB72A".into()));
    let refused = found.verify(Hasher::new(HashAlg::Sha256), &trusted, LATER).unwrap_err();
    assert_eq!(refused, Refusal::OtherHash { got: HashAlg::Sha256, wanted: HashAlg::Sha512 });
}

/// The packets of a certificate in the old format, whose lengths have one octet.
fn split(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut packets = Vec::new();
    while !bytes.is_empty() {
        let (packet, rest) = bytes.split_at(2 + usize::from(bytes[1]));
        packets.push(packet);
        bytes = rest;
    }
    packets
}

#[test]
fn a_key_with_more_signatures_of_its_own_than_can_be_judged_is_refused_and_others_do_not_count() {
    let certificate = Signer::new(KeyType::Ed25519).certificate("Alice");
    let [key, user, own] = split(certificate.packets())[..] else { panic!("key, user id, certification") };
    let with =
        |signature: &[u8], count| Certificate::read(&[key, user, own, &signature.repeat(count)].concat());
    assert!(with(own, 63).unwrap().check(CREATED).is_ok());
    assert_eq!(with(own, 64).unwrap_err(), CertificateError::TooManyOwn);

    let other = Signer::new(KeyType::Ed25519).certificate("Mallory");
    let foreign = split(other.packets())[2];
    assert!(with(foreign, 1000).unwrap().check(CREATED).is_ok());
}

#[test]
fn a_user_id_of_kilobytes_says_nothing_and_the_others_do() {
    let certificate = Signer::new(KeyType::Ed25519).certificate("Alice");
    let [key, user, own] = split(certificate.packets())[..] else { panic!("key, user id, certification") };
    let long = [&[0xcd, 255, 0, 0, 8, 1][..], &[b'a'; 2049]].concat();
    let both = Certificate::read(&[key, user, own, &long, &own.repeat(1000)].concat()).unwrap();
    assert_eq!(both.user_ids().count(), 1);
    assert!(both.check(CREATED).is_ok());
}
