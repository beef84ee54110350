"""A package index on loopback (PEP 503) that holds a file in wheels, one a part, and the faults that an index has."""

import hashlib
import io
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PACKAGE, VERSION = "tiny-part{number}", "1.0"
MEMBER = "tiny_part{number}/data/part{number:02}.bin"


def wheel_of(number, data, member=MEMBER):
    """A wheel that would raise if it were ever installed or imported."""
    stored = io.BytesIO()
    about = f"tiny_part{number}-{VERSION}.dist-info"
    with zipfile.ZipFile(stored, "w") as archive:
        archive.writestr(f"tiny_part{number}/__init__.py", "raise SystemExit('imported')")
        archive.writestr(member.format(number=number), data)
        metadata = f"Metadata-Version: 2.1\nName: tiny-part{number}\nVersion: {VERSION}\nRequires-Dist: never-there\n"
        archive.writestr(f"{about}/METADATA", metadata)
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return stored.getvalue()


class FakeIndex:
    """Serves `data` in parts of `part_bytes`."""

    def __init__(self, data, part_bytes):
        cut = [data[at : at + part_bytes] for at in range(0, len(data), part_bytes)]
        self.wheels = {number: wheel_of(number, part) for number, part in enumerate(cut, 1)}
        self.slowly_s = 0.0
        """Seconds between two portions."""
        self.portion = 1 << 15
        self.hang = False
        """After the first portion of a wheel."""
        self.status = 0
        self.cut_once = False
        """The next wheel's connection ends in its middle."""
        self.fetched, self.requests, self.sent = [], [], 0
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                index.answer(self)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/simple"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self.hang = False
        self._server.shutdown()
        self._server.server_close()

    def answer(self, handler):
        self.requests.append(handler.path)
        kind, _, name = handler.path.strip("/").partition("/")
        number = int("".join(c for c in name.split("-")[1 if kind == "simple" else 0] if c.isdigit()) or 0)
        if self.status or number not in self.wheels:
            self._send(handler, self.status or 404, b"", "text/plain")
        elif kind == "simple":
            file = f"tiny_part{number}-{VERSION}-py3-none-any.whl"
            sha256 = hashlib.sha256(self.wheels[number]).hexdigest()
            page = f'<!DOCTYPE html><html><body><a href="/wheels/{file}#sha256={sha256}">{file}</a></body></html>'
            self._send(handler, 200, page.encode(), "text/html")
        else:
            name = handler.path.rpartition("/")[2]
            number = int(name.partition("-")[0].removeprefix("tiny_part"))
            self._send(handler, 200, self.wheels[number], "application/octet-stream", is_wheel=True)
            self.fetched.append(number)

    def _send(self, handler, status, body, kind, is_wheel=False):
        try:
            handler.send_response(status)
            handler.send_header("Content-Type", kind)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            for at in range(0, len(body), self.portion):
                if is_wheel and self.cut_once and at > len(body) // 2:
                    self.cut_once = False
                    handler.wfile.flush()
                    handler.connection.shutdown(2)
                    return
                handler.wfile.write(body[at : at + self.portion])
                self.sent += min(self.portion, len(body) - at)
                while is_wheel and self.hang:
                    handler.wfile.flush()
                    time.sleep(0.05)
                if is_wheel and self.slowly_s:
                    time.sleep(self.slowly_s)
        except OSError:
            handler.close_connection = True
