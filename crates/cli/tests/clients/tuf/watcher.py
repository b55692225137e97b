"""python-tuf refreshes in a loop from a service that is killed again and again, once with a memory and once from the
first root. Ends when standard input does, and prints what it has seen as JSON.

Arguments: a file that has the service's address, which changes; a file with the first root.
"""

import json
import select
import sys
import tempfile
import time
from pathlib import Path

import urllib3
from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError, RepositoryError
from tuf.ngclient import Updater

ADDRESS, ROOT = Path(sys.argv[1]), Path(sys.argv[2]).read_bytes()
seen = {"refreshes": 0, "no_answers": 0, "overtaken": 0, "wrong": []}


def refresh(directory):
    Updater(str(directory), ADDRESS.read_text() + "/metadata/", bootstrap=ROOT).refresh()
    seen["refreshes"] += 1


def no_answer(error):
    if isinstance(error, DownloadHTTPError):
        return error.status_code == 503
    if isinstance(error, DownloadLengthMismatchError):
        return False
    return isinstance(error, (DownloadError, urllib3.exceptions.HTTPError, OSError))


def watch(directory):
    """Refreshes; what is refused twice in a row, with the server there, is wrong."""
    try:
        return refresh(directory)
    except (RepositoryError, DownloadError, urllib3.exceptions.HTTPError, OSError) as error:
        first = error
    if no_answer(first):
        seen["no_answers"] += 1
        return time.sleep(0.02)
    try:
        refresh(directory)
        seen["overtaken"] += 1
    except (RepositoryError, DownloadError, urllib3.exceptions.HTTPError, OSError) as error:
        if no_answer(error):
            seen["no_answers"] += 1
        else:
            seen["wrong"].append(f"{first!r}; and again: {error!r}")


with tempfile.TemporaryDirectory() as remembered:
    while not select.select([sys.stdin], [], [], 0)[0]:
        watch(remembered)
        with tempfile.TemporaryDirectory() as fresh:
            watch(fresh)
print(json.dumps(seen))
