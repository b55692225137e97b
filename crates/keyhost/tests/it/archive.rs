//! Archives of balenaSign in, and ours out again before Python, GnuPG and OpenSSL.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use countersign_keyhost::archive::{self, ArchivedKey, NamedFile, PublicPart, fernet};
use countersign_keyhost::client::{ArchiveImported, KeyHost};
use countersign_keyhost::wire::{HostError, Secret};
use countersign_model::entry::{Entry, Op};
use countersign_model::{Action, Format, KeyType, PublicKey, Scheme};

use crate::house::{House, job, make, make_as, permit};

/// What balenaSign answered, with its export.
fn original() -> serde_json::Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/appliance/original.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn secret(text: &str) -> Secret {
    Secret(text.as_bytes().to_vec())
}

const PASSPHRASE: &str = "a passphrase";

async fn import(
    host: &KeyHost,
    passphrase: &str,
    salt: &str,
    token: &str,
) -> Result<ArchiveImported, HostError> {
    let permit = permit(Action::KeyImport, "appliance/cert/any", None, None);
    let request = "r-import".parse().unwrap();
    host.archive_import(&permit, &request, secret(passphrase), salt.into(), token.into()).await
}

async fn import_original(host: &KeyHost) -> ArchiveImported {
    let original = original();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let export = &original["export"];
    let passphrase = text(&original["export_passphrase"]);
    import(host, &passphrase, &text(&export["salt"]), &text(&export["data"])).await.unwrap()
}

async fn export(
    host: &KeyHost,
    keys: Vec<(ArchivedKey, Vec<u8>)>,
    public: PublicPart,
) -> Result<(String, String), HostError> {
    let permit = permit(Action::KeyExport, "appliance/cert/any", None, None);
    let request = "r-export".parse().unwrap();
    let exported = host.archive_export(&permit, &request, secret(PASSPHRASE), keys, public).await?;
    Ok((exported.salt, exported.token))
}

/// An archive with these files, sealed under [`PASSPHRASE`]: salt and token.
fn sealed(files: &[(&str, &[u8])]) -> (String, String) {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    seal_tar(&builder.into_inner().unwrap())
}

fn seal_tar(tar: &[u8]) -> (String, String) {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(tar).unwrap();
    let sealed = fernet::seal(PASSPHRASE.as_bytes(), &encoder.finish().unwrap(), 1_700_000_000).unwrap();
    (sealed.salt, sealed.token)
}

fn refusal(files: &[(&str, &[u8])]) -> HostError {
    let (salt, token) = sealed(files);
    match archive::read(PASSPHRASE.as_bytes(), salt.as_bytes(), token.as_bytes()) {
        Ok(contents) => panic!("taken: {:?}, skipped {:?}", contents.public, contents.skipped),
        Err(error) => error.into(),
    }
}

/// The files of an archive as Python's `cryptography` and `tarfile` see them, unpacked below `directory`.
fn unpack_with_python(salt: &str, token: &str, directory: &Path) {
    let program = "
import base64, io, sys, tarfile
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
passphrase, salt, directory = sys.argv[1:]
kdf = PBKDF2HMAC(hashes.SHA256(), 32, base64.b64decode(salt), 100000)
key = base64.urlsafe_b64encode(kdf.derive(passphrase.encode()))
packed = Fernet(key).decrypt(sys.stdin.read().encode())
tarfile.open(fileobj=io.BytesIO(packed), mode='r:gz').extractall(directory)
";
    let mut child = Command::new("python3")
        .args(["-W", "ignore", "-c", program, PASSPHRASE, salt])
        .arg(directory)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(token.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "python3 with `cryptography` reads it");
}

fn run(program: &str, home: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(home).env("LC_ALL", "C").output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {text}");
    text
}

