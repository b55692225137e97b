//! Filters of lists: `field=value`, `min_field=value` and so on, and what they find.

use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

use super::error::{Error, Location};
use super::values::Values;

/// One condition on a member.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    field: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    Equal(Value),
    Not(Value),
    Greater(Value),
    Less(Value),
    AtLeast(Value),
    AtMost(Value),
    In(Values<Value>),
    Exclude(Values<Value>),
    Like(Pattern),
    Has(bool),
    Contains(Vec<Value>),
    ContainsAny(Values<Value>),
}

/// What a parameter's name begins with; the longer one first.
const PREFIXES: [&str; 11] =
    ["contains_any_", "contains_", "exclude_", "like_", "not_", "has_", "min_", "max_", "in_", "gt_", "lt_"];

/// Splits the name of a parameter: `min_age` is `min_` of `age`.
pub(super) fn split(name: &str) -> (&'static str, &str) {
    for prefix in PREFIXES {
        match name.strip_prefix(prefix) {
            Some(field) if !field.is_empty() => return (prefix, field),
            _ => {}
        }
    }
    ("", name)
}

impl Filter {
    /// Reads a parameter that is a filter.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a value that cannot be compared so: `has_x=1`, `like_x=12`.
    pub fn parse(name: &str, text: &str) -> Result<Self, Error> {
        let (prefix, field) = split(name);
        let invalid = || Error::invalid(Location::Querystring, name, format!("Invalid value for {name}"));
        // An id is text, also one that looks like a number.
        let value = |text: &str| match field {
            "id" => Value::from(text.trim_matches('"')),
            _ => native(text),
        };
        let values = |text: &str| text.split(',').map(value).collect::<Values<_>>();
        let listed = |text: &str| match native(text) {
            Value::Array(items) => items,
            other => vec![other],
        };
        let test = match prefix {
            "not_" => Test::Not(value(text)),
            "gt_" => Test::Greater(value(text)),
            "lt_" => Test::Less(value(text)),
            "min_" => Test::AtLeast(value(text)),
            "max_" => Test::AtMost(value(text)),
            "in_" => Test::In(values(text)),
            "exclude_" => Test::Exclude(values(text)),
            "contains_" => Test::Contains(listed(text)),
            "contains_any_" => Test::ContainsAny(listed(text).into_iter().collect()),
            "has_" => match native(text) {
                Value::Bool(wanted) => Test::Has(wanted),
                _ => return Err(invalid()),
            },
            "like_" => match native(text) {
                Value::String(pattern) => Test::Like(Pattern::new(&pattern)),
                _ => return Err(invalid()),
            },
            _ => Test::Equal(value(text)),
        };
        Ok(Self { field: field.to_owned(), test })
    }

    /// Whether an object with these members, `id` and `last_modified` among them, is found.
    pub fn finds(&self, object: &Map<String, Value>) -> bool {
        let value = find(object, &self.field);
        let is = |wanted: &Value| value.is_some_and(|value| equal(value, wanted));
        let order = |wanted: &Value| value.and_then(|value| compare(value, wanted));
        let items = || value.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        match &self.test {
            Test::Equal(wanted) => is(wanted),
            Test::Not(wanted) => !is(wanted),
            Test::Greater(bound) => order(bound) == Some(Ordering::Greater),
            Test::Less(bound) => order(bound) == Some(Ordering::Less),
            Test::AtLeast(bound) => order(bound).is_some_and(Ordering::is_ge),
            Test::AtMost(bound) => order(bound).is_some_and(Ordering::is_le),
            Test::In(wanted) => value.is_some_and(|value| wanted.has(value)),
            Test::Exclude(wanted) => !value.is_some_and(|value| wanted.has(value)),
            Test::Like(pattern) => match value {
                Some(Value::String(text)) => pattern.fits(text),
                Some(Value::Number(number)) => pattern.fits(&number.to_string()),
                _ => false,
            },
            Test::Has(wanted) => value.is_some() == *wanted,
            Test::Contains(wanted) => value.is_some_and(Value::is_array) && contains_all(items(), wanted),
            Test::ContainsAny(wanted) => items().iter().any(|item| wanted.has(item)),
        }
    }

    /// How many values it compares with.
    pub(super) fn values(&self) -> usize {
        match &self.test {
            Test::In(values) | Test::Exclude(values) | Test::ContainsAny(values) => values.count(),
            Test::Contains(values) => values.len(),
            _ => 1,
        }
    }

    /// The ids that are asked for, if the filter is one for ids.
    pub(super) fn ids(&self) -> Option<Vec<&str>> {
        match (&self.test, self.field.as_str()) {
            (Test::Equal(id), "id") => Some(id.as_str().into_iter().collect()),
            (Test::In(ids), "id") => Some(ids.others().filter_map(Value::as_str).collect()),
            _ => None,
        }
    }
}

/// A value of a query: JSON if it can be read as such, else the text itself.
pub(super) fn native(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

/// The member of that name, or, if the name has dots, what it leads to through objects. Names of members may have
/// dots themselves: the longest that fits is taken.
pub fn find<'a>(object: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = object.get(path) {
        return Some(value);
    }
    let mut dots: Vec<usize> = path.match_indices('.').map(|(at, _)| at).take(MOST_DOTS).collect();
    while let Some(at) = dots.pop() {
        if let Some(value) = object.get(&path[..at]) {
            return find(value.as_object()?, &path[at + 1..]);
        }
    }
    None
}

