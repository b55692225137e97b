"""1: HTTP, the root document, utilities, errors."""

import json

from .harness import check

PUBLIC = [
    "Retry-After",
    "Alert",
    "Backoff",
    "Content-Length",
    "Content-Type",
    "ETag",
    "Last-Modified",
    "Next-Page",
    "Total-Records",
    "Total-Objects",
    "Cache-Control",
    "Expires",
    "Pragma",
]
POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none';"


@check("1")
def _(w):
    """`/v1` leads to `/v1/`, a path without a version to the same below `/v1`, a slash at the end to none; the query
    goes along."""
    for asked, place in [
        ("/v1", "/v1/"),
        ("/buckets", "/v1/buckets"),
        ("/v1/buckets/", "/v1/buckets"),
        ("/v1/buckets/?_limit=3", "/v1/buckets?_limit=3"),
        ("/buckets/a/collections", "/v1/buckets/a/collections"),
    ]:
        answer = w.nobody.raw("GET", asked).has(307)
        location = answer.headers["Location"]
        assert location in (place, w.url + place), (asked, location)
    assert "max-age=3600" in w.nobody.raw("GET", "/v1/buckets/").headers["Cache-Control"]


@check("1")
def _(w):
    """Answers are JSON by their type."""
    path = w.bucket()
    for answer in [
        w.admin.get("/"),
        w.admin.get(path),
        w.admin.put(path),
        w.admin.get("/nowhere"),
        w.nobody.get(path),
        w.admin.get("/__lbheartbeat__"),
    ]:
        assert answer.headers["Content-Type"].split(";")[0] == "application/json", answer


@check("1")
def _(w):
    """Who sends an `Origin` may read the answer, whatever it is, and at least the headers that clients use."""
    path = w.records({}, read=["system.Everyone"])
    origin = {"Origin": "https://example.com"}
    for answer in [
        w.nobody.get(path, origin),
        w.nobody.get(path + "/r1", origin),
        w.admin.put(path + "/r1", {}, origin),
        w.nobody.get("/buckets/none", origin),
        w.nobody.get("/nowhere", origin),
        w.admin.put(path + "/r1", b"{", origin),
    ]:
        assert answer.headers["Access-Control-Allow-Origin"] == "*", answer
    answer = w.nobody.get(path + "?_limit=1", origin)
    exposed = {name.strip().lower() for name in answer.headers["Access-Control-Expose-Headers"].split(",")}
    # The original names the totals only where it sends them.
    missing = [name for name in PUBLIC if name.lower() not in exposed and not (w.peer and name.startswith("Total"))]
    assert not missing, missing


@check("1")
def _(w):
    """A preflight needs no credentials and gets the methods and the headers that it asked for."""
    for path, method in [
        ("/buckets/b/collections/c/records", "POST"),
        ("/buckets/b", "PUT"),
        ("/batch", "POST"),
        ("/buckets/b/collections/c/records/r", "DELETE"),
        ("/", "GET"),
    ]:
        answer = w.nobody.ask(
            "OPTIONS",
            path,
            headers={
                "Origin": "https://example.com",
                "Access-Control-Request-Method": method,
                "Access-Control-Request-Headers": "authorization,content-type,if-match",
            },
        ).has(200)
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert method in answer.headers["Access-Control-Allow-Methods"], answer
        allowed = answer.headers["Access-Control-Allow-Headers"].lower()
        assert all(name in allowed for name in ("authorization", "content-type", "if-match")), answer


@check("1")
def _(w):
    """Every answer has the headers that keep browsers from taking it for something else."""
    path = w.bucket()
    etag = w.admin.get(path).headers["ETag"]
    answers = [
        w.admin.get("/"),
        w.admin.get(path),
        w.admin.get("/buckets"),
        w.admin.put(path, {}),
        w.nobody.get(path),
        w.admin.put(path, b"{"),
        w.admin.get("/__heartbeat__"),
    ]
    if not w.peer:
        answers += [w.admin.get("/nowhere"), w.admin.get(path, {"If-None-Match": etag}), w.nobody.raw("GET", "/v1")]
    for answer in answers:
        assert answer.headers["X-Content-Type-Options"] == "nosniff", answer
        assert answer.headers["Content-Security-Policy"].strip() == POLICY, answer


