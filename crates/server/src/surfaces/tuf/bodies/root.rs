//! A root as it is sent: a value that is kept with all its members.

use std::io::{self, Write};

use countersign_tuf::check::{self, MAX_ROOT, Refusal};
use countersign_tuf::metadata::{Document, Kind};
use serde_json::Value;

use super::shape::{At, BODY, Faults, Members};

/// Reads `metadata`, which has the member `root` and no other.
pub fn only_root(faults: &mut Faults, members: &Members) -> Option<Value> {
    let at = BODY.name("metadata");
    let metadata = faults.member(&BODY, members, "metadata")?;
    let metadata = faults.dictionary(&at, metadata)?;
    for name in metadata.keys().filter(|name| *name != ROOT) {
        // As the original says that the name of a member is not one of those that can be.
        faults.add(&at.name(name).name("[key]"), "literal_error", "Input should be 'root'");
    }
    let root = faults.member(&at, metadata, ROOT)?;
    read(faults, &at.name(ROOT), root)
}

const ROOT: &str = "root";

fn read(faults: &mut Faults, at: &At<'_>, value: &Value) -> Option<Value> {
    let before = faults.count();
    // Before a single key is read: reading many takes long.
    if length(value) > MAX_ROOT {
        faults.value(at, format_args!("the root has more than {MAX_ROOT} bytes: clients take no more"));
        return None;
    }
    let members = faults.model(at, value)?;
    if let Some(given) = faults.member(at, members, "signatures") {
        signatures(faults, &at.name("signatures"), given);
    }
    let given = faults.member(at, members, "signed")?;
    let signed = faults.model(&at.name("signed"), given)?;
    top(faults, &at.name("signed"), signed);
    if faults.count() > before {
        return None;
    }
    if let Err(Refusal::ForeignMember(name)) = check::members(signed, &MEMBERS) {
        let rule = "unrecognized_field must use format x-<vendor>-<name>";
        faults.value(&BODY, format_args!("Invalid: `{name}` field name, {rule}"));
        return None;
    }
    match Document::from_value(value.clone()) {
        Ok(document) if document.kind() == Kind::Root => Some(value.clone()),
        Ok(_) => {
            faults.add(&at.name("signed").name("_type"), "literal_error", "Input should be 'root'");
            None
        }
        Err(error) => {
            faults.value(at, error);
            None
        }
    }
}

fn signatures(faults: &mut Faults, at: &At<'_>, value: &Value) {
    for (index, item) in faults.list(at, value).unwrap_or_default().iter().enumerate() {
        let at = at.index(index);
        let Some(signature) = faults.model(&at, item) else { continue };
        faults.text_member(&at, signature, "keyid");
        faults.text_member(&at, signature, "sig");
    }
}

/// What every type of metadata has.
fn top(faults: &mut Faults, at: &At<'_>, signed: &Members) {
    faults.text_member(at, signed, "_type");
    if let Some(version) = faults.member(at, signed, "version") {
        faults.integer(&at.name("version"), version);
    }
    faults.text_member(at, signed, "spec_version");
    faults.text_member(at, signed, "expires");
}

/// The members of a root; others are extensions.
const MEMBERS: [&str; 7] =
    ["_type", "consistent_snapshot", "expires", "keys", "roles", "spec_version", "version"];

/// How long the file of `value` is.
fn length(value: &Value) -> usize {
    let mut counter = Counter(0);
    // Counting cannot fail.
    let _ = serde_json::to_writer(&mut counter, value);
    counter.0
}

struct Counter(usize);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
