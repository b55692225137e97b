"""3.4: several requests in one."""

from .harness import check


def send(caller, *requests, **others):
    return caller.post("/batch", {"requests": list(requests), **others})


@check("3.4")
def _(w):
    """Requests are answered in order, each with status, path, headers and body; paths with or without the version."""
    path = w.records({"a": 1})
    answers = (
        send(
            w.admin,
            {"method": "PUT", "path": path + "/x", "body": {"data": {"n": 1}}},
            {"path": path + "/x"},
            {"method": "GET", "path": "/v1" + path + "/none"},
            {"method": "PATCH", "path": path + "/r1", "body": {"data": {"b": 2}}},
            {"method": "DELETE", "path": path + "/r1"},
            {"method": "HEAD", "path": path},
            {"method": "POST", "path": path, "body": {"data": {"id": "y"}}},
        )
        .has(200)
        .json["responses"]
    )
    assert [one["status"] for one in answers] == [201, 200, 404, 200, 200, 200, 201], answers
    assert [one["path"] for one in answers] == [
        "/v1" + path + end for end in ("/x", "/x", "/none", "/r1", "/r1", "", "")
    ]
    etag = next(value for name, value in answers[0]["headers"].items() if name.lower() == "etag")
    assert (
        answers[0]["body"]["data"]
        == answers[1]["body"]["data"]
        == {"n": 1, "id": "x", "last_modified": int(etag[1:-1])}
    )
    assert answers[2]["body"]["errno"] == 110 and answers[4]["body"]["data"]["deleted"] is True
    totals = {name.lower(): value for name, value in answers[5]["headers"].items()}
    assert totals["total-objects"] == "1"


@check("3.4")
def _(w):
    """Defaults go into each request, deep."""
    path = w.records()
    answers = send(
        w.admin,
        {"path": path + "/a"},
        {"path": path + "/b", "body": {"data": {"n": 2}}},
        {"path": path + "/a", "method": "GET", "headers": {"If-None-Match": '"1"'}},
        defaults={"method": "PUT", "body": {"data": {"m": 1}}, "headers": {"X-Other": "y"}},
    )
    answers = answers.has(200).json["responses"]
    assert [one["status"] for one in answers] == [201, 201, 200], answers
    assert answers[0]["body"]["data"]["m"] == 1
    assert answers[1]["body"]["data"]["n"] == 2 and answers[1]["body"]["data"]["m"] == 1


@check("3.4", peer="it fails with 500")
def _(w):
    """The rules of the requests hold in it: conditions, credentials, types, redirects."""
    path = w.records({"a": 1}, read=["system.Everyone"])
    etag = w.admin.get(path + "/r1").etag
    answers = (
        send(
            w.admin,
            {"method": "PUT", "path": path + "/r1", "body": {}, "headers": {"If-Match": '"1"'}},
            {"path": path + "/r1", "headers": {"If-None-Match": f'"{etag}"'}},
            {"method": "PUT", "path": path + "/a.b", "body": {}},
            {"path": "/nowhere"},
            {"method": "DELETE", "path": "/"},
            {
                "method": "PATCH",
                "path": path + "/r1",
                "headers": {"Content-Type": "application/json-patch+json"},
                "body": [{"op": "add", "path": "/data/z", "value": 1}],
            },
        )
        .has(200)
        .json["responses"]
    )
    assert [one["status"] for one in answers] == [412, 304, 400, 404, 405, 200], answers
    answers = send(w.nobody, {"method": "PUT", "path": path + "/x", "body": {}}, {"path": path + "/r1"}).has(200)
    answers = answers.json["responses"]
    assert [one["status"] for one in answers] == [401, 200] and answers[0]["body"]["errno"] == 104


