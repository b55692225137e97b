//! `countersign tag`, and the program `stags`: signs tag text files with local keys and reads them.
//!
//! The grammar, the texts, the order of checks and the exit codes are those of the older program of that name,
//! so that scripts can call this one in its place: `P: TEXT` on standard error, and on standard output the
//! payload or nothing. What it did not have are options, and the refusals that keep a signer safe.

mod options;
mod replace;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_keyhost::soft::{ImportError, SoftKey};
use countersign_model::key::PrivateKey as _;
use countersign_model::public_key::PublicKeyError;
use countersign_records::tag::{self, AuthorityName, Tag, TagError, TagFile, WeakKeys};
use countersign_verify::tag::{TagProblem, TrustedKey};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use options::{Action, Options, Parsed};

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
    let result = match options.action {
        Action::Sign => sign(program, &options),
        Action::Payload => payload(&options),
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

/// `sign PRIVDIR FILE AUTHORITY…`: returns what goes to standard output.
fn sign(program: &str, options: &Options) -> Result<Vec<u8>, Refusal> {
    let bytes = read_file(&options.file)?;
    let mut tag = Tag::parse(&bytes)?;
    let signers = signers(options)?;

    let others = |tag: &Tag| -> Vec<AuthorityName> {
        let named = |name: &AuthorityName| signers.iter().any(|signer| signer.name == *name);
        tag.blocks().map(|block| block.authority().clone()).filter(|name| !named(name)).collect()
    };
    let dropped = match &options.drop_invalid {
        Some(directory) => blocks_that_do_not_verify(options, directory, &bytes, &others(&tag))?,
        None => Vec::new(),
    };
    for name in &dropped {
        tag.remove(name);
        say(program, OsStr::new(&format!("dropped the block of {name}: it does not verify")));
    }
    let kept = others(&tag);
    let lines = tag.payload().line_count();
    if options.check || options.verbose {
        let noun = if lines == 1 { "line" } else { "lines" };
        say(program, OsStr::new(&format!("signing {lines} payload {noun}")));
    }
    if options.verbose && !kept.is_empty() {
        say(program, OsStr::new(&format!("keeping the blocks of {}", joined(&kept))));
    }

    for signer in &signers {
        tag.put(signer.sign(&tag)?);
    }
    let signed = tag.to_bytes();
    verify_own(&signed, &signers)?;
    write_file(&options.file, &signed)?;

    if !options.json {
        return Ok(Vec::new());
    }
    let mut signatures = Map::new();
    for signer in &signers {
        let signature = tag.block(&signer.name).map(|block| STANDARD.encode(block.signature()));
        let entry = json!({"key": signer.key.public().id(), "signature": signature});
        signatures.insert(signer.name.to_string(), entry);
    }
    Ok(line(&json!({
        "file": options.file.to_string_lossy(),
        "payload_lines": lines,
        "signatures": signatures,
        "kept": names(&kept),
        "dropped": names(&dropped),
    })))
}

/// An authority with its private key.
struct Signer {
    name: AuthorityName,
    key: SoftKey,
}

impl Signer {
    fn sign(&self, tag: &Tag) -> Result<tag::Block, Refusal> {
        let name = &self.name;
        let unsupported = || TagError::UnsupportedKey { name: name.clone() };
        let scheme = tag::scheme_for(self.key.public().key_type()).ok_or_else(unsupported)?;
        let failed = |why: &dyn std::fmt::Display| Refusal::new(format!("signing for {name} failed: {why}"));
        let (to_sign, pending) = tag::prepare(tag.payload(), scheme).map_err(|e| failed(&e))?;
        let signature = self.key.sign(scheme, &to_sign).map_err(|e| failed(&e))?;
        tag::finish(pending, name.clone(), &signature).map_err(|e| failed(&e))
    }
}

/// All private keys, before anything is signed: the first that cannot be used decides.
fn signers(options: &Options) -> Result<Vec<Signer>, Refusal> {
    options.authorities.iter().map(|name| signer(options, name)).collect()
}

fn signer(options: &Options, name: &OsStr) -> Result<Signer, Refusal> {
    let name = authority(name)?;
    let path = key_path(&options.directory, &name, ".key");
    let bytes = read_key(&path, "private key")?;
    let bad = |why: &dyn std::fmt::Display| Refusal::because("bad private key", &path, why);
    let text = std::str::from_utf8(&bytes).map_err(|e| bad(&e))?;
    // The encryption of before PKCS#8, inside the block of another label.
    let encrypted = || {
        Refusal::at("private key is encrypted", &path)
            .hint("`openssl pkey -in FILE` writes it without encryption; or keep it in a server")
    };
    if text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(encrypted());
    }
    let key = SoftKey::from_pem(text, None).map_err(|error| match error {
        ImportError::Encrypted => encrypted(),
        ImportError::Weak(_) => TagError::WeakKey { name: name.clone() }.into(),
        ImportError::Unsupported(_) => TagError::UnsupportedKey { name: name.clone() }.into(),
        other => bad(&other).hint(other.hint()),
    })?;
    if tag::scheme_for(key.public().key_type()).is_none() {
        return Err(TagError::UnsupportedKey { name }.into());
    }
    Ok(Signer { name, key })
}

