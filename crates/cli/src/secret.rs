//! Passphrases and tokens: from files or a prompt, never from the command line.

use std::io::Read as _;
use std::path::Path;

use zeroize::{Zeroize as _, Zeroizing};

use crate::args::Passphrase;
use crate::failure::Failure;
use crate::files;

/// Whether a passphrase is made now or was made before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// Asked for twice, since a slip would lock the owner out.
    New,
    /// Asked for once.
    Existing,
}

/// Longest line that is read as a secret, in bytes.
const MAX_SECRET: usize = 4096;

/// Reads the passphrase for `what` from the file that is named, or asks for it.
///
/// # Errors
/// If the file cannot be read, nobody can be asked, or the two do not match.
pub fn passphrase(options: &Passphrase, what: &str, prompt: Prompt) -> Result<Zeroizing<String>, Failure> {
    match &options.passphrase_file {
        Some(file) => first_line(file),
        None => ask(what, prompt),
    }
}

fn ask(what: &str, prompt: Prompt) -> Result<Zeroizing<String>, Failure> {
    let first = ask_once(&format!("passphrase for {what}: "))?;
    if prompt == Prompt::New && *ask_once("the same again: ")? != *first {
        return Err(
            Failure::unknown("the two passphrases are not the same").hint("nothing was done: try again")
        );
    }
    Ok(first)
}

fn ask_once(prompt: &str) -> Result<Zeroizing<String>, Failure> {
    rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(|error| {
        Failure::unknown(format!("cannot ask for a passphrase: {error}"))
            .hint("without a terminal, give `--passphrase-file FILE`")
    })
}

/// The first line of a file, without its line end: a passphrase or a token.
///
/// # Errors
/// If the file cannot be read, or the line is empty, too long or not UTF-8.
pub fn first_line(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let bad = |why: &str| Failure::unknown(format!("the first line of `{}` is {why}", path.display()));
    let file = std::fs::File::open(path).map_err(|error| Failure::file("read", path, &error))?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_SECRET + 1));
    file.take(MAX_SECRET as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::file("read", path, &error))?;
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    if end > MAX_SECRET {
        return Err(bad("too long for a secret"));
    }
    let line = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]);
    let text = std::str::from_utf8(line).map_err(|_| bad("not UTF-8"))?;
    if text.is_empty() {
        return Err(bad("empty"));
    }
    Ok(Zeroizing::new(text.to_owned()))
}

/// A PEM text with a private key, from a file or standard input.
///
/// # Errors
/// If it cannot be read, is larger than any key, or not UTF-8.
pub fn read_pem(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let bytes = files::read_small(path)?;
    match String::from_utf8(bytes.to_vec()) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(error) => {
            error.into_bytes().zeroize();
            Err(Failure::refused(format!("`{}` is not PEM: it is not text", path.display()))
                .hint("`openssl pkcs8 -inform DER -in FILE -topk8 -nocrypt` writes PEM"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line_of(content: &[u8]) -> Result<String, Failure> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        first_line(file.path()).map(|line| line.to_string())
    }

    #[test]
    fn a_secret_is_the_first_line_without_its_end() {
        assert_eq!(line_of(b"cst_a\nnotes\n").unwrap(), "cst_a");
        assert_eq!(line_of(b"cst_a").unwrap(), "cst_a");
        assert_eq!(line_of(b"with blanks \r\n").unwrap(), "with blanks ");
    }

    #[test]
    fn an_unreadable_secret_is_not_shown() {
        for bad in [b"".as_slice(), b"\nx", b"\xff\xfe\n", &vec![b'a'; 9000]] {
            let failure = line_of(bad).unwrap_err();
            assert_eq!(failure.code(), 2);
            assert!(!failure.message.contains("aaa"));
        }
    }
}
