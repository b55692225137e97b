"""3.2: timestamps, entity tags, and writing only what one has seen."""

import email.utils
import time

from .harness import check, together


def stamp(answer):
    """`Last-Modified` in seconds."""
    return email.utils.parsedate_to_datetime(answer.headers["Last-Modified"]).timestamp()


@check("3.2")
def _(w):
    """`ETag` and `Last-Modified` are on every read and write: of the object, and for a list that of the list."""
    path = w.records({}, {})
    for answer in (
        w.admin.get(path + "/r1"),
        w.admin.put(path + "/r1", {}),
        w.admin.patch(path + "/r1", {"data": {}}),
        w.admin.post(path, {}),
        w.admin.delete(path + "/r1"),
    ):
        assert answer.data["last_modified"] == answer.etag and stamp(answer) == answer.etag // 1000, answer
    listed = w.admin.get(path)
    assert stamp(listed) == listed.etag // 1000 and listed.etag >= max(one["last_modified"] for one in listed.data)
    assert w.admin.get(path + "?a=nothing").etag == w.admin.head(path).etag == listed.etag


@check("3.2")
def _(w):
    """Timestamps are milliseconds of now, and rise with every write, deletions too."""
    path = w.records()
    stamps = [w.admin.get(path).etag]
    for number in range(20):
        stamps.append(w.admin.put(f"{path}/r{number % 3}", {}).etag)
        if number % 3 == 0:
            stamps.append(w.admin.delete(f"{path}/r0").etag)
    assert stamps == sorted(set(stamps)), stamps
    assert abs(stamps[-1] - time.time() * 1000) < 60_000
    assert w.admin.get(path).etag == stamps[-1]


@check("3.2")
def _(w):
    """An empty list has a timestamp from when it is first read, and keeps it."""
    path = w.records()
    first = w.admin.get(path).etag
    assert first == w.admin.head(path).etag == w.admin.get(path).etag


@check("3.2")
def _(w):
    """A time of the future is kept by a new object and by its list, which counts on from it."""
    path = w.records({})
    future = w.admin.get(path).etag + 50_000
    assert w.admin.put(path + "/f", {"data": {"last_modified": future}}).has(201).etag == future
    assert w.admin.get(path).etag == future
    assert w.admin.put(path + "/r1", {}).etag > future
    assert w.admin.delete(path + "/f").etag > future + 1


@check("3.2")
def _(w):
    """A time of the past is kept by a new object; its list does not go back."""
    path = w.records({})
    before = w.admin.get(path).etag
    made = w.admin.put(path + "/p", {"data": {"last_modified": 1234567890123}}).has(201)
    assert made.etag == made.data["last_modified"] == 1234567890123
    assert w.admin.get(path + "/p").etag == 1234567890123 and w.admin.get(path).etag == before
    got = w.admin.post(path, {"data": {"id": "q", "last_modified": 1234567890100}}).has(201)
    assert got.etag == 1234567890100


@check("3.2")
def _(w):
    """On an update a time counts only if it is later than the one there is; what is no integer does not count."""
    path = w.records({})
    old = w.admin.get(path + "/r1").etag
    assert w.admin.put(path + "/r1", {"data": {"last_modified": 1234567890123}}).etag > old
    assert w.admin.patch(path + "/r1", {"data": {"last_modified": old}}).etag > old
    future = w.admin.get(path).etag + 30_000
    assert w.admin.put(path + "/r1", {"data": {"last_modified": future}}).etag == future
    for value in ("123", None, [1], {}):
        got = w.admin.put(f"{path}/{w.name('x')}", {"data": {"last_modified": value}}).has(201)
        assert got.data["last_modified"] == got.etag > future, value


@check("3.2")
def _(w):
    """A deletion may be given a time, which counts only if it is later than the object's."""
    path = w.records({}, {})
    future = w.admin.get(path).etag + 20_000
    assert w.admin.delete(f"{path}/r1?last_modified={future}").etag == future
    assert w.admin.delete(f"{path}/r2?last_modified=12345").etag > future
    if not w.peer:  # which fails with 500
        w.admin.put(path + "/r3").has(201)
        w.admin.delete(f"{path}/r3?last_modified=abc").has(200, 400)


@check("3.2", peer="it answers the second with 409")
def _(w):
    """No two objects of a list have one time."""
    path = w.records()
    for name in "abc":
        w.admin.put(f"{path}/{name}", {"data": {"last_modified": 1500000000000}}).has(201)
    stamps = [one["last_modified"] for one in w.admin.get(path).data]
    assert len(set(stamps)) == 3 and 1500000000000 in stamps, stamps


@check("3.2")
def _(w):
    """`If-None-Match` with the timestamp of an object or list: 304 on a read, without a body."""
    path = w.records({})
    for where in (path, path + "/r1", path.rsplit("/", 1)[0], path.rsplit("/", 2)[0]):
        etag = w.admin.get(where).etag
        for method in ("GET", "HEAD"):
            answer = w.admin.ask(method, where, headers={"If-None-Match": f'"{etag}"'}).has(304)
            assert answer.body == b"" and answer.etag == etag
        w.admin.get(where, {"If-None-Match": f'"{etag - 1}"'}).has(200)
        w.admin.get(where, {"If-None-Match": '"1"'}).has(200)


