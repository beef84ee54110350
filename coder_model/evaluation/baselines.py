"""What a completion is worth that needs no model."""

from __future__ import annotations

LONGEST, SHORTEST = 48, 3
"""Characters of the prefix's end that are looked for elsewhere."""


def copy(prefix: str, suffix: str) -> str:
    """Returns how the line went on where the end of the prefix stood before; empty when it did not.

    The longest match wins; among equals the nearest before the cursor, then the first after it.
    """
    rest = suffix.split("\n", 1)[0].strip()
    for length in range(min(LONGEST, len(prefix)), SHORTEST - 1, -1):
        key = prefix[-length:]
        if not key.strip():
            continue
        text, at = prefix, prefix.rfind(key, 0, len(prefix) - 1)
        if at < 0:
            text, at = suffix, suffix.find(key)
        if at < 0:
            continue
        line = text[at + length :].split("\n", 1)[0]
        if rest and rest in line:
            line = line[: line.rindex(rest)]
        if line.strip():
            return line.rstrip()
    return ""
