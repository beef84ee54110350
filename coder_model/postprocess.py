"""Pure functions on the text of a middle: where it ends, whatever the model goes on to say."""

from __future__ import annotations

import re

from coder_model.types import HoleMode

_LINE_START = re.compile(r"\n([ \t]*)(?=[^ \t\n])")


def end_of_hole(text: str, hole: HoleMode, indent: int) -> int | None:
    """Returns the offset in text where the hole is full, or None while it is not.

    A `line` hole ends before the first line end. A `block` hole ends before the first line that is indented less than
    the block: what follows belongs to somebody else.

    Args:
        text: the middle so far.
        hole: what is filled.
        indent: blanks at the start of a line that still belongs to the block.
    """
    if hole == "line":
        at = text.find("\n")
        return at if at >= 0 else None
    for match in _LINE_START.finditer(text):
        if len(match.group(1)) < indent:
            return match.start()
    return None


def block_indent(prefix: str) -> int:
    """Returns the blanks that a line of the block at the end of prefix starts with, at least.

    The cursor stands on the block's first line, or still on the line that opens it.
    """
    line = prefix.rsplit("\n", 1)[-1]
    blanks = len(line) - len(line.lstrip(" \t"))
    return blanks + (1 if line.strip() else 0)


def trimmed(text: str, hole: HoleMode, indent: int) -> str:
    """Returns text up to the end of its hole, a block without blank lines at its end."""
    text = text[: end_of_hole(text, hole, indent)]
    return text.rstrip() if hole == "block" else text
