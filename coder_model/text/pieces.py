"""Pieces of other files beside a prompt: the one place that makes them, so that none has a secret in it.

Whether a file may be shown at all says `privacy.py` where there are files, and its name alone where a client sends it.
"""

from __future__ import annotations

from coder_model.text.redaction import redacted
from coder_model.types import Snippet


def piece_of(path: str, text: str, language: str = "") -> Snippet:
    """Returns a piece of another file as a model, its caches and any other engine get it: without keys and passwords.

    Args:
        path: or URI of the file, whose ending counts where the language is unknown.
        text: of it, with line feeds as its only line ends.
        language: language id of the protocol; empty when unknown.
    """
    return Snippet(path, redacted(text, language, path))
