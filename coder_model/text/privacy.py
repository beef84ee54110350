"""Which files a model may see, by one rule for every door: `Privacy.objection`.

A door is whatever takes text of files to a model: a completion, a snippet of another file, a remote service, training,
cases of an evaluation. Secrets by their name are kept from all of them, and so is what `.unmaskignore` names; what
`.gitignore` names is worked in, but neither shown beside other files nor learnt.
"""

from __future__ import annotations

import contextlib
import logging
import re
import stat
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Literal, TypeVar

from pathspec import GitIgnoreSpec
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from coder_model.text.file_names import is_secret, names_of, path_of
from coder_model.types import InvalidInput

logger = logging.getLogger(__name__)

P = TypeVar("P", bound=PurePath)
Use = Literal["complete", "show", "learn"]
"""What is done with a file: the model works in it, has it beside another one, or is trained on it."""
OWN_IGNORE_FILE, GIT_IGNORE_FILE = ".unmaskignore", ".gitignore"
_IGNORE_FILES: dict[Use, tuple[str, ...]] = {
    "complete": (OWN_IGNORE_FILE,),
    "show": (OWN_IGNORE_FILE, GIT_IGNORE_FILE),
    "learn": (OWN_IGNORE_FILE, GIT_IGNORE_FILE),
}
MAX_IGNORE_BYTES = 256 << 10
REPOSITORY = ".git"
PROJECT_FILES = ("pyproject.toml", "setup.py", "package.json", "go.mod", "Cargo.toml", "pom.xml", "CMakeLists.txt")
"""One of these, or a repository, is in the folder that a project begins with."""


class Privacy:
    """Asks the names of secrets and the ignore files."""

    def __init__(self, roots: list[Path]) -> None:
        self.roots = [root.resolve() for root in roots]
        """Folders of the workspace; they come and go."""

    def objection(self, use: Use, document: str | Path) -> str:
        """Returns why a file may not be used so; empty when it may.

        Args:
            use: what is meant to be done with it.
            document: a path, or a URI of any scheme.
        """
        uri = document.absolute().as_uri() if isinstance(document, Path) else document
        if is_secret(uri):
            return "its name is that of a file with secrets"
        named = [Path(name) for name in names_of(uri) if Path(name).is_absolute()]
        # a link counts by its own name and by that of what it leads to
        paths = dict.fromkeys([*named, *map(_resolved, named)])
        for ignore_file in _IGNORE_FILES[use]:
            if any(self._is_ignored(path, ignore_file) for path in paths):
                return f"{ignore_file} names it"
        return ""

    def check(self, use: Use, file: Path) -> None:
        """Checks that a file may be used so.

        Raises:
            InvalidInput: names the file, and what keeps it back.
        """
        if objection := self.objection(use, file):
            raise InvalidInput(f"{file} must be a file that a model may see: {objection}")

    def may(self, use: Use, document: str | Path) -> bool:
        """Returns whether a file may be used so: there is no `objection`."""
        return not self.objection(use, document)

    def root_of(self, uri: str) -> Path | None:
        """Returns the folder of the workspace that a document is in, links followed; see `_root_of`."""
        path = path_of(uri)
        return self._root_of(path) if path else None

    def _root_of(self, path: Path) -> Path | None:
        """The folder that the client or the caller has named, else the one that the folders above a file show."""
        return next((root for root in self.roots if path.is_relative_to(root)), None) or found_root(path)

    def _is_ignored(self, path: Path, ignore_file: str) -> bool:
        """True when an ignore file above a path names it; git's count within a root, our own wherever they are."""
        top = self._root_of(path) if ignore_file == GIT_IGNORE_FILE else Path(path.anchor)
        folders = [folder for folder in path.parents if top and folder.is_relative_to(top)]
        return is_ignored(path, folders, lambda folder: _spec(folder / ignore_file))


