//! What readers ask for: `_expected`, `_since`, `_limit`.

use crate::collections::error::{Error, Location};

/// The query of a changeset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// `_expected`: any text, which only makes a URL of its own for caches; with its quotes, if it has some.
    pub expected: String,
    /// `_since`: only what was changed after this timestamp, with tombstones.
    pub since: Option<i64>,
    /// `_limit`: the newest so many.
    pub limit: Option<u32>,
    /// `bucket`, for the monitor.
    pub bucket: Option<String>,
    /// `collection`, for the monitor.
    pub collection: Option<String>,
}

/// Whether `_expected` must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// For changesets.
    Required,
    /// For lists.
    Optional,
}

impl Query {
    /// Reads a decoded query. Of a parameter that is there twice the last one counts; unknown ones are ignored.
    ///
    /// # Errors
    /// [`Error::Invalid`]: 400/107.
    pub fn parse(pairs: &[(String, String)], expected: Expected) -> Result<Self, Error> {
        let value = |name: &str| pairs.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value);
        let malformed = |name: &str, what: &str| Error::invalid(Location::Querystring, name, what.to_owned());
        let text = match (value("_expected"), expected) {
            (Some(text), _) => text.clone(),
            (None, Expected::Optional) => String::new(),
            (None, Expected::Required) => return Err(malformed("_expected", "Required")),
        };
        let since = value("_since").map(|text| {
            let what = "The value should be integer, optionally between double quotes.";
            timestamp(text).ok_or_else(|| malformed("_since", what))
        });
        let limit = value("_limit").map(|text| limit(text).map_err(|what| malformed("_limit", &what)));
        Ok(Self {
            expected: text,
            since: since.transpose()?,
            // As in lists: 0 is no limit of its own.
            limit: limit.transpose()?.filter(|limit| *limit != 0),
            bucket: value("bucket").cloned(),
            collection: value("collection").cloned(),
        })
    }

    /// The timestamp that is expected, if it is one.
    pub fn expected_timestamp(&self) -> Option<i64> {
        timestamp(&self.expected)
    }

    /// Whether the reader wants what is newest, and no cache should keep the answer for long: `_expected=0`, or
    /// a made-up timestamp.
    pub fn is_impatient(&self) -> bool {
        let bare = self.expected.trim_matches('"');
        bare == "0" || bare.starts_with("9999")
    }
}

/// A number of records, as in lists.
fn limit(text: &str) -> Result<u32, String> {
    match text.trim_matches('"').parse::<i64>() {
        Err(_) => Err(format!("\"{text}\" is not a number")),
        Ok(limit) if limit < 0 => Err(format!("{limit} is less than minimum value 0")),
        Ok(limit) => Ok(u32::try_from(limit).unwrap_or(u32::MAX)),
    }
}

/// A timestamp with or without its quotes.
fn timestamp(text: &str) -> Option<i64> {
    let bare = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let digits = bare.bytes().all(|b| b.is_ascii_digit());
    if digits { bare.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<Query, String> {
        let pairs: Vec<_> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Query::parse(&pairs, Expected::Required).map_err(|error| error.to_string())
    }

    #[test]
    fn queries_are_refused_in_the_words_that_clients_know() {
        let since = "_since in querystring: The value should be integer, optionally between double quotes.";
        for (pairs, wanted) in [
            (&[][..], "_expected in querystring: Required"),
            (&[("_expected", "0"), ("_since", "abc")], since),
            (&[("_expected", "0"), ("_since", "\"12")], since),
            (&[("_expected", "0"), ("_since", "-1")], since),
            (&[("_expected", "0"), ("_since", "")], since),
            (
                &[("_expected", "0"), ("_limit", "-1")],
                "_limit in querystring: -1 is less than minimum value 0",
            ),
            (&[("_expected", "0"), ("_limit", "x")], "_limit in querystring: \"x\" is not a number"),
        ] {
            assert_eq!(parse(pairs).unwrap_err(), wanted, "{pairs:?}");
        }
    }

    #[test]
    fn a_timestamp_may_stand_in_quotes() {
        let query = parse(&[("_expected", "\"5\""), ("_since", "\"12\""), ("_limit", "3")]).unwrap();
        assert_eq!((query.since, query.limit, query.expected_timestamp()), (Some(12), Some(3), Some(5)));
        assert_eq!(parse(&[("_expected", "x"), ("_since", "12")]).unwrap().since, Some(12));
    }

    #[test]
    fn who_expects_nothing_or_the_impossible_wants_the_newest() {
        for (expected, impatient) in [("0", true), ("\"0\"", true), ("9999999", true), ("1795", false)] {
            assert_eq!(parse(&[("_expected", expected)]).unwrap().is_impatient(), impatient, "{expected}");
        }
    }
}
