"""Loops `for (;;)` that a text leaves without a step, by syntax trees. Torch-free."""

from __future__ import annotations

import re

from coder_model.text.syntax_nodes import Parsed, ancestors, is_identifier, walk

_HEADS = {"for_statement", "for_clause"}
_STEPS = ("update", "increment")
_MAY_BE_ONE = re.compile(r"\bfor\b")


def leaves_idle_loop(before: str, middle: str, after: str, language: str) -> bool:
    """Returns whether a text makes a bare name the third part of a loop's head: it does nothing, and may never end.

    That is no error of syntax. False for a language without a grammar.

    Args:
        before: text before it.
        middle: the text.
        after: text behind it.
        language: LSP language id.
    """
    if not middle.strip() or not _MAY_BE_ONE.search(before[before.rfind("\n") + 1 :] + middle):
        return False
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
