"""Reads source files from any directories and keeps what is worth learning from.

A directory given to `read_sources` is one source per child directory (a project), or one source itself when it holds
files. Dropped, and counted by reason: files of other types, too small or too large, not UTF-8, generated or minified,
listed in the exclusion file, exact duplicates, near duplicates (most line pairs already seen). A source without a
permissive licence is dropped whole; its licence is read from its own files.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from coder_model.errors import CorpusError

EXTENSIONS = (".py", ".pyi", ".ts", ".tsx", ".js", ".go", ".rs", ".lua")
MIN_BYTES, MAX_BYTES = 200, 200_000
MAX_LINE = 1_000
MAX_MEAN_LINE = 100
NEAR_DUPLICATE = 0.6
"""A file is dropped when this share of its line pairs has been seen in files kept before it."""

_SKIPPED_FOLDERS = frozenset(
    {".git", "node_modules", "vendor", "_vendor", "third_party", "dist", "build", "__pycache__"}
)
_GENERATED = re.compile(
    r"do not edit|@generated|auto-?generated|generated (?:by|from|code)|protoc-gen|swagger-codegen", re.IGNORECASE
)
_LICENCE_FILE = re.compile(r"^(LICEN[CS]E|COPYING)", re.IGNORECASE)
# In this order: a text that names the GPL is not permissive whatever else it says.
_LICENCES = (
    ("GPL family", ("gnu general public", "gnu lesser", "affero")),
    ("MPL", ("mozilla public license",)),
    ("Apache-2.0", ("apache license",)),
    ("MIT", ("permission is hereby granted, free of charge", "mit license")),
    ("BSD", ("redistribution and use in source and binary forms",)),
    ("ISC", ("permission to use, copy, modify",)),
    ("PSF-2.0", ("python software foundation license",)),
    ("Unlicense", ("this is free and unencumbered software",)),
)
PERMISSIVE = frozenset({"Apache-2.0", "MIT", "BSD", "ISC", "PSF-2.0", "Unlicense"})


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One kept file."""

    source: str
    path: str
    """Relative to the source."""
    text: str
    """Line ends are `\\n`."""


@dataclass
class Report:
    """What was kept and dropped, by source; becomes `sources.json` beside the shards."""

    licences: dict[str, str] = field(default_factory=dict)
    kept_bytes: Counter[str] = field(default_factory=Counter)
    kept_files: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)


def read_sources(
    roots: Iterable[Path], licences: dict[str, str], excluded: frozenset[str], report: Report
) -> Iterator[SourceFile]:
    """Yields the files worth learning from, sources in order of their names.

    Args:
        roots: directories of projects.
        licences: known licences by source name (from a package's metadata, say); others are read from licence files.
        excluded: resolved paths of files to leave out, as `decontam.py check` lists them.
        report: filled in.

    Raises:
        CorpusError: when a root is not a directory.
    """
    seen_files: set[bytes] = set()
    seen_pairs: set[bytes] = set()
    for root in roots:
        if not root.is_dir():
            raise CorpusError(f"corpus directory must exist, got {root}")
        for source in sorted(child for child in root.iterdir() if child.is_dir()):
            licence = licences.get(source.name) or licence_of(source)
            report.licences[source.name] = licence
            if licence not in PERMISSIVE:
                report.dropped["licence"] += 1
                continue
            for file in _files(source):
                text, reason = _read(file, excluded)
                if text is not None:
                    reason = _duplicate(text, seen_files, seen_pairs)
                if text is None or reason:
                    report.dropped[reason] += 1
                    continue
                report.kept_bytes[source.name] += len(text.encode())
                report.kept_files[source.name] += 1
                yield SourceFile(source.name, str(file.relative_to(source)), text)


def licence_of(source: Path) -> str:
    """Returns the licence that the source's own top-level files state, or `unknown`."""
    for file in sorted(source.iterdir()):
        if file.is_file() and _LICENCE_FILE.match(file.name):
            text = file.read_text("utf-8", "replace")[:20_000].lower()
            for name, marks in _LICENCES:
                if any(mark in text for mark in marks):
                    return name
    return "unknown"


def _files(source: Path) -> Iterator[Path]:
    for file in sorted(source.rglob("*")):
        if file.suffix in EXTENSIONS and file.is_file() and not _SKIPPED_FOLDERS.intersection(file.parts):
            yield file


def _read(file: Path, excluded: frozenset[str]) -> tuple[str | None, str]:
    """The text of a file and an empty reason, or None and why it is not wanted."""
    if str(file.resolve()) in excluded:
        return None, "excluded"
    data = file.read_bytes()
    if not MIN_BYTES <= len(data) <= MAX_BYTES:
        return None, "size"
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None, "not UTF-8"
    if "\0" in text:
        return None, "binary"
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if _GENERATED.search(text[:2_000]) or file.name.endswith(("_pb2.py", "_pb2_grpc.py", ".min.js", ".d.ts")):
        return None, "generated"
    lines = text.split("\n")
    if max(map(len, lines)) > MAX_LINE or len(text) / len(lines) > MAX_MEAN_LINE:
        return None, "minified"
    if sum(map(str.isdigit, text)) > 0.2 * len(text):
        return None, "table"
    return text, ""


def _duplicate(text: str, seen_files: set[bytes], seen_pairs: set[bytes]) -> str:
    """Why the text is a duplicate, or an empty string; then its lines count as seen."""
    lines = [line for line in ("".join(line.split()) for line in text.splitlines()) if len(line) > 8]
    whole = hashlib.blake2b("\n".join(lines).encode(), digest_size=16).digest()
    if whole in seen_files:
        return "duplicate"
    pairs = {hashlib.blake2b(f"{a}\n{b}".encode(), digest_size=6).digest() for a, b in itertools.pairwise(lines)}
    if len(pairs & seen_pairs) > NEAR_DUPLICATE * len(pairs):
        return "near duplicate"
    seen_files.add(whole)
    seen_pairs |= pairs
    return ""
