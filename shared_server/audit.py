"""A line about each request: who, when, what it took. Never a text, a path, or the name of a session.

The file is for its owner alone, and of bounded size. A full disk loses lines, which are counted, and no request.
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
from pathlib import Path

import msgspec

from coder_model.types import InvalidInput

MOST_BYTES, FILES = 5 << 20, 5
"""Of one file; files kept, the present one counted in."""


class AuditLine(msgspec.Struct, frozen=True):
    """What is written of a request."""

    time: str
    """UTC, ISO 8601."""
    request: str
    tenant: str
    user: str
    route: str
    status: int
    engine: str = ""
    model: str = ""
    priority: str = ""
    level: int = 0
    tries: int = 0
    bytes_in: int = 0
    chars_out: int = 0
    tokens: int = 0
    passes: int = 0
    waited_ms: float = 0.0
    ms: float = 0.0


class _Rotating(logging.handlers.RotatingFileHandler):
    lost = 0

    def _open(self):  # type: ignore[no-untyped-def]
        os.close(os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
        return super()._open()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802
        self.lost += 1


class Audit:
    """The file; or none, where no path is given."""

    def __init__(self, path: Path | None) -> None:
        """Opens the file.

        Raises:
            InvalidInput: when it cannot be written.
        """
        self._handler: _Rotating | None = None
        if path:
            try:
                self._handler = _Rotating(path, maxBytes=MOST_BYTES, backupCount=FILES - 1, encoding="utf-8")
            except OSError as error:
                raise InvalidInput(f"audit must be a file that can be written: {path}: {error.strerror}") from error

    @property
    def lost(self) -> int:
        """Lines that could not be written."""
        return self._handler.lost if self._handler else 0

    def write(self, line: AuditLine) -> None:
        """Adds a line."""
        if self._handler:
            message = msgspec.json.encode(line).decode()
            self._handler.handle(logging.LogRecord("audit", logging.INFO, "", 0, message, (), None))

    def close(self) -> None:
        """Closes the file."""
        if self._handler:
            with contextlib.suppress(OSError):
                # what a full disk did not take is lost
                self._handler.close()
