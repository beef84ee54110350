"""Where the editor windows of a user meet their worker: a Unix-domain socket in a folder that nobody else can enter.

Whoever comes first binds the socket and starts the worker with it, so that a connection is never too early. A lock
beside the sockets makes sure that only one does.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from filelock import AsyncFileLock
from platformdirs import user_state_path

from coder_model.worker.connections import LOCK
from lsp_server import release
from lsp_server.backends.base import BackendUnavailable

WINDOWS = 64
"""Connections that may wait to be accepted."""
CONNECT_S = 2.0
LOCK_LOOK_S = 0.02


def folder() -> Path:
    """Returns the folder of the user's sockets, created when missing.

    Raises:
        BackendUnavailable: when somebody else could enter it.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    path = Path(runtime) / "unmask" if runtime else user_state_path("unmask") / "run"
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        facts = path.lstat()
    except OSError as error:
        raise BackendUnavailable(
            f"{path} must be a folder of the user: {error.strerror}; XDG_RUNTIME_DIR may name another"
        ) from error
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o077:
        raise BackendUnavailable(f"{path} must be a folder that only its owner can enter (mode 700)")
    return path


def socket_path(command: Sequence[str]) -> Path:
    """Returns the socket of the workers that a command starts: another model or option is another worker."""
    return folder() / hashlib.sha256(json.dumps([release(), *command]).encode()).hexdigest()[:16]


async def meet(command: Sequence[str], hints: Sequence[str] = ()) -> socket.socket:
    """Returns a connection to the worker that a command starts; starts it when there is none.

    Args:
        command: of the worker.
        hints: more arguments, which make no other worker of it.

    Raises:
        BackendUnavailable: when it cannot be started; says why.
    """
    path = socket_path(command)
    try:
        async with AsyncFileLock(path.with_name(LOCK), poll_interval=LOCK_LOOK_S, run_in_executor=False):
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                return _connected(path)
            _forget_the_dead(path.parent)
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(path))
                listener.listen(WINDOWS)
                try:
                    _start([*command, *hints], listener)
                except OSError:
                    path.unlink()
                    raise
            return _connected(path)
    except OSError as error:
        raise BackendUnavailable(f"the worker cannot be started: {error}") from error


def _forget_the_dead(sockets: Path) -> None:
    """Removes the names of workers that are gone: under the lock each name has a listener, or its owner is dead."""
    for path in sockets.iterdir():
        if path.is_socket():
            try:
                _connected(path).close()
            except ConnectionRefusedError:
                path.unlink(missing_ok=True)
            except OSError:
                # alive, and too busy to let anybody in
                continue


def _connected(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(CONNECT_S)
        connection.connect(str(path))
    except OSError:
        connection.close()
        raise
    connection.setblocking(False)
    return connection


def _start(command: Sequence[str], listener: socket.socket) -> None:
    """Starts a worker in a session of its own: it outlives this window as long as another one uses it."""
    process = subprocess.Popen(
        [*command, "--listener", str(listener.fileno())],
        pass_fds=[listener.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # an editor waits until its pipe is closed everywhere
        cwd=Path(sys.executable).parent,
        start_new_session=True,
    )
    # somebody must take note of its end
    threading.Thread(target=process.wait, daemon=True).start()
