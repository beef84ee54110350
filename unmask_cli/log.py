"""`unmask log`: where the server's log is, and its end."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from unmask_cli.terminal import NOT_NOW

LOOK_S = 0.2
"""Seconds between two looks for new lines."""


def log(
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="so many of its last ones")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="and what comes from now on; Ctrl-C ends it")] = False,
) -> None:
    """Say where the server's log is, and print its end; it holds no source text."""
    from lsp_server.log_file import log_file

    file = log_file()
    if not file.exists() and not follow:
        print(f"unmask log: no server has written {file} yet", file=sys.stderr)
        sys.exit(NOT_NOW)
    print(file, file=sys.stderr)
    number, now = _number(file), _bytes(file)
    found = (_bytes(_older(file)) + now).decode("utf-8", "replace").splitlines(keepends=True)
    if not found and not follow:
        print("it holds nothing yet", file=sys.stderr)
    print("".join(found[max(0, len(found) - lines) :]), end="", flush=True)
    if follow:
        _follow(file, number, len(now))


def _follow(file: Path, number: int, at: int) -> None:
    """Prints what is written from now on, also to the file that takes the place of a full one.

    Args:
        file: the log.
        number: of the file whose bytes were printed, see `_number`.
        at: how many of them.
    """
    while True:
        time.sleep(LOOK_S)
        new = b""
        if _number(file) != number:
            new = _bytes(_older(file), at) if number else b""
            at, number = 0, _number(file)
        fresh = _bytes(file, at)
        at += len(fresh)
        print((new + fresh).decode("utf-8", "replace"), end="", flush=True)


def _older(file: Path) -> Path:
    return file.with_name(f"{file.name}.1")


def _number(file: Path) -> int:
    """What tells a file from another of its name; 0 while there is none."""
    try:
        return file.stat().st_ino
    except FileNotFoundError:
        return 0


def _bytes(file: Path, at: int = 0) -> bytes:
    """What a file holds from a byte on; nothing where there is none."""
    try:
        with file.open("rb") as stream:
            stream.seek(at)
            return stream.read()
    except FileNotFoundError:
        return b""
