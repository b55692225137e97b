//! JSON patch (RFC 6902) on a document, with JSON pointers (RFC 6901).

use serde_json::{Map, Value};

/// Why a patch cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatchError {
    /// An operation is not an object with the members that it must have.
    #[error("operation {0} lacks `{1}`")]
    Lacks(usize, &'static str),
    /// An operation that there is not.
    #[error("operation {0} has an unknown `op`")]
    Unknown(usize),
    /// A pointer that is none.
    #[error("operation {0} has a pointer that cannot be read")]
    Pointer(usize),
    /// A place that there is not.
    #[error("operation {0} names a place that there is not")]
    Missing(usize),
    /// A test that fails.
    #[error("the test of operation {0} fails")]
    Test(usize),
    /// A place moved into itself.
    #[error("operation {0} moves a place into itself")]
    IntoItself(usize),
    /// More than is applied: many operations, or moves and copies of much.
    #[error("the patch makes too much of the document")]
    TooMuch,
    /// Deeper than is applied.
    #[error("operation {0} nests values too deeply")]
    TooDeep(usize),
}

/// Operations in a patch at most.
const MOST_OPERATIONS: usize = 1_000;

/// Values that may be copied and moved at most: copies of copies would grow without end.
const MOST_COPIED: usize = 100_000;

/// Bytes of text that may be copied and moved at most.
const MOST_COPIED_BYTES: usize = 8 << 20;

/// Values are not put deeper: each level is a call when they are compared and dropped.
const DEEPEST: usize = 200;

/// Applies `operations` one after the other.
///
/// # Errors
/// [`PatchError`]; counted from 0.
pub fn apply(mut document: Value, operations: &[Value]) -> Result<Value, PatchError> {
    if operations.len() > MOST_OPERATIONS {
        return Err(PatchError::TooMuch);
    }
    let mut left = Left { values: MOST_COPIED, bytes: MOST_COPIED_BYTES };
    for (at, operation) in operations.iter().enumerate() {
        let operation = Operation { at, members: operation.as_object().ok_or(PatchError::Lacks(at, "op"))? };
        operation.apply(&mut document, &mut left)?;
    }
    Ok(document)
}

struct Operation<'a> {
    at: usize,
    members: &'a Map<String, Value>,
}