#[tokio::test]
async fn a_real_export_comes_in_with_the_same_ids_and_bytes_and_leaves_an_entry_a_key() {
    let house = House::new();
    let host = house.start().await.unwrap();
    let original = original();
    let imported = import_original(&host).await;

    let mut names: Vec<String> =
        imported.keys.iter().map(|key| key.archived.key_name().unwrap().to_string()).collect();
    names.sort();
    let expected = [
        "appliance/cert/fix-db",
        "appliance/cert/fix-kek",
        "appliance/cert/fix-kmod",
        "appliance/cert/fix-pk",
        "appliance/gpg/E1724EB061CD4D589C5E0402385CEB0A479AB72A",
        "appliance/rsa/bb0e6029d16e53ee99d5479c4e785e81",
    ];
    assert_eq!(names, expected);

    for (role, id) in [("pk", "fix-pk"), ("kek", "fix-kek"), ("db", "fix-db"), ("kmod", "fix-kmod")] {
        let certificate = original["bootstrap_response"]["certificates"][role].as_str().unwrap();
        let found = imported.public.certificates.iter().find(|file| file.name == id).unwrap();
        assert_eq!(found.content, certificate.as_bytes(), "{id}");
        assert_eq!(
            spki(&imported, ArchivedKey::Certificate(id.into())),
            PublicKey::from_pem(certificate).unwrap()
        );
    }
    let rsa = PublicKey::from_pem(original["rsa_key"]["key"].as_str().unwrap()).unwrap();
    assert_eq!(spki(&imported, ArchivedKey::Rsa("bb0e6029d16e53ee99d5479c4e785e81".into())), rsa);
    let variables: Vec<_> = imported.public.variables.iter().map(|file| file.variable.as_str()).collect();
    assert_eq!(variables, ["db", "KEK", "PK"]);
    assert_eq!(imported.public.lists.len(), 6, "of three certificates and of three lists");
    for litter in ["x509/fix-broken.key", "gpg/trustdb.gpg", "gpg/pubring.kbx~"] {
        assert!(imported.skipped.iter().any(|path| path == litter), "{litter}: {:?}", imported.skipped);
    }

    let entries = house.entries(&host).await;
    let entries: Vec<Entry> = entries.iter().map(|entry| Entry::parse(entry).unwrap()).collect();
    let logged = &entries[imported.log.index as usize..];
    assert_eq!(logged.len(), imported.keys.len());
    for (entry, key) in logged.iter().zip(&imported.keys) {
        assert_eq!((entry.op, entry.key.clone()), (Op::KeyImport, key.archived.key_name().ok()));
        assert_eq!(entry.key_id, Some(PublicKey::from_spki(&key.spki).unwrap().id()));
    }
    host.stop().await;
}

fn spki(imported: &ArchiveImported, archived: ArchivedKey) -> PublicKey {
    let key = imported.keys.iter().find(|key| key.archived == archived).unwrap();
    PublicKey::from_spki(&key.spki).unwrap()
}

#[tokio::test]
async fn an_imported_key_signs_as_the_original_did() {
    let house = House::new();
    let host = house.start().await.unwrap();
    let imported = import_original(&host).await;
    let key =
        imported.keys.iter().find(|k| k.archived == ArchivedKey::Certificate("fix-kmod".into())).unwrap();
    let made = countersign_keyhost::client::MadeKey {
        public: PublicKey::from_spki(&key.spki).unwrap(),
        blob: key.blob.clone(),
        log: imported.log.clone(),
    };
    let scheme = Scheme::RsaPkcs1Raw;
    let permit =
        permit(Action::KeySign, "appliance/cert/fix-kmod", Some(Format::RawUnprefixed), Some(scheme));
    let signed = host.sign(&permit, job(&made, scheme, &[0xab; 32], "r-sign")).await.unwrap();
    let expected = original()["cert_sign"]["signature"].as_str().unwrap().to_owned();
    assert_eq!(base64(&signed.signature.0), expected);
    host.stop().await;
}

fn base64(bytes: &[u8]) -> String {
    countersign_model::pem::encode("PUBLIC KEY", bytes)
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect()
}

