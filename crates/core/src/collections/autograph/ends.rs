//! When the certificates end by which readers believe an Autograph: of the chains that it named last, and of those
//! that published collections name. In memory; after a start the first [`look`](super::look) learns them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use countersign_pki::chain::{Chain, MAX_CERTIFICATES};
use jiff::Timestamp;

use crate::collections::chain::{Element, Owner};
use crate::context::Context;

/// What a certificate is called in a chain, the leaf first.
const ELEMENTS: [&str; MAX_CERTIFICATES] = [
    "leaf",
    "intermediate",
    "intermediate-2",
    "intermediate-3",
    "intermediate-4",
    "intermediate-5",
    "intermediate-6",
    "intermediate-7",
    "intermediate-8",
    "root",
];

/// A key of an Autograph, as the configuration has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KeyOf {
    /// The address of the service.
    pub(super) url: String,
    /// Its id there.
    pub(super) id: String,
}

/// The last second of each certificate of a chain, with its place in [`ELEMENTS`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ends(Vec<(usize, Timestamp)>);

impl Ends {
    pub(super) fn of(chain: &Chain) -> Self {
        let last = chain.certificates().count() - 1;
        let place = |(at, certificate): (usize, &countersign_pki::x509::Certificate)| {
            // Some leave out the root, which everybody has.
            let is_root = at > 0 && at == last && certificate.subject() == certificate.issuer();
            (if is_root { ELEMENTS.len() - 1 } else { at }, certificate.not_after())
        };
        Self(chain.certificates().enumerate().map(place).collect())
    }
}

/// What is known: of every key that is configured the chain that was named last, and a bounded number of those that
/// are published.
#[derive(Debug, Default)]
pub(super) struct Seen(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    named: BTreeMap<KeyOf, Named>,
    published: BTreeMap<(KeyOf, String), Ends>,
}

/// What a service said of a key.
#[derive(Debug)]
struct Named {
    at: Timestamp,
    /// Where the chain is, and when it ends; `None`: it has none.
    chain: Option<(String, Ends)>,
}

impl Seen {
    /// Notes what a service named with a signature: where the chain of the key is, and when it ends.
    pub(super) fn name(&self, key: KeyOf, chain: Option<(String, Ends)>, at: Timestamp) {
        self.write().named.insert(key, Named { at, chain });
    }

    /// Whether a service said something of a key within `time` before `now`.
    pub(super) fn is_known(&self, key: &KeyOf, now: Timestamp, time: Duration) -> bool {
        let named = |named: &Named| now.duration_since(named.at).unsigned_abs() < time;
        self.read().named.get(key).is_some_and(named)
    }

    /// Where the services have their chains: `https://HOST`, each once.
    pub(super) fn origins(&self) -> BTreeSet<String> {
        let known = self.read();
        let places = known.named.values().filter_map(|named| named.chain.as_ref());
        places.filter_map(|(x5u, _)| origin(x5u)).map(str::to_owned).collect()
    }

    /// When a chain that is published ends, as it was found last.
    pub(super) fn published_at(&self, key: &KeyOf, x5u: &str) -> Option<Ends> {
        self.read().published.get(&(key.clone(), x5u.to_owned())).cloned()
    }

    /// Replaces what was known of published chains.
    pub(super) fn publish(&self, published: BTreeMap<(KeyOf, String), Ends>) {
        self.write().published = published;
    }

    fn elements(&self) -> Vec<Element> {
        let known = self.read();
        let named = known.named.iter().filter_map(|(key, named)| Some((key, &named.chain.as_ref()?.1)));
        let published = known.published.iter().map(|((key, _), ends)| (key, ends));
        let mut first: BTreeMap<(&str, usize), Timestamp> = BTreeMap::new();
        for (key, Ends(ends)) in named.chain(published) {
            for (place, end) in ends {
                let known = first.entry((&key.id, *place)).or_insert(*end);
                *known = (*known).min(*end);
            }
        }
        let element = |((id, place), not_after): ((&str, usize), Timestamp)| {
            let key = Owner::Autograph(id.to_owned());
            ELEMENTS.get(place).map(|element| Element { key, element, not_after })
        };
        first.into_iter().filter_map(element).collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The scheme and host of an address: `https://HOST:PORT`, as it is written.
fn origin(url: &str) -> Option<&str> {
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let end = url.len() - host.len() + host.find('/')?;
    url.get(..end)
}

/// Whether an address is at one of `origins`.
pub(super) fn is_at(url: &str, origins: &BTreeSet<String>) -> bool {
    origin(url).is_some_and(|origin| origins.contains(origin))
}

/// Every certificate of the chains of Autographs, in the order of their key ids, the leaf first. Of several chains of
/// a key id, of each element that one which ends first.
pub(in crate::collections) fn in_use(ctx: &Context) -> Vec<Element> {
    ctx.collections.autographs.seen.elements()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(url: &str, id: &str) -> KeyOf {
        KeyOf { url: url.into(), id: id.into() }
    }

    fn ends(of: &[(usize, i64)]) -> Ends {
        Ends(of.iter().map(|(place, second)| (*place, Timestamp::from_second(*second).unwrap())).collect())
    }

    fn told(seen: &Seen) -> Vec<String> {
        let line = |one: &Element| format!("{} {} {}", one.key, one.element, one.not_after.as_second());
        seen.elements().iter().map(line).collect()
    }

    #[test]
    fn of_all_chains_of_a_key_id_the_first_end_of_each_element_is_told() {
        let seen = Seen::default();
        let at = Timestamp::UNIX_EPOCH;
        let chain = |of: &[(usize, i64)]| Some(("https://c/new".to_owned(), ends(of)));
        seen.name(key("https://a", "k"), chain(&[(0, 50), (1, 70), (2, 80), (9, 90)]), at);
        seen.name(key("https://b", "k"), chain(&[(0, 60), (1, 65), (9, 90)]), at);
        seen.name(key("https://a", "bare"), None, at);
        let all = |leaf| {
            let rest = [("intermediate", 65), ("intermediate-2", 80), ("root", 90)];
            let all = std::iter::once(("leaf", leaf)).chain(rest);
            all.map(|(element, end)| format!("autograph:k {element} {end}")).collect::<Vec<_>>()
        };
        assert_eq!(told(&seen), all(50));
        seen.publish(BTreeMap::from([((key("https://a", "k"), "https://c/old".into()), ends(&[(0, 40)]))]));
        assert_eq!(told(&seen), all(40), "readers need the old one");
        seen.publish(BTreeMap::new());
        assert_eq!(told(&seen), all(50));
        seen.name(key("https://a", "k"), None, at);
        seen.name(key("https://b", "k"), None, at);
        assert!(told(&seen).is_empty());
    }

    #[test]
    fn chains_are_only_fetched_from_where_a_service_has_its_own() {
        let seen = Seen::default();
        let chain = Some(("https://c.test:8443/g/1".to_owned(), ends(&[])));
        seen.name(key("https://a", "k"), chain, Timestamp::UNIX_EPOCH);
        let origins = seen.origins();
        for (url, allowed) in [
            ("https://c.test:8443/g/2", true),
            ("https://c.test:8443/", true),
            ("https://c.test:8443", false),
            ("http://c.test:8443/g/2", false),
            ("https://c.test/g/2", false),
            ("https://c.test:8443@d.test/g/2", false),
            ("https://c.test:8443\\@d.test/g/2", false),
            ("https://c.test:8443.d.test/g/2", false),
            ("file:///etc/passwd", false),
            ("", false),
        ] {
            assert_eq!(is_at(url, &origins), allowed, "{url}");
        }
    }
}
