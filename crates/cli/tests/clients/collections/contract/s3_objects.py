"""3: buckets, groups, collections, records: what each method does to each."""

import json
import re
import uuid

from .harness import check


def places(w):
    """A list of each kind, with what an object of it may have."""
    bucket = w.bucket()
    collection = w.collection(bucket)
    return [
        ("/buckets", {}),
        (bucket + "/groups", {"members": []}),
        (bucket + "/collections", {}),
        (collection + "/records", {}),
    ]


@check("3")
def _(w):
    """PUT makes an object, 201, or replaces it, 200; both answer with it whole."""
    for list_, data in places(w):
        path = f"{list_}/{w.name('o')}"
        made = w.admin.put(path, {"data": {"a": 1, **data}}).has(201)
        assert made.data == {"a": 1, "id": path.rsplit("/", 1)[1], "last_modified": made.etag, **data}
        assert made.json["permissions"] == {"write": [w.admin.id]}, made
        replaced = w.admin.put(path, {"data": {"b": 2, **data}}).has(200)
        assert replaced.data == {"b": 2, "id": made.data["id"], "last_modified": replaced.etag, **data}
        assert replaced.etag > made.etag
        assert w.admin.get(path).json == replaced.json


@check("3")
def _(w):
    """PUT without a body, or without `data`, makes an empty object, and keeps the data of one that is there."""
    for list_, data in places(w):
        for body in (None, {}, {"permissions": {"read": ["account:ana"]}}):
            path = f"{list_}/{w.name('o')}"
            assert set(w.admin.put(path, body).has(201).data) - set(data) == {"id", "last_modified"}
            w.admin.put(path, {"data": {"kept": True, **data}}).has(200)
            again = w.admin.put(path, body).has(200)
            assert again.data["kept"] is True, again


@check("3")
def _(w):
    """POST makes an object under the id it names, or one of its own: a UUID for a record, eight characters else."""
    for list_, data in places(w):
        name = w.name("o")
        made = w.admin.post(list_, {"data": {"id": name, **data}}).has(201)
        assert made.data["id"] == name and made.etag == made.data["last_modified"]
        own = w.admin.post(list_, {"data": {"a": 1, **data}}).has(201).data["id"]
        if list_.endswith("/records"):
            assert uuid.UUID(own).version == 4, own
        else:
            assert re.fullmatch("[a-zA-Z0-9][a-zA-Z0-9_-]{7}", own), own
        assert w.admin.get(f"{list_}/{own}").data["a"] == 1
    w.admin.post(places(w)[3][0]).has(201)


@check("3")
def _(w):
    """POST of an id that is there answers 200 with the old object, and changes nothing."""
    for list_, data in places(w):
        name = w.name("o")
        made = w.admin.post(list_, {"data": {"id": name, "a": 1, **data}}).has(201)
        again = w.admin.post(list_, {"data": {"id": name, "a": 2, **data}}).has(200)
        assert again.data == made.data and again.etag == made.etag
        assert w.admin.get(f"{list_}/{name}").data == made.data


@check("3")
def _(w):
    """GET of an object gives its data and permissions; HEAD the same without a body."""
    for list_, data in places(w):
        path = f"{list_}/{w.name('o')}"
        made = w.admin.put(path, {"data": {"a": 1, **data}, "permissions": {"read": ["account:ana"]}}).has(201)
        got = w.admin.get(path).has(200)
        assert got.json == made.json and got.etag == made.etag
        head = w.admin.head(path).has(200)
        assert head.etag == made.etag and head.body == b""


@check("3")
def _(w):
    """The permissions of an object are shown to whom may write it, `{}` to others; not with `_fields`."""
    path = w.records({"a": 1}, read=["account:ana"]) + "/r1"
    assert w.admin.get(path).json["permissions"] == {"write": [w.admin.id]}
    assert w.ana.get(path).json["permissions"] == {}
    assert set(w.admin.get(path + "?_fields=a").json) == {"data"}


