"""Which calls of a function lag behind its parameters, by syntax trees. Torch-free, pure.

Parameters are told apart by their names: one was added, one was taken away, or they changed places. Only calls with as
many arguments as there were parameters count, none of them named or unpacked, and only of a name that is declared once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tree_sitter import Node

from coder_model.text.syntax_nodes import Parsed, ancestors, field_of, is_identifier, walk
from coder_model.text.token_edits import Change

_CALLS = {
    "call",
    "call_expression",
    "new_expression",
    "function_call",
    "method_invocation",
    "object_creation_expression",
}
_CALLEE = {"function", "constructor", "name", "type"}
_ACCESS = {"attribute", "property", "field", "method", "name"}
_ACCESSES = {
    "attribute",
    "member_expression",
    "selector_expression",
    "field_expression",
    "scoped_identifier",
    "dot_index_expression",
    "method_index_expression",
    "qualified_identifier",
}
_NAMES = {"name", "declarator"}
_SELF = {"self", "cls", "&self", "this", "&mut self", "mut self"}
_OPTIONAL = ("default", "optional", "splat", "variadic", "rest", "assignment_pattern", "spread", "vararg")
_UNEQUAL = ("keyword", "splat", "spread", "variadic")
"""Arguments of which one cannot say which parameter they are."""
_CONSTRUCTORS = {"__init__", "constructor"}
_CLASSES = ("class_definition", "class_declaration", "class", "class_specifier")


@dataclass(frozen=True, slots=True)
class CallChange:
    """A call that a changed signature asks to change."""

    changes: tuple[Change, ...]
    """Of its text; the one of an argument that is to be written holds what stands before and behind that."""
    hole: tuple[str, str] | None = None
    """Where an argument is missing: what stands before and behind it in the only change's text."""
    reorders: bool = False
    """Whether arguments change places: the call looks no different once that is done."""


@dataclass(frozen=True, slots=True)
class _Signature:
    name: str
    parameters: tuple[str, ...]
    optional: tuple[bool, ...]
    node: Node
    """That of the parameters."""


def outdated_calls(before: Parsed, now: Parsed, edited: tuple[int, int]) -> list[CallChange]:
    """Returns the calls that lag behind a signature, with what they would become, in order.

    Args:
        before: the text before an edit.
        now: the text after it.
        edited: the code points that the edit reaches over, in `now`.
    """
    for new in _signatures(now, *edited):
        for old in _signatures(before, edited[0], edited[0]):
            if old.name == new.name and old.parameters != new.parameters:
                return [*_calls(now, old, new)] if not _is_declared_again(now, new) else []
    return []


def touches_parameters(parsed: Parsed, edited: tuple[int, int]) -> bool:
    """Returns whether some code points lie among the parameters of a function that has a name."""
    return next(_signatures(parsed, *edited), None) is not None


def _calls(now: Parsed, old: _Signature, new: _Signature) -> Iterator[CallChange]:
    most = len(old.parameters)
    for call in _calls_of(now, new.name):
        arguments = call.child_by_field_name("arguments")
        if arguments is None:
            continue
        given = [child for child in arguments.named_children if "comment" not in child.type]
        if len(given) == most and not any(word in child.type for child in given for word in _UNEQUAL):
            change = _call_change(now, old, new, arguments, given)
            if change:
                yield change


