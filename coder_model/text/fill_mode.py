"""Where a hole is and how much it may hold: one line, or a block where the block is still empty.

Torch-free; the language server calls it on the text around the cursor.
"""

from __future__ import annotations

import re

from tree_sitter import Node

from coder_model.text.normalize import columns
from coder_model.text.stop_rules import stands_before_block
from coder_model.text.syntax import comment_starts, parse
from coder_model.types import HoleMode, Reach

WINDOW_BEFORE, WINDOW_AFTER = 16_000, 4_000
"""Code points that are parsed on either side of the cursor."""

_NAME = "unmask_hole"
_STATEMENT = {"lua": f"{_NAME}()"}
"""The placeholder as a statement, where a name alone is none."""
_BLOCKS = {
    "python": {"block"},
    "javascript": {"statement_block", "class_body"},
    "javascriptreact": {"statement_block", "class_body"},
    "typescript": {"statement_block", "class_body", "interface_body"},
    "typescriptreact": {"statement_block", "class_body", "interface_body"},
    "go": {"block", "statement_list"},
    "rust": {"block", "declaration_list"},
    "lua": {"block"},
}
_WORD = re.compile(r"\w")
_END = re.compile(r"\s*end\b")
_OPENS = re.compile(r"\b(?:then|do|else)\s*$")
_CLOSES = re.compile(r"\s*(?:fi|done|elif|else)\b")
"""Of blocks in shells."""
_LAST = re.compile(r"\s*(return|raise|throw|break|continue|pass|import|from|case|default)\b|\s*(#|//|/\*|\*|--)")
"""Begins of what mostly ends a body with its own line, or is no statement of one."""


def hole_at(prefix: str, suffix: str, language: str, reach: Reach = "auto") -> HoleMode | None:
    """Returns how much to fill at the cursor, or None where nothing should be offered.

    None inside a word. `block` where the cursor stands in a block that holds nothing yet but comments, a docstring and
    the begin of its first statement, or on a blank line between a bracket and the one that closes it; `line`
    everywhere else. In a language without a syntax tree here the lines around the cursor's tell a block.

    Args:
        prefix: text before the cursor; the last `WINDOW_BEFORE` code points count.
        suffix: text after the cursor; the first `WINDOW_AFTER` code points count.
        language: LSP language id.
        reach: `single` allows no block; `multi` allows one wherever only closing brackets follow on the line.
    """
    if _WORD.match(suffix):
        return None
    if reach == "single":
        return "line"
    before = prefix[-WINDOW_BEFORE:]
    if _between_brackets(before, suffix[:WINDOW_AFTER]):
        return "block"
    if suffix.split("\n", 1)[0].strip(" \t\r})"):
        return "line"
    if reach == "multi":
        return "block"
    line = before.rsplit("\n", 1)[-1]
    if language not in _BLOCKS:
        return "block" if not _LAST.match(line) and _is_alone(before, suffix[:WINDOW_AFTER], language) else "line"
    statement = _STATEMENT.get(language, _NAME)
    if not line.strip():
        return "block" if _fills_empty_block(before, statement, suffix, language) else "line"
    if stands_before_block(line):
        indent = line[: len(line) - len(line.lstrip())]
        body = f"\n{indent}{_indent_unit(before)}{statement}\n{indent}"
        return "block" if _fills_empty_block(before, body, suffix, language) else "line"
    if not _LAST.match(line) and _WORD.search(line):
        # whoever has begun the first statement of a body wants the rest of the body as well
        blank = before[: len(before) - len(line.lstrip())]
        return "block" if _fills_empty_block(blank, statement, suffix, language) else "line"
    return "line"


def _between_brackets(before: str, after: str) -> bool:
    """True on a blank line whose neighbours end with a bracket and begin with its partner."""
    *_, line = before.split("\n")
    opening, closing = before.rstrip()[-1:], after.lstrip()[:1]
    blank = not line.strip() and not after.split("\n", 1)[0].strip()
    return blank and bool(opening) and (opening + closing) in ("()", "[]", "{}")


def _is_alone(before: str, after: str, language: str) -> bool:
    """True where the cursor's line is all that stands between the lines that open and close a block, by their looks."""
    *head, line = before.split("\n")
    comments = comment_starts(language)
    opener = next((text for text in reversed(head) if text.strip() and not text.lstrip().startswith(comments)), "")
    closer = next((text for text in after.split("\n")[1:] if text.strip()), "")
    inside = columns(closer) <= columns(opener) < columns(line)
    braces = closer.lstrip().startswith("}") and opener.rstrip().endswith("{")
    words = _END.match(closer) or (_OPENS.search(opener) and _CLOSES.match(closer))
    return inside and (braces or bool(words))


def _fills_empty_block(before: str, body: str, suffix: str, language: str) -> bool:
    """True when `body`, put at the cursor, becomes all that a block holds."""
    tree = parse(before + body + suffix[:WINDOW_AFTER], language)
    if tree is None:
        return False
    at = len((before + body[: body.index(_NAME)]).encode("utf-8", "replace"))
    node = tree.root_node.descendant_for_byte_range(at, at + len(_NAME))
    while node and node.parent and node.type not in _BLOCKS[language]:
        node = node.parent
    return node is not None and node.type in _BLOCKS[language] and _holds_only_one_thing(node)


def _holds_only_one_thing(block: Node) -> bool:
    """True when a block has one statement besides comments and strings, whose text is the placeholder."""
    statements = [
        child
        for child in block.named_children
        if "comment" not in child.type and not (child.text or b"").lstrip(b"rbuRBU").startswith((b'"', b"'", b"`"))
    ]
    while len(statements) == 1 and statements[0].type in {"statement_list", "block"}:
        statements = list(statements[0].named_children)
    return len(statements) == 1 and (statements[0].text or b"").strip(b"; ()") == _NAME.encode()


def _indent_unit(text: str) -> str:
    """The first indentation that occurs in text; four spaces without any."""
    found = re.search(r"^([ ]{2,8}|\t)(?=\S)", text, re.MULTILINE)
    return found.group(1) if found else "    "