@check("3")
def _(w):
    """DELETE leaves a tombstone and answers with it; after that there is nothing."""
    for list_, data in places(w):
        path = f"{list_}/{w.name('o')}"
        made = w.admin.put(path, {"data": {"a": 1, **data}}).has(201)
        gone = w.admin.delete(path).has(200)
        assert gone.data == {"id": made.data["id"], "last_modified": gone.etag, "deleted": True}
        assert set(gone.json) == {"data"} and gone.etag > made.etag
        for method in ("GET", "DELETE"):
            w.admin.ask(method, path).has(404) if list_ != "/buckets" else w.admin.ask(method, path).has(403, 404)
        again = w.admin.put(path, {"data": data}).has(201)
        assert "a" not in again.data and again.etag > gone.etag


@check("3")
def _(w):
    """DELETE of a list deletes what its filters match and answers with the tombstones."""
    path = w.records({"n": 1}, {"n": 2}, {"n": 3})
    gone = w.admin.delete(path + "?min_n=2").has(200)
    assert {one["id"] for one in gone.data} == {"r2", "r3"} and all(one["deleted"] is True for one in gone.data)
    assert gone.etag == max(one["last_modified"] for one in gone.data)
    assert w.admin.get(path).ids == ["r1"]
    w.admin.delete(path).has(200)
    assert w.admin.delete(path).has(200).data == []
    assert len(w.admin.get(path + "?_since=0").data) == 3


@check("3")
def _(w):
    """With a collection goes what was in it, with a bucket all that was: nothing comes back with the name."""
    bucket = w.bucket()
    path = w.collection(bucket)
    w.admin.put(path + "/records/r", {}).has(201)
    w.admin.put(bucket + "/groups/g", {"data": {"members": []}}).has(201)
    w.admin.delete(path).has(200)
    w.admin.get(path + "/records/r").has(404)
    w.admin.put(path).has(201)
    assert w.admin.get(path + "/records").data == []
    w.admin.put(path + "/records/r", {}).has(201)
    w.admin.delete(bucket).has(200)
    w.admin.put(bucket).has(201)
    assert w.admin.get(bucket + "/collections").data == [] == w.admin.get(bucket + "/groups").data
    w.admin.get(path + "/records").has(404)


IDS = {
    True: ["a", "A", "0", "a-b_c", "9-", "x" * 60, "a__", "aaaaaaaa-0000-4000-8000-000000000000"],
    False: ["-a", "_a", "a.b", "a b", "é", "a/b", "a:b", "", "..", "a%00"],
}


@check("3")
def _(w):
    """Ids are letters, digits, `-` and `_`, and begin with a letter or digit."""
    for list_, data in places(w):
        for name in IDS[True]:
            w.admin.put(f"{list_}/{name}" if list_ != "/buckets" else f"{list_}/{name}{w.name()}", {"data": data}).has(
                201
            )
        for name in IDS[False]:
            w.admin.post(list_, {"data": {"id": name, **data}}).malformed()
        for name in (12, None, True, ["a"], {}):
            w.admin.post(list_, {"data": {"id": name, **data}}).malformed()
        w.admin.put(f"{list_}/a.b", {"data": data}).malformed()
        w.admin.put(f"{list_}/-a", {"data": data}).malformed()
        w.admin.put(f"{list_}/a%20b", {"data": data}).malformed()
        w.admin.put(f"{list_}/%C3%A9", {"data": data}).malformed()


@check("3")
def _(w):
    """PATCH merges `data` shallowly and keeps a null, and leaves permissions that it does not name."""
    path = w.records({"a": 1, "n": {"x": 1, "y": 2}}) + "/r1"
    before = w.admin.get(path).etag
    got = w.admin.patch(path, {"data": {"b": None, "n": {"z": 3}}}).has(200)
    assert got.data == {"a": 1, "b": None, "n": {"z": 3}, "id": "r1", "last_modified": got.etag} and got.etag > before
    w.admin.patch(path, {"permissions": {"read": ["account:ana"]}}).has(200)
    got = w.admin.patch(path, {"permissions": {"write": ["account:bo"]}}).has(200)
    assert got.json["permissions"]["read"] == ["account:ana"], got
    assert set(got.json["permissions"]["write"]) == {"account:bo", w.admin.id}, got
    assert got.data["a"] == 1


