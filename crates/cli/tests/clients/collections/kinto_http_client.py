"""kinto-http, the client of Python: each of its methods does here what its documentation says, waiting and not.

Environment: `SERVER`, `ADMIN` (`NAME:SECRET`).
"""

import asyncio
import hashlib
import inspect
import logging
import os
import tempfile

import requests
from kinto_http import (
    AsyncClient,
    BearerTokenAuth,
    BucketNotFound,
    Client,
    CollectionNotFound,
    KintoBatchException,
    KintoException,
)
from kinto_http.patch_type import BasicPatch, JSONPatch, MergePatch
from kinto_http.replication import replicate

SERVER = os.environ["SERVER"] + "/v1"
ADMIN = tuple(os.environ["ADMIN"].split(":", 1))
CALLED = set()
logging.getLogger("kinto_http").setLevel(logging.ERROR)


class Watched(Client):
    """Knows which methods were used."""

    def __getattribute__(self, name):
        if not name.startswith("_") and callable(getattr(Client, name, None)):
            CALLED.add(name)
        return super().__getattribute__(name)


def client(auth=ADMIN, **kwargs):
    return Watched(server_url=SERVER, auth=auth, **kwargs)


def refused(status, function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except KintoException as error:
        assert error.response.status_code == status, error
        return error
    raise AssertionError(f"not refused with {status}")


def account(name):
    answer = requests.put(f"{SERVER}/accounts/{name}", json={"data": {"password": "pass word"}}, auth=ADMIN)
    answer.raise_for_status()
    return name, "pass word"


def buckets():
    c = client()
    assert c.server_info()["capabilities"]["signer"] and c.get_endpoint("bucket", bucket="x") == "/buckets/x"
    made = c.create_bucket(id="kb", data={"a": 1}, permissions={"read": ["system.Everyone"]})
    assert made["data"]["a"] == 1 and made["permissions"]["read"] == ["system.Everyone"]
    refused(412, c.create_bucket, id="kb")
    assert c.create_bucket(id="kb", if_not_exists=True)["data"] == made["data"]
    assert c.update_bucket(id="kb", data={"b": 2}, if_match=made["data"]["last_modified"])["data"]["b"] == 2
    refused(412, c.update_bucket, id="kb", data={"b": 3}, if_match=made["data"]["last_modified"])
    seen = c.get_bucket(id="kb")["data"]
    assert c.patch_bucket(original=seen, data={"c": 3})["data"].items() >= {"b": 2, "c": 3}.items()
    assert "kb" in [one["id"] for one in c.get_buckets()]
    try:
        c.get_bucket(id="none-such")
        raise AssertionError("found")
    except BucketNotFound as error:
        assert error.response.status_code in (403, 404)
    c.delete_bucket(id="kb")
    refused_or_gone(c.delete_bucket, id="kb")
    c.delete_bucket(id="kb", if_exists=True)


def refused_or_gone(function, **kwargs):
    try:
        function(**kwargs)
    except KintoException as error:
        assert error.response.status_code in (403, 404), error
        return
    raise AssertionError("not refused")


def groups():
    c = client(bucket="kg")
    c.create_bucket()
    made = c.create_group(id="g", data={"members": ["account:x"]})
    assert made["data"]["members"] == ["account:x"]
    c.create_group(id="g", data={"members": []}, if_not_exists=True)
    assert c.get_group(id="g")["data"]["members"] == ["account:x"]
    c.update_group(id="g", data={"members": ["account:y"]}, if_match=made["data"]["last_modified"])
    refused(412, c.update_group, id="g", data={"members": []}, if_match=made["data"]["last_modified"])
    got = c.patch_group(id="g", changes=JSONPatch([{"op": "add", "path": "/data/members/0", "value": "account:z"}]))
    assert got["data"]["members"] == ["account:z", "account:y"]
    assert [one["id"] for one in c.get_groups()] == ["g"]
    c.delete_group(id="g")
    c.delete_group(id="g", if_exists=True)
    refused(404, c.get_group, id="g")
    c.create_group(id="h", data={"members": []})
    assert [one["id"] for one in c.delete_groups()] == ["h"]


def collections():
    c = client(bucket="kc")
    c.create_bucket()
    made = c.create_collection(id="c", data={"a": 1})
    assert c.create_collection(id="c", if_not_exists=True)["data"]["a"] == 1
    assert c.update_collection(id="c", data={"b": 1}, if_match=made["data"]["last_modified"])["data"]["b"] == 1
    got = c.patch_collection(id="c", changes=MergePatch({"b": None, "n": {"x": 1}}))
    assert "b" not in got["data"] and got["data"]["n"] == {"x": 1}
    got = c.patch_collection(id="c", changes=BasicPatch({"m": 2}, {"read": ["system.Everyone"]}))
    assert got["data"]["m"] == 2 and got["permissions"]["read"] == ["system.Everyone"]
    assert c.get_collection(id="c")["data"]["m"] == 2
    try:
        c.get_collection(id="none")
        raise AssertionError("found")
    except CollectionNotFound as error:
        assert error.response.status_code == 404
    c.create_collection(id="d")
    assert {one["id"] for one in c.get_collections()} == {"c", "d"}
    c.delete_collection(id="d")
    c.delete_collection(id="d", if_exists=True)
    assert [one["id"] for one in c.delete_collections()] == ["c"]


def records():
    c = client(bucket="kr", collection="c")
    c.create_bucket()
    c.create_collection(permissions={"read": ["system.Everyone"]})
    made = c.create_record(data={"id": "one", "a": 1})
    assert c.create_record(data={"id": "one", "a": 2}, if_not_exists=True)["data"]["a"] == 1
    refused(412, c.create_record, data={"id": "one", "a": 2})
    own = c.create_record(data={"a": "é😀"}, permissions={"read": ["account:x"]})
    assert c.get_record(id=own["data"]["id"])["data"]["a"] == "é😀"
    changed = c.update_record(data={**made["data"], "a": 3})
    refused(412, c.update_record, data={**made["data"], "a": 4})
    assert c.patch_record(original=changed["data"], data={"b": 1})["data"].items() >= {"a": 3, "b": 1}.items()
    got = c.patch_record(id="one", changes=JSONPatch([{"op": "replace", "path": "/data/a", "value": [1]}]))
    assert got["data"]["a"] == [1]
    for n in range(25):
        c.create_record(data={"id": f"r{n:02}", "n": n})
    assert len(c.get_records(_limit=4, pages=99)) == 27 and len(c.get_records(_limit=4)) == 4
    assert [len(page["data"]) for page in c.get_paginated_records(_limit=10)] == [10, 10, 7]
    assert [one["n"] for one in c.get_records(_sort="n", min_n=3, max_n=5)] == [3, 4, 5]
    stamp = c.clone().get_records_timestamp()
    assert stamp.isdigit()
    since = c.get_records(_sort="last_modified")[20]["last_modified"]
    assert len(c.get_records(_since=since)) == 6
    c.delete_record(id="r00")
    c.delete_record(id="r00", if_exists=True)
    refused(404, c.delete_record, id="r00")
    assert [(one["id"], one["deleted"]) for one in c.get_records(_since=int(stamp))] == [("r00", True)]
    anonymous = client(auth=None, bucket="kr", collection="c")
    assert len(anonymous.get_records()) == 26
    refused(401, anonymous.create_record, data={})
    assert len(c.delete_records()) == 26 and c.get_records() == []


def batches():
    c = client(bucket="kbatch", collection="c")
    with c.batch() as batch:
        batch.create_bucket()
        batch.create_collection()
        for n in range(450):
            batch.create_record(data={"id": f"r{n}", "n": n})
        batch.patch_record(id="r7", changes=BasicPatch({"m": 1}))
        batch.delete_record(id="r8")
    results = batch.results()
    assert len(results) == 454 and len(c.get_records()) == 449 and c.get_record(id="r7")["data"]["m"] == 1
    try:
        with c.batch() as batch:
            batch.create_record(data={"id": "x1"})
            batch.update_record(id="x2", data={}, if_match=1)
            batch.create_record(data={"id": "x3"})
    except KintoBatchException as error:
        assert [one.response.status_code for one in error.exceptions] == [412], error
    else:
        raise AssertionError("not refused")
    assert {"x1", "x3"} <= {one["id"] for one in c.get_records()}
    with c.clone(ignore_batch_4xx=True).batch() as batch:
        batch.update_record(id="x2", data={}, if_match=1)


def permissions_and_history():
    who = account("kinto-http-user")
    c = client(bucket="kh", collection="c")
    c.create_bucket()
    c.create_collection(permissions={"write": ["account:kinto-http-user"]})
    c.create_record(data={"id": "r", "n": 1})
    other = client(auth=who, bucket="kh", collection="c")
    other.update_record(id="r", data={"n": 2})
    uris = {one["uri"]: one["permissions"] for one in other.get_permissions()}
    assert "write" in uris["/buckets/kh/collections/c"], uris
    assert other.get_permissions(exclude_resource_names=["collection", "record", "group", "bucket", "account"]) == []
    entries = c.get_history()
    assert [one["user_id"] for one in entries if one["action"] == "update"] == ["account:kinto-http-user"]
    assert len(c.get_history(bucket="kh", _limit=1)) == 1 and len(c.get_history(_limit=1, pages=99)) == len(entries)
    purged = c.purge_history()
    assert len(purged) == len(entries) and c.get_history() == []


def attachments():
    if "attachments" not in client().server_info()["capabilities"]:
        return
    c = client(bucket="ka", collection="c")
    c.create_bucket()
    c.create_collection()
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "file.bin")
        content = os.urandom(300_000)
        with open(path, "wb") as file:
            file.write(content)
        c.add_attachment(
            id="r", filepath=path, data={"a": 1}, permissions={"read": ["system.Everyone"]}, mimetype="text/x"
        )
        record = c.get_record(id="r")
        told = record["data"]["attachment"]
        assert told["hash"] == hashlib.sha256(content).hexdigest() and told["mimetype"] == "text/x", told
        assert record["data"]["a"] == 1 and record["permissions"]["read"] == ["system.Everyone"], record
        got = c.download_attachment(record["data"], filepath=os.path.join(directory, "got"), save_metadata=True)
        with open(got, "rb") as file:
            assert file.read() == content
        c.remove_attachment(id="r")
        assert c.get_record(id="r")["data"].get("attachment") is None
        asyncio.run(
            AsyncClient(server_url=SERVER, auth=ADMIN, bucket="ka", collection="c").add_attachment(
                id="s", filepath=path
            )
        )
        assert c.get_record(id="s")["data"]["attachment"]["size"] == len(content)


