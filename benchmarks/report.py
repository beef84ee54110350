"""Puts every table of `docs/` between the marks of its page, from the files in `benchmarks/results/`; measures nothing.

python benchmarks/report.py
python benchmarks/report.py --curve RUN/log.jsonl   # loss and throughput of any run, as an SVG beside it
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "gpu"))

import catalogue_tables
import draft_tables
import editor_tables
import embedded_tables
import feature_tables
import kernel_tables
import literature
import matplotlib as mpl
import serve_tables
import suggestion_tables
from matplotlib import pyplot as plt
from records import DOCS, RESULTS, Column, Figures, between, load, markdown, table

from coder_model.checkpoints.catalogue import as_table
from coder_model.checkpoints.families import FAMILIES, UNSUPPORTED

FIGURES = DOCS / "figures"
TIMES = {"": "{name}", "p50, ms": "{p50_ms:.2f}", "p99, ms": "{p99_ms:.2f}", "largest, ms": "{max_ms:.2f}"}
RATES = {"preset": "{name}", "show rate, %": "{show_rate:.0f}", "quiet rate, %": "{quiet_rate:.0f}"}
REASONS = {"`model_type`": "`{name}`", "why not": "{reason}"}

NEXT_EDITS: dict[str, Column] = {
    "model": "{name}",
    "something to offer": "{cases}",
    "right": "{right}",
    "wrong": "{wrong}",
    "silent": "{silent}",
    "nothing to offer": "{quiet_cases}",
    "stayed quiet": "{stayed_quiet}",
    "ms p50 / p95": "{ms_p50:,.0f} / {ms_p95:,.0f}",
}
BY_KIND = {
    "renames": ("kinds", "rename"),
    "signatures": ("kinds", "signature"),
    "repeated": ("kinds", "repeated"),
    "no rule": ("kinds", "model"),
}


def next_edits() -> str:
    """What is offered next on cases, of the half that no threshold was chosen by; then by kind, recorded and past."""
    models: Figures = load("next-edit")["models"]
    rows = [
        [
            name,
            *(_shares(found[group][kind], "right", "wrong", "silent") for group, kind in BY_KIND.values()),
            _shares(Counter(one["outcome"] for one in found["recordings"].values()), "right", "wrong", "silent"),
            _shares(_history(found["history"]), "right", "otherwise", "kept"),
            f"{found['history']['edits']:,}",
        ]
        for name, found in models.items()
    ]
    heads = ["model", *BY_KIND, "recordings", "past: right / otherwise / kept", "past edits"]
    held_out = table({name: found["held_out"] for name, found in models.items()}, NEXT_EDITS)
    return f"{held_out}\n{markdown(heads, rows)}"


def _shares(counts: Figures, *names: str) -> str:
    return " / ".join(str(counts.get(name, 0)) for name in names)


def _history(found: Figures) -> Counter[str]:
    return sum((Counter(counts) for counts in found.values() if isinstance(counts, dict)), Counter())


PAGES: dict[str, dict[str, Callable[[], str]]] = {
    "model.md": {
        "measured": lambda: embedded_tables.about(load("eval-dev")),
        "comparison": embedded_tables.comparison,
        "kinds": partial(embedded_tables.split, "kind", "kind"),
        "languages": partial(embedded_tables.split, "lang", "language"),
        "humaneval": embedded_tables.human_eval,
        "calibration": embedded_tables.reliability,
    },
    "server.md": {
        "exact": suggestion_tables.through_the_server,
        "quiet": lambda: table(load("quiet")["presets"], RATES),
        "keystrokes": lambda: table(load("keystrokes")["figures"], TIMES),
        "rewrite": suggestion_tables.rewritten,
        "ordinary": suggestion_tables.ordinary,
        "next_edit": next_edits,
        "drawn": editor_tables.drawn,
        "first_minute": editor_tables.first_minute,
        "typing": suggestion_tables.typing,
        "reliability": lambda: table(load("reliability"), {"test": "{name}", "seen": suggestion_tables.seen}),
    },
    "decoding.md": {"drafts": draft_tables.drafts, "features": feature_tables.features},
    "models.md": {
        "scores": catalogue_tables.scores,
        "llama_cpp": catalogue_tables.beside_llama_cpp,
        "catalogue": lambda: "\n".join(as_table()) + "\n",
        "precision": catalogue_tables.precisions,
    },
    "literature.md": {
        "comparison": literature.comparison,
        "bounds": literature.bounds,
        "samplers": literature.samplers,
        "caches": literature.caches,
        "steps": literature.step_by_step,
    },
    "published.md": {
        "families": lambda: table(
            ((one.name, catalogue_tables.family(one)) for one in FAMILIES), catalogue_tables.FAMILY
        ),
        "unsupported": lambda: table({kind: {"reason": why} for kind, why in UNSUPPORTED.items()}, REASONS),
    },
    "shared-server.md": {"levels": serve_tables.levels, "load": serve_tables.under_load},
    "promises.md": {"promises": serve_tables.promised},
    "kernels-measured.md": {
        "floor": kernel_tables.floors,
        "steps": kernel_tables.steps,
        "kernels": kernel_tables.operations,
        "rows": kernel_tables.by_rows,
        "ahead": kernel_tables.ahead,
        "processor": kernel_tables.processor,
    },
}


def page(name: str) -> str:
    """Returns a page with its tables as the results have them."""
    return between((DOCS / name).read_text("utf-8"), {mark: make() for mark, make in PAGES[name].items()})


def draw_reliability(folder: Path) -> None:
    """Draws how often suggestions are right, by what the engine says of them."""
    figure, axes = plt.subplots(figsize=(3.6, 3.6))
    axes.plot([0, 1], [0, 1], ":", color="grey")
    axes.plot(*zip(*((row["said"], row["right"]) for _, row in embedded_tables.bins()), strict=True), "o-")
    axes.set(xlabel="confidence", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1))
    _save(figure, folder / "reliability.svg")


def draw_llama_cpp(folder: Path) -> None:
    """Draws which share of the lines is there by when, ours and llama.cpp's, with nothing kept and while typing."""
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True)
    for axes, (kind, times) in zip(panels, load("llama-cpp")["ms"].items(), strict=True):
        for name, found in times.items():
            axes.step(sorted(found), [100 * (count + 1) / len(found) for count in range(len(found))], label=name)
        axes.set(xscale="log", xlabel=f"ms to the line, {kind}")
    panels[0].set(ylabel="share of the lines, %", ylim=(0, 100))
    panels[1].legend(fontsize=7)
    _save(figure, folder / "llama-cpp.svg")