@check("1")
def _(w):
    """A body that is written must be JSON by its type, or of no type; a PATCH may be of three."""
    path = w.records({"a": 1})
    body = b'{"data": {}}'
    for kind in ("text/plain", "application/octet-stream", "application/merge-patch+json"):
        w.admin.ask("PUT", path + "/r1", body, kind=kind).malformed(415)
    w.admin.ask("PUT", path + "/x", body, kind="application/json; charset=utf-8").has(201)
    w.admin.ask("PUT", path + "/y", body, kind=None).has(201)
    w.admin.patch(path + "/r1", body, kind="application/merge-patch+json").has(200)
    w.admin.patch(path + "/r1", b"[]", kind="application/json-patch+json").has(200)
    w.admin.patch(path + "/r1", body, kind="text/xml").malformed(415)


@check("1")
def _(w):
    """What is read may not be kept."""
    path = w.records({}, read=["system.Everyone"])
    for where in (path, path + "/r1", path.rsplit("/", 1)[0]):
        for who in (w.admin, w.nobody):
            assert who.get(where).headers["Cache-Control"] == "no-cache, no-store", where


@check("1.1")
def _(w):
    """The root says what the server is."""
    root = w.nobody.get("/").has(200).json
    for member in (
        "project_name",
        "project_version",
        "http_api_version",
        "project_docs",
        "url",
        "settings",
        "capabilities",
    ):
        assert member in root, member
    assert root["http_api_version"].startswith("1."), root
    assert root["url"] == w.url + "/v1/", root["url"]
    assert root["settings"] == {"readonly": False, "batch_max_requests": 200, "explicit_permissions": True}


@check("1.1")
def _(w):
    """The user is in it for whom it knows only: id, principals, and the bucket of their own."""
    assert "user" not in w.nobody.get("/").json
    user = w.ana.get("/").json["user"]
    assert user["id"] == "account:ana"
    assert {"account:ana", "system.Everyone", "system.Authenticated"} <= set(user["principals"]), user
    assert len(user["bucket"]) == 36 or "default_bucket" not in w.nobody.get("/").json["capabilities"]


@check("1.1")
def _(w):
    """Every capability has a description and a page; the signer's says what is signed, and nothing of how."""
    answer = w.nobody.get("/")
    all_ = answer.json["capabilities"]
    for name, one in all_.items():
        assert isinstance(one["description"], str) and isinstance(one["url"], str), name
    signer = all_["signer"]
    assert signer["plugin_userid"] == "plugin:remote-settings" and signer["group_check_enabled"] is True
    assert signer["editors_group"] == "{collection_id}-editors"
    assert signer["reviewers_group"] == "{collection_id}-reviewers"
    assert signer["to_review_enabled"] is False
    plain = {
        "source": {"bucket": "source", "collection": None},
        "destination": {"bucket": "destination", "collection": None},
    }
    assert plain in signer["resources"], signer
    reviewed = {
        "source": {"bucket": "staging", "collection": None},
        "preview": {"bucket": "preview", "collection": None},
        "destination": {"bucket": "prod", "collection": None},
        "to_review_enabled": True,
    }
    assert reviewed in signer["resources"], signer
    assert {"/buckets/destination", "/buckets/preview", "/buckets/prod"} <= set(all_["changes"]["collections"])
    for word in ("private_key", "hawk", "secret", "signer_backend", "p.pem"):
        assert word not in answer.body.decode().lower(), word


@check("1.2")
def _(w):
    """The heartbeats need no credentials; one tells of what the server stands on, the other only that it is there."""
    told = w.nobody.get("/__heartbeat__").has(200).json
    assert all(told[part] is True for part in ("storage", "permission", "cache", "signer")), told
    assert w.nobody.get("/__lbheartbeat__").has(200).json == {}


