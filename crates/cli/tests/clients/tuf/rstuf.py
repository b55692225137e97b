"""The command line of RSTUF, unmodified, against the service: its questions are answered at a terminal, as a person
would. Argument: `bins` or `roles`, what the repository delegates to.

What it cannot do here:

- `admin import-artifacts` writes rows into the SQL database of RSTUF's own worker. There is none; artifacts of
  another place are added by `countersign tuf publish` or `POST artifacts/`.
- `admin delegations new` compares the answer with a message that its own API does not send either, and ends with an
  error after the service has taken the delegation.

Environment: `SERVER`, `TOKEN`, `RSTUF` (its program).
"""

import json
import os
import re
import sys
import tempfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import service
from service import METADATA, PASSPHRASE, SERVER, TARGETS, TOKEN, Person, ask, done, new_online_key, outcome, published, run
from terminal import DOWN, ENTER, SPACE, Terminal
from tuf.api.metadata import Metadata

HOME = Path(tempfile.mkdtemp(prefix="countersign-rstuf-"))
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": str(HOME),
    "LC_ALL": "C.UTF-8",
    "TERM": "xterm",
    # The terminal here does not say where its cursor is.
    "PROMPT_TOOLKIT_NO_CPR": "1",
}
FILE = "Key PEM File"
SERVICE = ["--api-server", SERVER, "--headers", f"Authorization: Bearer {TOKEN}"]
PEOPLE = {name: Person(name, kind) for name, kind in [("ana", "ed25519"), ("bo", "ecdsa"), ("cy", "rsa")]}
for person in PEOPLE.values():
    person.save(HOME)