def draw_curve(log: Path, picture: Path) -> None:
    """Draws losses and throughput of a run against tokens; records without validation give the throughput only."""
    rows: list[dict[str, Any]] = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4))
    phases = list(dict.fromkeys(row.get("phase", "") for row in rows))
    for loss, colour in (("autoregressive", "C0"), ("middle", "C1"), ("full", "C2"), ("partial", "C3")):
        for phase in phases:
            seen = [r for r in rows if r.get("phase", "") == phase and r.get(f"valid_{loss}")]
            label = loss if phase == phases[-1] else None
            left.plot([r["tokens"] / 1e6 for r in seen], [r[f"valid_{loss}"] for r in seen], color=colour, label=label)
    left.set(xlabel="million tokens", ylabel="validation loss, nats per token")
    left.legend(fontsize=7)
    right.plot([r["tokens"] / 1e6 for r in rows], [r["tokens_per_second"] for r in rows], ".", markersize=2)
    right.set(xlabel="million tokens", ylabel="tokens per second", ylim=(0, None))
    _save(figure, picture)


def _save(figure: Any, picture: Path) -> None:
    """Writes an SVG, the same bytes for the same figures."""
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(picture, metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    """Writes the pages and their figures, or the curve of one run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--curve", type=Path, help="log.jsonl of a run")
    log: Path | None = parser.parse_args().curve
    mpl.rcParams["svg.hashsalt"] = "unmask"
    mpl.use("svg")
    if log:
        draw_curve(log, log.with_suffix(".svg"))
        return
    for name in PAGES:
        (DOCS / name).write_text(page(name), "utf-8")
    draw_reliability(FIGURES)
    draw_llama_cpp(FIGURES)
    for picture, draw in literature.PICTURES.items():
        _save(draw(), FIGURES / picture)
    draw_curve(RESULTS / "training.jsonl", FIGURES / "training.svg")


if __name__ == "__main__":
    main()