#[tokio::test]
async fn our_export_is_read_by_python_gnupg_and_openssl_and_by_us() {
    let house = House::new();
    let host = house.start().await.unwrap();
    let imported = import_original(&host).await;
    let keys = || imported.keys.iter().map(|key| (key.archived.clone(), key.blob.clone())).collect();
    let (salt, token) = export(&host, keys(), imported.public.clone()).await.unwrap();

    let directory = tempfile::tempdir().unwrap();
    unpack_with_python(&salt, &token, directory.path());
    let home = directory.path().join("gpg");
    let listed = run("gpg", &home, &["--homedir", ".", "--batch", "--with-colons", "--list-secret-keys"]);
    assert!(listed.contains("E1724EB061CD4D589C5E0402385CEB0A479AB72A"), "{listed}");
    assert!(listed.contains("97D1AD7D64F0B0F9EC26D823766C6EC3925211CE"), "the keygrip: {listed}");
    let exported = run("gpg", &home, &["--homedir", ".", "--batch", "--armor", "--export"]);
    assert!(exported.starts_with(original()["gpg_key"]["key"].as_str().unwrap()), "{exported}");
    std::fs::write(home.join("content"), "content").unwrap();
    run("gpg", &home, &["--homedir", ".", "--batch", "--detach-sign", "content"]);
    run("gpg", &home, &["--homedir", ".", "--batch", "--output", "public.gpg", "--export"]);
    run("gpgv", &home, &["--keyring", "./public.gpg", "content.sig", "content"]);
    run("gpgconf", &home, &["--homedir", ".", "--kill", "all"]);

    for id in ["fix-pk", "fix-kek", "fix-db", "fix-kmod"] {
        let private =
            run("openssl", directory.path(), &["pkey", "-pubout", "-in", &format!("x509/{id}.key")]);
        let certified = run(
            "openssl",
            directory.path(),
            &["x509", "-noout", "-pubkey", "-in", &format!("x509/{id}.crt")],
        );
        assert_eq!(private, certified, "{id}");
    }
    let rsa = directory.path().join("rsa/bb0e6029d16e53ee99d5479c4e785e81");
    let public = std::fs::read_to_string(rsa.join("public.pem")).unwrap();
    assert_eq!(public, original()["rsa_key"]["key"].as_str().unwrap());
    assert_eq!(run("openssl", &rsa, &["pkey", "-pubout", "-in", "private.pem"]), public);

    let again = import(&host, PASSPHRASE, &salt, &token).await.unwrap();
    let halves = |imported: &ArchiveImported| -> BTreeMap<ArchivedKey, Vec<u8>> {
        imported.keys.iter().map(|key| (key.archived.clone(), key.spki.clone())).collect()
    };
    assert_eq!(halves(&again), halves(&imported));
    assert_eq!(again.public, imported.public);
    assert!(again.skipped.is_empty(), "{:?}", again.skipped);

    let entries = house.entries(&host).await;
    let exports = entries.iter().filter(|entry| Entry::parse(entry).unwrap().op == Op::KeyExport).count();
    assert_eq!(exports, imported.keys.len());
    host.stop().await;
}

