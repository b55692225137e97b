//! `/import` and `/export`: archives of the original in, ours out, judged by Python, `tar`, `gpg` and `openssl`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::{Answer, House, base64};

impl House {
    async fn send(&self, path: &str, body: &Value) -> Answer {
        self.ask_as_nobody("POST", path).header("x-api-key", &self.admin).json(body.clone()).send().await
    }

    async fn public(&self, path: &str) -> Value {
        self.ask_as_nobody("GET", path).send().await.expect(200)
    }

    async fn import(&self, archive: &Value) -> Answer {
        self.send("/import", archive).await
    }

    /// An export under `passphrase`, in the form of an import.
    async fn export(&self, passphrase: &str) -> Value {
        let mut archive = self.send("/export", &json!({"key": passphrase})).await.expect(200);
        archive["key"] = passphrase.into();
        archive
    }
}

const PASSPHRASE: &str = "short";
const RSA: &str = "bb0e6029d16e53ee99d5479c4e785e81";
const FINGERPRINT: &str = "E1724EB061CD4D589C5E0402385CEB0A479AB72A";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

/// What balenaSign answered, with its export.
fn original() -> Value {
    serde_json::from_slice(&fs::read(fixtures().join("appliance/original.json")).unwrap()).unwrap()
}

fn original_archive() -> Value {
    let original = original();
    let export = &original["export"];
    json!({"key": original["export_passphrase"], "data": export["data"], "salt": export["salt"]})
}

/// An independent reader and writer of archives: `open` writes the files below a directory, `seal` takes
/// `[[path, base64]]`, where `path` may be one that no `tar` would unpack.
const PYTHON: &str = "
import base64, gzip, io, json, sys, tarfile
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
def fernet(key, salt):
    kdf = PBKDF2HMAC(hashes.SHA256(), 32, salt, 100000)
    return Fernet(base64.urlsafe_b64encode(kdf.derive(key.encode())))
asked = json.load(sys.stdin)
if sys.argv[1] == 'open':
    packed = fernet(asked['key'], base64.b64decode(asked['salt'])).decrypt(asked['data'].encode())
    tarfile.open(fileobj=io.BytesIO(packed), mode='r:gz').extractall(sys.argv[2])
else:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w:gz') as tar:
        for path, content in asked['files']:
            content = base64.b64decode(content)
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    salt = b'0123456789abcdef'
    data = fernet(asked['key'], salt).encrypt(out.getvalue()).decode()
    print(json.dumps({'key': asked['key'], 'data': data, 'salt': base64.b64encode(salt).decode()}))
";

fn python(arguments: &[&str], input: &Value) -> Vec<u8> {
    let mut child = Command::new("python3")
        .args(["-W", "ignore", "-c", PYTHON])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "python3 with `cryptography`");
    output.stdout
}

/// Unpacks an archive.
fn unpacked(archive: &Value) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    python(&["open", dir.path().to_str().unwrap()], archive);
    dir
}

/// The files of a directory, by path.
fn files_of(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read(path).unwrap());
            }
        }
    }
    files
}

fn sealed(files: &BTreeMap<String, Vec<u8>>) -> Value {
    let files: Vec<_> = files.iter().map(|(path, content)| json!([path, base64(content)])).collect();
    let archive = python(&["seal"], &json!({"key": PASSPHRASE, "files": files}));
    serde_json::from_slice(&archive).unwrap()
}

/// The original's files, to be changed.
fn original_files() -> BTreeMap<String, Vec<u8>> {
    files_of(unpacked(&original_archive()).path())
}

/// A program's output, in a directory.
fn run(dir: &Path, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(dir).env("LC_ALL", "C").output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {text}");
    text
}

