"""python-tuf's `Updater` against the service: what it gets, through every publication, and what it refuses from a
mirror that lies. Argument: `bins` or `roles`, what the repository delegates to.

Environment: `SERVER`, `TOKEN`.
"""

import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import service
from mirror import Mirror, endless, silent
from service import METADATA, SERVER, Person, add, ask, done, info, later, new_online_key, next_root, online_key, published, run, signed, upload
from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    SlowRetrievalError,
    UnsignedMetadataError,
)
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp
from tuf.ngclient import Updater, UpdaterConfig
from tuf.ngclient.urllib3_fetcher import Urllib3Fetcher

TEMPORARY = Path(tempfile.mkdtemp(prefix="countersign-tuf-"))
ANA, BO, CY = Person("ana"), Person("bo", "ecdsa"), Person("cy", "rsa")
mirror = Mirror(SERVER)


class Reader:
    """A client with a memory of its own. Trusts the first root, or the one it is given."""

    count = 0

    def __init__(self, root=None):
        Reader.count += 1
        self.root = root or published("1.root.json")
        self.metadata = TEMPORARY / f"metadata-{Reader.count}"
        self.targets = TEMPORARY / f"targets-{Reader.count}"
        self.metadata.mkdir()
        self.targets.mkdir()

    def updater(self, base=SERVER, after=timedelta(0)):
        fetcher = Urllib3Fetcher(socket_timeout=2)
        # A small limit stands for all: what counts is that there is one.
        config = UpdaterConfig(targets_max_length=1_000_000)
        updater = Updater(
            str(self.metadata),
            base + "/metadata/",
            str(self.targets),
            base + "/targets/",
            fetcher=fetcher,
            config=config,
            bootstrap=self.root,
        )
        updater._trusted_set.reference_time += after
        return updater

    def refresh(self, **options):
        updater = self.updater(**options)
        updater.refresh()
        return updater

    def knows(self, path, **options):
        return self.refresh(**options).get_targetinfo(path)

    def fetch(self, path, **options):
        updater = self.refresh(**options)
        return Path(updater.download_target(updater.get_targetinfo(path))).read_bytes()

    def versions(self):
        files = {"root": Root, "timestamp": Timestamp, "snapshot": Snapshot, "targets": Targets}
        return {name: Metadata.from_file(str(self.metadata / f"{name}.json")).signed.version for name in files}

    def refuses(self, error, function, **options):
        """It raises this, and what it trusts stays as it was."""
        before = {file.name: file.read_bytes() for file in self.metadata.glob("*.json")}
        try:
            function(base=mirror.url, **options)
        except error:
            after = {file.name: file.read_bytes() for file in self.metadata.glob("*.json")}
            return before == after
        raise AssertionError(f"not refused with {error}")


# Readers of every age: each has seen another state, and goes on from it to the end.
readers = []


def everybody_goes_on():
    """New readers and old ones see the same."""
    readers.append(Reader())
    seen = []
    for reader in readers:
        reader.refresh()
        seen.append(reader.versions())
    assert all(versions == seen[0] for versions in seen), seen
    return seen[0]


def moved(before, after):
    return {role: after[role] - before[role] for role in after}


def bootstrap_with_bins():
    root = service.first_root([ANA, BO], 2, online_key())
    service.bootstrap(signed(root, [ANA, BO]), bins=4)
    assert everybody_goes_on() == {"root": 1, "timestamp": 1, "snapshot": 1, "targets": 1}


def nothing_is_public_before_the_threshold_is_met():
    root = service.first_root([ANA, BO], 2, online_key())
    result = service.bootstrap(signed(root, [ANA]), bins=4)
    assert result["details"] == {"bootstrap": "Root v1 is pending signature"}, result
    for name in ("1.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json", "1.bins-0.json"):
        assert published(name) is None, name
    done("POST", "metadata/sign/delete", {"role": "root"})


