"""A user's own code as training text: the files worth learning from, and the tenth of them that is held out."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

from coder_model.errors import CorpusError
from coder_model.training import cleaning
from coder_model.training.sources import Source, existing

HELD_OUT_SHARE = 0.1

_KINDS = {"size": f"not {cleaning.MIN_BYTES} to {cleaning.MAX_BYTES:,} bytes long"}
File = tuple[str, str]
"""Path and text."""


def files_of(corpus: Path) -> list[File]:
    """Returns path and text of the files worth learning from, each text once, whatever their licence.

    Args:
        corpus: directory or bare repository.

    Raises:
        CorpusError: when it is not there, or holds fewer than two such files.
    """
    existing(corpus)
    found: dict[str, str] = {}
    left_out: Counter[str] = Counter()
    for path, data in Source(corpus.name, corpus).files(cleaning.wanted):
        text, reason = cleaning.usable(path, data)
        if reason:
            left_out[reason] += 1
        else:
            found.setdefault(text, path)
    if len(found) < 2:
        why = ", ".join(f"{n} as {_KINDS.get(reason, reason)}" for reason, n in left_out.items())
        raise CorpusError(
            f"{corpus} must hold at least 2 source files, found {len(found)}" + (f"; left out: {why}" if why else "")
        )
    return [(path, text) for text, path in found.items()]


def held_out_of(files: list[File]) -> tuple[list[File], list[File]]:
    """Returns a tenth of the files, at least one, and the others, in order; the same ones at every call."""
    n = max(1, round(HELD_OUT_SHARE * len(files)))
    chosen = set(random.Random(0).sample(range(len(files)), n))
    held_out = [file for i, file in enumerate(files) if i in chosen]
    return held_out, [file for i, file in enumerate(files) if i not in chosen]
