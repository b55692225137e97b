"""4.4 and 4.5: what is signed, byte for byte, and where the signature is."""

import base64
import json
import urllib.parse

import signature

from .harness import Caller, check, together
from .s4_signer import reviewed, source


def changeset(w, place, who=None, **query):
    query = urllib.parse.urlencode({"_expected": 0, **query})
    return (who or w.nobody).get(f"{place}/changeset?{query}").has(200).json


def keys(w):
    return {name: signature.key(pem) for name, pem in w.keys.items()}


def verified(w, place, names=("main",), floats=False):
    """The changeset of a place, if each of its signatures verifies, with these keys in this order."""
    got = changeset(w, place)
    message = signature.message(got["changes"], got["timestamp"], floats)
    bundles = got["metadata"]["signatures"]
    assert len(bundles) == len(names) and got["metadata"]["signature"] == bundles[0], bundles
    for name, bundle in zip(names, bundles):
        assert signature.holds(keys(w)[name], bundle["signature"], message), f"{place}: {name}"
        assert not signature.holds(keys(w)[name], bundle["signature"], message + b" ")
    return got


VALUES = {
    "text": 'é € 😀 \u2028 \x7f " \\ / <>& \b\f\n\r\t\x01',
    "é": 1,
    "😀": 2,
    "\uffee": 3,
    "Z": [],
    "n": {},
    "nul": None,
    "tr": True,
    "fa": False,
    "big": 2**64 - 1,
    "small": -(2**63),
    "odd": 2**53 + 1,
    "": 0,
    "a b": [[1], [{"b": 1, "a": 2}]],
    "zero": 0,
}


@check("4.4")
def _(w):
    """An empty collection is signed as empty, with the timestamp of its records."""
    one = source(w)
    got = verified(w, one.destination)
    assert got["changes"] == [] and got["timestamp"] == w.nobody.get(one.destination + "/records").etag


@check("4.4")
def _(w):
    """What is signed verifies over the canonical form of what is served: every kind of value, ids in order."""
    one = source(w, schema={"type": "object"})
    for name in ("b", "B", "0", "a-1", "a_1", "a1", "zz", "Z9"):
        w.admin.put(f"{one.records}/{name}", {"data": VALUES}).has(201)
    one.set("to-sign").has(200)
    got = verified(w, one.destination)
    assert len(got["changes"]) == 8
    assert all(
        {k: v for k, v in r.items() if k not in ("id", "last_modified", "schema")} == VALUES for r in got["changes"]
    )
    assert got["timestamp"] == w.nobody.get(one.destination + "/records").etag
    assert all(isinstance(r["schema"], int) for r in got["changes"])


@check("4.4")
def _(w):
    """It verifies after every step: changes, deletions, a new signature, a rollback, a deleted source."""
    one = source(w)
    for step in range(6):
        for n in range(step, step + 5):
            w.admin.put(f"{one.records}/r{n}", {"data": {"step": step}}).has(200, 201)
        if step:
            w.admin.delete(f"{one.records}/r{step}").has(200)
        one.set("to-sign").has(200)
        verified(w, one.destination)
    one.set("to-resign").has(200)
    verified(w, one.destination)
    w.admin.delete(one.records).has(200)
    one.set("to-rollback").has(200)
    assert len(verified(w, one.destination)["changes"]) == 5
    w.admin.delete(one.records).has(200)
    one.set("to-sign").has(200)
    assert verified(w, one.destination)["changes"] == []
    w.admin.delete(one.path).has(200)
    verified(w, one.destination)


@check("4.4")
def _(w):
    """The preview verifies by itself, through a review, a refusal and a rollback."""
    one = reviewed(w)
    verified(w, one.preview), verified(w, one.destination)
    w.ana.put(one.records + "/a", {"data": VALUES}).has(201)
    one.set("to-review", w.ana).has(200)
    assert len(verified(w, one.preview)["changes"]) == 1 and verified(w, one.destination)["changes"] == []
    one.set("to-resign", w.admin).has(200)
    verified(w, one.preview), verified(w, one.destination)
    one.set("to-sign", w.bo).has(200)
    verified(w, one.preview)
    assert len(verified(w, one.destination)["changes"]) == 1
    w.ana.put(one.records + "/b", {}).has(201)
    one.set("to-review", w.ana).has(200)
    w.ana.put(one.records + "/c", {}).has(201)
    one.set("to-rollback", w.ana).has(200)
    for place in (one.preview, one.destination):
        assert [r["id"] for r in verified(w, place)["changes"]] == ["a"]


@check("4.4")
def _(w):
    """Two signatures over the same are two."""
    one = source(w)
    seen = {changeset(w, one.destination)["metadata"]["signature"]["signature"]}
    for _ in range(3):
        one.set("to-resign").has(200)
        seen.add(verified(w, one.destination)["metadata"]["signature"]["signature"])
    assert len(seen) == 4


@check("4.4", peer="it has one key")
def _(w):
    """With two keys there are two signatures over the same, in the order of the keys."""
    one = source(w, "twice")
    w.admin.put(one.records + "/r", {"data": VALUES}).has(201)
    one.set("to-sign").has(200)
    got = verified(w, one.destination, ("main", "next"))
    first, second = got["metadata"]["signatures"]
    assert first["signer_id"] != second["signer_id"] and first["public_key"] != second["public_key"]


