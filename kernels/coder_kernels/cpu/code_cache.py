"""Machine code that was made once, in the user's cache folder: making it takes most of a second and 37 MB.

A file is the code's own digest and the code: LLVM ends the process where it is given half an object. Where two
processes have made code at the same time, one of them keeps it.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

_DIGEST = 32
_MOST_FILES = 32
"""A version of this project has three; those of earlier ones go."""


def code_of(key: str, make: Callable[[], bytes]) -> bytes:
    """Returns machine code, from the cache where it is there and whole.

    Args:
        key: everything that the code depends on.
        make: makes it; what it makes is kept where it can be.
    """
    folder = user_cache_path("unmask", appauthor=False) / "machine-code"
    path = folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.o"
    with contextlib.suppress(OSError):
        kept = path.read_bytes()
        if hashlib.sha256(kept[_DIGEST:]).digest() == kept[:_DIGEST]:
            return kept[_DIGEST:]
    code = make()
    with contextlib.suppress(OSError):
        _keep(path, hashlib.sha256(code).digest() + code)
    return code


def _keep(path: Path, content: bytes) -> None:
    folder = path.parent
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    # the system takes the lock from whoever dies: a part that lies there under it is nobody's any more
    with FileLock(folder / "lock", blocking=False):
        for left in folder.glob("*.part"):
            left.unlink(missing_ok=True)
        part = path.with_suffix(".part")
        part.write_bytes(content)
        part.replace(path)
        newest = sorted(folder.glob("*.o"), key=lambda file: file.stat().st_mtime, reverse=True)
        for old in newest[_MOST_FILES:]:
            old.unlink(missing_ok=True)
