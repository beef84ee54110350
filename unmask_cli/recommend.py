"""`unmask models recommend`: which model suits this machine, by what it has and by what was measured on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from coder_model.checkpoints.catalogue import Entry
from lsp_server.backends.factory import PATIENCE
from unmask_cli.hardware import Hardware

MEMORY_SHARE = 0.5
"""Of the memory, for the model: the editor, its other servers and a build want the rest."""
CARD_SHARE = 0.9
FILE_FACTOR, FILE_MORE_GB = 2.0, 0.1
"""Memory of a model of one file: the 0.5B, of 0.49 GB, takes 1.07 together with the server."""
DISK_FACTOR = 2.0
"""Disk for a model of one file: what is prepared of it for this processor is about as large (435 MB of 0.49 GB)."""
CARD_MORE_GB = 1.5
"""Memory on a card beside the weights, for context and work."""
PRECISIONS = ("bfloat16", "int8", "int4")


@dataclass(frozen=True, slots=True)
class Advice:
    """A model, and whether it suits this machine."""

    name: str
    to_fetch: str
    memory_gb: float
    time: str
    """Of a usual suggestion, for people."""
    problem: str
    """Why it does not suit this machine; empty where it does."""


def choices(
    entries: Iterable[Entry],
    has: Hardware,
    installed: set[str],
    measured: Callable[[Entry], float | None],
    expected: Callable[[float, float], float],
    target_ms: float,
) -> list[Advice]:
    """Returns the models that could be taken, from the smallest to the largest; the best is the last without a problem.

    On a processor those of one file: the smallest, and each larger one as long as the one before it has shown that the
    next may be fast enough. On a card also the first of the catalogue that it has memory for.

    Args:
        entries: of the catalogue, in its order.
        has: what this machine has.
        installed: names of the models that are here already.
        measured: milliseconds of a suggestion by a model on this machine, None where nobody knows.
        expected: the same by a larger model: of the smaller one's, and how many times larger it is.
        target_ms: most milliseconds that a suggestion should take; of the smallest model `PATIENCE` times as many.
    """
    usable = [entry for entry in entries if entry.infills and not entry.warning]
    found: list[Advice] = []
    # of the last model whose time is known: its time, and its parameters
    known: tuple[float, float] | None = None
    for entry in sorted((entry for entry in usable if entry.file), key=lambda entry: entry.parameters):
        ms, time = measured(entry), "not measured yet"
        if ms is not None:
            known, time = (ms, entry.parameters), f"{ms:.0f} ms, measured here"
        elif known:
            ms = expected(known[0], entry.parameters / known[1])
            time = f"about {ms:.0f} ms, by the smaller one's"
        problem = _lack(entry, has, entry.name in installed)
        limit_ms = target_ms if found else PATIENCE * target_ms
        if not problem and ms is not None and ms > limit_ms:
            problem = f"too slow: {limit_ms:.0f} ms are the limit (by targetMs)"
        elif not problem and ms is None and found:
            problem = f"known to be fast enough once {found[-1].name} is measured"
        found.append(Advice(entry.name, entry.to_fetch, _memory_gb(entry), time, problem))
    return [*found, *_for_card(usable, has, installed)]


def best(found: list[Advice]) -> Advice | None:
    """Returns the largest that suits this machine, None where none does."""
    return next((choice for choice in reversed(found) if not choice.problem), None)


def _lack(entry: Entry, has: Hardware, is_installed: bool) -> str:
    """What this machine lacks for a model of one file."""
    assert entry.file
    if has.memory_bytes and _memory_gb(entry) > MEMORY_SHARE * has.memory_bytes / 1e9:
        return f"too large: more than half of {has.memory_bytes / 1e9:.1f} GB of memory"
    wanted = 0.0 if is_installed else DISK_FACTOR * entry.file.bytes
    if wanted > has.free_disk_bytes:
        return f"too large: {wanted / 1e9:.1f} GB must be free, {has.free_disk_bytes / 1e9:.1f} GB are"
    return ""


def _memory_gb(entry: Entry) -> float:
    assert entry.file
    return FILE_FACTOR * entry.file.bytes / 1e9 + FILE_MORE_GB


def _for_card(usable: list[Entry], has: Hardware, installed: set[str]) -> list[Advice]:
    """The first model of several files that a card has memory for, in the best precision that fits."""
    room = CARD_SHARE * has.card.memory_bytes / 1e9 - CARD_MORE_GB if has.card else 0.0
    for entry in usable:
        fitting = [precision for precision in PRECISIONS if entry.gigabytes(precision) <= room]
        if entry.file or not fitting:
            continue
        needed = entry.gigabytes("bfloat16") * 1e9
        short = f"too large: {needed / 1e9:.1f} GB must be free on the disk"
        problem = "" if entry.name in installed or needed <= has.free_disk_bytes else short
        memory = entry.gigabytes(fitting[0]) + CARD_MORE_GB
        return [Advice(entry.name, entry.to_fetch, memory, f"on the card, in {fitting[0]}", problem)]
    return []
