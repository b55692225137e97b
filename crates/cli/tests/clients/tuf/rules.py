"""The rules of a client by the specification, as the TUF project's conformance tests have them, each by a repository
that breaks it: for `countersign tuf`. `scripts/conformance` runs those tests themselves.

Environment: `COUNTERSIGN`.
"""

import json
import sys
import traceback

from repository import Client, Repository, in_days
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.metadata import Metadata

RULES = []


def rule(function):
    RULES.append(function)
    return function


def pair():
    repository = Repository()
    return repository, Client(repository)


def stops(change, trusted):
    """A repository that is changed so is refused, with exactly this trusted then."""
    repository, client = pair()
    change(repository)
    assert not client.refresh(), "it was taken"
    assert client.trusted() == trusted, client.trusted()
    return repository, client


@rule
def a_refresh_asks_for_what_it_needs_and_keeps_it_byte_for_byte():
    repository, client = pair()
    assert client.refresh()
    assert repository.requests() == ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"]
    for role, file in [("root", "1.root"), ("timestamp", "timestamp"), ("snapshot", "1.snapshot"), ("targets", "1.targets")]:
        assert client.kept(role) == repository.files[f"/metadata/{file}.json"], role
    assert client.refresh()
    assert repository.requests() == ["2.root.json", "timestamp.json"]


@rule
def a_download_refreshes_first():
    repository, client = pair()
    assert not client.download("nowhere")
    assert client.trusted() == dict.fromkeys(["root", "timestamp", "snapshot", "targets"], 1)


@rule
def a_first_root_that_is_none_asks_for_nothing():
    for change in (
        lambda root: root["signed"].pop("version"),
        lambda root: root["signatures"][0].update(sig="00" * 64),
        lambda root: root["signed"]["roles"]["root"].update(threshold=2),
    ):
        repository = Repository()
        root = json.loads(repository.first_root)
        change(root)
        client = Client(repository, json.dumps(root).encode())
        assert not client.refresh() and repository.requests() == []


UNSIGNED = {
    "root": {"root": 1},
    "timestamp": {"root": 2},
    "snapshot": {"root": 2, "timestamp": 2},
    "targets": {"root": 2, "timestamp": 2, "snapshot": 2},
}


@rule
def a_role_without_its_signature_is_refused_and_what_came_before_it_is_kept():
    for role, trusted in UNSIGNED.items():
        def change(repository, role=role):
            repository.signers[role] = [CryptoSigner.generate_ed25519()]
            repository.publish("root", "targets")

        stops(change, trusted)


@rule
def a_version_other_than_that_of_the_name_is_refused():
    for role in ("root", "snapshot", "targets"):
        def change(repository, role=role):
            repository.publish("root", "targets")
            repository.roles[role].version += 1
            repository.write(role, version=2)

        stops(change, UNSIGNED[role])


@rule
def a_document_of_another_type_is_refused():
    for role in ("root", "snapshot", "targets"):
        def change(repository, role=role):
            repository.publish("root", "targets")
            repository.files[f"/metadata/2.{role}.json"] = repository.files["/metadata/timestamp.json"]

        stops(change, UNSIGNED[role])


@rule
def what_is_missing_is_not_gone_around():
    for role in ("timestamp", "snapshot", "targets"):
        def change(repository, role=role):
            repository.publish("root", "targets")
            del repository.files["/metadata/timestamp.json" if role == "timestamp" else f"/metadata/2.{role}.json"]

        stops(change, UNSIGNED[role])


@rule
def what_has_expired_is_refused():
    for role in ("timestamp", "snapshot", "targets"):
        def change(repository, role=role):
            repository.roles[role].expires = in_days(-1)
            repository.publish("root", "targets")

        stops(change, UNSIGNED[role])


@rule
def a_root_may_have_expired_unless_it_is_the_last():
    repository, client = pair()
    repository.root.expires = in_days(-1)
    repository.publish("root", "targets")
    assert not client.refresh() and client.trusted() == {"root": 2}
    repository.root.expires = in_days(1)
    repository.publish("root")
    assert client.refresh() and client.trusted()["root"] == 3


