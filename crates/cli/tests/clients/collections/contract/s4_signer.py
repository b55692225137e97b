"""4.1 to 4.3: who may set which status of a source, and what comes of it."""

import re
from types import SimpleNamespace

from .harness import check

TRACKING = [
    f"last_{what}_{end}" for what in ("edit", "review_request", "review", "signature") for end in ("by", "date")
]


def source(w, bucket="source", **data):
    """Makes a source collection with the sides it is published to."""
    w.admin.put(f"/buckets/{bucket}").has(200, 201)
    name = w.name("books")
    path = f"/buckets/{bucket}/collections/{name}"
    w.admin.put(path, {"data": data}).has(201)
    published = {"source": "destination", "staging": "prod", "twice": "twice-signed"}[bucket]
    return SimpleNamespace(
        w=w,
        name=name,
        path=path,
        records=path + "/records",
        groups=f"/buckets/{bucket}/groups/{name}",
        destination=f"/buckets/{published}/collections/{name}",
        preview=f"/buckets/preview/collections/{name}",
        set=lambda status, who=w.admin, **more: who.patch(path, {"data": {"status": status, **more}}),
        state=lambda: w.admin.get(path).has(200).data,
    )


def reviewed(w):
    """One that is reviewed: `ana` edits, `bo` reviews, `cy` may do both."""
    one = source(w, "staging")
    w.admin.patch(one.groups + "-editors", {"data": {"members": [w.ana.id, w.cy.id]}}).has(200)
    w.admin.patch(one.groups + "-reviewers", {"data": {"members": [w.bo.id, w.cy.id]}}).has(200)
    return one


def published(one, place=None):
    """What the public gets: the records by id, without their times."""
    data = one.w.nobody.get((place or one.destination) + "/records").has(200).data
    return {r["id"]: {k: v for k, v in r.items() if k not in ("id", "last_modified", "schema")} for r in data}


@check("4.2")
def _(w):
    """A new source is signed at once, empty, with groups, and with its published side readable by everybody."""
    one = source(
        w,
        note="x",
        sort="-n",
        displayFields=["n"],
        attachment={"enabled": False},
        schema={"type": "object"},
        flags=["startup"],
    )
    state = one.state()
    assert state["status"] == "signed" and state["last_signature_by"] == w.admin.id and "last_review_by" not in state
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", state["last_signature_date"]), state
    for end, members in (("-editors", [w.admin.id]), ("-reviewers", [])):
        group = w.admin.get(one.groups + end).has(200)
        assert group.data["members"] == members and w.admin.id in group.json["permissions"]["write"], group
    writers = w.admin.get(one.path).json["permissions"]["write"]
    assert {one.groups + "-editors", one.groups + "-reviewers", w.admin.id} == set(writers), writers
    shown = w.nobody.get(one.destination).has(200).data
    assert shown["sort"] == "-n" and shown["displayFields"] == ["n"] and shown["attachment"] == {"enabled": False}
    assert shown["schema"] == {"type": "object"} and "note" not in shown and "status" not in shown
    if not w.peer:
        assert shown["flags"] == ["startup"]
    assert shown["signature"] == shown["signatures"][0]
    assert published(one) == {}
    reviewed_one = source(w, "staging")
    assert (
        w.nobody.get(reviewed_one.preview).data["signature"]
        and w.nobody.get(reviewed_one.destination).data["signature"]
    )


@check("4.2")
def _(w):
    """Every way to make a source does the same: PUT, POST, in a batch."""
    w.admin.put("/buckets/source").has(200, 201)
    names = [w.name("books") for _ in range(3)]
    w.admin.post("/buckets/source/collections", {"data": {"id": names[0]}}).has(201)
    answer = w.admin.post(
        "/batch",
        {
            "requests": [
                {"method": "PUT", "path": f"/buckets/source/collections/{names[1]}"},
                {"method": "POST", "path": "/buckets/source/collections", "body": {"data": {"id": names[2]}}},
            ]
        },
    ).has(200)
    assert [one["status"] for one in answer.json["responses"]] == [201, 201], answer
    for name in names:
        assert w.admin.get(f"/buckets/source/collections/{name}").data["status"] == "signed"
        assert w.nobody.get(f"/buckets/destination/collections/{name}").data["signature"]


@check("4.2")
def _(w):
    """To make a source one must be allowed to make groups too."""
    w.admin.put("/buckets/source").has(200, 201)
    w.admin.patch("/buckets/source", {"permissions": {"collection:create": [w.ana.id]}}).has(200)
    path = "/buckets/source/collections/" + w.name("books")
    w.ana.put(path).refused(403, 121)
    w.admin.get(path).has(404)
    w.admin.patch("/buckets/source", {"permissions": {"group:create": [w.ana.id]}}).has(200)
    w.ana.put(path).has(201)
    w.admin.patch("/buckets/source", {"permissions": {"group:create": [], "collection:create": []}}).has(200)


