"""3.5: schemas, the bucket of one's own, history, the list of permissions, attachments."""

import hashlib
import json

from .harness import check
from .s4_bytes import verified
from .s4_signer import source

SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}, "s": {"type": "string", "pattern": "^a"}},
    "required": ["n"],
}


@check("3.5")
def _(w):
    """A record must be as the collection's schema says, and is stamped with the schema's time."""
    path = w.collection(data={"schema": SCHEMA})
    stamp = w.admin.get(path).etag
    assert w.admin.put(path + "/records/r", {"data": {"n": 1}}).has(201).data["schema"] == stamp
    for data in ({}, {"n": "z"}, {"n": 1, "s": "b"}):
        w.admin.put(path + "/records/x", {"data": data}).malformed()
        w.admin.post(path + "/records", {"data": data}).malformed()
    answer = w.admin.put(path + "/records/x", {"data": {"n": "z"}})
    assert answer.json["details"][0]["location"] == "body" and answer.json["details"][0]["name"] == "n", answer
    w.admin.patch(path + "/records/r", {"data": {"n": "z"}}).malformed()
    w.admin.patch(path + "/records/r", {"data": {"s": "ab"}}).has(200)
    assert w.admin.get(path + "/records").ids == ["r"]
    w.admin.patch(path, {"data": {"schema": {"type": "object"}}}).has(200)
    assert w.admin.put(path + "/records/x", {"data": {}}).has(201).data["schema"] == w.admin.get(path).etag


@check("3.5")
def _(w):
    """What is no schema is malformed."""
    bucket = w.bucket()
    for schema in ({"type": "plop"}, {"properties": []}, {"type": 12}, "x", {"required": "n"}):
        w.admin.put(bucket + "/collections/c", {"data": {"schema": schema}}).malformed()
    w.admin.get(bucket + "/collections/c").has(404)


@check("3.5")
def _(w):
    """`/buckets/default` is one's own, with collections that are made when they are used; nobody has none."""
    own = w.ana.get("/").json["user"]["bucket"]
    assert w.ana.get("/buckets/default").has(200).data["id"] == own
    made = w.ana.put("/buckets/default/collections/tasks/records/one", {"data": {"k": 1}}).has(200, 201)
    assert made.data["k"] == 1
    assert w.ana.get(f"/buckets/{own}/collections/tasks/records/one").has(200).data["k"] == 1
    assert w.ana.get("/buckets/default/collections/others/records").has(200).data == []
    w.bo.get(f"/buckets/{own}").refused(403, 121)
    assert w.bo.get("/buckets/default").data["id"] != own
    for path in ("/buckets/default", "/buckets/default/collections/tasks/records"):
        w.nobody.get(path).refused(401, 104)
    answer = w.ana.post(
        "/batch",
        {
            "requests": [
                {"method": "PUT", "path": "/buckets/default/collections/tasks/records/two", "body": {}},
                {"path": "/buckets/default/collections/tasks/records"},
            ]
        },
    )
    assert {one["id"] for one in answer.json["responses"][1]["body"]["data"]} == {"one", "two"}, answer


@check("3.5")
def _(w):
    """The history has an entry for every change below a bucket, with who, what, when, and what it was then."""
    bucket = w.bucket()
    path = bucket + "/collections/c"
    w.admin.put(path, {"permissions": {"write": [w.ana.id]}}).has(201)
    w.ana.put(path + "/records/r", {"data": {"a": 1}}).has(201)
    changed = w.ana.patch(path + "/records/r", {"data": {"a": 2}}).has(200)
    w.ana.delete(path + "/records/r").has(200)
    w.admin.put(bucket + "/groups/g", {"data": {"members": []}}).has(201)
    entries = w.admin.get(bucket + "/history").has(200).data
    got = [(one["action"], one["resource_name"], one["uri"], one["user_id"]) for one in entries]
    assert got == [
        ("create", "group", bucket + "/groups/g", w.admin.id),
        ("delete", "record", path + "/records/r", w.ana.id),
        ("update", "record", path + "/records/r", w.ana.id),
        ("create", "record", path + "/records/r", w.ana.id),
        ("create", "collection", path, w.admin.id),
        ("create", "bucket", bucket, w.admin.id),
    ], got
    update = entries[2]
    assert update["target"]["data"] == changed.data and set(update["target"]["permissions"]["write"]) == {w.ana.id}
    assert update["collection_id"] == "c" and update["date"][:2] == "20" and len(update["id"]) == 36
    stamps = [one["last_modified"] for one in entries]
    assert stamps == sorted(set(stamps), reverse=True)


@check("3.5")
def _(w):
    """The history is a list: filters, pages, counts; nobody writes it, who writes the bucket may delete from it."""
    bucket = w.bucket()
    path = bucket + "/collections/c"
    w.admin.put(path).has(201)
    for n in range(4):
        w.admin.put(f"{path}/records/r{n}", {"data": {"n": n}}).has(201)
    history = bucket + "/history"
    assert len(w.admin.get(history + "?resource_name=record").data) == 4
    assert len(w.admin.get(history + f"?uri={path}/records/r2").data) == 1
    assert w.admin.get(history + "?target.data.n=3").data[0]["uri"] == path + "/records/r3"
    first = w.admin.get(history + "?_limit=2")
    assert len(first.data) == 2 and "/history?" in first.headers["Next-Page"]
    w.admin.ask("PUT", history + "/x", {}).has(404, 405)
    w.admin.post(history, {}).refused(405, 115)
    w.ana.get(history).has(200, 403)
    w.nobody.get(history).has(200, 401)
    w.admin.delete(history).has(200)
    assert w.admin.get(history).data == []


