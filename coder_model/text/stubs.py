"""Which nodes of a syntax tree are stubs: code that says that the code is yet to be written."""

from __future__ import annotations

from typing import Literal

from tree_sitter import Node

StubKind = Literal["ellipsis", "pass", "not_implemented", "todo_macro", "throw"]

_STATEMENTS = {"pass": "pass_statement", "not_implemented": "raise_statement", "throw": "throw_statement"}
_BODIES_OF = {
    "function_definition",
    "class_definition",
    "if_statement",
    "elif_clause",
    "else_clause",
    "for_statement",
    "while_statement",
    "with_statement",
}
"""Nodes of Python whose body may be a stub; behind `except` and `case` it says that something is passed over."""
_DECLARED = ("abstractmethod", "abstractproperty", "overload")
"""Decorators of what has no body."""
_CODE_IN_TEXT = {"interpolation", "template_substitution"}


def text_around(node: Node) -> str:
    """Returns `comment` or `string` when a node stands in one; empty when it is code."""
    at: Node | None = node
    while at and at.type not in _CODE_IN_TEXT:
        for kind in ("comment", "string"):
            if kind in at.type:
                return kind
        at = at.parent
    return ""


def stub_at(node: Node, start: int, kind: StubKind) -> tuple[int, int] | None:
    """Returns the range of the stub that begins at a byte, or None when the node there is a part of something else.

    Args:
        node: at that byte.
        start: the byte.
        kind: what the text there looks like.
    """
    at: Node | None = node
    wanted = {"ellipsis": "ellipsis", "todo_macro": "macro_invocation"}.get(kind) or _STATEMENTS[kind]
    while at and at.start_byte == start and at.type != wanted:
        at = at.parent
    if at is None or at.start_byte != start or at.parent is None:
        return None
    if kind == "throw":
        return at.start_byte, at.end_byte
    return _macro(at) if kind == "todo_macro" else _python(at, kind)


def _macro(node: Node) -> tuple[int, int] | None:
    """A `todo!()` that is a statement, or all of a value."""
    outer = node.parent
    assert outer
    if outer.type == "expression_statement":
        node = outer
    elif outer.type not in {"block", "match_arm", "let_declaration", "return_expression", "closure_expression"}:
        return None
    return node.start_byte, node.end_byte


def _python(node: Node, kind: StubKind) -> tuple[int, int] | None:
    statement, outer = node, node.parent
    assert outer
    if kind == "ellipsis" and outer.type in {"assignment", "return_statement"}:
        is_value = outer.type == "return_statement" or _is_plain_value(node, outer)
        return (node.start_byte, node.end_byte) if is_value and _function_of(outer) else None
    if kind == "ellipsis":
        if outer.type != "expression_statement" or len(outer.children) != 1:
            return None
        statement = outer
    elif kind == "not_implemented" and not _raises_plainly(node):
        return None
    block = statement.parent
    if block is None or block.type != "block" or not _is_all_of(statement, block):
        return None
    owner = block.parent
    if owner is None or not _may_be_stub(owner, kind):
        return None
    return statement.start_byte, statement.end_byte


def _is_plain_value(node: Node, assignment: Node) -> bool:
    return assignment.child_by_field_name("right") == node and assignment.child_by_field_name("type") is None


def _raises_plainly(node: Node) -> bool:
    """True for a raise of NotImplementedError, with a message or without, and without a cause."""
    said = node.named_children
    if len(said) != 1:
        return False
    raised = said[0].child_by_field_name("function") if said[0].type == "call" else said[0]
    return raised is not None and raised.text == b"NotImplementedError"


def _is_all_of(statement: Node, block: Node) -> bool:
    """True when a block holds nothing else but comments and a docstring."""
    others = [child for child in block.named_children if child != statement and "comment" not in child.type]
    return all(
        child.type == "expression_statement"
        and child.named_child_count == 1
        and child.named_children[0].type == "string"
        for child in others
    )


def _may_be_stub(owner: Node, kind: StubKind) -> bool:
    """Whether a stub is to be filled where it is the body of `owner`."""
    if owner.type not in _BODIES_OF or (kind == "not_implemented" and owner.type != "function_definition"):
        return False
    if owner.type == "class_definition":
        return owner.child_by_field_name("superclasses") is None
    if owner.type != "function_definition":
        return True
    above = owner.parent
    if above and above.type == "decorated_definition":
        decorators = [child.text or b"" for child in above.children if child.type == "decorator"]
        if any(name.encode() in text for name in _DECLARED for text in decorators):
            return False
        above = above.parent
    declares = above.parent if above and above.type == "block" else None
    bases = declares.child_by_field_name("superclasses") if declares else None
    return bases is None or b"Protocol" not in (bases.text or b"")


def _function_of(node: Node) -> Node | None:
    at: Node | None = node
    while at and at.type != "function_definition":
        at = at.parent
    return at
