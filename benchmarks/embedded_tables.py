"""The tables of `docs/model.md`, each a function of the results."""

from __future__ import annotations

from records import Column, Figures, load, markdown, table

BINS = 10

LITERATURE = (
    ("CodeGemma 2B", "78.4", "51.4", "-", "arXiv:2406.11409"),
    ("DeepSeek-Coder 1.3B", "79.5", "-", "-", "third party"),
    ("Qwen2.5-Coder 0.5B", "74.2", "-", "-", "third party"),
    ("Open-dCoder 0.5B, diffusion, lengths fixed", "32.5", "-", "-", "Open-dLLM readme"),
    ("LLaMA2 7B, 2-shot", "26.9", "-", "-", "LLaDA paper"),
    ("DreamOn 7B, diffusion, length unknown, 4 tokens a step", "78.8", "-", "-", "a GitHub lab log"),
)
"""HumanEval-Infilling pass@1 in percent (single line, several lines, random span) as their sources give it."""

EXACT = "{exact:.1f} / {similarity:.1f}"


def about(record: Figures) -> str:
    """When, on what and with which torch."""
    return f"Measured {record['date'][:10]} on {record['processor']}, torch {record['torch']}, without a GPU.\n"


def comparison() -> str:
    """The shipped weights, ways of asking them, and the copy baseline."""
    found, tested = load("eval-dev")["figures"], load("eval-humaneval-single")["figures"]
    names = {"**shipped**": "model"} | {name: name for name in found if name != "model"}

    def of(group: str, form: str) -> Column:
        return lambda name, _: form.format(**found[names[name]][group]) if found[names[name]]["all"]["steps"] else "-"

    columns: dict[str, Column] = {
        "": "{name}",
        "exact / first line / similarity, %": "{exact:.1f} / {first_line:.1f} / {similarity:.1f}",
        "single lines, exact": lambda name, _: f"{found[names[name]]['mode=single']['exact']:.1f}",
        "not copyable, exact": lambda name, _: f"{found[names[name]]['copyable=False']['exact']:.1f}",
        "HumanEval single line, pass@1": lambda name, _: f"{tested[names[name]]['all']['passed']:.1f}",
        "still parses": "{parses:.0f}",
        "steps per case / tokens per step": of("all", "{steps:.1f} / {tokens_per_step:.1f}"),
        "p50 / p95 ms, single lines": of("mode=single", "{p50_ms:.0f} / {p95_ms:.0f}"),
    }
    return table({title: found[name]["all"] for title, name in names.items()}, columns)


def split(key: str, title: str) -> str:
    """Exact match of the shipped model by one field."""
    figures = load("eval-dev")["figures"]
    copied = figures["copy baseline"]
    rows = {name: group for name, group in figures["model"].items() if name.startswith(f"{key}=")}
    columns: dict[str, Column] = {
        title: lambda name, _: name.partition("=")[2],
        "n": "{n}",
        "exact / similarity": EXACT,
        "copy baseline exact": lambda name, _: f"{copied[name]['exact']:.1f}",
    }
    return table(rows, columns)


def human_eval() -> str:
    """HumanEval-Infilling beside published figures."""
    found = {kind: load(f"eval-humaneval-{kind}")["figures"] for kind in ("single", "multi", "span")}
    rows: list[tuple[str, ...]] = []
    for title, name in (("**unmask, 6.5 M parameters**", "model"), ("copy baseline", "copy baseline")):
        rows.append((title, *(f"{one[name]['all']['passed']:.1f}" for one in found.values()), "measured here"))
    counts = ", ".join(f"{kind} {figures['model']['all']['n']}" for kind, figures in found.items())
    heads = ["pass@1, %", "single line", "several lines", "random span", "source"]
    return markdown(heads, [*rows, *LITERATURE]) + f"\nCases run here: {counts}.\n"


def bins() -> list[tuple[str, Figures]]:
    """Suggestions by what the engine says of them: how many, how likely it says they are, how many are right."""
    cases = [case for name in ("eval-dev", "eval-held-out") for case in load(name)["cases"]["model"] if case["text"]]
    rows = []
    for index in range(BINS):
        members = [case for case in cases if min(BINS - 1, int(case["confidence"] * BINS)) == index]
        if members:
            said, right = (sum(case[key] for case in members) / len(members) for key in ("confidence", "exact"))
            place = f"{index / BINS:.1f} to {(index + 1) / BINS:.1f}"
            rows.append((place, {"n": len(members), "said": said, "right": right}))
    return rows


def reliability() -> str:
    """How often a suggestion is right, by what the engine says of it."""
    rows = bins()
    total = sum(row["n"] for _, row in rows)
    gap = sum(abs(row["said"] - row["right"]) * row["n"] for _, row in rows) / total
    columns: dict[str, Column] = {
        "confidence": "{name}",
        "suggestions": "{n}",
        "mean confidence, %": lambda _, row: f"{100 * row['said']:.0f}",
        "right, %": lambda _, row: f"{100 * row['right']:.0f}",
    }
    return f"{table(rows, columns)}\nMean distance, weighted: {100 * gap:.1f} points over {total} suggestions.\n"
