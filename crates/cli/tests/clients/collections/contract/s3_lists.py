"""3.3: lists: filters, sorting, pages, counts."""

import json
import time
import urllib.parse

from .harness import check

# What the lists here are made of: every fourth has no colour.
ROWS = [
    {
        "n": n,
        "colour": ["red", "Green", "blue"][n % 3] if n % 4 else None,
        "even": n % 2 == 0,
        "text": str(n),
        "tags": [f"t{n % 2}", f"t{n % 5}"],
        "deep": {"er": {"n": n}},
    }
    for n in range(12)
]
for _row in ROWS:
    if _row["colour"] is None:
        del _row["colour"]


def rows(w):
    """The rows as records `r0` to `r11`; returns the path and the records as they were stored."""
    path = w.records()
    return path, [w.admin.put(f"{path}/r{row['n']}", {"data": row}).has(201).data for row in ROWS]


def numbers(answer):
    return sorted(one["n"] for one in answer.has(200).data)


def q(**filters):
    return "?" + urllib.parse.urlencode(filters)


FILTERS = [
    (q(n=3), lambda r: r["n"] == 3),
    (q(n='"3"'), lambda r: False),
    (q(text='"3"'), lambda r: r["n"] == 3),
    (q(colour="red"), lambda r: r.get("colour") == "red"),
    (q(colour='"red"'), lambda r: r.get("colour") == "red"),
    (q(even="true"), lambda r: r["even"]),
    (q(even="false"), lambda r: not r["even"]),
    (q(even="true", colour="blue"), lambda r: r["even"] and r.get("colour") == "blue"),
    (q(not_n=3), lambda r: r["n"] != 3),
    (q(gt_n=5), lambda r: r["n"] > 5),
    (q(lt_n=5), lambda r: r["n"] < 5),
    (q(min_n=5), lambda r: r["n"] >= 5),
    (q(max_n=5), lambda r: r["n"] <= 5),
    (q(min_n=3, max_n=5), lambda r: 3 <= r["n"] <= 5),
    (q(in_n="1,2,99"), lambda r: r["n"] in (1, 2)),
    (q(in_id="r1,r7,none"), lambda r: r["n"] in (1, 7)),
    (q(exclude_n="1,2,99"), lambda r: r["n"] not in (1, 2)),
    (q(exclude_id="r1"), lambda r: r["n"] != 1),
    (q(like_colour="RE"), lambda r: "re" in r.get("colour", "").lower()),
    (q(like_colour="re*"), lambda r: r.get("colour", "").lower().startswith("re")),
    (q(like_colour="*e"), lambda r: r.get("colour", "").lower().endswith("e")),
    (q(like_colour="b*e"), lambda r: r.get("colour") == "blue"),
    (q(has_colour="true"), lambda r: "colour" in r),
    (q(has_colour="false"), lambda r: "colour" not in r),
    (q(contains_tags='["t1"]'), lambda r: "t1" in r["tags"]),
    (q(contains_tags='["t1", "t3"]'), lambda r: {"t1", "t3"} <= set(r["tags"])),
    (q(contains_any_tags='["t3", "t4"]'), lambda r: {"t3", "t4"} & set(r["tags"])),
    (q(**{"deep.er.n": 4}), lambda r: r["n"] == 4),
    (q(**{"gt_deep.er.n": 9}), lambda r: r["n"] > 9),
    (q(id="r4"), lambda r: r["n"] == 4),
    (q(_foo=1), lambda r: True),
    (q(nothing=1), lambda r: False),
]


@check("3.3")
def _(w):
    """Each filter gives what it says, and together they give what all say; `HEAD` counts the same."""
    path, stored = rows(w)
    for query, holds in FILTERS:
        expected = sorted(one["n"] for one in stored if holds(one))
        assert numbers(w.admin.get(path + query)) == expected, (query, expected)
        head = w.admin.head(path + query).has(200)
        assert head.headers["Total-Objects"] == head.headers["Total-Records"] == str(len(expected)), query


