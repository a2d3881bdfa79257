"""Servers on loopback that behave, and misbehave, like the sites weights come from."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from selfhvd_cli.weights.patience import Patience

QUICK = Patience(tries=4, first_wait=0.01, longest_wait=0.02, silence=0.6, longest_retry_after=2.0)
"""Patience of the tests: all behaviours of the real one in hundredths of a second."""

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Trick:
    """What the server does once instead of serving properly; GET requests use tricks up in order."""

    status: int = 0
    """Answer with this status only."""

    headers: dict[str, str] = field(default_factory=dict)
    """Added to the answer."""

    after: int | None = None
    """Break the connection after so many bytes of the body."""

    stall: float = 0.0
    """Go silent for so many seconds before breaking."""

    body: bytes | None = None
    """Serve this instead of the file."""


@dataclass
class Served:
    """A file of a server."""

    content: bytes
    etag: str = ""
    ranges: bool = True
    """Whether `Range` is understood."""

    if_range: bool = True
    """Whether `If-Range` is."""

    length: bool = True
    """Whether the answer says how long it is."""

    pause: float = 0.0
    """Seconds between blocks of 64 kB: a slow line."""

    redirect: str = ""
    """Answer with a redirect to there."""

    login: str = ""
    """The only Authorization that is let in."""


class Site:
    """A file server; `files` and `tricks` are by path, `log` has every request."""

    def __init__(self) -> None:
        self.files: dict[str, Served] = {}
        self.tricks: dict[str, list[Trick]] = {}
        self.log: list[tuple[str, str, dict[str, str]]] = []
        self.sent = 0
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None:
                return

            def do_GET(self) -> None:
                site.answer(self)

            def do_HEAD(self) -> None:
                site.answer(self)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def put(self, path: str, content: bytes, **how: Any) -> str:
        how.setdefault("etag", f'"{hashlib.md5(content).hexdigest()}"')
        self.files[path] = Served(content, **how)
        return self.url + path

    def requests(self, method: str = "GET") -> list[tuple[str, dict[str, str]]]:
        return [(path, headers) for verb, path, headers in self.log if verb == method]

    def ranges(self) -> list[str]:
        """The Range header of every GET, empty where there was none."""
        return [headers.get("range", "") for _, headers in self.requests()]

    # ---- answering ----

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.partition("?")[0]
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.log.append((request.command, path, headers))
        file = self.files.get(path)
        queue = self.tricks.get(path, [])
        trick = queue.pop(0) if queue and request.command == "GET" else Trick()
        if file is None or trick.status:
            self.refuse(request, trick.status or 404, trick.headers)
        elif file.login and headers.get("authorization") != file.login:
            self.refuse(request, 401, {})
        elif file.redirect:
            self.refuse(request, 302, {"Location": file.redirect, **self.extra(path)})
        else:
            self.serve(request, file, headers, trick, path)

    def extra(self, path: str) -> dict[str, str]:
        return {}

    def refuse(self, request: BaseHTTPRequestHandler, status: int, headers: dict[str, str]) -> None:
        request.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            request.send_header(name, value)
        request.end_headers()

    def serve(
        self, request: BaseHTTPRequestHandler, file: Served, headers: dict[str, str], trick: Trick, path: str
    ) -> None:
        content = file.content if trick.body is None else trick.body
        start = 0
        match = re.fullmatch(r"bytes=(\d+)-", headers.get("range", "")) if file.ranges else None
        if match and (not file.if_range or headers.get("if-range", file.etag) == file.etag):
            start = int(match[1])
            if start >= len(content):
                self.refuse(request, 416, {"Content-Range": f"bytes */{len(content)}"})
                return
        request.send_response(206 if start else 200)
        answer = {"ETag": file.etag, **self.extra(path), **trick.headers}
        if file.length:
            answer["Content-Length"] = str(len(content) - start)
        else:
            answer["Connection"] = "close"
        if start:
            answer["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        for name, value in answer.items():
            if value:
                request.send_header(name, value)
        request.end_headers()
        if request.command == "HEAD":
            return
        self.send(request, content[start:], file.pause, trick)

    def send(self, request: BaseHTTPRequestHandler, body: bytes, pause: float, trick: Trick) -> None:
        whole = trick.after is None
        body = body if whole else body[: trick.after]
        try:
            for offset in range(0, len(body), 1 << 16):
                block = body[offset : offset + (1 << 16)]
                request.wfile.write(block)
                request.wfile.flush()
                self.sent += len(block)
                time.sleep(pause)
        except OSError:
            return  # the client went away
        if not whole:
            time.sleep(trick.stall)
            request.close_connection = True


class HubSite(Site):
    """A Hub: large files redirect to a CDN (another server), and the redirect states commit, hash and size."""

    def __init__(self, cdn: Site) -> None:
        super().__init__()
        self.cdn = cdn
        self.stated: dict[str, dict[str, str]] = {}

    def publish(
        self, repo: str, filename: str, content: bytes, commit: str = COMMIT, branch: str = "main", **how: Any
    ) -> None:
        digest = hashlib.sha256(content).hexdigest()
        signed = self.cdn.put(f"/blobs/{digest}", content, **how) + "?Signature=topsecret"
        for revision in (commit, branch):
            path = f"/{repo}/resolve/{revision}/{filename}"
            self.put(path, b"", redirect=signed)
            self.stated[path] = {
                "X-Repo-Commit": commit,
                "X-Linked-Etag": f'"{digest}"',
                "X-Linked-Size": str(len(content)),
            }

    def extra(self, path: str) -> dict[str, str]:
        return self.stated.get(path, {})


@contextmanager
def running(*sites: Site) -> Iterator[None]:
    """Serve until the block ends."""
    threads = [threading.Thread(target=site.server.serve_forever, args=(0.02,), daemon=True) for site in sites]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for site in sites:
            site.server.shutdown()
            site.server.server_close()
