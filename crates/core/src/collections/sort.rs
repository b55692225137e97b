//! The order of lists: `_sort=a,-b`, and keys that can be compared later.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use super::filter::{compare_numbers, find};

/// An order of objects: no two are the same in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sort(Vec<Field>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    name: String,
    falling: bool,
}

/// Fields that count, at most.
const MOST_FIELDS: usize = 16;

/// Characters of a text that count: keys go into tokens, and tokens into URLs.
const MOST_CHARACTERS: usize = 256;

/// What an object has in a field, as far as the order looks at it. Values of different types have an order too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Key {
    /// `true` and `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// The beginning of a text.
    Text(String),
    /// Lists and objects, which are all the same.
    Other(Vec<()>),
    /// Nothing, or null.
    Nothing(()),
}

impl Key {
    fn of(value: Option<&Value>) -> Self {
        match value {
            None | Some(Value::Null) => Self::Nothing(()),
            Some(Value::Bool(truth)) => Self::Bool(*truth),
            Some(Value::Number(number)) => Self::Number(number.clone()),
            Some(Value::String(text)) => Self::Text(text.chars().take(MOST_CHARACTERS).collect()),
            Some(Value::Array(_) | Value::Object(_)) => Self::Other(Vec::new()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Nothing(()) => 0,
            Self::Bool(_) => 1,
            Self::Number(_) => 2,
            Self::Text(_) => 3,
            Self::Other(_) => 4,
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => compare_numbers(a, b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl Sort {
    /// Reads `a,-b.c`; keys that cannot be read are ignored.
    ///
    /// - `last`: the field that no two objects have the same of, which decides if nothing else does; falling.
    pub fn parse(text: &str, last: &str) -> Self {
        let is_name = |name: &str| {
            !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-'))
        };
        let mut fields = Vec::new();
        for key in text.split(',').map(str::trim) {
            let (falling, name) = match key.strip_prefix('-') {
                Some(name) => (true, name),
                None => (false, key.strip_prefix('+').unwrap_or(key)),
            };
            let known = fields.iter().any(|field: &Field| field.name == name);
            if is_name(name) && !known && fields.len() < MOST_FIELDS {
                fields.push(Field { name: name.to_owned(), falling });
            }
        }
        if !fields.iter().any(|field| field.name == last) {
            fields.push(Field { name: last.to_owned(), falling: true });
        }
        Self(fields)
    }

    /// Newest first: as the store has it.
    pub fn is_newest_first(&self) -> bool {
        matches!(self.0.as_slice(), [only] if only.name == "last_modified" && only.falling)
    }

    /// The keys of an object.
    pub fn keys(&self, object: &Map<String, Value>) -> Vec<Key> {
        self.0.iter().map(|field| Key::of(find(object, &field.name))).collect()
    }

    /// Which of two objects comes first.
    pub fn compare(&self, a: &[Key], b: &[Key]) -> Ordering {
        self.0
            .iter()
            .zip(a.iter().zip(b))
            .map(|(field, (a, b))| if field.falling { b.compare(a) } else { a.compare(b) })
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }

    /// How many keys an object has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Never: there is one field at least.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Display for Sort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0
            .iter()
            .try_for_each(|field| write!(f, "{}{},", if field.falling { "-" } else { "+" }, field.name))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn sorted(sort: &str, objects: &Value) -> String {
        let sort = Sort::parse(sort, "last_modified");
        let mut objects: Vec<_> =
            objects.as_array().unwrap().iter().map(|o| o.as_object().unwrap()).collect();
        objects.sort_by(|a, b| sort.compare(&sort.keys(a), &sort.keys(b)));
        objects.iter().map(|object| object["id"].as_str().unwrap()).collect()
    }

    #[test]
    fn objects_come_in_the_order_that_is_asked_for_and_the_newest_first() {
        let objects = json!([
            {"id": "a", "n": 2, "last_modified": 1}, {"id": "b", "n": 10, "last_modified": 2},
            {"id": "c", "n": 2.5, "last_modified": 3}, {"id": "d", "n": "x", "last_modified": 4},
            {"id": "e", "last_modified": 5}, {"id": "f", "n": 2, "o": {"p": 1}, "last_modified": 6},
        ]);
        for (sort, wanted) in [
            ("", "fedcba"),
            ("-last_modified", "fedcba"),
            ("last_modified", "abcdef"),
            ("n", "efacbd"),
            ("-n", "dbcfae"),
            ("n,last_modified", "eafcbd"),
            ("!!", "fedcba"),
            ("n,!!", "efacbd"),
            ("-o.p", "fedcba"),
            ("id", "abcdef"),
            ("-id", "fedcba"),
            ("+id", "abcdef"),
        ] {
            assert_eq!(sorted(sort, &objects), wanted, "{sort}");
        }
    }

    fn any_value() -> impl Strategy<Value = Option<Value>> {
        prop_oneof![
            Just(None),
            Just(Some(Value::Null)),
            any::<bool>().prop_map(|v| Some(Value::from(v))),
            any::<i64>().prop_map(|v| Some(Value::from(v))),
            any::<u64>().prop_map(|v| Some(Value::from(v))),
            any::<f64>().prop_map(|v| Some(Value::from(v))),
            ".{0,300}".prop_map(|v| Some(Value::from(v))),
            Just(Some(json!([1]))),
            Just(Some(json!({"a": 1}))),
        ]
    }

    proptest! {
        #[test]
        fn keys_are_the_same_after_they_went_through_a_token(value in any_value()) {
            let key = Key::of(value.as_ref());
            let text = serde_json::to_string(&key).unwrap();
            prop_assert!(text.len() < 2000);
            prop_assert_eq!(serde_json::from_str::<Key>(&text).unwrap(), key);
        }

        #[test]
        fn the_order_of_keys_is_one(a in any_value(), b in any_value(), c in any_value()) {
            let [a, b, c] = [a, b, c].map(|value| Key::of(value.as_ref()));
            prop_assert_eq!(a.compare(&b), b.compare(&a).reverse());
            if a.compare(&b).is_le() && b.compare(&c).is_le() {
                prop_assert!(a.compare(&c).is_le());
            }
        }
    }
}
