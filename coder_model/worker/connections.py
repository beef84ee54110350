"""The worker's side of its socket: one thread lets editor windows in, one per window reads what it asks.

The socket is bound and listening before the worker starts (`lsp_server.backends.worker_socket`), so nobody waits for
the worker to get there. Other users are turned away. When the last window has gone, so has the process.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import time
from pathlib import Path

from filelock import FileLock

from coder_model.worker import protocol
from coder_model.worker.protocol import Cancel, Dropped, Fill, Hello, Pong, Warm, frame
from coder_model.worker.request_queue import Job, RequestQueue

LOOK_S = 0.25
"""How often it is looked whether anybody is still there."""
FIRST_CLIENT_S = 10.0
"""The front that started the worker connects at once, or it has died."""
SEND_S = 2.0
"""A window that does not read for so long is gone."""
LOCK = "lock"
"""Name of the file beside the sockets that is locked while one of them is bound or unlinked."""
_CREDENTIALS = struct.Struct("3i")


class Connection:
    """One editor window."""

    def __init__(self, connection: socket.socket) -> None:
        # the time-out is for sending: a reader of its own waits for as long as it takes
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(SEND_S), 0))
        self._connection, self._lock = connection, threading.Lock()
        self.stream = connection.makefile("rb")

    def send(self, message: protocol.FromWorker) -> None:
        """Writes one frame; both the model's thread and the reader do. To a window that is gone it says nothing."""
        with self._lock:
            try:
                self._connection.sendall(frame(message))
            except OSError:
                self.hang_up()

    def hang_up(self) -> None:
        """Ends the connection; its reader then sees the end of the stream."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Lets go of the connection; what is sent from now on is lost."""
        self.stream.close()
        self._connection.close()


class Connections:
    """All editor windows of the user that use this model."""

    def __init__(self, listener: socket.socket, queue: RequestQueue) -> None:
        self._listener, self._queue = listener, queue
        self._path = Path(listener.getsockname())
        self._present: set[Connection] = set()
        self._greeting: list[protocol.FromWorker] = [Hello(os.getpid())]
        self._lock, self._accepting = threading.Lock(), threading.Lock()
        self._is_retired = False

    def let_in(self) -> None:
        """Begins to accept connections; returns at once."""
        threading.Thread(target=self._accept, daemon=True).start()

    def tell(self, message: protocol.FromWorker) -> None:
        """Tells everybody, those who come later too."""
        with self._lock:
            self._greeting.append(message)
        self.mention(message)

    def mention(self, message: protocol.FromWorker) -> None:
        """Tells those who are there."""
        with self._lock:
            for client in self._present:
                client.send(message)

    def retire(self) -> None:
        """Gives the socket's name back; whoever comes now starts another worker."""
        with FileLock(self._path.with_name(LOCK)):
            while self._accept_one(0):
                # who has connected already is told why it ends
                pass
            self._give_back_name()

    def _accept(self) -> None:
        alone_until = time.monotonic() + FIRST_CLIENT_S
        while True:
            if self._accept_one(LOOK_S):
                alone_until = 0.0
            elif not self._present and time.monotonic() > alone_until:
                self._exit_unless_somebody_comes()

    def _accept_one(self, seconds: float) -> bool:
        # whoever is let in is greeted before the process can end
        with self._accepting:
            self._listener.settimeout(seconds)
            try:
                connection, _ = self._listener.accept()
            except (TimeoutError, BlockingIOError):
                return False
            connection.settimeout(None)
            if _user_of(connection) != os.getuid():
                connection.close()
                return False
            client = Connection(connection)
            with self._lock:
                self._present.add(client)
                for message in self._greeting:
                    client.send(message)
        threading.Thread(target=self._serve, args=(client,), daemon=True).start()
        return True

    def _exit_unless_somebody_comes(self) -> None:
        # nobody connects while the lock is held: the last look is the last
        with FileLock(self._path.with_name(LOCK)):
            if not self._accept_one(0):
                self._give_back_name()
                os._exit(0)

    def _give_back_name(self) -> None:
        # once: another worker may have the same name by now
        if not self._is_retired:
            self._path.unlink(missing_ok=True)
            self._is_retired = True

    def _serve(self, client: Connection) -> None:
        """Reads what a window asks until it goes."""
        # bytes that are no frame: whoever sends them is not one of ours
        with contextlib.suppress(OSError, ValueError, RecursionError):
            while (body := protocol.read_body(client.stream)) is not None:
                self._receive(client, protocol.to_worker.decode(body))
        self._queue.leave(client)
        with self._lock:
            self._present.discard(client)
        client.close()

    def _receive(self, client: Connection, message: protocol.ToWorker) -> None:
        dropped: list[Job] = []
        if isinstance(message, (Fill, Warm)):
            dropped = self._queue.put(Job(client, message))
        elif isinstance(message, Cancel):
            dropped = self._queue.cancel(client, message.id)
        else:
            client.send(Pong(self._queue.passes, time.process_time()))
        for job in dropped:
            if isinstance(job.work, Fill):
                client.send(Dropped(job.work.id))


def _user_of(connection: socket.socket) -> int:
    """The user on the other side. Where the system does not say, the mode of the socket's folder is the guard."""
    if not hasattr(socket, "SO_PEERCRED"):
        return os.getuid()
    _, user, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return int(user)