def _resolved(path: Path) -> Path:
    """Where a path leads; itself where nobody can tell."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):
        return path


def found_root(path: Path) -> Path | None:
    """Returns the folder where a file's project begins: its repository, else the nearest with a file of a project."""
    for marks in ((REPOSITORY,), PROJECT_FILES):
        for folder in path.parents:
            with contextlib.suppress(OSError, ValueError):
                if any((folder / mark).exists() for mark in marks):
                    return folder
    return None


def is_ignored(path: P, folders: Sequence[P], spec_of: Callable[[P], GitIgnoreSpec]) -> bool:
    """Returns what the ignore files of some folders say of a path.

    The nearest that says anything decides, and nothing comes back of a folder that is ignored itself, as git has it
    (https://git-scm.com/docs/gitignore).

    Args:
        path: of a file.
        folders: above it, the nearest first.
        spec_of: reads the ignore file of a folder.
    """
    specs = [(folder, spec_of(folder)) for folder in folders]
    # without an exception a pattern that names a folder names what is in it
    names = [path, *folders[:-1]] if any(_has_exceptions(spec) for _, spec in specs) else [path]
    return any(_verdict(name, specs, is_folder=name is not path) for name in names)


def _has_exceptions(spec: GitIgnoreSpec) -> bool:
    return any(pattern.include is False for pattern in spec.patterns)


def _verdict(name: P, specs: Sequence[tuple[P, GitIgnoreSpec]], *, is_folder: bool) -> bool:
    """What the ignore files above a file or folder say of it alone."""
    for folder, spec in specs:
        if folder in name.parents:
            said = spec.check_file(name.relative_to(folder).as_posix() + "/" * is_folder).include
            if said is not None:
                return said
    return False


def _spec(file: Path) -> GitIgnoreSpec:
    """What an ignore file says; where it cannot be read, nothing, and of our own that all below it is kept back."""
    unreadable = EVERYTHING if file.name == OWN_IGNORE_FILE else NOTHING
    try:
        facts = file.lstat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return NOTHING
    except OSError:
        return unreadable
    if not stat.S_ISREG(facts.st_mode) or facts.st_size > MAX_IGNORE_BYTES:
        return unreadable
    found = _read(file, facts.st_mtime_ns)
    return unreadable if found is None else found


@lru_cache(maxsize=256)
def _read(file: Path, _: int) -> GitIgnoreSpec | None:
    try:
        return ignore_rules(file.read_bytes())
    except OSError:
        return None


def ignore_rules(data: bytes) -> GitIgnoreSpec:
    """Returns what an ignore file says, without the lines that are no pattern; how many these are is logged."""
    lines = [line.removesuffix("\r") for line in data.decode("utf-8-sig", "replace").split("\n")]
    patterns = [_patterns(line) for line in lines if line.strip()]
    if broken := patterns.count([]):
        logger.warning("%d lines of an ignore file are no patterns and count for nothing", broken)
    return GitIgnoreSpec([pattern for found in patterns for pattern in found])


def _patterns(line: str) -> list[GitIgnoreSpecPattern]:
    """The pattern of a line; nothing where it is not in the syntax."""
    known = _BRACKETS.sub(lambda found: _CLASS.sub(lambda name: _CLASSES[name[1]], found[0]), line)
    try:
        return list(GitIgnoreSpec.from_lines([known]).patterns)
    except (ValueError, re.error):
        return []


_CLASSES = {
    "alnum": "a-zA-Z0-9", "alpha": "a-zA-Z", "blank": " \t", "digit": "0-9", "lower": "a-z", "upper": "A-Z",
    "punct": '"-.:-@^-`{-~!', "space": " \t", "xdigit": "0-9A-Fa-f",
}  # fmt: skip
"""Of characters, as git's brackets have them and pathspec's do not."""
_BRACKETS = re.compile(r"\[(?:\[:[a-z]+:\]|[^\]])+\]")
_CLASS = re.compile(rf"\[:({'|'.join(_CLASSES)}):\]")
NOTHING = GitIgnoreSpec.from_lines([])
"""Names no file."""
EVERYTHING = GitIgnoreSpec.from_lines(["*"])