impl Operation<'_> {
    fn apply(&self, document: &mut Value, left: &mut Left) -> Result<(), PatchError> {
        let path = self.pointer("path")?;
        match self.text("op")? {
            "add" => self.add(document, &path, self.value()?),
            "remove" => self.remove(document, &path).map(drop),
            "replace" => {
                let value = self.value()?;
                self.fits(&path, &value)?;
                *self.find(document, &path)? = value;
                Ok(())
            }
            "test" => {
                let wanted = self.value()?;
                if same(self.find(document, &path)?, &wanted) {
                    Ok(())
                } else {
                    Err(PatchError::Test(self.at))
                }
            }
            "move" => {
                let from = self.pointer("from")?;
                if path.len() > from.len() && path.starts_with(&from) {
                    return Err(PatchError::IntoItself(self.at));
                }
                let value = self.remove(document, &from)?;
                left.count(&value)?;
                self.add(document, &path, value)
            }
            "copy" => {
                let from = self.pointer("from")?;
                let value = self.find(document, &from)?;
                left.count(value)?;
                let value = value.clone();
                self.add(document, &path, value)
            }
            _ => Err(PatchError::Unknown(self.at)),
        }
    }

    fn text(&self, name: &'static str) -> Result<&str, PatchError> {
        self.members.get(name).and_then(Value::as_str).ok_or(PatchError::Lacks(self.at, name))
    }

    fn value(&self) -> Result<Value, PatchError> {
        self.members.get("value").cloned().ok_or(PatchError::Lacks(self.at, "value"))
    }

    /// RFC 6901, section 4: `~1` is a slash, then `~0` a tilde.
    fn pointer(&self, name: &'static str) -> Result<Vec<String>, PatchError> {
        let text = self.text(name)?;
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let parts = text.strip_prefix('/').ok_or(PatchError::Pointer(self.at))?.split('/');
        parts
            .map(|part| {
                let escapes_well = part.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
                if !escapes_well {
                    return Err(PatchError::Pointer(self.at));
                }
                Ok(part.replace("~1", "/").replace("~0", "~"))
            })
            .collect()
    }

    fn find<'d>(&self, document: &'d mut Value, path: &[String]) -> Result<&'d mut Value, PatchError> {
        let missing = PatchError::Missing(self.at);
        path.iter()
            .try_fold(document, |value, part| match value {
                Value::Object(members) => members.get_mut(part),
                Value::Array(items) => index(part).and_then(|at| items.get_mut(at)),
                _ => None,
            })
            .ok_or(missing)
    }

    fn fits(&self, path: &[String], value: &Value) -> Result<(), PatchError> {
        fn fits(value: &Value, left: usize) -> bool {
            match value {
                Value::Array(items) => left > 0 && items.iter().all(|item| fits(item, left - 1)),
                Value::Object(members) => left > 0 && members.values().all(|member| fits(member, left - 1)),
                _ => true,
            }
        }
        let room = DEEPEST.checked_sub(path.len()).ok_or(PatchError::TooDeep(self.at))?;
        if fits(value, room) { Ok(()) } else { Err(PatchError::TooDeep(self.at)) }
    }

    fn add(&self, document: &mut Value, path: &[String], value: Value) -> Result<(), PatchError> {
        self.fits(path, &value)?;
        let Some((last, parents)) = path.split_last() else {
            *document = value;
            return Ok(());
        };
        match self.find(document, parents)? {
            Value::Object(members) => drop(members.insert(last.clone(), value)),
            Value::Array(items) => {
                let at = if last == "-" { Some(items.len()) } else { index(last) };
                let at = at.filter(|at| *at <= items.len()).ok_or(PatchError::Missing(self.at))?;
                items.insert(at, value);
            }
            _ => return Err(PatchError::Missing(self.at)),
        }
        Ok(())
    }

    fn remove(&self, document: &mut Value, path: &[String]) -> Result<Value, PatchError> {
        let missing = PatchError::Missing(self.at);
        let Some((last, parents)) = path.split_last() else { return Ok(document.take()) };
        match self.find(document, parents)? {
            Value::Object(members) => members.remove(last).ok_or(missing),
            Value::Array(items) => {
                let at = index(last).filter(|at| *at < items.len()).ok_or(missing)?;
                Ok(items.remove(at))
            }
            _ => Err(missing),
        }
    }
}

/// RFC 6901: digits without leading zeros.
fn index(part: &str) -> Option<usize> {
    let canonical = part == "0" || !part.starts_with('0') && part.bytes().all(|b| b.is_ascii_digit());
    if canonical { part.parse().ok() } else { None }
}

/// RFC 6902, section 4.6: numbers are the same if their values are.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64().is_some() && a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

/// What copies may still add.
struct Left {
    values: usize,
    bytes: usize,
}

