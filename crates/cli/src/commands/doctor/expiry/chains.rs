//! The chains of content signatures: what the metrics say of each certificate.

use jiff::{SignedDuration, Timestamp};

use super::{NAMED, day};
use crate::api::{Api, Request};
use crate::commands::doctor::{Check, State};

/// What a server says of a certificate.
#[derive(Debug, PartialEq)]
struct Element {
    key: String,
    element: String,
    end: Timestamp,
}

/// Looks at every certificate of every chain in use; `None` where there are none.
pub async fn look(api: &Api) -> Option<Check> {
    let unseen = |why: String| Some(Check::new("chains", State::Unseen, why));
    match api.send(Request::get("/metrics")).await {
        Ok(answer) if answer.status.is_success() => {
            let text = String::from_utf8_lossy(&answer.body);
            let elements: Vec<Element> = text.lines().filter_map(read).collect();
            (!elements.is_empty()).then(|| judge(&elements, Timestamp::now()))
        }
        Ok(answer) => unseen(format!("the metrics are not shown: {}", answer.status)),
        Err(failure) => unseen(failure.message),
    }
}

/// `countersign_chain_not_after_seconds{key="collections/main",element="leaf"} 1798761600`
fn read(line: &str) -> Option<Element> {
    let rest = line.strip_prefix("countersign_chain_not_after_seconds{key=\"")?;
    let (key, rest) = rest.split_once("\",element=\"")?;
    let (element, end) = rest.split_once("\"} ")?;
    let end = Timestamp::from_second(end.parse().ok()?).ok()?;
    Some(Element { key: key.into(), element: element.into(), end })
}

/// Less than this left means that something does not renew.
fn soon(element: &str) -> SignedDuration {
    SignedDuration::from_hours(24 * if element == "leaf" { 7 } else { 30 })
}

fn judge(elements: &[Element], now: Timestamp) -> Check {
    let named = |element: &Element| format!("{} of {} on {}", element.element, element.key, day(element.end));
    let (over, left): (Vec<&Element>, Vec<&Element>) = elements.iter().partition(|one| one.end < now);
    let ending: Vec<&Element> =
        left.into_iter().filter(|one| one.end.duration_since(now) < soon(&one.element)).collect();
    let (state, verb, list) = match (over.is_empty(), ending.is_empty()) {
        (false, _) => (State::Bad, "ended", over),
        (true, false) => (State::Warning, "ending soon", ending),
        (true, true) => {
            let keys = elements.iter().filter(|one| one.element == "leaf").count();
            let first = elements.iter().min_by_key(|one| one.end).map(|one| day(one.end).to_string());
            let found =
                format!("of {keys} keys, the first certificate ends on {}", first.unwrap_or_default());
            return Check::new("chains", State::Good, found);
        }
    };
    let mut found = list.iter().take(NAMED).map(|one| named(one)).collect::<Vec<_>>().join(", ");
    if list.len() > NAMED {
        found.push_str(&format!(", and {} more", list.len() - NAMED));
    }
    let hint = if list.iter().any(|one| one.element == "root") {
        "a root is not renewed: see \"Certificate chains\" in docs/surfaces/collections.md"
    } else {
        "a running server renews its leaves and intermediates, and its log says why not; those of an `autograph:` key are renewed by who runs it"
    };
    Check::new("chains", state, format!("{verb}: {found}")).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(element: &str, end: &str) -> Element {
        Element { key: "collections/main".into(), element: element.into(), end: end.parse().unwrap() }
    }

    #[test]
    fn the_metrics_say_when_a_certificate_ends() {
        let line =
            "countersign_chain_not_after_seconds{key=\"collections/main\",element=\"leaf\"} 1798761600";
        assert_eq!(read(line), Some(element("leaf", "2027-01-01T00:00:00Z")));
        for other in ["", "# HELP countersign_chain_not_after_seconds When", "countersign_ready 1"] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn a_leaf_warns_a_week_and_an_authority_a_month_before_its_end() {
        let now = "2026-06-01T00:00:00Z".parse().unwrap();
        let (leaf, root) = (element("leaf", "2026-06-09T00:00:00Z"), element("root", "2036-01-01T00:00:00Z"));
        let check = judge(&[leaf, root], now);
        assert_eq!(check.state, State::Good);
        assert_eq!(check.found, "of 1 keys, the first certificate ends on 2026-06-09");
        for (name, end, state) in [
            ("leaf", "2026-06-07T00:00:00Z", State::Warning),
            ("leaf", "2026-05-31T00:00:00Z", State::Bad),
            ("intermediate", "2026-07-02T00:00:00Z", State::Good),
            ("intermediate", "2026-06-30T00:00:00Z", State::Warning),
            ("root", "2026-06-30T00:00:00Z", State::Warning),
        ] {
            assert_eq!(judge(&[element(name, end)], now).state, state, "{name} {end}");
        }
        let check = judge(&[element("root", "2026-06-30T00:00:00Z")], now);
        assert_eq!(check.found, "ending soon: root of collections/main on 2026-06-30");
    }
}