/// What was written must verify as a stranger would read it, before it takes the place of the old file.
fn verify_own(signed: &[u8], signers: &[Signer]) -> Result<(), Refusal> {
    let file = TagFile::parse(signed)?;
    for signer in signers {
        file.verify(&signer.name, signer.key.public(), WeakKeys::Refuse).map_err(|_| {
            Refusal::new(format!("the new signature of {} does not verify", signer.name))
                .hint("nothing was written; is the private key damaged?")
        })?;
    }
    Ok(())
}

/// Those of `names` whose block does not verify by a key in `directory`, or who have no key there.
fn blocks_that_do_not_verify(
    options: &Options,
    directory: &OsStr,
    bytes: &[u8],
    names: &[AuthorityName],
) -> Result<Vec<AuthorityName>, Refusal> {
    let file = TagFile::parse(bytes)?;
    let mut invalid = Vec::new();
    for name in names {
        let path = key_path(directory, name, ".pub");
        let valid = match read_optional_key(&path, "public key")? {
            None => false,
            Some(pem) => {
                let trusted = trusted_key(name, &path, &pem)?;
                let verdict =
                    countersign_verify::tag::verify(&file, name, &trusted, options.at, options.weak_keys);
                verdict.is_ok()
            }
        };
        if !valid {
            invalid.push(name.clone());
        }
    }
    Ok(invalid)
}

/// `payload PUBDIR FILE AUTHORITY…`: returns what goes to standard output.
fn payload(options: &Options) -> Result<Vec<u8>, Refusal> {
    let bytes = read_file(&options.file)?;
    let file = TagFile::parse(&bytes)?;
    if !options.json {
        for name in &options.authorities {
            verdict(options, &file, name).map_err(|(_, refusal)| refusal)?;
        }
        return Ok(file.payload().to_vec());
    }

    let mut authorities = Map::new();
    let mut first = None;
    for name in &options.authorities {
        let entry = match verdict(options, &file, name) {
            Ok(key) => json!({"status": "valid", "key": key}),
            Err((status, refusal)) => {
                let message = refusal.text.to_string_lossy().into_owned();
                first.get_or_insert(refusal);
                json!({"status": status, "message": message})
            }
        };
        authorities.insert(name.to_string_lossy().into_owned(), entry);
    }
    match first {
        // An unverified payload is never printed.
        Some(refusal) => {
            let document = json!({"valid": false, "authorities": authorities});
            Err(Refusal { document: Some(document), ..refusal })
        }
        None => {
            let mut document = json!({"valid": true, "authorities": authorities});
            match std::str::from_utf8(file.payload()) {
                Ok(text) => document["payload"] = text.into(),
                Err(_) => document["payload_base64"] = STANDARD.encode(file.payload()).into(),
            }
            Ok(line(&document))
        }
    }
}

/// The id of the authority's key, or its status in one word and why.
fn verdict(
    options: &Options,
    file: &TagFile<'_>,
    name: &OsStr,
) -> Result<countersign_model::KeyId, (&'static str, Refusal)> {
    let unknown = |refusal: Refusal| ("unknown", refusal);
    let name = authority(name).map_err(unknown)?;
    let path = key_path(&options.directory, &name, ".pub");
    let pem = read_key(&path, "public key").map_err(unknown)?;
    // Whether there is a signature at all comes before what is wrong with the key.
    let missing = |error: TagError| {
        let problem = TagProblem::from(error);
        (problem.status(), problem.into())
    };
    file.block(&name).map_err(missing)?;
    let trusted = trusted_key(&name, &path, &pem).map_err(unknown)?;
    countersign_verify::tag::verify(file, &name, &trusted, options.at, options.weak_keys)
        .map_err(|problem| (problem.status(), problem.into()))
}

fn trusted_key(name: &AuthorityName, path: &OsStr, pem: &[u8]) -> Result<TrustedKey, Refusal> {
    TrustedKey::from_pem(&String::from_utf8_lossy(pem)).map_err(|error| match error {
        PublicKeyError::Unsupported => TagError::UnsupportedKey { name: name.clone() }.into(),
        other => Refusal::because("bad public key", path, &other)
            .hint("`openssl pkey -pubin -in FILE -text` shows whether it is one"),
    })
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

fn write_file(path: &OsStr, bytes: &[u8]) -> Result<(), Refusal> {
    let is_file = fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    if !is_file {
        return Err(Refusal::at("not a regular file", path));
    }
    replace::replace(path.as_ref(), bytes).map_err(|error| Refusal::because("cannot write", path, &error))
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
