"""Commas where a language has none: before what closes a list, or missing between its lines. Torch-free, by looks."""

from __future__ import annotations

import re

from coder_model.text.surroundings import FilterContext

_ARGUMENTS = re.compile(r"\)")
_NONE_BEFORE = {
    "json": re.compile(r"[\]}]"),
    "sql": re.compile(r"\)|(?i:from|where|group by|order by|having|union|limit)\b"),
    **dict.fromkeys(("java", "c", "cpp", "csharp", "objective-c", "objective-cpp"), _ARGUMENTS),
}
"""What no comma may stand before."""
_GOES_ON = (",", "{", "[", ":")
_CLOSES = ("}", "]", ",")


def without_last_comma(text: str, around: FilterContext) -> str:
    """Returns a text without a comma at its end that what follows cannot stand behind."""
    none_before = _NONE_BEFORE.get(around.language)
    said = text.rstrip()
    if not none_before or around.in_text or not said.endswith(",") or not none_before.match(around.suffix.lstrip()):
        return text
    return said[:-1].rstrip()


def lacks_comma(text: str, around: FilterContext) -> bool:
    """Returns whether a text would be a line of JSON behind one that no comma ends."""
    if around.language != "json" or around.line_before.strip() or not around.lines_above:
        return False
    return not around.lines_above[-1].endswith(_GOES_ON) and not text.lstrip().startswith(_CLOSES)
