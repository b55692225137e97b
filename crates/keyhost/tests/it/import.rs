//! Keys from `openssl`, in every form it writes, and back.

use std::io::Write as _;
use std::process::{Command, Stdio};

use countersign_keyhost::soft::{ImportError, SoftKey, to_encrypted_pem};
use countersign_model::key::PrivateKey as _;
use countersign_model::{KeyType, PublicKey};

fn openssl(arguments: &str, input: &str) -> String {
    let mut child = Command::new("openssl")
        .args(arguments.split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn public_of(private: &str) -> PublicKey {
    PublicKey::from_pem(&openssl("pkey -pubout", private)).unwrap()
}

fn refused(pem: &str, passphrase: Option<&[u8]>) -> ImportError {
    SoftKey::from_pem(pem, passphrase).err().expect("must be refused")
}

#[test]
fn every_form_of_every_type_is_the_same_key() {
    for (arguments, key_type, traditional) in [
        ("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048", KeyType::Rsa(2048), true),
        ("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072", KeyType::Rsa(3072), true),
        ("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256", KeyType::P256, true),
        ("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384", KeyType::P384, true),
        ("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521", KeyType::P521, true),
        ("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1", KeyType::Secp256k1, true),
        ("genpkey -algorithm ED25519", KeyType::Ed25519, false),
    ] {
        let pkcs8 = openssl(arguments, "");
        let public = public_of(&pkcs8);
        assert_eq!(public.key_type(), key_type);
        let mut forms = vec![(pkcs8.clone(), None)];
        if traditional {
            forms.push((openssl("pkey -traditional", &pkcs8), None));
        }
        for encryption in ["-v2 aes-256-cbc", "-v2 aes-128-cbc -v2prf hmacWithSHA512", "-scrypt"] {
            let arguments = format!("pkcs8 -topk8 {encryption} -passout pass:secret");
            forms.push((openssl(&arguments, &pkcs8), Some(b"secret".as_slice())));
        }
        for (pem, passphrase) in forms {
            let first = pem.lines().next().unwrap_or_default().to_owned();
            let key = SoftKey::from_pem(&pem, passphrase).unwrap_or_else(|e| panic!("{first}: {e}"));
            assert_eq!(key.public(), &public, "{first}");
        }
    }
}

#[test]
fn an_ec_key_behind_its_parameters_is_found() {
    let pem = openssl("ecparam -name prime256v1 -genkey", "");
    assert!(pem.starts_with("-----BEGIN EC PARAMETERS-----"));
    let key = SoftKey::from_pem(&pem, None).unwrap();
    assert_eq!(key.public(), &public_of(&pem));
}

#[test]
fn what_is_exported_openssl_reads() {
    for key_type in [KeyType::Rsa(2048), KeyType::P256, KeyType::P384, KeyType::P521, KeyType::Ed25519] {
        let key = SoftKey::generate(key_type).unwrap();
        let pem = to_encrypted_pem(&key, b"correct-horse-battery").unwrap();
        let clear = openssl("pkcs8 -passin pass:correct-horse-battery", &pem);
        assert_eq!(&public_of(&clear), key.public());
    }
}

#[test]
fn weak_keys_are_refused() {
    let small = openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024", "");
    assert!(matches!(refused(&small, None), ImportError::Weak(why) if why.contains("1024")));
    let three =
        openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp:3", "");
    assert!(matches!(refused(&three, None), ImportError::Weak(why) if why.contains("65537")));
}

#[test]
fn a_wrong_or_missing_passphrase_is_told_from_a_malformed_key() {
    let pkcs8 = openssl("genpkey -algorithm ED25519", "");
    let sealed = openssl("pkcs8 -topk8 -passout pass:secret", &pkcs8);
    assert_eq!(refused(&sealed, None), ImportError::Encrypted);
    for wrong in 0..40u8 {
        assert_eq!(refused(&sealed, Some(&[b'x', wrong])), ImportError::WrongPassphrase);
    }
}

#[test]
fn a_costly_derivation_is_refused_at_once() {
    let pkcs8 = openssl("genpkey -algorithm ED25519", "");
    let sealed = openssl("pkcs8 -topk8 -iter 4096 -passout pass:secret", &pkcs8);
    // The iteration count is the INTEGER behind the salt: 02 02 10 00. Larger ones are written over it.
    let mut der = countersign_model::pem::blocks(&sealed).unwrap().remove(0).der.to_vec();
    let at = der.windows(4).position(|w| w == [2, 2, 0x10, 0]).unwrap();
    for bytes in [vec![2, 4, 0x7f, 0xff, 0xff, 0xff], vec![2, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0]] {
        let mut costly = der.clone();
        let grown = bytes.len() - 4;
        costly.splice(at..at + 4, bytes);
        lengthen(&mut costly, at, grown as u8);
        let pem = countersign_model::pem::encode("ENCRYPTED PRIVATE KEY", &costly);
        let started = std::time::Instant::now();
        assert!(matches!(refused(&pem, Some(b"secret")), ImportError::KdfTooCostly(_)), "{costly:02x?}");
        assert!(started.elapsed().as_secs() < 2);
    }
    der.truncate(der.len() - 1);
    let cut = countersign_model::pem::encode("ENCRYPTED PRIVATE KEY", &der);
    assert!(matches!(refused(&cut, Some(b"secret")), ImportError::Malformed(_)));
}

/// Adds `by` to the length of every SEQUENCE that holds the byte at `inside`. All lengths are short or 81 xx.
fn lengthen(der: &mut [u8], inside: usize, by: u8) {
    let mut at = 0;
    while at < inside {
        let long = der[at + 1] == 0x81;
        let length_at = if long { at + 2 } else { at + 1 };
        let content = length_at + 1;
        let end = content + usize::from(der[length_at]);
        if der[at] == 0x30 && inside < end {
            der[length_at] += by;
            at = content;
        } else {
            at = end;
        }
    }
}

#[test]
fn other_blocks_and_old_encryption_are_refused_with_a_reason() {
    let pkcs8 = openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048", "");
    let public = openssl("pkey -pubout", &pkcs8);
    assert!(matches!(refused(&public, None), ImportError::Malformed(why) if why.contains("PUBLIC KEY")));
    let old = openssl("rsa -aes256 -traditional -passout pass:secret", &pkcs8);
    assert!(matches!(refused(&old, Some(b"secret")), ImportError::Unsupported(_)));
    let pss = openssl("genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048", "");
    assert!(matches!(refused(&pss, None), ImportError::Unsupported(why) if why.contains("PSS")));
    let ed448 = openssl("genpkey -algorithm ED448", "");
    assert!(matches!(refused(&ed448, None), ImportError::Unsupported(_)));
    assert!(matches!(refused("hello", None), ImportError::Malformed(_)));
}