def reviews():
    """The words of the workflow, and changesets."""
    editor, reviewer = account("kinto-http-editor"), account("kinto-http-reviewer")
    c = client(bucket="staging", collection="kinto-http")
    c.create_bucket(if_not_exists=True)
    c.create_collection()
    c.patch_group(id="kinto-http-editors", data={"members": [f"account:{editor[0]}"]})
    c.patch_group(id="kinto-http-reviewers", data={"members": [f"account:{reviewer[0]}"]})
    e = client(auth=editor, bucket="staging", collection="kinto-http")
    r = client(auth=reviewer, bucket="staging", collection="kinto-http")
    e.create_record(data={"id": "one", "v": 1})
    e.request_review("please")
    assert c.get_collection()["data"]["last_editor_comment"] == "please"
    r.decline_changes("no")
    assert c.get_collection()["data"].items() >= {"status": "work-in-progress", "last_reviewer_comment": "no"}.items()
    e.request_review("again")
    refused(403, e.approve_changes)
    r.approve_changes()
    assert c.get_collection()["data"]["status"] == "signed"
    public = client(auth=None, bucket="prod", collection="kinto-http")
    changeset = public.get_changeset()
    assert [one["v"] for one in changeset["changes"]] == [1] and changeset["metadata"]["signature"]
    e.create_record(data={"id": "two"})
    e.rollback_changes("oh")
    assert [one["id"] for one in e.get_records()] == ["one"]
    assert public.get_changeset(bust_cache=True, _since=changeset["timestamp"])["changes"] == []
    assert public.get_changeset(bucket="monitor", collection="changes", bust_cache=True)["changes"]


