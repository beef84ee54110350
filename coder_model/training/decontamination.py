"""What no corpus may hold: text of evaluation sets, known by hashes or by itself."""

from __future__ import annotations

import gzip
import itertools
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from coder_model.errors import CorpusError
from coder_model.training.cleaning import pair_hashes, squeezed_lines

GRAM = 13
"""Words of a run that two texts hardly share by chance (GPT-3, arXiv:2005.14165, appendix C)."""
MAX_LINE_PAIRS, MAX_GRAMS = 3, 2
"""More than so many known pairs of lines, or known runs of words, and a file is left out."""
HASH_BYTES = 8
_MIN_LINE = 12
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class KeptOut:
    """Hashes of what must not be learnt."""

    line_pairs: frozenset[bytes] = frozenset()
    """blake2b of two successive lines of 12 or more characters, all blanks removed."""
    grams: frozenset[int] = frozenset()
    """Hashes of runs of 13 words."""

    @classmethod
    def read(cls, hash_files: Iterable[Path], text_files: Iterable[Path]) -> KeptOut:
        """Reads files of 8-byte line-pair hashes, and evaluation sets as JSON lines, each string value a text.

        Raises:
            CorpusError: when a file cannot be read or is something else.
        """
        pairs: set[bytes] = set()
        for file in hash_files:
            try:
                data = file.read_bytes()
            except OSError as error:
                raise CorpusError(f"{file} must be a file of hashes: {error.strerror}") from error
            if len(data) % HASH_BYTES:
                raise CorpusError(f"{file} must hold hashes of {HASH_BYTES} bytes, found {len(data)} bytes")
            pairs.update(data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES))
        grams: set[int] = set()
        for file in text_files:
            try:
                data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
                for line in data.decode("utf-8").splitlines():
                    grams.update(itertools.chain.from_iterable(map(_grams, _strings(json.loads(line)))))
            except (OSError, EOFError, ValueError) as error:
                raise CorpusError(f"{file} must hold JSON lines, gzip allowed: {error}") from error
        return cls(frozenset(pairs), frozenset(grams))

    def reason(self, text: str) -> str:
        """Returns why a text must be left out, or an empty string."""
        if (
            self.line_pairs
            and len(self.line_pairs.intersection(pair_hashes(squeezed_lines(text, _MIN_LINE), HASH_BYTES)))
            > MAX_LINE_PAIRS
        ):
            return "held-out lines"
        if self.grams and len(self.grams.intersection(_grams(text))) > MAX_GRAMS:
            return "held-out words"
        return ""


def _grams(text: str) -> Iterator[int]:
    words = [zlib.crc32(word.encode("utf-8", "replace")) for word in _WORD.findall(text)]
    # the hash of a tuple of integers is the same in every process
    return (hash(tuple(words[at : at + GRAM])) for at in range(len(words) - GRAM + 1))


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _strings(part)