class Files(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def rstuf(*arguments):
    return Terminal([os.environ["RSTUF"], *arguments], ENVIRONMENT, HOME)


def admin(*arguments):
    return rstuf("admin", *SERVICE, *arguments)


def ends(terminal, said, status=0):
    """It ends with this status and has said this."""
    text, code = terminal.end()
    assert code == status and said in text, f"{code}\n{text}"
    return text


def succeeds(said, *arguments):
    return ends(rstuf(*arguments), said)


def accepted(text):
    """The task of what was submitted, at its end."""
    return outcome({"data": {"task_id": re.search(r"ACCEPTED \(([0-9a-f]{32})\)", text)[1]}})


def save_online(name=None):
    """The public half of an online key of the service as a file, as one downloads it."""
    key = service.online_key(name)
    file = HOME / f"{name or 'online'}.pub"
    file.write_text(ask("GET", "keys/online")["data"]["pem"][key.keyid])
    return file


def answer_public_key(terminal, file, name):
    terminal.choose(FILE)
    terminal.answer("PUBLIC key:", str(file))
    terminal.answer("enter key name", name)


def answer_signature(terminal, name):
    """Chooses a key, shows its file, types its passphrase."""
    terminal.choose(name)
    terminal.choose(FILE)
    terminal.answer(f"encrypted private key {name}", str(HOME / f"{name}.pem"))
    terminal.answer("Please enter password", PASSPHRASE.decode())
    terminal.expect(f"Signed metadata with key '{name}'")


def answer_expiry(terminal, role, days):
    terminal.answer(f"days until expiry for '{role}' role", days)


def ceremony(delegations, *arguments, signers=("ana",), program=admin):
    """Answers all questions of a ceremony: two keys, both needed."""
    online = save_online()
    terminal = program("ceremony", *arguments)
    for role, days in [("timestamp", "1"), ("snapshot", "2"), ("targets", "30")]:
        answer_expiry(terminal, role, days)
    delegations(terminal)
    answer_expiry(terminal, "root", "365")
    terminal.answer("'root' threshold", "2")
    terminal.expect("Select a key type")
    answer_public_key(terminal, HOME / "ana.pub", "ana")
    terminal.expect("Added key 'ana'")
    terminal.choose("add")
    terminal.expect("Select a key type")
    answer_public_key(terminal, HOME / "bo.pub", "bo")
    terminal.expect("Added key 'bo'")
    terminal.choose("continue")
    terminal.expect("Select Online Key type")
    answer_public_key(terminal, online, "online")
    for name in signers:
        terminal.expect("Select a key for signing")
        answer_signature(terminal, name)
    if len(signers) < 2:
        terminal.choose("continue")
    return terminal


def bins(terminal):
    terminal.choose("Bins (online key only)")
    answer_expiry(terminal, "bins", "3")
    terminal.answer("number of delegated hash bins", "4")


def sign(name, *arguments, role="root", program=admin):
    terminal = program("metadata", "sign", *arguments)
    terminal.expect("Select a role to sign")
    terminal.choose(role)
    answer_signature(terminal, name)
    return terminal


def update(change, signers, *arguments, program=admin):
    """Answers the questions of `metadata update`: expiry and threshold stay."""
    terminal = program("metadata", "update", *arguments)
    terminal.answer("change the expiry date?", "n")
    terminal.answer("change the threshold?", "n")
    terminal.expect("Current signing keys")
    change(terminal)
    for name in signers:
        terminal.expect("Select a key for signing")
        answer_signature(terminal, name)
    return terminal


def add_cy(terminal):
    terminal.choose("add")
    terminal.expect("Select a key type")
    answer_public_key(terminal, HOME / "cy.pub", "cy")
    terminal.expect("Added key 'cy'")
    terminal.choose("continue")
    terminal.answer("change the online key?", "n")


def remove_cy(terminal):
    terminal.choose("remove")
    terminal.expect("Select a key to remove")
    terminal.choose("cy")
    terminal.expect("Removed key 'cy'")
    terminal.choose("continue")
    terminal.answer("change the online key?", "n")


def change_online(name):
    def change(terminal):
        terminal.choose("continue")
        terminal.answer("change the online key?", "y")
        terminal.expect("Select Online Key type")
        answer_public_key(terminal, save_online(name), name)

    return change


def version():
    return service.trusted_root().signed.version


def a_ceremony_with_one_of_two_signatures_waits():
    terminal = ceremony(bins)
    text = ends(terminal, "Ceremony done")
    state, result = accepted(text)
    assert state == "SUCCESS" and result["details"] == {"bootstrap": "Root v1 is pending signature"}, result
    assert published("1.root.json") is None and published("timestamp.json") is None
    assert ask("GET", "bootstrap/")["data"]["state"] == "signing"


def a_second_ceremony_is_refused_while_the_first_waits():
    ends(ceremony(bins), "System already has a Metadata. State: signing", 1)


def a_ceremony_is_stopped_and_begun_again_from_a_file():
    terminal = admin("metadata", "stop-sign")
    terminal.expect("Select which metadata signing process to stop")
    terminal.choose("root")
    terminal.answer("Do you still want to stop", "y")
    ends(terminal, "Signing process for root deleted!")
    assert ask("GET", "bootstrap/")["data"] == {"bootstrap": False}

    ends(ceremony(bins, "--dry-run", "--out", "payload.json", program=partial(rstuf, "admin")), "Saved result")
    ends(admin("send", "bootstrap", "payload.json"), "Bootstrap completed.")
    assert ask("GET", "bootstrap/")["data"]["state"] == "signing"


def a_signature_of_a_stranger_is_refused():
    body = {"role": "root", "signature": {"keyid": PEOPLE["cy"].keyid, "sig": "00"}}
    (HOME / "strange.json").write_text(json.dumps(body))
    ends(admin("send", "sign", "strange.json"), "Errored: Invalid signature", 1)


def the_second_signature_publishes_everything():
    ends(sign("bo"), "Metadata Signed and sent to the API!")
    assert ask("GET", "bootstrap/")["data"]["state"] == "finished"
    for name in ("1.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json", "1.bins-3.json"):
        assert published(name), name
    ends(admin("metadata", "sign"), "No metadata available for signing", 1)


def the_state_of_a_task_is_told():
    accepted_ = ask("POST", "metadata/online", {"roles": []})
    outcome(accepted_)
    text = succeeds("Task status: SUCCESS", "task", "info", accepted_["data"]["task_id"], *SERVICE, "--all")
    assert "force_online_metadata_update" in text


def artifacts_are_added_found_and_deleted():
    files = HOME / "files"
    (files / "dist").mkdir(parents=True)
    (files / "dist" / "app.tar.gz").write_bytes(b"content of app")
    (HOME / "app.tar.gz").write_bytes(b"content of app")
    text = succeeds("Successfully submitted task", "artifact", "add", "app.tar.gz", "--path", "dist", *SERVICE)
    state, result = accepted(text)
    assert state == "SUCCESS" and result["details"]["added_artifacts"] == ["dist/app.tar.gz"], result

    web = ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=files))
    threading.Thread(target=web.serve_forever, daemon=True).start()
    place = ["-m", METADATA, "-a", f"http://127.0.0.1:{web.server_port}", "-P", str(HOME)]
    succeeds("Successfully completed artifact download", "artifact", "download", *place, "dist/app.tar.gz")
    assert (HOME / "dist%2Fapp.tar.gz").read_bytes() == b"content of app"
    # Something else in its place.
    (files / "dist" / "app.tar.gz").write_bytes(b"content of ape")
    (HOME / "dist%2Fapp.tar.gz").unlink()
    ends(rstuf("artifact", "download", *place, "dist/app.tar.gz"), "Failed to download", 1)
    web.shutdown()

    text = succeeds("Successfully submitted task", "artifact", "delete", "dist/app.tar.gz", *SERVICE)
    state, result = accepted(text)
    assert state == "SUCCESS" and result["details"]["deleted_artifacts"] == ["dist/app.tar.gz"], result
    ends(rstuf("artifact", "download", *place, "dist/app.tar.gz"), "not trusted by TUF repository", 1)


