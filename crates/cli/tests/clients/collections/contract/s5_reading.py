"""5: changesets, what changed where, broadcasts."""

import gzip
import re

from .harness import check
from .s4_bytes import changeset, verified
from .s4_signer import reviewed, source

MONITOR = "/buckets/monitor/collections/changes"


@check("5")
def _(w):
    """A changeset is metadata, timestamp and changes; tombstones with `_since` only; the newest first."""
    one = source(w)
    for name in "abc":
        w.admin.put(f"{one.records}/{name}", {}).has(201)
    one.set("to-sign").has(200)
    first = changeset(w, one.destination)
    assert set(first) == {"metadata", "timestamp", "changes"}
    shown = w.nobody.get(one.destination).data
    assert first["metadata"] == {**shown, "bucket": "destination"}
    w.admin.delete(one.records + "/a").has(200)
    w.admin.put(one.records + "/b", {"data": {"v": 2}}).has(200)
    one.set("to-sign").has(200)
    whole = changeset(w, one.destination)
    assert {r["id"] for r in whole["changes"]} == {"b", "c"}
    for since in (first["timestamp"], f'"{first["timestamp"]}"'):
        part = changeset(w, one.destination, _since=since)
        assert {r["id"]: r.get("deleted", False) for r in part["changes"]} == {"a": True, "b": False}, part
        assert part["timestamp"] == whole["timestamp"] and part["metadata"] == whole["metadata"]
    for got in (whole, changeset(w, one.destination, _since=0)):
        stamps = [r["last_modified"] for r in got["changes"]]
        assert stamps == sorted(stamps, reverse=True)
    assert changeset(w, one.destination, _since=whole["timestamp"])["changes"] == []
    assert len(changeset(w, one.destination, _limit=1)["changes"]) == 1


@check("5")
def _(w):
    """`_expected` must be given; a `_since` that is no time is malformed."""
    one = source(w)
    path = one.destination + "/changeset"
    answer = w.nobody.get(path).malformed()
    assert answer.json["message"] == "_expected in querystring: Required", answer
    answer = w.nobody.get(path + "?_expected=0&_since=abc").malformed()
    assert answer.json["message"] == (
        "_since in querystring: The value should be integer, optionally between double quotes."
    ), answer
    for query in ("_expected=anything", "_expected=%22123%22", "_expected=9999"):
        w.nobody.get(f"{path}?{query}").has(200)


@check("5")
def _(w):
    """A changeset is for whom the collection may be read by; any collection has one."""
    one = source(w)
    path = one.path + "/changeset?_expected=0"
    w.nobody.get(path).refused(401, 104)
    w.ana.get(path).refused(403, 121)
    assert w.admin.get(path).has(200).json["metadata"]["status"] == "signed"
    w.nobody.get("/buckets/destination/collections/none/changeset?_expected=0").refused(401, 104)
    w.admin.get("/buckets/destination/collections/none/changeset?_expected=0").has(404)
    plain = w.records({"a": 1}, read=["system.Everyone"]).rsplit("/", 1)[0]
    assert changeset(w, plain)["changes"][0]["a"] == 1


@check("5")
def _(w):
    """`Last-Modified` is that of the metadata."""
    one = source(w)
    w.admin.put(one.records + "/r", {}).has(201)
    one.set("to-sign").has(200)
    answer = w.nobody.get(one.destination + "/changeset?_expected=0").has(200)
    assert answer.headers["Last-Modified"] == w.nobody.get(one.destination).headers["Last-Modified"]


@check("5")
def _(w):
    """The monitor names what is published, with the time of its records, the newest first, under ids that stay."""
    one = source(w)
    other = reviewed(w)

    def entries():
        got = changeset(w, MONITOR)
        assert got["metadata"]["bucket"] == "monitor"
        stamps = [e["last_modified"] for e in got["changes"]]
        assert stamps == sorted(stamps, reverse=True) and got["timestamp"] == max(stamps)
        return {(e["bucket"], e["collection"]): e for e in got["changes"]}

    before = entries()
    entry = before["destination", one.name]
    assert set(entry) == {"id", "last_modified", "bucket", "collection", "host"}
    assert re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", entry["id"]) and entry["host"] in w.url
    assert ("preview", other.name) in before and ("prod", other.name) in before and ("source", one.name) not in before
    w.admin.put(one.records + "/r", {}).has(201)
    one.set("to-sign").has(200)
    after = entries()["destination", one.name]
    assert after["id"] == entry["id"] and after["last_modified"] > entry["last_modified"]
    assert after["last_modified"] == w.nobody.get(one.destination + "/records").etag
    ids = {e["id"] for e in entries().values()}
    assert len(ids) == len(entries())


