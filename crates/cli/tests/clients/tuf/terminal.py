"""A program at a terminal, and somebody who reads what it prints and types answers."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

# Colours, cursor movements, titles, modes.
CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()][A-Z0-9]|\x1b[=>78]|\r")
# As the command line shows them, the cursor at the first.
CHOICES = re.compile(r"(> [^\n]*\n(?:  [^\n]*\n)*)\n\(enter to confirm\)")
PATIENCE = 60
DOWN, ENTER, SPACE = "\x1b[B", "\r", " "


class Terminal:
    """Runs `arguments` in a pseudo-terminal of its own, wide enough that nothing is broken over lines."""

    def __init__(self, arguments, environment, directory):
        self.arguments = arguments
        self.raw = b""
        self.seen = 0
        self.status = None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(directory)
            os.execve(arguments[0], arguments, environment)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 60, 600, 0, 0))

    def text(self):
        return CONTROL.sub("", self.raw.decode("utf-8", "replace"))

    def read(self, seconds):
        """Reads once; false at the end."""
        ready, _, _ = select.select([self.fd], [], [], seconds)
        if not ready:
            return True
        try:
            piece = os.read(self.fd, 65536)
        except OSError:
            return False
        self.raw += piece
        return bool(piece)

    def expect(self, wanted):
        """Waits until `wanted` is printed after what was expected before."""
        deadline = time.monotonic() + PATIENCE
        while True:
            text = self.text()
            at = text.find(wanted, self.seen)
            if at >= 0:
                self.seen = at + len(wanted)
                return
            if time.monotonic() > deadline or not self.read(1):
                raise AssertionError(f"{self.arguments}: no {wanted!r} in\n{text}")

    def type(self, text):
        # It may be about to change the mode of the terminal, and would lose what is typed before.
        quiet = time.monotonic() + 0.05
        while time.monotonic() < quiet and self.read(0.05):
            pass
        os.write(self.fd, text.encode())

    def answer(self, question, text=""):
        """Types a line after `question`."""
        self.expect(question)
        self.type(text + ENTER)

    def choose(self, choice):
        """Takes `choice` in the next list of choices that has it."""
        deadline = time.monotonic() + PATIENCE
        while True:
            for block in CHOICES.finditer(self.text(), self.seen):
                choices = [line[2:] for line in block[1].splitlines()]
                if choice in choices:
                    self.seen = block.end()
                    for _ in range(choices.index(choice)):
                        self.type(DOWN)
                    return self.type(ENTER)
            if time.monotonic() > deadline or not self.read(1):
                raise AssertionError(f"{self.arguments}: no choice {choice!r} in\n{self.text()}")

    def end(self):
        """Waits for the end; what was printed, and the exit status."""
        deadline = time.monotonic() + PATIENCE
        while self.read(1):
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return self.text(), os.waitstatus_to_exitcode(status)