async def without_waiting():
    c = AsyncClient(server_url=SERVER, auth=ADMIN, bucket="kasync", collection="c")
    assert (await c.server_info())["user"]["id"]
    await c.create_bucket()
    await c.create_collection(permissions={"read": ["system.Everyone"]})
    await c.create_group(id="g", data={"members": []})
    await asyncio.gather(*(c.create_record(data={"id": f"r{n}", "n": n}) for n in range(20)))
    assert len(await c.get_records()) == 20 and (await c.get_record(id="r3"))["data"]["n"] == 3
    await asyncio.gather(*(c.patch_record(id=f"r{n}", data={"m": n}) for n in range(20)))
    assert sorted(one["m"] for one in await c.get_records()) == list(range(20))
    assert (await c.get_changeset())["changes"]
    await asyncio.gather(*(c.delete_record(id=f"r{n}") for n in range(10)))
    assert len(await c.delete_records()) == 10 and (await c.get_records_timestamp()).isdigit()
    await c.delete_collection(id="c")
    assert [one["id"] for one in await c.get_groups()] == ["g"] and await c.get_history()
    await c.delete_bucket(id="kasync")


def replication():
    """The copy of a collection: there, and again without changes."""
    c = client(bucket="kcopy", collection="from")
    c.create_bucket()
    c.create_collection()
    c.create_collection(id="to")
    for n in range(5):
        c.create_record(data={"id": f"r{n}", "n": n})
    for _ in range(2):
        replicate(c, client(bucket="kcopy", collection="to"))
        assert [one["n"] for one in c.get_records(collection="to", _sort="n")] == list(range(5))


def bearer():
    """A token without its name."""
    if "PEER" in os.environ:
        return
    assert (
        Client(server_url=SERVER, auth=BearerTokenAuth(ADMIN[1])).server_info()["user"]["id"] == f"principal:{ADMIN[0]}"
    )


def everything_goes():
    c = client()
    refused(412, c.delete_buckets, if_match=1)
    assert len(c.delete_buckets()) >= 1 and c.get_buckets() == []


parts = [
    buckets,
    groups,
    collections,
    records,
    batches,
    permissions_and_history,
    attachments,
    reviews,
    replication,
    bearer,
]
for part in parts:
    part()
    print("ok", part.__name__)
asyncio.run(without_waiting())
print("ok without_waiting")
if "KEEP" not in os.environ:
    everything_goes()
    print("ok everything_goes")
methods = {name for name, _ in inspect.getmembers(Client, inspect.isfunction) if not name.startswith("_")}
assert not methods - CALLED, f"not used: {sorted(methods - CALLED)}"
