//! What a client wants the answer to be written in: `Accept` (RFC 9110, 12.5.1).

use http::HeaderMap;
use http::header::ACCEPT;

/// The media ranges that a client accepts, each with its weight.
#[derive(Clone, Debug)]
pub struct Accepted<'a>(Vec<(&'a str, u16)>);

/// The most media ranges that are looked at; no client has a use for more.
const MOST: usize = 100;

impl<'a> Accepted<'a> {
    /// Reads all `Accept` fields. A range whose weight is malformed counts as not there.
    pub fn of(headers: &'a HeaderMap) -> Self {
        let fields = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        Self(fields.flat_map(|field| field.split(',')).filter_map(range).take(MOST).collect())
    }

    /// The weight of a type that is named itself, in thousandths; 0 if it is not, or is refused.
    pub fn named(&self, kind: &str) -> u16 {
        self.weight(kind).unwrap_or(0)
    }

    /// The weight of a type in thousandths, by the most specific range that matches it. 0: it is not accepted.
    /// Who sends no `Accept` accepts everything.
    pub fn quality(&self, kind: &str) -> u16 {
        if self.0.is_empty() {
            return WHOLE;
        }
        let family = || kind.split_once('/').and_then(|(family, _)| self.weight(&format!("{family}/*")));
        self.weight(kind).or_else(family).or_else(|| self.weight("*/*")).unwrap_or(0)
    }

    fn weight(&self, range: &str) -> Option<u16> {
        self.0.iter().find(|(given, _)| given.eq_ignore_ascii_case(range)).map(|(_, weight)| *weight)
    }
}

/// A weight of 1.
const WHOLE: u16 = 1000;

/// A media range and its weight. Other parameters are passed over: no type here has any.
fn range(text: &str) -> Option<(&str, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let range = parts.next().filter(|range| !range.is_empty())?;
    let given = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.eq_ignore_ascii_case("q").then_some(value)
    });
    Some((range, given.map_or(Some(WHOLE), weight)?))
}

/// `0`, `1`, `0.` to `0.999` or `1.` to `1.000`, in thousandths.
fn weight(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !matches!(whole, "0" | "1") || fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{whole}{fraction:0<3}").parse().ok()?;
    (thousandths <= WHOLE).then_some(thousandths)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OCTETS: &str = "application/octet-stream";

    fn headers(fields: &[&str]) -> HeaderMap {
        fields.iter().map(|field| (ACCEPT, field.parse().unwrap())).collect()
    }

    #[test]
    fn a_type_has_the_weight_of_the_most_specific_range_that_matches() {
        for (fields, named, quality) in [
            (&["application/octet-stream"] as &[&str], 1000, 1000),
            (&["application/octet-stream;q=0"], 0, 0),
            (&["application/octet-stream ; Q=0.000, */*"], 0, 0),
            (&["*/*;q=0.1, application/octet-stream;q=0.25"], 250, 250),
            (&["*/*"], 0, 1000),
            (&["*/*;q=0.5, application/*;q=0.7"], 0, 700),
            (&["text/plain", "APPLICATION/Octet-Stream;v=1;q=1."], 1000, 1000),
            (&["application/json"], 0, 0),
            (&["application/octet-stream;q=2"], 0, 1000),
            (&[""], 0, 1000),
            (&[], 0, 1000),
        ] {
            let headers = headers(fields);
            let accepted = Accepted::of(&headers);
            assert_eq!((accepted.named(OCTETS), accepted.quality(OCTETS)), (named, quality), "{fields:?}");
        }
    }

    #[test]
    fn a_weight_has_at_most_three_digits_and_is_at_most_one() {
        for (text, wanted) in [
            ("1", Some(1000)),
            ("1.000", Some(1000)),
            ("0", Some(0)),
            ("0.", Some(0)),
            ("0.5", Some(500)),
            ("0.001", Some(1)),
        ] {
            assert_eq!(weight(text), wanted, "{text}");
        }
        for bad in ["", ".5", "1.001", "2", "0.0001", "-0", "0.x", "1e0", "0,5"] {
            assert_eq!(weight(bad), None, "{bad}");
        }
    }
}
