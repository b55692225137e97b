"""The service as its own administrator sees it, and keys of people: what the drivers of clients share.

Environment: `SERVER`, `TOKEN`.
"""

import hashlib
import json
import os
import sys
import time
import traceback
from datetime import datetime, timedelta, timezone
from urllib.parse import quote

import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.metadata import Metadata, Root

SERVER = os.environ["SERVER"]
TOKEN = os.environ["TOKEN"]
METADATA = SERVER + "/metadata"
TARGETS = SERVER + "/targets"
PASSPHRASE = b"correct horse"
FINAL = ("SUCCESS", "ERRORED", "FAILURE")
ONLINE_ROLES = ("timestamp", "snapshot", "targets")

session = requests.Session()
session.headers["Authorization"] = f"Bearer {TOKEN}"


def ask(method, path, body=None, status=None):
    """Sends a request below `/api/v1/`; the answer's JSON."""
    answer = session.request(method, f"{SERVER}/api/v1/{path}", json=body, timeout=300)
    wanted = status or (200 if method == "GET" else 202)
    assert answer.status_code == wanted, f"{method} {path}: {answer.status_code} {answer.text}"
    return answer.json()


def outcome(accepted):
    """Waits for the end of the task that was accepted: state and result."""
    deadline = time.monotonic() + 120
    while True:
        task = ask("GET", f"task/?task_id={accepted['data']['task_id']}")["data"]
        if task["state"] in FINAL:
            return task["state"], task["result"]
        assert time.monotonic() < deadline, task


def done(method, path, body=None, state="SUCCESS"):
    """Sends a request, waits for its task, which must end so; the task's result."""
    ended, result = outcome(ask(method, path, body))
    assert ended == state, (method, path, ended, result)
    return result


def published(name):
    """A metadata file, as anybody gets it; `None` if there is none."""
    answer = requests.get(f"{METADATA}/{quote(name)}", timeout=60)
    if answer.status_code == 404:
        return None
    assert answer.status_code == 200, (name, answer.status_code, answer.text)
    return answer.content


def upload(path, content):
    """Puts a target file into the service, which publishes it."""
    sha256 = hashlib.sha256(content).hexdigest()
    url = f"{SERVER}/api/v1/targets/{quote(path)}?sha256={sha256}&length={len(content)}"
    answer = session.put(url, data=content, timeout=300)
    assert answer.status_code == 202, (path, answer.status_code, answer.text)
    ended, result = outcome(answer.json())
    assert ended == "SUCCESS", result
    return result


def info(content):
    return {"length": len(content), "hashes": {"sha256": hashlib.sha256(content).hexdigest()}}


def add(files, **options):
    """Registers artifacts: path and content."""
    artifacts = [{"path": path, "info": info(content)} for path, content in files.items()]
    return done("POST", "artifacts/", {"artifacts": artifacts, **options})


class Person:
    """Holds a key that never comes near the service."""

    def __init__(self, name, kind="ed25519"):
        self.name = name
        make = {
            "ed25519": ed25519.Ed25519PrivateKey.generate,
            "ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()),
            "rsa": lambda: rsa.generate_private_key(65537, 2048),
        }[kind]
        self.private = make()
        self.signer = CryptoSigner(self.private)
        self.key = self.signer.public_key
        self.keyid = self.key.keyid

    def save(self, directory):
        """Writes `NAME.pem`, encrypted, and `NAME.pub`."""
        pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        encryption = serialization.BestAvailableEncryption(PASSPHRASE)
        (directory / f"{self.name}.pem").write_bytes(self.private.private_bytes(pem, pkcs8, encryption))
        spki = serialization.PublicFormat.SubjectPublicKeyInfo
        (directory / f"{self.name}.pub").write_bytes(self.private.public_key().public_bytes(pem, spki))


def online_key(name=None):
    """The service's key of this name, or its default."""
    keys = ask("GET", "keys/online")["data"]["keys"]
    [key, *_] = [key for key in keys if name in (None, key["x-rstuf-online-key-uri"].removeprefix("countersign:"))]
    key = dict(key)
    return SSlibKey.from_dict(key.pop("keyid"), key)


def new_online_key(name, scheme="ed25519"):
    ask("POST", "keys/online", {"name": name, "scheme": scheme}, 201)
    return online_key(name)


def first_root(people, threshold, online, days=365):
    root = Root(expires=later(days))
    root.roles["root"].threshold = threshold
    for person in people:
        root.add_key(person.key, "root")
    for role in ONLINE_ROLES:
        root.add_key(online, role)
    return root


def later(days):
    return (datetime.now(timezone.utc) + timedelta(days=days)).replace(microsecond=0)


def signed(root, people):
    """The document of this root with signatures of these people."""
    metadata = Metadata(root)
    for person in people:
        metadata.sign(person.signer, append=True)
    return metadata.to_dict()


def bootstrap(root, bins=None, delegations=None, **days):
    days = {"root": 365, "targets": 365, "snapshot": 7, "timestamp": 1, "bins": 7} | days
    roles = {role: {"expiration": days[role]} for role in ("root", *ONLINE_ROLES)}
    roles["bins"] = bins and {"expiration": days["bins"], "number_of_delegated_bins": bins}
    roles["delegations"] = delegations
    return done("POST", "bootstrap/", {"settings": {"roles": roles}, "metadata": {"root": root}})


def trusted_root():
    """The newest root that is published."""
    version = 1
    while (following := published(f"{version + 1}.root.json")) is not None:
        newest, version = following, version + 1
    return Metadata.from_bytes(newest if version > 1 else published("1.root.json"))


def next_root(people, change):
    """Changes the root in force as `change` says; people sign it at once."""
    root = trusted_root().signed
    root.version += 1
    root.expires = later(365)
    change(root)
    return done("POST", "metadata/", {"metadata": {"root": signed(root, people)}})


def replace_online(root, new):
    for role in ONLINE_ROLES:
        for keyid in list(root.roles[role].keyids):
            root.revoke_key(keyid, role)
        root.add_key(new, role)


def run(tests):
    """Runs functions one after the other; the first that fails ends it."""
    for test in tests:
        begun = time.monotonic()
        try:
            test()
        except BaseException:
            print(f"FAILED {test.__name__}: {test.__doc__ or ''}")
            traceback.print_exc(file=sys.stdout)
            sys.exit(1)
        print(f"ok {test.__name__} {time.monotonic() - begun:.2f}", flush=True)


def to_json(path):
    return json.loads(path.read_text())
