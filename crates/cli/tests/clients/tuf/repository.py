"""A repository in memory, made with python-tuf, served over HTTP, that does wrong what it is told to; and a client of
the conformance tests' command line beside it."""

import os
import subprocess
import tempfile
import threading
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import DelegatedRole, Delegations, Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization.json import JSONSerializer

TOP = ("root", "timestamp", "snapshot", "targets")
CLIENT = Path(__file__).parent / "conformance_client"


def in_days(days):
    return (datetime.now(timezone.utc) + timedelta(days=days)).replace(microsecond=0)


class Repository:
    """`roles`: what is to be published, `signers`: with which keys, `files`: what was, `asked`: what was asked for."""

    def __init__(self):
        expires = in_days(30)
        self.roles = {
            "root": Root(expires=expires),
            "timestamp": Timestamp(expires=expires),
            "snapshot": Snapshot(expires=expires),
            "targets": Targets(expires=expires),
        }
        self.signers = {}
        self.files = {}
        self.asked = []
        self.hashes = False
        for role in TOP:
            self.add_key(role)
        for role in ("root", "targets", "snapshot", "timestamp"):
            self.write(role)
        self.first_root = self.files["/metadata/1.root.json"]
        self.serve()

    def serve(self):
        repository = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                repository.asked.append(self.path)
                body = repository.files.get(unquote(self.path) if "targets/" in self.path else self.path)
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __getattr__(self, role):
        return self.roles[role]

    def add_key(self, role, delegator=None, signer=None):
        signer = signer or CryptoSigner.generate_ed25519()
        self.roles[delegator or "root"].add_key(signer.public_key, role)
        self.signers.setdefault(role, []).append(signer)
        return signer

    def replace_keys(self, role):
        for signer in self.signers.pop(role):
            self.root.revoke_key(signer.public_key.keyid, role)
        self.add_key(role)

    def delegate(self, delegator, role, paths, terminating=False, hashed=None):
        targets = self.roles[delegator]
        if targets.delegations is None:
            targets.delegations = Delegations({}, {})
        targets.delegations.roles[role] = DelegatedRole(role, [], 1, terminating, paths, hashed)
        self.roles.setdefault(role, Targets(expires=in_days(30)))
        self.add_key(role, delegator)

    def add_file(self, role, path, content, algorithms=("sha256",)):
        target = TargetFile.from_data(path, content, list(algorithms))
        self.roles[role].targets[path] = target
        self.put_file(target, content)
        return target

    def put_file(self, target, content):
        directory, slash, name = target.path.rpartition("/")
        for digest in target.hashes.values():
            self.files[f"/targets/{directory}{slash}{digest}.{name}"] = content

    def document(self, role):
        metadata = Metadata(self.roles[role])
        for signer in self.signers.get(role, []):
            metadata.sign(signer, append=True)
        return metadata

    def write(self, role, document=None, version=None):
        """Puts a role's document, as it is or another, under the name of its version."""
        bytes_ = (document or self.document(role)).to_bytes(JSONSerializer())
        name = quote(role, "")
        version = version or self.roles[role].version
        self.files["/metadata/timestamp.json" if role == "timestamp" else f"/metadata/{version}.{name}.json"] = bytes_
        return bytes_

    def meta(self, role, bytes_):
        if self.hashes:
            return MetaFile.from_data(self.roles[role].version, bytes_, ["sha256"])
        return MetaFile(self.roles[role].version)

    def publish(self, *roles):
        """New versions of these roles, in the order that is safe; snapshot and timestamp say what is new."""
        for role in [*roles, *(role for role in ("snapshot", "timestamp") if role not in roles)]:
            self.roles[role].version += 1
            bytes_ = self.write(role)
            if role == "snapshot":
                self.timestamp.snapshot_meta = self.meta("snapshot", bytes_)
            elif role not in ("root", "timestamp"):
                self.snapshot.meta[f"{role}.json"] = self.meta(role, bytes_)

    def requests(self):
        """What was asked for since the last time, below `/metadata/`."""
        asked = [path.removeprefix("/metadata/") for path in self.asked if path.startswith("/metadata/")]
        self.asked.clear()
        return asked


class Client:
    """With a directory of its own."""

    def __init__(self, repository, root=None):
        self.repository = repository
        self.directory = Path(tempfile.mkdtemp(prefix="countersign-tuf-"))
        self.metadata, self.targets = self.directory / "metadata", self.directory / "targets"
        self.metadata.mkdir()
        self.targets.mkdir()
        root_file = self.directory / "root.json"
        root_file.write_bytes(root or repository.first_root)
        self.call("init", str(root_file))

    def call(self, *arguments):
        """Whether it ended well. What it does is bounded in time."""
        command = [str(CLIENT), "--metadata-dir", str(self.metadata), *arguments]
        environment = dict(os.environ, XDG_STATE_HOME=str(self.directory))
        ended = subprocess.run(command, capture_output=True, timeout=60, env=environment, check=False)
        assert ended.returncode in (0, 1), (arguments, ended)
        self.said = ended.stderr.decode()
        assert "panicked" not in self.said, self.said
        return ended.returncode == 0

    def refresh(self):
        return self.call("--metadata-url", self.repository.url + "/metadata", "refresh")

    def download(self, *paths):
        names = [part for path in paths for part in ("--target-name", path)]
        place = ["--metadata-url", self.repository.url + "/metadata", "--target-base-url", self.repository.url + "/targets"]
        return self.call(*place, *names, "--target-dir", str(self.targets), "download")

    def trusted(self):
        """The versions of what it has kept."""
        files = self.metadata.glob("*.json")
        return {unquote(file.stem): Metadata.from_bytes(file.read_bytes()).signed.version for file in files}

    def kept(self, role):
        return (self.metadata / f"{role}.json").read_bytes()

    def downloaded(self):
        return sorted(file.read_bytes() for file in self.targets.rglob("*") if file.is_file())