impl Left {
    fn count(&mut self, value: &Value) -> Result<(), PatchError> {
        self.values = self.values.checked_sub(1).ok_or(PatchError::TooMuch)?;
        let mut text = |text: &str| {
            self.bytes = self.bytes.checked_sub(text.len()).ok_or(PatchError::TooMuch)?;
            Ok(())
        };
        match value {
            Value::String(string) => text(string),
            Value::Array(items) => items.iter().try_for_each(|item| self.count(item)),
            Value::Object(members) => {
                for name in members.keys() {
                    text(name)?;
                }
                members.values().try_for_each(|member| self.count(member))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Appendix A of RFC 6902.
    #[test]
    fn operations_are_those_of_the_standard() {
        for (document, patch, wanted) in [
            (
                json!({"foo": "bar"}),
                json!([{"op": "add", "path": "/baz", "value": "q"}]),
                json!({"baz": "q", "foo": "bar"}),
            ),
            (
                json!({"foo": ["a", "b"]}),
                json!([{"op": "add", "path": "/foo/1", "value": "q"}]),
                json!({"foo": ["a", "q", "b"]}),
            ),
            (
                json!({"baz": "q", "foo": "bar"}),
                json!([{"op": "remove", "path": "/baz"}]),
                json!({"foo": "bar"}),
            ),
            (
                json!({"foo": ["a", "q", "b"]}),
                json!([{"op": "remove", "path": "/foo/1"}]),
                json!({"foo": ["a", "b"]}),
            ),
            (
                json!({"baz": "q"}),
                json!([{"op": "replace", "path": "/baz", "value": "b"}]),
                json!({"baz": "b"}),
            ),
            (
                json!({"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}}),
                json!([{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}]),
                json!({"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}}),
            ),
            (
                json!({"foo": ["a", "g", "c", "e"]}),
                json!([{"op": "move", "from": "/foo/1", "path": "/foo/3"}]),
                json!({"foo": ["a", "c", "e", "g"]}),
            ),
            (
                json!({"baz": "q", "foo": ["a", 2, "c"]}),
                json!([{"op": "test", "path": "/baz", "value": "q"}, {"op": "test", "path": "/foo/1", "value": 2.0}]),
                json!({"baz": "q", "foo": ["a", 2, "c"]}),
            ),
            (
                json!({"/": 9, "~1": 10}),
                json!([{"op": "test", "path": "/~01", "value": 10}]),
                json!({"/": 9, "~1": 10}),
            ),
            (
                json!({"foo": ["bar"]}),
                json!([{"op": "add", "path": "/foo/-", "value": ["a"]}]),
                json!({"foo": ["bar", ["a"]]}),
            ),
            (
                json!({"foo": "bar"}),
                json!([{"op": "add", "path": "/x", "value": 1, "xyz": 1}]),
                json!({"foo": "bar", "x": 1}),
            ),
            (json!({"a": 1}), json!([{"op": "copy", "from": "/a", "path": "/b"}]), json!({"a": 1, "b": 1})),
            (json!({"a": 1}), json!([{"op": "add", "path": "", "value": 2}]), json!(2)),
        ] {
            assert_eq!(apply(document.clone(), patch.as_array().unwrap()), Ok(wanted), "{document} {patch}");
        }
    }

    #[test]
    fn what_cannot_be_applied_is_refused_with_the_operation_that_fails() {
        use PatchError::{IntoItself, Lacks, Missing, Pointer, Test, Unknown};
        let document = json!({"a": [1], "b": {"c": 1}, "n": 1});
        for (patch, wanted) in [
            (json!([1]), Lacks(0, "op")),
            (json!([{"path": "/a"}]), Lacks(0, "op")),
            (json!([{"op": "add"}]), Lacks(0, "path")),
            (json!([{"op": "replace", "path": "/a"}]), Lacks(0, "value")),
            (json!([{"op": "add", "path": "/c"}]), Lacks(0, "value")),
            (json!([{"op": "copy", "path": "/a"}]), Lacks(0, "from")),
            (json!([{"op": "spam", "path": "/a"}]), Unknown(0)),
            (json!([{"op": "add", "path": "a", "value": 1}]), Pointer(0)),
            (json!([{"op": "remove", "path": "/~2"}]), Pointer(0)),
            (json!([{"op": "remove", "path": "/b/~"}]), Pointer(0)),
            (json!([{"op": "remove", "path": "/x"}]), Missing(0)),
            (json!([{"op": "add", "path": "/x/y", "value": 1}]), Missing(0)),
            (json!([{"op": "add", "path": "/a/2", "value": 1}]), Missing(0)),
            (json!([{"op": "add", "path": "/a/01", "value": 1}]), Missing(0)),
            (json!([{"op": "add", "path": "/n/x", "value": 1}]), Missing(0)),
            (json!([{"op": "remove", "path": "/a/-"}]), Missing(0)),
            (
                json!([{"op": "test", "path": "/n", "value": 1}, {"op": "test", "path": "/n", "value": "1"}]),
                Test(1),
            ),
            (json!([{"op": "move", "from": "/b", "path": "/b/c"}]), IntoItself(0)),
        ] {
            assert_eq!(apply(document.clone(), patch.as_array().unwrap()), Err(wanted), "{patch}");
        }
    }

    #[test]
    fn copies_of_copies_come_to_an_end() {
        let double = json!({"op": "copy", "from": "/a", "path": "/a/-"});
        assert_eq!(apply(json!({"a": [1]}), &vec![double; 100]), Err(PatchError::TooMuch));
    }

    #[test]
    fn what_grows_deeper_and_deeper_comes_to_an_end() {
        let deeper = [
            json!({"op": "move", "from": "/a", "path": "/b/x"}),
            json!({"op": "add", "path": "/a", "value": {}}),
            json!({"op": "move", "from": "/b", "path": "/a/x"}),
            json!({"op": "add", "path": "/b", "value": {}}),
        ];
        let patch: Vec<Value> = deeper.iter().cycle().take(1000).cloned().collect();
        assert!(matches!(apply(json!({"a": {}, "b": {}}), &patch), Err(PatchError::TooDeep(_))));
    }
}
