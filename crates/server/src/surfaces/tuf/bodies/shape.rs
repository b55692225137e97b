//! Faults of a body, found one after another and told together, with the words of the original's validator.

use countersign_core::tuf::error::{BodyFault, Place};
use serde_json::{Map, Value};

/// An object's members.
pub type Members = Map<String, Value>;

/// Where in a body: steps on the stack, written out for a fault only.
#[derive(Clone, Copy)]
pub struct At<'a> {
    above: Option<&'a At<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Name(&'a str),
    Index(usize),
}

/// The body itself.
pub static BODY: At<'static> = At { above: None, step: Step::Name("body") };
/// The query.
pub static QUERY: At<'static> = At { above: None, step: Step::Name("query") };
/// The path.
pub static PATH: At<'static> = At { above: None, step: Step::Name("path") };

impl<'a> At<'a> {
    /// A member.
    pub fn name(&'a self, name: &'a str) -> At<'a> {
        At { above: Some(self), step: Step::Name(name) }
    }

    /// An element.
    pub fn index(&'a self, index: usize) -> At<'a> {
        At { above: Some(self), step: Step::Index(index) }
    }

    fn places(&self) -> Vec<Place> {
        let mut places: Vec<Place> = std::iter::successors(Some(self), |at| at.above)
            .map(|at| match at.step {
                Step::Name(name) => Place::Name(name.chars().take(LONGEST_NAME).collect()),
                Step::Index(index) => Place::Index(index),
            })
            .collect();
        places.reverse();
        places
    }
}

/// Of a name that the client chose not more is told.
const LONGEST_NAME: usize = 80;

/// How many faults are told.
const MOST: usize = 100;

/// The faults that were found so far.
#[derive(Default)]
pub struct Faults(Vec<BodyFault>);

impl Faults {
    /// One more, if there are not too many.
    pub fn add(&mut self, at: &At<'_>, kind: &'static str, msg: impl Into<String>) {
        if !self.is_full() {
            self.0.push(BodyFault { kind, loc: at.places(), msg: msg.into() });
        }
    }

    /// A rule that is not about a type.
    pub fn value(&mut self, at: &At<'_>, why: impl std::fmt::Display) {
        self.add(at, "value_error", format!("Value error, {why}"));
    }

    /// How many were found.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether more would not be told.
    pub fn is_full(&self) -> bool {
        self.0.len() == MOST
    }

    /// What was read, if nothing is wrong with it.
    ///
    /// # Errors
    /// All faults.
    pub fn unless_any<T>(mut self, read: Option<T>) -> Result<T, Vec<BodyFault>> {
        match read {
            Some(read) if self.0.is_empty() => Ok(read),
            _ => {
                if self.0.is_empty() {
                    self.value(&BODY, "the body is not as it should be");
                }
                Err(self.0)
            }
        }
    }

    /// A member that must be there.
    pub fn member<'v>(&mut self, at: &At<'_>, members: &'v Members, name: &str) -> Option<&'v Value> {
        let value = members.get(name);
        if value.is_none() {
            self.add(&at.name(name), "missing", "Field required");
        }
        value
    }

    /// An object with members of its own.
    pub fn model<'v>(&mut self, at: &At<'_>, value: &'v Value) -> Option<&'v Members> {
        let msg = "Input should be a valid dictionary or object to extract fields from";
        self.known(at, value.as_object(), "model_attributes_type", msg)
    }

    /// An object whose members' names say something.
    pub fn dictionary<'v>(&mut self, at: &At<'_>, value: &'v Value) -> Option<&'v Members> {
        self.known(at, value.as_object(), "dict_type", "Input should be a valid dictionary")
    }

    /// A list.
    pub fn list<'v>(&mut self, at: &At<'_>, value: &'v Value) -> Option<&'v [Value]> {
        let list = value.as_array().map(Vec::as_slice);
        self.known(at, list, "list_type", "Input should be a valid list")
    }

    /// A text.
    pub fn text<'v>(&mut self, at: &At<'_>, value: &'v Value) -> Option<&'v str> {
        self.known(at, value.as_str(), "string_type", "Input should be a valid string")
    }

    /// A list of texts.
    pub fn texts(&mut self, at: &At<'_>, value: &Value) -> Option<Vec<String>> {
        let mut texts = Vec::new();
        for (index, item) in self.list(at, value)?.iter().enumerate() {
            texts.extend(self.text(&at.index(index), item).map(str::to_owned));
        }
        Some(texts)
    }

    /// `true` or `false`.
    pub fn switch(&mut self, at: &At<'_>, value: &Value) -> Option<bool> {
        self.known(at, value.as_bool(), "bool_type", "Input should be a valid boolean")
    }

    /// An integer of any size.
    pub fn integer(&mut self, at: &At<'_>, value: &Value) -> Option<i128> {
        let number = value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
        let (kind, msg) = match value {
            Value::String(text) if text.parse::<i128>().is_err() => {
                ("int_parsing", "Input should be a valid integer, unable to parse string as an integer")
            }
            Value::Number(number) if number.is_f64() => {
                ("int_from_float", "Input should be a valid integer, got a number with a fractional part")
            }
            _ => ("int_type", "Input should be a valid integer"),
        };
        self.known(at, number, kind, msg)
    }

    /// An integer above `least` and up to `most`.
    pub fn between(&mut self, at: &At<'_>, value: &Value, above: u32, most: u32) -> Option<u32> {
        let number = self.integer(at, value)?;
        if number <= i128::from(above) {
            self.add(at, "greater_than", format!("Input should be greater than {above}"));
            return None;
        }
        let number = u32::try_from(number).ok().filter(|number| *number <= most);
        self.known(at, number, "less_than_equal", format!("Input should be less than or equal to {most}"))
    }

    /// A text that must be there.
    pub fn text_member<'v>(&mut self, at: &At<'_>, members: &'v Members, name: &str) -> Option<&'v str> {
        let value = self.member(at, members, name)?;
        self.text(&at.name(name), value)
    }

    fn known<T>(
        &mut self,
        at: &At<'_>,
        found: Option<T>,
        kind: &'static str,
        msg: impl Into<String>,
    ) -> Option<T> {
        if found.is_none() {
            self.add(at, kind, msg);
        }
        found
    }
}

/// A member that may be absent, or `null`.
pub fn optional<'v>(members: &'v Members, name: &str) -> Option<&'v Value> {
    members.get(name).filter(|value| !value.is_null())
}
