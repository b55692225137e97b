use super::*;

fn resources(lines: &[&str]) -> Result<Resources, ResourceError> {
    Resources::parse(&lines.join("\n"))
}

fn found(matched: Option<Matched>) -> String {
    matched.map_or("nothing".to_owned(), |matched| {
        let Matched { source, preview, destination } = matched;
        Resource { source, preview, destination }.to_string()
    })
}

#[test]
fn lines_are_read_in_both_forms() {
    for (line, wanted) in [
        ("/buckets/a -> /buckets/b", "/buckets/a -> /buckets/b"),
        ("/buckets/a->/buckets/b", "/buckets/a -> /buckets/b"),
        ("/buckets/a -> /buckets/p -> /buckets/b", "/buckets/a -> /buckets/p -> /buckets/b"),
        (
            "/buckets/a/collections/x -> /buckets/b/collections/y",
            "/buckets/a/collections/x -> /buckets/b/collections/y",
        ),
        ("a/x;b/y", "/buckets/a/collections/x -> /buckets/b/collections/y"),
        ("a/x; p/x ;b/y", "/buckets/a/collections/x -> /buckets/p/collections/x -> /buckets/b/collections/y"),
        ("a;b", "/buckets/a -> /buckets/b"),
        ("/buckets/a;/buckets/b", "/buckets/a -> /buckets/b"),
    ] {
        let resource: Resource = line.parse().unwrap();
        assert_eq!(resource.to_string(), wanted, "{line}");
        assert_eq!(wanted.parse(), Ok(resource));
    }
}

#[test]
fn malformed_lines_are_refused() {
    let place = |place: &str| ResourceError::Place { place: place.into() };
    let line = |line: &str| ResourceError::Line { line: line.into() };
    let mixed = |line: &str| ResourceError::Mixed { line: line.into() };
    for (text, wanted) in [
        ("", place("")),
        ("/buckets/a", line("/buckets/a")),
        ("a;b;c;d", line("a;b;c;d")),
        ("/buckets/a -> b", place("b")),
        ("/buckets/a -> ", place("")),
        ("/buckets/a/x -> /buckets/b", place("/buckets/a/x")),
        ("/buckets/-a -> /buckets/b", place("/buckets/-a")),
        ("/buckets/a.b -> /buckets/b", place("/buckets/a.b")),
        ("a/b/c;d/e", place("a/b/c")),
        ("/buckets/a -> /buckets/b/collections/x", mixed("/buckets/a -> /buckets/b/collections/x")),
        ("a/x;b", mixed("a/x;b")),
        ("a;p/x;b", mixed("a;p/x;b")),
    ] {
        assert_eq!(text.parse::<Resource>(), Err(wanted), "{text}");
    }
}

#[test]
fn a_collection_is_found_from_each_of_its_places() {
    let all =
        resources(&["# two", "", "/buckets/src -> /buckets/dst", "/buckets/s -> /buckets/p -> /buckets/d"])
            .unwrap();
    let two = "/buckets/src/collections/x -> /buckets/dst/collections/x";
    let three = "/buckets/s/collections/x -> /buckets/p/collections/x -> /buckets/d/collections/x";
    assert_eq!(found(all.of_source("src", "x")), two);
    assert_eq!(found(all.of_destination("dst", "x")), two);
    assert_eq!(found(all.of_source("s", "x")), three);
    assert_eq!(found(all.of_preview("p", "x")), three);
    assert_eq!(found(all.of_destination("d", "x")), three);
    for nothing in [
        all.of_source("dst", "x"),
        all.of_source("other", "x"),
        all.of_preview("dst", "x"),
        all.of_preview("src", "x"),
        all.of_destination("p", "x"),
    ] {
        assert_eq!(nothing, None);
    }
}

#[test]
fn the_line_of_a_collection_wins_over_that_of_its_bucket() {
    let all = resources(&[
        "/buckets/s -> /buckets/d",
        "/buckets/s/collections/x -> /buckets/p/collections/x -> /buckets/d/collections/x",
        "/buckets/s/collections/y -> /buckets/other/collections/z",
    ])
    .unwrap();
    let x = "/buckets/s/collections/x -> /buckets/p/collections/x -> /buckets/d/collections/x";
    let y = "/buckets/s/collections/y -> /buckets/other/collections/z";
    assert_eq!(found(all.of_source("s", "x")), x);
    assert_eq!(found(all.of_destination("d", "x")), x);
    assert_eq!(found(all.of_preview("p", "x")), x);
    assert_eq!(found(all.of_source("s", "y")), y);
    assert_eq!(found(all.of_destination("other", "z")), y);
    // Its source is published elsewhere.
    assert_eq!(found(all.of_destination("d", "y")), "nothing");
    assert_eq!(found(all.of_source("s", "w")), "/buckets/s/collections/w -> /buckets/d/collections/w");
}

#[test]
fn no_place_has_two_parts() {
    for (lines, repeated) in [
        (vec!["a;a"], "/buckets/a"),
        (vec!["a/x;a/x"], "/buckets/a/collections/x"),
        (vec!["a;p;a"], "/buckets/a"),
        (vec!["a;b", "a;c"], "/buckets/a"),
        (vec!["a;b", "c;b"], "/buckets/b"),
        (vec!["a;p;b", "c;p;d"], "/buckets/p"),
        (vec!["a;b", "b;c"], "/buckets/b"),
        (vec!["a;p;b", "c;p"], "/buckets/p"),
        (vec!["a/x;b/x", "a/x;c/x"], "/buckets/a/collections/x"),
        // One collection in a bucket of another line.
        (vec!["a;b", "b/x;c/x"], "/buckets/b/collections/x"),
        (vec!["a;b", "c/x;a/x"], "/buckets/a/collections/x"),
        (vec!["a;b", "c/x;b/x"], "/buckets/b/collections/x"),
        (vec!["a;b", "a/x;b/y"], "/buckets/b/collections/y"),
        (vec!["a;p;b", "a/x;b/x;p/x"], "/buckets/p/collections/x"),
    ] {
        let place = repeated.parse().unwrap();
        assert_eq!(resources(&lines), Err(ResourceError::Repeated { place }), "{lines:?}");
    }
    for lines in [
        vec!["a/x;a/y"],
        vec!["a/x;b/x", "a/y;b/y"],
        vec!["a;b", "a/x;c/x", "a/y;b/y"],
        vec!["a;p;b", "a/x;p/x;b/x"],
        vec!["a;p;b", "a/x;b/x"],
    ] {
        assert!(resources(&lines).is_ok(), "{lines:?}");
    }
    let many: Vec<_> = (0..1025).map(|i| format!("a{i};b{i}").parse().unwrap()).collect();
    assert_eq!(Resources::new(many), Err(ResourceError::TooMany { got: 1025, max: 1024 }));
}
