//! Whether both sides have the same records: everything is read again, and only hashes are kept.

use std::collections::BTreeMap;

use countersign_model::canonical::python_compact;
use countersign_model::digest::sha256;
use serde_json::{Map, Value, json};

use crate::commands::collection::kinto::{Kinto, content, last_modified, text};
use crate::failure::Failure;

/// Ids that are named of each kind of difference, together.
const EXAMPLES: usize = 5;

/// How two collections differ.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// How many the old one has.
    records: usize,
    missing: usize,
    only_here: usize,
    different: usize,
    /// The same, but written at another time: readers with an older copy fetch them again.
    other_time: usize,
    examples: Vec<String>,
}

/// What a record says, as a hash, and when it was written.
type Records = BTreeMap<String, ([u8; 32], i64)>;

/// Compares the records of two collections, and counts those with attachments.
pub async fn compare(from: (&Kinto, &str), to: (&Kinto, &str)) -> Result<(Comparison, u64), Failure> {
    let (old, attachments) = read(from.0, from.1).await?;
    let (new, _) = read(to.0, to.1).await?;
    Ok((differences(&old, &new), attachments))
}

async fn read(kinto: &Kinto, path: &str) -> Result<(Records, u64), Failure> {
    let mut records = Records::new();
    let mut attachments = 0;
    // Pages as large as the server gives them.
    let keep = |record: Map<String, Value>| {
        attachments += u64::from(record.contains_key("attachment"));
        let time = last_modified(&record);
        let said = python_compact(&Value::Object(content(&record)));
        records.insert(text(&record, "id").to_owned(), (sha256(said.as_bytes()), time));
    };
    kinto.each(path, keep).await?;
    Ok((records, attachments))
}

fn differences(old: &Records, new: &Records) -> Comparison {
    let mut comparison = Comparison { records: old.len(), ..Comparison::default() };
    let mut examples = Vec::new();
    for (id, (said, time)) in old {
        match new.get(id) {
            None => comparison.missing += 1,
            Some((other, _)) if other != said => comparison.different += 1,
            Some((_, other)) => {
                comparison.other_time += usize::from(other != time);
                continue;
            }
        }
        examples.push(id.clone());
    }
    for id in new.keys().filter(|id| !old.contains_key(*id)) {
        comparison.only_here += 1;
        examples.push(id.clone());
    }
    examples.truncate(EXAMPLES);
    comparison.examples = examples;
    comparison
}

impl Comparison {
    /// Whether both have the same records.
    pub fn is_same(&self) -> bool {
        self.missing + self.only_here + self.different == 0
    }

    /// As a member of the report.
    pub fn document(&self) -> Value {
        json!({
            "same": self.is_same(), "records": self.records, "missing": self.missing,
            "only_here": self.only_here, "different": self.different, "other_time": self.other_time,
            "examples": self.examples,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_counts_each_kind_of_difference() {
        let records = |list: &[(&str, u8, i64)]| -> Records {
            list.iter().map(|(id, said, time)| ((*id).to_owned(), ([*said; 32], *time))).collect()
        };
        let old = records(&[("a", 1, 1), ("b", 2, 2), ("c", 3, 3), ("d", 4, 4)]);
        let new = records(&[("a", 1, 1), ("b", 9, 2), ("d", 4, 7), ("e", 5, 5)]);
        let found = differences(&old, &new);
        assert_eq!(
            found,
            Comparison {
                records: 4,
                missing: 1,
                only_here: 1,
                different: 1,
                other_time: 1,
                examples: vec!["b".into(), "c".into(), "e".into()],
            }
        );
        assert!(!found.is_same() && differences(&old, &old).is_same());
    }
}
