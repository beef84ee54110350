"""Builds `docs/model.md` and its figures from the files in `benchmarks/results/`; measures nothing itself.

.venv/bin/python benchmarks/report.py
.venv/bin/python benchmarks/report.py --curve RUN/log.jsonl     # loss and throughput of any run, as an SVG beside it
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from tables import DOCS, RESULTS, load, percent, table

FIGURES = DOCS / "figures"
BINS = 10
PUBLISHED = (
    ("CodeGemma 2B", "78.4", "51.4", "-", "arXiv:2406.11409"),
    ("DeepSeek-Coder 1.3B", "79.5", "-", "-", "third party"),
    ("Qwen2.5-Coder 0.5B", "74.2", "-", "-", "third party"),
    ("Open-dCoder 0.5B, diffusion, lengths fixed", "32.5", "-", "-", "Open-dLLM readme"),
    ("LLaMA2 7B, 2-shot", "26.9", "-", "-", "LLaDA paper"),
    ("DreamOn 7B, diffusion, length unknown, 4 tokens a step", "78.8", "-", "-", "a GitHub lab log"),
)
"""HumanEval-Infilling pass@1 in percent (single line, several lines, random span) as their sources give it."""


def comparison() -> str:
    """The shipped model against the earlier one and the baselines."""
    now, tests = load("eval-dev.json")["figures"], load("eval-humaneval-single.json")["figures"]
    before, before_tests = load("eval-dev-earlier-weights.json")["figures"], load("eval-humaneval-earlier-weights.json")
    untested: dict[str, Any] = {}
    compared = (
        ("**shipped**", now["model"], tests["model"]),
        ("earlier weights, this engine", before["model"], before_tests["figures"]["model"]),
        ("earlier weights, earlier engine", load("eval-dev-earlier.json")["figures"]["model"], untested),
        ("shipped, one token at a time", now["one token at a time"], tests["one token at a time"]),
        ("shipped, without copies", now["model without copies"], tests["model without copies"]),
        ("copy baseline, no model", now["copy baseline"], tests["copy baseline"]),
    )
    rows = []
    for title, groups, tested in compared:
        everything, single = groups["all"], groups["mode=single"]
        is_model = everything["steps"] > 0
        rows.append(
            [
                title,
                percent(everything, "exact", "first_line", "similarity"),
                percent(single, "exact"),
                percent(groups["copyable=False"], "exact"),
                percent(tested["all"], "passed") if tested else "-",
                f"{everything['parses']:.0f}" if "parses" in everything else "-",
                f"{everything['steps']:.1f} / {everything['tokens_per_step']:.1f}" if is_model else "-",
                f"{single['p50_ms']:.0f} / {single['p95_ms']:.0f}" if is_model else "-",
            ]
        )
    heads = ["", "exact / first line / similarity, %", "single lines, exact", "not copyable, exact"]
    heads += ["HumanEval single line, pass@1", "still parses", "steps per case / tokens per step"]
    heads += ["p50 / p95 ms, single lines"]
    return "`dev`, 354 cases from projects the model has not seen, asked as the engine is.\n\n" + table(heads, rows)


def split(key: str, title: str) -> str:
    """Exact match of the shipped model by one field."""
    figures = load("eval-dev.json")["figures"]
    rows = [
        [
            name.partition("=")[2],
            str(group["n"]),
            percent(group, "exact", "similarity"),
            percent(figures["copy baseline"][name], "exact"),
        ]
        for name, group in figures["model"].items()
        if name.startswith(f"{key}=")
    ]
    return table([title, "n", "exact / similarity", "copy baseline exact"], rows)


def human_eval() -> str:
    """HumanEval-Infilling beside published figures."""
    found = {kind: load(f"eval-humaneval-{kind}.json")["figures"] for kind in ("single", "multi", "span")}
    rows = []
    for title, name in (("**unmask, 6.5 M parameters**", "model"), ("copy baseline", "copy baseline")):
        rows.append([title, *(f"{found[kind][name]['all']['passed']:.1f}" for kind in found), "measured here"])
    counts = ", ".join(f"{kind} {figures['model']['all']['n']}" for kind, figures in found.items())
    heads = ["pass@1, %", "single line", "several lines", "random span", "source"]
    return table(heads, [*rows, *PUBLISHED]) + f"\nCases run here: {counts}.\n"


def pareto() -> str:
    """The table and the figure of quality against steps."""
    record = load("pareto.json")
    figure, axes = plt.subplots(figsize=(6, 3.6))
    names = list(dict.fromkeys(row["name"] for row in record["rows"]))
    for name in names:
        points = [row for row in record["rows"] if row["name"] == name]
        style = "o-" if len(points) > 1 else "s"
        axes.plot([p["steps"] for p in points], [p["exact"] for p in points], style, label=name, markersize=4)
    axes.set(xlabel="passes per case", ylabel="exact match, %", xscale="log")
    axes.legend(fontsize=7)
    save(figure, "pareto")
    rows = [
        [
            row["name"],
            str(row["options"].get("max_steps", "-")),
            percent(row, "exact", "similarity"),
            f"{row['steps']:.1f}",
            f"{row['tokens_per_step']:.1f}",
            f"{row['p50_ms']:.0f}",
        ]
        for row in record["rows"]
    ]
    heads = ["policy", "steps per block", "exact / similarity", "passes per case", "tokens per pass", "p50 ms"]
    return f"![quality against passes](figures/pareto.svg)\n\n{record['cases']} single lines of `dev`.\n\n" + table(
        heads, rows
    )


def reliability() -> str:
    """How often a suggestion is right, by what the engine says of it."""
    cases = [case for name in ("eval-dev.json", "eval-held-out.json") for case in load(name)["cases"]["model"]]
    bins: list[list[dict[str, Any]]] = [[] for _ in range(BINS)]
    for case in cases:
        if case["text"]:
            bins[min(BINS - 1, int(case["confidence"] * BINS))].append(case)
    total = sum(map(len, bins))
    rows, gap = [], 0.0
    figure, axes = plt.subplots(figsize=(3.6, 3.6))
    axes.plot([0, 1], [0, 1], ":", color="grey")
    points = []
    for index, members in enumerate(bins):
        if members:
            said = sum(case["confidence"] for case in members) / len(members)
            right = sum(case["exact"] for case in members) / len(members)
            gap += abs(said - right) * len(members) / total
            points.append((said, right))
            place = f"{index / BINS:.1f} to {(index + 1) / BINS:.1f}"
            rows.append([place, str(len(members)), f"{100 * said:.0f}", f"{100 * right:.0f}"])
    axes.plot(*zip(*points, strict=True), "o-")
    axes.set(xlabel="confidence", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1))
    save(figure, "reliability")
    return (
        "![reliability](figures/reliability.svg)\n\n"
        + table(["confidence", "suggestions", "mean confidence, %", "right, %"], rows)
        + f"\nMean distance between the two, weighted: {100 * gap:.1f} points over {total} suggestions. Confidence is "
        "the geometric mean of the tokens' probabilities; right means equal to the reference.\n"
    )


def curves() -> str:
    """The learning curves of the shipped weights."""
    rows = [json.loads(line) for line in (RESULTS / "training.jsonl").read_text("utf-8").splitlines()]
    draw_curves(rows, "training")
    return "![learning curves](figures/training.svg)\n"


def draw_curves(rows: list[dict[str, Any]], name: str, folder: Path | None = None) -> None:
    """Losses and throughput against tokens; records without validation give the throughput only."""
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
    save(figure, name, folder)


def save(figure: Any, name: str, folder: Path | None = None) -> None:
    """Writes an SVG, the same bytes for the same figures."""
    folder = folder or FIGURES
    folder.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)


def ablations() -> str:
    """One change each at equal tokens."""
    record = load("ablations.json")
    first = record["rows"][0]
    losses = ("autoregressive", "middle", "full", "partial")
    rows = []
    for row in record["rows"]:
        changed = [f"{row[name]:.3f} ({row[name] - first[name]:+.3f})" for name in losses]
        rest = [f"{row['per_byte']:.3f}", f"{row['run']:.2f}", f"{row['sure']:.1f} / {row['right_where_sure']:.0f}"]
        rows.append([row["question"], row["change"], *changed, *rest])
    heads = ["question", "change", "autoregressive", "middles", "masked whole", "masked in part", "nats per byte"]
    heads += ["right slots in a row", "sure / right, %"]
    return f"{record['parameters']}, {record['tokens'] / 1e6:.1f} M tokens each.\n\n" + table(heads, rows)


def drafts() -> str:
    """What drafts bring."""
    record = load("drafts.json")
    rows = [
        [row["name"], percent(row, "exact", "similarity"), f"{row['steps']:.1f}", f"{row['tokens_per_step']:.1f}"]
        for row in record["rows"]
    ]
    typing = [
        [row["name"], str(row["keys"]), f"{row['steps']:.1f}", f"{row['p50_ms']:.0f} / {row['p95_ms']:.0f}"]
        for row in record["typing"]
    ]
    points, half = record["gain_of_snippets"]
    return (
        table(["held-out Python holes", "exact / similarity", "passes per case", "tokens per pass"], rows)
        + f"\nSnippets, shown and copied from: {points:+.1f} ± {half:.1f} points of exact match.\n\n"
        + table(["one more key typed along a suggestion", "keys", "passes", "p50 / p95 ms"], typing)
    )


def fine_tuning() -> str:
    """What `unmask train --init --corpus` did."""
    rows = load("fine-tuning.json")["rows"]
    return table(
        ["repository, never seen", "minutes", "held-out holes", "exact match, %", "loss of middles, nats"],
        [
            [
                row["repository"],
                str(row["minutes"]),
                str(row["cases"]),
                f"{row['exact_before']:.1f} → {row['exact_after']:.1f} ({row['gain']:+.1f} ± {row['interval']:.1f})",
                f"{row['loss_before']:.2f} → {row['loss_after']:.2f}",
            ]
            for row in rows
        ],
    )


def memorisation() -> str:
    """Verbatim runs."""
    record = load("memorisation.json")
    return (
        f"Of {record['prompts']} prompts from the training text, {record['verbatim']} were gone on with 50 or more "
        f"tokens as the file does; the longest run was {record['longest']} tokens, the mean {record['mean']:.1f}.\n"
    )


def report() -> str:
    """Returns the whole document."""
    about = load("eval-dev.json")
    sections = [
        ("", f"Built by `benchmarks/report.py`. Measured {about['date'][:10]} on {about['processor']}, torch "
         f"{about['torch']}, without a GPU. What the weights are made of: `coder_model/default/MODEL_CARD.md`.\n"),
        ("Against the earlier model and the baselines", comparison()),
        ("By kind of cursor", split("kind", "kind")),
        ("By language", split("lang", "language")),
        ("HumanEval-Infilling", human_eval()),
        ("Quality against passes", pareto()),
        ("Calibration", reliability()),
        ("Drafts", drafts()),
        ("Fine-tuning on one repository", fine_tuning()),
        ("Memorisation", memorisation()),
        *([("Ablations", ablations())] if (RESULTS / "ablations.json").exists() else []),
        ("Learning curves", curves()),
    ]  # fmt: skip
    return "# The embedded model, measured\n" + "".join(f"\n## {t}\n\n{s}" if t else f"\n{s}" for t, s in sections)


def main() -> None:
    """Writes the report, or the curve of one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--curve", type=Path, help="log.jsonl of a run")
    arguments = parser.parse_args()
    mpl.rcParams["svg.hashsalt"] = "unmask"
    mpl.use("svg")
    if arguments.curve:
        rows = [json.loads(line) for line in arguments.curve.read_text("utf-8").splitlines()]
        draw_curves(rows, arguments.curve.stem, arguments.curve.parent)
    else:
        (DOCS / "model.md").write_text(report(), "utf-8")


if __name__ == "__main__":
    main()
