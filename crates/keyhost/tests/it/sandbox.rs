//! What a confined process can still do. Each test runs itself again in a process of its own, since there
//! is no way back.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use countersign_keyhost::sandbox;

const INSIDE: &str = "COUNTERSIGN_TEST_CONFINED_TO";

/// Runs the test `name` again with a data directory; `None` in the parent, which is then done.
fn in_a_process_of_its_own(name: &str) -> Option<std::path::PathBuf> {
    if let Some(data) = std::env::var_os(INSIDE) {
        return Some(data.into());
    }
    let dir = tempfile::tempdir().unwrap();
    for part in ["host", "log", "db"] {
        fs::create_dir(dir.path().join(part)).unwrap();
        fs::write(dir.path().join(part).join("file"), "content").unwrap();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(INSIDE, dir.path().canonicalize().unwrap())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    None
}

fn kernel_enforces(report: &[String], what: &str) -> bool {
    report.iter().any(|line| line.starts_with("ok") && line.contains(what))
}

#[test]
fn a_confined_key_host_has_its_own_directories_and_nothing_else() {
    let Some(data) =
        in_a_process_of_its_own("sandbox::a_confined_key_host_has_its_own_directories_and_nothing_else")
    else {
        return;
    };
    let mut report = Vec::new();
    sandbox::confine_key_host(&[&data.join("host"), &data.join("log")], &mut report);
    fs::write(data.join("log/new"), "entry").unwrap();
    assert_eq!(fs::read_to_string(data.join("host/file")).unwrap(), "content");
    if kernel_enforces(&report, "landlock") {
        assert!(fs::read("/etc/passwd").is_err());
        assert!(fs::read(data.join("db/file")).is_err());
        assert!(fs::write(data.join("new"), "x").is_err());
    }
    if kernel_enforces(&report, "seccomp") {
        assert!(TcpListener::bind("127.0.0.1:0").is_err());
        assert!(Command::new("/bin/true").status().is_err());
    }
}

#[test]
fn a_confined_front_reads_no_key_and_writes_no_log_but_works_otherwise() {
    let Some(data) = in_a_process_of_its_own(
        "sandbox::a_confined_front_reads_no_key_and_writes_no_log_but_works_otherwise",
    ) else {
        return;
    };
    let second_name = data.with_extension("second-name");
    std::os::unix::fs::symlink(&data, &second_name).unwrap();
    assert!(truncates(&data.join("db/file")));
    let mut report = Vec::new();
    sandbox::confine_front(&data.join("host"), &data.join("log"), &data, &mut report);
    let from_a_thread = |work: fn(&Path) -> bool| {
        let data = data.clone();
        std::thread::spawn(move || work(&data)).join().unwrap()
    };
    assert!(from_a_thread(|data| fs::read(data.join("log/file")).is_ok()));
    assert!(from_a_thread(|data| fs::write(data.join("db/new"), "row").is_ok()));
    assert!(TcpListener::bind("127.0.0.1:0").is_ok());
    assert!(fs::read("/etc/passwd").is_ok());
    if kernel_enforces(&report, "landlock") {
        assert!(from_a_thread(|data| fs::read(data.join("host/file")).is_err()));
        assert!(from_a_thread(|data| fs::read_dir(data.join("host")).is_err()));
        assert!(
            from_a_thread(|data| fs::read(data.with_extension("second-name").join("host/file")).is_err())
        );
        assert!(from_a_thread(|data| fs::write(data.join("log/new"), "entry").is_err()));
        assert!(from_a_thread(|data| !truncates(&data.join("log/file"))));
        assert!(from_a_thread(|data| fs::remove_file(data.join("log/file")).is_err()));
        assert!(from_a_thread(|data| fs::rename(data.join("host"), data.join("db/host")).is_err()));
    }
    let _ = fs::remove_file(second_name);
}

/// `truncate(2)`, which needs no open file and so is a right of its own. Neither the standard library nor
/// coreutils call it.
fn truncates(path: &Path) -> bool {
    let perl = Command::new("perl").args(["-e", "exit !truncate($ARGV[0], 0)"]).arg(path).status();
    perl.is_ok_and(|status| status.success())
}
