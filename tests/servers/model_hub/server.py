"""The part of the hub's HTTP API that describing and fetching a model take, on loopback.

Paths, headers and error codes are those that `huggingface_hub` reads: ``/api/models/<id>``, its
``tree`` of files, and ``/<id>/resolve/<commit>/<file>``.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Repository:
    """A model of the hub: its files and what the hub says of it."""

    folder: Path
    commit: str
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def gated(self) -> bool:
        return bool(self.about.get("gated"))

    def files(self) -> list[Path]:
        return sorted(path for path in self.folder.iterdir() if path.is_file())


@dataclass(frozen=True)
class Hub:
    """The running server: its address, its models by id, and every path that was asked for; files
    of which it sends half and then no more."""

    url: str
    models: dict[str, Repository]
    asked: list[str]
    broken: set[str]

    def sent(self) -> list[str]:
        """The names of the files that were asked for in full or in part."""
        asked = [path.split("/") for path in self.asked]
        return [words[-1] for words in asked if "resolve" in words]


@contextmanager
def running_hub() -> Iterator[Hub]:
    """A hub without models; they are put into ``models``."""
    models: dict[str, Repository] = {}
    asked: list[str] = []
    broken: set[str] = set()
    closing = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.answer()

        def do_HEAD(self) -> None:
            self.answer()

        def answer(self) -> None:
            path = urlsplit(self.path).path
            asked.append(path)
            of_api = path.startswith("/api/models/")
            parts = path.removeprefix("/api/models").strip("/").split("/")
            name, rest = "/".join(parts[:2]), parts[2:]
            model = models.get(name)
            if model is None:
                # So does the hub, which does not tell the missing from the private.
                self.send(401, b"", {"X-Error-Message": "Invalid username or password."})
            elif of_api and rest[:1] in ([], ["revision"]):
                told = {"id": name, "sha": model.commit, "gated": False, **model.about}
                told["siblings"] = [{"rfilename": path.name} for path in model.files()]
                self.send_json(told)
            elif of_api and rest[0] == "tree":
                self.send_json([listed(path) for path in model.files()])
            elif model.gated and "Authorization" not in self.headers:
                self.send(401, b"", {"X-Error-Code": "GatedRepo"})
            elif rest[0] == "resolve" and rest[1] == model.commit:
                file = model.folder / rest[2]
                headers = {"ETag": f'"{digest(file)}"', "X-Repo-Commit": model.commit}
                self.send(200, file.read_bytes(), headers)
            else:
                self.send(404, b"", {"X-Error-Code": "EntryNotFound"})

        def send_json(self, value: Any) -> None:
            self.send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

        def send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command == "GET" and urlsplit(self.path).path.split("/")[-1] in broken:
                self.wfile.write(body[: len(body) // 2])
                closing.wait()
            elif self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *message: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Hub(f"http://127.0.0.1:{server.server_port}", models, asked, broken)
    closing.set()
    server.shutdown()
    server.server_close()


def digest(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest()


def listed(path: Path) -> dict[str, Any]:
    """A file as the hub lists it, weights with their SHA-256."""
    size = path.stat().st_size
    found = {"type": "file", "path": path.name, "size": size, "oid": digest(path)}
    if path.suffix == ".safetensors":
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        found["lfs"] = {"oid": sha256, "size": size, "pointerSize": 134}
    return found
