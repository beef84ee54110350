"""Keys and passwords in source text: what no prompt, cache or corpus may hold.

Four rules: keys of known formats, lines that are random base64 from one end to the other, as a key without its first or
last line has them, literals that look random, and what is given to a name such as `password` in the forms of
`assigned_secrets.py`. Ours and not detect-secrets (1.5), see `docs/log.md`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from string import ascii_lowercase, ascii_uppercase, digits

from coder_model.text.assigned_secrets import LONGEST, assigned, syntax_of

Span = tuple[int, int]
"""Two code points of a text, the second one behind the end."""
REDACTED = "REDACTED"
LONGEST_KEY = 8_000
"""Characters: what is cut further away than that from a place is not needed to find the keys there."""
# a token ends where the next one begins: each read to the end of the text, a row of beginnings takes minutes
_KEYS = re.compile(
    r"""\bAKIA[0-9A-Z]{16}\b                                   # AWS
    | \bgh[pousr]_[A-Za-z0-9]{36,}\b | \bgithub_pat_\w{22,}\b  # GitHub
    | \bglpat-[\w-]{20,}                                       # GitLab
    | \bxox[abprs]-[\w-]{10,}                                  # Slack
    | \bsk-[A-Za-z0-9_-]{20,}                                  # OpenAI, Stripe
    | \bsk_live_\w{16,} | \bAIza[\w-]{35}\b                    # Stripe, Google
    | \beyJ(?:(?!-eyJ)[\w-]){10,}(?:\.[\w-]{10,}){2}           # JSON web tokens
    # lines of what the key is encrypted with may stand before it, and quotes or marks of a comment on each line
    | (?:(?<=PRIVATE\ KEY-----)|(?<=PRIVATE\ KEY\ BLOCK-----))
      (?:[\s\\n"'`#*>]{0,40}[A-Z][\w-]{1,40}:\ [^\n\\]{0,200}){0,16}+
      [\sA-Za-z0-9+/=\\"'`#*>,]{64,}(?=-----END|\Z)""",
    re.VERBOSE,
)
# fmt: off
_KEY_MARKS = (
    "AKIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "sk-", "sk_live_", "AIza", "eyJ",
    "-----BEGIN",
)
# fmt: on
"""One of these is in every key: looking for them first is twice as fast."""
_BEFORE_ROW = r"""[ \t"'`#*>-]{0,40}+(?:(?:\+|//)[ \t"'`#*>-]{0,40}+)?"""
_AFTER_ROW = r"""={0,2}(?:\\[nr])*+["'`]?[ \t]*+(?:[+,;)\\][ \t]*+)?\r?$"""
_ROW = rf"{_BEFORE_ROW}[A-Za-z0-9+/]{{40,}}{_AFTER_ROW}"
_LAST_ROW = rf"{_BEFORE_ROW}(?:[A-Za-z0-9+/]{{16,}}|[A-Za-z0-9+/]+(?==|\r?\n-----END)){_AFTER_ROW}"
_ROWS = re.compile(rf"^{_ROW}(?:\n{_ROW})*+(?:\n{_LAST_ROW})?", re.MULTILINE)
"""Lines of base64, of a text in quotes, a comment or a diff too, with a shorter one at the end."""
_DIGITS = re.compile("[A-Za-z0-9+/]{40,}")
LEAST_ROWS, SHORTEST_ROW = 3, 60
"""So many lines of base64 are known, and fewer where they have so many characters: keys have 64 to 76, paths fewer."""
_LITERAL = re.compile(r"""(["'`])([A-Za-z0-9+/=_.~-]{20,200})\1""")
SHORTEST_RANDOM = 20
"""Characters."""
ENTROPY_BITS = 4.0
"""Per character: words and paths have 3 to 3.8, random base64 of 20 characters or more has over 4."""
LEAST_CHANGES = 0.33
"""Of the kind of character, small, capital, digit or sign, per character: names of several words have 0.2 to 0.3,
random base64 has over 0.6."""
MOST_SIGNS = 0.17
"""Share of the characters."""
_KIND = str.maketrans(f"{ascii_lowercase}{ascii_uppercase}{digits}+/=_~", f"{'a' * 26}{'A' * 26}{'0' * 10}{'-' * 5}")
_HEX = re.compile("[0-9a-fA-F]+")
HEX_BITS = 3.0
"""Per character of a literal of hexadecimal digits, of at least 32."""


def redacted(text: str, language: str = "", path: str = "") -> str:
    """Returns text without keys, without literals that look random, and without what is given to a password.

    Args:
        text: source text, or a piece of it.
        language: language id of the protocol; empty when unknown.
        path: of its file, whose ending counts where the language is unknown.
    """
    return redacted_parts(text, (0, len(text)), language, path)[0]


def redacted_parts(text: str, places: Sequence[int], language: str = "", path: str = "") -> list[str]:
    """Returns what stands between some places of a text without secrets, those that reach over such a place among them.

    A text must be cut by this and not before it: a part of a key is no key that can be found.

    Args:
        text: source text.
        places: code points, in order: a part begins at each but the last, and ends at the next one.
        language: language id of the protocol; empty when unknown.
        path: of its file, whose ending counts where the language is unknown.
    """
    spans = secret_spans(text, language, path)
    return [_replaced(text, spans, start, end) for start, end in pairwise(places)]


def secret_spans(text: str, language: str = "", path: str = "") -> list[Span]:
    """Returns where secrets stand, in order, none in another one; see `redacted`."""
    keys = (found.span() for found in _KEYS.finditer(text)) if any(mark in text for mark in _KEY_MARKS) else ()
    random = (found.span(2) for found in _LITERAL.finditer(text) if _looks_random(found.group(2)))
    merged: list[Span] = []
    for start, end in sorted(chain(keys, _random_rows(text), random, assigned(text, syntax_of(language, path)))):
        if merged and start < merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def _replaced(text: str, spans: list[Span], start: int, end: int) -> str:
    pieces, at = [], start
    for first, behind in spans:
        if first < end and behind > start:
            pieces += [text[at:first], REDACTED]
            at = behind
    return "".join([*pieces, text[at:end]])


def _random_rows(text: str) -> Iterator[Span]:
    """Lines that mostly look random; numbers of commits do not."""
    for found in _ROWS.finditer(text):
        rows = _DIGITS.findall(found.group())
        random = [row for row in rows if _looks_random(row[:LONGEST]) and not _HEX.fullmatch(row)]
        is_known = len(rows) >= LEAST_ROWS or len(rows[0]) >= SHORTEST_ROW
        if is_known and 2 * len(random) > len(rows):
            yield found.span()


def _looks_random(literal: str) -> bool:
    # dots are in no alphabet of keys, but between their parts and those of names
    literal = max(literal.split("."), key=len)
    n = len(literal)
    bits = -sum(count / n * math.log2(count / n) for count in Counter(literal).values())
    if _HEX.fullmatch(literal):
        return n >= 32 and bits >= HEX_BITS and not literal.isdigit()
    kinds = literal.translate(_KIND)
    return (
        n >= SHORTEST_RANDOM
        and bits >= ENTROPY_BITS
        and {"a", "A", "0"} <= set(kinds)
        and kinds.count("-") <= MOST_SIGNS * n
        and sum(a != b for a, b in pairwise(kinds)) >= LEAST_CHANGES * n
    )