@check("3")
def _(w):
    """A merge-patch goes into objects, and null removes."""
    path = w.records({"a": 1, "n": {"x": 1, "y": 2}, "l": [1, 2]}) + "/r1"
    body = {"data": {"a": None, "n": {"x": None, "z": {"q": None, "r": 1}}, "l": [3]}}
    got = w.admin.patch(path, body, kind="application/merge-patch+json").has(200)
    assert got.data == {"n": {"y": 2, "z": {"r": 1}}, "l": [3], "id": "r1", "last_modified": got.etag}, got


@check("3")
def _(w):
    """A JSON-patch does its operations in order on `data` and `permissions`, all or none."""
    path = w.records({"a": 1, "l": [1, 2, 3], "n": {"k": "v"}}) + "/r1"
    kind = "application/json-patch+json"
    got = w.admin.patch(
        path,
        [
            {"op": "test", "path": "/data/a", "value": 1},
            {"op": "add", "path": "/data/l/0", "value": 0},
            {"op": "add", "path": "/data/l/-", "value": 4},
            {"op": "move", "from": "/data/n/k", "path": "/data/m"},
            {"op": "copy", "from": "/data/m", "path": "/data/c"},
            {"op": "remove", "path": "/data/n"},
            {"op": "replace", "path": "/data/a", "value": {"é~/": 1}},
            {"op": "add", "path": "/permissions/read/account:ana"},
        ],
        kind=kind,
    ).has(200)
    assert got.data == {
        "a": {"é~/": 1},
        "l": [0, 1, 2, 3, 4],
        "m": "v",
        "c": "v",
        "id": "r1",
        "last_modified": got.etag,
    }
    assert got.json["permissions"]["read"] == ["account:ana"], got
    w.admin.patch(
        path, [{"op": "remove", "path": "/data/m"}, {"op": "test", "path": "/data/c", "value": "w"}], kind=kind
    ).has(400)
    assert w.admin.get(path).data["m"] == "v"
    got = w.admin.patch(path, [{"op": "remove", "path": "/permissions/read/account:ana"}], kind=kind).has(200)
    assert not got.json["permissions"].get("read"), got


@check("3")
def _(w):
    """A JSON-patch that is none is malformed."""
    path = w.records({"a": 1}) + "/r1"
    for body in (
        b"{}",
        b'{"data":{}}',
        b"[1]",
        b'[{"op":"add"}]',
        b'[{"path":"/data/a"}]',
        b'[{"op":"none","path":"/data/a","value":1}]',
        b'[{"op":"add","path":"/data/x/y","value":1}]',
        b'[{"op":"remove","path":"/data/none"}]',
        b'[{"op":"add","path":"/data/b"}]',
        b"[",
        b'"x"',
        b'[{"op":"add","path":"/other/b","value":1}]',
    ):
        w.admin.patch(path, body, kind="application/json-patch+json").malformed()
    assert w.admin.get(path).data["a"] == 1


@check("3", peer="it fails with 500 on some")
def _(w):
    """A PATCH answers with as much as `Response-Behavior` asks for: all, what was sent, or what became other."""
    path = w.records({"a": 1, "b": 2}) + "/r1"
    got = w.admin.patch(path, {"data": {"a": 5}}, {"Response-Behavior": "light"}).has(200)
    assert {k for k in got.data if k not in ("id", "last_modified")} == {"a"} and got.data["a"] == 5, got
    got = w.admin.patch(path, {"data": {"a": 5, "b": 3}}, {"Response-Behavior": "diff"}).has(200)
    assert "b" not in {k: v for k, v in got.data.items() if v == 3} and "a" not in got.data, got
    assert w.admin.get(path).data.items() >= {"a": 5, "b": 3}.items()