#[tokio::test]
async fn trees_come_in_with_their_keys_sealed_and_go_out_as_they_were() {
    let tree = "0123456789abcdef0123456789abcdef";
    let work = tempfile::tempdir().unwrap();
    let password = "the password of the tree";
    run(
        "openssl",
        work.path(),
        &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "clear"],
    );
    let protect = ["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-in", "clear", "-out", "key.pem"];
    run("openssl", work.path(), &[&protect[..], &["-passout", &format!("pass:{password}")]].concat());
    let pem = std::fs::read(work.path().join("key.pem")).unwrap();
    let passwords = format!("{password}\n{password}\n");
    let file = |name: &str| format!("pki/{tree}/{name}");
    let (salt, token) = sealed(&[
        (&file("keys/SRK1_sha256_2048_65537_v3_ca_key.pem"), &pem),
        (&file("keys/SRK1_sha256_2048_65537_v3_ca_key.der"), b"the same once more"),
        (&file("keys/key_pass.txt"), passwords.as_bytes()),
        (&file("crts/SRK1_sha256_2048_65537_v3_ca_crt.pem"), b"certificate"),
        (&file("SRK_table.bin"), b"table"),
        (&file("SRK_efuses.bin"), b"fuses"),
        ("pki/ca/index.txt", b"notes of a tree in the making"),
    ]);
    let house = House::new();
    let host = house.start().await.unwrap();
    let imported = import(&host, PASSPHRASE, &salt, &token).await.unwrap();
    let name = imported.keys[0].archived.key_name().unwrap();
    assert_eq!(name.to_string(), format!("appliance/imx/{tree}/SRK1_sha256_2048_65537_v3_ca"));
    let paths: Vec<_> = imported.public.trees.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["SRK_efuses.bin", "SRK_table.bin", "crts/SRK1_sha256_2048_65537_v3_ca_crt.pem"]);
    assert!(!format!("{:?}", imported.public).contains(password));

    let keys = imported.keys.iter().map(|key| (key.archived.clone(), key.blob.clone())).collect();
    let (salt, token) = export(&host, keys, imported.public.clone()).await.unwrap();
    unpack_with_python(&salt, &token, work.path());
    let inside = work.path().join("pki").join(tree);
    assert_eq!(std::fs::read(inside.join("SRK_table.bin")).unwrap(), b"table");
    let clear = run("openssl", work.path(), &["pkey", "-pubout", "-in", "clear"]);
    let key = "keys/SRK1_sha256_2048_65537_v3_ca_key";
    for (form, extension) in [("PEM", "pem"), ("DER", "der")] {
        let file = format!("{key}.{extension}");
        let arguments =
            ["pkey", "-pubout", "-inform", form, "-in", &file, "-passin", "file:keys/key_pass.txt"];
        assert_eq!(run("openssl", &inside, &arguments), clear, "{form}");
    }
    host.stop().await;
}

#[tokio::test]
async fn only_exportable_keys_of_the_appliance_leave_and_only_in_their_own_place() {
    let house = House::new();
    let host = house.start().await.unwrap();
    let id = |text: &str| ArchivedKey::Rsa(text.into());
    let out = async |keys| export(&host, keys, PublicPart::default()).await.err();
    let stays = make(&host, "appliance/rsa/aa", KeyType::Rsa(2048)).await;
    assert_eq!(out(vec![(id("aa"), stays.blob)]).await, Some(HostError::NotExportable));
    let leaves = make_as(&host, "appliance/rsa/bb", KeyType::Rsa(2048), true, None).await;
    let as_tree = ArchivedKey::Pki { tree: "bb".into(), name: "bb".into() };
    assert_eq!(out(vec![(as_tree, leaves.blob.clone())]).await, Some(HostError::BadBlob));
    assert_eq!(out(vec![(id("bb"), leaves.blob.clone())]).await, None);
    assert_eq!(out(vec![(id("cc"), leaves.blob.clone())]).await, None, "named before its id was known");
    let mut damaged = leaves.blob.clone();
    damaged[40] ^= 1;
    assert_eq!(out(vec![(id("bb"), damaged)]).await, Some(HostError::BadBlob));

    let certificate = make_as(&host, "appliance/cert/pk", KeyType::Rsa(2048), true, None).await;
    let alone = out(vec![(ArchivedKey::Certificate("pk".into()), certificate.blob.clone())]).await;
    assert!(matches!(alone, Some(HostError::BadArchive(_))), "without its certificate: {alone:?}");
    let other = NamedFile { name: "pk".into(), content: leaves.public.to_pem().into_bytes() };
    let public = PublicPart { certificates: vec![other], ..PublicPart::default() };
    let keys = vec![(ArchivedKey::Certificate("pk".into()), certificate.blob)];
    let mismatch = export(&host, keys, public).await.err();
    assert!(matches!(mismatch, Some(HostError::BadArchive(_))), "{mismatch:?}");

    let native = permit(Action::KeyExport, "anything", None, None);
    let request = "r-native".parse().unwrap();
    let refused =
        host.archive_export(&native, &request, secret(PASSPHRASE), vec![], PublicPart::default()).await;
    assert!(matches!(refused, Err(HostError::OwnedBy(_))), "{refused:?}");
    let before = house.entries(&host).await.len();
    assert!(import(&host, "wrong", "AAAA", "gAAAAA").await.is_err());
    assert_eq!(house.entries(&host).await.len(), before, "what is refused leaves no entry");
    host.stop().await;
}

