"""`unmask fill`: one request through the same worker that editors use, shown in the terminal."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from coder_model.engine.options import EngineOptions
from coder_model.text.fill_mode import hole_at
from coder_model.text.privacy import Privacy
from coder_model.text.syntax import language_of
from coder_model.types import Draft, FillRequest, HoleMode, InvalidInput, Slot
from lsp_server.backends.base import Backend
from lsp_server.backends.factory import chosen_backend
from lsp_server.denoising import MASK_SIGN
from lsp_server.documents import split_lines
from lsp_server.usage_stats import KEPT_BACK
from lsp_server.user_settings import UserSettings
from unmask_cli.terminal import shortened, two_numbers
from unmask_cli.waiting import until_ready

CONTEXT_LINES = 6


async def fill_file(
    file: Path,
    at: str,
    hole: str,
    options: EngineOptions,
    user: UserSettings,
    deadline_ms: float | None,
    *,
    watch: bool,
    as_json: bool,
) -> None:
    """Prints the suggestion at a place of a file, in place.

    Args:
        file: a text file in UTF-8.
        at: `LINE:COL`, both from 1, the column in characters.
        hole: `line`, `block` or `auto`.
        options: of the engine.
        user: which model, on this machine or elsewhere.
        deadline_ms: milliseconds, or None for no deadline.
        watch: show every step.
        as_json: print one JSON object instead.

    Raises:
        InvalidInput: names the file, the place or the option, and what was expected.
        BackendUnavailable: when the model cannot be loaded; says why.
    """
    prefix, suffix = split_at(read_source(file), at, file)
    request = FillRequest(
        session=as_text(str(file)),
        prefix=prefix,
        suffix=suffix,
        path=as_text(file.name),
        language=language_of(file.name),
        hole=hole_mode(hole, prefix, suffix, language_of(file.name)),
        deadline_ms=deadline_ms,
    )
    backend = chosen_backend(user, options, user.target_ms)
    await backend.start()
    try:
        await until_ready(backend)
        drafts = [draft async for draft in _shown(backend, request, watch and not as_json)]
    finally:
        await backend.close()
    if as_json:
        facts = {name: value for name, value in asdict(drafts[-1]).items() if name not in ("slots", "kind", "final")}
        print(json.dumps({"file": str(file), "at": at, "hole": request.hole, **facts}))
    else:
        console = Console(highlight=False)
        console.print(in_place(prefix, drafts[-1].text, suffix), soft_wrap=True)
        console.print(summary(drafts[-1]), soft_wrap=True)


def read_source(file: Path) -> str:
    """Returns the text of a file.

    Raises:
        InvalidInput: when it is missing, a directory, a pipe or a device, no UTF-8 text, or kept from models.
    """
    Privacy([]).check("complete", file)
    try:
        if file.exists() and not (file.is_file() or file.is_dir()):
            # it may never end
            raise InvalidInput(f"{file} must be a file, found a pipe or a device")
        data = file.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{file} must be a readable file: {error.strerror}") from error
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file} must be UTF-8 text, byte {error.start} is not") from error
    if "\0" in text:
        raise InvalidInput(f"{file} must be text, found a NUL byte: a binary file")
    return text


def as_text(name: str) -> str:
    """Returns the name of a file with a question mark for each byte that is no UTF-8, which no request may hold."""
    return name.encode("utf-8", "replace").decode("utf-8")


def split_at(text: str, at: str, file: Path) -> tuple[str, str]:
    """Returns the text before and after a place.

    Raises:
        InvalidInput: when `at` is no LINE:COL, or no place of the text.
    """
    place = two_numbers(at)
    if not place:
        raise InvalidInput(f"--at must be LINE:COL, both from 1, got {shortened(at)!r}")
    lines = split_lines(text)
    row, column = place
    if not 1 <= row <= len(lines):
        raise InvalidInput(f"--at {at}: {file} has lines 1 to {len(lines)}")
    width = len(lines[row - 1].rstrip("\r\n"))
    if not 1 <= column <= width + 1:
        raise InvalidInput(f"--at {at}: line {row} of {file} has columns 1 to {width + 1}")
    offset = sum(map(len, lines[: row - 1])) + column - 1
    return text[:offset], text[offset:]


def in_place(prefix: str, text: str, suffix: str) -> Text:
    """Returns the suggestion highlighted between the lines around it."""
    before = "".join(split_lines(prefix)[-CONTEXT_LINES:])
    after = "".join(split_lines(suffix)[:CONTEXT_LINES])
    return Text.assemble((before, "dim"), (text, "bold green"), (after.rstrip("\r\n"), "dim"))


def summary(draft: Draft) -> Text:
    """Returns one line on how the suggestion came about, or that there is none and why."""
    per_step = f"{draft.tokens / draft.steps:.1f}" if draft.steps else "-"
    cut = "" if draft.finished else ", cut by the deadline"
    reasons = [KEPT_BACK[name] for name in draft.filtered] + ["the model is not sure enough"] * draft.unlikely
    why = f" ({'; '.join(reasons)})" if reasons else ""
    nothing = "" if draft.text else f"nothing is suggested here{why}: "
    return Text(
        f"{nothing}{draft.tokens} tokens in {draft.steps} steps ({per_step} per step), {draft.elapsed_ms:.0f} ms, "
        f"confidence {draft.confidence:.2f}{cut}",
        style="cyan",
    )


def canvas(draft: Draft) -> Group:
    """Returns a step as people watch it: what is decided, then the slots, coloured by confidence."""
    head = Text(f"step {draft.steps:3d}  {draft.kind:7s} {draft.elapsed_ms:7.1f} ms  ", style="cyan")
    if draft.kind == "verify" and draft.slots:
        kept = sum(slot.confidence > 0 for slot in draft.slots)
        head += Text(f"{kept} of {len(draft.slots)} kept  ", style="cyan")
    return Group(head + Text.assemble(*(_cell(slot) for slot in draft.slots)), Text(draft.text, style="green"))


def _cell(slot: Slot) -> tuple[str, str]:
    if slot.masked:
        return MASK_SIGN, "grey50"
    if slot.confidence == 0:
        return slot.text.replace("\n", "↵"), "red strike"
    colour = "green" if slot.confidence > 0.8 else "yellow" if slot.confidence > 0.4 else "red"
    return slot.text.replace("\n", "↵"), colour


async def _shown(backend: Backend, request: FillRequest, watch: bool) -> AsyncGenerator[Draft, None]:
    """Yields the drafts, each drawn as it comes when somebody watches."""
    console = Console(highlight=False)
    async with aclosing(backend.fill(request, watch)) as drafts:
        with Live(console=console, transient=True) as live:
            async for draft in drafts:
                if watch and not draft.final:
                    live.console.print(canvas(draft).renderables[0])
                    live.update(canvas(draft))
                yield draft


def hole_mode(hole: str, prefix: str, suffix: str, language: str) -> HoleMode:
    """Returns how much to fill where a user says `line`, `block`, or `auto`: what the place suggests.

    Raises:
        InvalidInput: when it is none of them.
    """
    if hole == "auto":
        return hole_at(prefix, suffix, language) or "line"
    if hole == "line":
        return "line"
    if hole == "block":
        return "block"
    raise InvalidInput(f"--hole must be line, block or auto, got {hole!r}")
