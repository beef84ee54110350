"""A Hugging Face hub on loopback: model info, HEAD and GET with ranges, and the faults that a network has."""

import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LARGE = (".safetensors", ".gguf")
"""What the real hub keeps elsewhere."""
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class FakeHub:
    """Serves the files of one directory as a repository."""

    def __init__(self, directory, repository="org/tiny"):
        self.directory, self.repository = Path(directory), repository
        self.slowly_s = 0.0
        """Seconds between two portions of a file."""
        self.portion = 1 << 20
        self.status = 0
        """Answered to everything, when set."""
        self.cut_after = 0
        """Bytes after which a file's connection is closed, when set."""
        self.garbage = False
        self.requests = []
        self.sent = 0
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                hub.answer(self, with_body=True)

            def do_HEAD(self):
                hub.answer(self, with_body=False)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def answer(self, handler, with_body):
        path = handler.path.partition("?")[0]
        self.requests.append((handler.command, path, handler.headers.get("Range")))
        if self.status:
            self._plain(handler, self.status, b"{}", with_body)
        elif path.startswith(f"/api/models/{self.repository}"):
            self._plain(handler, 200, json.dumps(self._info()).encode(), with_body)
        elif path.startswith(f"/{self.repository}/resolve/"):
            self._resolve(handler, path.rpartition("/")[2], with_body)
        elif path.startswith("/cdn/"):
            self._file(handler, path.rpartition("/")[2], with_body)
        else:
            self._plain(handler, 404, b"{}", with_body, {"X-Error-Code": "RepoNotFound"})

    def _info(self):
        siblings = []
        for path in sorted(self.directory.iterdir()):
            data = path.read_bytes()
            git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            about = {"rfilename": path.name, "size": len(data), "blobId": git}
            if path.suffix in LARGE:
                about["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
            siblings.append(about)
        return {"id": self.repository, "modelId": self.repository, "sha": COMMIT, "siblings": siblings, "tags": []}

    def _resolve(self, handler, name, with_body):
        """Small files are answered here, large ones elsewhere, as by the real hub."""
        path = self.directory / name
        if not path.exists() or path.suffix not in LARGE:
            self._file(handler, name, with_body)
            return
        data = path.read_bytes()
        etag = f'"{hashlib.sha256(data).hexdigest()}"'
        headers = {"X-Repo-Commit": COMMIT, "X-Linked-ETag": etag, "X-Linked-Size": str(len(data))}
        self._plain(handler, 302, b"", with_body, {**headers, "Location": f"{self.url}/cdn/{name}"})

    def _file(self, handler, name, with_body):
        path = self.directory / name
        if not path.exists():
            self._plain(handler, 404, b"{}", with_body, {"X-Error-Code": "EntryNotFound"})
            return
        data = path.read_bytes()
        is_large = path.suffix in LARGE
        etag = (
            hashlib.sha256(data).hexdigest() if is_large else hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        )
        start = int((handler.headers.get("Range") or "bytes=0-").removeprefix("bytes=").partition("-")[0] or 0)
        body = data[start:]
        if self.garbage:
            body = bytes(255 - byte for byte in body)
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self._plain(handler, 206 if start else 200, body, with_body, headers)

    def _plain(self, handler, status, body, with_body, headers=None):
        try:
            handler.send_response(status)
            for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
                handler.send_header(name, value)
            handler.end_headers()
            if not with_body:
                return
            end = min(len(body), self.cut_after) if self.cut_after and headers else len(body)
            for at in range(0, end, self.portion):
                handler.wfile.write(body[at : min(at + self.portion, end)])
                self.sent += min(self.portion, end - at)
                if self.slowly_s and headers:
                    time.sleep(self.slowly_s)
            if end < len(body):
                handler.wfile.flush()
                handler.close_connection = True
                handler.connection.shutdown(2)
        except OSError:
            handler.close_connection = True
