"""Reads the message of `/v1/edit/completions`: a file between marks, as `next_edit_body` of `remote_apis.py` has it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from shared_server.problems import invalid

_FILE = re.compile(
    r"<\|current_file_content\|>\n(?:current_file_path: (?P<path>[^\n]{0,1024})\n)?"
    r"(?P<head>.*?)<\|code_to_edit\|>\n(?P<code>.*?)\n<\|/code_to_edit\|>(?P<tail>.*?)\n?<\|/current_file_content\|>",
    re.DOTALL,
)
_CURSOR = "<|cursor|>"
_SNIPPET = re.compile(
    r"<\|recently_viewed_code_snippet\|>\ncode_snippet_file_path: ([^\n]{0,1024})\n"
    r"(.*?)\n<\|/recently_viewed_code_snippet\|>",
    re.DOTALL,
)


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
    found = _FILE.search(content)
    if found is None:
        raise invalid("messages[0].content must hold <|current_file_content|> with <|code_to_edit|> in it")
    before, cursor, after = found["code"].partition(_CURSOR)
    if not cursor or _CURSOR in after:
        raise invalid("messages[0].content must hold one <|cursor|> between the marks of <|code_to_edit|>")
    snippets = tuple(_SNIPPET.findall(content[: found.start()]))
    # a line end alone belongs to the marks: there is nothing before the lines, or behind them
    head, tail = (text if text != "\n" else "" for text in (found["head"], found["tail"]))
    return EditedFile(found["path"] or "", head, before, after, tail, snippets)
