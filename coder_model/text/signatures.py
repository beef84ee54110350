"""What a file imports, and what a file offers: read off syntax trees. Torch-free."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tree_sitter import Node

from coder_model.text.syntax import parse

MAX_CHARS = 400
"""Most characters of one signature; what has no body, as an interface, is cut there."""
WINDOW_CHARS = 4_000
"""Parsed of a file for one definition: a millisecond or two, however long the file is."""
_CLASSES = {"class_definition", "class_declaration", "abstract_class_declaration"}
_DEFINES = r"^(?:export |default |declare |abstract |async )*(?:class|def|function|interface|type|const|let|enum) {}\b"
_WRAPPERS = {"decorated_definition": "definition", "export_statement": "declaration"}


@dataclass(frozen=True, slots=True)
class Import:
    """One import of a file."""

    module: str
    """As it is written, without quotes: `.models`, `app.models`, `./models`."""
    names: tuple[str, ...]
    """What is taken from it; empty when it is taken as a whole."""


def imports_of(text: str, language: str) -> list[Import]:
    """Returns the imports of a text, in order; none for a language without a grammar."""
    tree = parse(text, language)
    return [found for node in tree.root_node.children for found in _imports(node)] if tree else []


def signatures_of(text: str, language: str, names: tuple[str, ...] = ()) -> str:
    """Returns the heads of the functions and classes of a text, with those of their methods, one a line.

    Args:
        text: of a file.
        language: LSP language id.
        names: of the definitions that are wanted; when empty, all at the start of the file that are not private.
    """
    if not names:
        return _signatures(text[:WINDOW_CHARS], language, ())
    starts = [re.search(_DEFINES.format(re.escape(name)), text, re.MULTILINE) for name in names]
    return "".join(
        _signatures(text[start.start() :][:WINDOW_CHARS], language, (name,))
        for name, start in zip(names, starts, strict=True)
        if start
    )


def _signatures(text: str, language: str, names: tuple[str, ...]) -> str:
    tree = parse(text, language)
    lines: list[str] = []
    for node in tree.root_node.named_children if tree else []:
        definition = _unwrapped(node)
        name = _text(definition.child_by_field_name("name")) or _declared(definition)
        if name and (name in names if names else not name.startswith("_")):
            lines += _heads(definition)
    return "".join(f"{line}\n" for line in lines)


def _imports(node: Node) -> Iterator[Import]:
    if node.type == "import_from_statement":  # Python
        module = node.child_by_field_name("module_name")
        names = node.children_by_field_name("name")
        yield Import(_text(module), tuple(_text(name.child_by_field_name("name") or name) for name in names))
    elif node.type == "import_statement" and (source := node.child_by_field_name("source")):  # JavaScript, TypeScript
        yield Import(_text(source).strip("\"'`"), tuple(_text(name) for name in _specified(node)))
    elif node.type == "import_statement":
        for name in node.children_by_field_name("name"):
            yield Import(_text(name.child_by_field_name("name") or name), ())


def _specified(node: Node) -> Iterator[Node]:
    """The names between the braces of an import."""
    for child in node.named_children:
        if child.type == "import_specifier":
            name = child.child_by_field_name("name")
            if name:
                yield name
        else:
            yield from _specified(child)


def _unwrapped(node: Node) -> Node:
    inner = node.child_by_field_name(_WRAPPERS[node.type]) if node.type in _WRAPPERS else None
    return inner or node


def _declared(node: Node) -> str:
    """The name of a constant."""
    declarator = next((child for child in node.named_children if child.type == "variable_declarator"), None)
    return _text(declarator.child_by_field_name("name")) if declarator else ""


def _heads(node: Node, indent: str = "") -> Iterator[str]:
    body = node.child_by_field_name("body") if node.type != "interface_declaration" else None
    head = (node.text or b"")[: body.start_byte - node.start_byte if body else None].decode("utf-8", "replace")
    yield indent + " ".join(head.rstrip(" \t\r\n{")[:MAX_CHARS].split())
    if body and node.type in _CLASSES:
        for child in body.named_children:
            definition = _unwrapped(child)
            name = _text(definition.child_by_field_name("name"))
            if definition.child_by_field_name("body") and (not name.startswith("_") or name == "__init__"):
                yield from _heads(definition, indent + "    ")


def _text(node: Node | None) -> str:
    return (node.text or b"").decode("utf-8", "replace") if node else ""
