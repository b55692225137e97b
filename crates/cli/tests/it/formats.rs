//! `sign --format`, `verify --format` and `cert`, over a directory without a server and over HTTP; judged by gpg,
//! openssl, sbverify and modinfo.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::server::{Server, done, output, text};

/// A data directory, files beside it, and the programs that judge.
struct Bench {
    directory: tempfile::TempDir,
    data: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let bench = Self { directory, data };
        std::fs::create_dir(bench.path("gnupg")).unwrap();
        std::fs::create_dir(&bench.data).unwrap();
        bench.judge("chmod 700 gnupg");
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn put(&self, name: &str, content: &[u8]) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// The words of a line; `@name` is a file of the bench, `_` in a word a space.
    fn words(&self, line: &str) -> Vec<String> {
        let place = |word: &str| match word.strip_prefix('@') {
            Some(name) => text(&self.path(name)).to_owned(),
            None => word.replace('_', " "),
        };
        line.split(' ').map(place).collect()
    }

    fn with_data(&self, line: &str) -> Vec<String> {
        [vec!["--data".to_owned(), text(&self.data).to_owned()], self.words(line)].concat()
    }

    /// A command on the data directory that must be done.
    #[track_caller]
    fn done(&self, line: &str) -> String {
        let words = self.with_data(line);
        done(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The exit code of a command on the data directory.
    fn code(&self, line: &str) -> Option<i32> {
        let words = self.with_data(line);
        output(&words.iter().map(String::as_str).collect::<Vec<_>>()).status.code()
    }

    fn attempt(&self, line: &str) -> (bool, String) {
        let mut words = line.split(' ');
        let program = words.next().unwrap();
        // Debian keeps some out of the path of users.
        let administration = format!("/sbin/{program}");
        let program = if Path::new(&administration).exists() { &administration } else { program };
        let output = Command::new(program)
            .args(words)
            .current_dir(&self.directory)
            .env("GNUPGHOME", self.path("gnupg"))
            .output()
            .unwrap_or_else(|error| panic!("{program}: {error}: run scripts/install-test-tools"));
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    /// What another program says, that must be content.
    #[track_caller]
    fn judge(&self, line: &str) -> String {
        let (success, said) = self.attempt(line);
        assert!(success, "{line}: {said}");
        said
    }
}

#[test]
fn files_signed_beside_them_are_accepted_by_gpg_and_openssl_and_by_verify() {
    let bench = Bench::new();
    bench.put("image", &b"image".repeat(1 << 20));
    bench.put("other", b"other");
    let server = Server::start(&bench.data);
    bench.done("key create release --type rsa-3072");
    bench.done("cert openpgp --key release --name Release --email r@example.org -o @release.asc");
    bench.done("cert self-sign --key release --subject /CN=Release -o @release.pem");
    let sign = "sign @image --key release --format";
    bench.done(&format!("{sign} openpgp --certificate @release.asc"));
    bench.done(&format!("{sign} cms --certificate @release.pem"));

    bench.judge("gpg --batch --quiet --import release.asc");
    let said = bench.judge("gpg --batch --verify image.sig image");
    assert!(said.contains("Good signature from \"Release <r@example.org>\""), "{said}");
    let openssl = "openssl cms -verify -binary -inform DER -in image.p7s -CAfile release.pem -purpose any -out /dev/null";
    bench.judge(&format!("{openssl} -content image"));
    server.stop();

    // Verified without a server, and without the data directory.
    for (file, code) in [("@image", 0), ("@other", 1)] {
        for with in [
            "openpgp --certificate @release.asc --signature @image.sig",
            "cms --certificate @release.pem --signature @image.p7s",
        ] {
            let words = bench.words(&format!("verify {file} --format {with}"));
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            assert_eq!(output(&words).status.code(), Some(code), "{words:?}");
        }
    }
    let late = "verify @image --format cms --certificate @release.pem --signature @image.p7s";
    assert_eq!(bench.code(&format!("{late} --at 2100-01-01T00:00:00Z")), Some(1));
    let said = bench.done("verify @image --format openpgp --certificate @release.asc --signature @image.sig");
    assert!(said.starts_with("valid: Release <r@example.org> "), "{said}");
}

#[test]
fn an_openpgp_signature_of_a_long_file_is_streamed_over_http_and_without_a_server() {
    let bench = Bench::new();
    let file = std::fs::File::create(bench.path("disk")).unwrap();
    file.set_len(192 << 20).unwrap();
    bench.done("key create release --type ed25519");
    bench.done("cert openpgp --key release --name Release --email r@example.org -o @release.asc");
    bench.judge("gpg --batch --quiet --import release.asc");
    let sign = "sign @disk --key release --format openpgp --certificate @release.asc";
    bench.done(sign);
    bench.judge("gpg --batch --verify disk.sig disk");

    let server = Server::start(&bench.data);
    let remote = format!("--server {} --token-file @data/admin.token {sign}", server.address);
    let words = bench.words(&remote);
    done(&words.iter().map(String::as_str).collect::<Vec<_>>());
    bench.judge("gpg --batch --verify disk.sig disk");
    // Refused before the file is read, and said so.
    assert_eq!(bench.code("sign @disk --key nosuch --format openpgp --certificate @release.asc"), Some(1));
    server.stop();
}

#[test]
fn modules_are_signed_in_place_and_modinfo_reads_them() {
    let bench = Bench::new();
    bench.put("m.c", b"const char info[] __attribute__((section(\".modinfo\"), used)) = \"license=GPL\";");
    bench.judge("cc -c m.c -o a.ko");
    bench.judge("cp a.ko b.ko");
    bench.judge("chmod 640 a.ko");
    bench.done("key create modules --type rsa-2048");
    bench.done("cert self-sign --key modules --subject /CN=Modules -o @modules.pem");
    bench.done("sign @a.ko @b.ko --key modules --format kmod --certificate @modules.pem --in-place");
    for module in ["a.ko", "b.ko"] {
        let said = bench.judge(&format!("modinfo ./{module}"));
        assert!(said.contains("signer:         Modules"), "{said}");
        assert_eq!(
            bench.code(&format!("verify @{module} --format kmod --certificate @modules.pem")),
            Some(0)
        );
    }
    assert_eq!(bench.judge("stat -c %a a.ko").trim(), "640");
    let mut altered = std::fs::read(bench.path("a.ko")).unwrap();
    altered[100] ^= 1;
    bench.put("a.ko", &altered);
    assert_eq!(bench.code("verify @a.ko --format kmod --certificate @modules.pem"), Some(1));
    assert_eq!(bench.code("verify @m.c --format kmod --certificate @modules.pem"), Some(1));
}

#[test]
fn programs_and_updates_of_variables_are_what_firmware_takes() {
    let bench = Bench::new();
    let program = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";
    bench.put(
        "linux",
        &std::fs::read(program).unwrap_or_else(|_| panic!("{program}: run scripts/install-test-tools")),
    );
    bench.done("key create db --type rsa-2048");
    bench.done("cert self-sign --key db --subject /CN=db -o @db.pem");
    bench.done("sign @linux --key db --format authenticode --certificate @db.pem");
    bench.judge("sbverify --cert db.pem linux.signed");
    assert_eq!(bench.code("verify @linux.signed --format authenticode --certificate @db.pem"), Some(0));
    assert_eq!(bench.code("verify @linux --format authenticode --certificate @db.pem"), Some(1));
    bench.done("sign @linux --key db --format authenticode --certificate @db.pem --detached");
    bench.judge("sbattach --attach linux.sig linux");
    bench.judge("sbverify --cert db.pem linux");

    bench.judge("cert-to-efi-sig-list db.pem db.esl");
    let sign = "sign @db.esl --key db --format efi-var --certificate @db.pem --variable";
    bench.done(&format!("{sign} db --append"));
    let verify = "verify @db.esl.auth --format efi-var --certificate @db.pem --variable";
    let said = bench.done(&format!("{verify} db"));
    assert_eq!(said, "valid: /CN=db; appends to db\n");
    assert_eq!(bench.code(&format!("{verify} KEK")), Some(1));
    assert_eq!(bench.code("sign @db.esl --key db --format efi-var --certificate @db.pem"), Some(2));
}

#[test]
fn raspberry_pi_images_are_signed_without_a_certificate() {
    let bench = Bench::new();
    bench.put("boot.img", b"boot");
    bench.done("key create pi --type rsa-2048");
    bench.put("pi.pem", bench.done("key show pi --pem").as_bytes());
    bench.done("sign @boot.img --key pi --format rpi-eeprom");
    let lines = std::fs::read_to_string(bench.path("boot.img.sig")).unwrap();
    let signature = lines.lines().nth(2).unwrap().strip_prefix("rsa2048: ").unwrap();
    bench.put("raw", &hex::decode(signature).unwrap());
    bench.judge("openssl dgst -sha256 -verify pi.pem -signature raw boot.img");
    let verify = "--format rpi-eeprom --key @pi.pem --signature @boot.img.sig";
    assert_eq!(bench.code(&format!("verify @boot.img {verify}")), Some(0));
    assert_eq!(bench.code(&format!("verify @raw {verify}")), Some(1));
}

#[test]
fn a_small_authority_certifies_a_request_of_openssl() {
    let bench = Bench::new();
    bench.done("key create root --type p384");
    bench.done("cert self-sign --key root --subject /O=Example/CN=Root --days 900 --authority -o @root.pem");
    bench.judge("openssl req -newkey rsa:2048 -nodes -keyout k -out csr -subj /CN=x -addext subjectAltName=DNS:a.example.org");
    let issue = "cert issue --key root --issuer @root.pem --csr @csr --subject /CN=a --days 9";
    assert_eq!(bench.code(issue), Some(1), "the name is not allowed");
    bench.done(&format!("{issue} --allow-name below:example.org -o @a.pem"));
    bench.judge("openssl verify -x509_strict -CAfile root.pem a.pem");
    assert_eq!(bench.code("verify @a.pem --format x509 --certificate @root.pem"), Some(0));
    assert_eq!(bench.code("verify @root.pem --format x509 --certificate @a.pem"), Some(1));

    let shown: Value = serde_json::from_str(&bench.done("--json cert show @a.pem")).unwrap();
    assert_eq!((&shown["subject"], &shown["issuer"]), (&"/CN=a".into(), &"/O=Example/CN=Root".into()));
    assert_eq!(shown["alt_names"][0], "dns:a.example.org");
    assert!(bench.done("cert show @csr").starts_with("kind         request\n"));
    bench.done("key create build --type p256");
    bench.done("cert csr --key build --subject /CN=b --alt-name dns:b.example.org -o @b.csr");
    bench.judge("openssl req -in b.csr -verify -noout");
    assert_eq!(bench.code("cert show @k"), Some(2));
}
