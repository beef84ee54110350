"""The tables of `docs/shared-server.md` and `docs/promises.md`, each a function of the results."""

from __future__ import annotations

from string import Formatter
from typing import Any

from nightly import promises
from records import Column, Figures, load, markdown, table

LEVELS: dict[str, Column] = {
    "level": "{name}",
    "cases": "{n}",
    "exact / similarity, %": "{exact:.1f} / {similarity:.1f}",
    "empty, %": "{empty:.1f}",
    "passes a case": "{steps:.1f}",
    "ms p50 / p95": "{p50_ms:.0f} / {p95_ms:.0f}",
}


def levels() -> str:
    """What is right at each level of a shared server."""
    found = load("serve-levels")
    return f"{found['model']}:\n\n{table(found['levels'], LEVELS)}"


def under_load() -> str:
    """What became of requests in each phase, and on what."""
    found = load("serve-load")
    about = (
        f"{found['replicas']} workers with the {found['model']} model on {found['processor']}, {found['date'][:10]}: "
        f"{found['capacity_per_s']} requests a second are all that they do while people and server share the cores. "
        f"Deadline {found['deadline_ms']:.0f} ms, {found['seconds']:.0f} s a phase. "
        f"{found['recovery_s']} s after the overload a request was answered again.\n"
    )
    columns: dict[str, Column] = {
        "phase": "{name}",
        "asked / answered a second": "{asked_per_s} / {answered_per_s}",
        "ms p50 / p95": "{p50_ms} / {p95_ms}",
        "ends": lambda _, one: _counts(one["statuses"]),
        "levels of the answers": lambda _, one: _counts(one["levels"]),
    }
    return f"{about}\n{table(found['phases'], columns)}"


def promised() -> str:
    """Each promise, what is aimed at, and what was seen of it."""
    seen: Figures = load("nightly")["promises"]
    heads = ["", "promise", "aimed at", "outcome", "seen"]
    rows = []
    for one in promises():
        found = seen.get(str(one["number"]), {"outcome": "not run yet"})
        rows.append([str(one["number"]), one["what"], one["aim"], found["outcome"], _seen(one, found)])
    return markdown(heads, rows)


class _Words(Formatter):
    """Counts as words."""

    def format_field(self, value: Any, format_spec: str) -> str:
        return _counts(value) if isinstance(value, dict) else str(super().format_field(value, format_spec))


def _seen(promise: Figures, found: Figures) -> str:
    if "seen" in found:
        return str(found["seen"])
    tests = [_counts(found["tests"])] if found.get("tests") else []
    measured: Figures = found.get("figures", {})
    if "seen" in promise:
        figures = [_Words().format(promise["seen"], **measured)] if measured else []
    else:
        figures = [f"{name}: {_counts(one)}" for name, one in measured.items()]
    commit = [f"at {found['commit']}, {found['seconds']} s"] if found.get("commit") else []
    return "; ".join([*tests, *figures, *commit])


def _counts(counts: Figures) -> str:
    return ", ".join(f"{name} {value}" for name, value in counts.items()) or "-"
