"""As much of the Hugging Face Hub as its client needs to download files of a commit, on 127.0.0.1, from a folder."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

REVISION = "0123456789abcdef0123456789abcdef01234567"


class Handler(BaseHTTPRequestHandler):
    """Serves `root`/models/owner/name and `root`/datasets/owner/name, each as the one commit REVISION.

    A repository whose name ends in "gated" is listed to nobody.
    """

    protocol_version = "HTTP/1.1"
    root: Path
    asked: list[str]

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        self.asked.append(f"{self.command} {path}")
        parts = path.strip("/").split("/")
        api = parts[0] == "api"
        parts = parts[1:] if api else parts
        kind = parts.pop(0) if parts[0] in ("models", "datasets") else "models"
        name, (verb, revision, *rest) = "/".join(parts[:2]), [*parts[2:], "", ""][: max(2, len(parts) - 2)]
        folder = self.root / kind / name
        if name.endswith("gated"):
            self.refuse(403, "GatedRepo")
        elif not folder.is_dir():
            self.refuse(401, "RepoNotFound")
        elif revision not in (REVISION, ""):
            self.refuse(404, "RevisionNotFound")
        elif api:
            self.answer_api(folder, name, verb, "/".join(rest))
        else:
            self.answer_file(folder / "/".join(rest))

    do_HEAD = do_POST = do_GET

    def answer_api(self, folder: Path, name: str, verb: str, below: str):
        files = [entry(folder, path) for path in sorted(folder.rglob("*")) if path.is_file()]
        if verb == "tree":
            self.send(json.dumps([file for file in files if file["path"].startswith(below)]).encode())
        elif verb == "paths-info":
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            wanted = json.loads(body)["paths"] if body.startswith("{") else unquote(body)
            self.send(json.dumps([file for file in files if file["path"] in wanted]).encode())
        else:
            siblings = [{"rfilename": file["path"]} for file in files]
            self.send(json.dumps({"id": name, "sha": REVISION, "siblings": siblings}).encode())

    def answer_file(self, path: Path):
        if path.is_file():
            content = path.read_bytes()
            self.send(content, ETag=f'"{sha1(content).hexdigest()}"')
        else:
            self.refuse(404, "EntryNotFound")

    def refuse(self, status: int, code: str):
        self.send(b"{}", status, **{"X-Error-Code": code, "X-Error-Message": code})

    def send(self, content: bytes, status: int = 200, **headers: str):
        self.send_response(status)
        for name, value in {"X-Repo-Commit": REVISION, "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_):
        pass


def entry(folder: Path, path: Path) -> dict:
    content = path.read_bytes()
    name = path.relative_to(folder).as_posix()
    return {"type": "file", "path": name, "size": len(content), "oid": sha1(content).hexdigest()}


@contextmanager
def hub_server(root: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the server's address and the list of what it has been asked, which grows."""
    handler = type("Bound", (Handler,), {"root": root, "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", handler.asked
    finally:
        server.shutdown()
        server.server_close()
