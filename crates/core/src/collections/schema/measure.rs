//! How large a schema is before it is compiled: what it refers to counts each time, as it does in its compiled form.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::PATTERN_BYTES;

/// Schemas in a schema at most, counting what it refers to each time.
const MOST_SCHEMAS: u64 = 20_000;

/// Patterns in a schema at most, counting what it refers to each time.
const MOST_PATTERNS: u64 = 50;

/// Bytes of one part of a compiled schema, about.
const PART_BYTES: usize = 512;

/// How large a schema is.
#[derive(Clone, Copy)]
pub(super) struct Size {
    schemas: u64,
    patterns: u64,
}

impl Size {
    fn add(&mut self, other: Self) {
        self.schemas += other.schemas;
        self.patterns += other.patterns;
    }

    /// Bytes of it compiled, about.
    pub(super) fn cost(self) -> usize {
        let bytes =
            |count: u64, each: usize| usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(each);
        bytes(self.schemas, PART_BYTES).saturating_add(bytes(self.patterns, 2 * PATTERN_BYTES))
    }
}

/// How large a schema is with its references in their places.
pub(super) struct Measure<'a> {
    root: &'a Value,
    known: HashMap<&'a str, Size>,
    open: HashSet<&'a str>,
}

impl<'a> Measure<'a> {
    pub(super) fn of(root: &'a Value) -> Result<Size, String> {
        let mut measure = Self { root, known: HashMap::new(), open: HashSet::new() };
        measure.size(root, 0)
    }

    fn size(&mut self, value: &'a Value, depth: u32) -> Result<Size, String> {
        let mut size = Size { schemas: 1, patterns: 0 };
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    match (name.as_str(), member) {
                        ("$ref", Value::String(target)) => size.add(self.target(target, depth)?),
                        ("$id", Value::String(_)) if depth > 0 => {
                            return Err("`$id` can be at the top of a schema only".into());
                        }
                        ("$dynamicRef" | "$recursiveRef", _) => {
                            return Err(format!("`{name}` is not understood"));
                        }
                        ("enum" | "const" | "default" | "examples", _) => {}
                        ("pattern", Value::String(_)) => size.patterns += 1,
                        ("patternProperties", Value::Object(patterns)) => {
                            size.patterns += patterns.len() as u64;
                            size.add(self.size(member, depth + 1)?);
                        }
                        _ => size.add(self.size(member, depth + 1)?),
                    }
                }
            }
            Value::Array(items) => {
                for item in items {
                    size.add(self.size(item, depth + 1)?);
                }
            }
            _ => {}
        }
        if size.schemas > MOST_SCHEMAS {
            return Err("the schema is too large".into());
        }
        if size.patterns > MOST_PATTERNS {
            return Err(format!("a schema can have {MOST_PATTERNS} patterns"));
        }
        Ok(size)
    }

    fn target(&mut self, target: &'a str, depth: u32) -> Result<Size, String> {
        if let Some(size) = self.known.get(target) {
            return Ok(*size);
        }
        let Some(pointer) = target.strip_prefix('#') else {
            return Err(format!("`$ref` to {target}: a schema can refer to parts of itself only"));
        };
        let Some(part) = self.root.pointer(pointer) else {
            return Err(format!("`$ref` to {target}: there is no such part"));
        };
        if !self.open.insert(target) || self.open.len() > 100 {
            return Err(format!("`$ref` to {target}: a schema cannot contain itself"));
        }
        let size = self.size(part, depth + 1)?;
        self.open.remove(target);
        self.known.insert(target, size);
        Ok(size)
    }
}
