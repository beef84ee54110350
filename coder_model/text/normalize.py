"""Small functions on text that both sides need; imports nothing."""

from __future__ import annotations


def newlines(text: str) -> str:
    r"""Returns text with `\\n` as its only line end, as in training."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def columns(line: str) -> int:
    """Returns the columns of the blanks that a line begins with; a tab goes on to the next multiple of 4."""
    return len(line[: len(line) - len(line.lstrip(" \t"))].expandtabs(4))


def first_lines(text: str, count: int) -> str:
    """Returns so many lines of a text, without the blanks behind them."""
    return "\n".join(text.split("\n")[:count]).rstrip()


def file_name(path: str) -> str:
    """Returns the last component of a path or URI."""
    return path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


def folder_name(path: str) -> str:
    """Returns the name of the folder that a path or URI ends in; empty when it names none."""
    folder = path.replace("\\", "/").rstrip("/").rpartition("/")[0]
    return "" if folder.endswith(":/") else file_name(folder)
