"""A mirror that lies: passes on what the service publishes, and puts other bytes in place of some of it."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import requests


class Mirror:
    """`url` has `/metadata` and `/targets`. `lies` has what is served in place of a path: bytes, a status, or a
    function that writes to the connection. `asked` has what was asked for."""

    def __init__(self, origin):
        self.origin = origin
        self.lies = {}
        self.asked = []
        self.seen = {}
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                mirror.answer(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, handler):
        path = unquote(handler.path)
        self.asked.append(path)
        lie = self.lies.get(path)
        if callable(lie):
            handler.close_connection = True
            return lie(handler)
        if isinstance(lie, int):
            status, body = lie, b""
        elif lie is not None:
            status, body = 200, lie
        else:
            got = requests.get(self.origin + handler.path, timeout=60)
            status, body = got.status_code, got.content
            if status == 200:
                self.seen[path] = body
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def lie(self, name, what):
        self.lies["/metadata/" + name] = what

    def freeze(self):
        """From now on only what was ever asked for, as it was: a mirror that is not updated any more."""
        self.lies = dict(self.seen)

    def honest(self):
        self.lies = {}


def endless(handler):
    """More than anybody wants, with no length told."""
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b" " * 65536)
    except OSError:
        pass


def silent(handler):
    """A few bytes, and then nothing, with the connection open."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"{")
    handler.wfile.flush()
    handler.connection.settimeout(30)
    try:
        handler.connection.recv(1)
    except OSError:
        pass
