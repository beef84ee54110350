"""A server on loopback that speaks Mercury's, OpenAI's and llama.cpp's protocol, faults included."""

import asyncio
import json
import ssl

ANSWERS = {
    "/v1/fim/completions": lambda text: {"choices": [{"text": text}]},
    "/v1/completions": lambda text: {"choices": [{"text": text}]},
    "/v1/edit/completions": lambda text: {"choices": [{"message": {"content": text}}]},
    "/infill": lambda text: {"content": text},
}


class FakeService:
    """Answers every request with `text`, or with the next of `faults`."""

    def __init__(self, text="answer"):
        self.text = text
        self.beside = {}
        """Said beside the text."""
        self.faults = []
        """Of the next requests: `slow`, `cut`, `garbage`, `shape`, `huge`, `redirect`, a status, (status, headers)."""
        self.requests = []
        self.bodies = []
        self.open = 0
        self.dropped = 0
        """Requests whose client went away before the answer."""

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls())
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if self.tls() else 'http'}://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_):
        self._server.close()

    def tls(self):
        return None

    async def _serve(self, reader, writer):
        try:
            while True:
                await self._answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        path = first.split()[1]
        self.requests.append((path, headers))
        self.bodies.append(json.loads(body))
        fault = self.faults.pop(0) if self.faults else None
        status, more = 200, {}
        text = self.text(self.bodies[-1]) if callable(self.text) else self.text
        data = json.dumps(ANSWERS[path](text) | self.beside).encode()
        if fault == "slow":
            gone = asyncio.create_task(reader.read(1))
            await asyncio.wait([gone], timeout=30)
            self.dropped += 1
            raise ConnectionError
        if fault == "cut":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{")
            await writer.drain()
            raise ConnectionError
        if fault == "garbage":
            data = b"\xff\xfe<html>"
        elif fault == "shape":
            data = b'{"choices": []}'
        elif fault == "deep":
            data = b"[" * 200_000
        elif fault == "huge":
            data = b" " * (2 << 20)
        elif fault == "redirect":
            status, more = 307, {"Location": f"http://localhost:1{path}"}
        elif isinstance(fault, int):
            status = fault
        elif fault:
            status, more = fault
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(data)}", *(f"{k}: {v}" for k, v in more.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode() + data)
        await writer.drain()
