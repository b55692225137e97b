//! `countersign tag`, and the program `stags`: signs tag text files with local keys and reads them.
//!
//! The grammar, the texts, the order of checks and the exit codes are those of the older program of that name,
//! so that scripts can call this one in its place: `P: TEXT` on standard error, and on standard output the
//! payload or nothing. What it did not have are options, and the refusals that keep a signer safe.

mod detached;
mod keys;
mod options;
mod payload;
mod replace;
mod sign;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::process::ExitCode;

use countersign_model::Digest;
use countersign_records::tag::head::{Head, HeadError};
use countersign_records::tag::{AuthorityName, TagError};
use countersign_verify::authority::Judgement;
use countersign_verify::tag::TagProblem;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::failure::Failure;
use options::{Action, Options, Parsed};

/// The words of `sign` and `payload` after `countersign tag`; `None` for every other command, which has the
/// grammar of the rest of the program.
///
/// - `words`: all words, the program's name first. `--json` may stand before `tag`.
pub fn words_of_stags(words: &[OsString]) -> Option<Vec<OsString>> {
    let (json, words) = match words {
        [_, json, tag, words @ ..] if json == "--json" && tag == "tag" => (Some(json.clone()), words),
        [_, tag, words @ ..] if tag == "tag" => (None, words),
        _ => return None,
    };
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let text = word.to_string_lossy();
        match text.as_ref() {
            // The next word is the value of the option.
            "--server" | "--data" | "--token-file" | "--ca" => drop(rest.next()),
            option if option.starts_with('-') => {}
            command if STORE.contains(&command) => return None,
            _ => break,
        }
    }
    Some(json.into_iter().chain(words.iter().cloned()).collect())
}

/// The commands of `tag` that speak to a server.
const STORE: [&str; 10] =
    ["push", "get", "check", "list", "hide", "restore", "request", "approve", "refuse", "help"];

/// Runs the program with the words after its name.
///
/// - `program`: `stags` or `countersign`, by which it calls itself in messages.
pub fn run(program: &str, args: &[OsString]) -> ExitCode {
    let options = match options::parse(args) {
        Ok(Parsed::Run(options)) => options,
        Ok(Parsed::Help) => return print(options::usage(program).as_bytes()),
        Err(wrong) => {
            if let Some(reason) = wrong.reason {
                say(program, &reason);
            }
            complain(options::usage(program).as_bytes());
            return ExitCode::from(2);
        }
    };
    let result = match (options.action, options.detached) {
        (Action::Sign, false) => sign::run(program, &options),
        (Action::Sign, true) => detached::sign(&options),
        (Action::Payload, false) => payload::run(program, &options),
        (Action::Payload, true) => detached::check(program, &options),
    };
    match result {
        Ok(output) => print(&output),
        Err(refusal) => {
            say(program, &refusal.text);
            if let (true, Some(hint)) = (options.verbose, &refusal.hint) {
                say(program, OsStr::new(&format!("hint: {hint}")));
            }
            if options.json {
                print(&line(&refusal.into_document()));
            }
            ExitCode::from(1)
        }
    }
}

/// The answer is no.
struct Refusal {
    /// As users of the format know it; may have bytes of paths in it.
    text: OsString,
    hint: Option<String>,
    /// The verdict with `--json`, where there is one.
    document: Option<Value>,
}

impl Refusal {
    fn new(text: impl Into<OsString>) -> Self {
        Self { text: text.into(), hint: None, document: None }
    }

    /// `TEXT: PATH`.
    fn at(text: &str, path: &OsStr) -> Self {
        Self::new(concat(&[text.as_ref(), ": ".as_ref(), path]))
    }

    /// `TEXT: PATH: WHY`.
    fn because(text: &str, path: &OsStr, why: &dyn std::fmt::Display) -> Self {
        Self::new(concat(&[text.as_ref(), ": ".as_ref(), path, format!(": {why}").as_ref()]))
    }

    fn hint(mut self, hint: &str) -> Self {
        self.hint = Some(hint.to_owned());
        self
    }

