"""Repositories that python-tuf made, in a directory: as their owner has them before a server takes them over, with the
private keys; as somebody has broken them; and python-tuf's client, which goes on with what it has kept.

    elsewhere.py make bins|prefixes|roles|plain|rstuf|odd|nested|flat DIR
    elsewhere.py broken NAME DIR
    elsewhere.py read DIR|URL MEMORY [PATH…]
    elsewhere.py serve DIR

`make` writes `metadata/`, `targets/`, `keys/NAME.pem`, for RSTUF `config.json`. `read` begins with
`MEMORY/begin.json` where that is, else with what it has kept; it prints what it knows as JSON.
"""

import functools
import http.server
import json
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import unquote

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.exceptions import DownloadHTTPError, RepositoryError
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer
from tuf.ngclient import FetcherInterface, Updater
from tuf.ngclient.urllib3_fetcher import Urllib3Fetcher

NOTE = {"x-acme-note": {"é": ["stays", 2**60, None, True]}}


def in_days(days):
    return (datetime.now(timezone.utc) + timedelta(days=days)).replace(microsecond=0)


class Elsewhere:
    def __init__(self, directory):
        self.directory = Path(directory)
        for part in ("metadata", "targets", "keys"):
            (self.directory / part).mkdir(parents=True, exist_ok=True)
        self.private, self.signers, self.newest = {}, {}, {}
        self.serializer = JSONSerializer()
        self.roles = {
            "root": Root(expires=in_days(300), unrecognized_fields=dict(NOTE)),
            "targets": Targets(expires=in_days(200), unrecognized_fields=dict(NOTE)),
            "snapshot": Snapshot(expires=in_days(40), unrecognized_fields=dict(NOTE)),
            "timestamp": Timestamp(expires=in_days(20), unrecognized_fields=dict(NOTE)),
        }

    def key(self, name, kind="ed25519", **members):
        """A key, in `keys/NAME.pem`."""
        private = {
            "ed25519": ed25519.Ed25519PrivateKey.generate,
            "ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()),
            "rsa": lambda: rsa.generate_private_key(65537, 2048),
        }[kind]()
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (self.directory / "keys" / f"{name}.pem").write_bytes(pem)
        signer = CryptoSigner(private)
        signer.public_key.unrecognized_fields.update(members)
        self.private[name] = signer
        return signer

    def sign_by(self, role, *names, delegator="root", threshold=1):
        """These keys sign the role, as the delegator says."""
        for name in names:
            self.signers.setdefault(role, []).append(self.private[name])
            if delegator == "root":
                self.roles["root"].add_key(self.private[name].public_key, role)
        if delegator == "root":
            self.roles["root"].roles[role].threshold = threshold

    def top(self, online="online", kind="ed25519", **members):
        """The usual keys: two people sign the root, one key all else."""
        self.key("ana"), self.key("bo", "ecdsa"), self.key(online, kind, **members)
        self.sign_by("root", "ana", "bo", threshold=2)
        for role in ("targets", "snapshot", "timestamp"):
            self.sign_by(role, online)

    def delegate(self, name, key, delegator="targets", **how):
        role = DelegatedRole(name, [self.private[key].public_key.keyid], 1, how.pop("terminating", True), **how)
        targets = self.roles[delegator]
        if targets.delegations is None:
            targets.delegations = Delegations({}, {})
        targets.delegations.keys[self.private[key].public_key.keyid] = self.private[key].public_key
        targets.delegations.roles[name] = role
        self.signers[name] = [self.private[key]]
        self.roles[name] = Targets(expires=in_days(60), unrecognized_fields=dict(NOTE))

    def bins(self, key, bits, prefix="bins"):
        public = self.private[key].public_key
        bins = SuccinctRoles([public.keyid], 1, bits, prefix)
        self.roles["targets"].delegations = Delegations({public.keyid: public}, succinct_roles=bins)
        for name in bins.get_roles():
            self.signers[name] = [self.private[key]]
            self.roles[name] = Targets(expires=in_days(60), unrecognized_fields=dict(NOTE))

    def home(self, path):
        delegations = self.roles["targets"].delegations
        found = delegations.get_roles_for_target(path) if delegations else []
        return next((name for name, _ in found), "targets")

    def file(self, path, role=None):
        content = f"content of {path}".encode()
        target = TargetFile.from_data(path, content, ["sha256", "sha512"])
        target.unrecognized_fields = {"custom": {"of": "elsewhere"}, "x-own": [1, "é\u0007"]}
        role = role or self.home(path)
        self.roles[role].targets[path] = target
        directory, slash, name = path.rpartition("/")
        file = self.directory / "targets" / f"{directory}{slash}{target.hashes['sha256']}.{name}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return role

    def write(self, role, file=None, signers=None):
        document = Metadata(self.roles[role])
        for signer in self.signers[role] if signers is None else signers:
            document.sign(signer, append=True)
        content = document.to_bytes(self.serializer)
        version = "" if role == "timestamp" else f"{self.roles[role].version}."
        (self.directory / "metadata" / (file or f"{version}{role}.json")).write_bytes(content)
        return content

    def publish(self, *roles):
        """New versions of these, of the snapshot and the timestamp."""
        for role in (*roles, "snapshot", "timestamp"):
            if role in self.newest:
                self.roles[role].version += 1
            content = self.newest[role] = self.write(role)
            version = self.roles[role].version
            if role == "snapshot":
                self.roles["timestamp"].snapshot_meta = MetaFile.from_data(version, content, ["sha256"])
            elif role not in ("root", "timestamp"):
                self.roles["snapshot"].meta[f"{role}.json"] = MetaFile(version, len(content))

    def everything(self):
        return [role for role in self.roles if role not in ("snapshot", "timestamp")]


