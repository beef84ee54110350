"""Keys that an object of JSON has already; torch-free, by looks: each on a line of its own, all at one depth."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import takewhile

from coder_model.text.normalize import columns, first_lines
from coder_model.text.surroundings import FilterContext

_KEY = re.compile(r'\s*("(?:\\.|[^"\\\n])*")\s*:')


def without_known_keys(text: str, around: FilterContext) -> str:
    """Returns a text up to the first line with a key that its object has already, or that the text has said."""
    if around.language not in ("json", "jsonc") or around.rest_of_line.strip():
        return text
    lines = (around.line_before + text).split("\n")
    depth = columns(lines[0])
    above, below = around.prefix.split("\n")[:-1], around.suffix.split("\n")[1:]
    inside = list(takewhile(lambda line: not line.strip() or columns(line) >= depth, lines))
    known = set(_keys(reversed(above), depth))
    if len(inside) == len(lines):
        # else what is below belongs to another object
        known.update(_keys(below, depth))
    for number, line in enumerate(inside):
        for key in _keys([line], depth):
            if key in known:
                return first_lines(text, number)
            known.add(key)
    return text


def _keys(lines: Iterable[str], depth: int) -> Iterator[str]:
    """The keys of an object, line by line away from a place in it."""
    for line in lines:
        if line.strip() and columns(line) < depth:
            return
        if columns(line) == depth and (key := _KEY.match(line)):
            yield key[1]
