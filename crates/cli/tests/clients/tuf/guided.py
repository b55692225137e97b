"""Ana makes the first root by questions at a terminal, and Bo signs it at another."""

import os

from terminal import Terminal

PROGRAM, DATA, DIRECTORY = (os.environ[name] for name in ("PROGRAM", "DATA", "DIRECTORY"))
PASSPHRASE = "correct"


def terminal(*words):
    return Terminal([PROGRAM, "--data", DATA, "tuf", *words], dict(os.environ), DIRECTORY)


def questions(ana):
    """Answers up to the choice of the targets' roles, with slips that are asked again."""
    ana.answer("Whose is root key 1:", "")
    ana.answer("Whose is root key 1:", "ana")
    ana.answer("The file of the key of ana", "nowhere.pem")
    ana.answer("The file of the key of ana", "ana.pub")
    ana.answer("Whose is root key 2 (nothing: that is all):", "bo")
    ana.answer("The file of the key of bo", "ana.pub")
    ana.expect("that key is there already")
    ana.answer("The file of the key of bo", "bo.pub")
    ana.answer("Whose is root key 3 (nothing: that is all):", "")
    ana.answer("How many of these 2 keys must sign [2]:", "3")
    ana.answer("How many of these 2 keys must sign [2]:", "")
    ana.answer("A new root is signed every so many days [365]:", "")
    for role, days in ("targets", 365), ("snapshot", 7), ("timestamp", 1):
        ana.answer(f"A client believes a {role} for so many days [{days}]:", "")


def ceremony():
    ana = terminal("ceremony")
    questions(ana)
    ana.answer("`bins` or `roles` [bins]:", "")
    ana.answer("How many bins", "5")
    ana.answer("How many bins", "4")
    ana.answer("A client believes a bin for so many days [7]:", "")
    ana.expect("root: 2 of ana (ed25519")
    ana.answer("The file of a private key that signs now:", "ana.pem")
    ana.answer("passphrase for `ana.pem`:", "wrong")
    ana.answer("The file of a private key that signs now:", "ana.pem")
    ana.answer("passphrase for `ana.pem`:", PASSPHRASE)
    ana.answer("The file of a private key that signs now (nothing", "")
    ana.answer("Is this right? (yes or no):", "perhaps")
    ana.answer("Is this right? (yes or no):", "yes")
    text, status = ana.end()
    assert status == 0, text
    assert "1 of 2 signatures" in text, text
    assert PASSPHRASE not in text, "the passphrase is on the screen"


def signature(answer):
    bo = terminal("sign", "--key", "bo.pem")
    bo.expect("root: 2 of ana (ed25519")
    bo.answer("Sign `root` version 1? (yes or no):", answer)
    return bo.end()


def main():
    left = terminal("ceremony")
    left.expect("Whose is root key 1:")
    left.type("\x04")
    text, status = left.end()
    assert status == 2 and "there is nobody to answer" in text, text
    print("ok whoever leaves has done nothing")
    ceremony()
    print("ok the first root is made by questions")
    text, status = signature("no")
    assert status == 1 and "nothing was done" in text, text
    text, status = signature("yes")
    assert status == 0 and "Bootstrap Finished" in text, text
    print("ok the second looks, and signs")


main()