@rule
def a_timestamp_that_was_kept_may_have_expired():
    repository, client = pair()
    repository.timestamp.expires = in_days(-1)
    repository.publish()
    assert not client.refresh()
    repository.timestamp.expires = in_days(1)
    repository.publish()
    assert client.refresh() and client.trusted()["timestamp"] == 3


@rule
def a_timestamp_of_the_same_version_changes_nothing():
    repository, client = pair()
    assert client.refresh()
    repository.timestamp.snapshot_meta.version = 100
    repository.write("timestamp")
    repository.requests()
    assert client.refresh()
    assert repository.requests()[-1] == "timestamp.json"
    assert Metadata.from_bytes(client.kept("timestamp")).signed.snapshot_meta.version == 1


@rule
def hashes_of_metadata_are_checked_where_there_are_some():
    repository, client = pair()
    repository.hashes = True
    repository.publish("targets")
    assert client.refresh()
    repository.publish("targets")
    repository.snapshot.meta["targets.json"].hashes["sha256"] = "0" * 64
    repository.publish()
    assert not client.refresh()
    assert client.trusted()["snapshot"] == 4 and client.trusted()["targets"] == 2

    repository, client = pair()
    repository.hashes = True
    repository.publish("targets")
    repository.timestamp.version += 1
    repository.timestamp.snapshot_meta.hashes["sha256"] = "0" * 64
    repository.write("timestamp")
    assert not client.refresh() and client.trusted() == {"root": 1, "timestamp": 3}


@rule
def members_that_are_not_known_change_nothing():
    repository, client = pair()
    for role in ("root", "timestamp", "snapshot", "targets"):
        repository.roles[role].unrecognized_fields["x-vendor-member"] = {"a": [1, None, "ü"], "": {}}
    for key in repository.root.keys.values():
        key.unrecognized_fields["keyid_hash_algorithms"] = ["md5"]
    repository.publish("root", "targets")
    assert client.refresh()
    assert b"x-vendor-member" in client.kept("snapshot")


@rule
def every_signature_counts_once_and_only_of_known_keys():
    def threshold(repository):
        repository.root.roles["snapshot"].threshold = 2

    def too_few(repository):
        threshold(repository)
        repository.add_key("snapshot")
        repository.signers["snapshot"].pop()
        repository.publish("root", "targets")

    stops(too_few, {"root": 2, "timestamp": 2})

    def too_few_keys(repository):
        threshold(repository)
        repository.publish("root", "targets")

    stops(too_few_keys, {"root": 2, "timestamp": 2})

    def one_key_under_two_ids(repository):
        [signer] = repository.signers["snapshot"]
        key = signer.public_key
        again = SSlibKey("a" * 64, key.keytype, key.scheme, dict(key.keyval))
        repository.add_key("snapshot", signer=CryptoSigner(signer._private_key, again))
        threshold(repository)
        repository.publish("root", "targets")

    repository, client = pair()
    one_key_under_two_ids(repository)
    assert not client.refresh()

    def one_id_twice(repository):
        repository.add_key("snapshot")
        threshold(repository)
        repository.publish("root", "targets")
        document = json.loads(repository.files["/metadata/2.snapshot.json"])
        document["signatures"][1] = dict(document["signatures"][0])
        repository.files["/metadata/2.snapshot.json"] = json.dumps(document).encode()

    stops(one_id_twice, {"root": 2, "timestamp": 2})


@rule
def a_signature_that_does_not_verify_does_no_harm_beside_enough_that_do():
    repository, client = pair()
    for role in ("root", "timestamp", "snapshot", "targets"):
        stranger = repository.add_key(role)
        repository.signers[role].remove(stranger)
    repository.publish("root", "targets")
    for name in ("2.root", "timestamp", "2.snapshot", "2.targets"):
        document = json.loads(repository.files[f"/metadata/{name}.json"])
        document["signatures"] += [{"keyid": "b" * 64, "sig": ""}, {"keyid": stranger.public_key.keyid, "sig": "00" * 64}]
        repository.files[f"/metadata/{name}.json"] = json.dumps(document).encode()
    assert client.refresh(), client.said


@rule
def keys_of_every_type_are_known():
    for signer in (CryptoSigner.generate_ed25519(), CryptoSigner.generate_ecdsa(), CryptoSigner.generate_rsa()):
        repository, client = pair()
        repository.signers["timestamp"].clear()
        repository.root.roles["timestamp"].keyids.clear()
        repository.add_key("timestamp", signer=signer)
        repository.publish("root")
        assert client.refresh(), client.said