@check("1.2", peer="it fails when no deployment document is there")
def _(w):
    """The version is a document, or there is none."""
    answer = w.nobody.get("/__version__").has(200, 404)
    assert isinstance(answer.json, dict)


@check("1.2")
def _(w):
    """Nothing is flushed where that is not enabled."""
    w.admin.post("/__flush__").has(403, 404, 405)
    w.nobody.post("/__flush__").has(401, 403, 404, 405)


@check("1.3")
def _(w):
    """No credentials where they are needed: 401, errno 104, and how to authenticate."""
    path = w.bucket()
    for answer in [
        w.nobody.get("/buckets"),
        w.nobody.put(path, {}),
        w.nobody.get(path),
        w.nobody.delete(path),
        w.nobody.post("/buckets", {}),
        w.nobody.get("/buckets/none"),
        w.nobody.get(path + "/collections/none"),
    ]:
        answer.refused(401, 104, "Please authenticate yourself to use this endpoint.", "Unauthorized")
        assert answer.headers["WWW-Authenticate"].startswith("Basic realm="), answer


@check("1.3")
def _(w):
    """Somebody who may not: 403, errno 121, and the same for what is not there."""
    path = w.bucket()
    for answer in [
        w.ana.get(path),
        w.ana.put(path, {}),
        w.ana.get("/buckets/none"),
        w.ana.delete(path),
        w.ana.put(path + "/collections/c", {}),
        w.ana.get("/buckets/none/collections/a/records/b"),
    ]:
        answer.refused(403, 121, "This user cannot access this resource.", "Forbidden")


@check("1.3")
def _(w):
    """An object that is not there, for whom may know: 404, errno 110, with what was looked for."""
    path = w.records()
    bucket = "/".join(path.split("/")[:3])
    for where, kind, name in [
        (path + "/x", "record", "x"),
        (bucket + "/collections/x", "collection", "x"),
        (bucket + "/groups/x", "group", "x"),
    ]:
        for method in ("GET", "DELETE"):
            w.admin.ask(method, where).refused(404, 110, error="Not Found", details={"id": name, "resource_name": kind})
        w.admin.patch(where, {"data": {}}).refused(404, 110)


@check("1.3")
def _(w):
    """What has no parent, and a path that leads nowhere: 404, errno 111."""
    bucket = w.bucket()
    nowhere = w.admin.get("/nowhere").refused(
        404, 111, "The resource you are looking for could not be found.", "Not Found"
    )
    assert "details" not in nowhere.json
    answer = w.admin.get(bucket + "/collections/none/records").refused(404, 111, error="Not Found")
    assert answer.json["details"] == {"id": "none", "resource_name": "collection"}
    w.admin.put(bucket + "/collections/none/records/r", {}).refused(404, 111)


@check("1.3")
def _(w):
    """A method that a place does not have: 405, errno 115."""
    path = w.records({})
    for method, where in [
        ("DELETE", "/"),
        ("PUT", path),
        ("PATCH", path),
        ("POST", path + "/r1"),
        ("GET", "/batch"),
        ("DELETE", "/__lbheartbeat__"),
    ]:
        answer = w.admin.ask(method, where, {} if method in ("PUT", "PATCH", "POST") else None)
        answer.refused(405, 115, "Method not allowed on this endpoint.", "Method Not Allowed")


BODIES = {
    "half of a body": b'{"data":{',
    "no JSON": b"data",
    "a text in no UTF-8": b'{"data":{"a":"\xff\xfe"}}',
    "NaN": b'{"data":{"a":NaN}}',
    "infinity": b'{"data":{"a":-Infinity}}',
    "a number out of all ranges": b'{"data":{"a":1E400}}',
    "half of a surrogate pair": b'{"data":{"a":"\\ud800"}}',
    "half of a surrogate pair as a name": b'{"data":{"\\udc00":1}}',
    "a list": b"[1]",
    "a text": b'"data"',
    "a number": b"12",
    "null": b"null",
    "data that is a text": b'{"data":"x"}',
    "data that is a list": b'{"data":[]}',
    "data that is null": b'{"data":null}',
    "permissions that are a list": b'{"permissions":[]}',
    "a permission that is a text": b'{"permissions":{"read":"system.Everyone"}}',
    "a permission that there is not": b'{"permissions":{"foo":["x"]}}',
    "another member": b'{"data":{},"foo":1}',
    "two documents": b'{"data":{}} {}',
    "an id of another object": b'{"data":{"id":"other"}}',
}


