//! Bodies as values: JSON without duplicate members and without fractions.

use countersign_core::tuf::error::{BodyFault, Place};
use countersign_model::strict_json;
use countersign_tuf::canonical;
use serde_json::Value;
use serde_json::error::Category;

use super::shape::{BODY, Faults, Members};

/// Reads `body` and hands its members to `read`.
///
/// # Errors
/// What is not JSON, what `read` finds, and numbers that are not integers.
pub fn read<T>(
    body: &[u8],
    read: impl FnOnce(&mut Faults, &Members) -> Option<T>,
) -> Result<T, Vec<BodyFault>> {
    let value = value(body)?;
    let mut faults = Faults::default();
    let found = faults.model(&BODY, &value).and_then(|members| read(&mut faults, members));
    if faults.count() == 0 && canonical::check(&value).is_err() {
        faults.value(&BODY, NOT_SIGNABLE);
    }
    faults.unless_any(found)
}

/// What canonical JSON has no form for.
pub const NOT_SIGNABLE: &str =
    "a number is not an integer from -2^63 to 2^64 - 1, or the nesting is too deep";

fn value(body: &[u8]) -> Result<Value, Vec<BodyFault>> {
    if body.is_empty() {
        let mut faults = Faults::default();
        faults.add(&BODY, "missing", "Field required");
        return faults.unless_any(None);
    }
    strict_json::parse(body).map_err(|error| explain(body, &error))
}

/// Why `body` is not a document. Nothing of it is quoted: a member that is there twice could have any name.
pub fn explain(body: &[u8], error: &serde_json::Error) -> Vec<BodyFault> {
    let (line, column) = (error.line(), error.column());
    if error.classify() == Category::Data {
        let msg = format!("Value error, a member is there twice: see line {line} column {column}");
        return vec![BodyFault { kind: "value_error", loc: vec![body_place()], msg }];
    }
    let start: usize =
        body.split_inclusive(|b| *b == b'\n').take(line.saturating_sub(1)).map(<[u8]>::len).sum();
    let at = Place::Index(start + column.saturating_sub(1));
    vec![BodyFault { kind: "json_invalid", loc: vec![body_place(), at], msg: "JSON decode error".into() }]
}

fn body_place() -> Place {
    Place::Name("body".into())
}