@rule
def nothing_goes_back():
    repository, client = pair()
    repository.publish("targets")
    assert client.refresh()
    repository.timestamp.version = 1
    repository.write("timestamp")
    assert not client.refresh() and client.trusted()["timestamp"] == 2

    repository, client = pair()
    repository.publish("targets")
    assert client.refresh()
    repository.timestamp.snapshot_meta.version = 1
    repository.timestamp.version = 3
    repository.write("timestamp")
    assert not client.refresh() and client.trusted()["timestamp"] == 2

    repository, client = pair()
    repository.publish("targets")
    assert client.refresh()
    repository.snapshot.meta["targets.json"].version = 1
    repository.publish()
    assert not client.refresh() and client.trusted()["snapshot"] == 2

    repository, client = pair()
    repository.publish("targets")
    assert client.refresh()
    del repository.snapshot.meta["targets.json"]
    repository.publish()
    assert not client.refresh() and client.trusted()["snapshot"] == 2


@rule
def versions_of_a_stolen_key_are_forgotten_with_the_key():
    for role, moved in [("timestamp", ["timestamp"]), ("snapshot", ["snapshot", "timestamp"]), ("targets", ["snapshot", "timestamp"])]:
        repository, client = pair()
        repository.roles[role].version = 99_998
        repository.publish("targets")
        assert client.refresh()
        assert client.trusted()[role] > 99_000
        repository.roles[role].version = 0
        for key in moved:
            repository.replace_keys(key)
        if role == "targets":
            repository.snapshot.version = 1
            repository.timestamp.version = 1
        repository.publish("root", "targets")
        assert client.refresh(), (role, client.said)
        assert client.trusted()[role] < 99_000


@rule
def files_are_what_was_said_or_are_not_there():
    repository, client = pair()
    for path in ("one", "deep/er/two", "späce ü/100% ?#&", "a+b"):
        repository.add_file("targets", path, path.encode())
    repository.publish("targets")
    for count, path in enumerate(("one", "deep/er/two", "späce ü/100% ?#&", "a+b"), 1):
        assert client.download(path), client.said
        assert len(client.downloaded()) == count and path.encode() in client.downloaded()
    for wrong in (b"onf", b"on", b"one more", b""):
        other = Client(repository)
        repository.put_file(repository.targets.targets["one"], wrong)
        assert not other.download("one") and other.downloaded() == []
    repository.asked.clear()
    assert client.download("one"), "it is there already"
    assert not any(path.startswith("/targets/") for path in repository.asked)


@rule
def a_changed_file_takes_the_place_of_the_old_one():
    repository, client = pair()
    for content in (b"one", b"another", b"a third"):
        repository.add_file("targets", "file", content)
        repository.publish("targets")
        assert client.download("file") and client.downloaded() == [content]


@rule
def any_known_hash_will_do_and_an_unknown_one_will_not():
    for algorithms in (["sha256"], ["sha512"], ["sha256", "sha512"], ["blake2b-256"]):
        repository, client = pair()
        repository.add_file("targets", "file", b"content", algorithms)
        repository.publish("targets")
        assert client.download("file"), client.said
    repository, client = pair()
    target = repository.add_file("targets", "file", b"content")
    target.hashes["unknown"] = target.hashes.pop("sha256")
    repository.publish("targets")
    assert not client.download("file") and client.downloaded() == []


@rule
def names_of_roles_are_encoded_and_harmless():
    for role in ("?", "#", "/role", "../role", "a b", "ü"):
        repository, client = pair()
        repository.delegate("targets", role, ["*"])
        repository.add_file(role, "file", b"content")
        repository.publish(role, "targets")
        assert client.download("file"), (role, client.said)
        assert client.trusted()[role] == 2
        assert len(list(client.directory.rglob("*.json"))) == 6


