//! Who somebody of the old server is here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::files;

/// Principals of the old server, and what becomes of them.
#[derive(Debug, Default)]
pub struct People {
    /// `None`: nobody.
    map: BTreeMap<String, Option<String>>,
    /// `/buckets/OLD/` and `/buckets/NEW/`, for the URIs of groups.
    buckets: (String, String),
    left_out: BTreeSet<String>,
}

impl People {
    /// Reads a mapping: lines `OLD NEW`, with `-` for nobody; `#` begins a comment.
    ///
    /// # Errors
    /// If the file cannot be read or a line has another form.
    pub fn read(file: Option<&Path>, bucket: &str, name: &str) -> Result<Self, Failure> {
        let mut people =
            Self { buckets: (format!("/buckets/{bucket}/"), format!("/buckets/{name}/")), ..Self::default() };
        let Some(file) = file else { return Ok(people) };
        let bytes = files::read_small(file)?;
        let bad = |line: usize| {
            Failure::unknown(format!("line {line} of `{}` is not `OLD NEW`", file.display()))
                .hint("such as `basicauth:683aaf60… principal:ana`, or `basicauth:683aaf60… -` for nobody")
        };
        let text = std::str::from_utf8(&bytes).map_err(|_| bad(1))?;
        for (index, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default();
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                [] => {}
                [old, "-"] => drop(people.map.insert((*old).to_owned(), None)),
                [old, new] => drop(people.map.insert((*old).to_owned(), Some((*new).to_owned()))),
                _ => return Err(bad(index + 1)),
            }
        }
        Ok(people)
    }

    /// Who a principal is here; `None` if nobody.
    fn principal(&mut self, old: &str) -> Option<String> {
        if let Some(mapped) = self.map.get(old) {
            return mapped.clone();
        }
        if let Some(rest) = old.strip_prefix(&self.buckets.0) {
            return Some(format!("{}{rest}", self.buckets.1));
        }
        let known = ["system.", "account:", "principal:", "/buckets/"];
        if known.iter().any(|prefix| old.starts_with(prefix)) {
            return Some(old.to_owned());
        }
        // The signer of the old server: this one has its own.
        if !old.starts_with("plugin:") {
            self.left_out.insert(old.to_owned());
        }
        None
    }

    /// Permissions as they are here. What nobody has is left out.
    pub fn permissions(&mut self, old: &Map<String, Value>) -> Map<String, Value> {
        let mut permissions = Map::new();
        for (name, principals) in old {
            let principals = self.all(principals);
            if !principals.is_empty() {
                permissions.insert(name.clone(), principals.into_iter().collect());
            }
        }
        permissions
    }

    /// The members of a group.
    pub fn members(&mut self, group: &Map<String, Value>) -> Vec<String> {
        let members = group.get("members").cloned().unwrap_or_default();
        self.all(&members)
    }

    fn all(&mut self, principals: &Value) -> Vec<String> {
        let principals = principals.as_array().into_iter().flatten().filter_map(Value::as_str);
        principals.filter_map(|old| self.principal(old)).collect()
    }

    /// Who has no rights here, because nothing says who they are.
    pub fn left_out(&self) -> Vec<&str> {
        self.left_out.iter().map(String::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn people_are_those_of_the_map_and_others_are_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("map");
        std::fs::write(&file, "# who is who\nbasicauth:1a principal:ana\n\nbasicauth:2b  -  # left\n")
            .unwrap();
        let mut people = People::read(Some(&file), "old", "new").unwrap();
        let old = json!({
            "write": ["basicauth:1a", "basicauth:2b", "basicauth:3c", "/buckets/old/groups/g"],
            "read": ["system.Everyone", "account:eve"],
            "record:create": ["basicauth:2b"],
        });
        let new = people.permissions(old.as_object().unwrap());
        assert_eq!(
            Value::Object(new),
            json!({
                "write": ["principal:ana", "/buckets/new/groups/g"],
                "read": ["system.Everyone", "account:eve"],
            })
        );
        assert_eq!(people.left_out(), ["basicauth:3c"]);
        std::fs::write(&file, "one two three\n").unwrap();
        assert_eq!(People::read(Some(&file), "a", "a").unwrap_err().code(), 2);
    }
}