def every_publication_moves_what_changed():
    before = everybody_goes_on()
    add({"a": b"content of a"})
    after = everybody_goes_on()
    assert moved(before, after) == {"root": 0, "timestamp": 1, "snapshot": 1, "targets": 0}
    reader = Reader()
    assert reader.knows("a").length == 12
    assert reader.knows("nobody/knows") is None

    done("POST", "artifacts/delete", {"artifacts": ["a"]})
    assert reader.knows("a") is None
    assert moved(after, everybody_goes_on())["snapshot"] == 1

    before = everybody_goes_on()
    add({"staged": b"1"}, publish_artifacts=False)
    assert reader.knows("staged") is None and everybody_goes_on() == before
    done("POST", "artifacts/publish/")
    assert reader.knows("staged").length == 1

    before = everybody_goes_on()
    done("POST", "metadata/online", {"roles": []})
    assert moved(before, everybody_goes_on()) == {"root": 0, "timestamp": 1, "snapshot": 1, "targets": 1}
    before = everybody_goes_on()
    done("POST", "metadata/online", {"roles": ["timestamp"]})
    assert moved(before, everybody_goes_on()) == {"root": 0, "timestamp": 1, "snapshot": 0, "targets": 0}


def files_are_kept_and_fetched_by_their_hash():
    for path in ("one.txt", "dist/two-1.0.tar.gz", "a/b/c-d_e+f@g"):
        content = f"content of {path}".encode() * 100
        upload(path, content)
        reader = Reader()
        assert reader.fetch(path) == content, path
        # Again, through the mirror: nothing else is in the way.
        assert reader.fetch(path, base=mirror.url) == content
    replaced = b"another content"
    upload("one.txt", replaced)
    assert Reader().fetch("one.txt") == replaced


def paths_are_taken_as_they_are():
    paths = ["späce ü/ファイル 100%.txt", "/leading", "a//b", "e\u0301", "\u00e9", "a%2Fb", "q?x#y", 'quo"te\\']
    add({path: path.encode() for path in paths})
    updater = Reader().refresh()
    for path in paths:
        assert updater.get_targetinfo(path).length == len(path.encode()), path


def tampered_metadata_is_refused():
    add({"tampered": b"1"})
    mirror.asked.clear()
    Reader().knows("tampered", base=mirror.url)
    fetched = [path for path in mirror.asked if path in mirror.seen]
    assert len(fetched) == 4 and "bins-" in fetched[-1], fetched
    for path in fetched:
        original = mirror.seen[path]
        changed = original.replace(b'"expires":"2', b'"expires":"3', 1)
        assert changed != original, path
        mirror.lies[path] = changed
        reader = Reader()
        reader.refuses(RepositoryError, lambda base: reader.knows("tampered", base=base))
        mirror.honest()


def a_mirror_that_goes_back_is_refused():
    mirror.honest()
    mirror.seen.clear()
    old = Reader()
    old.refresh(base=mirror.url)
    state = dict(mirror.seen)
    add({"newer": b"1"})
    reader = Reader()
    reader.refresh(base=mirror.url)
    mirror.lies = dict(state)
    assert reader.refuses(BadVersionNumberError, lambda base: reader.refresh(base=base))
    mirror.honest()


def mixed_and_matched_metadata_is_refused():
    old = published("timestamp.json")
    old_snapshot = Metadata.from_bytes(old).signed.snapshot_meta.version
    add({"mixed": b"1"})
    newer = Metadata.from_bytes(published("timestamp.json")).signed.snapshot_meta.version
    # The old snapshot under the name of the new one: its length and hash are in the timestamp.
    mirror.lie(f"{newer}.snapshot.json", published(f"{old_snapshot}.snapshot.json"))
    fresh = Reader()
    fresh.refuses(RepositoryError, lambda base: fresh.refresh(base=base))
    mirror.honest()
    # And a bin of another version under the name that the snapshot has.
    Reader().knows("mixed", base=mirror.url)
    bin_path = [path for path in mirror.asked if "bins-" in path][-1].removeprefix("/metadata/")
    version, name = bin_path.split(".", 1)
    mirror.lie(bin_path, published(f"{int(version) - 1}.{name}"))
    other = Reader()
    other.refuses(BadVersionNumberError, lambda base: other.knows("mixed", base=base))
    mirror.honest()