@check("3.3")
def _(w):
    """A filter that cannot be is malformed."""
    path, _ = rows(w)
    for query in (
        "?_limit=abc",
        "?_limit=-1",
        "?_since=abc",
        "?_since=1.5",
        "?_before=abc",
        "?_since=",
        "?_since=-1x",
        "?in_last_modified=a,b",
        "?gt_last_modified=abc",
        "?last_modified=abc",
    ):
        w.admin.get(path + query).malformed()


@check("3.3")
def _(w):
    """`_since` and `_before` are exclusive and may be quoted; `_since` shows tombstones."""
    path, stored = rows(w)
    stamps = [one["last_modified"] for one in stored]
    for value in (str(stamps[5]), f'"{stamps[5]}"'):
        assert numbers(w.admin.get(path + q(_since=value))) == list(range(6, 12))
        assert numbers(w.admin.get(path + q(_before=value))) == list(range(5))
    assert numbers(w.admin.get(path + q(_since=stamps[2], _before=stamps[5]))) == [3, 4]
    gone = w.admin.delete(path + "/r3").data
    assert gone in w.admin.get(path + q(_since=0)).data
    assert w.admin.get(path + q(_since=stamps[11])).data == [gone]
    assert w.admin.get(path + q(_since=stamps[11], deleted="true")).data == [gone]
    assert w.admin.get(path + q(_since=0, deleted="true")).data == [gone]
    assert "r3" not in w.admin.get(path).ids and "r3" in w.admin.get(path + q(min_last_modified=0)).ids
    assert numbers(w.admin.get(path + q(last_modified=stamps[4]))) == [4]
    assert numbers(w.admin.get(path + q(gt_last_modified=stamps[9], lt_last_modified=gone["last_modified"]))) == [
        10,
        11,
    ]


@check("3.3")
def _(w):
    """A time more than a day ahead is none that one has seen."""
    path, _ = rows(w)
    ahead = int(time.time() * 1000) + 25 * 3_600_000
    answer = w.admin.get(path + q(_since=ahead)).malformed()
    assert answer.json["message"] == "Invalid value for _since", answer
    w.admin.get(path + q(_since=99999999999999)).malformed()
    assert w.admin.get(path + q(_since=ahead - 2 * 3_600_000)).data == []


@check("3.3")
def _(w):
    """The newest stands first unless `_sort` says otherwise; of equals the newest; what is no field does not sort."""
    path, stored = rows(w)
    newest = [one["id"] for one in reversed(stored)]
    assert w.admin.get(path).ids == newest == w.admin.get(path + "?_sort=!!").ids
    for sort, key in [
        ("n", lambda r: r["n"]),
        ("-n", lambda r: -r["n"]),
        ("even", lambda r: (r["even"], -r["n"])),
        ("-even,n", lambda r: (not r["even"], r["n"])),
        ("deep.er.n", lambda r: r["n"]),
        ("last_modified", lambda r: r["n"]),
        ("-last_modified", lambda r: -r["n"]),
        ("id", lambda r: r["id"]),
        ("-id", None),
    ]:
        expected = [
            one["id"]
            for one in (sorted(stored, key=key) if key else sorted(stored, key=lambda r: r["id"], reverse=True))
        ]
        assert w.admin.get(path + q(_sort=sort)).ids == expected, sort


@check("3.3")
def _(w):
    """`_fields` gives those fields, within objects too, and always the id and the time."""
    path, stored = rows(w)
    for one in w.admin.get(path + "?_fields=n,deep.er").data:
        n = one["n"]
        assert one == {"n": n, "deep": {"er": {"n": n}}, "id": f"r{n}", "last_modified": stored[n]["last_modified"]}
    assert set(w.admin.get(path + "/r1?_fields=colour,none").data) == {"colour", "id", "last_modified"}
    assert all(set(one) == {"id", "last_modified"} for one in w.admin.get(path + "?_fields=none").data)


def pages(caller, path):
    """All pages as lists of records, by `Next-Page`."""
    result = []
    while path is not None:
        answer = caller.get(path).has(200)
        result.append(answer.data)
        url = answer.headers["Next-Page"]
        assert url is None or url.startswith(caller.url + "/v1/"), url
        path = url and url[len(caller.url + "/v1") :]
        assert len(result) < 50
    return result