def make_bins(repository):
    repository.top(x="y")
    repository.bins("online", 3)
    repository.publish(*repository.everything())
    for path in ("one.txt", "dist/two.tgz", "späce ü.txt"):
        repository.publish(repository.file(path))
    repository.publish("root")


def make_prefixes(repository):
    """Hash bins as roles of their own, called as in python-tuf's example."""
    repository.top(kind="ecdsa")
    for first in range(0, 256, 32):
        prefixes = [f"{prefix:02x}" for prefix in range(first, first + 32)]
        repository.delegate(f"{prefixes[0]}-{prefixes[-1]}", "online", path_hash_prefixes=prefixes)
    for path in ("one.txt", "dist/two.tgz"):
        repository.file(path)
    repository.publish(*repository.everything())


def make_roles(repository):
    """One role that the server will sign, one that people sign, one that was deleted, and targets at the top."""
    repository.top(kind="rsa")
    repository.key("auto"), repository.key("team", "ecdsa")
    policy = {"x-rstuf-expire-policy": 45}
    repository.delegate("auto", "auto", paths=["auto/*"], unrecognized_fields=policy)
    repository.delegate("My_Team", "team", paths=["team/*", "both/*"], terminating=False)
    repository.delegate("gone", "team", paths=["gone/*"])
    for path in ("auto/one", "team/one", "gone/one"):
        repository.file(path)
    repository.file("top.txt", "targets")
    repository.publish(*repository.everything())
    del repository.roles["targets"].delegations.roles["gone"]
    repository.publish("targets", "My_Team")


def make_plain(repository):
    """No delegations, a key for each role, two of them for the timestamp."""
    for name in ("ana", "timestamp", "second"):
        repository.key(name)
    repository.key("snapshot", "ecdsa"), repository.key("targets", "rsa")
    repository.sign_by("root", "ana")
    for role in ("targets", "snapshot"):
        repository.sign_by(role, role)
    repository.sign_by("timestamp", "timestamp", "second", threshold=2)
    repository.file("one.txt"), repository.file("dist/two.tgz")
    repository.publish(*repository.everything())
    repository.file("three.txt")
    repository.publish("targets")


def make_rstuf(repository):
    """As RSTUF publishes: its key is in a file called as the id, its settings say how long roles live."""
    repository.top(**{"x-rstuf-key-name": "online"})
    online = repository.private["online"].public_key
    online.unrecognized_fields["x-rstuf-online-key-uri"] = f"fn:{online.keyid}"
    for role in ("snapshot", "timestamp", "targets"):
        repository.roles[role].unrecognized_fields = {}
    repository.bins("online", 2)
    repository.publish(*repository.everything())
    repository.publish("root"), repository.publish("root")
    for path in ("one.txt", "dist/two.tgz"):
        repository.publish(repository.file(path))
    keys = repository.directory / "keys"
    (keys / "online.pem").rename(keys / online.keyid)
    days = {"root": 400, "targets": 366, "snapshot": 41, "timestamp": 21, "bins": 61}
    config = {f"{role}_expiration": days[role] for role in days}
    config |= {"number_of_delegated_bins": 4, "bootstrap": "0" * 32, "targets_online_key": True}
    (repository.directory / "config.json").write_text(json.dumps({"data": config, "message": "Current Settings"}))


def make_odd(repository):
    repository.top()
    repository.delegate("our role", "online", paths=["*"])
    repository.publish(*repository.everything())


def make_nested(repository):
    repository.top()
    repository.delegate("outer", "online", paths=["*", "*/*"])
    repository.delegate("inner", "online", delegator="outer", paths=["in/*"])
    repository.file("in/one", "inner")
    repository.publish(*repository.everything())


