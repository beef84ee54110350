"""What a text says again of the rest of the cursor's line, and then goes on with otherwise; torch-free.

What it says again up to its own end is known by that end (`filters.punctuation`); here only its begin is the same.
"""

from __future__ import annotations

import re

from coder_model.text.brackets import scan
from coder_model.text.surroundings import FilterContext

_BEGINNING = re.compile(r"[ \t]+(?:[^\W\d]\w{3,}(?=[ \t]+[\w\"'`({*])|\w+[ \t]+\w+\b)")
"""A word behind a blank: a longer one, as `and` goes on with many things, or two."""
_PIECE = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|(?P<opens>[(\[{])|(?P<closes>[)\]}])|(?P<comma>,)")
_NAMED = re.compile(r"\s*([^\W\d]\w*)\s*(?:=(?![=>])|:(?![:=]))")


def without_rest(text: str, around: FilterContext) -> str:
    """Returns a text up to where it begins to say what stands behind the cursor, if that is no part of a bracket."""
    beginning = _BEGINNING.match(around.rest_of_line)
    frames = around.open.frames
    if not beginning or "\n" in text or (frames and frames[-1].comment):
        return text
    words = r"[ \t]+".join(map(re.escape, beginning.group().split()))
    starts = r"(?:^|[ \t]+)" if around.line_before.endswith((" ", "\t")) else r"[ \t]+"
    for found in re.finditer(rf"{starts}{words}\b", text):
        head = text[: found.start()]
        if not _opens(head, around):
            return head if head.strip() else ""
    return text


def without_named_again(text: str, around: FilterContext) -> str:
    """Returns a text without the arguments from the first one on that the rest of the same call names too."""
    frames = around.open.frames
    if "\n" in text or not frames or frames[-1].closer != ")":
        return text
    rest = around.rest_of_line
    known = {name[1] for start in _arguments(rest) if (name := _NAMED.match(rest, start))}
    for start in _arguments(text) if known else ():
        name = _NAMED.match(text, start)
        if name and name[1] in known and (start or around.prefix.rstrip().endswith(("(", ","))):
            head = text[:start].rstrip(" \t")
            return head.removesuffix(",").rstrip(" \t") if rest.lstrip().startswith(",") else head
    return text


def _opens(head: str, around: FilterContext) -> bool:
    """True when a bracket or a quote is open at the end of the begin of a text that it has opened."""
    before = around.prefix[-3:]
    found = scan(before + head, around.language, around.open.frames, len(before))
    return len(found.frames) > found.kept


def _arguments(text: str) -> list[int]:
    """Where arguments begin, up to the end of their call: the start of a text, and behind each comma of its level."""
    starts, depth = [0], 0
    for piece in _PIECE.finditer(text):
        depth += bool(piece["opens"]) - bool(piece["closes"])
        if depth < 0:
            break
        if piece["comma"] and not depth:
            starts.append(piece.end())
    return starts
