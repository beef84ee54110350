"""Snippets: what the lines before the cursor use of other files, and pieces of other documents that are like them.

Likeness is Jaccard's over words, as in llama.vim's ring of chunks. A choice is kept while the cursor stays near: the
model has read it already, and another one would cost it the prefix too.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from coder_model.text.file_names import name_of
from coder_model.text.pieces import piece_of
from coder_model.text.privacy import Privacy
from coder_model.types import Snippet
from lsp_server.documents import Document, Documents, shown_path, without_surrogates
from lsp_server.imports import Imports

PIECE_LINES, NEAR_LINES = 16, 10
"""Lines of a piece, and lines before the cursor that it is held against."""
MOST_CHARS, BEHIND_CHARS = 4_000, 400
"""Code points of a piece, and of the lines before the cursor, whatever is on a line; and those that are known behind a
piece that is cut, to find the secrets that it has a part of."""
SNIPPETS = 3
DOCUMENTS, PIECES = 8, 200
"""Documents that pieces come from, the latest ones, and pieces of each."""
LEAST_LIKENESS = 0.1
STAY_LINES = 8
"""How far the cursor may go before another choice is made."""
TYPED_LINES = 40
"""The same while lines are only added before the cursor, by somebody who does not rest: another choice would have the
model read all of the text again at a key, where what it has read is still of use."""
BUDGET_S = 0.008
"""Seconds for reading documents at one request; what is not read then is read at the next."""
SAME_LINES = 0.6
"""Share of the lines of a piece, or of a file, that may stand in the document itself: with more it is a copy of it (the
committed text in a diff view, the file under its old name), which would only say what is there already."""
SAME_LINES_SAME_NAME = 0.3
"""The same for a file of the same name."""
_WORD = re.compile(r"[A-Za-z_]\w{3,}")


@dataclass(frozen=True, slots=True)
class _Piece:
    uri: str
    language: str
    start: int
    text: str
    words: frozenset[str]
    lines: frozenset[str]
    """Those that say something."""


@dataclass(frozen=True, slots=True)
class _Choice:
    row: int
    lines_behind: int
    """Between that row and the end of the document."""
    snippets: tuple[Snippet, ...]


class Context:
    """Keeps the pieces of the latest documents and the choice for each document."""

    def __init__(self, documents: Documents, privacy: Privacy) -> None:
        self.privacy = privacy
        self._documents = documents
        self._imports = Imports(documents, privacy)
        self._pieces: OrderedDict[str, tuple[int, list[_Piece]]] = OrderedDict()
        self._choices: dict[str, _Choice] = {}

    def snippets(self, document: Document, row: int, *, rests: bool = False) -> tuple[Snippet, ...]:
        """Returns the pieces that stand beside a document.

        Args:
            document: that somebody works in.
            row: of the cursor.
            rests: nobody waits for what is made of them.
        """
        chosen, behind = self._choices.get(document.uri), len(document.lines) - row
        only_typed = chosen is not None and behind == chosen.lines_behind and not rests
        stay = TYPED_LINES if only_typed else STAY_LINES
        if chosen is None or not chosen.snippets or abs(row - chosen.row) > stay:
            chosen = self._choices[document.uri] = _Choice(row, behind, self._choose(document, row))
        return chosen.snippets

    def closing(self, document: Document) -> None:
        """Keeps the pieces of a document that is about to close: the user has just looked at it."""
        self._read(document)
        self._choices.pop(document.uri, None)

    def _choose(self, document: Document, row: int) -> tuple[Snippet, ...]:
        began = time.perf_counter()
        for other in self._documents.latest(DOCUMENTS + 1):
            if other is not document and time.perf_counter() - began < BUDGET_S:
                self._read(other)
        text = "".join(line[:MOST_CHARS] for line in document.lines[max(0, row - NEAR_LINES) : row + 1])[-MOST_CHARS:]
        near = frozenset(_WORD.findall(text))
        own = frozenset[str]().union(*map(_lines, _texts(document)))
        found = [
            (likeness, piece)
            for uri, (_, pieces) in self._pieces.items()
            if uri != document.uri and self.privacy.may("show", uri) and not _is_copy(uri, pieces, document.uri, own)
            for piece in pieces
            if len(piece.lines & own) <= SAME_LINES * len(piece.lines)
            if (likeness := len(near & piece.words) / (len(near | piece.words) or 1)) >= LEAST_LIKENESS
        ]
        best = sorted(found, key=lambda pair: pair[0], reverse=True)[:SNIPPETS]
        # in a fixed order: the same pieces are then the same tokens
        pieces = sorted((piece for _, piece in best), key=lambda piece: (piece.uri, piece.start))
        alike = [self._shown(piece) for piece in pieces]
        return (*self._imports.snippets(document, text), *alike)

    def _shown(self, piece: _Piece) -> Snippet:
        """A piece without the secrets in it, those that begin in the one before it or end in the next one too."""
        texts = ["", *(one.text for one in self._pieces[piece.uri][1]), ""]
        at = piece.start // PIECE_LINES
        before, text, after = texts[at : at + 3]
        # what was cut does not end where this begins
        before = before if len(before) < MOST_CHARS + BEHIND_CHARS else ""
        shown, behind = text[:MOST_CHARS], text[MOST_CHARS:]
        return piece_of(shown_path(piece.uri), shown, piece.language, before, behind + after)

    def _read(self, document: Document) -> None:
        """Brings the pieces of a document up to date."""
        revision, _ = self._pieces.get(document.uri, (None, []))
        if revision != document.revision:
            pieces = [_piece(document, number, text) for number, text in enumerate(_texts(document))]
            self._pieces[document.uri] = document.revision, pieces
        self._pieces.move_to_end(document.uri)
        while len(self._pieces) > DOCUMENTS:
            self._pieces.popitem(last=False)


def _texts(document: Document) -> Iterator[str]:
    """The texts of its pieces, and a little more of those that are cut."""
    most = MOST_CHARS + BEHIND_CHARS
    for start in range(0, min(len(document.lines), PIECES * PIECE_LINES), PIECE_LINES):
        # cut before they are joined: a line may be all of a large file
        lines = (line[:most] for line in document.lines[start : start + PIECE_LINES])
        yield without_surrogates("".join(lines)[:most])


def _piece(document: Document, number: int, text: str) -> _Piece:
    words = frozenset(_WORD.findall(text))
    return _Piece(document.uri, document.language, number * PIECE_LINES, text, words, _lines(text))


def _lines(text: str) -> frozenset[str]:
    """The lines of a text that have a word, without blanks around them."""
    return frozenset(line.strip() for line in text.split("\n") if _WORD.search(line))


def _is_copy(uri: str, pieces: list[_Piece], of: str, own: frozenset[str]) -> bool:
    """True when a document is another state of the one that the cursor is in."""
    lines = frozenset[str]().union(*(piece.lines for piece in pieces))
    name, own_name = PurePosixPath(name_of(uri)), PurePosixPath(name_of(of))
    # cells of a notebook have one name, and differ in what stands behind it
    are_cells = uri.partition("#")[0] == of.partition("#")[0]
    if name == own_name and name.is_absolute() and not are_cells:
        return True
    share = len(lines & own) / (min(len(lines), len(own)) or 1)
    named_alike = name.name == own_name.name and not are_cells
    return share > (SAME_LINES_SAME_NAME if named_alike else SAME_LINES)
