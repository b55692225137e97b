"""Canonical JSON by securesystemslib: an array of values comes in, an array of texts goes out."""

import json
import sys

from securesystemslib.formats import encode_canonical

print(json.dumps([encode_canonical(value) for value in json.load(sys.stdin)]))