@check("5")
def _(w):
    """The monitor can be asked since when, and of which bucket and collection."""
    one, other = source(w), source(w)
    stamp = changeset(w, MONITOR)["timestamp"]
    for each in (other, one):
        w.admin.put(each.records + "/r", {}).has(201)
        each.set("to-sign").has(200)
    since = changeset(w, MONITOR, _since=f'"{stamp}"')
    assert [e["collection"] for e in since["changes"]] == [one.name, other.name], since
    of = changeset(w, MONITOR, bucket="destination", collection=one.name)["changes"]
    assert [(e["bucket"], e["collection"]) for e in of] == [("destination", one.name)]
    assert {e["bucket"] for e in changeset(w, MONITOR, bucket="preview")["changes"]} <= {"preview"}


@check("5")
def _(w):
    """The monitor leads who asks for too much, or oddly, to what can be kept: with the time to keep it."""
    path = MONITOR + "/changeset"
    old = w.nobody.get(path + "?_expected=0&_since=%22123%22").has(307)
    assert old.headers["Location"].endswith("/v1" + path + "?_expected=0"), old
    assert "max-age" in old.headers["Cache-Control"]
    quoted = w.nobody.get(path + "?_expected=%22123%22").has(307)
    assert quoted.headers["Location"].endswith(path + "?_expected=123"), quoted
    stamp = changeset(w, MONITOR)["timestamp"]
    assert w.nobody.get(f"{path}?_expected={stamp - 1000}&_since={stamp}").has(204).body == b""
    w.nobody.get(path).malformed()


@check("5")
def _(w):
    """The old list of changes has an `ETag`; unchanged it is empty and not 304."""
    one = source(w)
    answer = w.nobody.get(MONITOR + "/records").has(200)
    assert one.name in [e["collection"] for e in answer.data] and answer.etag == max(
        e["last_modified"] for e in answer.data
    )
    again = w.nobody.get(MONITOR + "/records", {"If-None-Match": answer.headers["ETag"]}).has(200)
    assert again.data == [] and again.etag == answer.etag
    w.admin.put(one.records + "/r", {}).has(201)
    one.set("to-sign").has(200)
    newer = w.nobody.get(f"{MONITOR}/records?_since={answer.etag}").has(200)
    assert [e["collection"] for e in newer.data] == [one.name]


@check("5")
def _(w):
    """The broadcasts say of which time the changes are."""
    source(w)
    answer = w.nobody.get("/__broadcasts__").has(200).json
    assert answer["code"] == 200 and set(answer["broadcasts"]) == {"remote-settings/monitor_changes"}, answer
    assert re.fullmatch('"[0-9]{13}"', answer["broadcasts"]["remote-settings/monitor_changes"]), answer


@check("5")
def _(w):
    """A reader who applies the difference has what was signed, over publications with every kind of change."""
    one = source(w)
    local, stamp = {}, None
    for step in range(8):
        for n in range(step % 3, 6, 2):
            w.admin.put(f"{one.records}/r{n}", {"data": {"step": step, "n": n}}).has(200, 201)
        if step % 2:
            w.admin.delete(f"{one.records}?n={step % 6}").has(200)
        one.set("to-sign").has(200)
        if step % 3 == 1:
            one.set("to-resign").has(200)
        got = changeset(w, one.destination, **({} if stamp is None else {"_since": f'"{stamp}"'}))
        for change in got["changes"]:
            if change.get("deleted"):
                local.pop(change["id"], None)
            else:
                local[change["id"]] = change
        stamp = got["timestamp"]
        whole = verified(w, one.destination)
        assert sorted(local.values(), key=lambda r: r["id"]) == sorted(whole["changes"], key=lambda r: r["id"])
        assert whole["timestamp"] == stamp


@check("5", peer="that is a matter of the server before it")
def _(w):
    """A changeset is compressed for whom takes it so, and is the same."""
    one = source(w)
    for n in range(50):
        w.admin.put(f"{one.records}/r{n}", {"data": {"text": "the same words " * 20}}).has(201)
    one.set("to-sign").has(200)
    path = one.destination + "/changeset?_expected=0"
    plain, packed = w.nobody.get(path), w.nobody.get(path, {"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip" and len(packed.body) < len(plain.body) / 3
    assert gzip.decompress(packed.body) == plain.body
    for answer in (plain, packed):
        assert "accept-encoding" in (answer.headers["Vary"] or "").lower(), answer.headers


@check("5", peer="it does not look at what other collections have")
def _(w):
    """Who polls with the newest time they know misses nothing, also after many records at once."""
    many, other = source(w), source(w)
    known = set()

    def poll(since):
        got = changeset(w, MONITOR, **({} if since is None else {"_since": f'"{since}"'}))
        known.update((e["collection"], e["last_modified"]) for e in got["changes"])
        return got["timestamp"]

    since = poll(None)
    for step in range(4):
        for half in (0, 200):
            requests = [
                {"path": f"{many.records}/r{n}", "body": {"data": {"step": step}}} for n in range(half, half + 200)
            ]
            w.admin.post("/batch", {"defaults": {"method": "PUT"}, "requests": requests}).has(200)
        for one in (many, other):
            w.admin.put(one.records + "/last", {"data": {"step": step}}).has(200, 201)
            one.set("to-sign").has(200)
            since = poll(since)
            assert (one.name, w.nobody.get(one.destination + "/records").etag) in known, (one.name, step)
