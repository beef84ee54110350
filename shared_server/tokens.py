"""Who may ask: a file with a line `sha256-of-token tenant user` for each token. The tokens themselves are nowhere.

A token has 256 random bits, so its plain SHA-256 cannot be guessed back. All lines are compared, each in constant time.
The file is read again when it has changed; while it cannot be read, nobody is let in, and the log says so once.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from coder_model.errors import reason_of
from coder_model.types import InvalidInput

logger = logging.getLogger(__name__)
_LINE = re.compile(r"([0-9a-f]{64})\s+([\w.-]{1,64})\s+([\w.@-]{1,64})")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks."""

    tenant: str
    """Nothing is shared with another one."""
    user: str


class TokenFile:
    """The file of tokens, as it is now."""

    def __init__(self, path: Path) -> None:
        """Reads the file.

        Raises:
            InvalidInput: names the file and the first line that is not one of a token's.
        """
        self._path = path
        self._state, self._fault = (0, 0), ""
        self._callers: list[tuple[bytes, Caller]] = []
        self._refresh()

    def caller(self, token: str) -> Caller | None:
        """Returns whose token this is; None when it is nobody's, or the file cannot be used at present."""
        try:
            self._refresh()
        except InvalidInput as error:
            if str(error) != self._fault:
                self._fault = str(error)
                logger.error("nobody is let in by a token of ours: %s", error)
            return None
        self._fault = ""
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        found = None
        for known, caller in self._callers:
            if hmac.compare_digest(known, digest):
                found = caller
        return found

    def _refresh(self) -> None:
        try:
            facts = self._path.stat()
            state = (facts.st_mtime_ns, facts.st_size)
            if state == self._state:
                return
            text = self._path.read_text("utf-8")
        except (OSError, ValueError) as error:
            self._state, self._callers = (0, 0), []
            raise InvalidInput(f"{self._path} must be a file of tokens: {reason_of(error)}") from error
        self._callers = _parsed(self._path, text)
        self._state = state


def _parsed(path: Path, text: str) -> list[tuple[bytes, Caller]]:
    callers = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise InvalidInput(f"{path}:{number} must be `sha256 tenant user`")
        callers.append((bytes.fromhex(match[1]), Caller(match[2], match[3])))
    return callers


def add_token(path: Path, tenant: str, user: str) -> str:
    """Adds a new token to a file, which is made for its owner alone when there is none; returns the token.

    Raises:
        InvalidInput: when a name has other characters than a file of tokens may hold, or the file cannot be written.
    """
    token = secrets.token_urlsafe(32)
    line = f"{hashlib.sha256(token.encode()).hexdigest()} {tenant} {user}"
    if not _LINE.fullmatch(line):
        raise InvalidInput(f"tenant and user must be of letters, digits, '.', '_' and '-', got {tenant!r} and {user!r}")
    try:
        # somebody may have written the last line by hand, without its end
        is_open = path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write("\n" * is_open + line + "\n")
    except OSError as error:
        raise InvalidInput(f"{path} must be a file that can be written: {error.strerror}") from error
    return token
