"""Pure functions on the text of one file: is it worth learning from, and what must not be learnt."""

from __future__ import annotations

import hashlib
import ipaddress
import itertools
import re
from collections.abc import Iterator

from coder_model.text.normalize import newlines
from coder_model.text.redaction import redacted

EXTENSIONS = frozenset(
    "py pyi ts tsx js jsx mjs go rs c h cc cpp cxx hpp hh java lua sh bash md".split()  # noqa: SIM905  one line reads best
)
MIN_BYTES, MAX_BYTES = 200, 200_000
MAX_LINE = 1_000
MAX_MEAN_LINE = 100

_SKIPPED_FOLDERS = re.compile(
    r"(^|/)(\.git|\.venv|venv|site-packages|\.tox|node_modules|vendor|_vendor|third_?party|extern(al)?|deps|dist|build|__pycache__|testdata|test_data"
    r"|fixtures|__snapshots__|locales?|i18n)/",
    re.IGNORECASE,
)
_GENERATED_NAME = re.compile(
    r"(_pb2(_grpc)?\.pyi?|\.pb(\.gw)?\.go|_generated\.\w+|\.min\.js|\.d\.ts|CHANGELOG.*\.md)$", re.IGNORECASE
)
_GENERATED = re.compile(
    r"do not edit|@generated|auto-?generated|generated (?:by|from|code)|protoc-gen|swagger-codegen", re.IGNORECASE
)
_HEADER = re.compile(
    r"""\A(\#![^\n]*\n)?\s*
    (?:(?:\#[^\n]*\n|//[^\n]*\n|--[^\n]*\n|[ \t]*\n)+ | /\*.*?\*/[ \t]*\n | <!--.*?-->[ \t]*\n)""",
    re.VERBOSE | re.DOTALL,
)
_LEGAL = re.compile(r"copyright|licen[sc]e|spdx|all rights reserved", re.IGNORECASE)

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})*\.[A-Za-z]{2,24}\b")
_ADDRESS = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
_EXAMPLE_HOSTS = ("example.com", "example.org", "example.net", "localhost")


def wanted(path: str) -> bool:
    """Returns True for a source file that people write: its type, and not in a folder of other people's files."""
    return path.rsplit(".", 1)[-1].lower() in EXTENSIONS and not _SKIPPED_FOLDERS.search(path)


def usable(path: str, data: bytes) -> tuple[str, str]:
    r"""Returns the text of a file and an empty reason, or an empty text and why the file is dropped.

    Line ends become `\\n`; a licence header goes, personal data and keys are replaced.
    """
    if not MIN_BYTES <= len(data) <= MAX_BYTES:
        return "", "size"
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return "", "not UTF-8"
    if "\0" in text:
        return "", "binary"
    if _GENERATED_NAME.search(path) or _GENERATED.search(text[:2_000]):
        return "", "generated"
    text = scrubbed(without_legal_header(newlines(text)), path)
    lines = text.split("\n")
    prose = path.endswith(".md")
    if (
        max(map(len, lines)) > (4 if prose else 1) * MAX_LINE
        or len(text) / len(lines) > (4 if prose else 1) * MAX_MEAN_LINE
    ):
        return "", "minified"
    if sum(map(str.isdigit, text)) > 0.2 * len(text):
        return "", "table"
    return (text, "") if len(text) >= MIN_BYTES else ("", "size")


def without_legal_header(text: str) -> str:
    """Returns text without its first comment where that is about rights; a `#!` line stays.

    A model that has read thousands of them offers one at the top of every empty file.
    """
    found = _HEADER.match(text)
    if not found or not _LEGAL.search(found.group()):
        return text
    return (found.group(1) or "") + text[found.end() :].lstrip("\n")


def scrubbed(text: str, path: str = "") -> str:
    """Returns text of a file with e-mail addresses and public IPv4 addresses replaced by examples, without secrets."""
    text = _EMAIL.sub(_example_email, text) if "@" in text else text
    return _ADDRESS.sub(_example_address, redacted(text, path=path))


def _example_email(found: re.Match[str]) -> str:
    return found.group() if found.group().endswith(_EXAMPLE_HOSTS) else "user@example.com"


def _example_address(found: re.Match[str]) -> str:
    try:
        is_public = ipaddress.IPv4Address(found.group()).is_global
    except ValueError:
        return found.group()
    return "192.0.2.1" if is_public else found.group()


def squeezed_lines(text: str, shortest: int) -> list[str]:
    """Returns the lines of text without any blanks, those of fewer than `shortest` characters left out."""
    return [line for line in ("".join(line.split()) for line in text.splitlines()) if len(line) >= shortest]


def pair_hashes(lines: list[str], size: int) -> Iterator[bytes]:
    """Yields the blake2b hash, of `size` bytes, of every two successive lines: what tells texts apart, or alike."""
    for first, second in itertools.pairwise(lines):
        yield hashlib.blake2b(f"{first}\n{second}".encode("utf-8", "replace"), digest_size=size).digest()