@check("4.2")
def _(w):
    """A record that is written or deleted makes the collection work in progress, by whom and when."""
    one = source(w)
    for act in (
        lambda: w.admin.put(one.records + "/r", {"data": {"a": 1}}).has(201),
        lambda: w.admin.patch(one.records + "/r", {"data": {"a": 2}}).has(200),
        lambda: w.admin.post(one.records, {}).has(201),
        lambda: w.admin.delete(one.records + "/r").has(200),
        lambda: w.admin.delete(one.records).has(200),
    ):
        act()
        state = one.state()
        assert state["status"] == "work-in-progress" and state["last_edit_by"] == w.admin.id, state
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", state["last_edit_date"]), state
        one.set("to-sign").has(200)
        assert one.state()["status"] == "signed"


@check("4.2")
def _(w):
    """The answer shows the status that was asked for; what came of it is shown after that."""
    one = source(w)
    w.admin.put(one.records + "/r", {}).has(201)
    for status, after in (
        ("to-sign", "signed"),
        ("to-resign", "signed"),
        ("work-in-progress", "work-in-progress"),
        ("to-rollback", "signed"),
    ):
        assert one.set(status).has(200).data["status"] == status
        assert one.state()["status"] == after, status


@check("4.2")
def _(w):
    """What the rules refuse is 400, errno 109, says why, has no details, and changes nothing."""
    one = source(w)

    def refused(answer, message):
        before = one.state()
        answer.refused(400, 109, message, "Bad Request")
        assert "details" not in answer.json and one.state() == before

    refused(one.set("to-sign"), "Collection already signed")
    refused(one.set("to-rollback"), "Collection has no work-in-progress")
    w.admin.put(one.records + "/r", {}).has(201)
    refused(one.set("foo"), "Invalid status 'foo'")
    refused(one.set("signed"), "Cannot set status to 'signed'")
    refused(one.set(None), "Cannot remove status")
    refused(w.admin.put(one.path, {"data": {"a": 1}}), "Cannot remove status")
    for field in TRACKING:
        answer = w.admin.patch(one.path, {"data": {field: "x"}})
        answer.refused(400, 109)
        assert answer.json["message"].startswith("Cannot change ") and field in answer.json["message"], answer
    state = one.state()
    dropped = {k: v for k, v in state.items() if k != "last_edit_by"}
    answer = w.admin.put(one.path, {"data": dropped}).refused(400, 109)
    assert answer.json["message"].startswith("Cannot change "), answer
    kept = {k: v for k, v in state.items() if k not in ("id", "last_modified")}
    w.admin.put(one.path, {"data": {**kept, "more": 1}}).has(200)
    assert w.admin.get(one.destination + "/records").data == []


@check("4.2")
def _(w):
    """The status that it has already changes nothing but what else is said."""
    one = source(w)
    signed = w.nobody.get(one.destination).etag
    assert one.set("signed", note=1).has(200).data["note"] == 1
    assert one.state()["status"] == "signed" and w.nobody.get(one.destination).etag == signed


@check("4.2")
def _(w):
    """With review: an editor asks, a reviewer who is another signs; whoever is in no group does neither."""
    one = reviewed(w)
    w.ana.put(one.records + "/a", {"data": {"v": 1}}).has(201)
    one.set("to-sign", w.bo).refused(400, 109, "Collection not under review")
    one.set("to-review", w.admin).refused(403, 121, f"Not in {one.name}-editors group")
    one.set("to-review", w.bo).refused(403, 121, f"Not in {one.name}-editors group")
    assert one.set("to-review", w.ana, last_editor_comment="please").has(200).data["status"] == "to-review"
    state = one.state()
    assert state["status"] == "to-review" and state["last_review_request_by"] == w.ana.id
    assert state["last_editor_comment"] == "please"
    assert published(one, one.preview) == {"a": {"v": 1}} and published(one) == {}
    one.set("to-sign", w.admin).refused(403, 121, f"Not in {one.name}-reviewers group")
    one.set("to-sign", w.ana).refused(403, 121)
    assert one.set("to-sign", w.bo).has(200).data["status"] == "to-sign"
    state = one.state()
    assert state["status"] == "signed" and state["last_review_by"] == state["last_signature_by"] == w.bo.id
    assert state["last_review_date"] == state["last_signature_date"]
    assert published(one) == {"a": {"v": 1}}


@check("4.2")
def _(w):
    """Who asked last for the review cannot give it, though a reviewer."""
    one = reviewed(w)
    w.cy.put(one.records + "/a", {"data": {"v": 1}}).has(201)
    one.set("to-review", w.cy).has(200)
    one.set("to-sign", w.cy).refused(403, 121, "Last editor cannot review")
    one.set("to-sign", w.bo).has(200)


