"""A parsed text and its nodes in code points, with what grammars of all languages here have in common. Torch-free."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

from tree_sitter import Node

from coder_model.text.syntax import parse


@dataclass(frozen=True)
class Parsed:
    """A text with its syntax tree."""

    text: str
    language: str
    root: Node
    _offsets: list[int] | None = field(default=None, repr=False)
    """Code point of each byte; None for ASCII."""

    @classmethod
    def of(cls, text: str, language: str) -> Parsed | None:
        """Returns a text parsed; None for a language without a grammar."""
        tree = parse(text, language)
        if tree is None:
            return None
        offsets = None
        if not text.isascii():
            offsets = [at for at, ch in enumerate(text) for _ in ch.encode("utf-8", "replace")] + [len(text)]
        return cls(text, language, tree.root_node, offsets)

    def span(self, node: Node) -> tuple[int, int]:
        """Returns where a node begins and ends, in code points."""
        start, end = node.start_byte, node.end_byte
        return (start, end) if self._offsets is None else (self._offsets[start], self._offsets[end])

    def said(self, node: Node) -> str:
        """Returns the text of a node."""
        start, end = self.span(node)
        return self.text[start:end]

    def node_at(self, start: int, end: int) -> Node | None:
        """Returns the smallest node that holds the text between two code points."""
        return self.root.descendant_for_byte_range(self._byte(start), self._byte(end))

    def named(self, name: str) -> Iterator[Node]:
        """Yields the identifiers of a name, in order."""
        for found in re.finditer(rf"\b{re.escape(name)}\b", self.text):
            node = self.node_at(*found.span())
            if node and is_identifier(node) and self.span(node) == found.span():
                yield node

    def _byte(self, offset: int) -> int:
        return offset if self._offsets is None else bisect_left(self._offsets, offset)


def is_identifier(node: Node) -> bool:
    """Returns whether a node is a name, of whatever kind a grammar has."""
    return not node.named_child_count and "identifier" in node.type and node.is_named


def walk(node: Node) -> Iterator[Node]:
    """Yields a node and all below it, in order."""
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(node.children))


def field_of(node: Node) -> str:
    """Returns the field of its parent that a node is; empty where it is none."""
    parent = node.parent
    if parent is None:
        return ""
    for index, child in enumerate(parent.children):
        if child.id == node.id:
            return parent.field_name_for_child(index) or ""
    return ""


def ancestors(node: Node) -> Iterator[Node]:
    """Yields the nodes above one, the nearest first."""
    parent = node.parent
    while parent is not None:
        yield parent
        parent = parent.parent
