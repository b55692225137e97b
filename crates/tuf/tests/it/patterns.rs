//! Path patterns.

use countersign_tuf::patterns::Pattern;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::support::python;

#[test]
fn wildcards_do_not_cross_a_slash() {
    for (pattern, path, wanted) in [
        ("team/*", "team/a.tgz", true),
        ("team/*", "team/", true),
        ("team/*", "team/sub/a.tgz", false),
        ("team/*", "team", false),
        ("*", "a", true),
        ("*", "a/b", false),
        ("*/*", "a/b", true),
        ("?", "/", false),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("f?le", "f\u{e4}le", true),
        ("*.tgz", "x.tgz.tgz", true),
        ("*a*b*c", "xxaxxbxxbxxc", true),
        ("*a*b*c", "xxaxxbxxbxxcx", false),
        ("dir//x", "dir//x", true),
        ("dir//x", "dir/x", false),
        ("A", "a", false),
        (".", "x", false),
        ("v[0-9].[!0]", "v1.2", true),
        ("v[0-9].[!0]", "v1.0", false),
        ("[", "[", true),
        ("[]]", "]", true),
        ("[!]]", "]", false),
        ("[z-a]", "b", false),
        ("a%2Fb", "a/b", false),
        ("x\n*", "x\ny", true),
    ] {
        assert_eq!(Pattern::new(pattern).matches(path), wanted, "{pattern:?} {path:?}");
    }
}

#[test]
fn any_pattern_matches_what_python_tuf_matches() {
    let mut runner = TestRunner::deterministic();
    let strategy = ("[ab\\[\\]!^*?/\\\\&.|~-]{0,9}", "[ab\\[\\]!^/\\\\&.|~-]{0,6}");
    let pairs: Vec<(String, String)> =
        (0..40_000).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect();
    let printed = python("patterns.py", &serde_json::to_string(&pairs).unwrap());
    let wanted: Vec<bool> = serde_json::from_str(&printed).unwrap();
    for ((pattern, path), wanted) in pairs.iter().zip(&wanted) {
        assert_eq!(Pattern::new(pattern).matches(path), *wanted, "{pattern:?} {path:?}");
    }
    assert!(wanted.iter().filter(|matches| **matches).count() > 100, "some match");
}

#[test]
fn a_pattern_of_many_stars_takes_no_time() {
    let path = "a".repeat(20_000);
    assert!(!Pattern::new(&format!("{}b", "*a".repeat(200))).matches(&path));
    assert!(!Pattern::new(&"[".repeat(20_000)).matches(&path));
}
