"""The tables of `drafted-passes-*.json`: what drafts save, ours and llama.cpp's."""

from __future__ import annotations

from collections.abc import Iterator

from records import RESULTS, Column, Figures, load, table

_SETS = {"dev_infill": "`dev`", "HumanEval-SingleLineInfilling": "HumanEval, single lines"}


def _times(*found: float | None) -> str:
    return " / ".join("-" if times is None else f"{times:.2f}" for times in found)


def _of_the_same(figures: Figures, *found: float | None) -> str:
    """How many times as fast: of other texts, which end elsewhere, that says nothing."""
    return _times(*found) if figures["same_text"] == figures["holes"] else "-"


DRAFTS: dict[str, Column] = {
    "": "{name}",
    "tokens a pass": "{tokens_per_pass:.2f}",
    "passes a fill": "{passes_per_fill:.1f}",
    "ms a token": "{ms_per_token:.0f}",
    "ms a fill once read, p50 / p95": "{p50_ms:,.0f} / {p95_ms:,.0f}",
    "with reading": "{fill_p50_ms:,.0f} / {fill_p95_ms:,.0f}",
    "times as fast as one token at a time": lambda _, found: _of_the_same(found, found["times_plain"]),
    "by quarter": lambda _, found: _of_the_same(found, *found["times_plain_by_quarter"]),
    "same texts": "{same_text} of {holes}",
}


def drafts() -> str:
    """A table for each model and set of holes."""
    return "\n".join(_parts())


def _parts() -> Iterator[str]:
    for path in sorted(RESULTS.glob("drafted-passes-*.json")):
        record = load(path.stem)
        model = record["model"].partition("-instruct")[0]
        for group, players in record["sets"].items():
            name, _, which = group.partition(", ")
            holes = next(iter(players.values()))["holes"]
            yield f"**{model}, {_SETS[name]}{which and f', {which}'}**, {holes} holes:\n\n" + table(players, DRAFTS)
