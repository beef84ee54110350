"""`unmask fill FILE --all-holes`: every stub of a file, printed as a diff, or written."""

from __future__ import annotations

import difflib
import time
from contextlib import aclosing
from pathlib import Path

from rich.console import Console

from coder_model.engine.options import EngineOptions
from coder_model.text.holes import holes_in, nearest
from coder_model.text.syntax import language_of
from coder_model.types import Draft, FillRequest, InvalidInput
from lsp_server.backends.base import Backend, BackendUnavailable
from lsp_server.backends.factory import chosen_backend
from lsp_server.hole_finding import MOST_HOLES
from lsp_server.joint_fill import fill_jointly, with_fills
from lsp_server.trigger_policy import least_probability_of_fill
from lsp_server.user_settings import UserSettings
from unmask_cli.fill import as_text, read_source
from unmask_cli.waiting import until_ready


async def fill_holes(
    file: Path, options: EngineOptions, user: UserSettings, deadline_ms: float | None, *, write: bool
) -> None:
    """Fills the holes of a file so that they agree, and prints what changes.

    Args:
        file: a text file in UTF-8.
        options: of the engine.
        user: which model, on this machine or elsewhere.
        deadline_ms: milliseconds for each hole, or None for no deadline.
        write: True changes the file.

    Raises:
        InvalidInput: names the file, and what was expected.
        BackendUnavailable: when the model cannot be loaded; says why.
    """
    text, language, console = read_source(file), language_of(file.name), Console(stderr=True, highlight=False)
    found = holes_in(text, language, file.suffix == ".pyi")
    if not found:
        console.print(f"{file} has no hole to fill", soft_wrap=True)
        return
    holes = nearest(found, 0, MOST_HOLES)
    common = FillRequest(
        session=as_text(str(file)),
        prefix="",
        suffix="",
        path=as_text(file.name),
        language=language,
        least_probability=least_probability_of_fill(user.preset),
        deadline_ms=deadline_ms,
    )
    backend = chosen_backend(user, options, user.target_ms)
    await backend.start()
    try:
        await until_ready(backend)
        began = time.perf_counter()
        with console.status("") as status:
            filled = await fill_jointly(
                text,
                holes,
                common,
                lambda request: final_draft(backend, request),
                lambda decided: status.update(f"{decided} of {len(holes)} holes"),
            )
        seconds = time.perf_counter() - began
    finally:
        await backend.close()
    changed = with_fills(text, filled)
    print("".join(diff(text, changed, file)), end="")
    console.print(f"{len(filled)} of {len(found)} holes filled, {seconds:.1f} s", style="cyan", soft_wrap=True)
    if write and filled:
        write_back(file, text, changed, "its holes are filled")


def write_back(file: Path, old: str, new: str, meanwhile: str) -> None:
    """Writes a new text to a file.

    Raises:
        InvalidInput: when the file does not hold the old text any more; `meanwhile` says what was done.
    """
    if read_source(file) != old:
        raise InvalidInput(f"{file} must not change while {meanwhile}; it is left as it is now")
    file.write_bytes(new.encode())


async def final_draft(backend: Backend, request: FillRequest) -> Draft | None:
    """Returns the final draft; None where the model fails at it."""
    last = None
    await backend.wait_ready()
    try:
        async with aclosing(backend.fill(request)) as drafts:
            async for draft in drafts:
                last = draft
    except BackendUnavailable:
        return None
    return last


def diff(old: str, new: str, file: Path) -> list[str]:
    """Returns the lines of a unified diff, each with a line end."""
    lines = difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), f"a/{file.name}", f"b/{file.name}"
    )
    return [line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines]
