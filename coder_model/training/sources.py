"""Where training text comes from: projects in folders, or git repositories at a commit, with their licences.

A list file holds one JSON object a line: `name`, `licence` (as its metadata states; empty when only its own files say
it), `commit` (a version or a git commit; empty for what lies there) and `language` (its main one). A listed
project lies in the mirror under its name, as plain files or as a bare git repository.
"""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from coder_model.errors import CorpusError
from coder_model.text.file_names import is_secret
from coder_model.text.normalize import file_name
from coder_model.text.privacy import NOTHING, OWN_IGNORE_FILE, Privacy, ignore_rules, is_ignored

_LICENCE_FILE = re.compile(r"^(LICEN[CS]E|COPYING)[^/]*$", re.IGNORECASE)
# In this order: Python's own licence speaks of the GPL, and any other text that does is not permissive, whatever else
# it says.
_LICENCES = (
    ("PSF-2.0", ("psf license agreement", "python software foundation license")),
    ("GPL family", ("gnu general public", "gnu lesser", "affero")),
    ("MPL", ("mozilla public license",)),
    ("Apache-2.0", ("apache license",)),
    ("MIT", ("permission is hereby granted, free of charge", "mit license")),
    ("BSD", ("redistribution and use in source and binary forms",)),
    ("ISC", ("permission to use, copy, modify",)),
    ("Unlicense", ("this is free and unencumbered software",)),
)
NAMED = 8
"""Projects that a message names."""
PERMISSIVE = frozenset({"Apache-2.0", "MIT", "BSD", "ISC", "PSF-2.0", "Unlicense"})
_GIT_ENVIRONMENT = {"GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0"}


@dataclass(frozen=True, slots=True)
class Source:
    """One project."""

    name: str
    path: Path
    licence: str = ""
    """As stated beside the project, in a package's metadata say; what its own files say counts more."""
    commit: str = ""
    language: str = ""

    def files(self, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
        """Yields path and content of the files whose path is wanted, in order of their paths.

        Raises:
            CorpusError: when the project is a git repository without the commit.
        """
        is_bare = (self.path / "HEAD").is_file() and (self.path / "objects").is_dir()
        yield from _from_git(self.path, self.commit or "HEAD", wanted) if is_bare else _from_folder(self.path, wanted)

    def found_licence(self) -> str:
        """Returns the licence that the project's own top-level files state, else the stated one, else `unknown`."""
        for _, data in self.files(lambda path: bool(_LICENCE_FILE.match(path))):
            text = " ".join(data[:20_000].decode("utf-8", "replace").lower().split())
            for name, phrases in _LICENCES:
                if any(phrase in text for phrase in phrases):
                    return name
        return self.licence or "unknown"


def in_folders(roots: Iterable[Path], licences: dict[str, str]) -> list[Source]:
    """Returns one source per child directory of each root.

    Args:
        roots: directories of projects.
        licences: known licences by project name (from a package's metadata, say).

    Raises:
        CorpusError: when a root is not a directory.
    """
    found = []
    for root in roots:
        folders = sorted(child for child in existing(root).iterdir() if child.is_dir())
        found += [Source(child.name, child, licences.get(child.name, "")) for child in folders]
    return found


def check_minutes(minutes: float) -> None:
    """Refuses a time in which nothing can be learnt.

    Raises:
        CorpusError: when it is not positive, or infinite.
    """
    if not 0 < minutes < math.inf:
        raise CorpusError(f"minutes must be positive and end some time, got {minutes}")


def existing(corpus: Path) -> Path:
    """Returns a directory, which must be there.

    Raises:
        CorpusError: when it is not.
    """
    if not corpus.is_dir():
        raise CorpusError(f"corpus directory must exist, got {corpus}")
    return corpus


def check_held_out(sources: list[Source], held_out: Iterable[str]) -> None:
    """Checks that something is kept for validation, and something to learn from.

    Raises:
        CorpusError: names the option and the projects that there are.
    """
    names = {source.name for source in sources}
    there = ", ".join(sorted(names)[:NAMED]) + (f", ... ({len(names)})" if len(names) > NAMED else "")
    if unknown := sorted(set(held_out) - names):
        raise CorpusError(f"--hold-out {unknown[0]} must be one of the projects: {there}")
    if not set(held_out) or set(held_out) == names:
        raise CorpusError(f"--hold-out must name a project for validation, and leave one to learn from, of: {there}")


def listed(file: Path, mirror: Path) -> list[Source]:
    """Returns the sources of a list file.

    Raises:
        CorpusError: names the line that is no source, or the project that the mirror lacks.
    """
    try:
        lines = file.read_text("utf-8").splitlines()
    except OSError as error:
        raise CorpusError(f"{file} must be a readable list of sources: {error.strerror}") from error
    found = []
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            source = Source(
                entry["name"], mirror / entry["name"], entry["licence"], entry["commit"], entry.get("language", "")
            )
        except (ValueError, KeyError, TypeError) as error:
            raise CorpusError(f"{file}:{number} must be a JSON object with name, licence and commit") from error
        if not source.path.is_dir():
            raise CorpusError(f"{file}:{number}: {mirror} holds no {source.name}")
        found.append(source)
    return found


def _from_folder(folder: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    privacy = Privacy([folder])
    for file in sorted(folder.rglob("*")):
        path = file.relative_to(folder).as_posix()
        if wanted(path) and file.is_file() and not file.is_symlink() and privacy.may("learn", file):
            yield path, file.read_bytes()


def _from_git(repository: Path, commit: str, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    listing = _git(repository, "ls-tree", "-r", "-z", commit)
    blobs = []
    ignore_files = []
    for row in listing.split(b"\0")[:-1]:
        facts, _, name = row.partition(b"\t")
        mode, kind, object_id = facts.split()
        path = name.decode("utf-8", "replace")
        if kind != b"blob" or mode == b"120000":
            continue
        if file_name(path) == OWN_IGNORE_FILE:
            ignore_files.append((path, object_id))
        elif wanted(path):
            blobs.append((path, object_id))
    rules = {PurePosixPath(path).parent: ignore_rules(data) for path, data in _contents(repository, ignore_files)}
    for path, data in _contents(repository, sorted(blobs)):
        file = PurePosixPath(path)
        if not is_secret(path) and not is_ignored(file, file.parents, lambda folder: rules.get(folder, NOTHING)):
            yield path, data


def _contents(repository: Path, blobs: list[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """Yields path and content of objects that the repository holds."""
    contents = _git(repository, "cat-file", "--batch", stdin=b"".join(object_id + b"\n" for _, object_id in blobs))
    at = 0
    for path, _ in blobs:
        head, at = contents[at : contents.index(b"\n", at)].split(), contents.index(b"\n", at) + 1
        # a snapshot may list a large file without holding it
        if head[-1] != b"missing":
            size = int(head[2])
            yield path, contents[at : at + size]
            at += size + 1


def _git(repository: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    try:
        done = subprocess.run(
            ["git", f"--git-dir={repository}", *arguments],
            input=stdin,
            capture_output=True,
            check=True,
            env=os.environ | _GIT_ENVIRONMENT,
        )
    except subprocess.CalledProcessError as error:
        first = error.stderr.decode("utf-8", "replace").partition("\n")[0]
        raise CorpusError(f"{repository} must hold what the list says: {first}") from error
    return done.stdout