@check("3.2")
def _(w):
    """`If-None-Match: *` writes only what is not there."""
    path = w.records({"a": 1})
    for method in ("PUT", "PATCH"):
        answer = w.admin.ask(method, path + "/r1", {"data": {"a": 2}}, {"If-None-Match": "*"})
        answer.refused(412, 114, "Resource was modified meanwhile", "Precondition Failed")
        assert answer.json["details"]["existing"] == w.admin.get(path + "/r1").data
        assert answer.etag == w.admin.get(path + "/r1").etag
    w.admin.post(path, {"data": {"id": "r1", "a": 2}}, {"If-None-Match": "*"}).refused(412, 114)
    w.admin.delete(path + "/r1", {"If-None-Match": "*"}).refused(412, 114)
    assert w.admin.get(path + "/r1").data["a"] == 1
    w.admin.put(path + "/r2", {"data": {"a": 1}}, {"If-None-Match": "*"}).has(201)
    w.admin.post(path, {"data": {"id": "r3"}}, {"If-None-Match": "*"}).has(201)


@check("3.2")
def _(w):
    """`If-Match` reads, writes and deletes only an object that is as it was seen."""
    path = w.records({"a": 1})
    etag = w.admin.get(path + "/r1").etag
    for method, body in [("GET", None), ("PUT", {"data": {"a": 2}}), ("PATCH", {"data": {"a": 2}}), ("DELETE", None)]:
        answer = w.admin.ask(method, path + "/r1", body, {"If-Match": '"1234"'})
        answer.refused(412, 114, "Resource was modified meanwhile")
        assert answer.etag == etag and answer.json["details"]["existing"]["a"] == 1
    assert w.admin.get(path + "/r1").etag == etag
    seen = {"If-Match": f'"{etag}"'}
    w.admin.get(path + "/r1", seen).has(200)
    changed = w.admin.put(path + "/r1", {"data": {"a": 2}}, seen).has(200)
    w.admin.patch(path + "/r1", {"data": {"a": 3}}, seen).refused(412, 114)
    w.admin.delete(path + "/r1", {"If-Match": f'"{changed.etag}"'}).has(200)


@check("3.2")
def _(w):
    """`If-Match` on what is not there: 412, and it is not made."""
    path = w.records()
    for value in ('"1234"', "*"):
        answer = w.admin.put(path + "/x", {}, {"If-Match": value}).refused(412, 114)
        assert "details" not in answer.json
        assert answer.etag == w.admin.get(path).etag
    w.admin.get(path + "/x").has(404)
    w.admin.put(path + "/x", {}).has(201)
    w.admin.put(path + "/x", {}, {"If-Match": "*"}).has(200)


@check("3.2")
def _(w):
    """`If-Match` on a list is of the list, for reading, making and deleting."""
    path = w.records({}, {})
    etag = w.admin.get(path).etag
    old = {"If-Match": f'"{etag - 1}"'}
    w.admin.get(path, old).refused(412, 114)
    w.admin.post(path, {}, old).refused(412, 114)
    w.admin.delete(path, old).refused(412, 114)
    assert len(w.admin.get(path).data) == 2
    w.admin.get(path, {"If-Match": f'"{etag}"'}).has(200)
    if not w.peer:  # which refuses every POST of what is not there
        w.admin.post(path, {}, {"If-Match": f'"{etag}"'}).has(201)
        w.admin.delete(path, {"If-Match": f'"{etag}"'}).refused(412, 114)


@check("3.2")
def _(w):
    """`If-Match: *` is of whatever is there."""
    path = w.records({"a": 1})
    w.admin.get(path + "/r1", {"If-Match": "*"}).has(200)
    w.admin.put(path + "/r1", {"data": {"a": 2}}, {"If-Match": "*"}).has(200)
    w.admin.put(path + "/x", {}, {"If-Match": "*"}).refused(412, 114)
    w.admin.get(path + "/x").has(404)


@check("3.2")
def _(w):
    """The value of a condition is an integer in quotes, or `*`."""
    path = w.records({}) + "/r1"
    for value in ("abc", "1234", '"abc"', '"12', '"', "", '""', '"1", "2"', 'W/"12"'):
        if w.peer and value in ("", '"1", "2"', '""'):
            continue
        for header in ("If-Match", "If-None-Match"):
            for method in ("GET", "PUT", "DELETE"):
                w.admin.ask(method, path, {} if method == "PUT" else None, {header: value}).malformed()
    w.admin.get(path).has(200)


@check("3.2", peer="it loses updates: the check and the write are not one step")
def _(w):
    """Of writers who write only what they have seen, none is lost: four of them, sixty increments."""
    path = w.records({"n": 0}) + "/r1"

    def increments(caller):
        refused = 0
        for _ in range(15):
            while True:
                seen = caller.get(path).has(200)
                body = {"data": {"n": seen.data["n"] + 1}}
                answer = caller.put(path, body, {"If-Match": f'"{seen.etag}"'}).has(200, 412)
                if answer.status == 200:
                    break
                refused += 1
        return refused

    together([lambda c=w.admin.again(): increments(c) for _ in range(4)])
    assert w.admin.get(path).data["n"] == 60, w.admin.get(path)


@check("3.2", peer="it answers some with 409")
def _(w):
    """Writers at the same time are all served, and each write has a time of its own."""
    path = w.records()

    def write(caller, number):
        made = [caller.put(f"{path}/w{number}x{one}", {"data": {"n": one}}).has(201).etag for one in range(20)]
        return made + [caller.patch(f"{path}/w{number}x{one}", {"data": {"m": one}}).has(200).etag for one in range(5)]

    stamps = sum(together([lambda n=n, c=w.admin.again(): write(c, n) for n in range(6)]), [])
    assert len(set(stamps)) == 150
    assert w.admin.get(path).etag == max(stamps) and len(w.admin.get(path).data) == 120


@check("3.2", peer="it answers some with 409")
def _(w):
    """Of those who make one object at the same time, one makes it."""
    path = w.records()
    made = together(
        [
            lambda c=w.admin.again(): c.put(path + "/one", {}, {"If-None-Match": "*"}).has(201, 412).status
            for _ in range(8)
        ]
    )
    assert sorted(made) == [201] + [412] * 7, made
