//! What the original made, byte for byte.

use countersign_model::{HashAlg, ToSign};
use countersign_pki::efi_var::{self, AuthenticatedVariable, EfiTime, Update, Variable};
use countersign_pki::esl::{SignatureDatabase, SignatureList};
use countersign_pki::list_name::list_name;
use countersign_pki::x509::{self, SerialNumber, Validity};
use countersign_pki::{kmod, raw_digest, rpi_eeprom};

use crate::support::{TestKey, certificate, original, original_text, time};

#[test]
fn a_self_signed_certificate_is_the_originals() {
    for name in ["pk", "kek", "db", "kmod"] {
        let theirs = certificate(name);
        let key = TestKey::of(name);
        let subject =
            original_text(&format!("/bootstrap_request/certificates/{name}/subject")).parse().unwrap();
        let validity = Validity::days(theirs.not_before(), 7305).unwrap();
        let serial = SerialNumber::from_random(theirs.serial().try_into().unwrap());

        let (to_sign, pending) = x509::prepare(&subject, &key.public(), serial, validity).unwrap();
        let signature = key.sign(pending.scheme(), &to_sign);
        let ours = pending.finish(signature).unwrap();

        assert_eq!(ours, theirs, "{name}");
        assert_eq!(ours.to_pem(), original_text(&format!("/bootstrap_response/certificates/{name}")));
        ours.is_signed_by(&key.public()).unwrap();
    }
}

#[test]
fn a_bare_digest_that_the_original_signed_verifies() {
    let digest = [0xab; 32];
    let key = certificate("kmod").public_key().clone();
    let (to_sign, pending) = raw_digest::prepare(digest, &key).unwrap();
    assert_eq!(to_sign, ToSign::Message(digest.to_vec()));
    let signature = countersign_model::RawSignature(original("/cert_sign/signature"));
    let signature = pending.finish(signature).unwrap();
    assert_eq!(raw_digest::verify(&signature, digest, &key), Ok(()));
    assert!(raw_digest::verify(&signature, [0; 32], &key).is_err());
}

#[test]
fn a_raspberry_pi_signature_is_the_originals() {
    let key = TestKey::of("rsa");
    let theirs = String::from_utf8(original("/rsa_sign/signature")).unwrap();
    let digest = HashAlg::Sha256.digest(b"hello fixture").as_bytes().try_into().unwrap();

    let read = rpi_eeprom::verify(&theirs, digest, &key.public()).unwrap();
    let at = jiff::Timestamp::from_second(read.seconds.try_into().unwrap()).unwrap();
    let (to_sign, pending) = rpi_eeprom::prepare(digest, at, &key.public()).unwrap();
    let signature = key.sign(pending.scheme(), &to_sign);
    assert_eq!(pending.finish(signature).unwrap(), theirs);
}

#[test]
fn a_kernel_module_is_the_originals() {
    let (key, signer) = (TestKey::of("kmod"), certificate("kmod"));
    let theirs = original("/kmod_sign/signed");
    let (to_sign, pending) = kmod::prepare(b"hello fixture".to_vec(), &signer).unwrap();
    let signature = key.sign(pending.scheme(), &to_sign);
    let ours = pending.finish(signature).unwrap();
    assert_eq!(ours, theirs);
    assert_eq!(kmod::verify(&ours, &signer), Ok(()));
}

#[test]
fn signature_lists_are_the_originals() {
    for name in ["pk", "kek", "db"] {
        let theirs = original(&format!("/{name}/esl"));
        let database = SignatureDatabase::parse(&theirs).unwrap();
        assert_eq!(database.certificates().collect::<Vec<_>>(), [original(&format!("/{name}/der/0"))]);
        let owner = database.lists()[0].entries()[0].owner;
        let list = SignatureList::x509(owner, certificate(name).der());
        assert_eq!(SignatureDatabase::new(vec![list]).unwrap().to_bytes(), theirs);
    }
}

#[test]
fn updates_of_variables_are_the_originals() {
    // The original signs db with db itself, against what firmware wants.
    for (name, variable, signer) in
        [("pk", Variable::Pk, "pk"), ("kek", Variable::Kek, "pk"), ("db", Variable::Db, "db")]
    {
        let theirs = original(&format!("/{name}/{name}"));
        let (key, signer) = (TestKey::of(signer), certificate(signer));
        let parsed = AuthenticatedVariable::parse(&theirs).unwrap();
        let update = Update::Replace(parsed.time);

        let (to_sign, pending) = efi_var::prepare(variable, update, parsed.esl.to_vec(), &signer).unwrap();
        let signature = key.sign(pending.scheme(), &to_sign);
        assert_eq!(pending.finish(signature).unwrap(), theirs, "{name}");
        assert_eq!(efi_var::verify(&theirs, variable, &signer), Ok(update));
    }
    assert_eq!(
        AuthenticatedVariable::parse(&original("/pk/pk")).unwrap().time,
        EfiTime::new(time("2026-11-20T21:32:52Z")).unwrap()
    );
}

#[test]
fn lists_are_named_as_in_the_originals_export() {
    // The names of `*.esl` in the archive.
    for (id, name) in [
        ("fix-pk", "64473bded40ff72703af818a08c6f4ffb9f2562b74da195de7a76d03adfdf21e"),
        ("fix-kek", "3f1db41171ea0ea119425b31f47647ed7ae8ea879e9508c75bb78b0ff8a0bad5"),
        ("fix-db", "12e6c3b134b4acf1827bf532aa99cdac0a24237b5c7f4f442150435c3ffafe58"),
    ] {
        assert_eq!(list_name([id]), name);
    }
}
