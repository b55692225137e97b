//! What we make before `gpg`, `gpgv` and `sqv`.

use std::path::Path;
use std::process::{Command, Output};

use countersign_model::KeyType;
use countersign_openpgp::{DetachedSignature, FinishError, detached};

use crate::signer::{CREATED, Signer};

const CONTENT: &[u8] = b"set default=0\nlinux /boot/vmlinuz\n";
const SIGNED: u32 = CREATED + 1000;

fn run(program: &str, home: &Path, arguments: &[&str]) -> Output {
    Command::new(program)
        .args(arguments)
        .current_dir(home)
        .env("GNUPGHOME", home)
        .env("LC_ALL", "C")
        .output()
        .unwrap_or_else(|e| panic!("{program}: {e}; scripts/install-test-tools installs it"))
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

/// A directory that may be a GnuPG home, which only its owner may open.
fn home() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().unwrap();
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    home
}

#[test]
fn gpg_imports_every_type_of_key_and_exports_the_same_bytes() {
    for key_type in Signer::TYPES {
        let home = home();
        let certificate = Signer::new(key_type).certificate("Fixture Zürich");
        std::fs::write(home.path().join("key.asc"), certificate.to_armored()).unwrap();
        let imported = run("gpg", home.path(), &["--batch", "--import", "key.asc"]);
        assert!(imported.status.success(), "{key_type}: {}", text(&imported));

        let listed = run("gpg", home.path(), &["--batch", "--with-colons", "--list-keys"]);
        let listed = text(&listed);
        assert!(listed.contains(&certificate.fingerprint().to_string()), "{key_type}: {listed}");
        assert!(listed.contains("Fixture Zürich (test) <key@example.test>"), "{key_type}: {listed}");
        let public = listed.lines().find(|line| line.starts_with("pub:")).unwrap();
        let capabilities = public.split(':').nth(11).unwrap();
        assert_eq!(capabilities, "scSC", "{key_type}: certifies and signs");

        let exported = run("gpg", home.path(), &["--batch", "--export"]);
        assert_eq!(exported.stdout, certificate.packets(), "{key_type}");
        let dearmored = run("gpg", home.path(), &["--batch", "--dearmor", "--output", "-", "key.asc"]);
        assert_eq!(dearmored.stdout, certificate.packets(), "{key_type}");
    }
}

#[test]
fn gpgv_and_sqv_accept_every_type_of_signature_and_refuse_any_change() {
    for key_type in Signer::TYPES {
        let home = home();
        let write = |name: &str, bytes: &[u8]| std::fs::write(home.path().join(name), bytes).unwrap();
        let signer = Signer::new(key_type);
        let certificate = signer.certificate("Judged");
        let signature = signer.sign_content(&certificate, CONTENT, SIGNED);
        write("key.gpg", certificate.packets());
        write("content", CONTENT);
        write("content.sig", &signature);
        write("content.asc", detached::to_armored(&signature).as_bytes());
        write("changed", b"set default=1\nlinux /boot/vmlinuz\n");

        let gpgv =
            |signature, content| run("gpgv", home.path(), &["--keyring", "./key.gpg", signature, content]);
        let sqv = |signature, content| run("sqv", home.path(), &["--keyring", "key.gpg", signature, content]);
        for signature in ["content.sig", "content.asc"] {
            for (judge, verdict) in [("gpgv", gpgv(signature, "content")), ("sqv", sqv(signature, "content"))]
            {
                assert!(verdict.status.success(), "{judge}, {key_type}: {}", text(&verdict));
            }
            for (judge, verdict) in [("gpgv", gpgv(signature, "changed")), ("sqv", sqv(signature, "changed"))]
            {
                assert!(!verdict.status.success(), "{judge}, {key_type}: {}", text(&verdict));
            }
        }

        let found = DetachedSignature::read(&signature).unwrap();
        let trusted = [certificate];
        let good = found[0].verify(found[0].hash_of(CONTENT), &trusted, SIGNED).unwrap();
        assert_eq!((good.signed_at, good.key), (SIGNED, trusted[0].fingerprint()));
        assert!(found[0].verify(found[0].hash_of(b"other"), &trusted, SIGNED).is_err());
    }
}

/// All that can be changed and keep the packet readable is covered: content, hashed area, signature.
#[test]
fn gpgv_sees_what_we_see_when_a_byte_of_a_signature_is_changed() {
    let home = home();
    let signer = Signer::new(KeyType::P256);
    let certificate = signer.certificate("Judged");
    let signature = signer.sign_content(&certificate, CONTENT, SIGNED);
    std::fs::write(home.path().join("key.gpg"), certificate.packets()).unwrap();
    std::fs::write(home.path().join("content"), CONTENT).unwrap();
    let trusted = [certificate];
    // What nobody relies on: the unhashed issuer.
    let unhashed = 2 + 6 + 29 + 2..2 + 6 + 29 + 2 + 10;
    for i in 0..signature.len() {
        let mut changed = signature.clone();
        changed[i] ^= 0x04;
        std::fs::write(home.path().join("sig"), &changed).unwrap();
        let gpgv = run("gpgv", home.path(), &["--keyring", "./key.gpg", "sig", "content"]).status.success();
        let ours = DetachedSignature::read(&changed)
            .is_ok_and(|found| found.iter().all(|s| s.verify(s.hash_of(CONTENT), &trusted, SIGNED).is_ok()));
        assert!(!ours || gpgv, "byte {i}: we accept what gpgv refuses");
        assert!(!ours || unhashed.contains(&i), "byte {i}: accepted although it is covered");
    }
}

#[test]
fn the_issuer_stands_unhashed_where_grub_looks_for_it() {
    let signer = Signer::new(KeyType::Rsa(2048));
    let certificate = signer.certificate("GRUB");
    let signature = signer.sign_content(&certificate, CONTENT, SIGNED);
    let fingerprint = certificate.fingerprint();
    let start =
        [&[0x89, 0x01, 0x33, 4, 0, 1, 10, 0, 29, 22, 33, 4], fingerprint.as_bytes().as_slice()].concat();
    assert!(signature.starts_with(&start));
    let rest = &signature[start.len()..];
    assert_eq!(rest[..6], [&[5, 2], SIGNED.to_be_bytes().as_slice()].concat());
    assert_eq!(rest[6..18], [&[0, 10, 9, 16], fingerprint.key_id().as_slice()].concat());
}

#[test]
fn a_signature_by_another_key_is_not_finished() {
    let (signer, other) = (Signer::new(KeyType::P256), Signer::new(KeyType::P256));
    let certificate = signer.certificate("One");
    let (to_sign, pending) = detached::prepare(&certificate.issuer(), detached::hasher(), SIGNED);
    assert!(matches!(pending.finish(&other.sign(&to_sign)), Err(FinishError::Signature(_))));
}
