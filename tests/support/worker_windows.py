"""A worker process, and windows on it."""

import contextlib
import socket
import subprocess

from coder_model.types import FillRequest
from coder_model.worker import protocol
from coder_model.worker.protocol import (
    Hello,
    Ready,
    frame,
)


def request(session, prefix="x", **more):
    return FillRequest(session, prefix, "", **more)


class Worker:
    """A worker process and its socket."""

    def __init__(self, folder, command):
        self.path = folder / "worker"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.path))
            listener.listen()
            number = listener.fileno()
            self.process = subprocess.Popen([*command, "--listener", str(number)], pass_fds=[number])
        self._windows = []

    def window(self):
        made = Window(self.path)
        self._windows.append(made)
        return made

    def close(self):
        self.process.kill()
        self.process.wait()
        for window in self._windows:
            window.close()


class Window:
    def __init__(self, path):
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.settimeout(20)
        self._connection.connect(str(path))
        self._stream = self._connection.makefile("rb")

    def send(self, *sent):
        self.send_raw(b"".join(frame(message) for message in sent))

    def send_raw(self, data):
        self._connection.sendall(data)

    def receive(self):
        body = protocol.read_body(self._stream)
        return None if body is None else protocol.from_worker.decode(body)

    def close(self):
        self._stream.close()
        with contextlib.suppress(OSError):
            self._connection.close()


def ready(worker):
    made = worker.window()
    assert made.receive() == Hello(worker.process.pid)
    assert isinstance(made.receive(), Ready)
    return made
