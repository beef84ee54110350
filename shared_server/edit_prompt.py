"""Reads the message of `/v1/edit/completions`: a file between marks, as `next_edit_body` of `remote_apis.py` has it.

Each mark is looked for once, from left to right: a pattern with all of them in it would take hours for a message that
is nothing but marks, and everybody else would wait.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from shared_server.problems import invalid

_FILE, _FILE_END = "<|current_file_content|>\n", "<|/current_file_content|>"
_PATH = "current_file_path: "
_CODE, _CODE_END = "<|code_to_edit|>\n", "\n<|/code_to_edit|>"
_CURSOR = "<|cursor|>"
_SNIPPET = "<|recently_viewed_code_snippet|>\ncode_snippet_file_path: "
_SNIPPET_END = "\n<|/recently_viewed_code_snippet|>"
_MOST_PATH = 1024
"""Characters."""


@dataclass(frozen=True, slots=True)
class EditedFile:
    """A file with lines that may be rewritten, and a cursor in them."""

    path: str
    head: str
    """Before the lines, with the line end."""
    before: str
    """Of the lines, up to the cursor."""
    after: str
    tail: str
    """Behind the lines, from the line end on."""
    snippets: tuple[tuple[str, str], ...]
    """Names of other files, and pieces of them."""


def edited_file(content: str) -> EditedFile:
    """Returns what a message says.

    Raises:
        Problem: 400 when it lacks a mark, or has not one cursor between them.
    """
    viewed, file, rest = content.partition(_FILE)
    head, code, rest = rest.partition(_CODE)
    lines, code_end, rest = rest.partition(_CODE_END)
    tail, file_end, _ = rest.partition(_FILE_END)
    if not (file and code and code_end and file_end):
        raise invalid("messages[0].content must hold <|current_file_content|> with <|code_to_edit|> in it")
    before, cursor, after = lines.partition(_CURSOR)
    if not cursor or _CURSOR in after:
        raise invalid("messages[0].content must hold one <|cursor|> between the marks of <|code_to_edit|>")
    path, line_end, below = head.partition("\n")
    if line_end and path.startswith(_PATH) and len(path) <= len(_PATH) + _MOST_PATH:
        path, head = path.removeprefix(_PATH), below
    else:
        path = ""
    # a line end alone belongs to the marks: there is nothing before the lines, or behind them
    head, tail = (text if text != "\n" else "" for text in (head, tail.removesuffix("\n")))
    return EditedFile(path, head, before, after, tail, tuple(_viewed(viewed)))


def _viewed(text: str) -> Iterator[tuple[str, str]]:
    """Yields name and text of each piece of another file that stands before the file itself."""
    for piece in text.split(_SNIPPET)[1:]:
        said, end, _ = piece.partition(_SNIPPET_END)
        path, line_end, code = said.partition("\n")
        if end and line_end and len(path) <= _MOST_PATH:
            yield path, code