#[test]
fn a_wrong_passphrase_is_told_from_a_bad_archive() {
    let read = |passphrase: &[u8], salt: &str, token: &str| -> HostError {
        archive::read(passphrase, salt.as_bytes(), token.as_bytes()).err().unwrap().into()
    };
    let (salt, token) = sealed(&[("x509/a.crt", b"not looked at")]);
    let wrong = |error| matches!(error, HostError::WrongPassphrase(_));
    assert!(wrong(read(b"another", &salt, &token)));
    assert!(wrong(read(PASSPHRASE.as_bytes(), &salt, &token[..token.len() - 8])));
    assert!(matches!(read(PASSPHRASE.as_bytes(), "not base64!", &token), HostError::BadArchive(_)));
    let clear = fernet::seal(PASSPHRASE.as_bytes(), b"not gzip", 0).unwrap();
    assert!(matches!(read(PASSPHRASE.as_bytes(), &clear.salt, &clear.token), HostError::BadArchive(_)));
    let (salt, token) = seal_tar(&[1; 2000]);
    assert!(matches!(read(PASSPHRASE.as_bytes(), &salt, &token), HostError::BadArchive(_)));
    assert_eq!(refusal(&[]), HostError::EmptyArchive);
    assert_eq!(refusal(&[("readme", b"only litter")]), HostError::EmptyArchive);
}

#[test]
fn names_that_leave_the_archive_and_keys_that_do_not_fit_are_refused() {
    let work = tempfile::tempdir().unwrap();
    let make = |bits: &str, name: &str| -> (Vec<u8>, Vec<u8>) {
        let subject = format!("/CN={name}");
        let (key, crt) = (format!("{name}.key"), format!("{name}.crt"));
        let new =
            ["req", "-x509", "-nodes", "-newkey", bits, "-subj", &subject, "-keyout", &key, "-out", &crt];
        run("openssl", work.path(), &new);
        (std::fs::read(work.path().join(key)).unwrap(), std::fs::read(work.path().join(crt)).unwrap())
    };
    let (key, crt) = make("rsa:2048", "one");
    let (_, other) = make("rsa:2048", "two");
    let (weak, weak_crt) = make("rsa:1024", "weak");

    let bad = |files: &[(&str, &[u8])]| match refusal(files) {
        HostError::BadArchive(why) => why,
        other => panic!("{other:?}"),
    };
    assert!(bad(&[("x509/a.crt", &crt), ("x509/../a.key", &key)]).contains("x509/../a.key"));
    assert!(bad(&[("/x509/a.crt", &crt)]).contains("/x509/a.crt"));
    assert!(bad(&[("x509/a.crt", &other), ("x509/a.key", &key)]).contains("do not belong together"));
    assert!(bad(&[("x509/a.crt", b"hello"), ("x509/a.key", &key)]).contains("x509/a.crt"));
    assert!(bad(&[("x509/a.crt", &crt), ("x509/a.key", b"hello")]).contains("x509/a.key"));
    assert!(bad(&[("x509/a,b.crt", &crt), ("x509/a,b.key", &key)]).contains("a,b"));
    let weak = refusal(&[("x509/a.crt", &weak_crt), ("x509/a.key", &weak)]);
    assert!(matches!(&weak, HostError::WeakKey(why) if why.contains("x509/a.key")), "{weak:?}");

    let (salt, token) = sealed(&[
        ("x509/a.crt", &crt),
        ("x509/a.key", &key),
        ("x509/left.key", b"left by a failed creation"),
        ("x509/.crt", b""),
        ("x509/a.esl", b""),
        ("gpg/random_seed", b"x"),
        ("gpg/pubring.kbx~", b"x"),
        ("gpg/.#lk0x1", b"x"),
    ]);
    let contents = archive::read(PASSPHRASE.as_bytes(), salt.as_bytes(), token.as_bytes()).unwrap();
    assert_eq!((contents.keys.len(), contents.skipped.len()), (1, 6));
}

