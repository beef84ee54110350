"""The words of a text that are code: neither a comment nor a string that stands alone. Torch-free, pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from coder_model.text.holes import CodeBefore

WORD = re.compile(r"\w+|[^\w\s]")
_RUN = re.compile(r"\w+|[^\w\s]+")
_QUOTES = "\"'`"


def code_words(before: str, lines: Sequence[str], language: str) -> list[str]:
    """Returns names, numbers and signs of some lines that are code, in order.

    Of a string they are its quotes, as it is a value, but for one that is all of its lines: a docstring.

    Args:
        before: the text before the lines.
        lines: without their ends.
        language: LSP language id.
    """
    is_code = CodeBefore(before + "\n".join(lines), language)
    found, at = [], len(before)
    for line in lines:
        words: list[str] = []
        for run in _RUN.finditer(line):
            begins, ends = is_code(at + run.start()), is_code(at + run.end())
            said, quotes = run.group(), [n for n, sign in enumerate(run.group()) if sign in _QUOTES]
            if begins and ends:
                words += WORD.findall(said)
            elif quotes and begins:
                words += said[: quotes[-1] + 1]
            elif quotes and ends:
                words += said[quotes[0] :]
        found += words if any(word not in _QUOTES for word in words) else []
        at += len(line) + 1
    return found
