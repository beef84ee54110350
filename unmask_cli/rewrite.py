"""`unmask rewrite FILE FROM:TO`: lines that the model finds unlikely drafted again, printed as a diff, or written."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

from coder_model.engine.options import EngineOptions
from coder_model.text.syntax import language_of
from coder_model.types import FillRequest, InvalidInput, is_encodable
from lsp_server.backends.factory import chosen_backend, no_judge
from lsp_server.documents import split_lines
from lsp_server.passages import Passage, trimmed
from lsp_server.rewriting import NotJudged, Strength, rewrite
from lsp_server.trigger_policy import least_probability_of_fill
from lsp_server.user_settings import UserSettings
from unmask_cli.fill import as_text, read_source
from unmask_cli.fill_holes import diff, final_draft, write_back
from unmask_cli.terminal import shortened, two_numbers
from unmask_cli.waiting import until_ready

_TARGET_MS = 3_000.0
"""Most milliseconds of a suggestion by the model that is taken: nobody types on meanwhile."""
_COLOURS = (("+++", "bold"), ("---", "bold"), ("@@", "cyan"), ("+", "green"), ("-", "red"))


async def rewrite_lines(
    file: Path, place: str, strength: Strength, instruction: str, user: UserSettings, *, write: bool
) -> None:
    """Rewrites lines of a file, and prints what changes.

    Args:
        file: a text file in UTF-8.
        place: `FROM:TO`, the first and the last line, from 1.
        strength: how much is drafted again.
        instruction: shown to the model; empty for none.
        user: which model.
        write: True changes the file.

    Raises:
        InvalidInput: names the file, the lines or the model, and what was expected.
        BackendUnavailable: when the model cannot be loaded; says why.
    """
    if not is_encodable(instruction):
        raise InvalidInput("--instruction must be valid Unicode text, found a lone surrogate")
    text, language, console = read_source(file), language_of(file.name), Console(stderr=True, highlight=False)
    lines = split_lines(text)
    first, last = trimmed(lines, *rows_at(lines, place, file))
    passage = Passage.of(lines, first, last, language)
    least = least_probability_of_fill(user.preset)
    common = FillRequest(
        as_text(str(file)), "", "", path=as_text(file.name), language=language, least_probability=least
    )
    backend = chosen_backend(user, EngineOptions(), _TARGET_MS)
    await backend.start()
    try:
        await until_ready(backend)
        if not backend.judges:
            raise InvalidInput(no_judge())
        began = time.perf_counter()
        with console.status("") as status:
            new = await rewrite(
                passage,
                strength,
                instruction,
                common,
                lambda request: final_draft(backend, request),
                lambda _, message: status.update(message),
            )
        seconds = time.perf_counter() - began
    except NotJudged as error:
        raise InvalidInput(f"{file} {place}: the model could not read these lines") from error
    finally:
        await backend.close()
    changed = passage.applied(lines, first, new.lines)
    _show(diff(text, changed, file))
    console.print(f"{new.verdict}, {seconds:.1f} s", style="cyan", soft_wrap=True)
    if write and changed != text:
        write_back(file, text, changed, "it is rewritten")


def rows_at(lines: list[str], place: str, file: Path) -> tuple[int, int]:
    """Returns the first and the last row of `FROM:TO`.

    Raises:
        InvalidInput: when it is none, or no lines of the file.
    """
    numbers = two_numbers(place)
    if not numbers:
        raise InvalidInput(f"lines must be FROM:TO, both from 1, got {shortened(place)!r}")
    first, last = numbers
    if not 1 <= first <= last <= len(lines):
        raise InvalidInput(f"lines {place}: {file} has lines 1 to {len(lines)}")
    return first - 1, last - 1


def _show(lines: list[str]) -> None:
    """Prints a diff, in colours on a terminal."""
    if not sys.stdout.isatty():
        print("".join(lines), end="")
        return
    console = Console(highlight=False)
    for line in lines:
        style = next((colour for start, colour in _COLOURS if line.startswith(start)), "")
        console.print(Text(line.rstrip("\r\n"), style=style), soft_wrap=True)
