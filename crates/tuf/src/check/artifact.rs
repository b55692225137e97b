//! Target files, as they are sent to be published (specification 4.5, TARGETS).

use serde_json::{Map, Value, json};

use crate::canonical;
use crate::hashes::Algorithm;

/// The longest path of an artifact, in bytes.
pub const MAX_PATH: usize = 4096;

/// The longest target file, in bytes: the largest integer that every reader of JSON keeps (RFC 8259, 6). A client that
/// cannot read one length cannot read any target of the role.
pub const MAX_LENGTH: u64 = (1 << 53) - 1;

/// The document, `signed`, `targets` and the target, below which `custom` stands.
const LEVELS: usize = 4;

/// Why an artifact is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Empty, too long, or a way out of a directory.
    #[error("the path must have 1 to {MAX_PATH} bytes, no control characters, and no segment `.` or `..`")]
    Path,
    /// Not an object.
    #[error("`info` must be an object with `length` and `hashes`")]
    Info,
    /// Negative, a fraction, too large, or missing.
    #[error("`length` must be an integer from 0 to {MAX_LENGTH}")]
    Length,
    /// None, or not texts.
    #[error("`hashes` must be an object with at least one hash")]
    Hashes,
    /// Not a hash of its function.
    #[error("a hash must be lower-case hex, as long as its function's output")]
    Hash,
    /// Something that is not an object, or cannot be signed.
    #[error("`custom` must be an object without fractions, and not nested without end")]
    Custom,
}

/// Judges an artifact and gives what stands in metadata: `{"length","hashes","custom"?}`.
///
/// - `path`: as clients will ask for it; it is neither decoded nor normalised.
/// - `info`: `{"length":INT,"hashes":{ALG:HEX},"custom":{…}|null}`.
///
/// # Errors
/// [`Fault`].
pub fn artifact(path: &str, info: &Value) -> Result<Value, Fault> {
    check_path(path)?;
    let info = info.as_object().ok_or(Fault::Info)?;
    let length = info.get("length").and_then(Value::as_u64);
    let length = length.filter(|length| *length <= MAX_LENGTH).ok_or(Fault::Length)?;
    let hashes = info.get("hashes").and_then(Value::as_object).ok_or(Fault::Hashes)?;
    check_hashes(hashes)?;
    let mut target = json!({"length": length, "hashes": hashes});
    match info.get("custom") {
        None | Some(Value::Null) => {}
        Some(custom) if custom.is_object() && canonical::check_below(custom, LEVELS).is_ok() => {
            target["custom"] = custom.clone();
        }
        Some(_) => return Err(Fault::Custom),
    }
    Ok(target)
}

/// Whether an artifact may have this path.
///
/// # Errors
/// [`Fault::Path`].
pub fn check_path(path: &str) -> Result<(), Fault> {
    let valid = (1..=MAX_PATH).contains(&path.len())
        && !path.contains(char::is_control)
        && !path.split('/').any(|segment| matches!(segment, "." | ".."));
    if valid { Ok(()) } else { Err(Fault::Path) }
}

fn check_hashes(hashes: &Map<String, Value>) -> Result<(), Fault> {
    if hashes.is_empty() {
        return Err(Fault::Hashes);
    }
    for (name, hash) in hashes {
        let hash = hash.as_str().ok_or(Fault::Hashes)?;
        let hex = hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let length = match Algorithm::of_name(name) {
            Some(algorithm) => hash.len() == 2 * algorithm.output_len(),
            // Functions that we do not know are for the repository's own clients.
            None => (2..=256).contains(&hash.len()) && hash.len() % 2 == 0,
        };
        if name.is_empty() || !hex || !length {
            return Err(Fault::Hash);
        }
    }
    Ok(())
}