def a_frozen_mirror_is_noticed_when_its_timestamp_ends():
    mirror.honest()
    reader = Reader()
    reader.refresh(base=mirror.url)
    mirror.freeze()
    reader.refresh(base=mirror.url, after=timedelta(hours=23))
    reader.refuses(ExpiredMetadataError, lambda base: reader.refresh(base=base, after=timedelta(hours=25)))
    mirror.honest()


def a_root_below_the_threshold_is_refused():
    mirror.honest()
    reader = Reader()
    reader.refresh()
    newest = service.trusted_root().signed
    newest.version += 1
    newest.roles["root"].threshold = 1
    for people in ([], [ANA], [CY]):
        forged = Metadata(newest)
        for person in people:
            forged.sign(person.signer, append=True)
        mirror.lie(f"{newest.version}.root.json", forged.to_bytes())
        assert reader.refuses(UnsignedMetadataError, lambda base: reader.refresh(base=base))
    # The service refuses it as well, or waits for the others; nobody sees it before.
    document = signed(newest, [ANA])
    result = done("POST", "metadata/", {"metadata": {"root": document}})
    assert "pending" in result["details"]["update"], result
    assert published(f"{newest.version}.root.json") is None
    done("POST", "metadata/sign/delete", {"role": "root"})
    mirror.honest()


def metadata_of_a_stranger_is_refused():
    stranger = Person("stranger")
    newest = Metadata.from_bytes(published("timestamp.json"))
    newest.signed.version += 1
    newest.sign(stranger.signer)
    mirror.lie("timestamp.json", newest.to_bytes())
    reader = Reader()
    reader.refuses(UnsignedMetadataError, lambda base: reader.refresh(base=base))
    mirror.honest()


def arbitrary_software_is_refused():
    content = b"the right content"
    upload("software", content)
    hash_ = info(content)["hashes"]["sha256"]
    for wrong in (b"the wrong content", b"the right", b"the right content, and more", b""):
        mirror.lies[f"/targets/{hash_}.software"] = wrong
        reader = Reader()
        reader.refuses((RepositoryError, DownloadLengthMismatchError), lambda base: reader.fetch("software", base=base))
        assert not list(reader.targets.iterdir())
    mirror.honest()


def endless_data_has_an_end():
    content = b"x" * 1000
    upload("endless", content)
    hash_ = info(content)["hashes"]["sha256"]
    timestamp = Metadata.from_bytes(published("timestamp.json")).signed
    for path in (
        "/metadata/timestamp.json",
        f"/metadata/{timestamp.snapshot_meta.version}.snapshot.json",
        f"/metadata/{service.trusted_root().signed.version + 1}.root.json",
        f"/targets/{hash_}.endless",
    ):
        mirror.lies[path] = endless
        reader = Reader()
        reader.refuses(DownloadLengthMismatchError, lambda base: reader.fetch("endless", base=base))
        mirror.honest()
    # The service bounds the snapshot itself: its length is in the timestamp.
    assert timestamp.snapshot_meta.length == len(published(f"{timestamp.snapshot_meta.version}.snapshot.json"))


def slow_retrieval_is_given_up():
    for path in ("/metadata/timestamp.json",):
        mirror.lies[path] = silent
        reader = Reader()
        reader.refuses(SlowRetrievalError, lambda base: reader.refresh(base=base))
        mirror.honest()


def roots_are_rotated():
    before = everybody_goes_on()

    def third_signer(root):
        root.add_key(CY.key, "root")

    next_root([ANA, BO], third_signer)
    after = everybody_goes_on()
    assert moved(before, after) == {"root": 1, "timestamp": 0, "snapshot": 0, "targets": 0}, (before, after)

    # Ana leaves; the others sign, and she once more for the old threshold.
    next_root([ANA, BO, CY], lambda root: root.revoke_key(ANA.keyid, "root"))
    assert everybody_goes_on()["root"] == before["root"] + 2
    next_root([BO, CY], lambda root: root.add_key(ANA.key, "root"))
    everybody_goes_on()