def what_is_kept_here_is_downloaded_by_its_hash():
    service.upload("kept/here.txt", b"kept content")
    place = ["-m", METADATA, "-a", TARGETS, "-P", str(HOME), "--hash-prefix"]
    succeeds("Successfully completed artifact download", "artifact", "download", *place, "kept/here.txt")
    assert (HOME / "kept%2Fhere.txt").read_bytes() == b"kept content"


def a_repository_is_remembered_by_name():
    config = ["-c", "rstuf.yml"]
    place = ["-n", "ours", "-r", f"{METADATA}/1.root.json", "-m", METADATA, "-a", TARGETS, "-p"]
    succeeds("Successfully added ours", *config, "artifact", "repository", "add", *place)
    succeeds("Current repository changed", *config, "artifact", "repository", "set", "ours")
    (HOME / "kept%2Fhere.txt").unlink()
    succeeds("Successfully completed", *config, "artifact", "download", "-P", str(HOME), "kept/here.txt")
    assert (HOME / "kept%2Fhere.txt").read_bytes() == b"kept content"


def a_root_is_updated_in_two_steps():
    terminal = update(add_cy, ["ana"], "--metadata-url", METADATA)
    terminal.choose("continue")
    state, result = accepted(ends(terminal, "Root metadata update completed"))
    assert state == "SUCCESS" and result["details"]["update"] == "Root v2 is pending signatures", result
    assert version() == 1
    ends(sign("bo"), "Metadata Signed and sent to the API!")
    assert version() == 2 and len(service.trusted_root().signed.roles["root"].keyids) == 3


def an_update_is_stopped():
    terminal = update(remove_cy, ["ana"], "--metadata-url", METADATA)
    terminal.choose("continue")
    ends(terminal, "Root metadata update completed")
    terminal = admin("metadata", "stop-sign")
    terminal.expect("Select which metadata signing process to stop")
    terminal.choose("root")
    terminal.answer("Do you still want to stop", "y")
    ends(terminal, "Signing process for root deleted!")
    assert ask("GET", "metadata/sign")["message"] == "No metadata pending signing available"
    assert version() == 2


def an_update_and_a_signature_go_through_files():
    before = version()
    (HOME / "root.json").write_bytes(published(f"{before}.root.json"))
    offline = partial(rstuf, "admin")
    terminal = update(remove_cy, ["ana"], "--in", "root.json", "--out", "update.json", "--dry-run", program=offline)
    terminal.choose("continue")
    ends(terminal, "Saved result")
    ends(admin("send", "update", "update.json"), "Root metadata update completed")
    (HOME / "pending.json").write_text(json.dumps(ask("GET", "metadata/sign")))
    terminal = sign("bo", "--in", "pending.json", "--out", "signature.json", "--dry-run", program=offline)
    ends(terminal, "Saved result")
    ends(admin("send", "sign", "signature.json"), "Metadata Signed!")
    assert version() == before + 1


def the_online_key_is_changed():
    before = version()
    key = new_online_key("second", "ecdsa-sha2-nistp256")
    terminal = update(change_online("second"), ["ana", "bo"], "--metadata-url", METADATA)
    ends(terminal, "Root metadata update completed")
    assert version() == before + 1
    assert key.keyid in Metadata.from_bytes(published("timestamp.json")).signatures
    service.upload("after/change", b"1")
    place = ["-m", METADATA, "-a", TARGETS, "-P", str(HOME), "--hash-prefix"]
    succeeds("Successfully completed artifact download", "artifact", "download", *place, "after/change")


def a_request_without_a_token_is_refused():
    ends(rstuf("artifact", "add", "app.tar.gz", "--api-server", SERVER), "Error 401", 1)