@check("3.4")
def _(w):
    """A refusal of one leaves the others as they are."""
    path = w.records()
    answers = (
        send(
            w.admin,
            {"method": "PUT", "path": path + "/a", "body": {}},
            {"method": "PUT", "path": path + "/a", "body": {}, "headers": {"If-None-Match": "*"}},
            {"method": "PUT", "path": path + "/b", "body": {"data": 1}},
            {"method": "PUT", "path": path + "/c", "body": {}},
        )
        .has(200)
        .json["responses"]
    )
    assert [one["status"] for one in answers] == [201, 412, 400, 201], answers
    assert set(w.admin.get(path).ids) == {"a", "c"}


@check("3.4")
def _(w):
    """As many requests as the root says, and not one more; none is allowed too."""
    most = w.nobody.get("/").json["settings"]["batch_max_requests"]
    path = w.records()
    requests = [{"method": "PUT", "path": f"{path}/r{n}", "body": {}} for n in range(most + 1)]
    answer = send(w.admin, *requests).malformed()
    assert answer.json["message"].endswith(f"Number of requests is limited to {most}"), answer
    assert w.admin.get(path).data == []
    answers = send(w.admin, *requests[:-1]).has(200).json["responses"]
    assert {one["status"] for one in answers} == {201}
    stamps = [one["body"]["data"]["last_modified"] for one in answers]
    assert stamps == sorted(set(stamps)) and w.admin.get(path).etag == stamps[-1]
    assert send(w.admin).has(200).json == {"responses": []}


@check("3.4")
def _(w):
    """What is no batch is malformed as a whole."""
    path = w.records()
    put = {"method": "PUT", "path": path + "/x", "body": {}}
    for body in (
        {},
        {"foo": 1},
        {"requests": {}},
        {"requests": [1]},
        {"requests": [put], "foo": 1},
        {"requests": [put, {}]},
        {"requests": [put, {"method": "FOO", "path": "/"}]},
        {"requests": [put, {"method": "GET"}]},
        {"requests": [put, {"path": "/", "foo": 1}]},
        {"requests": [put, {"path": 1}]},
        {"requests": [put, {"path": "/", "headers": []}]},
        {"requests": [put, {"method": "POST", "path": "/batch"}]},
        {"requests": [put, {"method": "POST", "path": "/v1/batch"}]},
        {"requests": [put], "defaults": []},
        [],
        "x",
        {"requests": [put], "defaults": {"foo": 1}},
    ):
        if w.peer and body == []:  # it fails with 500
            continue
        w.admin.post("/batch", body).malformed()
    assert w.admin.get(path).data == []
    answer = send(w.admin, {"method": "POST", "path": "/batch", "body": {}})
    assert answer.json["message"] == "requests in body: Recursive call on /batch endpoint is forbidden.", answer
    answer = send(w.admin, {"method": "FOO", "path": "/"})
    assert answer.json["message"] == (
        'requests.0.method in body: "FOO" is not one of GET, HEAD, DELETE, TRACE, POST, PUT, PATCH'
    ), answer


@check("3.4")
def _(w):
    """Later requests see what earlier ones did, across kinds: a bucket, its group, a collection, a record."""
    bucket = f"/buckets/{w.name('b')}"
    answers = (
        send(
            w.admin,
            {"method": "PUT", "path": bucket},
            {"method": "PUT", "path": bucket + "/groups/g", "body": {"data": {"members": [w.ana.id]}}},
            {
                "method": "PUT",
                "path": bucket + "/collections/c",
                "body": {"permissions": {"write": [bucket + "/groups/g"]}},
            },
            {"method": "PUT", "path": bucket + "/collections/c/records/r", "body": {"data": {"n": 1}}},
            {"path": bucket + "/collections/c/records"},
            {"method": "DELETE", "path": bucket + "/collections/c/records/r"},
            {"path": bucket + "/collections/c/records?_since=0"},
        )
        .has(200)
        .json["responses"]
    )
    assert [one["status"] for one in answers] == [201, 201, 201, 201, 200, 200, 200], answers
    assert answers[4]["body"]["data"][0]["n"] == 1 and answers[6]["body"]["data"][0]["deleted"] is True
    w.ana.put(bucket + "/collections/c/records/s", {}).has(201)
