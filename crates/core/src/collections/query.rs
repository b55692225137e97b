//! What the query of a list says.

use countersign_store::{ObjectRow, PageOrder, PageQuery};
use serde_json::{Map, Value};

use super::error::{Error, Location};
use super::fields::Fields;
use super::filter::{self, Filter};
use super::page_token;
use super::sort::{Key, Sort};
use super::work::SKEW;

/// A query, read.
#[derive(Clone, Debug)]
pub struct ListQuery {
    /// Only what is newer.
    since: Option<i64>,
    /// Only what is older.
    before: Option<i64>,
    /// Whether tombstones are found too: if the query says something about time.
    with_tombstones: bool,
    filters: Vec<Filter>,
    /// In which order.
    pub sort: Sort,
    /// Which members are sent; `None`: all.
    pub fields: Option<Fields>,
    /// How many objects a page has.
    pub limit: u32,
    /// The keys of the last object of the page before.
    pub after: Option<Vec<Key>>,
}

/// Conditions that are looked at, at most.
const MOST_FILTERS: usize = 100;

/// Values in all of them, at most: each is looked for in each object.
const MOST_VALUES: usize = 1_000;

impl ListQuery {
    /// Reads a decoded query.
    ///
    /// - `list`: the list's URI, for which tokens are.
    /// - `now`: in milliseconds.
    /// - `most`: how many objects a page has at most, and without `_limit`.
    ///
    /// # Errors
    /// [`Error::Invalid`]: 400/107.
    pub fn parse(query: &[(String, String)], list: &str, now: i64, most: u32) -> Result<Self, Error> {
        Self::parse_for(query, list, now, most, "last_modified")
    }

    /// As [`Self::parse`], for objects of which `last` tells any two apart.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_for(
        query: &[(String, String)],
        list: &str,
        now: i64,
        most: u32,
        last: &str,
    ) -> Result<Self, Error> {
        let value =
            |name: &str| query.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let mut parsed = Self {
            since: None,
            before: None,
            with_tombstones: false,
            filters: Vec::new(),
            sort: Sort::parse(value("_sort").unwrap_or_default(), last),
            fields: value("_fields").map(Fields::parse),
            limit: limit(value("_limit"), most)?,
            after: None,
        };
        for (name, text) in query {
            parsed.condition(name, text, now)?;
        }
        if parsed.filters.len() > MOST_FILTERS {
            return Err(Error::nameless(Location::Querystring, "too many filters"));
        }
        if parsed.filters.iter().map(Filter::values).sum::<usize>() > MOST_VALUES {
            let what = format!("filters can have {MOST_VALUES} values");
            return Err(Error::nameless(Location::Querystring, what));
        }
        if let Some(token) = value("_token") {
            parsed.after = Some(page_token::read(list, &parsed.sort, token)?);
        }
        Ok(parsed)
    }

    fn condition(&mut self, name: &str, text: &str, now: i64) -> Result<(), Error> {
        let (prefix, field) = match name {
            "_since" => ("gt_", "last_modified"),
            "_before" | "_to" => ("lt_", "last_modified"),
            _ if name.starts_with('_') => return Ok(()),
            _ => filter::split(name),
        };
        if field != "last_modified" {
            self.filters.push(Filter::parse(name, text)?);
            return Ok(());
        }
        self.with_tombstones = true;
        let time = || timestamp(name, text, now);
        match prefix {
            "gt_" => self.newer_than(time()?),
            "min_" => self.newer_than(time()?.saturating_sub(1)),
            "lt_" => self.older_than(time()?),
            "max_" => self.older_than(time()?.saturating_add(1)),
            "" => {
                let time = time()?;
                self.newer_than(time.saturating_sub(1));
                self.older_than(time.saturating_add(1));
            }
            "in_" | "exclude_" => {
                for part in text.split(',') {
                    timestamp(name, part, now)?;
                }
                self.filters.push(Filter::parse(name, &text.replace('"', ""))?);
            }
            "not_" => self.filters.push(Filter::parse(name, &time()?.to_string())?),
            _ => self.filters.push(Filter::parse(name, text)?),
        }
        Ok(())
    }

    fn newer_than(&mut self, time: i64) {
        self.since = Some(self.since.map_or(time, |since| since.max(time)));
    }

    fn older_than(&mut self, time: i64) {
        self.before = Some(self.before.map_or(time, |before| before.min(time)));
    }

    /// Whether an object with these members is one.
    pub fn finds(&self, members: &Map<String, Value>) -> bool {
        self.filters.iter().all(|filter| filter.finds(members))
    }

    /// Whether more than time decides.
    pub fn has_filters(&self) -> bool {
        !self.filters.is_empty()
    }

    /// Whether members must be known to answer.
    pub fn looks_inside(&self) -> bool {
        self.has_filters() || !self.sort.is_newest_first()
    }

    /// The only ids that can be found, if there are such.
    pub fn ids(&self) -> Option<Vec<&str>> {
        self.filters.iter().find_map(Filter::ids)
    }

    /// Whether an object with these keys is on this page or a later one.
    pub fn is_later(&self, keys: &[Key]) -> bool {
        self.after.as_ref().is_none_or(|after| self.sort.compare(keys, after).is_gt())
    }

    /// Whether the object is of the right time.
    pub fn in_time(&self, row: &ObjectRow) -> bool {
        self.since.is_none_or(|since| row.last_modified > since)
            && self.before.is_none_or(|before| row.last_modified < before)
            && (self.with_tombstones || !row.deleted)
    }

    /// All that is of the right time.
    pub fn whole(&self) -> PageQuery {
        PageQuery {
            since: self.since,
            before: self.before,
            with_tombstones: self.with_tombstones,
            order: PageOrder::NewestFirst,
            limit: 0,
        }
    }

    /// The store's page to begin with.
    ///
    /// - `step`: how many objects are looked at together where it is not known how many are needed.
    pub fn first_page(&self, step: u32) -> PageQuery {
        let mut page = self.whole();
        page.limit = step;
        if self.sort.is_newest_first() {
            if let Some([Key::Number(last)]) = self.after.as_deref()
                && let Some(last) = last.as_i64()
            {
                page.before = Some(page.before.map_or(last, |before| before.min(last)));
            }
            if !self.has_filters() {
                page.limit = self.limit.saturating_add(1);
            }
        }
        page
    }
}