@check("4.2")
def _(w):
    """A reviewer declines; a record that is changed takes back what was asked."""
    one = reviewed(w)
    w.ana.put(one.records + "/a", {"data": {"v": 1}}).has(201)
    one.set("to-review", w.ana, last_editor_comment="one").has(200)
    one.set("work-in-progress", w.bo, last_reviewer_comment="no").has(200)
    state = one.state()
    assert state["status"] == "work-in-progress" and state["last_reviewer_comment"] == "no"
    assert state["last_editor_comment"] == "one"
    one.set("to-review", w.ana).has(200)
    assert one.state()["last_editor_comment"] == ""
    w.ana.put(one.records + "/b", {}).has(201)
    assert one.state()["status"] == "work-in-progress"
    one.set("to-sign", w.bo).refused(400, 109, "Collection not under review")


@check("4.2")
def _(w):
    """To sign anew keeps the status, whichever it is, and touches no reviews."""
    one = reviewed(w)
    w.ana.put(one.records + "/a", {"data": {"v": 1}}).has(201)
    for status in ("work-in-progress", "to-review", "signed"):
        if status == "to-review":
            one.set("to-review", w.ana).has(200)
        if status == "signed":
            one.set("to-sign", w.bo).has(200)
        before, old = one.state(), w.nobody.get(one.destination).data
        one.set("to-resign", w.admin).has(200)
        after, new = one.state(), w.nobody.get(one.destination).data
        assert after["status"] == status, after
        changed = {k for k in {**before, **after} if before.get(k) != after.get(k)} - {"last_modified"}
        assert {"last_signature_date"} <= changed <= {"last_signature_by", "last_signature_date"}, changed
        assert (
            new["signature"]["signature"] != old["signature"]["signature"]
            and new["last_modified"] > old["last_modified"]
        )


@check("4.3")
def _(w):
    """What was signed is what is published: changed records with new times, the others as they were, the rest gone."""
    one = source(w)
    for name in "abc":
        w.admin.put(f"{one.records}/{name}", {"data": {"v": name}}).has(201)
    one.set("to-sign").has(200)
    first = {r["id"]: r for r in w.nobody.get(one.destination + "/records").data}
    w.admin.put(one.records + "/a", {"data": {"v": "new"}}).has(200)
    w.admin.delete(one.records + "/b").has(200)
    w.admin.put(one.records + "/d", {"data": {"v": "d"}}).has(201)
    assert published(one) == {"a": {"v": "a"}, "b": {"v": "b"}, "c": {"v": "c"}}
    before = w.nobody.get(one.destination + "/records").etag
    one.set("to-sign").has(200)
    assert published(one) == {"a": {"v": "new"}, "c": {"v": "c"}, "d": {"v": "d"}}
    second = {r["id"]: r for r in w.nobody.get(one.destination + "/records?_since=0").data}
    assert second["c"] == first["c"] and second["b"]["deleted"] is True
    assert all(second[name]["last_modified"] > before for name in "abd")


@check("4.3")
def _(w):
    """What stands in the destination and not in the source is gone with the next signature."""
    one = source(w)
    answer = w.admin.put(one.destination + "/records/x", {"data": {"a": 1}})
    w.admin.put(one.records + "/r", {}).has(201)
    one.set("to-sign").has(200)
    assert published(one) == {"r": {}}, answer


@check("4.3")
def _(w):
    """Nobody but who may do everything writes what is published; who made the source does not either."""
    one = reviewed(w)
    for place in (one.destination, one.preview):
        for who, refusal in ((w.nobody, (401, 104)), (w.ana, (403, 121)), (w.bo, (403, 121))):
            who.put(place + "/records/x", {}).refused(*refusal)
            who.patch(place, {"data": {"a": 1}}).refused(*refusal)
            who.delete(place).refused(*refusal)
            who.delete(place + "/records").has(refusal[0])


@check("4.3")
def _(w):
    """A signature that changed nothing changes no record and no time."""
    one = source(w)
    w.admin.put(one.records + "/r", {"data": {"v": 1}}).has(201)
    one.set("to-sign").has(200)
    before = w.nobody.get(one.destination + "/records")
    w.admin.put(one.records + "/r", {"data": {"v": 2}}).has(200)
    w.admin.put(one.records + "/r", {"data": {"v": 1}}).has(200)
    one.set("to-sign").has(200)
    one.set("to-resign").has(200)
    after = w.nobody.get(one.destination + "/records")
    assert after.data == before.data and after.etag == before.etag