/// Asserts that a server shows and signs what the original did.
async fn assert_is_original(house: &House) {
    let original = original();
    for (role, id) in [("pk", "fix-pk"), ("kek", "fix-kek"), ("db", "fix-db"), ("kmod", "fix-kmod")] {
        let shown = house.public(&format!("/cert/{id}")).await;
        assert_eq!(shown["cert"], original["bootstrap_response"]["certificates"][role], "{id}");
    }
    for (variable, id) in [("pk", "fix-pk"), ("kek", "fix-kek"), ("db", "fix-db")] {
        let shown = house.public(&format!("/secureboot/{variable}/{id}")).await;
        assert_eq!(shown, original[variable], "{variable}: the same lists and updates, byte by byte");
        let order = json!({"key_id": id, "signing_key_id": "fix-pk"});
        house.send(&format!("/secureboot/{variable}"), &order).await.expect(409);
    }
    assert_eq!(house.public("/gpg/keys").await["keys"], json!([FINGERPRINT]));
    assert_eq!(house.public(&format!("/gpg/key/{FINGERPRINT}")).await, original["gpg_key"]);
    assert_eq!(house.public("/rsa/keys").await["keys"], json!([RSA]));
    assert_eq!(house.public(&format!("/rsa/key/{RSA}")).await, original["rsa_key"]);

    let digest = json!({"cert_id": "fix-kmod", "digest": original["cert_sign_digest"]});
    assert_eq!(house.send("/cert/sign", &digest).await.expect(200), original["cert_sign"]);
    let payload = original["gpg_sign_payload"].as_str().unwrap().as_bytes();
    let module = json!({"key_id": "fix-kmod", "payload": base64(payload)});
    let signed = house.send("/kmod/sign", &module).await.expect(200);
    assert_eq!(signed["signed"], original["kmod_sign"]["signed"]);
    let image = json!({"key_id": RSA, "payload": base64(payload)});
    let signed = house.send("/rsa/sign", &image).await.expect(200);
    let line = |document: &Value| {
        let text = STANDARD.decode(document["signature"].as_str().unwrap()).unwrap();
        String::from_utf8(text).unwrap().lines().last().unwrap().to_owned()
    };
    assert_eq!(line(&signed), line(&original["rsa_sign"]), "all but the time");

    let document = json!({"key_id": FINGERPRINT, "payload": base64(b"content")});
    let signed = house.send("/gpg/sign", &document).await.expect(200);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("content"), "content").unwrap();
    fs::write(dir.path().join("sig"), STANDARD.decode(signed["signature"].as_str().unwrap()).unwrap())
        .unwrap();
    fs::write(dir.path().join("key"), original["gpg_key"]["key"].as_str().unwrap()).unwrap();
    run(dir.path(), "sh", &["-c", "gpg --homedir . --batch --dearmor <key >ring"]);
    run(dir.path(), "gpgv", &["--homedir", ".", "--keyring", "./ring", "sig", "content"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_of_the_original_comes_in_and_everything_is_as_it_was() {
    for house in House::on_both("").await {
        let answer = house.import(&original_archive()).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0), "{}", answer.text());
        assert_is_original(&house).await;
        house.import(&original_archive()).await.expect(204);
        assert_is_original(&house).await;
        house.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_here_and_not_in_the_archive_stay() {
    let house = House::open().await;
    let body = json!({"cert_id": "own", "subject": "/CN=own"});
    let own = house.send("/cert", &body).await.expect(200);
    let rsa = house.send("/rsa/key", &json!({})).await.expect(200)["fingerprint"].clone();
    let person = json!({"name_real": "A", "name_email": "a@b.example"});
    let openpgp = house.send("/gpg/key", &person).await.expect(200)["fingerprint"].clone();
    house.import(&original_archive()).await.expect(204);
    assert_eq!(house.public("/cert/own").await, own);
    let has = |list: &Value, id: &Value| list["keys"].as_array().unwrap().contains(id);
    for (list, id) in [("/rsa/keys", rsa), ("/gpg/keys", openpgp)] {
        let list = house.public(list).await;
        assert!(has(&list, &id) && list["keys"].as_array().unwrap().len() == 2, "{list}");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_export_is_read_by_python_gnupg_and_openssl_and_comes_in_elsewhere() {
    let house = House::open().await;
    house.import(&original_archive()).await.expect(204);
    let id = "odd id:=+@";
    house.send("/cert", &json!({"cert_id": id, "subject": "/CN=odd"})).await.expect(200);
    let person = json!({"name_real": "A", "name_email": "a@b.example"});
    let openpgp = house.send("/gpg/key", &person).await.expect(200)["fingerprint"].clone();
    let rsa = house.send("/rsa/key", &json!({})).await.expect(200)["fingerprint"].clone();
    let (openpgp, rsa) = (openpgp.as_str().unwrap(), rsa.as_str().unwrap());
    let list = json!({"key_id": [id, "fix-db"], "signing_key_id": "fix-kek"});
    house.send("/secureboot/db", &list).await.expect(200);
    let archive = house.export(PASSPHRASE).await;

    let dir = unpacked(&archive);
    let files = files_of(dir.path());
    let litter =
        ["gpg/pubring.kbx", "gpg/trustdb.gpg", "fix-broken", "gpg/openpgp-revocs.d", "gpg/private-keys"];
    for (path, content) in original_files() {
        if litter.iter().any(|part| path.contains(part)) {
            continue;
        }
        assert_eq!(files.get(&path), Some(&content), "{path}");
    }
    assert!(!files.contains_key("x509/fix-kmod.esl"), "the original would sign empty lists of it");
    let home = dir.path().join("gpg");
    let secret = ["--homedir", ".", "--batch", "--with-colons", "--list-secret-keys"];
    let secret = run(&home, "gpg", &secret);
    assert!(secret.contains(FINGERPRINT) && secret.contains(openpgp), "{secret}");
    fs::write(home.join("content"), "content").unwrap();
    run(&home, "gpg", &["--homedir", ".", "--batch", "-u", openpgp, "--detach-sign", "content"]);
    run(&home, "gpg", &["--homedir", ".", "--batch", "--output", "ring", "--export"]);
    run(&home, "gpgv", &["--homedir", ".", "--keyring", "./ring", "content.sig", "content"]);
    run(&home, "gpgconf", &["--homedir", ".", "--kill", "all"]);
    let private = run(dir.path(), "openssl", &["pkey", "-pubout", "-in", &format!("rsa/{rsa}/private.pem")]);
    assert_eq!(private, house.public(&format!("/rsa/key/{rsa}")).await["key"]);
    let odd = run(dir.path(), "openssl", &["pkey", "-pubout", "-in", &format!("x509/{id}.key")]);
    let certified = ["x509", "-noout", "-pubkey", "-in", &format!("x509/{id}.crt")];
    assert_eq!(odd, run(dir.path(), "openssl", &certified));

    house.import(&archive).await.expect(204);
    assert_eq!(house.public("/rsa/keys").await["keys"].as_array().unwrap().len(), 2, "the same keys again");
    let other = House::open().await;
    other.import(&archive).await.expect(204);
    for list in ["/gpg/keys", "/rsa/keys"] {
        assert_eq!(other.public(list).await, house.public(list).await);
    }
    for path in ["pk/fix-pk", "kek/fix-kek", "db/fix-db", "db/odd%20id:=+@,fix-db"] {
        let path = format!("/secureboot/{path}");
        assert_eq!(other.public(&path).await, house.public(&path).await, "{path}");
    }
    other.send("/secureboot/db", &list).await.expect(409);
    let alone = json!({"key_id": id, "signing_key_id": "fix-kek"});
    for house in [&house, &other] {
        house.send("/secureboot/db", &alone).await.expect(200);
    }
    let path = "/secureboot/db/odd%20id:=+@";
    assert_eq!(other.public(path).await["esl"], house.public(path).await["esl"], "the same owner");
    let digest = json!({"cert_id": id, "digest": "ab".repeat(32)});
    let signature = other.send("/cert/sign", &digest).await.expect(200);
    assert_eq!(signature, house.send("/cert/sign", &digest).await.expect(200));
    house.close().await;
    other.close().await;
}

/// PEM without what its maker wrote above it; other bytes as they are.
fn from_armour(file: &[u8]) -> &[u8] {
    let begin = file.windows(5).position(|five| five == b"-----");
    &file[begin.unwrap_or(0)..]
}

/// The trees of the reference tool, as the service keeps them: with all that it writes beside them.
fn with_tree(files: &mut BTreeMap<String, Vec<u8>>, id: &str, tree: &str) {
    for (path, content) in files_of(&fixtures().join("imx/pki").join(tree)) {
        files.insert(format!("pki/{id}/{path}"), content);
    }
    files.insert(format!("pki/{id}/crts/notes_crt.txt"), b"litter".to_vec());
}

#[tokio::test(flavor = "multi_thread")]
async fn trees_come_in_with_their_keys_and_go_out_under_a_password_of_their_own() {
    let hab = "0123456789abcdef0123456789abcdef";
    let ahab = "fedcba9876543210fedcba9876543210";
    let mut files = BTreeMap::new();
    with_tree(&mut files, hab, "hab-rsa2048");
    with_tree(&mut files, ahab, "ahab-rsa2048");
    files.insert("pki/ca/index.txt".into(), b"a tree in the making".to_vec());
    for house in House::on_both("").await {
        house.import(&sealed(&files)).await.expect(204);
        assert_eq!(house.public("/imx/pkis").await["pkis"], json!([hab, ahab]));
        for id in [hab, ahab] {
            let fuses = house.public(&format!("/imx/efuses/{id}")).await;
            assert_eq!(fuses["efuses"], base64(&files[&format!("pki/{id}/SRK_efuses.bin")]));
        }
        let archive = house.export(PASSPHRASE).await;
        let dir = unpacked(&archive);
        let key = "keys/CSF1_1_sha256_2048_65537_v3_usr_key.pem";
        let out = ["pkey", "-pubout", "-in", key, "-passin", "file:keys/key_pass.txt"];
        let out = run(&dir.path().join("pki").join(hab), "openssl", &out);
        let fixture = fixtures().join("imx/pki/hab-rsa2048");
        assert_eq!(out, run(&fixture, "openssl", &["pkey", "-pubout", "-in", key]));
        let written = files_of(dir.path());
        for (path, content) in &files {
            if path.ends_with("_crt.pem") || path.ends_with(".bin") {
                assert_eq!(from_armour(&written[path]), from_armour(content), "{path}");
            }
        }
        house.import(&archive).await.expect(204);
        house.import(&sealed(&files)).await.expect(204);
        house.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_that_does_not_hold_together_is_refused() {
    let house = House::open().await;
    let id = "0123456789abcdef0123456789abcdef";
    let whole = |tree| {
        let mut files = BTreeMap::new();
        with_tree(&mut files, id, tree);
        files
    };
    let path = |name: &str| format!("pki/{id}/{name}");
    let (hab, other) = (whole("hab-rsa2048"), whole("hab-rsa4096"));
    let mut cases = Vec::new();
    for name in ["SRK_table.bin", "SRK_efuses.bin"] {
        let mut files = hab.clone();
        files.insert(path(name), other[&path(name)].clone());
        cases.push((name, files));
    }
    let mut files = hab.clone();
    let key = |who: &str| path(&format!("keys/{who}_sha256_2048_65537_v3_usr_key.pem"));
    files.insert(key("CSF1_1"), hab[&key("CSF2_1")].clone());
    cases.push(("a key of another certificate", files));
    let mut files = hab.clone();
    files.remove(&path("crts/SRK3_sha256_2048_65537_v3_ca_crt.pem"));
    cases.push(("a super root key is missing", files));
    for (what, files) in cases {
        let answer = house.import(&sealed(&files)).await;
        assert_eq!(answer.status.as_u16(), 400, "{what}: {}", answer.text());
    }
    assert_eq!(house.public("/imx/pkis").await["pkis"], json!([]));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_whole_is_not_taken_at_all() {
    let house = House::open().await;
    let archive = original_archive();
    let changed = |member: &str, to: &str| {
        let mut archive = archive.clone();
        archive[member] = to.into();
        archive
    };
    let data = archive["data"].as_str().unwrap();
    let damaged = format!("{}AAAA{}", &data[..400], &data[404..]);
    let token = "Invalid Decryption Token";
    let empty = sealed(&BTreeMap::new());
    let sealed_with = |path: &str, content: &[u8]| {
        let mut files = original_files();
        files.insert(path.into(), content.to_vec());
        sealed(&files)
    };
    let foreign_key = original_files()["x509/fix-pk.key"].clone();
    for (what, body, status, title) in [
        ("another passphrase", changed("key", "another"), 401, Some(token)),
        ("a damaged token", changed("data", &damaged), 401, Some(token)),
        ("no token", changed("data", "abcd"), 401, Some(token)),
        ("an empty archive", empty, 401, Some("Invalid Import")),
        ("no salt", changed("salt", "a"), 400, None),
        ("a salt that is not base64", changed("salt", "a b!"), 400, None),
        ("a token that is not base64", changed("data", "a b!"), 400, None),
        ("a passphrase that is not base64", changed("key", "a b!"), 400, None),
        ("an empty passphrase", changed("key", ""), 400, None),
        ("nothing", json!({}), 400, None),
        ("a way out", sealed_with("../x509/a.crt", b"x"), 400, None),
        ("a way out further down", sealed_with("x509/../../etc/a.crt", b"x"), 400, None),
        ("an absolute path", sealed_with("/etc/a.crt", b"x"), 400, None),
        ("the key of another certificate", sealed_with("x509/fix-kek.key", &foreign_key), 400, None),
        ("a certificate that is none", sealed_with("x509/fix-kek.crt", b"nonsense"), 400, None),
        ("an update that is none", sealed_with(&format!("x509/{}.PK.auth", "0".repeat(64)), b"x"), 400, None),
    ] {
        let answer = house.import(&body).await;
        assert_eq!(answer.status.as_u16(), status, "{what}: {}", answer.text());
        let document = answer.document();
        if let Some(title) = title {
            assert_eq!(document["title"], title, "{what}");
        }
        assert!(document["detail"].is_string() || document["error"].is_string(), "{what}: {document}");
        assert_eq!(house.ask_as_nobody("GET", "/cert/fix-pk").send().await.status.as_u16(), 404, "{what}");
        assert_eq!(house.public("/rsa/keys").await["keys"], json!([]), "{what}");
    }
    house.send("/export", &json!({"key": "a b"})).await.expect(400);
    house.send("/export", &json!({})).await.expect(400);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_the_original_signed_empty_stays_as_clients_were_given_it() {
    let house = House::open().await;
    let mut files = original_files();
    let path = files.keys().find(|path| path.ends_with(".PK.auth")).unwrap().clone();
    let list = files[&path.replace(".PK.auth", ".esl")].len();
    let update = files.get_mut(&path).unwrap();
    update.truncate(update.len() - list);
    let update = base64(update);
    files.insert(path.replace(".PK.auth", ".esl"), Vec::new());
    house.import(&sealed(&files)).await.expect(204);
    let shown = house.public("/secureboot/pk/fix-pk").await;
    assert_eq!((&shown["pk"], &shown["esl"]), (&json!(update), &json!("")));
    house.send("/secureboot/pk", &json!({"key_id": "fix-pk"})).await.expect(409);
    house.import(&house.export(PASSPHRASE).await).await.expect(204);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn litter_does_not_stop_an_import() {
    let house = House::open().await;
    let mut files = original_files();
    let certificate = files["x509/fix-kek.crt"].clone();
    for (path, content) in [
        ("x509/without-key.crt", certificate.as_slice()),
        ("x509/.crt", b"x"),
        ("x509/of-a-failure.key", b"x"),
        ("x509/fix-kmod.esl", b""),
        ("x509/notes.txt", b"x"),
        ("gpg/random_seed", b"x"),
        ("gpg/pubring.kbx~", b"x"),
        ("gpg/.#lk0x01.host.1", b"x"),
        ("pki/ca/index.txt", b"x"),
        ("elsewhere/notes.txt", b"x"),
    ] {
        files.insert(path.into(), content.to_vec());
    }
    house.import(&sealed(&files)).await.expect(204);
    assert_is_original(&house).await;
    assert_eq!(house.ask_as_nobody("GET", "/cert/without-key").send().await.status.as_u16(), 404);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_stands_for_something_else_is_a_conflict_and_nothing_comes_in() {
    for house in House::on_both("").await {
        let body = json!({"cert_id": "fix-kmod", "subject": "/CN=ours"});
        house.send("/cert", &body).await.expect(200);
        let refused = house.import(&original_archive()).await.expect(409);
        assert_eq!(refused["error"], "Certificate 'fix-kmod' already exists");
        for path in ["/cert/fix-pk", &format!("/rsa/key/{RSA}"), &format!("/gpg/key/{FINGERPRINT}")] {
            assert_eq!(house.ask_as_nobody("GET", path).send().await.status.as_u16(), 404, "{path}");
        }
        house.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_material_under_a_name_of_the_archive_is_a_conflict() {
    let house = House::open().await;
    house.import(&original_archive()).await.expect(204);
    let files = original_files();
    let other_key = files["x509/fix-pk.key"].clone();
    let mut other_rsa = files.clone();
    other_rsa.remove(&format!("rsa/{RSA}/public.pem"));
    other_rsa.insert(format!("rsa/{RSA}/private.pem"), other_key);
    let find = |end: &str| files.keys().find(|path| path.ends_with(end)).unwrap().clone();
    let mut other_update = files.clone();
    let update = other_update.get_mut(&find(".PK.auth")).unwrap();
    update[4] ^= 1;
    let mut other_owner = files.clone();
    other_owner.get_mut("x509/fix-pk.esl").unwrap()[30] ^= 1;
    for (what, files) in [("RSA", other_rsa), ("update", other_update), ("owner", other_owner)] {
        let answer = house.import(&sealed(&files)).await;
        assert_eq!(answer.status.as_u16(), 409, "{what}: {}", answer.text());
    }
    assert_is_original(&house).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_parallel_imports_of_one_archive_all_succeed_and_everything_is_there_once() {
    for house in House::on_both("").await {
        let archive = original_archive();
        let imports = (0..4).map(|_| house.import(&archive));
        for answer in futures_util::future::join_all(imports).await {
            answer.expect(204);
        }
        assert_is_original(&house).await;
        house.close().await;
    }
}

#[tokio::test]
async fn only_who_may_take_keys_in_and_out_does() {
    let house = House::open().await;
    let export = json!({"key": PASSPHRASE});
    let nobody = house.ask_as_nobody("POST", "/export").json(export.clone()).send().await;
    assert_eq!(nobody.expect(401)["detail"], "No authorization token provided");
    for (role, path, body, status) in [
        ("operator", "/export", export.clone(), 403),
        ("signer", "/import", original_archive(), 403),
        ("operator", "/import", original_archive(), 204),
        ("appliance", "/export", export.clone(), 200),
    ] {
        let token = house.somebody(&format!("{role}{}", &path[1..]), &[role]).await;
        let answer = house.ask_as_nobody("POST", path).header("x-api-key", &token).json(body).send().await;
        assert_eq!(answer.status.as_u16(), status, "{role} {path}: {}", answer.text());
    }
    house.close().await;
}
