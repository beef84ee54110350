"""What the server reports: to stderr, which most editors keep in a log of their own, and to a small file of the user's.

No line holds source text: of an error its type and place are told, never its message, which may quote some.
"""

from __future__ import annotations

import logging
import os
import sys
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from platformdirs import user_state_path

from coder_model.errors import place_of

MAX_BYTES = 100_000
"""Of the file, and of the one before it, `server.log.1`."""
_FORMAT = "%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"


def log_file() -> Path:
    """Returns where the file is, whether or not it is there."""
    return user_state_path("unmask") / "server.log"


def begin_log() -> None:
    """Has everything from `INFO` on written to stderr and to the file; without a file where none can be written."""
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    complaint = ""
    try:
        handlers.append(open_log(log_file()))
    except OSError as error:
        complaint = f"{log_file()} cannot be written: {error.strerror}"
    for handler in handlers:
        handler.setFormatter(_Quiet(_FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=handlers)
    # pygls logs whole messages, and those hold source text
    logging.getLogger("pygls").setLevel(logging.CRITICAL)
    # a line for each request to a server elsewhere leaves no room for others
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    if complaint:
        logging.getLogger(__name__).warning(complaint)


def open_log(file: Path) -> logging.Handler:
    """Returns what writes to a file that only its user can read, and to a new one when it is full.

    Raises:
        OSError: when it cannot be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return _SharedFile(file, maxBytes=MAX_BYTES, backupCount=1, encoding="utf-8", errors="backslashreplace")


class _Quiet(logging.Formatter):
    """Formats what others report of errors as we do."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's name
        if record.name == "asyncio":
            # it shows the error's message and the arguments of what failed
            record.message = "a task or a callback failed"
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802
        kind_error_at = cast(tuple[type[BaseException], BaseException, TracebackType | None], ei)
        return place_of(kind_error_at[1])


class _SharedFile(RotatingFileHandler):
    """A file of several servers, one for each window: whoever finds it renamed by another goes on in the new one."""

    def _open(self) -> TextIOWrapper:
        path = Path(self.baseFilename)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        return open(descriptor, "a", encoding=self.encoding, errors=self.errors)  # noqa: PTH123  of a descriptor

    def shouldRollover(self, record: logging.LogRecord) -> bool:  # noqa: N802
        if self.stream and not self._is_named(self.stream.fileno()):
            self.stream.close()
            self.stream = self._open()
        return bool(super().shouldRollover(record))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """A disk that is full costs the line and nothing else."""

    def _is_named(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(Path(self.baseFilename).stat(), os.fstat(descriptor))
        except OSError:
            return False
