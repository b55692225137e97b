"""Content signatures as a reader checks them: bytes computed here, judged with `cryptography`."""

import base64
import datetime
import hashlib
import json

import canonicaljson
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID

PREFIX = b"Content-Signature:\x00"


def message(records, timestamp, floats=False):
    """What is signed over these live records: two writers of canonical JSON must agree unless there are floats."""
    live = sorted((one for one in records if not one.get("deleted")), key=lambda one: one["id"])
    document = {"data": live, "last_modified": str(timestamp)}
    text = canonicaljson.dumps(document)
    if not floats:
        assert text == json.dumps(document, sort_keys=True, separators=(",", ":")), "two canonical forms"
    return PREFIX + text.encode("ascii")


def holds(public, signature, data, alphabet="-_"):
    """Whether R and S in base64 are a signature over the data with SHA-384."""
    raw = base64.b64decode(signature, altchars=alphabet.encode() if alphabet else None, validate=True)
    assert len(raw) == 96 and len(signature) == 128, len(raw)
    pair = encode_dss_signature(int.from_bytes(raw[:48], "big"), int.from_bytes(raw[48:], "big"))
    try:
        public.verify(pair, data, ec.ECDSA(hashes.SHA384()))
    except InvalidSignature:
        return False
    return True


def key(text):
    """A public key from PEM or from base64 of DER."""
    if "BEGIN" in text:
        return serialization.load_pem_public_key(text.encode())
    return serialization.load_der_public_key(base64.b64decode(text, validate=True))


def same(one, other):
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return one.public_bytes(*form) == other.public_bytes(*form)


def chain(pem, name=None, root=None, now=None):
    """Walks a chain of certificates from the leaf to the root; returns the leaf's key and the root's SHA-256 in hex.

    `name` is the DNS name that the leaf must have, `root` the SHA-256 of the root's DER in hex.
    """
    certificates = x509.load_pem_x509_certificates(pem)
    assert len(certificates) >= 2, "leaf and root at least"
    now = now or datetime.datetime.now(datetime.timezone.utc)
    for one in certificates:
        assert one.not_valid_before_utc <= now <= one.not_valid_after_utc, one.subject
    for one, issuer in zip(certificates, [*certificates[1:], certificates[-1]]):
        one.verify_directly_issued_by(issuer)
        if one is not certificates[0]:
            constraints = one.extensions.get_extension_for_class(x509.BasicConstraints)
            assert constraints.critical and constraints.value.ca, one.subject
            assert one.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    leaf = certificates[0]
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert ExtendedKeyUsageOID.CODE_SIGNING in usage, usage
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    names = names.get_values_for_type(x509.DNSName)
    assert any(".content-signature." in one for one in names), names
    if name is not None:
        assert name in names, (name, names)
    found = hashlib.sha256(certificates[-1].public_bytes(serialization.Encoding.DER)).hexdigest()
    if root is not None:
        assert found == root.replace(":", "").lower(), (found, root)
    life = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    assert life < datetime.timedelta(days=60), life
    public = leaf.public_key()
    assert isinstance(public.curve, ec.SECP384R1)
    return public, found
