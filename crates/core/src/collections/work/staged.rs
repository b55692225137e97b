//! What is to be written.

use std::collections::HashSet;

use countersign_store::{ObjectRow, Writes};

/// One change.
pub(super) enum Staged {
    Object(ObjectRow),
    Erased(String, String),
    Timestamp(String, i64),
    Members(String, Vec<String>),
}

/// What was staged, in the store's words, where erasing comes first: what was made and erased is not there.
pub(super) fn collect(staged: Vec<Staged>) -> Writes {
    let mut writes = Writes::default();
    let mut gone = HashSet::new();
    let mut grouped = HashSet::new();
    for change in staged.into_iter().rev() {
        match change {
            Staged::Object(row) => {
                if gone.is_empty() || !gone.contains(&(row.list.clone(), row.id.clone())) {
                    writes.objects.push(row);
                }
            }
            Staged::Erased(list, id) => {
                writes.erased.push((list.clone(), id.clone()));
                gone.insert((list, id));
            }
            Staged::Timestamp(list, timestamp) => writes.timestamps.push((list, timestamp)),
            Staged::Members(group, members) => {
                if grouped.insert(group.clone()) {
                    writes.members.push((group, members));
                }
            }
        }
    }
    writes.objects.reverse();
    writes
}