/// Dots in a name that are looked at: no data is nested deeper.
const MOST_DOTS: usize = 100;

fn contains_all(items: &[Value], wanted: &[Value]) -> bool {
    if wanted.len() <= FEW {
        return wanted.iter().all(|wanted| items.iter().any(|item| equal(item, wanted)));
    }
    let items: Values<&Value> = items.iter().collect();
    wanted.iter().all(|wanted| items.has(wanted))
}

/// So few values are found faster one by one than in a set that is made first.
const FEW: usize = 4;

fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => compare_numbers(a, b) == Ordering::Equal,
        _ => a == b,
    }
}

/// How two values of one type compare; those of others do not.
fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => Some(compare_numbers(a, b)),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

/// Integers exactly, others as doubles.
pub(super) fn compare_numbers(a: &Number, b: &Number) -> Ordering {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.as_f64().unwrap_or(0.0).total_cmp(&b.as_f64().unwrap_or(0.0)),
    }
}

/// Text to look for, whatever its case: anywhere, or with `*` for any text from the beginning to the end.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    /// In lower case, between the stars; one part: anywhere.
    parts: Vec<String>,
}

impl Pattern {
    fn new(text: &str) -> Self {
        Self { parts: text.to_lowercase().split('*').map(str::to_owned).collect() }
    }

    fn fits(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        let [first, middle @ .., last] = self.parts.as_slice() else {
            return self.parts.first().is_none_or(|part| text.contains(part.as_str()));
        };
        let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
        for part in middle {
            // The first place that fits leaves most for the others.
            let Some(at) = rest.find(part.as_str()) else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last.as_str())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn finds(parameter: &str, object: &Value) -> bool {
        let (name, value) = parameter.split_once('=').unwrap();
        Filter::parse(name, value).unwrap().finds(object.as_object().unwrap())
    }

    #[test]
    fn filters_find_what_they_say() {
        let object = json!({"id": "12", "n": 2, "f": 2.5, "s": "Öl und Salz", "b": true, "z": null, "l": [1, "a"],
            "o": {"p": {"q": 7}, "x.y": 8}, "d.e": 9, "big": 18446744073709551615u64, "t": "2"});
        for (parameter, wanted) in [
            ("n=2", true),
            ("n=2.0", true),
            ("n=\"2\"", false),
            ("t=2", false),
            ("t=\"2\"", true),
            ("s=Öl und Salz", true),
            ("id=12", true),
            ("id=\"12\"", true),
            ("in_id=11,12", true),
            ("b=true", true),
            ("z=null", true),
            ("gone=null", false),
            ("not_n=2", false),
            ("not_n=3", true),
            ("not_gone=1", true),
            ("gt_n=1", true),
            ("gt_n=2", false),
            ("lt_f=2.6", true),
            ("min_n=2", true),
            ("max_n=2", true),
            ("max_n=1", false),
            ("gt_s=A", true),
            ("gt_n=\"1\"", false),
            ("lt_gone=5", false),
            ("in_n=1,2", true),
            ("in_n=1,3", false),
            ("exclude_n=1,3", true),
            ("exclude_n=2", false),
            ("like_s=ÖL", true),
            ("like_s=und", true),
            ("like_s=öl*", true),
            ("like_s=salz*", false),
            ("like_s=*salz", true),
            ("like_s=ö*u*z", true),
            ("like_s=*", true),
            ("like_n=\"2\"", true),
            ("like_gone=a", false),
            ("has_n=true", true),
            ("has_z=true", true),
            ("has_gone=true", false),
            ("has_gone=false", true),
            ("contains_l=1", true),
            ("contains_l=[1,\"a\"]", true),
            ("contains_l=[1,2]", false),
            ("contains_any_l=[2,\"a\"]", true),
            ("contains_n=2", false),
            ("o.p.q=7", true),
            ("o.x.y=8", true),
            ("d.e=9", true),
            ("o.p=7", false),
            ("l=[1,\"a\"]", true),
            ("in_f=1,2.5", true),
            ("in_n=1,2.0", true),
            ("in_big=1.8446744073709552e19", true),
            ("in_n=\"2\"", false),
            ("in_z=a,null", true),
            ("in_gone=null", false),
            ("exclude_gone=null", true),
            ("exclude_b=true", false),
            ("contains_l=[1,1,1,1,1.0,\"a\"]", true),
            ("contains_l=[1,1,1,1,1,\"b\"]", false),
            ("contains_any_l=1.0", true),
            ("contains_any_n=2", false),
            ("big=18446744073709551615", true),
            ("big=18446744073709551614", false),
        ] {
            assert_eq!(finds(parameter, &object), wanted, "{parameter}");
        }
    }

    #[test]
    fn values_that_cannot_be_compared_so_are_refused() {
        for (name, value) in [("has_x", "1"), ("has_x", "maybe"), ("like_x", "12"), ("like_x", "null")] {
            let error = Filter::parse(name, value).unwrap_err();
            assert_eq!(error.to_string(), format!("Invalid value for {name}"));
        }
    }

    #[test]
    fn a_pattern_with_stars_is_about_all_of_the_text() {
        for (pattern, text, wanted) in [
            ("a*b", "ab", true),
            ("a*b", "axxb", true),
            ("a*b", "abx", false),
            ("a*a", "a", false),
            ("*a*", "bab", true),
            ("**", "", true),
            ("", "x", true),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(Pattern::new(pattern).fits(text), wanted, "{pattern} {text}");
        }
    }
}
