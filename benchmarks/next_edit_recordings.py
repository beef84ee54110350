"""Recorded edits of people, and what was thought of the next ones, as VS Code's recorder writes them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from coder_model.text.token_edits import Change, changed
from lsp_server.documents import Document, Documents, Position

_TOKEN = re.compile(r"\w+|\s+|.")
SAID = {"nextEdit": "right", "valid": "valid", "bad": "wrong"}
"""Of the scores: what they are called here."""


@dataclass(frozen=True)
class Recording:
    """One of them."""

    name: str
    file: str
    """That the next edit is in."""
    log: list[dict[str, Any]]
    following: tuple[Change, ...]
    """What the person then did; nothing where that was not recorded."""
    scored: list[tuple[str, tuple[Change, ...] | None]]
    """Outcomes and edits; None for no edit."""

    def replayed(self, language: str) -> tuple[Documents, Document, int]:
        """Returns the documents with the edits done, that of the next edit, and the row of its last one."""
        documents, names, row = Documents(), {}, 0
        for event in self.log:
            if event["kind"] == "documentEncountered":
                names[event["id"]] = event["relativePath"].replace("\\", "/")
            elif event["kind"] == "setContent":
                documents.open(names[event["id"]], language, 1, event["content"])
            elif event["kind"] == "changed" and (document := documents.get(names[event["id"]])):
                for start, end, text in sorted(event["edit"], reverse=True):
                    places = [position(document, at) for at in (start, end)]
                    document.replace(places[0], places[1], text)
                    row = places[0].line
        document = documents.get(self.file)
        assert document
        return documents, document, row

    def outcome(self, new: str | None) -> str:
        """Returns what people think of a text with an edit, or of one that has it as a part; else `not scored`."""
        if new is None:
            return "silent"
        _, document, _ = self.replayed("")
        text, done = document.text, _tokens_changed(document.text, new)
        texts = [(outcome, changed(text, changes)) for outcome, changes in self.scored if changes is not None]
        for outcome, whole in texts:
            if whole == new:
                return outcome
        right = [changed(text, self.following), *(whole for outcome, whole in texts if outcome == "right")]
        return "right" if any(done <= _tokens_changed(text, whole) for whole in right) else "not scored"


def _tokens_changed(old: str, new: str) -> set[tuple[int, int, tuple[str, ...]]]:
    """What makes a text another one, token by token."""
    was, now = (_TOKEN.findall(text) for text in (old, new))
    codes = SequenceMatcher(None, was, now, autojunk=False).get_opcodes()
    return {(a, b, tuple(now[c:d])) for tag, a, b, c, d in codes if tag != "equal"}


def recordings(folder: Path) -> Iterator[Recording]:
    """Yields the recordings of a folder, by their names."""
    for file in sorted(folder.glob("*/scoredEdits.w.json")):
        read = json.loads(file.read_text("utf-8"))
        recording = read["scoringContext"]["recording"]
        names = {one["id"]: one["relativePath"] for one in recording["log"] if one["kind"] == "documentEncountered"}
        last = next(one["id"] for one in reversed(recording["log"]) if one["kind"] == "changed")
        scored = [(SAID[one["scoreCategory"]], _changes(one["edit"])) for one in read["edits"]]
        following = _changes(recording.get("nextUserEdit", {}).get("edit")) or ()
        yield Recording(file.parent.name, names[last].replace("\\", "/"), recording["log"], following, scored)


def _changes(edit: Sequence[tuple[int, int, str]] | None) -> tuple[Change, ...] | None:
    return None if edit is None else tuple(Change(*one) for one in edit)


def position(document: Document, offset: int) -> Position:
    """Returns the protocol's position of a code point of a document."""
    for row, line in enumerate(document.lines):
        if offset <= len(line) - (row < len(document.lines) - 1):
            return document.position(row, offset)
        offset -= len(line)
    return document.position(len(document.lines) - 1, len(document.lines[-1]))
