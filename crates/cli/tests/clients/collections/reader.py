"""A reader in the manner of Remote Settings: polls what changed, takes the difference, and believes only what verifies.

An editor publishes; after each publication the reader, who has nothing but the address, the public key, the root that
it saw first, and what it kept, must have what was published. Somebody in the middle who changes anything is found out.

Environment: `SERVER`, `ADMIN` (`NAME:SECRET`), `KEYS` (JSON: public keys by name).
"""

import base64
import copy
import json
import os
import urllib.request

import signature

SERVER = os.environ["SERVER"]
KEY = signature.key(json.loads(os.environ["KEYS"])["main"])


def fetch(path, method="GET", data=None, admin=False):
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
    if admin:
        headers["Authorization"] = "Basic " + base64.b64encode(os.environ["ADMIN"].encode()).decode()
    body = None if data is None else json.dumps({"data": data}).encode()
    with urllib.request.urlopen(urllib.request.Request(SERVER + "/v1" + path, body, headers, method=method)) as answer:
        return json.loads(answer.read() or b"null")


class Untrusted(Exception):
    """No signature verifies."""


class Reader:
    """What a browser keeps between polls."""

    root = None

    def __init__(self, transport=fetch):
        self.transport, self.since, self.collections, self.whole = transport, None, {}, []

    def poll(self):
        query = "?_expected=0" + (f"&_since=%22{self.since}%22" if self.since else "")
        changes = self.transport("/buckets/monitor/collections/changes/changeset" + query)
        for change in reversed(changes["changes"]):
            # Previews are for those who review.
            if change["bucket"] != "preview":
                self.sync(change["bucket"], change["collection"], change["last_modified"])
        self.since = changes["timestamp"]

    def sync(self, bucket, collection, expected):
        kept = self.collections.get((bucket, collection))
        if kept and kept["timestamp"] >= expected:
            return
        try:
            self.take(bucket, collection, expected, kept)
        except Untrusted:
            # Once more from nothing, as the specification says.
            self.take(bucket, collection, expected, None)

    def take(self, bucket, collection, expected, kept):
        if kept is None:
            self.whole.append(collection)
        since = f"&_since=%22{kept['timestamp']}%22" if kept else ""
        got = self.transport(f"/buckets/{bucket}/collections/{collection}/changeset?_expected={expected}{since}")
        records = dict(kept["records"]) if kept else {}
        for change in got["changes"]:
            if change.get("deleted"):
                records.pop(change["id"], None)
            else:
                records[change["id"]] = change
        message = signature.message(records.values(), got["timestamp"])
        if not any(self.believes(bundle, message) for bundle in got["metadata"]["signatures"]):
            raise Untrusted(f"{bucket}/{collection}")
        self.collections[bucket, collection] = {"timestamp": got["timestamp"], "records": records}

    def believes(self, bundle, message):
        public = KEY
        if bundle["x5u"]:
            with urllib.request.urlopen(bundle["x5u"]) as answer:
                public, self.root = signature.chain(answer.read(), root=self.root)
            assert signature.same(public, KEY)
        return signature.holds(public, bundle["signature"], message)

    def has(self, collection):
        records = self.collections["destination", collection]["records"].values()
        return {one["id"]: one["v"] for one in records}


def meddling(change):
    """A transport on which somebody changes what is published of a collection."""

    def transport(path):
        got = fetch(path)
        if "/destination/" in path:
            got = copy.deepcopy(got)
            change(got)
        return got

    return transport


def publish(collection, put, delete=()):
    source = f"/buckets/source/collections/{collection}"
    for name, value in put.items():
        fetch(f"{source}/records/{name}", "PUT", {"v": value}, admin=True)
    for name in delete:
        fetch(f"{source}/records/{name}", "DELETE", admin=True)
    fetch(source, "PATCH", {"status": "to-sign"}, admin=True)


fetch("/buckets/source", "PUT", admin=True)
for name in ("read-one", "read-two"):
    fetch(f"/buckets/source/collections/{name}", "PUT", admin=True)
reader = Reader()
truth = {"read-one": {}, "read-two": {}}
for step in range(10):
    name = "read-two" if step % 3 == 2 else "read-one"
    put = {f"r{n}": f"step {step} é" for n in range(step, step + 4)}
    delete = [f"r{step - 1}"] if f"r{step - 1}" in truth[name] else []
    publish(name, put, delete)
    truth[name] = {key: value for key, value in {**truth[name], **put}.items() if key not in delete}
    # Not after every publication: what was missed comes with the next.
    if step % 4 != 1:
        reader.poll()
        for each, records in truth.items():
            if ("destination", each) in reader.collections:
                assert reader.has(each) == records, (step, each)
reader.poll()
assert reader.has("read-one") == truth["read-one"] and reader.has("read-two") == truth["read-two"]
assert reader.whole.count("read-one") == reader.whole.count("read-two") == 1, "the rest came as differences"

# Signed anew, nothing changes for who has it; a new reader has it whole.
fetch("/buckets/source/collections/read-one", "PATCH", {"status": "to-resign"}, admin=True)
reader.poll()
late = Reader()
late.poll()
assert late.has("read-one") == reader.has("read-one") and late.has("read-two") == reader.has("read-two")

# Everything goes.
fetch("/buckets/source/collections/read-one/records", "DELETE", admin=True)
publish("read-one", {})
reader.poll()
assert reader.has("read-one") == {}


def another_value(got):
    for one in got["changes"]:
        if "v" in one:
            one["v"] += "!"
            return
    got["changes"].append({"id": "x", "last_modified": 1, "v": ""})


def one_less(got):
    got["changes"] = got["changes"][1:] or [{"id": "x", "last_modified": 1}]


def another_time(got):
    got["timestamp"] += 1


def another_signature(got):
    for bundle in got["metadata"]["signatures"]:
        raw = bytearray(base64.urlsafe_b64decode(bundle["signature"]))
        raw[50] ^= 1
        bundle["signature"] = base64.urlsafe_b64encode(raw).decode()


for change in (another_value, one_less, another_time, another_signature):
    try:
        Reader(meddling(change)).sync("destination", "read-two", 0)
    except Untrusted:
        continue
    raise AssertionError(f"{change.__name__} is believed")

# Who has something else than was published finds out and begins anew.
lost = Reader()
lost.poll()
lost.collections["destination", "read-two"]["records"].popitem()
publish("read-two", {"new": "n"})
lost.poll()
assert lost.whole.count("read-two") == 2 and lost.has("read-two") == {**truth["read-two"], "new": "n"}
print("ok")
