"""Where weights lie that are prepared for this machine: one file for a model's file, in the user's cache folder.

Imports nothing slow. Whoever deletes one loses seconds when the model is loaded next, nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

from platformdirs import user_cache_path


def folder() -> Path:
    """Returns the folder that holds them."""
    return user_cache_path("unmask", appauthor=False) / "prepared"


def prepared_file(source: Path, made_from: str) -> Path:
    """Returns where the weights of a model lie.

    Args:
        source: the model's file.
        made_from: everything that they depend on.
    """
    return folder() / f"{_begin(source)}{_digest(made_from)}.safetensors"


def forget(source: Path, but: Path | None = None) -> int:
    """Removes what was prepared from a model's file, all but one, and returns how many bytes are free again."""
    freed = 0
    for path in folder().glob(f"{_begin(source)}*"):
        # one that is read elsewhere can stay on some systems; the next time it can go
        with contextlib.suppress(OSError):
            n_bytes = path.stat().st_size
            if path != but:
                path.unlink()
                freed += n_bytes
    return freed


def _begin(source: Path) -> str:
    return f"{_digest(str(source.resolve()))}-"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]
