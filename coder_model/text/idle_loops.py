"""Loops `for (;;)` that a text leaves without a step, by syntax trees or else by their looks. Torch-free."""

from __future__ import annotations

import re

from coder_model.text.syntax import has_grammar
from coder_model.text.syntax_nodes import Parsed, ancestors, is_identifier, walk

_HEADS = {"for_statement", "for_clause"}
_STEPS = ("update", "increment")
_MAY_BE_ONE = re.compile(r"\bfor\b")
_IDLE = re.compile(r"\bfor\s*\((?:[^;\n]*;){2}\s*(\$?[^\W\d]\w*)\s*\)")


def leaves_idle_loop(before: str, middle: str, after: str, language: str) -> bool:
    """Returns whether a text makes a bare name the third part of a loop's head: it does nothing, and may never end.

    That is no error of syntax.

    Args:
        before: text before it.
        middle: the text.
        after: text behind it.
        language: LSP language id.
    """
    line = before[before.rfind("\n") + 1 :]
    if not middle.strip() or not _MAY_BE_ONE.search(line + middle):
        return False
    if not has_grammar(language):
        heads = _IDLE.finditer(line + middle + after.partition("\n")[0])
        return any(head.start(1) < len(line + middle) and head.end(1) > len(line) for head in heads)
    parsed = Parsed.of(before + middle + after, language)
    node = parsed and parsed.node_at(len(before), len(before) + len(middle))
    if not parsed or not node:
        return False
    for head in (*ancestors(node), *walk(node)):
        step = next((found for name in _STEPS if (found := head.child_by_field_name(name))), None)
        if head.type in _HEADS and step:
            # in Go it is a statement
            said = step.named_child(0) if step.type == "expression_statement" else step
            start, end = parsed.span(step)
            if said and is_identifier(said) and start < len(before) + len(middle) and end > len(before):
                return True
    return False
