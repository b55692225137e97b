"""Path patterns by python-tuf: pairs of pattern and path come in, an array of booleans goes out."""

import json
import sys

from tuf.api.metadata import DelegatedRole


def matches(pattern, path):
    return DelegatedRole("r", [], 1, False, paths=[pattern]).is_delegated_path(path)


print(json.dumps([matches(pattern, path) for pattern, path in json.load(sys.stdin)]))
