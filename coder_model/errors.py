"""The errors of the model side; each message names the input and what was expected."""

from __future__ import annotations

import traceback
from pathlib import Path


class ModelFileError(ValueError):
    """A file of a model directory is missing, broken, or belongs to another model."""


class Unreachable(ModelFileError):
    """A model that cannot be fetched now: no network, a refusal, no progress, other bytes than expected."""


class CorpusError(ValueError):
    """Training text that cannot be used: a missing directory, nothing left after filtering, foreign shards."""


class BrokenScores(ValueError):
    """A model's scores hold what is no number: of this request nothing can be believed."""

    def __init__(self) -> None:
        super().__init__("the model's scores must be numbers, found NaN")


def reason_of(error: Exception) -> str:
    """Returns why something failed, in plain words: of the system's errors neither the number nor the path."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def place_of(error: BaseException) -> str:
    """Returns type and place of an error, without its message: that may quote the user's text."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    return f"{type(error).__name__} at {' < '.join(f'{Path(f.filename).name}:{f.lineno}' for f in reversed(frames))}"


def lacks_packages(extra: str) -> str:
    """Returns what to do where an extra's packages are missing.

    By the folder, for an index has no `unmask` of ours: whoever takes that name there would be installed.
    """
    return f"not installed: pip install -c constraints.txt -e '.[{extra}]' in the folder of unmask"
