"""Pieces of other files beside a prompt: the one place that makes them, so that none has a secret in it.

Whether a file may be shown at all says `privacy.py` where there are files, and its name alone where a client sends it.
"""

from __future__ import annotations

from coder_model.text.redaction import redacted_parts
from coder_model.types import Snippet


def piece_of(path: str, text: str, language: str = "", before: str = "", after: str = "") -> Snippet:
    """Returns a piece of another file as a model, its caches and any other engine get it: without keys and passwords.

    Args:
        path: or URI of the file, whose ending counts where the language is unknown.
        text: of it, with line feeds as its only line ends.
        language: language id of the protocol; empty when unknown.
        before: what stands before the text in its file, to find the secrets that it has a part of.
        after: the same behind it.
    """
    start, end = len(before), len(before) + len(text)
    return Snippet(path, redacted_parts(before + text + after, (start, end), language, path)[0])
