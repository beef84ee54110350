"""How a middle is indented: as the document is, and as deep as the lines around it ask for."""

from __future__ import annotations

import re

from coder_model.text.brackets import scan
from coder_model.text.normalize import columns
from coder_model.text.surroundings import YAML, FilterContext

_BY_INDENTATION = {"python", "yaml", "coffeescript", "haskell", "nim", "fsharp", "pug", "sass"}
_YAML_CHARS = _LINES_CHARS = 16_000
_YAML_KEY = re.compile(r"[^\s#{\[&*!|>%@`-][^:#]*:(?:\s|$)")
_LABEL = re.compile(r"\s*(?:(?:case|default)\b|#|.*:\s*$)")
_BLANK_LINES = re.compile(r"[ \t]*\n(?:[ \t]*\n)*")
_IDLE_BLANKS = re.compile(r"(?<=\S)[ \t]+(?=[,;)\]}])|(?<=[(\[{])[ \t]+|(?<=\S[ \t])[ \t]+")
_OPENS_BLOCK = re.compile(r"(?:[:({\[]|\b(?:do|then|else|begin)|=>|->)\s*(?:#.*|//.*)?$")


def indentation(text: str, around: FilterContext) -> str:
    """Indents as the document does: with tabs or with spaces, and no deeper than the lines around ask for.

    A brace that the cursor stands too deep for is dropped: nothing to its left can be taken away.
    """
    if not text.strip():
        return text
    if _closes_too_deep(text, around):
        return ""
    text = _begun(text, around)
    step = _step(text)
    if around.tabs is not None and "\n" in text:
        first, *others = text.split("\n")
        text = "\n".join([first, *(_indented(line, around, step) for line in others)])
    if around.line_before.strip():
        return text
    return _in_levels(_first_line(text, around, step), around)


def without_idle_blanks(text: str, around: FilterContext) -> str:
    """Returns a text without blank lines, and without blanks that change nothing: two that are equal then say the same.

    Those are at the ends of lines, inside of brackets at their edges, before commas, and all but the first of several.
    """
    text = _IDLE_BLANKS.sub("", _BLANK_LINES.sub("\n", text)).rstrip()
    if around.line_before.endswith(("(", "[", "{")):
        text = text.lstrip(" ")
    return text if around.line_before.strip() else text.lstrip("\n")


def _closes_too_deep(text: str, around: FilterContext) -> bool:
    """True for a brace on an indented line at the depth of what stands in its block."""
    typed = around.line_before
    if typed.strip() or not typed or not text.startswith("}") or around.in_text:
        return False
    for line in reversed(around.prefix.rpartition("\n")[0][-_LINES_CHARS:].split("\n")):
        if line.strip() and columns(line) <= columns(typed):
            opens = any(not frame.text for frame in scan(line, around.language).frames)
            # labels and the branches of a switch stand where they like
            if opens or not _LABEL.match(line):
                return columns(line) == columns(typed) and not opens
    return False


def _begun(text: str, around: FilterContext) -> str:
    """Takes away a first line that leaves nothing but blanks behind on the cursor's."""
    typed = around.line_before
    first, end, others = text.partition("\n")
    if not end or first.strip() or not typed + first:
        return text
    return "\n" + others if typed.strip() else _begun(others.removeprefix(typed), around)


def _step(text: str) -> int:
    """Columns that a text indents by, for a document of tabs."""
    widths = [len(blanks) for blanks in re.findall(r"(?m)^( +)(?=\S)", text)]
    return 4 if all(width % 4 == 0 for width in widths) else min(2, *widths)


def _first_line(text: str, around: FilterContext, step: int) -> str:
    """Indents a first line that begins its line in the document; blanks that stand there already stay."""
    words = text.lstrip(" \t")
    typed, blanks = around.line_before, text[: len(text) - len(words)]
    if blanks and around.tabs is not None:
        whole = _indented(typed + blanks + "x", around, step)[:-1]
        blanks = whole[len(typed) :] if whole.startswith(typed) else blanks.replace("\t", " " * around.unit)
    if not around.lines_above:
        return words if typed else blanks + words
    above = around.lines_above[-1]
    here = above[: len(above) - len(above.lstrip(" \t"))]
    opens = bool(_OPENS_BLOCK.search(above)) or (around.language == "yaml" and above.lstrip().startswith("- "))
    total = columns(typed + blanks)
    is_deep = around.language not in YAML and columns(typed) >= columns(here) + around.unit
    if typed and blanks and (is_deep or not (opens and total > columns(here))) and total != columns(here):
        # who has indented the line has said where it begins
        blanks, words = "", _outdented(words, typed, blanks)
    if not typed and blanks and around.language in _BY_INDENTATION:
        levels = {columns(line) for line in around.lines_above}
        if not opens and total > columns(here) and total not in levels:
            blanks = here
    return blanks + words


def _outdented(words: str, typed: str, blanks: str) -> str:
    """Moves the other lines of a text with its first one, which loses some blanks; unless one is further left."""
    first, *others = words.split("\n")
    if not all(line.startswith(typed + blanks) for line in others if line.strip()):
        return words
    return "\n".join([first, *(typed + line[len(typed + blanks) :] if line.strip() else line for line in others)])


def _indented(line: str, around: FilterContext, step: int) -> str:
    words = line.lstrip(" \t")
    blanks = line[: len(line) - len(words)]
    if around.tabs:
        return re.sub(f" {{{step}}}", "\t", blanks) + words
    return blanks.replace("\t", " " * around.unit) + words


def _in_levels(text: str, around: FilterContext) -> str:
    """Moves the lines of a YAML text to a level that is open: its first item or key fits no other column."""
    words = text.lstrip(" ")
    total = columns(around.line_before) + len(text) - len(words)
    kind = "item" if words.startswith("- ") else "key" if _YAML_KEY.match(words) else ""
    if around.line_before or around.language not in YAML or not kind:
        return text
    above = around.prefix.rpartition("\n")[0][-_YAML_CHARS:].split("\n")
    levels, last = _yaml_levels([line for line in above if line.strip()])
    wanted = {column for column, held in levels if held == kind}
    # below a key without a value something begins: deeper, or items where the key stands
    begins = last >= 0 and total >= last + (kind == "key")
    if begins or not wanted or total in wanted or total < min(wanted):
        return text
    column = min(wanted, key=lambda column: (abs(column - total), -column))
    if column > total:
        return " " * (column - total) + text.replace("\n", "\n" + " " * (column - total))
    return re.sub(rf"(?m)^ {{1,{total - column}}}", "", text)


def _yaml_levels(lines: list[str]) -> tuple[list[tuple[int, str]], int]:
    """Returns the columns of the items and keys that are open below some lines, and that of a key without a value."""
    levels: list[tuple[int, str]] = []
    last, block = -1, -1
    for line in lines:
        at = len(line) - len(line.lstrip())
        if line.lstrip().startswith("#") or (0 <= block < at):
            continue
        last = block = -1
        dash = line.lstrip().startswith("- ")
        levels = [(column, kind) for column, kind in levels if column < at + (dash or kind == "key")]
        while line[at:].startswith("- "):
            levels.append((at, "item"))
            at += len(line[at:]) - len(line[at + 1 :].lstrip())
        if _YAML_KEY.match(line[at:]):
            levels.append((at, "key"))
            value = line[at:].partition(" #")[0].rstrip()
            last = at if re.search(r"(?::|[|>][-+]?)$", value) else -1
            block = -1 if value.endswith(":") else last
    return levels, last
