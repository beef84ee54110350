"""Where to cut a hole into a file, so that training sees the cursors that people have.

Cursors are drawn by character and so stand mostly inside tokens. A line-start hole begins before the indentation in
half of the cases: a model that was always given the indentation starts a new function instead of the next line
(Falcon-H1-Tiny-Coder's finding).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from coder_model.text.syntax import parse

MAX_HOLE_CHARS = 600


@dataclass(frozen=True, slots=True)
class TextHole:
    """A span of a text, in characters."""

    start: int
    end: int
    kind: str


def sample_hole(text: str, language: str, rng: random.Random) -> TextHole:
    """Draws a hole of a random kind.

    Args:
        text: not empty.
        language: LSP language id; without a grammar, syntax holes become random spans.
        rng: the only source of chance.

    Returns:
        A hole with 0 <= start <= end <= len(text), at most `MAX_HOLE_CHARS` long.
    """
    kind = rng.choices(list(_KINDS), weights=[weight for weight, _ in _KINDS.values()])[0]
    start, end = _KINDS[kind][1](text, language, rng)
    return TextHole(start, min(end, start + MAX_HOLE_CHARS), kind)


def _line(text: str, rng: random.Random) -> tuple[int, int]:
    """Start and end of a random line, one that is not blank if ten tries find one."""
    for _ in range(10):
        at = rng.randrange(len(text))
        start, end = text.rfind("\n", 0, at) + 1, text.find("\n", at)
        end = len(text) if end < 0 else end
        if text[start:end].strip():
            break
    return min(start, end), end


def _rest_of_line(text: str, _: str, rng: random.Random) -> tuple[int, int]:
    start, end = _line(text, rng)
    indent = len(text[start:end]) - len(text[start:end].lstrip())
    return rng.randint(start + indent, end), end


def _whole_line(text: str, _: str, rng: random.Random) -> tuple[int, int]:
    start, end = _line(text, rng)
    if rng.random() < 0.5:
        start += len(text[start:end]) - len(text[start:end].lstrip())
    return start, end


def _several_lines(text: str, language: str, rng: random.Random) -> tuple[int, int]:
    start, end = (_whole_line if rng.random() < 0.5 else _rest_of_line)(text, language, rng)
    for _ in range(rng.randint(1, 7)):
        further = text.find("\n", end + 1)
        end = len(text) if further < 0 else further
    return start, max(start, len(text[:end].rstrip("\n")))


def _syntax_node(text: str, language: str, rng: random.Random) -> tuple[int, int]:
    tree = parse(text, language)
    if tree is None:
        return _random_span(text, language, rng)
    data = text.encode()
    byte = rng.randrange(len(data))
    node = tree.root_node.descendant_for_byte_range(byte, byte)
    for _ in range(rng.randint(0, 3)):
        if node and node.parent and node.parent.end_byte - node.parent.start_byte <= MAX_HOLE_CHARS:
            node = node.parent
    if node is None or node.end_byte - node.start_byte > MAX_HOLE_CHARS:
        return _random_span(text, language, rng)
    start = len(data[: node.start_byte].decode("utf-8", "ignore"))
    return start, start + len(data[node.start_byte : node.end_byte].decode("utf-8", "ignore"))


def _random_span(text: str, _: str, rng: random.Random) -> tuple[int, int]:
    start = rng.randrange(len(text) + 1)
    return start, min(len(text), start + int(rng.expovariate(1 / 40)))


def _nothing(text: str, _: str, rng: random.Random) -> tuple[int, int]:
    at = rng.randrange(len(text) + 1)
    return at, at


_KINDS: dict[str, tuple[float, Callable[[str, str, random.Random], tuple[int, int]]]] = {
    "rest of line": (0.35, _rest_of_line),
    "whole line": (0.20, _whole_line),
    "several lines": (0.17, _several_lines),
    "syntax node": (0.15, _syntax_node),
    "random span": (0.10, _random_span),
    "nothing": (0.03, _nothing),
}
