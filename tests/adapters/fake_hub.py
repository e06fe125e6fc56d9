"""A local HTTP server with the routes of the Hugging Face hub that pushing and fetching an adapter use."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SHA = "0123456789abcdef0123456789abcdef01234567"


class FakeHub(ThreadingHTTPServer):
    """A hub that keeps all files and requests.

    Attributes:
        files: files of each repository, by path.
        commits: the message of each commit, with the paths that it added.
        asked: method, path and token of each request, in order.
        refusals: status and message of requests that fail, by a part of their path.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, dict[str, bytes]] = {}
        self.commits: list[tuple[str, list[str]]] = []
        self.asked: list[tuple[str, str, str | None]] = []
        self.refusals: dict[str, tuple[int, str]] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def running() -> Iterator[FakeHub]:
    """Yield a hub that answers until the block ends."""
    with FakeHub() as hub:
        thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: FakeHub

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self._refused():
            return
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            repo = f"{asked['organization']}/{asked['name']}"
            status = 409 if repo in self.server.files else 200
            self.server.files.setdefault(repo, {})
            self._json({"url": f"{self.server.url}/{repo}"}, status)
        elif self.path == "/api/validate-yaml":  # requested by clients without xet
            self._json({"errors": [], "warnings": []})
        elif match := re.fullmatch(r"/api/models/(.+)/preupload/main", self.path):
            paths = [file["path"] for file in json.loads(body)["files"]]
            self._json({"files": [{"path": p, "uploadMode": "regular", "shouldIgnore": False} for p in paths]})
        elif match := re.fullmatch(r"/api/models/(.+)/commit/main", self.path):
            header, *lines = [json.loads(line) for line in body.splitlines()]
            assert all(line["key"] == "file" and line["value"]["encoding"] == "base64" for line in lines)
            new = {line["value"]["path"]: base64.b64decode(line["value"]["content"]) for line in lines}
            self.server.files[match[1]] |= new
            self.server.commits.append((header["value"]["summary"], sorted(new)))
            self._json({"commitUrl": f"{self.server.url}/{match[1]}/commit/{SHA}", "commitOid": SHA})
        else:
            self._nothing()

    def do_GET(self) -> None:
        if self._refused():
            return
        files = self.server.files
        path = self.path.partition("?")[0]
        if (match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(/revision/main)?", path)) and match[1] in files:
            self._json({"id": match[1], "sha": SHA, "siblings": [{"rfilename": name} for name in files[match[1]]]})
        elif (match := re.fullmatch(rf"/api/models/([^/]+/[^/]+)/tree/{SHA}", path)) and match[1] in files:
            tree = [{"type": "file", "path": name, "size": len(data), "oid": _oid(data)}
                    for name, data in files[match[1]].items()]  # fmt: skip
            self._json(tree)
        elif (match := re.fullmatch(rf"/([^/]+/[^/]+)/resolve/{SHA}/(.+)", path)) and match[2] in files.get(
            match[1], ()
        ):
            data = files[match[1]][match[2]]
            self._send(200, data, {"ETag": f'"{_oid(data)}"', "X-Repo-Commit": SHA})
        else:
            self._nothing()

    do_HEAD = do_GET

    def _refused(self) -> bool:
        token = self.headers.get("Authorization")
        self.server.asked.append((self.command, self.path, token))
        for part, (status, message) in self.server.refusals.items():
            if part in self.path:
                self._json({"error": message}, status)
                return True
        return False

    def _nothing(self) -> None:
        self._send(404, b'{"error": "Repository not found"}', {"X-Error-Code": "RepoNotFound"})

    def _json(self, value: Any, status: int = 200) -> None:
        self._send(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Print nothing to the terminal."""


def _oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