/// Both forms of GnuPG's private keys, as GnuPG itself writes them today, and one under a passphrase.
#[test]
fn keys_of_a_home_that_gpg_made_come_in_and_protected_ones_are_refused_by_name() {
    use std::os::unix::fs::PermissionsExt as _;
    let work = tempfile::tempdir().unwrap();
    let home = work.path().join("gpg");
    std::fs::create_dir(&home).unwrap();
    std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o700)).unwrap();
    let gpg = |arguments: &[&str]| run("gpg", &home, &[&["--homedir", ".", "--batch"], arguments].concat());
    let pack = || {
        let mut builder = tar::Builder::new(Vec::new());
        builder.append_path_with_name(home.join("pubring.kbx"), "gpg/pubring.kbx").unwrap();
        builder.append_dir_all("gpg/private-keys-v1.d", home.join("private-keys-v1.d")).unwrap();
        let (salt, token) = seal_tar(&builder.into_inner().unwrap());
        archive::read(PASSPHRASE.as_bytes(), salt.as_bytes(), token.as_bytes())
    };
    let new = ["--pinentry-mode", "loopback", "--quick-gen-key"];
    gpg(&[&["--passphrase", ""], &new[..], &["One <one@example.test>", "rsa2048", "sign", "0"]].concat());
    gpg(&[&["--passphrase", ""], &new[..], &["Two <two@example.test>", "rsa3072", "sign", "0"]].concat());
    let contents = pack().unwrap();
    assert_eq!(contents.keys.len(), 2, "{:?}", contents.skipped);
    let listed = gpg(&["--with-colons", "--list-keys"]);
    for file in &contents.public.openpgp {
        assert!(listed.contains(&file.name), "{listed}");
    }

    gpg(&[&["--passphrase", "secret"], &new[..], &["Three <three@example.test>", "rsa2048", "sign", "0"]]
        .concat());
    let refused: HostError = pack().err().unwrap().into();
    assert!(
        matches!(&refused, HostError::BadArchive(why) if why.contains("private-keys-v1.d/")),
        "{refused:?}"
    );
    run("gpgconf", &home, &["--homedir", ".", "--kill", "all"]);
}

#[tokio::test]
async fn keys_of_kinds_that_no_import_takes_are_refused() {
    let house = House::new();
    let host = house.start().await.unwrap();
    let openssl = |arguments: &str| {
        let output = Command::new("openssl").args(arguments.split(' ')).output().unwrap();
        assert!(output.status.success(), "{arguments}");
        output.stdout
    };
    let secp256k1 = openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1");
    let p256 = openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256");
    let rsa = openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072");
    let id = "ab".repeat(16);
    let in_tree = format!("pki/{id}/keys/SRK1_key.pem");
    let as_rsa = format!("rsa/{id}/private.pem");
    for (path, key) in [(&in_tree, &secp256k1), (&as_rsa, &p256), (&as_rsa, &rsa)] {
        let (salt, token) = sealed(&[(path, key)]);
        let refused = import(&host, PASSPHRASE, &salt, &token).await.unwrap_err();
        assert!(matches!(&refused, HostError::BadArchive(_)), "{path}: {refused}");
    }
}