    fn into_document(self) -> Value {
        self.document.unwrap_or_else(|| {
            let mut problem = json!({
                "type": "about:blank", "title": "the command failed", "detail": self.text.to_string_lossy(),
            });
            if let Some(hint) = self.hint {
                problem["hint"] = hint.into();
            }
            problem
        })
    }
}

impl From<TagError> for Refusal {
    fn from(error: TagError) -> Self {
        Self::new(error.to_string()).hint(error.hint())
    }
}

impl From<TagProblem> for Refusal {
    fn from(problem: TagProblem) -> Self {
        Self::new(problem.to_string()).hint(problem.hint())
    }
}

impl From<HeadError> for Refusal {
    fn from(error: HeadError) -> Self {
        Self::new(error.to_string()).hint(error.hint())
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self { text: failure.message.into(), hint: failure.hint, document: None }
    }
}

/// A judgement that is not good.
impl From<Judgement> for Refusal {
    fn from(judgement: Judgement) -> Self {
        Self::new(judgement.message).hint(judgement.status.hint())
    }
}

/// With `--digest`: the text must be about this artifact.
fn check_digest(options: &Options, payload: &[u8]) -> Result<(), Refusal> {
    let Some(wanted) = options.digest else { return Ok(()) };
    let head = Head::parse(payload)?;
    if *head.digest() == wanted { Ok(()) } else { Err(another_digest(&options.file, &wanted)) }
}

fn another_digest(file: &OsStr, wanted: &Digest) -> Refusal {
    Refusal::at(&format!("not about {wanted}"), file)
        .hint("it is about another artifact, or another build of it")
}

fn authority(name: &OsStr) -> Result<AuthorityName, Refusal> {
    Ok(name.to_string_lossy().parse::<AuthorityName>()?)
}

/// `DIR/NAME.EXT`, with the directory as it was given.
fn key_path(directory: &OsStr, name: &AuthorityName, extension: &str) -> OsString {
    concat(&[directory, "/".as_ref(), name.as_str().as_ref(), extension.as_ref()])
}

/// Larger than any tag: a text that is kept in memory whole.
const MAX_FILE: u64 = 256 << 20;

/// Larger than any key file.
const MAX_KEY: u64 = 1 << 20;

fn read_file(path: &OsStr) -> Result<Vec<u8>, Refusal> {
    let read = || {
        let mut bytes = Vec::new();
        File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
        io::Result::Ok(bytes)
    };
    let bytes = read().map_err(|error| Refusal::at("file not found", path).hint(&error.to_string()))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(Refusal::at("file too large", path).hint("a tag file has at most 256 MiB"));
    }
    Ok(bytes)
}

fn read_key(path: &OsStr, what: &str) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    read_optional_key(path, what)?.ok_or_else(|| Refusal::at(&format!("{what} not found"), path))
}

/// `None` if there is no such file.
fn read_optional_key(path: &OsStr, what: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Refusal> {
    let failed = |error: io::Error| Refusal::because(&format!("cannot read {what}"), path, &error);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let length = file.metadata().map_err(failed)?.len();
    // Sized for the whole, so that no copies are left behind as it grows.
    let mut bytes = Zeroizing::new(Vec::with_capacity(length.min(MAX_KEY) as usize + 1));
    file.take(MAX_KEY).read_to_end(&mut bytes).map_err(failed)?;
    Ok(Some(bytes))
}

fn print(bytes: &[u8]) -> ExitCode {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        // The reader has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::from(1),
        _ => ExitCode::SUCCESS,
    }
}

/// `P: TEXT`.
fn say(program: &str, text: &OsStr) {
    complain(concat(&[program.as_ref(), ": ".as_ref(), text, "\n".as_ref()]).as_bytes());
}

fn complain(bytes: &[u8]) {
    // A closed standard error must not stop the work.
    let _ = io::stderr().write_all(bytes);
}

fn line(document: &Value) -> Vec<u8> {
    format!("{document}\n").into_bytes()
}

fn names(names: &[AuthorityName]) -> Vec<&str> {
    names.iter().map(AuthorityName::as_str).collect()
}

fn joined(list: &[AuthorityName]) -> String {
    names(list).join(", ")
}

fn concat(parts: &[&OsStr]) -> OsString {
    OsString::from_vec(parts.iter().flat_map(|part| part.as_bytes()).copied().collect())
}
