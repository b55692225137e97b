//! Kernel modules.

use countersign_model::{HashAlg, KeyType};
use countersign_pki::cms::CmsError;
use countersign_pki::kmod::{self, KmodError, MAGIC, SignedModule};
use countersign_pki::x509::Certificate;

use crate::support::{TestKey, certificate, fixture_path};
use crate::tools::Bench;

fn sign(module: &[u8], key: &TestKey, signer: &Certificate) -> Vec<u8> {
    let (to_sign, pending) = kmod::prepare(module.to_vec(), signer).unwrap();
    let signature = key.sign(pending.scheme(), &to_sign);
    pending.finish(signature).unwrap()
}

/// An object file with what `modinfo` looks for.
fn module() -> Vec<u8> {
    let bench = Bench::new(&[(
        "m.c",
        b"const char info[] __attribute__((section(\".modinfo\"), used)) = \"license=GPL\";",
    )]);
    bench.run("cc -c m.c -o m.ko");
    bench.get("m.ko")
}

#[test]
fn modinfo_and_openssl_read_a_signed_module() {
    let (key, signer) = (TestKey::of("kmod"), certificate("kmod"));
    let module = module();
    let signed = sign(&module, &key, &signer);
    let parts = SignedModule::parse(&signed).unwrap();
    assert_eq!(parts.module, module);

    let pem = signer.to_pem();
    let bench = Bench::new(&[
        ("m.ko", signed.as_slice()),
        ("sig", parts.cms),
        ("file", parts.module),
        ("other", b"other"),
        ("c.pem", pem.as_bytes()),
    ]);
    let text = bench.run("modinfo ./m.ko");
    assert!(text.contains("sig_id:         PKCS#7"), "{text}");
    assert!(text.contains("signer:         balenaOS fixture modules"), "{text}");
    assert!(text.contains("sig_hashalgo:   sha512"), "{text}");
    let line = "openssl cms -verify -binary -inform DER -in sig -certfile c.pem -nointern -noverify -content";
    bench.run(&format!("{line} file"));
    assert!(!bench.agrees(&format!("{line} other")));
}

#[test]
fn curves_sign_modules_too() {
    for key_type in [KeyType::P256, KeyType::P384, KeyType::P521] {
        let key = TestKey::ecdsa(key_type);
        let signer = key.certified("/CN=a");
        let signed = sign(b"module", &key, &signer);
        assert_eq!(kmod::verify(&signed, &signer), Ok(()));
        let parts = SignedModule::parse(&signed).unwrap();
        let pem = signer.to_pem();
        let bench = Bench::new(&[("sig", parts.cms), ("file", parts.module), ("c.pem", pem.as_bytes())]);
        bench.run("openssl cms -verify -binary -inform DER -in sig -certfile c.pem -nointern -noverify -content file");
    }
}

#[test]
fn a_signed_module_can_be_signed_again_and_the_last_signature_counts() {
    let (key, signer) = (TestKey::of("kmod"), certificate("kmod"));
    let other = TestKey::of("db");
    let once = sign(b"module", &other, &certificate("db"));
    let twice = sign(&once, &key, &signer);
    assert!(twice.starts_with(&once));
    assert_eq!(kmod::verify(&twice, &signer), Ok(()));
    assert!(kmod::verify(&twice, &certificate("db")).is_err());
    assert_eq!(SignedModule::parse(&twice).unwrap().module, once);
}

#[test]
fn a_digest_gives_the_bytes_to_append() {
    let (key, signer) = (TestKey::of("kmod"), certificate("kmod"));
    let (to_sign, pending) = kmod::prepare_digest(HashAlg::Sha512.digest(b"module"), &signer).unwrap();
    let signature = key.sign(pending.scheme(), &to_sign);
    let appendix = pending.finish(signature).unwrap();
    assert_eq!([b"module", appendix.as_slice()].concat(), sign(b"module", &key, &signer));
}

#[test]
fn a_module_is_finished_verified_only_with_the_signature_of_its_signer() {
    let (key, signer) = (TestKey::of("kmod"), certificate("kmod"));
    // Also one that ends as if it was signed already.
    for module in [b"module".to_vec(), sign(b"module", &key, &signer), MAGIC.to_vec()] {
        let (to_sign, pending) = kmod::prepare(module.clone(), &signer).unwrap();
        let signature = key.sign(pending.scheme(), &to_sign);
        let verified = pending.clone().finish_verified(signature.clone(), &signer).unwrap();
        assert_eq!(verified, pending.clone().finish(signature.clone()).unwrap());
        assert_eq!(kmod::verify(&verified, &signer), Ok(()));

        let other = certificate("db");
        let error = pending.clone().finish_verified(signature.clone(), &other).unwrap_err();
        assert_eq!(error, KmodError::Cms(CmsError::NotSignedBy));
        for at in [0, 100, signature.0.len() - 1] {
            let mut broken = signature.clone();
            broken.0[at] ^= 1;
            let error = pending.clone().finish_verified(broken, &signer).unwrap_err();
            assert_eq!(error, KmodError::Cms(CmsError::Invalid), "byte {at}");
        }
    }
    let (_, pending) = kmod::prepare(b"module".to_vec(), &signer).unwrap();
    let (to_sign, _) = kmod::prepare(b"another".to_vec(), &signer).unwrap();
    let of_another = key.sign(pending.scheme(), &to_sign);
    assert_eq!(pending.finish_verified(of_another, &signer), Err(KmodError::Cms(CmsError::Invalid)));
}

#[test]
fn no_byte_of_a_signed_module_can_be_changed() {
    let (key, signer) = (TestKey::of("db"), certificate("db"));
    let signed = sign(b"module", &key, &signer);
    for at in 0..signed.len() {
        let mut changed = signed.clone();
        changed[at] ^= 1;
        assert!(kmod::verify(&changed, &signer).is_err(), "byte {at}");
    }
    for len in 0..signed.len() {
        assert!(kmod::verify(&signed[..len], &signer).is_err(), "cut to {len}");
    }
}

#[test]
fn what_the_kernel_refuses_is_refused() {
    let signer = certificate("db");
    assert_eq!(kmod::prepare(Vec::new(), &signer).unwrap_err(), KmodError::Empty);
    assert_eq!(kmod::verify(b"module", &signer), Err(KmodError::NotSigned));
    assert_eq!(kmod::verify(MAGIC, &signer), Err(KmodError::Trailer));
    // A length beyond the file, and another type of signature.
    for trailer in [[0, 0, 2, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff], [0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]] {
        let file = [b"module".as_slice(), &trailer, MAGIC].concat();
        assert_eq!(kmod::verify(&file, &signer), Err(KmodError::Trailer));
    }

    let bench = Bench::new(&[("file", b"module"), ("c.pem", signer.to_pem().as_bytes())]);
    let key = fixture_path("keys/db.pem");
    let line = "openssl cms -sign -binary -nocerts -md sha512 -in file -outform DER -out sig -signer c.pem";
    bench.run(&format!("{line} -inkey {}", key.display()));
    let cms = bench.get("sig");
    let trailer = [&[0, 0, 2, 0, 0, 0, 0, 0], (cms.len() as u32).to_be_bytes().as_slice()].concat();
    let file = [b"module".as_slice(), &cms, &trailer, MAGIC].concat();
    assert_eq!(kmod::verify(&file, &signer), Err(KmodError::Attributes));
}