def _call_change(
    now: Parsed, old: _Signature, new: _Signature, arguments: Node, given: Sequence[Node]
) -> CallChange | None:
    spans = [now.span(one) for one in given]
    if len(new.parameters) == len(old.parameters) + 1:
        at = next((i for i, name in enumerate(new.parameters) if without(new.parameters, i) == old.parameters), None)
        if at is None or new.optional[at]:
            return None
        if at:
            return CallChange((Change(spans[at - 1][1], spans[at - 1][1], ", "),), (", ", ""))
        place = spans[0][0] if spans else now.span(arguments)[0] + 1
        return CallChange((Change(place, place, ", " if spans else ""),), ("", ", " if spans else ""))
    if len(new.parameters) == len(old.parameters) - 1:
        at = next((i for i, name in enumerate(old.parameters) if without(old.parameters, i) == new.parameters), None)
        if at is None:
            return None
        start = spans[at - 1][1] if at else spans[0][0]
        end = spans[at][1] if at or len(spans) == 1 else spans[1][0]
        return CallChange((Change(start, end, ""),))
    if sorted(old.parameters) == sorted(new.parameters):
        texts = dict(zip(old.parameters, map(now.said, given), strict=True))
        moved = [(span, texts[name]) for span, name in zip(spans, new.parameters, strict=True)]
        changes = tuple(Change(*span, text) for span, text in moved if now.text[slice(*span)] != text)
        return CallChange(changes, reorders=True) if changes else None
    return None


def without(items: tuple[str, ...], index: int) -> tuple[str, ...]:
    """Returns all items but one."""
    return items[:index] + items[index + 1 :]


def _signatures(parsed: Parsed, start: int, end: int) -> Iterator[_Signature]:
    """The functions around a place whose parameters it is in, the innermost first."""
    node = parsed.node_at(start, end)
    for function in [node, *ancestors(node)] if node else []:
        parameters = function.child_by_field_name("parameters")
        name = parameters and _name_of(parsed, function)
        if not parameters or not name:
            continue
        first, last = parsed.span(parameters)
        found = [one for child in parameters.named_children for one in _parameters(parsed, child)]
        names, optional = tuple(name for name, _ in found), tuple(is_optional for _, is_optional in found)
        if first <= start and end <= last and len(set(names)) == len(names):
            yield _Signature(name, names, optional, parameters)


def _is_declared_again(parsed: Parsed, signature: _Signature) -> bool:
    """True where another function has the name too."""
    for node in parsed.named(signature.name):
        parameters = node.parent and node.parent.child_by_field_name("parameters")
        if parameters and field_of(node) in _NAMES and parameters.start_byte != signature.node.start_byte:
            return True
    return False


def _name_of(parsed: Parsed, node: Node) -> str:
    """What a function is called by; of a constructor its class."""
    name = node.child_by_field_name("name") or node.child_by_field_name("declarator")
    if name is None and node.parent and node.parent.type == "variable_declarator":
        name = node.parent.child_by_field_name("name")
    if name is None:
        return ""
    said = parsed.said(name)
    if said in _CONSTRUCTORS:
        owner = next((one for one in ancestors(node) if one.type in _CLASSES), None)
        name = owner and owner.child_by_field_name("name")
        return parsed.said(name) if name else ""
    names = [one for one in walk(name) if is_identifier(one)]
    return parsed.said(names[-1]) if names else ""


def _parameters(parsed: Parsed, node: Node) -> Iterator[tuple[str, bool]]:
    """The names that a node of a parameter list declares, and whether a call may leave them out."""
    said = parsed.said(node)
    if "comment" in node.type or "separator" in node.type or node.type == "self_parameter" or said in _SELF:
        return
    optional = any(word in node.type for word in _OPTIONAL) or node.child_by_field_name("value") is not None
    named = [child for child in node.children if field_of(child) in ("name", "pattern", "declarator")]
    if not named:
        named = [node] if is_identifier(node) else [child for child in node.named_children if is_identifier(child)][:1]
    for one in named:
        names = [part for part in walk(one) if is_identifier(part)]
        optional = optional or any(word in one.type for word in _OPTIONAL)
        if names:
            yield parsed.said(names[0]), optional


def _calls_of(parsed: Parsed, name: str) -> Iterator[Node]:
    for node in parsed.named(name):
        callee = node
        parent = callee.parent
        while parent and parent.type in _ACCESSES and field_of(callee) in _ACCESS:
            callee, parent = parent, parent.parent
        if parent and parent.type in _CALLS and field_of(callee) in _CALLEE:
            yield parent
