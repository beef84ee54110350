"""Texts with an edit in them, `{{old||new}}`, and with the changes that follow from it, `«old|new»`."""

import re

_EDIT = re.compile(r"\{\{(.*?)\|\|(.*?)\}\}(?!\})", re.DOTALL)
_CHANGE = re.compile("«(.*?)\\|(.*?)»", re.DOTALL)


def unmarked(text):
    """The text before and after the edit, where that begins and ends in the latter, and the text with all changes."""
    plain = _CHANGE.sub(lambda place: place[1], text)
    edit = _EDIT.search(plain)
    before = plain[: edit.start()] + edit[1] + plain[edit.end() :]
    after = plain[: edit.start()] + edit[2] + plain[edit.end() :]
    whole = _EDIT.sub(lambda place: place[2], _CHANGE.sub(lambda place: place[2], text))
    return before, after, (edit.start(), edit.start() + len(edit[2])), whole


def row_around(text, start, end):
    """The code points of the rows that a part of a text is in."""
    behind = text.find("\n", end)
    return text.rfind("\n", 0, start) + 1, behind if behind >= 0 else len(text)
