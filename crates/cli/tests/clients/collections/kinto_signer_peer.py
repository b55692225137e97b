"""A real Kinto with its signer, whose signatures are made by our Autograph surface.

Environment: `AUTOGRAPH` (the address of our server), `HAWK` (`ID:SECRET`), `KEY` (the public key in PEM).
"""

import base64
import json
import logging
import os
import threading
import urllib.error
import urllib.request
import warnings

import kinto
import signature
from waitress.server import create_server

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
HAWK = os.environ["HAWK"].split(":", 1)
KEY = signature.key(os.environ["KEY"])
MEMORY = "memory"


def start(secret):
    """Starts a Kinto in memory and returns a function that asks it."""
    app = kinto.main(
        {},
        config=None,
        **{
            "storage_backend": "kinto.core.storage.memory",
            "cache_backend": "kinto.core.cache.memory",
            "permission_backend": "kinto.core.permission.memory",
            "userid_hmac_secret": "s",
            "multiauth.policies": "basicauth",
            "bucket_create_principals": "system.Authenticated",
            "includes": "kinto_signer",
            "signer.resources": "/buckets/source -> /buckets/preview -> /buckets/destination",
            "signer.signer_backend": "kinto_signer.signer.autograph",
            "signer.autograph.server_url": os.environ["AUTOGRAPH"],
            "signer.autograph.hawk_id": HAWK[0],
            "signer.autograph.hawk_secret": secret,
        },
    )
    server = create_server(app, host="127.0.0.1", port=0)
    threading.Thread(target=server.run, daemon=True).start()

    def ask(method, path, data=None):
        body = None if data is None else json.dumps({"data": data}).encode()
        headers = {
            "Content-Type": "application/json",
            "Authorization": "Basic " + base64.b64encode(b"admin:s").decode(),
        }
        request = urllib.request.Request(
            f"http://127.0.0.1:{server.effective_port}/v1{path}", body, headers, method=method
        )
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, json.load(answer), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, json.load(error), error.headers

    return ask


def verified(ask, bucket):
    """The records of a bucket's collection, whose signature verifies over bytes that are computed here."""
    path = f"/buckets/{bucket}/collections/books"
    metadata = ask("GET", path)[1]["data"]
    _, records, headers = ask("GET", path + "/records")
    message = signature.message(records["data"], headers["ETag"].strip('"'))
    bundle = metadata["signature"]
    assert signature.holds(KEY, bundle["signature"], message), bundle
    assert bundle["mode"] == "p384ecdsa" and bundle["type"].startswith("contentsignature") and "x5u" in bundle, bundle
    assert signature.same(KEY, signature.key(bundle["public_key"])) and bundle["signer_id"] and bundle["ref"], bundle
    return {one["id"]: one for one in records["data"]}, bundle


ask = start(HAWK[1])
source = "/buckets/source/collections/books"
assert ask("GET", "/__heartbeat__")[1]["signer"] is True
ask("PUT", "/buckets/source")
assert ask("PUT", source)[0] == 201
assert verified(ask, "destination")[0] == {}
for n in range(30):
    ask("PUT", f"{source}/records/r{n}", {"n": n, "text": "é 😀 \u2028 \x7f", "big": 2**53 + 1})
assert ask("PATCH", source, {"status": "to-review"})[0] == 200
assert len(verified(ask, "preview")[0]) == 30
assert ask("PATCH", source, {"status": "to-sign"})[0] == 200
records, first = verified(ask, "destination")
assert len(records) == 30 and ask("GET", source)[1]["data"]["status"] == "signed"
ask("DELETE", f"{source}/records/r7")
assert ask("PATCH", source, {"status": "to-sign"})[0] == 200
assert len(verified(ask, "destination")[0]) == 29
assert ask("PATCH", source, {"status": "to-resign"})[0] == 200
assert verified(ask, "destination")[1]["signature"] != first["signature"]

other = start(HAWK[1] + "x")
assert other("GET", "/__heartbeat__")[1]["signer"] is False
other("PUT", "/buckets/source")
assert other("PUT", source)[0] >= 500, "signed with a secret that is not theirs"
print("ok")