@check("3.5")
def _(w):
    """`/permissions` lists what a user was given a right to, with the rights."""
    bucket = w.bucket()
    path = w.collection(bucket, **{"record:create": [w.cy.id]})
    w.admin.put(path + "/records/r", {"permissions": {"read": [w.cy.id]}}).has(201)
    mine = {one["uri"]: one for one in w.cy.get("/permissions").has(200).data}
    one = mine[path]
    assert (
        one["resource_name"] == "collection"
        and "record:create" in one["permissions"]
        and "write" not in one["permissions"]
    )
    assert one["bucket_id"] == bucket.split("/")[2] and one["collection_id"] == one["id"] == path.split("/")[4]
    one = mine[path + "/records/r"]
    assert one["resource_name"] == "record" and one["permissions"] == ["read"] and one["record_id"] == "r"
    assert bucket not in mine
    assert len(w.cy.get("/permissions?_limit=1").data) == 1 and w.cy.get("/permissions?_limit=1").headers["Next-Page"]
    assert all(one["resource_name"] == "record" for one in w.cy.get("/permissions?resource_name=record").data)


def multipart(name, kind, content, data=None):
    """A form with a file, and perhaps data; returns the body and its type."""
    edge = "------edge"
    parts = [
        f'--{edge}\r\nContent-Disposition: form-data; name="attachment"; filename="{name}"\r\n'
        f"Content-Type: {kind}\r\n\r\n".encode()
        + content
        + b"\r\n"
    ]
    if data is not None:
        parts.append(f'--{edge}\r\nContent-Disposition: form-data; name="data"\r\n\r\n{json.dumps(data)}\r\n'.encode())
    return b"".join(parts) + f"--{edge}--\r\n".encode(), f"multipart/form-data; boundary={edge}"


@check("3.5", peer="it has them by another package only")
def _(w):
    """A file that is attached to a record is where `base_url` and its location say, with size and hash."""
    base = w.nobody.get("/").json["capabilities"]["attachments"]["base_url"]
    path = w.records({"a": 1}, read=["system.Everyone"])
    content = bytes(range(256)) * 5000
    body, kind = multipart("Some file.bin", "application/octet-stream", content, {"b": 2})
    w.admin.ask("POST", path + "/r1/attachment", body, kind=kind).has(200, 201)
    data = w.nobody.get(path + "/r1").data
    told = data["attachment"]
    assert data["b"] == 2, data
    assert told["size"] == len(content) and told["hash"] == hashlib.sha256(content).hexdigest()
    assert told["filename"] == "Some file.bin" and told["mimetype"] == "application/octet-stream", told
    got = w.nobody.raw("GET", base.rstrip("/")[len(w.url) :] + "/" + told["location"].lstrip("/")).has(200)
    assert got.body == content
    w.admin.ask("POST", path + "/made/attachment", body, kind=kind).has(200, 201)
    assert w.admin.get(path + "/made").data["attachment"]["hash"] == told["hash"]
    w.nobody.ask("POST", path + "/r1/attachment", body, kind=kind).refused(401, 104)
    w.ana.ask("POST", path + "/r1/attachment", body, kind=kind).refused(403, 121)
    w.admin.ask("POST", path + "/r1/attachment", b"nothing", kind=kind).malformed()
    w.admin.ask("POST", path + "/r1/attachment", b"{}", kind="application/json").has(400, 415)


@check("3.5", peer="it has them by another package only")
def _(w):
    """Users do not edit what is said of an attachment, nor take one from elsewhere; a deletion takes it away."""
    path = w.records({"a": 1}, write=[w.ana.id])
    body, kind = multipart("f.txt", "text/plain", b"words")
    w.ana.ask("POST", path + "/r1/attachment", body, kind=kind).has(200, 201)
    told = w.ana.get(path + "/r1").data["attachment"]
    w.ana.patch(path + "/r1", {"data": {"attachment": {**told, "hash": "0" * 64}}}).malformed()
    w.ana.put(path + "/r1", {"data": {"a": 2, "attachment": {"location": "x"}}}).malformed()
    w.ana.put(path + "/r2", {"data": {"attachment": told}}).malformed()
    w.ana.put(path + "/r1", {"data": {"a": 2, "attachment": told}}).has(200)
    w.ana.patch(path + "/r1", {"data": {"a": 3}}).has(200)
    assert w.ana.get(path + "/r1").data["attachment"] == told
    w.ana.delete(path + "/r1/attachment").has(200, 204)
    assert w.ana.get(path + "/r1").data.get("attachment") is None
    w.ana.put(path + "/r1", {"data": {"attachment": told}}).malformed()


@check("3.5", peer="it has them by another package only")
def _(w):
    """The signer publishes what is said of an attachment, and it is signed with the record."""
    one = source(w)
    body, kind = multipart("f.bin", "application/octet-stream", b"content")
    w.admin.ask("POST", one.records + "/r/attachment", body, kind=kind).has(200, 201)
    one.set("to-sign").has(200)
    [published] = verified(w, one.destination)["changes"]
    assert published["attachment"] == w.admin.get(one.records + "/r").data["attachment"], published
    base = w.nobody.get("/").json["capabilities"]["attachments"]["base_url"]
    got = w.nobody.raw("GET", base.rstrip("/")[len(w.url) :] + "/" + published["attachment"]["location"]).has(200)
    assert hashlib.sha256(got.body).hexdigest() == published["attachment"]["hash"]