@check("1.3")
def _(w):
    """Everything malformed is 400, errno 107, and leaves nothing."""
    path = w.records()
    for what, body in BODIES.items():
        if w.peer and what == "data that is null":
            continue
        answer = w.admin.put(path + "/r", body)
        assert answer.status == 400, f"{what}: {answer}"
        answer.malformed()
        w.admin.get(path + "/r").refused(404, 110)


@check("1.3")
def _(w):
    """The message of what is malformed says where it is and what: `NAME in LOCATION: DESCRIPTION`."""
    path = w.records({})
    for answer, message in [
        (w.admin.get(path + "?_since=abc"), '_since in querystring: "abc" is not a number'),
        (w.admin.get(path + "?_limit=abc"), '_limit in querystring: "abc" is not a number'),
        (w.admin.get(path + "?_limit=-1"), "_limit in querystring: -1 is less than minimum value 0"),
        (w.admin.get(path + "?_limit=1&_token=abc"), "querystring: _token has invalid content"),
        (
            w.admin.get(path + "/r1", {"If-Match": "abc"}),
            "If-Match in header: The value should be integer between double quotes.",
        ),
        (w.admin.put(path + "/a.b", {}), "path: Invalid object id"),
        (
            w.admin.put(path + "/r1", {"data": "x"}),
            'data in body: "x" is not a mapping type: Does not implement dict-like functionality.',
        ),
        (
            w.admin.put(path + "/r1", {"permissions": {"foo": ["x"]}}),
            'permissions in body: "foo" is not one of read, write',
        ),
        (w.admin.put(path + "/r1", {"data": {"id": "x"}}), "Object id does not match existing object"),
        (w.admin.patch(path + "/r1", {}), "Provide at least one of data or permissions"),
        (
            w.admin.ask("PUT", path + "/r1", b"{}", kind="text/plain"),
            "Content-Type header should be one of ['application/json']",
        ),
    ]:
        assert answer.json["message"] == message, answer
    detail = w.admin.get(path + "?_since=abc").json["details"]
    assert detail == [{"location": "querystring", "name": "_since", "description": '"abc" is not a number'}]


@check("1.3", peer="it fails with 500")
def _(w):
    """Nesting of sixty thousand levels is refused, in a list and in an object, and leaves nothing."""
    path = w.records()
    for open_, close in [(b"[", b"]"), (b'{"a":', b"}")]:
        body = b'{"data":{"a":' + open_ * 60_000 + b"1" + close * 60_000 + b"}}"
        w.admin.put(path + "/r", body).has(400, 413)
    w.admin.get(path + "/r").has(404)


@check("1.3", peer="it has no limit of its own")
def _(w):
    """A body of forty MiB is too large: 413, errno 113."""
    path = w.records()
    body = b'{"data":{"a":"' + b"x" * (40 << 20) + b'"}}'
    try:
        w.admin.again().put(path + "/r", body).refused(413, 113)
    except (BrokenPipeError, ConnectionResetError):
        pass  # refused by its length, before it was all sent
    w.admin.get(path + "/r").has(404)


@check("1.3", peer="on PostgreSQL it answers 503")
def _(w):
    """A NUL in a text is kept, or refused; it is no failure."""
    path = w.records()
    answer = w.admin.put(path + "/r", b'{"data":{"a":"x\\u0000y","b\\u0000":1}}').has(201, 400)
    if answer.status == 201:
        assert w.admin.get(path + "/r").data["a"] == "x\0y"
        assert w.admin.get(path + "?a=" + json.dumps("x\0y").replace("\\", "%5C").replace('"', "%22")).ids in (
            ["r"],
            [],
        )
    w.admin.get(path + "?a=%00").has(200, 400)
    w.admin.get(path + "/%00").malformed()