/// `_limit`: 0 is no limit of one's own.
fn limit(text: Option<&str>, most: u32) -> Result<u32, Error> {
    let Some(text) = text else { return Ok(most) };
    let invalid = |what: String| Err(Error::invalid(Location::Querystring, "_limit", what));
    match text.trim_matches('"').parse::<i64>() {
        Err(_) => invalid(format!("\"{text}\" is not a number")),
        Ok(limit) if limit < 0 => invalid(format!("{limit} is less than minimum value 0")),
        Ok(0) => Ok(most),
        Ok(limit) => Ok(u32::try_from(limit).unwrap_or(u32::MAX).min(most)),
    }
}

/// A timestamp of a query, with or without quotes: not more than a day from now.
fn timestamp(name: &str, text: &str, now: i64) -> Result<i64, Error> {
    let invalid = |what: String| Error::invalid(Location::Querystring, name, what);
    let bare = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let time: i64 = bare.parse().map_err(|_| match name {
        "_since" | "_before" | "_to" => invalid(format!("\"{text}\" is not a number")),
        _ => invalid(format!("Invalid value for {name}")),
    })?;
    if time >= now.saturating_add(SKEW) {
        Err(invalid(format!("Invalid value for {name}")))
    } else {
        Ok(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<ListQuery, String> {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let pairs: Vec<_> = pairs
            .map(|pair| pair.split_once('=').unwrap())
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .collect();
        ListQuery::parse(&pairs, "/buckets", 1_795_208_538_930, 10_000).map_err(|error| error.to_string())
    }

    #[test]
    fn time_goes_by_the_index_and_finds_tombstones() {
        for (query, since, before) in [
            ("_since=5", Some(5), None),
            ("_since=\"5\"", Some(5), None),
            ("gt_last_modified=5&_since=7", Some(7), None),
            ("min_last_modified=5", Some(4), None),
            ("_before=9", None, Some(9)),
            ("_to=9", None, Some(9)),
            ("max_last_modified=9&lt_last_modified=11", None, Some(10)),
            ("last_modified=5", Some(4), Some(6)),
        ] {
            let parsed = parse(query).unwrap();
            assert_eq!((parsed.since, parsed.before), (since, before), "{query}");
            assert!(parsed.with_tombstones && !parsed.has_filters(), "{query}");
        }
        let plain = parse("a=1&_foo=2").unwrap();
        assert!(!plain.with_tombstones && plain.filters.len() == 1);
        assert!(parse("not_last_modified=5").unwrap().has_filters());
    }

    #[test]
    fn what_cannot_be_read_is_refused_in_the_peers_words() {
        for (query, wanted) in [
            ("_since=abc", "_since in querystring: \"abc\" is not a number"),
            ("_since=99999999999999", "Invalid value for _since"),
            ("min_last_modified=x", "Invalid value for min_last_modified"),
            ("_limit=abc", "_limit in querystring: \"abc\" is not a number"),
            ("_limit=-1", "_limit in querystring: -1 is less than minimum value 0"),
            ("_token=abc", "querystring: _token has invalid content"),
            ("like_s=12", "Invalid value for like_s"),
        ] {
            assert_eq!(parse(query).map(drop), Err(wanted.to_owned()), "{query}");
        }
    }

    #[test]
    fn all_filters_together_have_a_thousand_values() {
        let list = |name: &str, count: usize| format!("{name}={}", vec!["1"; count].join(","));
        assert!(parse(&list("in_n", 1_000)).is_ok());
        for query in [
            list("in_n", 1_001),
            list("exclude_n", 1_001),
            list("exclude_id", 1_001),
            list("in_last_modified", 1_001),
            format!("contains_l=[{}]", vec!["1"; 1_001].join(",")),
            format!("{}&{}", list("in_n", 600), list("exclude_m", 600)),
        ] {
            let refused = parse(&query).unwrap_err();
            assert_eq!(refused, "querystring: filters can have 1000 values", "{query:.20}");
        }
    }

    #[test]
    fn a_limit_is_never_more_than_the_servers() {
        for (query, limit) in
            [("", 10_000), ("_limit=0", 10_000), ("_limit=2", 2), ("_limit=99999999999", 10_000)]
        {
            assert_eq!(parse(query).unwrap().limit, limit, "{query}");
        }
    }
}
