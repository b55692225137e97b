"""2: authentication, accounts, principals, groups."""

from .harness import Caller, check


def account(w, password="first"):
    """Makes an account."""
    name = w.name("user")
    w.admin.put(f"/accounts/{name}", {"data": {"password": password}}).has(201)
    return Caller(w.url, name, password)


@check("2")
def _(w):
    """An account is a user by its name and password, with the id `account:NAME`."""
    user = account(w)
    assert user.id == f"account:{user.name}"


@check("2")
def _(w):
    """Bad credentials count as none: 401 where a right is missing, whichever part was wrong."""
    path = w.records({})
    user = account(w)
    for bad in (
        Caller(w.url, user.name, "wrong"),
        Caller(w.url, "nobody-of-this-name", "first"),
        Caller(w.url, "", ""),
        Caller(w.url, user.name, ""),
    ):
        bad.get(path).refused(401, 104, "Please authenticate yourself to use this endpoint.")
    for value in ("Basic !!!", "Basic", "Basic YQ==", "Bearer nothing", "Digest x", "", "Basic " + "A" * 6000):
        w.nobody.get(path, {"Authorization": value}).refused(401, 104)


@check("2", peer="it refuses wrong credentials everywhere")
def _(w):
    """With bad credentials what is public can be read, and the root says that nobody is known."""
    path = w.records({}, read=["system.Everyone"])
    bad = Caller(w.url, "nobody-of-this-name", "x")
    bad.get(path + "/r1").has(200)
    assert "user" not in bad.get("/").has(200).json


@check("2")
def _(w):
    """A password that is changed holds at once, and the old one no longer; a removed account is none."""
    user = account(w)
    path = w.records({}, read=[user.id])
    user.get(path).has(200)
    w.admin.put(f"/accounts/{user.name}", {"data": {"password": "second"}}).has(200)
    user.get(path).has(401)
    user = Caller(w.url, user.name, "second")
    user.get(path).has(200)
    user.put(f"/accounts/{user.name}", {"data": {"password": "third"}}).has(200)
    user.get(path).has(401)
    user = Caller(w.url, user.name, "third")
    user.get(path).has(200)
    w.admin.delete(f"/accounts/{user.name}").has(200)
    user.get(path).has(401)


@check("2")
def _(w):
    """A password is needed, and is not told."""
    name = w.name("user")
    for data in ({}, {"password": 12}):
        w.admin.put(f"/accounts/{name}", {"data": data}).malformed()
    answer = w.admin.put(f"/accounts/{name}", {"data": {"password": "the secret word"}}).has(201)
    for answer in (answer, w.admin.get(f"/accounts/{name}")):
        assert b"the secret word" not in answer.body, answer


@check("2")
def _(w):
    """Only who may do everything makes accounts, and sees those of others."""
    user, other = account(w), account(w)
    user.put(f"/accounts/{w.name('user')}", {"data": {"password": "x"}}).refused(403, 121)
    w.nobody.put(f"/accounts/{w.name('user')}", {"data": {"password": "x"}}).refused(401, 104)
    user.put(f"/accounts/{other.name}", {"data": {"password": "x"}}).refused(403, 121)
    user.get(f"/accounts/{other.name}").refused(403, 121)
    other.get("/").has(200)
    assert other.id == f"account:{other.name}"


@check("2", peer="it has no tokens of this kind")
def _(w):
    """A token is taken as `Bearer` as well as with its name."""
    assert Caller(w.url, w.admin.name, w.admin.secret, "Bearer").id == w.admin.id == f"principal:{w.admin.name}"


@check("2")
def _(w):
    """A member of a group has its URI among the principals, from when they are put in to when they are taken out."""
    user, bucket = account(w), w.bucket()
    w.admin.put(bucket + "/groups/g", {"data": {"members": [user.id]}}).has(201)
    assert bucket + "/groups/g" in user.get("/").json["user"]["principals"]
    path = w.collection(bucket, read=[bucket + "/groups/g"])
    user.get(path).has(200)
    w.admin.patch(bucket + "/groups/g", {"data": {"members": []}}).has(200)
    user.get(path).has(403)
    w.admin.patch(bucket + "/groups/g", {"data": {"members": [user.id]}}).has(200)
    user.get(path).has(200)
    w.admin.delete(bucket + "/groups/g").has(200)
    user.get(path).has(403)
    assert bucket + "/groups/g" not in user.get("/").json["user"]["principals"]


@check("2", peer="it takes `system.Authenticated`")
def _(w):
    """Members are users: no group, nobody of `system.`."""
    bucket = w.bucket()
    for member in ("system.Everyone", "system.Authenticated", bucket + "/groups/other"):
        answer = w.admin.put(bucket + "/groups/g", {"data": {"members": [member]}}).malformed()
        assert member in answer.json["message"], answer
    for members in ("account:ana", [1], {"a": 1}, [None]):
        w.admin.put(bucket + "/groups/g", {"data": {"members": members}}).malformed()
    w.admin.get(bucket + "/groups/g").has(404)
    assert w.admin.put(bucket + "/groups/g", {"data": {}}).has(201).data["members"] == []


@check("2", peer="its administrator is one by settings")
def _(w):
    """Who holds `collection:admin` writes in every bucket; nobody else makes buckets."""
    path = w.bucket()
    w.admin.put(path + "/collections/c", {}).has(201)
    w.ana.put(f"/buckets/{w.name('b')}", {}).refused(403, 121)
    w.ana.post("/buckets", {}).refused(403, 121)