@check("3")
def _(w):
    """Whoever writes an object is in its `write` from then on."""
    path = w.records({"a": 1}, write=["account:ana"]) + "/r1"
    got = w.ana.patch(path, {"data": {"a": 2}}).has(200)
    assert set(got.json["permissions"]["write"]) == {w.admin.id, "account:ana"}, got
    got = w.admin.put(path, {"data": {}, "permissions": {"write": ["account:bo"]}}).has(200)
    assert set(got.json["permissions"]["write"]) == {w.admin.id, "account:bo"}, got


@check("3")
def _(w):
    """Permissions of a PUT replace those it names and leave the others."""
    path = w.records({}) + "/r1"
    w.admin.put(path, {"permissions": {"read": ["account:ana", "account:bo"]}}).has(200)
    got = w.admin.put(path, {"permissions": {"read": ["account:cy"]}}).has(200)
    assert got.json["permissions"] == {"read": ["account:cy"], "write": [w.admin.id]}, got
    got = w.admin.put(path, {"data": {"a": 1}}).has(200)
    assert got.json["permissions"] == {"read": ["account:cy"], "write": [w.admin.id]}, got
    got = w.admin.put(path, {"permissions": {"read": []}}).has(200)
    assert not got.json["permissions"].get("read"), got


VALUES = [
    (b"1", 1),
    (b"-1", -1),
    (b"0", 0),
    (b"18446744073709551615", 18446744073709551615),
    (b"-9223372036854775808", -9223372036854775808),
    (b"9007199254740993", 9007199254740993),
    (b"1.5", 1.5),
    (b"10.0", 10.0),
    (b"1e30", 1e30),
    (b"-0.0", -0.0),
    (b"5e-324", 5e-324),
    (b"true", True),
    (b"false", False),
    (b"null", None),
    (b"[]", []),
    (b"{}", {}),
    ('"é€😀"'.encode(), "é€😀"),
    (b'"\\ud83d\\ude00"', "😀"),
    (b'"\\u2028\\u007f\\/\\b"', "\u2028\x7f/\b"),
    ('{"é": 1, "😀": 2, "": 3, " ": 4}'.encode(), {"é": 1, "😀": 2, "": 3, " ": 4}),
    (b"[[[[1]]]]", [[[[1]]]]),
    (b"123456789012345678901234567890", 123456789012345678901234567890.0),
]


def written(value):
    """A value as one text: `1` and `1.0` are two."""
    return json.dumps(value, sort_keys=True)


@check("3", peer="on PostgreSQL 1e30 comes back as an integer")
def _(w):
    """Every value comes back as it was given; an integer beyond 64 bits as a double."""
    path = w.records()
    for number, (text, value) in enumerate(VALUES):
        made = w.admin.put(f"{path}/v{number}", b'{"data":{"v":' + text + b"}}").has(201)
        for got in (made, w.admin.get(f"{path}/v{number}")):
            assert written(got.data["v"]) == written(value), f"{text}: {got}"
    listed = {one["id"]: one["v"] for one in w.admin.get(path).data}
    for number, (text, value) in enumerate(VALUES):
        assert written(listed[f"v{number}"]) == written(value), text


@check("3")
def _(w):
    """Of members of one name the last counts."""
    path = w.records() + "/r"
    assert w.admin.put(path, b'{"data":{"a":1,"a":2}}').has(201).data["a"] == 2
    assert w.admin.put(path, b'{"data":{"a":1},"data":{"a":3}}').has(200).data["a"] == 3


@check("3")
def _(w):
    """What a client says of `deleted` and of `schema` in a record is data like any other, or refused; it deletes
    nothing."""
    path = w.records({"a": 1})
    answer = w.admin.put(path + "/d", {"data": {"deleted": True, "a": 1}}).has(200, 201, 400)
    if answer.status != 400 and not w.peer:
        w.admin.get(path + "/d").has(200)
        assert "d" in w.admin.get(path).ids
    w.admin.get(path + "/r1").has(200)
