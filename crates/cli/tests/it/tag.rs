//! `countersign tag` and `stags`: every run of the older program, what it could not do, and OpenSSL.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_records::tag::{Tag, TagFile, WeakKeys};
use countersign_verify::tag::TrustedKey;
use serde_json::Value;
use tempfile::TempDir;

/// A directory to work in, with the program under its older name.
struct Desk {
    directory: TempDir,
}

impl Desk {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        symlink(env!("CARGO_BIN_EXE_countersign"), directory.path().join("stags")).unwrap();
        fs::create_dir(directory.path().join("work")).unwrap();
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("work").join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn read(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.path(name)).ok()
    }

    /// The names of all files there.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("")).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn stags<I: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Run {
        let mut command = Command::new(self.directory.path().join("stags"));
        Run::of(command.args(args).current_dir(self.path("")))
    }

    fn countersign<I: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        Run::of(command.arg("tag").args(args).current_dir(self.path("")))
    }
}

#[derive(Debug)]
struct Run {
    code: i32,
    stdout: Vec<u8>,
    stderr: String,
}

impl Run {
    fn of(command: &mut Command) -> Self {
        let Output { status, stdout, stderr } = command.output().unwrap();
        Self { code: status.code().unwrap(), stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() }
    }

    /// Says `stags: TEXT` and nothing else, with exit code 1.
    #[track_caller]
    fn refuses(&self, text: &str) {
        assert_eq!(self.stderr, format!("stags: {text}\n"));
        assert_eq!((self.code, self.stdout.as_slice()), (1, b"".as_slice()));
    }

    /// Shows how it is used, with exit code 2.
    #[track_caller]
    fn shows_usage(&self) {
        assert!(self.stderr.contains("Usage: "), "{}", self.stderr);
        assert_eq!((self.code, self.stdout.as_slice()), (2, b"".as_slice()));
    }

    /// Ends well with this on standard output and nothing on standard error.
    #[track_caller]
    fn prints(&self, stdout: impl AsRef<[u8]>) {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""));
        assert_eq!(self.stdout, stdout.as_ref());
    }

    #[track_caller]
    fn json(&self) -> Value {
        assert!(self.stdout.ends_with(b"\n"));
        serde_json::from_slice(&self.stdout).unwrap()
    }
}

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/stags").canonicalize().unwrap()
}

fn folder(name: &str) -> String {
    fixtures().join(name).into_os_string().into_string().unwrap()
}

fn fixture(path: &str) -> Vec<u8> {
    fs::read(fixtures().join(path)).unwrap()
}

const PAYLOAD: &str = "build=42\njob=nightly \n\n";

// ---- every run of the older program ----

