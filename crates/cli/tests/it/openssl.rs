//! The independent judge.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

/// Runs `openssl ARGUMENTS` with `input`; its output, or a panic with what it said.
pub fn openssl(arguments: &str, input: &[u8]) -> Vec<u8> {
    openssl_with_files(arguments, &[], input)
}

/// As [`openssl`], with `{name}` in the arguments standing for a file with that content.
pub fn openssl_with_files(arguments: &str, files: &[(&str, &[u8])], input: &[u8]) -> Vec<u8> {
    let output = run(arguments, files, input);
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Whether `openssl ARGUMENTS` succeeds.
pub fn openssl_agrees(arguments: &str, files: &[(&str, &[u8])]) -> bool {
    run(arguments, files, b"").status.success()
}

fn run(arguments: &str, files: &[(&str, &[u8])], input: &[u8]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let words = arguments.split(' ').map(|word| {
        files.iter().fold(word.to_owned(), |word, (name, content)| {
            let place = format!("{{{name}}}");
            if !word.contains(&place) {
                return word;
            }
            let path = dir.path().join(name);
            std::fs::write(&path, content).unwrap();
            word.replace(&place, path.to_str().unwrap())
        })
    });
    let mut child = Command::new("openssl")
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}
