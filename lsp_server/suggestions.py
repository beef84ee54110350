"""Ghost texts: what a completion request is answered with."""

from __future__ import annotations

from dataclasses import dataclass, replace

from coder_model.types import Draft
from lsp_server.documents import Document, Position
from lsp_server.place import Selected


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Ghost text for a cursor."""

    text: str
    row: int
    column: int
    """Code point of the cursor in its line."""
    made: int
    """Number of the suggestion that this is, or is the rest of."""
    draft: Draft | None = None
    """What the model said; None when it was not asked."""
    replaces: tuple[Position, Position] | None = None
    """The range that `text` stands for; None for an empty one at the cursor."""

    def shown(self, line_end: str, selected: Selected | None) -> Suggestion:
        """Returns it with the line ends of the document, and for the client of a menu behind what the menu inserts."""
        text = self.text.replace("\n", line_end)
        if selected is None:
            return replace(self, text=text)
        return replace(self, text=selected.text + text, replaces=(selected.start, selected.end))


@dataclass(frozen=True, slots=True)
class Answer:
    """Ghost texts, the best first, for one state of a document."""

    suggestions: list[Suggestion]
    document: Document | None = None
    revision: int = 0
