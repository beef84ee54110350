"""Parsing with tree-sitter: one grammar per language id, and how broken a text is."""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache, lru_cache

from tree_sitter import Language, Node, Parser, Tree

# language id of the protocol -> (grammar package, function that returns its language)
_GRAMMARS = {
    "python": ("tree_sitter_python", "language"),
    "javascript": ("tree_sitter_javascript", "language"),
    "javascriptreact": ("tree_sitter_javascript", "language"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "typescriptreact": ("tree_sitter_typescript", "language_tsx"),
    "go": ("tree_sitter_go", "language"),
    "rust": ("tree_sitter_rust", "language"),
    "lua": ("tree_sitter_lua", "language"),
    # of the extra `languages`: where they are not installed, brackets are counted instead (`brackets`)
    "java": ("tree_sitter_java", "language"),
    "c": ("tree_sitter_c", "language"),
    "cpp": ("tree_sitter_cpp", "language"),
}
_LANGUAGE_OF_EXTENSION = {
    "py": "python",
    "pyi": "python",
    "js": "javascript",
    "mjs": "javascript",
    "cjs": "javascript",
    "jsx": "javascriptreact",
    "ts": "typescript",
    "mts": "typescript",
    "cts": "typescript",
    "tsx": "typescriptreact",
    "go": "go",
    "rs": "rust",
    "lua": "lua",
    "java": "java",
    "c": "c",
    # headers too, as editors have them
    **dict.fromkeys(("h", "hh", "hpp", "cc", "cpp", "cxx"), "cpp"),
}


_KEPT = 64
"""Texts whose errors are remembered: filters, repair and the next key ask three times of each."""
_LINE_COMMENTS = {"python": ("#",), "lua": ("--",)}


def comment_starts(language: str) -> tuple[str, ...]:
    """Returns what a comment of a language begins with; nothing for one without a grammar."""
    return _LINE_COMMENTS.get(language, ("//", "/*")) if language in _GRAMMARS else ()


def has_grammar(language: str) -> bool:
    """Returns whether a language id has a grammar here."""
    return parser_for(language) is not None


def language_of(path: str) -> str:
    """Returns the language id that a file's extension stands for, or an empty string."""
    return _LANGUAGE_OF_EXTENSION.get(path.rsplit(".", 1)[-1].lower(), "")


@cache
def parser_for(language: str) -> Parser | None:
    """Returns a parser for a language id, or None when there is no grammar for it."""
    if language not in _GRAMMARS:
        return None
    module, function = _GRAMMARS[language]
    if importlib.util.find_spec(module) is None:
        return None
    return Parser(Language(getattr(importlib.import_module(module), function)()))


def parse(text: str, language: str) -> Tree | None:
    """Returns the syntax tree of text, with offsets in UTF-8 bytes, or None when there is no grammar."""
    parser = parser_for(language)
    return parser.parse(text.encode("utf-8", "replace")) if parser else None


@lru_cache(maxsize=_KEPT)
def errors_in(text: str, language: str) -> int:
    """Returns how many error and missing nodes the tree of a text holds, 0 for a language without a grammar."""
    tree = parse(text, language)
    return _error_count(tree) if tree else 0


def _error_count(tree: Tree) -> int:
    count, stack = 0, [tree.root_node]
    while stack:
        node: Node = stack.pop()
        if node.is_error or node.is_missing:
            count += 1
        if node.has_error:
            stack.extend(node.children)
    return count