def online_keys_are_rotated():
    for scheme in ("ecdsa-sha2-nistp256", "rsassa-pss-sha256", "ed25519"):
        before = everybody_goes_on()
        key = new_online_key(f"online-{scheme}", scheme)
        next_root([ANA, BO], lambda root: service.replace_online(root, key))
        after = everybody_goes_on()
        assert moved(before, after)["root"] == 1 and after["timestamp"] > before["timestamp"]
        timestamp = Metadata.from_bytes(published("timestamp.json"))
        assert key.keyid in timestamp.signatures
        add({f"after {scheme}": b"1"})
        everybody_goes_on()
        assert Reader().knows(f"after {scheme}").length == 1
        # What is signed now has the new key alone.
        assert list(Metadata.from_bytes(published("timestamp.json")).signatures) == [key.keyid]


def one_online_key_each():
    keys = {role: new_online_key(f"own-{role}") for role in service.ONLINE_ROLES}

    def own(root):
        for role, key in keys.items():
            for keyid in list(root.roles[role].keyids):
                root.revoke_key(keyid, role)
            root.add_key(key, role)

    next_root([ANA, BO], own)
    add({"own": b"1"})
    everybody_goes_on()
    assert Reader().knows("own").length == 1


def many_artifacts_at_once_are_found():
    before = everybody_goes_on()
    files = {f"many/{number}": b"%d" % number for number in range(300)}
    add(files)
    assert moved(before, everybody_goes_on())["snapshot"] == 1
    updater = Reader().refresh()
    assert all(updater.get_targetinfo(path) for path in list(files)[::37])


BINS = [
    nothing_is_public_before_the_threshold_is_met,
    bootstrap_with_bins,
    every_publication_moves_what_changed,
    files_are_kept_and_fetched_by_their_hash,
    paths_are_taken_as_they_are,
    tampered_metadata_is_refused,
    a_mirror_that_goes_back_is_refused,
    mixed_and_matched_metadata_is_refused,
    a_frozen_mirror_is_noticed_when_its_timestamp_ends,
    a_root_below_the_threshold_is_refused,
    metadata_of_a_stranger_is_refused,
    arbitrary_software_is_refused,
    endless_data_has_an_end,
    slow_retrieval_is_given_up,
    roots_are_rotated,
    online_keys_are_rotated,
    one_online_key_each,
    many_artifacts_at_once_are_found,
]


def role(name, paths, people=(), threshold=1, days=30):
    return {
        "name": name,
        "terminating": False,
        "keyids": [person.keyid for person in people],
        "threshold": threshold,
        "paths": paths,
        "x-rstuf-expire-policy": days,
    }


def keys(*people):
    return {person.keyid: person.key.to_dict() for person in people}


def sign_role(name, *people):
    """These people sign what waits for them under this name; the last result."""
    for person in people:
        waiting = Metadata.from_dict(ask("GET", "metadata/sign")["data"]["metadata"][name])
        signature = waiting.sign(person.signer, append=True)
        body = {"role": name, "signature": {"keyid": signature.keyid, "sig": signature.signature}}
        result = done("POST", "metadata/sign", body)
    return result


def bootstrap_with_roles():
    root = service.first_root([ANA, BO], 2, online_key())
    delegations = {"keys": {}, "roles": [role("apps", ["apps/*"])]}
    service.bootstrap(signed(root, [ANA, BO]), delegations=delegations)
    add({"apps/one": b"1"})
    assert Reader().knows("apps/one").length == 1
    everybody_goes_on()


def a_path_of_nobody_is_told():
    result = add({"apps/two": b"22", "elsewhere": b"3"})
    assert result["details"]["invalid_paths"] == ["elsewhere"], result
    reader = Reader()
    assert reader.knows("apps/two").length == 2 and reader.knows("elsewhere") is None


