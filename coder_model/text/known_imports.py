"""Imports that a document has already; torch-free, by looks."""

from __future__ import annotations

import re

from coder_model.text.lexis import lexis_of
from coder_model.text.normalize import first_lines
from coder_model.text.surroundings import FilterContext

_IMPORT = re.compile(r"(?m)^(?:import|from|use|using|require|require_relative|#include)\b[^\n]*[\w\"'>;)*][ \t]*$")
"""At the margin: in another place the same name may be needed again."""


def without_known_imports(text: str, around: FilterContext) -> str:
    """Returns a text up to the first line that imports what another line of the document does, word for word."""
    is_code = not lexis_of(around.language).loose
    if not is_code or around.rest_of_line.strip() or not _IMPORT.search(around.line_before + text):
        return text
    above = around.prefix[: len(around.prefix) - len(around.line_before)]
    known = {line.rstrip() for line in _IMPORT.findall(above) + _IMPORT.findall(around.suffix)}
    for number, line in enumerate((around.line_before + text).split("\n")):
        if _IMPORT.match(line):
            if line.rstrip() in known:
                return first_lines(text, number)
            known.add(line.rstrip())
    return text
