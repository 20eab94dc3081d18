"""A dataset repository on this machine that answers as the Hugging Face Hub does, for `HF_ENDPOINT`."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import NamedTuple

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(NamedTuple):
    """Where it answers, and what it was asked for so far."""

    address: str
    asked: list[str]


@contextmanager
def hub(repository: str, folder: Path, status: Mapping[str, int] | None = None) -> Iterator[Hub]:
    """Serves the files of a folder as the only dataset, at branch `main`.

    Args:
        repository: `owner/name`.
        folder: Its files.
        status: HTTP status of files that cannot be had, by name.
    """
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            path = self.path.partition("?")[0]
            asked.append(f"{self.command} {path}")
            if not path.startswith((f"/api/datasets/{repository}", f"/datasets/{repository}/resolve/")):
                return self.send(404, b"", {"X-Error-Code": "RepoNotFound"}, body)
            files = [file for file in folder.rglob("*") if file.is_file()]
            if path.startswith("/api/"):
                revision = path.rpartition("/")[2]
                if revision not in ("main", COMMIT):
                    return self.send(404, b"", {"X-Error-Code": "RevisionNotFound"}, body)
                names = {str(file.relative_to(folder)): file.stat().st_size for file in files}
                if "/tree/" in path:
                    found = [{"type": "file", "path": name, "size": names[name], "oid": ""} for name in names]
                    return self.send(200, json.dumps(found).encode(), {"Content-Type": "application/json"}, body)
                about = {"id": repository, "sha": COMMIT, "siblings": [{"rfilename": name} for name in names]}
                return self.send(200, json.dumps(about).encode(), {"Content-Type": "application/json"}, body)
            name = path.partition("/resolve/")[2].partition("/")[2]
            if status and name in status:
                return self.send(status[name], b"", {}, body)
            content = (folder / name).read_bytes()
            tag = hashlib.sha256(content).hexdigest()
            return self.send(200, content, {"ETag": f'"{tag}"', "X-Repo-Commit": COMMIT}, body)

        def send(self, code: int, content: bytes, headers: Mapping[str, str], body: bool) -> None:
            self.send_response(code)
            for key, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(key, value)
            self.end_headers()
            if body:
                self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Hub(f"http://127.0.0.1:{server.server_address[1]}", asked)
    finally:
        server.shutdown()
        server.server_close()
