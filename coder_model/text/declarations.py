"""What declares a name, what can be seen of it where, and what only uses it: rules on the nodes of all grammars here.

Torch-free, pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tree_sitter import Node

from coder_model.text.syntax_nodes import Parsed, ancestors, field_of

_WRAPPERS = re.compile(
    r"(?:pattern_list|tuple_pattern|list_pattern|array_pattern|expression_list|variable_list|variable_declarator_list"
    r"|pointer_declarator|reference_declarator|array_declarator|mut_pattern|ref_pattern|as_pattern_target"
    r"|list_splat_pattern|dictionary_splat_pattern|rest_pattern|qualified_identifier|object_pattern)"
)
"""Nodes between a declared name and what declares it."""
_DECLARES = {"name", "declarator", "pattern", "left", "alias", "parameter", "parameters"}
_DECLARATION = re.compile(
    r"(?:.*(?:definition|declaration|declarator|parameter|_item|_spec|signature|_specifier)|assignment|parameters"
    r"|assignment_statement|for_\w+|enumerator|enum_variant|formal_parameters|closure_parameters|lambda_parameters"
    r"|let_condition|named_expression|init_declarator|enhanced_for_statement|foreach_clause|arrow_function)"
)
_BARE = {"parameters", "lambda_parameters", "closure_parameters", "typed_parameter", "formal_parameters"}
"""Where a name is declared that is no field of its parent."""
_IMPORT = re.compile(r"import_(?:from_)?statement|import_specifier|import_clause|namespace_import|aliased_import")
_MEMBER_FIELDS = {"attribute", "property", "field", "method"}
_FUNCTION = re.compile(r".*(?:function|method|constructor|lambda|closure|arrow).*(?<!call)(?<!declarator)")
_NOT_FUNCTION = re.compile(r".*(?:call|invocation|index_expression|declarator|_body|reference|type)$")
_BLOCK = re.compile(
    r"(?:block|statement_block|compound_statement|program|source_file|translation_unit|module|chunk|for_\w+|while_\w+"
    r"|class_body|field_declaration_list|declaration_list|enhanced_for_statement|catch_clause|if_expression|match_arm"
    r"|list_comprehension|set_comprehension|dictionary_comprehension|generator_expression|class_definition)"
)
_WITHOUT_BLOCKS = {"block", "for_statement", "while_statement"}
"""Blocks that are no scope in Python."""
_MODIFIERS = {"accessibility_modifier", "readonly"}
_CLASS = re.compile(r".*(?:class|struct|interface|trait|impl|enum).*")


def declarations(parsed: Parsed, name: str, rows: Sequence[tuple[int, int]]) -> list[Node]:
    """Returns what declares a name within some spans of a text."""
    return [node for node in parsed.named(name) if is_within(parsed.span(node), rows) and declares(node)]


def is_imported(parsed: Parsed, name: str, rows: Sequence[tuple[int, int]]) -> bool:
    """Returns whether what declares a name within some spans is an import: it may be of something else."""
    return any(_is_imported(node) for node in declarations(parsed, name, rows)[:1])


def is_short(node: Node) -> bool:
    """Returns whether one name is that of a member and of its value."""
    return node.type.startswith("shorthand_") or bool(node.parent and node.parent.type.startswith("shorthand_"))


def declares(node: Node) -> bool:
    """Returns whether a name is given to something, and it is not only used."""
    if field_of(node) == "scope":
        return False
    node = _unwrapped(node)
    if node.parent and node.parent.type in ("attribute", "dot_index_expression") and is_access(node):
        node = _unwrapped(node.parent)
    parent, field = node.parent, field_of(node)
    if _is_imported(node):
        return True
    if parent is None or not _DECLARATION.fullmatch(parent.type):
        return False
    if parent.type == "assignment_statement":
        return node.type == "variable_list" and _is_local(parent)
    return field in _DECLARES or (parent.type in _BARE and field == "")


def _is_imported(node: Node) -> bool:
    """True for a name that an import makes known."""
    parent = node.parent
    if parent is not None and parent.type == "dotted_name" and parent.named_child_count == 1:
        node, parent = parent, parent.parent
    if parent is None or not _IMPORT.fullmatch(parent.type):
        return False
    # of two names the second one is known
    return field_of(node) == "alias" or (field_of(node) in ("name", "") and not parent.child_by_field_name("alias"))


def is_of_import(node: Node) -> bool:
    """Returns whether a node is what is imported, by the name it has elsewhere."""
    return any(_IMPORT.fullmatch(one.type) for one in list(ancestors(node))[:3])


def _unwrapped(node: Node) -> Node:
    """The outermost node that is a name, and what patterns and declarators make of it."""
    while node.parent and _WRAPPERS.fullmatch(node.parent.type):
        node = node.parent
    return node


def _is_local(assignment: Node) -> bool:
    """True for what declares in Lua; in Go every assignment of this type only gives a value."""
    return assignment.parent is not None and assignment.parent.type == "variable_declaration"


def is_assigned(node: Node) -> bool:
    """Returns whether a node is a declaration that may be another value of the same name."""
    return any(one.type in ("assignment", "assignment_statement") for one in list(ancestors(node))[:3])


def is_access(node: Node) -> bool:
    """Returns whether a node is a member of something that stands before it."""
    parent = node.parent
    if parent is None:
        return False
    if parent.type == "method_invocation":
        return field_of(node) == "name" and parent.child_by_field_name("object") is not None
    return field_of(node) in _MEMBER_FIELDS and not _DECLARATION.fullmatch(parent.type)


def is_key(node: Node) -> bool:
    """Returns whether a name is that of a given argument, or a key of a literal."""
    parent = node.parent
    while parent is not None and parent.type == "literal_element":
        node, parent = parent, parent.parent
    if parent is None:
        return False
    return field_of(node) == ("name" if parent.type == "keyword_argument" else "key")


def is_member(node: Node) -> bool:
    """Returns whether a node is the declaration of a field or a method."""
    if is_access(node) or node.type in ("property_identifier", "field_identifier", "private_property_identifier"):
        return True
    owner = None
    for one in ancestors(node):
        if one.type.endswith(("parameter", "parameters")):
            return False
        if is_function(one) and one.child_by_field_name("name") != node:
            return False
        if _CLASS.fullmatch(one.type) and one.type not in ("class_body", "enum_body"):
            owner = one
            break
    return owner is not None and owner.child_by_field_name("name") != node


def is_property(node: Node) -> bool:
    """Returns whether a node is a parameter of a constructor that is a member too, as TypeScript has them."""
    parameter = node.parent
    return parameter is not None and any(child.type in _MODIFIERS for child in parameter.children)


def is_constructor(node: Node) -> bool:
    """Returns whether a node is the name of a class where its constructor has it."""
    above = list(ancestors(node))[:4]
    if any(one.type == "constructor_declaration" for one in above[:1]):
        return True
    return above[0].type == "function_declarator" and any(one.type == "field_declaration_list" for one in above)


def owner_of(node: Node) -> Node | None:
    """Returns the type that a member is of."""
    classes = (one for one in ancestors(node) if _CLASS.fullmatch(one.type) and not one.type.endswith("_body"))
    return next(classes, None)


def scope_of(node: Node) -> Node:
    """Returns what a declared name can be seen in."""
    above = list(ancestors(node))
    top = above[-1]
    if any(one.type.endswith(("parameter", "parameters", "parameter_list")) for one in above[:4]):
        return next((one for one in above if is_function(one)), top)
    # a function or a type can be seen where it stands
    own = next((one for one in above[:4] if _is_named_by(one, node)), node)
    return next((one for one in ancestors(own) if _is_scope(one, top)), top)


def _is_named_by(node: Node, name: Node) -> bool:
    """True for a function or a type that has the name."""
    is_one = is_function(node) or _CLASS.fullmatch(node.type) is not None or "type" in node.type
    return is_one and (node.child_by_field_name("name") == name or _is_declared_by(node, name))


def _is_declared_by(function: Node, name: Node) -> bool:
    """True where a name stands in the declarator of a function, as in C, and is none of its parameters."""
    declarator = function.child_by_field_name("declarator")
    inner = declarator
    while inner is not None and inner != name:
        inner = inner.child_by_field_name("declarator") or inner.child_by_field_name("name")
    return declarator is not None and inner == name


def _is_scope(node: Node, top: Node) -> bool:
    is_block = _BLOCK.fullmatch(node.type) and not (top.type == "module" and node.type in _WITHOUT_BLOCKS)
    return is_function(node) or bool(is_block)


def is_function(node: Node) -> bool:
    """Returns whether a node is a function, a method or a lambda, with its parameters and its body."""
    return node.is_named and bool(_FUNCTION.fullmatch(node.type)) and not _NOT_FUNCTION.fullmatch(node.type)


def is_in(node: Node, other: Node) -> bool:
    """Returns whether a node lies within another one."""
    return other.start_byte <= node.start_byte and node.end_byte <= other.end_byte


def is_within(span: tuple[int, int], rows: Sequence[tuple[int, int]]) -> bool:
    """Returns whether a span lies within one of some others."""
    return any(start <= span[0] and span[1] <= end for start, end in rows)
