"""VS Code's settings: JSON with comments and trailing commas, to which a property is added, the rest untouched."""

from __future__ import annotations

import json
import re
from typing import Any

from coder_model.types import InvalidInput

INDENT = "    "
_STRING = r'"(?:\\.|[^"\\\n])*"'
_COMMENT = re.compile(rf"({_STRING})|//[^\n]*|/\*.*?\*/", re.DOTALL)
_LAST_COMMA = re.compile(rf"({_STRING})|,(?=\s*[}}\]])")


def read_object(text: str) -> tuple[dict[str, Any], str]:
    """Returns the object that a text holds, empty for a text of blanks and comments, and the text with those blanked.

    The second has the length of the text, so that offsets count in both.

    Raises:
        InvalidInput: when it holds something else; says what and where.
    """
    plain = _LAST_COMMA.sub(_blank, _COMMENT.sub(_blank, " " + text[1:] if text.startswith("\ufeff") else text))
    if not plain.strip():
        return {}, plain
    try:
        found = json.loads(plain)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"must be JSON with comments: {error}") from error
    if not isinstance(found, dict):
        raise InvalidInput(f"must be an object, found {type(found).__name__}")
    return found, plain


def insertion(text: str, key: str, value: object) -> tuple[int, str]:
    """Returns where in a text which text has to go in, so that the object has one more property.

    Args:
        text: holds an object, or nothing; comments and line ends stay as they are.
        key: of the property.
        value: of the property.

    Returns:
        An offset in code points, and a text; an empty one where the object has that very property.

    Raises:
        InvalidInput: when the text holds something else, or the property with another value.
    """
    found, plain = read_object(text)
    if key in found:
        if found[key] == value:
            return 0, ""
        raise InvalidInput(f'sets "{key}" to something else already: {json.dumps(found[key])}')
    end = "\r\n" if "\r\n" in text else "\n"
    line = f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}"
    if not plain.strip():
        before = end if text.strip("\ufeff") and not text.endswith("\n") else ""
        return len(text), f"{before}{{{end}{INDENT}{line}{end}}}{end}"
    behind = plain.index("{") + 1
    indent = re.match(r"\s*?\n([ \t]*)(?=\S)", plain[behind:])
    # a brace that is closed in its own line has its end moved to the next
    tail = "," if found else end if "\n" not in plain[behind : plain.rindex("}")] else ""
    added = f"{end}{(indent and indent.group(1)) or INDENT}{line}{tail}"
    changed, _ = read_object(text[:behind] + added + text[behind:])
    assert changed == {key: value, **found}
    return behind, added


def _blank(match: re.Match[str]) -> str:
    """The match where it is a string, else blanks and line ends."""
    return match.group(1) or re.sub(r"[^\n\r]", " ", match.group())