#[test]
fn every_run_of_the_older_program_ends_the_same_or_in_a_named_refusal() {
    let document: Value = serde_json::from_slice(&fixture("cases.json")).unwrap();
    let cases = document["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 46);
    for case in cases {
        for program in ["stags", "countersign"] {
            run_case(case, program);
        }
    }
}

fn run_case(case: &Value, program: &str) {
    let name = case["name"].as_str().unwrap();
    let bytes = |member: &str| case.get(member).map(|b| STANDARD.decode(b.as_str().unwrap()).unwrap());
    let desk = Desk::new();
    let input = bytes("input").unwrap();
    desk.write("FILE", &input);

    let keys = folder("keys");
    let mut args = vec![case["op"].as_str().unwrap(), &keys, "FILE"];
    args.extend(case["authorities"].as_array().unwrap().iter().map(|a| a.as_str().unwrap()));
    let run = if program == "stags" { desk.stags(&args) } else { desk.countersign(&args) };

    match expectation(case) {
        Expected::Same => {
            let stderr = case["stderr"].as_str().unwrap().replace("$KEYS", &keys);
            assert_eq!(run.stderr, stderr.replace("stags: ", &format!("{program}: ")), "{name}");
            assert_eq!(i64::from(run.code), case["rc"].as_i64().unwrap(), "{name}");
            assert_eq!(run.stdout, bytes("stdout").unwrap(), "{name}");
            // Without `output` the run left the bytes as they were.
            let output = bytes("output").unwrap_or_else(|| input.clone());
            same_file(&desk.read("FILE").unwrap(), &output, name);
            assert_eq!(desk.read("FILE.bak"), bytes("bak"), "{name}");
        }
        Expected::Refusal(text) => {
            assert_eq!(run.stderr, format!("{program}: {text}\n"), "{name}");
            assert_eq!((run.code, run.stdout.as_slice()), (1, b"".as_slice()), "{name}");
            assert_eq!((desk.read("FILE"), desk.read("FILE.bak")), (Some(input), None), "{name}");
        }
        Expected::Usage => {
            run.shows_usage();
            assert_eq!((desk.read("FILE"), desk.read("FILE.bak")), (Some(input), None), "{name}");
        }
    }
    let left: Vec<_> = desk.files().into_iter().filter(|f| f != "FILE" && f != "FILE.bak").collect();
    assert!(left.is_empty(), "{name}: {left:?}");
}

enum Expected {
    Same,
    Refusal(String),
    Usage,
}

/// What the fixture says of us; where it only describes the refusal, its text stands here.
fn expectation(case: &Value) -> Expected {
    let ours = case["ours"].as_str().unwrap();
    if ours == "same" {
        return Expected::Same;
    }
    if ours == "refuse: usage, rc 2" {
        return Expected::Usage;
    }
    if let Some((_, text)) = ours.split_once("message: ") {
        return Expected::Refusal(text.to_owned());
    }
    let text = match case["name"].as_str().unwrap() {
        "payload-duplicate-block" => "duplicate signature block for alpha",
        "sign-injected-header" => "payload contains a signature header line: line 2",
        "sign-name-with-space-in-header" => {
            "payload contains a line that looks like a signature header: line 2"
        }
        other => panic!("{other}: {ours}"),
    };
    let beginning = text.split(": line").next().unwrap();
    assert!(ours.contains(beginning) || ours.contains("looks like a signature header"), "{ours}");
    Expected::Refusal(text.to_owned())
}

/// Byte by byte, but for blocks of an ECDSA key that was asked to sign: those are random, and must verify.
fn same_file(got: &[u8], want: &[u8], name: &str) {
    if name != "sign-ec" {
        assert_eq!(got, want, "{name}");
        return;
    }
    let (mut got_tag, mut want_tag) = (Tag::parse(got).unwrap(), Tag::parse(want).unwrap());
    let bravo = "bravo".parse().unwrap();
    assert_ne!(got_tag.remove(&bravo), want_tag.remove(&bravo));
    assert_eq!(got_tag, want_tag);
    let trusted = TrustedKey::from_pem(&String::from_utf8(fixture("keys/bravo.pub")).unwrap()).unwrap();
    assert_eq!(TagFile::parse(got).unwrap().verify(&bravo, &trusted.key, WeakKeys::Refuse), Ok(()));
}

// ---- the commands ----

#[test]
fn wrong_usage_is_exit_code_2_and_help_is_not() {
    let desk = Desk::new();
    desk.write("FILE", PAYLOAD);
    for args in
        [&[][..], &["sign"], &["payload", "keys"], &["sign", "keys", "FILE"], &["other", "k", "FILE", "a"]]
    {
        desk.stags(args).shows_usage();
        desk.countersign(args).shows_usage();
    }
    let run = desk.stags(["sign", "keys", "FILE", "alpha", "--frobnicate"]);
    run.shows_usage();
    assert!(run.stderr.starts_with("stags: unknown option: --frobnicate\n"));
    let run = desk.stags(["--help"]);
    assert_eq!(run.code, 0);
    assert!(String::from_utf8(run.stdout).unwrap().starts_with("Usage: stags sign PRIVDIR FILE AUTHORITY"));
    let run = desk.countersign(["--help"]);
    assert!(String::from_utf8(run.stdout).unwrap().starts_with("Usage: countersign tag sign PRIVDIR"));
}

#[test]
fn a_missing_file_comes_before_a_missing_key_and_paths_are_shown_as_given() {
    let desk = Desk::new();
    desk.stags(["sign", "nowhere//", "./nothing", "alpha"]).refuses("file not found: ./nothing");
    desk.stags(["payload", "nowhere", ".", "alpha"]).refuses("file not found: .");
    desk.write("FILE", PAYLOAD);
    desk.stags(["sign", "keys/", "FILE", "a"]).refuses("private key not found: keys//a.key");
    desk.stags(["payload", "keys/", "FILE", "a"]).refuses("public key not found: keys//a.pub");
}

#[test]
fn the_signed_file_has_mode_0644_less_umask_and_the_old_one_is_kept() {
    let desk = Desk::new();
    let file = desk.write("FILE", PAYLOAD);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    desk.write("FILE.bak", "older");
    let script = r#"umask 027 && exec "$0" "$@""#;
    let stags = desk.directory.path().join("stags");
    let run = Run::of(
        Command::new("sh")
            .args(["-c", script])
            .arg(stags)
            .args(["sign", &folder("keys")])
            .arg(&file)
            .arg("alpha"),
    );
    run.prints("");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(fs::metadata(desk.path("FILE.bak")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(desk.read("FILE.bak").unwrap(), PAYLOAD.as_bytes());
    assert_eq!(desk.read("FILE").unwrap(), fixture("openssl/alpha.signed"));
    assert_eq!(desk.files(), ["FILE", "FILE.bak"]);
}

#[test]
fn when_the_file_cannot_be_replaced_nothing_is_touched() {
    let desk = Desk::new();
    desk.write("FILE", PAYLOAD);
    fs::create_dir(desk.path("FILE.bak")).unwrap();
    let run = desk.stags(["sign", &folder("keys"), "FILE", "alpha"]);
    assert!(run.stderr.starts_with("stags: cannot write: FILE: "), "{}", run.stderr);
    assert_eq!(run.code, 1);
    assert_eq!(desk.read("FILE").unwrap(), PAYLOAD.as_bytes());
    assert_eq!(desk.files(), ["FILE", "FILE.bak"]);
}

#[test]
fn a_pipe_can_be_read_but_not_signed() {
    let desk = Desk::new();
    desk.write("FILE", fixture("openssl/alpha.signed"));
    let stags = desk.directory.path().join("stags");
    let piped = |command: &str| {
        let script = format!("cat FILE | \"$0\" {command} \"$1\" /dev/stdin alpha");
        let mut shell = Command::new("sh");
        Run::of(shell.args(["-c", &script]).arg(&stags).arg(folder("keys")).current_dir(desk.path("")))
    };
    piped("payload").prints(PAYLOAD);
    piped("sign").refuses("not a regular file: /dev/stdin");
    assert!(Path::new("/dev/stdin").exists());
}

// ---- hazards ----

#[test]
fn hazard_1_an_injected_header_leaves_the_file_untouched() {
    let desk = Desk::new();
    let file = "amount=1\n=== SIGNATURE zz\nQUJDREVGR0g=\nlimit=none\n";
    desk.write("FILE", file);
    desk.stags(["sign", &folder("keys"), "FILE", "alpha"])
        .refuses("payload contains a signature header line: line 2");
    desk.write("FILE", "a\n === signature:\n");
    desk.stags(["sign", &folder("keys"), "FILE", "alpha"])
        .refuses("payload contains a line that looks like a signature header: line 2");
    assert_eq!(desk.files(), ["FILE"]);
}

#[test]
fn hazard_2_check_says_how_much_is_signed_and_verbose_whose_blocks_are_kept() {
    let desk = Desk::new();
    let keys = folder("keys");
    desk.write("FILE", fixture("example.signed"));
    let run = desk.stags(["sign", &keys, "FILE", "alpha", "--check"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, "stags: signing 3 payload lines\n"));
    let run = desk.stags(["sign", "--check", "-v", &keys, "FILE", "alpha"]);
    let want = "stags: signing 3 payload lines\nstags: keeping the blocks of Charlie, bravo\n";
    assert_eq!((run.code, run.stderr.as_str(), run.stdout.as_slice()), (0, want, b"".as_slice()));
    assert_eq!(desk.read("FILE").unwrap(), fixture("example.signed"));
}

#[test]
fn hazard_2_blocks_that_do_not_verify_are_dropped_on_request() {
    let desk = Desk::new();
    let keys = folder("keys");
    let mut file = String::from_utf8(fixture("openssl/bravo.signed")).unwrap();
    file.push_str("=== SIGNATURE delta\nQUJDREVGR0g=\n=== SIGNATURE stranger\nQUJDREVGR0g=\n");
    desk.write("FILE", &file);
    desk.stags(["sign", &keys, "FILE", "alpha"]).prints("");
    let kept = String::from_utf8(desk.read("FILE").unwrap()).unwrap();
    assert!(kept.contains("SIGNATURE delta") && kept.contains("SIGNATURE stranger"));

    let run = desk.stags(["sign", &keys, "FILE", "alpha", "--drop-invalid", &keys]);
    let want = "stags: dropped the block of delta: it does not verify\n\
                stags: dropped the block of stranger: it does not verify\n";
    assert_eq!((run.code, run.stderr.as_str()), (0, want));
    desk.stags(["payload", &keys, "FILE", "alpha", "bravo"]).prints(PAYLOAD);
    desk.stags(["payload", &keys, "FILE", "delta"]).refuses("not signed by delta");
    let kept = String::from_utf8(desk.read("FILE").unwrap()).unwrap();
    assert_eq!(kept.matches("=== SIGNATURE").count(), 2);
}

#[test]
fn hazard_3_a_name_never_leads_out_of_the_directory_of_keys() {
    let desk = Desk::new();
    desk.write("FILE", fixture("openssl/alpha.signed"));
    for bad in ["../keys/alpha", "..", ".a", "payload", "a/b", "a b", "$(id)"] {
        let text = format!("bad authority name: {bad}");
        desk.stags(["payload", &folder("keys"), "FILE", bad]).refuses(&text);
        desk.stags(["sign", &folder("keys"), "FILE", bad]).refuses(&text);
    }
    desk.stags(["payload", "k", "FILE", "--", "-x"]).refuses("bad authority name: -x");

    // Reading a file with such a name in it writes nothing anywhere.
    desk.write("FILE", "a\n=== SIGNATURE ../../x\nQUJDREVGR0g=\n");
    desk.stags(["payload", &folder("keys"), "FILE", "alpha"]).refuses("not signed by alpha");
    assert_eq!(desk.files(), ["FILE"]);
    assert!(!desk.directory.path().join("x.sig").exists());
}

#[test]
fn hazard_4_without_an_authority_nothing_is_printed_and_nothing_signed() {
    let desk = Desk::new();
    desk.write("FILE", fixture("openssl/alpha.signed"));
    desk.stags(["payload", &folder("keys"), "FILE"]).shows_usage();
    desk.stags(["sign", &folder("keys"), "FILE"]).shows_usage();
    assert_eq!(desk.files(), ["FILE"]);
}

#[test]
fn hazard_5_arguments_are_never_evaluated() {
    let desk = Desk::new();
    let name = "a b; touch pwned $(touch pwned) 'x\".txt";
    desk.write(name, PAYLOAD);
    desk.stags(["sign", &folder("keys"), name, "alpha"]).prints("");
    desk.stags(["payload", &folder("keys"), name, "alpha"]).prints(PAYLOAD);
    assert_eq!(desk.files(), [name.to_owned(), format!("{name}.bak")]);
    desk.write("--json", PAYLOAD);
    desk.stags(["sign", &folder("keys"), "--", "--json", "alpha"]).prints("");
}

#[test]
fn hazard_6_a_second_block_of_an_authority_is_refused() {
    let desk = Desk::new();
    let twice = [fixture("openssl/alpha.signed"), b"=== SIGNATURE alpha\nQUJDREVGR0g=\n".to_vec()].concat();
    desk.write("FILE", twice);
    desk.stags(["payload", &folder("keys"), "FILE", "alpha"]).refuses("duplicate signature block for alpha");
}

#[test]
fn hazard_7_no_temporary_file_is_left_anywhere() {
    let desk = Desk::new();
    let scratch = tempfile::tempdir().unwrap();
    let file = desk.write("FILE", PAYLOAD);
    for command in ["sign", "payload"] {
        let stags = desk.directory.path().join("stags");
        let mut run = Command::new(stags);
        run.args([command, &folder("keys")]).arg(&file).arg("alpha").env("TMPDIR", scratch.path());
        assert_eq!(Run::of(&mut run).code, 0);
    }
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
    assert_eq!(desk.files(), ["FILE", "FILE.bak"]);
}

#[test]
fn hazard_8_no_openssl_is_needed() {
    let desk = Desk::new();
    let file = desk.write("FILE", PAYLOAD);
    for (command, stdout) in [("sign", ""), ("payload", PAYLOAD)] {
        let mut run = Command::new(desk.directory.path().join("stags"));
        run.args([command, &folder("keys")]).arg(&file).arg("alpha").env("PATH", "/nonexistent");
        Run::of(&mut run).prints(stdout);
    }
}

#[test]
fn hazard_9_a_certificate_limits_its_key_when_a_time_is_asked_about() {
    let desk = Desk::new();
    desk.write("FILE", fixture("example.signed"));
    let at = |time: &str| desk.stags(["payload", &folder("keys"), "FILE", "Charlie", "--at", time]);
    at("2027-01-01T00:00:00Z").prints(PAYLOAD);
    at("2026-01-01T00:00:00Z").refuses("key of Charlie is not valid before 2026-11-20T21:05:51Z");
    at("2037-01-01T00:00:00Z").refuses("key of Charlie expired 2036-11-17T21:05:51Z");
    at("noon").shows_usage();
}

#[test]
fn hazard_10_a_weak_key_is_believed_only_on_request_and_never_signs() {
    let desk = Desk::new();
    let more = folder("more");
    desk.write("FILE", fixture("openssl/weak.signed"));
    desk.stags(["payload", &more, "FILE", "weak"]).refuses("weak key for weak");
    desk.stags(["payload", &more, "FILE", "weak", "--allow-weak"]).prints(PAYLOAD);
    desk.stags(["sign", &more, "FILE", "weak"]).refuses("weak key for weak");
    desk.stags(["sign", &more, "FILE", "weak", "--allow-weak"]).refuses("weak key for weak");
}

#[test]
fn hazard_11_an_encrypted_key_is_refused_without_a_prompt() {
    let desk = Desk::new();
    let more = folder("more");
    desk.write("FILE", PAYLOAD);
    for name in ["encrypted", "encrypted-old"] {
        desk.stags(["sign", &more, "FILE", name])
            .refuses(&format!("private key is encrypted: {more}/{name}.key"));
    }
    assert_eq!(desk.files(), ["FILE"]);
}

// ---- keys ----

#[test]
fn a_key_file_with_something_else_in_it_is_named() {
    let desk = Desk::new();
    desk.write("FILE", fixture("openssl/alpha.signed"));
    desk.write("alpha.key", "no key");
    desk.write("alpha.pub", b"\xff\x00");
    let run = desk.stags(["sign", ".", "FILE", "alpha"]);
    assert!(run.stderr.starts_with("stags: bad private key: ./alpha.key: "), "{}", run.stderr);
    assert!(!run.stderr.contains("no key"), "nothing of it is shown");
    let run = desk.stags(["payload", ".", "FILE", "alpha"]);
    assert!(run.stderr.starts_with("stags: bad public key: ./alpha.pub: "), "{}", run.stderr);
    assert_eq!(run.code, 1);
    desk.write("bravo.pub", "");
    desk.stags(["payload", ".", "FILE", "bravo"]).refuses("not signed by bravo");
    desk.stags(["payload", &folder("keys"), "FILE", "ed"]).refuses("not signed by ed");
}

#[test]
fn a_public_key_may_come_as_a_certificate_or_in_pkcs1() {
    let desk = Desk::new();
    desk.write("FILE", fixture("example.signed"));
    desk.write("Charlie.pub", fixture("more/certificate.pub"));
    desk.write("alpha.pub", fixture("more/pkcs1.pub"));
    desk.stags(["payload", ".", "FILE", "Charlie", "alpha"]).prints(PAYLOAD);
}

// ---- JSON ----

#[test]
fn with_json_a_valid_file_gives_its_payload_and_who_signed() {
    let desk = Desk::new();
    desk.write("FILE", fixture("example.signed"));
    let run = desk.countersign(["--json", "payload", &folder("keys"), "FILE", "alpha", "bravo"]);
    let document = run.json();
    assert_eq!((run.code, &document["valid"], &document["payload"]), (0, &true.into(), &PAYLOAD.into()));
    let key = document["authorities"]["alpha"]["key"].as_str().unwrap();
    assert!(key.starts_with("sha256:") && key.len() == 71);
    assert_eq!(document["authorities"]["bravo"]["status"], "valid");

    desk.write("FILE", b"caf\xe9\n");
    desk.stags(["sign", &folder("keys"), "FILE", "alpha"]).prints("");
    let document = desk.stags(["payload", &folder("keys"), "FILE", "alpha", "--json"]).json();
    assert_eq!(document["payload_base64"], STANDARD.encode(b"caf\xe9\n"));
}

#[test]
fn with_json_every_authority_has_its_verdict_and_an_unverified_payload_is_not_shown() {
    let desk = Desk::new();
    let tampered = String::from_utf8(fixture("openssl/alpha.signed")).unwrap().replace("42", "43");
    desk.write("FILE", tampered);
    let run = desk.stags(["payload", &folder("keys"), "FILE", "bravo", "alpha", "nobody", "..", "--json"]);
    assert_eq!((run.code, run.stderr.as_str()), (1, "stags: not signed by bravo\n"));
    let document = run.json();
    assert_eq!(document["valid"], false);
    assert!(document.get("payload").is_none());
    let status = |name: &str| document["authorities"][name]["status"].clone();
    assert_eq!(
        [status("bravo"), status("alpha"), status("nobody"), status("..")],
        ["missing", "invalid", "unknown", "unknown"]
    );
    assert_eq!(document["authorities"]["alpha"]["message"], "invalid signature for alpha");

    let run = desk.stags(["payload", &folder("keys"), "nothing", "alpha", "--json"]);
    assert_eq!(run.json()["detail"], "file not found: nothing");
}

#[test]
fn with_json_signing_tells_what_was_written() {
    let desk = Desk::new();
    desk.write("FILE", fixture("openssl/bravo.signed"));
    let run = desk.stags(["sign", &folder("keys"), "FILE", "alpha", "--json"]);
    let document = run.json();
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    assert_eq!((&document["payload_lines"], &document["kept"][0]), (&3.into(), &"bravo".into()));
    let tag = Tag::parse(&desk.read("FILE").unwrap()).unwrap();
    let signature = tag.block(&"alpha".parse().unwrap()).unwrap().signature();
    assert_eq!(document["signatures"]["alpha"]["signature"], STANDARD.encode(signature));
}

// ---- OpenSSL ----

const KEYS: [(&str, &str); 7] = [
    ("alpha", "keys"),
    ("delta", "keys"),
    ("Charlie", "keys"),
    ("bravo", "keys"),
    ("echo-384", "keys"),
    ("foxtrot-521", "more"),
    ("golf-k1", "more"),
];

#[test]
fn what_we_sign_openssl_verifies_for_every_type_of_key() {
    let desk = Desk::new();
    for (authority, keys) in KEYS {
        desk.write("FILE", PAYLOAD);
        desk.stags(["sign", &folder(keys), "FILE", authority]).prints("");
        // As any reader without our program would do it.
        let script = r#"
            sed '1,/^=== SIGNATURE /d' FILE | base64 -d > SIG &&
            awk '/^=== SIGNATURE /{exit}{print}' FILE | openssl dgst -sha256 -verify "$0" -signature SIG"#;
        let key = fixtures().join(keys).join(format!("{authority}.pub"));
        let run = Run::of(Command::new("sh").args(["-c", script]).arg(&key).current_dir(desk.path("")));
        assert_eq!(
            (run.code, run.stdout.as_slice()),
            (0, b"Verified OK\n".as_slice()),
            "{authority}: {run:?}"
        );
        desk.stags(["payload", &folder(keys), "FILE", authority]).prints(PAYLOAD);
    }
}

#[test]
fn what_openssl_signs_we_accept_for_every_type_of_key() {
    let desk = Desk::new();
    for (authority, keys) in KEYS {
        desk.write("FILE", PAYLOAD);
        let script = r#"
            cp FILE SIGNED && echo "=== SIGNATURE $1" >> SIGNED &&
            openssl dgst -sha256 -sign "$0" FILE | base64 >> SIGNED"#;
        let key = fixtures().join(keys).join(format!("{authority}.key"));
        let run = Run::of(
            Command::new("sh").args(["-c", script]).arg(&key).arg(authority).current_dir(desk.path("")),
        );
        assert_eq!(run.code, 0, "{authority}: {run:?}");
        desk.stags(["payload", &folder(keys), "SIGNED", authority]).prints(PAYLOAD);
        let tampered = String::from_utf8(desk.read("SIGNED").unwrap()).unwrap().replace("42", "43");
        desk.write("SIGNED", tampered);
        desk.stags(["payload", &folder(keys), "SIGNED", authority])
            .refuses(&format!("invalid signature for {authority}"));
    }
}