@check("4.5", peer="its local signer gives less")
def _(w):
    """A bundle has all that a reader may look at."""
    one = source(w)
    for bundle in w.nobody.get(one.destination).data["signatures"]:
        assert bundle["mode"] == "p384ecdsa" and isinstance(bundle["x5u"], str) and bundle["signer_id"], bundle
        assert bundle["type"] in ("contentsignature", "contentsignaturepki"), bundle
        assert signature.same(signature.key(bundle["public_key"]), keys(w)["main"])
        assert base64.urlsafe_b64decode(bundle["signature"]) and len(bundle["signature"]) == 128


@check("4.8", peer="its local signer has no chain")
def _(w):
    """The chain that `x5u` names can be fetched by anybody: leaf first, for this signer, of code signing, to a root."""
    one = source(w, "twice")
    roots = set()
    for bundle in w.nobody.get(one.destination).data["signatures"]:
        url = urllib.parse.urlsplit(bundle["x5u"])
        pem = Caller(f"{url.scheme}://{url.netloc}").raw("GET", url.path).has(200).body
        public, root = signature.chain(pem, f"{bundle['signer_id']}.content-signature.countersign.local")
        assert signature.same(public, signature.key(bundle["public_key"]))
        assert bundle["type"] == "contentsignaturepki", bundle
        roots.add(root)
    assert len(roots) == 1, roots


@check("4.4")
def _(w):
    """A collection of some hundred records, written in batches and at once, verifies."""
    one = source(w)
    requests = [
        {"method": "PUT", "path": f"{one.records}/r{n}", "body": {"data": {"n": n, "t": "é" * (n % 7)}}}
        for n in range(200)
    ]
    for _ in range(2):
        answers = w.admin.post("/batch", {"requests": requests}).has(200).json["responses"]
        assert {a["status"] for a in answers} <= {200, 201}
    one.set("to-sign").has(200)
    assert len(verified(w, one.destination)["changes"]) == 200
    if w.peer:  # which judges a status in a batch by what was before it
        return
    answer = w.admin.post(
        "/batch",
        {
            "requests": [
                {"method": "DELETE", "path": one.records + "?min_n=100"},
                {"method": "PUT", "path": one.records + "/last", "body": {"data": {"n": 0}}},
                {"method": "PATCH", "path": one.path, "body": {"data": {"status": "to-sign"}}},
            ]
        },
    ).has(200)
    assert [a["status"] for a in answer.json["responses"]] == [200, 201, 200], json.dumps(answer.json)[-600:]
    assert len(verified(w, one.destination)["changes"]) == 101


@check("4.4", peer="it signs and serves ten thousand of them only, and answers some writers with 409")
def _(w):
    """A collection of more than ten thousand records is signed and served whole."""
    one = source(w)

    def fill(caller, start):
        for at in range(start, 10_400, 800):
            requests = [{"path": f"{one.records}/r{n}", "body": {"data": {"n": n}}} for n in range(at, at + 200)]
            answers = caller.post("/batch", {"defaults": {"method": "PUT"}, "requests": requests}).has(200)
            assert {a["status"] for a in answers.json["responses"]} == {201}

    together([lambda c=w.admin.again(), s=start: fill(c, s) for start in (0, 200, 400, 600)])
    assert w.admin.head(one.records).headers["Total-Objects"] == "10400"
    one.set("to-sign").has(200)
    got = verified(w, one.destination)
    assert {r["n"] for r in got["changes"]} == set(range(10_400))
    w.admin.put(one.records + "/r7", {"data": {"n": -7}}).has(200)
    one.set("to-sign").has(200)
    part = changeset(w, one.destination, _since=got["timestamp"])
    assert [r["n"] for r in part["changes"]] == [-7]
    assert len(verified(w, one.destination)["changes"]) == 10_400


@check("4.4", peer="it answers some with 409")
def _(w):
    """While collections are signed, made and changed at the same time, nobody is refused and all of them verify."""
    some = [source(w) for _ in range(4)]

    def work(caller, one):
        for step in range(6):
            caller.put(f"{one.records}/r{step}", {"data": {"step": step}}).has(201)
            caller.patch(one.path, {"data": {"status": "to-sign"}}).has(200)
            caller.put(f"/buckets/source/collections/{one.name}-{step}", {}).has(201)

    def read():
        for _ in range(15):
            for one in some:
                verified(w_of_reader, one.destination)

    class Reader:
        nobody, keys = w.nobody.again(), w.keys

    w_of_reader = Reader
    together([lambda c=w.admin.again(), o=one: work(c, o) for one in some] + [read])
    for one in some:
        assert len(verified(w, one.destination)["changes"]) == 6


@check("4.3")
def _(w):
    """Sources that are deleted as a list are deleted as one by one: groups go, what was published is signed empty."""
    some = [source(w) for _ in range(2)]
    for one in some:
        w.admin.put(one.records + "/r", {}).has(201)
        one.set("to-sign").has(200)
    w.admin.delete("/buckets/source/collections?in_id=" + ",".join(one.name for one in some)).has(200)
    for one in some:
        w.admin.get(one.path).has(404)
        w.admin.get(one.groups + "-editors").has(404)
        assert verified(w, one.destination)["changes"] == []
