"""3.1: who may do what, and how a right on one thing is a right on what is below it."""

from .harness import check

# A permission on something; what it lets one do beyond what nobody may; everything else must be refused.
RIGHTS = {
    ("bucket", "read"): {
        "GET B",
        "GET B/groups",
        "GET B/groups/g",
        "GET B/collections",
        "GET C",
        "GET C/records",
        "GET C/records/r",
    },
    ("bucket", "collection:create"): {"GET B", "POST B/collections", "PUT B/collections/new"},
    ("bucket", "group:create"): {"GET B", "POST B/groups", "PUT B/groups/new"},
    ("collection", "read"): {"GET C", "GET C/records", "GET C/records/r"},
    ("collection", "record:create"): {"GET C", "POST C/records", "PUT C/records/new"},
    ("collection", "write"): {
        "GET C",
        "PUT C",
        "PATCH C",
        "GET C/records",
        "GET C/records/r",
        "POST C/records",
        "PUT C/records/new",
        "PUT C/records/r",
        "PATCH C/records/r",
        "DELETE C/records/r",
        "DELETE C/records",
        "DELETE C",
    },
    ("group", "read"): {"GET B/groups/g"},
    ("group", "write"): {"GET B/groups/g", "PUT B/groups/g", "PATCH B/groups/g", "DELETE B/groups/g"},
    ("record", "read"): {"GET C/records/r"},
    ("record", "write"): {"GET C/records/r", "PUT C/records/r", "PATCH C/records/r", "DELETE C/records/r"},
}
# In the order in which they are tried: what destroys comes last.
ALL = [
    "GET B",
    "GET B/groups",
    "GET B/groups/g",
    "GET B/collections",
    "GET C",
    "GET C/records",
    "GET C/records/r",
    "POST B/collections",
    "PUT B/collections/new",
    "POST B/groups",
    "PUT B/groups/new",
    "POST C/records",
    "PUT C/records/new",
    "PUT B",
    "PATCH B",
    "PUT B/groups/g",
    "PATCH B/groups/g",
    "PUT C",
    "PATCH C",
    "PUT C/records/r",
    "PATCH C/records/r",
    "DELETE C/records/r",
    "DELETE C/records",
    "DELETE C",
    "DELETE B/groups/g",
    "DELETE B/collections",
    "DELETE B/groups",
    "DELETE B",
]
RIGHTS["bucket", "write"] = set(ALL)


@check("3.1")
def _(w):
    """Each permission lets one do what it says, below too, and nothing else."""
    for (on, right), allowed in RIGHTS.items():
        bucket, collection = w.bucket(), None
        collection = w.collection(bucket)
        objects = {
            "bucket": bucket,
            "collection": collection,
            "group": bucket + "/groups/g",
            "record": collection + "/records/r",
        }
        w.admin.put(objects["group"], {"data": {"members": []}}).has(201)
        w.admin.put(objects["record"], {"data": {"a": 1}}).has(201)
        w.admin.patch(objects[on], {"permissions": {right: [w.ana.id]}}).has(200)
        for one in ALL:
            method, place = one.split(" ")
            # Objects that are shared one by one show in lists that are not.
            if (
                one not in allowed
                and method in ("GET", "DELETE")
                and place.rsplit("/", 1)[-1] in ("records", "groups", "collections")
            ):
                continue
            path = place.replace("B", bucket, 1) if place[0] == "B" else place.replace("C", collection, 1)
            body = None if method in ("GET", "DELETE") else {"data": {"members": []} if "groups" in path else {"a": 2}}
            answer = w.ana.ask(method, path, body)
            if one in allowed:
                # What an earlier one deleted is gone.
                assert answer.status in (200, 201, 404), f"{right} on the {on}: {answer.asked}: {answer}"
                assert answer.status != 404 or "DELETE" in one, f"{right} on the {on}: {answer.asked}: {answer}"
            else:
                assert answer.status == 403, f"{right} on the {on}: {answer.asked}: {answer}"
                answer.refused(403, 121)


@check("3.1")
def _(w):
    """Everybody, everybody who is known, a user, and a group can be given a right."""
    bucket = w.bucket()
    w.admin.put(bucket + "/groups/g", {"data": {"members": [w.bo.id]}}).has(201)
    for principal, who in [
        ("system.Everyone", {w.nobody, w.ana, w.bo}),
        ("system.Authenticated", {w.ana, w.bo}),
        (w.ana.id, {w.ana}),
        (bucket + "/groups/g", {w.bo}),
    ]:
        path = w.collection(bucket, read=[principal]) + "/records"
        for one in (w.nobody, w.ana, w.bo):
            assert one.get(path).status == (200 if one in who else 401 if one is w.nobody else 403), (
                principal,
                one.name,
            )


@check("3.1")
def _(w):
    """A list that one may not read shows what is shared one by one, if anything is; else it is refused."""
    path = w.records({"n": 1}, {"n": 2}, {"n": 3})
    w.ana.get(path).refused(403, 121)
    w.nobody.get(path).refused(401, 104)
    w.admin.patch(path + "/r2", {"permissions": {"read": [w.ana.id]}}).has(200)
    assert w.ana.get(path).has(200).ids == ["r2"]
    assert w.ana.head(path).headers["Total-Objects"] == "1"
    w.bo.get(path).refused(403, 121)
    w.admin.patch(path + "/r3", {"permissions": {"write": [w.ana.id]}}).has(200)
    assert set(w.ana.get(path).ids) == {"r2", "r3"}


@check("3.1")
def _(w):
    """The right is judged before what is there: unknown things are as forbidden as known ones."""
    bucket = w.bucket()
    path = w.collection(bucket)
    for where in (
        path,
        bucket + "/collections/none",
        bucket + "/groups/none",
        path + "/records/none",
        "/buckets/none",
        "/buckets/none/collections/x",
    ):
        w.ana.get(where).refused(403, 121)
        w.nobody.get(where).refused(401, 104)
    w.admin.patch(bucket, {"permissions": {"read": [w.ana.id]}}).has(200)
    for where in (bucket + "/collections/none", bucket + "/groups/none", path + "/records/none"):
        w.ana.get(where).refused(404, 110)


@check("3.1")
def _(w):
    """Permissions are those of the kind of object."""
    bucket = w.bucket()
    path = w.collection(bucket)
    for where, right in [
        (bucket, "record:create"),
        (path, "collection:create"),
        (path + "/records/r", "record:create"),
        (bucket + "/groups/g", "group:create"),
    ]:
        body = {"data": {"members": []} if "groups" in where else {}, "permissions": {right: [w.ana.id]}}
        w.admin.put(where, body).malformed()
