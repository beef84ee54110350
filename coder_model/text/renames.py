"""Which uses of a name were left behind when its declaration got another one, by syntax trees. Torch-free, pure.

Only what is plain is said: where the old name may mean something else now (declared again, declared further out, the
new name known before) there is no answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tree_sitter import Node

from coder_model.text import declarations as names
from coder_model.text.syntax_nodes import Parsed, ancestors, field_of
from coder_model.text.token_edits import Change

_IMPLICIT = {"java", "cpp"}
"""Languages whose members are named without what they belong to."""
MOST_PLACES = 64
"""What is used more often is renamed by other means."""
_USUAL = frozenset(
    re.findall(
        r"\w+",
        """
    add all any append apply at back begin bind build call catch clear clone close code collect concat
    contains copy count create data decode delete each empty encode end entries error every exec execute
    extend fetch fill filter finally find first flush forEach format from front get group has hasNext id
    indexOf includes index info init insert into is isEmpty items iter join key keys kind last len length
    lines load lock log lower map match max message min name next of on open parse path pop print push put
    query raise read ready reduce release remove replace reset resolve result reverse run save search send set
    shift size skip slice some sort split start state status stop strip sub substring sum take tell test text
    then title toString trim type unlock unwrap update upper url value values wait write
    """,
    )
)
"""Names of members that containers, texts, files and the like have too, in many languages."""


def left_behind(parsed: Parsed, old: str, new: str, rows: Sequence[tuple[int, int]]) -> list[Change]:
    """Returns what uses of a name would become, now that its declaration has another one.

    Args:
        parsed: the text, with the new declaration.
        old: the name before.
        new: the name now.
        rows: the spans, in code points, that were edited lately: one of them declares the new name.
    """
    declared, news = names.declarations(parsed, new, rows), list(parsed.named(new))
    uses = list(parsed.named(old))
    if not declared or not uses or len(uses) > MOST_PLACES:
        return []
    declaration = declared[0]
    if any(not names.is_within(parsed.span(node), rows) and _may_meet(declaration, node) for node in news):
        return []
    found = {
        node.id: Change(*parsed.span(node), _in_place(node, old, new)) for node in _locals(parsed, declaration, uses)
    }
    if names.is_member(declaration) or names.is_property(declaration):
        members = _members(parsed, declaration, uses)
        found = found if names.is_property(declaration) else {}
        found |= {node.id: Change(*parsed.span(node), _as_member(node, old, new)) for node in members}
    return sorted(found.values(), key=lambda change: change.start)


def _locals(parsed: Parsed, declaration: Node, uses: list[Node]) -> list[Node]:
    """The uses of a variable, a parameter, a function or a type in its scope."""
    scope = names.scope_of(declaration)
    inner = [node for node in uses if names.is_in(node, scope) and not names.is_access(node) and not names.is_key(node)]
    inner = [node for node in inner if not names.is_of_import(node)]
    for node in uses:
        if names.declares(node) and not names.is_member(node) and not names.is_constructor(node):
            home = names.scope_of(node)
            if home.id == scope.id:
                if node.start_byte < declaration.start_byte or not names.is_assigned(node):
                    return []
            elif names.is_in(node, scope):
                # another one of that name, further in
                inner = [one for one in inner if not names.is_in(one, home)]
            elif names.is_in(declaration, home):
                # the old name is known further out
                return []
    return [*inner, *_named_arguments(parsed, declaration, uses)]


def _members(parsed: Parsed, declaration: Node, uses: list[Node]) -> list[Node]:
    """The uses of a member, as far as no other type has one of its name."""
    owner = names.owner_of(declaration)
    if any(names.declares(node) and names.is_member(node) and names.owner_of(node) != owner for node in uses):
        return []
    found = [node for node in uses if names.is_access(node) or names.is_short(node)]
    if parsed.said(uses[0]) in _USUAL:
        found = [node for node in found if _is_of(parsed, node, _owner_name(parsed, declaration))]
    if parsed.language in _IMPLICIT and owner:
        bare = [
            node for node in uses if not names.is_access(node) and not names.is_key(node) and names.is_in(node, owner)
        ]
        for node in bare.copy():
            if names.declares(node) and not names.is_member(node):
                home = names.scope_of(node)
                bare = [one for one in bare if not names.is_in(one, home)]
        found += bare
    return found


def _owner_name(parsed: Parsed, declaration: Node) -> str:
    """The name of the type that a member is of; empty where nothing says it."""
    for one in ancestors(declaration):
        # a method of Go says it in front of its name
        if receiver := one.child_by_field_name("receiver"):
            return parsed.said(receiver).strip("()").split()[-1].lstrip("*")
    owner = names.owner_of(declaration)
    name = owner and (owner.child_by_field_name("name") or owner.child_by_field_name("type"))
    return parsed.said(name) if name else ""


def _is_of(parsed: Parsed, node: Node, owner: str) -> bool:
    """True where the text says that what stands before a member is of a type: itself, or made or declared as one."""
    access = node.parent
    if access is None or not owner:
        return names.is_short(node)
    holder = parsed.text[parsed.span(access)[0] : parsed.span(node)[0]].rstrip("->?.:! \t\n")
    if re.search(rf"(?:\b(?:self|this|cls|super\(\))|\b{re.escape(owner)}(?:\(.*\))?)$", holder, re.DOTALL):
        return True
    variable = re.search(r"\w+$", holder)
    if not variable:
        return False
    held, of = re.escape(variable[0]), re.escape(owner)
    made = rf"\b{held}\b[\s:=&*]*(?:new\s+)?\b{of}\b|\b{of}\b[\s*&]+{held}\b"
    return re.search(made, parsed.text) is not None


def _named_arguments(parsed: Parsed, declaration: Node, uses: list[Node]) -> list[Node]:
    """Arguments with the name of a parameter, in calls of its function."""
    function = next((node for node in ancestors(declaration) if names.is_function(node)), None)
    name = function and function.child_by_field_name("name")
    if not name:
        return []
    called = parsed.said(name)
    found = []
    for node in uses:
        parent = node.parent
        if parent and parent.type == "keyword_argument" and field_of(node) == "name":
            call = next((one for one in ancestors(node) if one.type == "call"), None)
            callee = call and call.child_by_field_name("function")
            if callee and re.search(rf"\b{re.escape(called)}$", parsed.said(callee)):
                found.append(node)
    return found


def _in_place(node: Node, old: str, new: str) -> str:
    """The new name of a variable; where the name is that of a member too, that one stays."""
    return f"{old}: {new}" if names.is_short(node) else new


def _as_member(node: Node, old: str, new: str) -> str:
    return f"{new}: {old}" if names.is_short(node) else new


def _may_meet(declaration: Node, node: Node) -> bool:
    """True where a name that was there before may be taken for the new one."""
    if names.is_member(declaration):
        return names.is_access(node) or names.is_member(node)
    return not names.is_access(node) and not names.is_key(node) and names.is_in(node, names.scope_of(declaration))
