"""Edits of a repository's own history, one after the other as somebody may have made them.

A commit says what a file became, not in which order, nor that an edit called for the next one; so most edits are
followed by silence, and what counts is whether what is offered agrees with what the file became.
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

from coder_model.text.syntax import has_grammar, language_of
from lsp_server.documents import Document, Documents, Position, split_lines

MOST_CHARS, MOST_EDIT_CHARS = 60_000, 600
"""Of a file, and of an edit after which somebody asks."""
EDITS = range(2, 13)
"""Of a file in a commit: fewer say nothing of a next one, more are no edits by hand."""
SEED = 3


@dataclass(frozen=True)
class PastEdit:
    """A file after one of the edits of a commit."""

    name: str
    documents: Documents
    document: Document
    row: int
    final: str
    """The file after all of them."""

    def outcome(self, new: str | None) -> str:
        """Returns what became of the line that a text with an offered edit changes.

        `right` is what the commit has, `kept` a line that the commit left as it is, and `otherwise` one that it changed
        in another way or took away.
        """
        if new is None:
            return "silent"
        was, now, final = (split_lines(text) for text in (self.document.text, new, self.final))
        old, offered = next((a, b) for a, b in zip(was, now, strict=True) if a != b)
        if final.count(old) >= was.count(old):
            return "kept"
        return "right" if final.count(offered) > was.count(offered) else "otherwise"


def past_edits(repository: Path, count: int) -> Iterator[PastEdit]:
    """Yields edits of commits that are taken by chance, always the same ones.

    Args:
        repository: with a history.
        count: most edits.
    """
    commits = _git(repository, "log", "--no-merges", "--format=%H", "HEAD").split()
    random.Random(SEED).shuffle(commits)
    for commit in commits:
        for file in _git(
            repository, "diff-tree", "-r", "--diff-filter=M", "--no-commit-id", "--name-only", commit
        ).split():
            language = language_of(file)
            before, after = (_git(repository, "show", f"{at}:{file}") for at in (f"{commit}~", commit))
            if not has_grammar(language) or not before or not after or len(before) > MOST_CHARS:
                continue
            for edit in _replayed(f"{commit[:8]} {file}", language, before, after):
                yield edit
                count -= 1
                if not count:
                    return


def _replayed(name: str, language: str, before: str, after: str) -> Iterator[PastEdit]:
    old, new = split_lines(before), split_lines(after)
    codes = [code for code in SequenceMatcher(None, old, new, autojunk=False).get_opcodes() if code[0] != "equal"]
    if len(codes) not in EDITS:
        return
    documents = Documents()
    documents.open(name, language, 1, before)
    document = documents.get(name)
    assert document
    shift = 0
    for _, first, behind, start, end in codes[:-1]:
        text, row = "".join(new[start:end]), first + shift
        document.replace(Position(row, 0), Position(behind + shift, 0), text)
        shift += (end - start) - (behind - first)
        if len(text) <= MOST_EDIT_CHARS:
            yield PastEdit(name, documents, document, row, after)


def _git(repository: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", repository, *arguments], capture_output=True, check=False)
    return done.stdout.decode("utf-8", "replace")
