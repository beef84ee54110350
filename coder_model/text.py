"""Small functions on text that both sides need; imports nothing."""

from __future__ import annotations


def newlines(text: str) -> str:
    r"""Returns text with `\\n` as its only line end, as in training."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def file_name(path: str) -> str:
    """Returns the last component of a path or URI."""
    return path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
