"""Numbered checks of a server, each a sentence, and the means to ask it.

A check is a function that gets the world: `admin`, who may do everything; `ana`, `bo` and `cy`, who have
accounts; `nobody`, who has none. Each makes what it needs under names of its own, so checks do not meet.
"""

import base64
import http.client
import itertools
import json
import threading
import traceback
import urllib.parse

CHECKS = []


def check(section, peer=None):
    """Registers a check of this section of the contract; its docstring is what must hold.

    `peer` says why the original does otherwise: there the check is left out.
    """

    def register(function):
        number = sum(1 for other in CHECKS if other[0] == section) + 1
        CHECKS.append((section, number, " ".join(function.__doc__.split()), peer, function))
        return function

    return register


class Answer:
    """A status, headers by name in any case, and a body."""

    def __init__(self, status, headers, body, asked):
        self.status, self.headers, self.body, self.asked = status, headers, body, asked

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def data(self):
        return self.json["data"]

    @property
    def ids(self):
        return [one["id"] for one in self.data]

    @property
    def etag(self):
        """The timestamp in the `ETag`, which must be quoted."""
        value = self.headers.get("ETag") or ""
        assert value[:1] == value[-1:] == '"' and value.strip('"').isdigit(), f"ETag {value!r} of {self}"
        return int(value.strip('"'))

    def has(self, *statuses):
        """This answer, if its status is one of these."""
        assert self.status in statuses, f"{self.asked}: expected {statuses}, got {self}"
        return self

    def refused(self, status, errno, message=None, error=None, details=None):
        """A refusal in the shape of 1.3."""
        self.has(status)
        body = self.json
        assert body["code"] == status and isinstance(body["error"], str), self
        assert body["errno"] == errno, f"{self.asked}: expected errno {errno}, got {self}"
        if error is not None:
            assert body["error"] == error, f"{self.asked}: expected {error!r}, got {self}"
        if message is not None:
            assert body.get("message") == message, f"{self.asked}: expected {message!r}, got {self}"
        if details is not None:
            assert body.get("details") == details, f"{self.asked}: expected {details!r}, got {self}"
        assert set(body) <= {"code", "errno", "error", "message", "info", "details"}, self
        return self

    def malformed(self, status=400):
        """A refusal of what is malformed: errno 107, with details where it was."""
        self.refused(status, 107, error="Invalid parameters")
        assert self.json["message"], self
        for detail in self.json["details"]:
            assert set(detail) == {"location", "name", "description"}, self
        return self

    def __repr__(self):
        return f"{self.status} {dict(self.headers.items())} {self.body[:600]!r}"


class Caller:
    """Somebody who asks. Not to be shared by threads: see `again`."""

    def __init__(self, url, name=None, secret=None, kind="Basic"):
        self.url, self.name, self.secret, self.kind = url, name, secret, kind
        self.host = urllib.parse.urlsplit(url).netloc
        self.connection = None
        self._id = None

    def again(self):
        """The same caller on another connection."""
        return Caller(self.url, self.name, self.secret, self.kind)

    @property
    def id(self):
        """The user id, as the server knows them."""
        self._id = self._id or self.get("/").json["user"]["id"]
        return self._id

    def raw(self, method, target, body=None, headers=()):
        """Asks for a target exactly as it is given."""
        sent = dict(headers)
        if self.name is not None:
            pair = f"{self.name}:{self.secret}".encode()
            sent["Authorization"] = (
                self.kind + " " + (base64.b64encode(pair).decode() if self.kind == "Basic" else self.secret)
            )
        for attempt in (0, 1):
            if self.connection is None:
                self.connection = http.client.HTTPConnection(self.host, timeout=120)
            try:
                self.connection.request(method, target, body, sent)
                answer = self.connection.getresponse()
                content = answer.read()
                break
            except (http.client.HTTPException, ConnectionError):
                self.connection = None
                if attempt:
                    raise
        if answer.will_close:
            self.connection = None
        return Answer(answer.status, answer.headers, content, f"{method} {target}")

    def ask(self, method, path, body=None, headers=None, kind="application/json"):
        """Asks for a path below `/v1`. A body that is not bytes is written as JSON."""
        sent = dict(headers or {})
        if body is not None:
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
            if kind is not None:
                sent.setdefault("Content-Type", kind)
        return self.raw(method, "/v1" + path, body, sent)

    def get(self, path, headers=None):
        return self.ask("GET", path, headers=headers)

    def head(self, path, headers=None):
        return self.ask("HEAD", path, headers=headers)

    def put(self, path, body=None, headers=None):
        return self.ask("PUT", path, body, headers)

    def post(self, path, body=None, headers=None):
        return self.ask("POST", path, body, headers)

    def patch(self, path, body=None, headers=None, kind="application/json"):
        return self.ask("PATCH", path, body, headers, kind)

    def delete(self, path, headers=None):
        return self.ask("DELETE", path, headers=headers)


class World:
    """Whom the checks know, and names that nobody has had."""

    def __init__(self, url, admin, password, peer=False):
        self.url, self.peer = url.rstrip("/"), peer
        self.names = itertools.count(1)
        self.admin = Caller(self.url, admin, password)
        self.nobody = Caller(self.url)
        for name in ("ana", "bo", "cy"):
            self.admin.put(f"/accounts/{name}", {"data": {"password": f"password of {name}"}}).has(200, 201)
            setattr(self, name, Caller(self.url, name, f"password of {name}"))

    def name(self, what="n"):
        return f"{what}{next(self.names)}"

    def bucket(self, **body):
        """Makes a bucket and returns its path."""
        path = f"/buckets/{self.name('b')}"
        self.admin.put(path, body or None).has(201)
        return path

    def collection(self, bucket=None, data=None, **permissions):
        """Makes a collection and returns its path."""
        path = f"{bucket or self.bucket()}/collections/{self.name('c')}"
        self.admin.put(path, {"data": data or {}, "permissions": permissions}).has(201)
        return path

    def records(self, *data, **permissions):
        """Makes a collection with records `r1`, `r2`… and returns the path of its records."""
        path = self.collection(**permissions) + "/records"
        for number, one in enumerate(data, 1):
            self.admin.put(f"{path}/r{number}", {"data": one}).has(201)
        return path


def together(functions):
    """Runs functions at the same time and returns what they return."""
    results, errors = [None] * len(functions), []

    def run(at, function):
        try:
            results[at] = function()
        except BaseException as error:  # told to the one who waits
            errors.append(error)

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def run(world, only=None):
    """Runs the checks and returns how many failed."""
    failed = left_out = 0
    for section, number, sentence, peer, function in CHECKS:
        label = f"{section}/{number}"
        if only and not any(label == one or section.startswith(one) for one in only):
            continue
        if world.peer and peer:
            left_out += 1
            continue
        try:
            function(world)
        except Exception as error:  # a check that fails says so and lets the others run
            failed += 1
            frames = traceback.extract_tb(error.__traceback__)
            at = next(f for f in reversed(frames) if not f.filename.endswith("harness.py"))
            print(f"FAIL {label} {sentence}\n     line {at.lineno}: {at.line}\n     {type(error).__name__}: {error}")
        else:
            print(f"ok   {label} {sentence}")
    print(f"{len(CHECKS) - left_out} checks, {failed} failed")
    return failed