def make_flat(repository):
    """Without consistent snapshots: no versions in names of files."""
    repository.top()
    repository.roles["root"].consistent_snapshot = False
    repository.file("one.txt")
    repository.publish(*repository.everything())
    metadata = repository.directory / "metadata"
    for role in ("targets", "snapshot"):
        (metadata / f"1.{role}.json").rename(metadata / f"{role}.json")
    for file in (repository.directory / "targets").iterdir():
        file.rename(file.with_name(file.name.split(".", 1)[1]))


def base(repository):
    """What is broken below: roles in roles, `in/one` in the inner one."""
    make_nested(repository)


def below_the_threshold(repository):
    repository.key("second")
    repository.roles["root"].add_key(repository.private["second"].public_key, "timestamp")
    repository.roles["root"].roles["timestamp"].threshold = 2
    repository.publish("root")


def one_key_under_two_ids(repository):
    online = repository.private["online"].public_key
    again = SSlibKey("0" * 64, online.keytype, online.scheme, dict(online.keyval))
    root = repository.roles["root"]
    root.add_key(again, "timestamp")
    root.roles["timestamp"].threshold = 2
    repository.publish("root")
    document = json.loads((repository.directory / "metadata/timestamp.json").read_bytes())
    document["signatures"].append({"keyid": "0" * 64, "sig": document["signatures"][0]["sig"]})
    (repository.directory / "metadata/timestamp.json").write_text(json.dumps(document))


def a_role_by_another_key(repository):
    repository.key("stranger")
    repository.signers["inner"] = [repository.private["stranger"]]
    repository.publish("inner")


def another_version_than_the_snapshot_says(repository):
    repository.roles["inner"].version = 7
    content = repository.write("inner", file="1.inner.json")
    repository.roles["snapshot"].meta["inner.json"] = MetaFile(1, len(content))
    repository.publish()


def other_bytes_than_the_snapshot_says(repository):
    repository.roles["snapshot"].meta["inner.json"].hashes = {"sha256": "0" * 64}
    repository.publish()


def a_root_skipped(repository):
    repository.roles["root"].version = 2
    repository.write("root", file="2.root.json")
    repository.roles["root"].version = 4
    repository.write("root", file="3.root.json")


def a_root_by_the_new_keys_only(repository):
    repository.key("stranger")
    root = repository.roles["root"]
    for name in ("ana", "bo"):
        root.revoke_key(repository.private[name].public_key.keyid, "root")
    root.roles["root"].threshold = 1
    root.add_key(repository.private["stranger"].public_key, "root")
    repository.signers["root"] = [repository.private["stranger"]]
    repository.publish("root")


def expired(repository):
    repository.roles["timestamp"].expires = in_days(-1)
    repository.publish()


def a_target_of_other_bytes(repository):
    for file in (repository.directory / "targets/in").iterdir():
        file.write_bytes(file.read_bytes().replace(b"content", b"contemt"))


def a_target_without_end(repository):
    for file in (repository.directory / "targets/in").iterdir():
        file.write_bytes(b" " * (8 << 20))


def a_timestamp_without_end(repository):
    (repository.directory / "metadata/timestamp.json").write_bytes(b" " * (8 << 20))


def broken(name, directory):
    repository = Elsewhere(directory)
    base(repository)
    globals()[name](repository)


class Files(FetcherInterface):
    """`https://directory/PATH` is a file below it."""

    def __init__(self, directory):
        self.directory = Path(directory)

    def _fetch(self, url):
        file = self.directory / unquote(url.removeprefix("https://directory/"))
        if not file.is_file():
            raise DownloadHTTPError("missing", 404)
        yield file.read_bytes()


def read(place, memory, *paths):
    memory = Path(memory)
    metadata, targets = memory / "metadata", memory / "targets"
    metadata.mkdir(parents=True, exist_ok=True)
    targets.mkdir(exist_ok=True)
    begin = memory / "begin.json"
    root = begin.read_bytes() if begin.exists() else None
    is_url = place.startswith("http")
    url, fetcher = (place, Urllib3Fetcher()) if is_url else ("https://directory", Files(place))
    updater = Updater(
        str(metadata), url + "/metadata/", str(targets), url + "/targets/", fetcher=fetcher, bootstrap=root
    )
    updater.refresh()
    begin.unlink(missing_ok=True)
    found = {}
    for path in paths:
        target = updater.get_targetinfo(path)
        found[path] = target and target.hashes["sha256"]
    roles = {file.stem: Metadata.from_file(str(file)).signed.version for file in metadata.glob("*.json")}
    print(json.dumps({"versions": roles, "found": found}))


def serve(directory):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=directory))
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


def make(kind, directory):
    globals()[f"make_{kind}"](Elsewhere(directory))


if __name__ == "__main__":
    try:
        {"make": make, "broken": broken, "read": read, "serve": serve}[sys.argv[1]](*sys.argv[2:])
    except (RepositoryError, DownloadHTTPError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
