"""python-tuf's client on repositories in memory.

An array of cases comes in: `{"root", "now", "runs": [{"files": {NAME: TEXT}, "now"?}], "path"}`. Each run is a new
client over the same local directory. Out goes an array with, for each run, `found`, `absent`, or the name of the error.
"""

import datetime
import json
import sys
import tempfile

from tuf.api.exceptions import DownloadHTTPError, RepositoryError
from tuf.ngclient import FetcherInterface, Updater


class Memory(FetcherInterface):
    def __init__(self, files):
        self.files = files

    def _fetch(self, url):
        name = url.removeprefix("memory:/")
        if name not in self.files:
            raise DownloadHTTPError("missing", 404)
        yield self.files[name].encode()


def run(case, files, now, directory):
    root = case["root"].encode()
    try:
        updater = Updater(
            directory, "memory:/", directory, "memory:/targets/", fetcher=Memory(files), bootstrap=root
        )
        updater._trusted_set.reference_time = datetime.datetime.fromisoformat(now)
        return "found" if updater.get_targetinfo(case["path"]) else "absent"
    except (RepositoryError, DownloadHTTPError) as error:
        return type(error).__name__


def runs(case):
    with tempfile.TemporaryDirectory() as directory:
        return [run(case, one["files"], one.get("now", case["now"]), directory) for one in case["runs"]]


print(json.dumps([runs(case) for case in json.load(sys.stdin)]))