@check("3.3")
def _(w):
    """Pages give everything once and in order, whatever sorts and filters; the last has no `Next-Page`."""
    path, _ = rows(w)
    for query in (
        "",
        "&_sort=n",
        "&_sort=-even,n",
        "&_sort=even",
        "&_sort=-id",
        "&even=true",
        "&_sort=last_modified",
        "&_sort=deep.er.n",
        "&_fields=n",
        "&_since=0",
        "&_sort=even&min_n=2",
    ):
        whole = w.admin.get(f"{path}?_limit=0{query}").data
        for limit in (1, 5, 6, 12, 13):
            parts = pages(w.admin, f"{path}?_limit={limit}{query}")
            assert sum(parts, []) == whole, (query, limit)
            assert len(parts) == max(1, -(-len(whole) // limit)), (query, limit)


@check("3.3", peer="it loses objects that lack the field by which it sorts")
def _(w):
    """Pages give everything once also where some lack the field that sorts."""
    path, _ = rows(w)
    for sort in ("colour", "-colour", "colour,n", "none", "-none,-n"):
        whole = w.admin.get(f"{path}?_sort={sort}").ids
        assert len(set(whole)) == 12
        assert [one["id"] for part in pages(w.admin, f"{path}?_limit=5&_sort={sort}") for one in part] == whole, sort


@check("3.3")
def _(w):
    """A page after a change shows neither again nor too late what one has seen."""
    path, _ = rows(w)
    first = w.admin.get(path + "?_limit=4")
    following = first.headers["Next-Page"][len(w.url + "/v1") :]
    w.admin.put(path + "/new", {"data": {"n": 99}}).has(201)
    w.admin.delete(path + "/r11").has(200)
    w.admin.delete(path + "/r8").has(200)
    assert w.admin.get(following).ids == ["r7", "r6", "r5", "r4"]


@check("3.3")
def _(w):
    """A token that was not given out is malformed."""
    path, _ = rows(w)
    for token in ("abc", "e30=", "bnVsbA==", "eyJsYXN0X29iamVjdCI6MX0=", "x" * 5000):
        w.admin.get(f"{path}?_limit=2&_token={token}").malformed()


@check("3.3")
def _(w):
    """A list of ten thousand and more than that in pages is a matter of `_limit`; zero is no limit."""
    path, _ = rows(w)
    assert len(w.admin.get(path + "?_limit=0").data) == len(w.admin.get(path + "?_limit=1000000").data) == 12
    assert w.admin.get(path + "?_limit=12").headers["Next-Page"] is None


@check("3.3")
def _(w):
    """`HEAD` counts; `GET` need not. The counts know filters and tombstones."""
    path, _ = rows(w)
    w.admin.delete(path + "/r1").has(200)
    for query, count in (("", 11), ("?even=true", 6), ("?n=99", 0)):
        head = w.admin.head(path + query).has(200)
        assert head.headers["Total-Objects"] == head.headers["Total-Records"] == str(count), query
        assert head.body == b""


@check("3.3")
def _(w):
    """The lists of buckets, groups and collections are lists too."""
    bucket = w.bucket()
    for name in ("x1", "x2", "x3"):
        w.admin.put(f"{bucket}/groups/{name}", {"data": {"members": [], "n": int(name[1])}}).has(201)
        w.admin.put(f"{bucket}/collections/{name}", {"data": {"n": int(name[1])}}).has(201)
    for kind in ("groups", "collections"):
        assert w.admin.get(f"{bucket}/{kind}?min_n=2&_sort=n").ids == ["x2", "x3"]
        assert [one["id"] for part in pages(w.admin, f"{bucket}/{kind}?_limit=1") for one in part] == ["x3", "x2", "x1"]
        w.admin.delete(f"{bucket}/{kind}/x1").has(200)
        assert [one["id"] for one in w.admin.get(f"{bucket}/{kind}?_since=0").data if one.get("deleted")] == ["x1"]
    assert bucket.rsplit("/", 1)[1] in w.admin.get("/buckets").ids
    assert json.loads(w.admin.head("/buckets").headers["Total-Objects"]) >= 1
