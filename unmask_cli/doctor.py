"""`unmask doctor`: is everything there that a completion needs?"""

from __future__ import annotations

import math
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table

from coder_model.checkpoints import prepared_files
from coder_model.checkpoints.store import Store
from coder_model.engine.options import EngineOptions
from coder_model.errors import lacks_packages
from coder_model.types import Cancelled, FillRequest, InvalidInput
from lsp_server.backends import worker_socket
from lsp_server.backends.base import Backend, BackendUnavailable
from lsp_server.backends.factory import PATIENCE, chosen_backend, embedded, model_rungs, offer
from lsp_server.backends.model_times import ModelTimes
from lsp_server.usage_stats import default_folder
from lsp_server.user_settings import AUTO, UserSettings

PACKAGES = ("pygls", "lsprotocol", "msgspec", "tree-sitter", "torch", "tokenizers", "safetensors")
MIN_PYTHON = (3, 11)
MIN_FREE = 100 << 20
"""Bytes, for a corpus of one's own or a record; a model needs more, which `models pull` says."""


async def examine(read_user: Callable[[], UserSettings]) -> bool:
    """Prints a table of checks; returns True when all of them passed."""
    console = Console()
    with Console(stderr=True).status("every model is loaded and asked, one after the other"):
        checks = [*_installed(), *_folders(), *[check async for check in _models(read_user)]]
    # a name that is cut can neither be read nor copied
    table = Table(Column("check", overflow="fold"), Column("result", overflow="fold"), "")
    for name, found, good in checks:
        table.add_row(name, found, "[green]ok" if good else "[red]wrong")
    console.print(table)
    return all(good for _, _, good in checks)


def _installed() -> Iterator[tuple[str, str, bool]]:
    found = sys.version.split()[0]
    yield "Python", f"{found} (at least {'.'.join(map(str, MIN_PYTHON))})", sys.version_info >= MIN_PYTHON
    for package in PACKAGES:
        try:
            yield package, version(package), True
        except PackageNotFoundError:
            yield package, lacks_packages("model"), False
    here = Path(sys.executable).with_name("unmask")
    program = shutil.which("unmask") or f"{here}: not on the PATH, an editor must be given this whole name"
    yield "program", program, True


def _folders() -> Iterator[tuple[str, str, bool]]:
    """Where the windows meet their worker, and what is kept for the user."""
    try:
        yield "socket", f"{worker_socket.folder()}", True
    except BackendUnavailable as error:
        yield "socket", str(error), False
    for name, folder, lost, variable in (
        ("statistics", default_folder(), "nothing is counted or logged, `unmask http` has no key", "XDG_STATE_HOME"),
        ("models", Store().folder, "no model can be fetched or trained", "XDG_DATA_HOME"),
        ("cache", prepared_files.folder(), "a large model takes seconds longer to load", "XDG_CACHE_HOME"),
    ):
        yield room(name, folder, f"{lost}; ${variable} may name another folder")


def room(name: str, folder: Path, lost: str) -> tuple[str, str, bool]:
    """Returns the check whether a folder can be written, there or made: a byte is, where there is room for it."""
    try:
        there = next(one for one in (folder, *folder.parents) if one.exists())
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"\n")
            file.flush()
        free = shutil.disk_usage(there).free
    except OSError as error:
        return name, f"{folder}: {error.strerror}: {lost}", False
    few = f"{folder}: {free / 1e6:,.0f} MB are free, {MIN_FREE / 1e6:,.0f} MB must be"
    return (name, few, False) if free < MIN_FREE else (name, f"{folder} ({free / 1e9:.1f} GB are free)", True)


async def _models(read_user: Callable[[], UserSettings]) -> AsyncIterator[tuple[str, str, bool]]:
    """Asks the model that the user has chosen for one completion, or all that `auto` may choose from."""
    try:
        user = read_user()
        if user.remote or user.verifier or user.model not in ("", AUTO):
            yield await _answer("model", chosen_backend(user, EngineOptions(), user.target_ms))
            return
        backend = embedded(EngineOptions())
        yield await _answer("model: embedded", backend)
    except InvalidInput as error:
        yield "model", str(error), False
        return
    rungs, times = model_rungs(user, EngineOptions(), user.target_ms), ModelTimes()
    for rung in rungs:
        worker = rung.make()
        yield await _answer(f"model: {rung.name}", worker)
        if worker.ready:
            times.note(rung.key, worker.ready.suggestion_ms)
    fast = [rung.name for rung in rungs if (times.of(rung.key) or math.inf) <= rung.limit_ms]
    taken = fast[-1] if fast else f"embedded; {offer()}" if not rungs else "embedded"
    yield "auto", f"takes {taken} (targetMs is {user.target_ms:.0f}; the smallest may take {PATIENCE} times that)", True


async def _answer(name: str, backend: Backend) -> tuple[str, str, bool]:
    """Asks one model for one completion."""
    await backend.start()
    began = time.perf_counter()
    try:
        await backend.wait_ready()
        ready_s = time.perf_counter() - began
        request = FillRequest("doctor", "def add(a, b):\n    return ", "\n", path="add.py")
        async for draft in backend.fill(request):
            last = draft
    except (BackendUnavailable, Cancelled) as error:
        return name, str(error), False
    finally:
        await backend.close()
    return name, f"{backend.description}, ready in {ready_s:.1f} s, answered in {last.elapsed_ms:.0f} ms", True
