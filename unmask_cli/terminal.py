"""What the commands of the terminal share."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table

from coder_model.errors import Unreachable

NOT_NOW, BAD_INPUT, INTERRUPTED = 1, 2, 130
"""Exit codes: what may go well another time, what will not, and Ctrl-C, as shells have it."""
EXIT_CODES = {
    0: "all went well",
    NOT_NOW: "not now, or something is wrong with what is here: no network, a full disk, a check that failed, a no",
    BAD_INPUT: "wrong arguments, or files that cannot be used",
    INTERRUPTED: "Ctrl-C",
}
"""What each means, for the help."""

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
NARROWEST_HELP = 80
"""Characters in a line."""
MOST_SHOWN = 60
"""Characters of what somebody has given, in a message."""
_TWO_NUMBERS = re.compile(r"(\d{1,12}):(\d{1,12})")
WIDEST = 400
"""Characters in a line of a table."""


def exit_codes() -> str:
    """Returns what the help says of exit codes."""
    return "Exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items())


def fail(command: str, error: Exception) -> NoReturn:
    """Ends the program with one line on stderr that says which command failed and why."""
    print(f"unmask {command}: {as_one_line(str(error))}", file=sys.stderr)
    is_full = isinstance(error.__cause__, OSError) and error.__cause__.errno in _NO_ROOM
    sys.exit(NOT_NOW if is_full or isinstance(error, Unreachable) else BAD_INPUT)


def as_one_line(text: str) -> str:
    """Returns a text whose line ends and other control characters, as a file's name may hold them, are spelt out."""
    return "".join(ascii(letter)[1:-1] if unicodedata.category(letter) == "Cc" else letter for letter in text)


def shortened(text: str) -> str:
    """Returns a text that a message can hold: of a long one both ends."""
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN // 2]}…{text[-MOST_SHOWN // 2 :]}"


def two_numbers(text: str) -> tuple[int, int] | None:
    """Returns the numbers of `12:34`; None for anything else, and for numbers that no file has lines for."""
    match = _TWO_NUMBERS.fullmatch(text)
    return (int(match.group(1)), int(match.group(2))) if match else None


def fail_of_the_system(error: OSError) -> NoReturn:
    """Ends the program with one line on stderr that says what the system refused, a full disk for example."""
    where = "" if error.filename is None else f"{as_one_line(str(error.filename))}: "
    print(f"unmask: {where}{error.strerror or error}", file=sys.stderr)
    # what could not be written is not tried again when the interpreter ends, which would say so once more
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(NOT_NOW)


def show_what_can_be_shown() -> None:
    """Has a terminal that lacks a character show another one, where it would end the program, and break long lines.

    In a help that is narrower than `NARROWEST_HELP` names of options are cut.
    """
    if shutil.get_terminal_size().columns < NARROWEST_HELP:
        os.environ.setdefault("TERMINAL_WIDTH", str(NARROWEST_HELP))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def print_whole(table: Table, least: int = WIDEST) -> None:
    """Prints a table with no cell cut: a terminal that is too narrow for it breaks the lines.

    Args:
        table: what is printed.
        least: characters in a line that do, where cells may take several lines; else all that it wants.
    """
    console = Console()
    wanted = console.measure(table, options=console.options.update(max_width=WIDEST)).maximum
    Console(width=max(console.width, min(wanted, least))).print(table)


def print_columns(heads: Sequence[str], rows: Iterable[Sequence[str]], remark: str = "") -> None:
    """Prints rows: on a terminal as a table in which only the last two columns may break, elsewhere between tabs.

    Args:
        heads: of the columns; on a terminal only.
        rows: cells, which hold no tabs.
        remark: below them, on a terminal only.
    """
    if not Console().is_terminal:
        for row in rows:
            print("\t".join(row))
        return
    table = Table(box=None, pad_edge=False, caption=remark or None, caption_justify="left")
    for at, head in enumerate(heads):
        table.add_column(head, no_wrap=at < len(heads) - 2)
    for row in rows:
        table.add_row(*row)
    print_whole(table, least=NARROWEST_HELP)


def to_json(facts: dict[str, Any]) -> str:
    """Returns one line of JSON, with every letter as it is."""
    return json.dumps(facts, ensure_ascii=False)


def json_object(text: str) -> dict[str, Any]:
    """Returns what an option says as a JSON object.

    Raises:
        ValueError: when it is none; says what was found.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"must be a JSON object such as {{}}, got {text!r}: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"must be a JSON object such as {{}}, got {text!r}")
    return found
