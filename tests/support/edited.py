"""Documents that were edited by hand, as the next edit is asked for in them."""

import re

from lsp_server.documents import Documents, Position
from lsp_server.next_edit import edited_text

_EDIT = re.compile(r"\{\{(.*?)\|\|(.*?)\}\}(?!\})", re.DOTALL)
URI = "file:///work/a.py"


def edited_by_hand(text, language="python"):
    """Documents in which the edits of a text, `{{old||new}}`, were done in order, and its document."""
    documents = Documents()
    documents.encoding = "utf-32"
    documents.open(URI, language, 1, _EDIT.sub(lambda place: place[1], text))
    document = documents.get(URI)
    for edit in _EDIT.finditer(text):
        before = _EDIT.sub(lambda place: place[2], text[: edit.start()])
        start = position(before)
        document.replace(start, position(before + edit[1]), edit[2])
    return documents, document


def position(text):
    """The end of a text."""
    return Position(text.count("\n"), len(text) - (text.rfind("\n") + 1))


def as_edited(text, language="python", cursor_row=None):
    """The text with its edits, as the rules and the model are shown it."""
    documents, document = edited_by_hand(text, language)
    newest = documents.edits.latest()[0].row if documents.edits.latest() else 0
    return edited_text(document, documents.edits, newest if cursor_row is None else cursor_row, lambda _: True)