# Who delegates what to whom, and in which order a path that nobody has is looked for.
GRAPHS = [
    ([("targets", "a", "*"), ("targets", "b", "*"), ("targets", "c", "*")], ["a", "b", "c"]),
    ([("targets", "a", "*"), ("a", "b", "*"), ("targets", "c", "*"), ("b", "d", "*")], ["a", "b", "d", "c"]),
    ([("targets", "a", "*"), ("a", "b", "*"), ("b", "a", "*")], ["a", "b"]),
    ([("targets", "a", "*"), ("a", "b", "*", True), ("b", "c", "*"), ("targets", "d", "*")], ["a", "b", "c"]),
    ([("targets", "a", "*", True), ("targets", "b", "*")], ["a"]),
    ([("targets", "a", "other/*"), ("targets", "b", "fil?"), ("targets", "c", "FILE")], ["b"]),
    ([("targets", "a", "*/*"), ("targets", "b", "f*e")], ["b"]),
]


@rule
def delegations_are_walked_in_order_and_not_for_ever():
    for delegations, visited in GRAPHS:
        repository, client = pair()
        names = []
        for delegator, role, pattern, *terminating in delegations:
            repository.delegate(delegator, role, [pattern], bool(terminating))
            names += [role] if role not in names else []
        repository.publish(*names, "targets")
        assert not client.download("file")
        asked = [name.split(".")[1] for name in repository.requests()[4:]]
        assert asked == visited, (delegations, asked, client.said)


@rule
def a_path_must_be_delegated_by_everybody_on_the_way():
    repository, client = pair()
    repository.delegate("targets", "a", ["releases/*"])
    repository.delegate("a", "b", ["*/*"])
    repository.add_file("b", "releases/one", b"1")
    repository.add_file("b", "other/one", b"2")
    repository.publish("b", "a", "targets")
    assert client.download("releases/one") and not client.download("other/one")


@rule
def a_delegated_role_that_is_not_in_the_snapshot_is_not_used():
    repository, client = pair()
    repository.delegate("targets", "a", ["*"])
    repository.add_file("a", "file", b"1")
    repository.publish("a", "targets")
    del repository.snapshot.meta["a.json"]
    repository.publish()
    assert not client.download("file") and client.downloaded() == []


@rule
def a_role_is_verified_for_each_that_delegates_to_it():
    repository, client = pair()
    for team in ("a", "b"):
        repository.delegate("targets", team, [f"{team}/*"])
        repository.delegate(team, "release", [f"{team}/*"])
        repository.add_file("release", f"{team}/file", team.encode())
    repository.signers["release"].pop()
    repository.publish("release", "a", "b", "targets")
    assert client.download("a/file") and not client.download("b/file")
    assert not Client(repository).download("a/file", "b/file")


@rule
def roots_are_followed_through_every_change_of_keys():
    repository, client = pair()
    one = repository.signers["root"][0]
    two = repository.add_key("root")
    repository.root.roles["root"].threshold = 2
    repository.publish("root")
    assert client.refresh(), client.said
    # The old ones sign, and the new one.
    three = repository.add_key("root")
    repository.root.revoke_key(one.public_key.keyid, "root")
    repository.publish("root")
    assert client.refresh() and client.trusted()["root"] == 3, client.said
    repository.signers["root"] = [two, three]
    repository.publish("root")
    assert client.refresh() and client.trusted()["root"] == 4
    # Not by one of them alone, nor by who has left.
    for signers in ([two], [one, three], [one, two]):
        repository.signers["root"] = signers
        repository.root.version = 5
        repository.write("root")
        assert not client.refresh() and client.trusted()["root"] == 4
    repository.signers["root"] = [two, three]
    repository.write("root")
    assert client.refresh() and Client(repository).refresh()


@rule
def keys_of_other_roles_change_with_the_root():
    for role in ("timestamp", "snapshot", "targets"):
        repository, client = pair()
        assert client.refresh()
        old = repository.signers[role][:]
        repository.replace_keys(role)
        repository.publish("root", "targets")
        assert client.refresh() and Client(repository).refresh(), client.said
        repository.signers[role] = old
        repository.publish("targets")
        assert not client.refresh() and not Client(repository).refresh()


if __name__ == "__main__":
    failed = 0
    for function in RULES:
        try:
            function()
            print(f"ok {function.__name__}", flush=True)
        except Exception:
            failed += 1
            print(f"FAILED {function.__name__}")
            traceback.print_exc(file=sys.stdout)
    sys.exit(bool(failed))