@check("4.3")
def _(w):
    """What describes the records goes along: sort, schema, fields to display; and goes when it goes."""
    one = source(w, sort="a", note="n")
    w.admin.patch(
        one.path, {"data": {"sort": "-b", "displayFields": ["b"], "schema": {"type": "object"}, "note": "m"}}
    ).has(200)
    w.admin.put(one.records + "/r", {}).has(201)
    one.set("to-sign").has(200)
    shown = w.nobody.get(one.destination).data
    assert (shown["sort"], shown["displayFields"], shown["schema"]) == ("-b", ["b"], {"type": "object"}), shown
    assert "note" not in shown and "status" not in shown and "last_edit_by" not in shown


@check("4.3")
def _(w):
    """A rollback brings the source and the preview back to what is published."""
    one = reviewed(w)
    for name in "ab":
        w.ana.put(f"{one.records}/{name}", {"data": {"v": name}}).has(201)
    one.set("to-review", w.ana).has(200)
    one.set("to-sign", w.bo).has(200)
    w.ana.put(one.records + "/a", {"data": {"v": "new"}}).has(200)
    w.ana.delete(one.records + "/b").has(200)
    w.ana.put(one.records + "/c", {}).has(201)
    one.set("to-review", w.ana, last_editor_comment="again").has(200)
    assert set(published(one, one.preview)) == {"a", "c"}
    w.ana.put(one.records + "/d", {}).has(201)
    one.set("to-rollback", w.ana).has(200)
    state = one.state()
    assert state["status"] == "signed" and state["last_editor_comment"] == state["last_reviewer_comment"] == "", state
    for place in (one.destination, one.preview):
        assert published(one, place) == {"a": {"v": "a"}, "b": {"v": "b"}}, place
    assert {r["id"]: r["v"] for r in w.admin.get(one.records).data} == {"a": "a", "b": "b"}


@check("4.3")
def _(w):
    """A number with a fraction or an exponent is refused wherever it stands, and stays nowhere."""
    one = source(w)
    for text, where in [
        (b"1.5", "x"),
        (b"2.0", "x"),
        (b"1e2", "x"),
        (b"18446744073709551616", "x"),
        (b"-9223372036854775809", "x"),
        (b'{"y": [1, 2.0]}', "x.y.0.1" if w.peer else "x.y."),
        (b"-0.0", "x"),
    ]:
        for answer in (
            w.admin.put(one.records + "/f", b'{"data":{"x":' + text + b"}}"),
            w.admin.post(one.records, b'{"data":{"x":' + text + b"}}"),
        ):
            answer.refused(400, 109, error="Bad Request")
            assert answer.json["message"].startswith(
                "field contains float value (tip: use integer or string), '" + where
            ), answer
    assert w.admin.get(one.records).data == [] and one.state()["status"] == "signed"
    made = w.admin.put(one.records + "/u", b'{"data":{"x":18446744073709551615,"y":-9223372036854775808}}').has(201)
    assert made.data["x"] == 2**64 - 1 and made.data["y"] == -(2**63)
    w.admin.patch(one.records + "/u", b'{"data":{"z":0.5}}').refused(400, 109)
    assert "z" not in w.admin.get(one.records + "/u").data


@check("4.3")
def _(w):
    """What is published cannot be deleted while its source is there."""
    one = reviewed(w)
    for place in (one.destination, one.preview):
        w.admin.delete(place).refused(403, 121, "Collection is in use.")
        w.nobody.get(place).has(200)
    w.admin.delete("/buckets/prod/collections?id=" + one.name).refused(403, 121, "Collection is in use.")
    w.nobody.get(one.destination).has(200)


@check("4.3")
def _(w):
    """With a source go its groups; what was published becomes empty, with tombstones, and signed so."""
    one = source(w)
    w.admin.put(one.records + "/r", {}).has(201)
    one.set("to-sign").has(200)
    before = w.nobody.get(one.destination).data
    w.admin.delete(one.path).has(200)
    for end in ("-editors", "-reviewers"):
        w.admin.get(one.groups + end).has(404)
    assert published(one) == {}
    assert [r["deleted"] for r in w.nobody.get(one.destination + "/records?_since=0").data] == [True]
    after = w.nobody.get(one.destination).data
    assert after["signature"] != before["signature"] and after["last_modified"] > before["last_modified"]


@check("4.3")
def _(w):
    """The history says of what the signer did that the signer did it."""
    one = source(w)
    w.admin.put(one.records + "/r", {}).has(201)
    one.set("to-sign").has(200)
    entries = w.admin.get(f"/buckets/source/history?collection_id={one.name}").data
    by = {(e["action"], e["resource_name"], e["target"]["data"].get("status")): e["user_id"] for e in entries}
    assert by["update", "collection", "to-sign"] == w.admin.id, by
    assert by["update", "collection", "signed"] == "plugin:remote-settings", by
    assert by["update", "collection", "work-in-progress"] == "plugin:remote-settings", by
    assert by["create", "record", None] == w.admin.id
