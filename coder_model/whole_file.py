"""Files that are there whole or not at all, whatever happens while they are written."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NUMBER = re.compile(r"os error (\d+)")


@contextmanager
def written_whole(file: Path) -> Iterator[Path]:
    """Yields the name of a part that becomes the file when the block ends well, and is removed when it does not.

    Raises:
        OSError: names the file, whoever has written to it.
    """
    part = file.with_name(f"{file.name}.part")
    try:
        with naming(file):
            yield part
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def naming(place: Path) -> Iterator[None]:
    """Has an error of the system that does not say where it happened name a file or a folder.

    Raises:
        OSError: also for what safetensors raises in its place.
    """
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(place)
        raise
    except Exception as error:
        # safetensors' own kind, which is not imported: a front without a model writes files too
        if found := _NUMBER.search(str(error)):
            number = int(found.group(1))
            raise OSError(number, os.strerror(number), str(place)) from error
        raise
