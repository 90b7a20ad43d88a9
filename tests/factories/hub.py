"""A stand-in of the Hugging Face Hub that takes models, on loopback: what its client asks when it pushes a folder."""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import patch

Files = dict[str, bytes]


@dataclass
class Repository:
    private: bool
    branches: dict[str, Files] = field(default_factory=lambda: {"main": {}})


@dataclass
class Hub:
    """`tokens` may write for an owner: {token: owner}. `down`: it takes no commits."""

    tokens: dict[str, str]
    repositories: dict[str, Repository] = field(default_factory=dict)
    blobs: Files = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    down: bool = False


class Refused(Exception):
    """(status, the Hub's code of the error, the repository that is there)"""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, hub: Hub, *arguments: Any) -> None:
        self.hub = hub
        super().__init__(*arguments)

    def log_message(self, *arguments: Any) -> None:
        pass

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0].strip("/").split("/")
        self.hub.asked.append(f"{self.command} {self.path}")
        try:
            self.reply(200, self.found(path, body))
        except Refused as refusal:
            status, code, *name = refusal.args
            self.reply(status, {"error": code, "url": "/".join([self.address, *name])}, code)

    def found(self, path: list[str], body: bytes) -> Any:
        match path:
            case ["api", "whoami-v2"]:
                return {"name": self.owner(), "type": "user"}
            case ["api", "validate-yaml"]:
                return {"warnings": [], "errors": []}
            case ["api", "repos", "create"]:
                return self.create(json.loads(body))
            case ["api", "models", owner, name, *rest]:
                return self.model(f"{owner}/{name}", rest, body)
            case [owner, git, "info", "lfs", "objects", "batch"]:
                return self.batch(f"{owner}/{git.removesuffix('.git')}", json.loads(body))
            case ["blobs", oid]:
                self.hub.blobs[oid] = body
                return {}
        raise Refused(404, "EntryNotFound")

    def owner(self) -> str:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.hub.tokens:
            raise Refused(401, "Unauthorized")
        return self.hub.tokens[token]

    def create(self, asked: dict[str, Any]) -> Any:
        name = f"{asked['organization']}/{asked['name']}"
        if asked["organization"] != self.owner():
            raise Refused(403, "Forbidden")
        if name in self.hub.repositories:
            raise Refused(409, "Conflict", name)
        self.hub.repositories[name] = Repository(asked.get("visibility") == "private")
        return {"url": f"{self.address}/{name}"}

    def model(self, name: str, rest: list[str], body: bytes) -> Any:
        if name not in self.hub.repositories:
            raise Refused(404, "RepoNotFound")
        repository = self.hub.repositories[name]
        match rest:
            case []:
                return {"id": name, "sha": "0" * 40, "private": repository.private, "tags": [], "siblings": []}
            case ["branch", branch]:
                if branch in repository.branches:
                    raise Refused(409, "Conflict")
                repository.branches[branch] = {}
                return {}
            case ["preupload", _]:
                named = [file["path"] for file in json.loads(body)["files"]]
                return {"files": [{"path": p, "uploadMode": mode(p), "shouldIgnore": False} for p in named]}
            case ["commit", branch] if not self.hub.down:
                repository.branches[branch] |= self.committed(body)
                return {"commitUrl": f"{self.address}/{name}/commit/{'a' * 40}", "commitOid": "a" * 40}
        raise Refused(503, "Unavailable")

    def batch(self, name: str, asked: dict[str, Any]) -> Any:
        actions = {o["oid"]: {"upload": {"href": f"{self.address}/blobs/{o['oid']}"}} for o in asked["objects"]}
        return {"transfer": "basic", "objects": [o | {"actions": actions[o["oid"]]} for o in asked["objects"]]}

    def committed(self, body: bytes) -> Files:
        found = {}
        for line in map(json.loads, body.splitlines()):
            match line:
                case {"key": "file", "value": {"path": path, "content": content}}:
                    found[path] = base64.b64decode(content)
                case {"key": "lfsFile", "value": {"path": path, "oid": oid}}:
                    found[path] = self.hub.blobs[oid]
        return found

    @property
    def address(self) -> str:
        return f"http://{self.headers['Host']}"

    def reply(self, status: int, answer: Any, code: str = "") -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if code:
            self.send_header("X-Error-Code", code)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = answer


def mode(path: str) -> str:
    """As the Hub's .gitattributes say."""
    return "lfs" if path.endswith(".safetensors") else "regular"


@contextmanager
def serving(tmp_path: Path, token: str = "of-me") -> Iterator[Hub]:
    """A Hub that knows the token `of-me`, and this process as its client; empty: one that is not logged in."""
    from huggingface_hub import constants

    hub = Hub({"of-me": "me"})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, hub))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    known = {"ENDPOINT": address, "HF_HUB_OFFLINE": False, "HF_HUB_DISABLE_XET": True}
    places = {"HF_TOKEN_PATH": str(tmp_path / "none"), "HF_STORED_TOKENS_PATH": str(tmp_path / "none")}
    try:
        with patch.multiple(constants, **known, **places), patch.dict(os.environ, {"HF_TOKEN": token}):
            yield hub
    finally:
        server.shutdown()
        server.server_close()