def nobody_answers_for(path):
    """It is delegated to a role that is not signed yet: a client cannot tell. Others are not touched by it."""
    try:
        Reader().knows(path)
    except RepositoryError as error:
        assert "not part of snapshot" in str(error), error
    else:
        raise AssertionError(f"{path} was found or was not there")
    assert Reader().knows("apps/one") is not None


def a_role_of_two_people_is_published_when_both_have_signed():
    before = everybody_goes_on()
    body = {"delegations": {"keys": keys(ANA, CY), "roles": [role("docs", ["docs/*"], [ANA, CY], 2)]}}
    done("POST", "delegations/", body)
    everybody_goes_on()
    add({"docs/manual": b"4444"})
    nobody_answers_for("docs/manual")
    assert sign_role("docs", ANA)["details"] == {"update": "docs v1 is pending signatures"}
    nobody_answers_for("docs/manual")
    assert sign_role("docs", CY)["details"] == {"update": "Role docs signing complete"}
    reader = Reader()
    assert reader.knows("docs/manual").length == 4
    assert everybody_goes_on()["snapshot"] > before["snapshot"]
    # It lives as long as was said, from when it was changed.
    document = Metadata.from_bytes(published("1.docs.json")).signed
    assert later(29) < document.expires <= later(30)
    # The next change waits again; others go on.
    add({"docs/manual": b"55555"})
    add({"apps/three": b"333"})
    reader = Reader()
    assert reader.knows("docs/manual").length == 4 and reader.knows("apps/three").length == 3
    sign_role("docs", CY, ANA)
    assert Reader().knows("docs/manual").length == 5
    everybody_goes_on()


def paths_of_a_role_change():
    body = {"delegations": {"keys": {}, "roles": [role("apps", ["apps/*", "more/*"])]}}
    done("PUT", "delegations/", body)
    add({"more/one": b"1"})
    assert Reader().knows("more/one").length == 1
    assert Reader().knows("apps/one").length == 1
    everybody_goes_on()


def clients_that_knew_a_deleted_role_go_on():
    knew = Reader()
    assert knew.knows("docs/manual") is not None and knew.knows("apps/one") is not None
    done("POST", "delegations/delete", {"delegations": {"roles": [{"name": "docs"}]}})
    everybody_goes_on()
    assert knew.knows("docs/manual") is None
    assert knew.knows("apps/one") is not None
    add({"apps/after": b"1"})
    assert knew.knows("apps/after") is not None
    done("POST", "metadata/online", {"roles": []})
    everybody_goes_on()
    # Listed for ever, at its last version or a later one.
    newest = Metadata.from_bytes(published("timestamp.json")).signed.snapshot_meta.version
    snapshot = Metadata.from_bytes(published(f"{newest}.snapshot.json")).signed
    assert snapshot.meta["docs.json"].version >= 2


def a_role_that_was_deleted_can_come_back():
    body = {"delegations": {"keys": keys(BO), "roles": [role("docs", ["docs/*"], [BO])]}}
    done("POST", "delegations/", body)
    sign_role("docs", BO)
    everybody_goes_on()
    add({"docs/again": b"1"})
    sign_role("docs", BO)
    assert Reader().knows("docs/again") is not None
    everybody_goes_on()


def online_keys_are_rotated_under_roles():
    key = new_online_key("second")
    next_root([ANA, BO], lambda root: service.replace_online(root, key))
    everybody_goes_on()
    add({"apps/rotated": b"1"})
    assert Reader().knows("apps/rotated") is not None
    # The people's role was not touched: it is as they signed it.
    assert Reader().knows("docs/again") is not None
    everybody_goes_on()


ROLES = [
    bootstrap_with_roles,
    a_path_of_nobody_is_told,
    a_role_of_two_people_is_published_when_both_have_signed,
    paths_of_a_role_change,
    clients_that_knew_a_deleted_role_go_on,
    a_role_that_was_deleted_can_come_back,
    online_keys_are_rotated_under_roles,
]

if __name__ == "__main__":
    run({"bins": BINS, "roles": ROLES}[sys.argv[1]])
