"""What a suggestion of each installed model takes on this machine, kept from one start to the next."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import msgspec
from platformdirs import user_state_path

from coder_model.whole_file import written_whole
from lsp_server import release

TRIED_AGAIN_S = 86_400.0
"""A time counts for so long: the machine may have been busy when it was measured."""


class _Time(msgspec.Struct, frozen=True):
    ms: float
    measured: float
    """Seconds since 1970."""


class _State(msgspec.Struct):
    release: str = ""
    """Times of another release are of other code, and do not count."""
    times: dict[str, _Time] = {}


class ModelTimes:
    """A small JSON file in the user's state folder; one that cannot be read or written is as good as none."""

    def __init__(self, file: Path | None = None) -> None:
        """Takes the file; the user's own when none is named."""
        self._file = file or user_state_path("unmask") / "models.json"

    def of(self, model: str) -> float | None:
        """Returns the milliseconds of a suggestion, or None when they are not known, or too old to count."""
        known = self._read().times.get(model)
        return known.ms if known and time.time() - known.measured < TRIED_AGAIN_S else None

    def last(self, model: str) -> float | None:
        """Returns the same however old it is, for people."""
        known = self._read().times.get(model)
        return known.ms if known else None

    def note(self, model: str, ms: float) -> None:
        """Keeps what was measured now, unless the machine was faster within the time that counts."""
        if (known := self.of(model)) is not None and known <= ms:
            return
        state = self._read()
        state.times[model] = _Time(ms, time.time())
        self._write(state)

    def _read(self) -> _State:
        state = _State()
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            state = msgspec.json.decode(self._file.read_bytes(), type=_State)
        return state if state.release == release() else _State(release())

    def _write(self, state: _State) -> None:
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with written_whole(self._file) as part:
                part.write_bytes(msgspec.json.encode(state))
