//! Files that never change and were asked for last, up to a number of bytes.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Gzip, Served};

/// Bytes that are kept, compressed forms included.
const ROOM: usize = 64 << 20;

/// What is kept.
#[derive(Default)]
pub(in crate::tuf) struct Memory(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    files: HashMap<String, (u64, Served)>,
    /// Names by when they were asked for last, counted in requests.
    used: BTreeMap<u64, String>,
    requests: u64,
    bytes: usize,
}

impl Memory {
    pub(super) fn get(&self, name: &str) -> Option<Served> {
        let mut kept = self.lock();
        kept.requests += 1;
        let now = kept.requests;
        let (used, served) = kept.files.get_mut(name)?;
        let before = std::mem::replace(used, now);
        let served = served.clone();
        if let Some(name) = kept.used.remove(&before) {
            kept.used.insert(now, name);
        }
        Some(served)
    }

    pub(super) fn put(&self, name: &str, served: Served) {
        let size = size(name, &served);
        if size > ROOM / 4 {
            return;
        }
        let mut kept = self.lock();
        kept.remove(name);
        kept.requests += 1;
        let now = kept.requests;
        kept.bytes += size;
        kept.used.insert(now, name.to_owned());
        kept.files.insert(name.to_owned(), (now, served));
        while kept.bytes > ROOM {
            let Some((_, oldest)) = kept.used.pop_first() else { break };
            kept.remove(&oldest);
        }
    }

    /// Forgets files that were removed.
    pub(in crate::tuf) fn forget(&self, name: &str) {
        self.lock().remove(name);
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn remove(&mut self, name: &str) {
        if let Some((used, served)) = self.files.remove(name) {
            self.used.remove(&used);
            self.bytes -= size(name, &served);
        }
    }
}

fn size(name: &str, served: &Served) -> usize {
    let gzip = match &served.gzip {
        Gzip::Made(bytes) => bytes.len(),
        Gzip::Unknown | Gzip::Useless => 0,
    };
    served.bytes.len() + gzip + 2 * name.len() + 256
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(bytes: usize) -> Served {
        Served { bytes: vec![0; bytes].into(), gzip: Gzip::Unknown, etag: String::new(), immutable: true }
    }

    #[test]
    fn what_was_not_asked_for_longest_makes_room() {
        let memory = Memory::default();
        for number in 0..8 {
            memory.put(&number.to_string(), served(10 << 20));
            assert!(memory.get("0").is_some());
        }
        let there: Vec<u8> = (0..8u8).filter(|n| memory.get(&n.to_string()).is_some()).collect();
        assert_eq!(there, [0, 3, 4, 5, 6, 7]);
        assert!(memory.lock().bytes <= ROOM);
    }

    #[test]
    fn what_is_put_twice_counts_once_and_what_is_too_long_is_not_kept() {
        let memory = Memory::default();
        memory.put("a", served(1000));
        let bytes = memory.lock().bytes;
        memory.put("a", served(1000));
        assert_eq!(memory.lock().bytes, bytes);
        memory.put("b", served(ROOM));
        assert!(memory.get("b").is_none());
        memory.forget("a");
        assert_eq!(memory.lock().bytes, 0);
    }
}
