"""6: the profile of 2016."""

import json

import signature

from .harness import check

PEER = "it no longer has this profile"


def collection(w):
    w.admin.put("/buckets/seed-source").has(200, 201)
    name = w.name("c")
    w.admin.put(f"/buckets/seed-source/collections/{name}").has(201)
    return f"/buckets/seed-source/collections/{name}", f"/buckets/seed-destination/collections/{name}"


def sign(w, path):
    asked = w.admin.patch(path, {"data": {"status": "to-sign"}}).has(200)
    assert asked.data["status"] == "to-sign"
    after = w.admin.get(path)
    assert after.data["status"] == "signed" and after.etag == asked.etag, (asked, after)


def verified(w, source, published):
    """The bare records, as Python writes them, are what is signed."""
    records = sorted(w.nobody.get(published + "/records").has(200).data, key=lambda r: r["id"])
    assert records == sorted(w.admin.get(source + "/records").data, key=lambda r: r["id"])
    bundle = w.nobody.get(published).data["signature"]
    assert bundle["hash_algorithm"] == "sha384" and bundle["signature_encoding"] == "rs_base64", bundle
    text = json.dumps(records, sort_keys=True, separators=(",", ":")).encode()
    assert signature.holds(signature.key(w.keys["main"]), bundle["signature"], text, alphabet="+/")
    return records


@check("6", peer=PEER)
def _(w):
    """What is signed are the bare records as Python writes them, floats too, under the times of the source."""
    source, published = collection(w)
    w.admin.put(
        source + "/records/bbbbbbbb-0000-4000-8000-000000000000",
        {"data": {"f": 1.0, "g": 1e21, "h": 1e-05, "t": "é😀"}},
    ).has(201)
    w.admin.put(source + "/records/aaaaaaaa-0000-4000-8000-000000000000", {"data": {"n": 2, "big": 2**53 + 1}}).has(201)
    sign(w, source)
    assert len(verified(w, source, published)) == 2


@check("6", peer=PEER)
def _(w):
    """It is signed whenever that is asked for, also when it is; other statuses are data."""
    source, published = collection(w)
    w.admin.put(source + "/records/r", {"data": {"n": 1}}).has(201)
    sign(w, source)
    first = w.nobody.get(published).data["signature"]
    sign(w, source)
    assert w.nobody.get(published).data["signature"] != first
    assert w.admin.patch(source, {"data": {"status": "foo"}}).has(200).data["status"] == "foo"
    assert w.admin.get(source).data["status"] == "foo"
    verified(w, source, published)


@check("6", peer=PEER)
def _(w):
    """A deletion becomes a tombstone with a new time."""
    source, published = collection(w)
    for n in range(3):
        w.admin.put(f"{source}/records/r{n}", {"data": {"n": n}}).has(201)
    sign(w, source)
    w.admin.delete(source + "/records/r1").has(200)
    sign(w, source)
    assert len(verified(w, source, published)) == 2
    gone = [r for r in w.nobody.get(published + "/records?_since=0").data if r.get("deleted")]
    assert [r["id"] for r in gone] == ["r1"]


@check("6", peer=PEER)
def _(w):
    """Everybody reads what is published; nobody of the users writes it."""
    source, published = collection(w)
    w.admin.put(source + "/records/r", {}).has(201)
    sign(w, source)
    w.nobody.get(published).has(200)
    w.ana.put(published + "/records/x", {}).refused(403, 121)
    w.ana.get("/buckets/seed-destination").refused(403, 121)