BINS = [
    a_ceremony_with_one_of_two_signatures_waits,
    a_second_ceremony_is_refused_while_the_first_waits,
    a_ceremony_is_stopped_and_begun_again_from_a_file,
    a_signature_of_a_stranger_is_refused,
    the_second_signature_publishes_everything,
    the_state_of_a_task_is_told,
    artifacts_are_added_found_and_deleted,
    what_is_kept_here_is_downloaded_by_its_hash,
    a_repository_is_remembered_by_name,
    a_root_is_updated_in_two_steps,
    an_update_is_stopped,
    an_update_and_a_signature_go_through_files,
    the_online_key_is_changed,
    a_request_without_a_token_is_refused,
]


def answer_delegation(terminal, name, path, signers=()):
    terminal.answer("enter delegated target role name", name)
    answer_expiry(terminal, name, "30")
    terminal.answer("Please enter path", path)
    terminal.choose("continue")
    terminal.expect("Select signing")
    if not signers:
        return terminal.choose("Online Key (use the existing)")
    terminal.choose("Add Keys")
    terminal.answer(f"'{name}' threshold", str(len(signers)))
    for number, signer in enumerate(signers):
        if number:
            terminal.choose("add")
        terminal.expect("Select a key type")
        answer_public_key(terminal, HOME / f"{signer}.pub", signer)
        terminal.expect(f"Added key '{signer}'")
    terminal.choose("continue")


def roles(terminal):
    terminal.choose("Custom Delegations (online/offline key)")
    answer_delegation(terminal, "apps", "apps/*")
    terminal.expect("Delegation Metadata")
    terminal.choose("add new delegation")
    answer_delegation(terminal, "My_Docs", "docs/*", ["bo", "cy"])
    terminal.expect("Delegation Metadata")
    terminal.choose("continue")


def a_ceremony_with_roles_of_people():
    ends(ceremony(roles, signers=("ana", "bo")), "Ceremony done")
    assert ask("GET", "bootstrap/")["data"]["state"] == "finished"
    assert set(ask("GET", "metadata/sign")["data"]["metadata"]) == {"My_Docs", "trusted_targets"}


def a_role_of_people_is_signed():
    service.add({"docs/manual": b"1", "apps/one": b"1"})
    ends(sign("bo", role="My_Docs"), "Metadata Signed and sent to the API!")
    assert published("1.My_Docs.json") is None
    ends(sign("cy", role="My_Docs"), "Metadata Signed and sent to the API!")
    assert b"docs/manual" in published("1.My_Docs.json")


def the_signing_of_a_role_is_stopped():
    service.add({"docs/more": b"1"})
    terminal = admin("metadata", "stop-sign")
    terminal.expect("Select which metadata signing process to stop")
    terminal.choose("My_Docs")
    terminal.answer("Do you still want to stop", "y")
    ends(terminal, "Signing process for My_Docs deleted!")


def a_new_delegation_is_taken_though_the_program_ends_with_an_error():
    terminal = admin("delegations", "new")
    answer_delegation(terminal, "tools", "tools/*")
    terminal.expect("Delegation Metadata")
    terminal.choose("continue")
    text = ends(terminal, "Metadata delegation add accepted.", 1)
    state, result = outcome(json.loads(text[text.index('{"'):text.rindex("}") + 1]))
    assert state == "SUCCESS" and result["details"]["delegated_roles"] == ["tools"], result
    service.add({"tools/one": b"1"})


def a_delegation_is_deleted():
    terminal = admin("delegations", "delete", "--metadata-url", METADATA)
    terminal.expect("tools")
    terminal.type(DOWN)
    terminal.type(DOWN)
    terminal.type(SPACE)
    terminal.type(ENTER)
    ends(terminal, "New Metadata created and sent to the API!")
    newest = Metadata.from_bytes(published("timestamp.json")).signed.snapshot_meta.version
    snapshot = Metadata.from_bytes(published(f"{newest}.snapshot.json")).signed
    assert "tools.json" in snapshot.meta
    targets = Metadata.from_bytes(published(f"{snapshot.meta['targets.json'].version}.targets.json")).signed
    assert set(targets.delegations.roles) == {"apps", "My_Docs"}


ROLES = [
    a_ceremony_with_roles_of_people,
    a_role_of_people_is_signed,
    the_signing_of_a_role_is_stopped,
    a_new_delegation_is_taken_though_the_program_ends_with_an_error,
    a_delegation_is_deleted,
]

if __name__ == "__main__":
    run({"bins": BINS, "roles": ROLES}[sys.argv[1]])
