"""What the lines before the cursor use of imported files, as snippets: signatures, never whole files.

Only regular files of the workspace are read, links followed first, and none that the privacy rules keep back.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from coder_model.text.file_names import path_of
from coder_model.text.pieces import piece_of
from coder_model.text.privacy import Privacy
from coder_model.text.signatures import Import, imports_of, signatures_of
from coder_model.text.syntax import language_of
from coder_model.types import Snippet
from lsp_server.documents import Document, Documents, without_surrogates

HEAD_LINES, HEAD_CHARS = 120, 8_000
"""Most lines and characters at the start of a document that are searched for imports."""
FILES = 2
"""Files that signatures are taken from at one place."""
MAX_FILE_BYTES, MAX_CHARS = 256 << 10, 600
"""Most bytes of a file that is read, and most characters of a snippet."""
_ENDINGS = {
    "python": (".py", ".pyi", "/__init__.py"),
    "typescript": ("", ".ts", ".tsx", ".d.ts", ".mts", ".cts", ".js", "/index.ts", "/index.js"),
    "javascript": ("", ".js", ".jsx", ".mjs", ".cjs", "/index.js"),
}
"""Of files, behind what an import names; nothing where it names the file."""
_SOURCES = {".js": (".ts", ".tsx", ".d.ts"), ".jsx": (".tsx",), ".mjs": (".mts",), ".cjs": (".cts",)}
"""Endings of what becomes a module: TypeScript is imported by the name of what is made of it."""
_FAMILY = {"typescriptreact": "typescript", "javascriptreact": "javascript"}


class Imports:
    """Looks up what documents import."""

    def __init__(self, documents: Documents, privacy: Privacy) -> None:
        self._documents, self._privacy = documents, privacy

    def snippets(self, document: Document, near: str) -> list[Snippet]:
        """Returns the signatures of what a document imports from its workspace, a snippet for each file.

        Args:
            document: an open document.
            near: the lines before the cursor; a name that they do not hold is not looked up.
        """
        head = "".join(line[:HEAD_CHARS] for line in document.lines[:HEAD_LINES])[:HEAD_CHARS]
        path, root = path_of(document.uri), self._privacy.root_of(document.uri)
        if path is None or root is None:
            return []
        words = set(re.findall(r"\w+", near))
        found: list[Snippet] = []
        for imported in _imports(without_surrogates(head), document.language):
            names = tuple(name for name in imported.names if name in words)
            used = names or (not imported.names and re.split(r"\W", imported.module)[-1] in words)
            file = next(_files(imported, path, root, document.language), None) if used else None
            offered = signatures_of(self._text(file), language_of(file.name), names) if file else ""
            if file and offered:
                piece = piece_of(file.name, offered)
                found.append(replace(piece, text=piece.text[:MAX_CHARS]))
            if len(found) == FILES:
                break
        return found

    def _text(self, file: Path) -> str:
        # by its own name and by that of what it leads to
        if not self._privacy.may("show", file.as_uri()):
            return ""
        file = file.resolve()
        if opened := self._documents.get(file.as_uri()):
            return without_surrogates(opened.text[:MAX_FILE_BYTES])
        try:
            facts = file.stat()
        except OSError:
            return ""
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > MAX_FILE_BYTES:
            return ""
        return _read(file, facts.st_mtime_ns)


def _files(imported: Import, path: Path, root: Path, language: str) -> Iterator[Path]:
    """The files that an import may mean and that lead to one of the workspace, the likeliest first."""
    family, module = _FAMILY.get(language, language), imported.module
    stems: list[Path] = []
    if family == "python":
        up = len(module) - len(module.lstrip("."))
        bases = [*path.parents[up - 1 : up]] if up else [root, root / "src", path.parent]
        stems = [base.joinpath(*module.lstrip(".").split(".")) for base in bases]
    elif module.startswith("."):
        stems = [path.parent / module]
    names = [f"{stem.with_suffix(ending)}" for stem in stems for ending in _SOURCES.get(stem.suffix, ())]
    for name in [*names, *(f"{stem}{ending}" for stem in stems for ending in _ENDINGS.get(family, ()))]:
        # names that no file can have, and links in circles
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            file = Path(os.path.normpath(name))
            if file.resolve().is_relative_to(root) and file.is_file():
                yield file


@lru_cache(maxsize=64)
def _imports(head: str, language: str) -> tuple[Import, ...]:
    return tuple(imports_of(head, language))


@lru_cache(maxsize=64)
def _read(file: Path, _: int) -> str:
    try:
        return file.read_text("utf-8", "replace")
    except OSError:
        return ""
