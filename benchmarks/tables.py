"""The tables of `docs/model.md`, `docs/server.md` and `docs/models.md`, each a function of the results."""

from __future__ import annotations

from records import Column, Figures, load, markdown, table

from coder_model.checkpoints.families import Family

BINS = 10
FORMS = {
    "between": "prefix, slots, suffix",
    "left_to_right": "prefix alone",
    "prefix_first": "prefix, suffix, then the middle",
    "suffix_first": "suffix, prefix, then the middle",
    "appended": "suffix, then prefix and middle as one text",
}
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


# docs/model.md


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


# docs/server.md


def through_the_server() -> str:
    """Exact match and similarity by cursor kind, with filters and without, and how often something is shown."""
    found = load("exact")
    shipped, *others = found["variants"]
    groups = found["variants"][shipped]
    form = EXACT + " / {shown:.1f}"
    columns: dict[str, Column] = {"exact / similarity / shown, %": "{name}", "n": "{n}", shipped: form}
    columns |= {other: lambda name, _, o=other: form.format(**found["variants"][o][name]) for other in others}
    gain, half = found["filters_gain_points"]
    rows = ((name, groups[name]) for name in sorted(groups, key=lambda name: (name != "all", name)))
    return f"""{table(rows, columns)}
The filters change exact match by {gain:+.1f} ± {half:.1f} points (eager). Request to reply, each case a new document:
p50 / p95 {groups["all"]["p50_ms"]:.0f} / {groups["all"]["p95_ms"]:.0f} ms.
"""


def typing() -> str:
    """Typing replayed: a row for each figure, a column for each client."""
    found = load("typing")
    wanted = {
        "ghost text shown, of the requests": "{shown} of {requests}",
        "request to reply, p50 / p95 ms": "{p50_ms:.1f} / {p95_ms:.1f}",
        "where something is shown, p50 / p95 ms": "{shown_p50_ms:.1f} / {shown_p95_ms:.1f}",
        "answered without the model": "{remembered}",
        "runs of the model per ghost text": "{fills_per_shown:.2f}",
        "runs that showed nothing (given up as unlikely)": "{fills_not_shown} ({of_them_unlikely})",
        "memory, front / worker, MB": "{front_mb:.0f} / {worker_mb:.0f}",
    }
    rows = [[title, *(form.format(**client) for client in found["clients"].values())] for title, form in wanted.items()]
    text = markdown([f"{found['keys']} keys, 150 to 200 ms apart", *found["clients"]], rows)
    if soak := found.get("soak"):
        text += f"""
{soak["minutes"]:g} minutes of typing without pauses, {soak["keys"]:,} keys in {soak["documents"]} documents:
the front grew by {soak["grown_mb"]["front"]:.1f} MB to {soak["front_mb"]:.0f} MB, the worker by
{soak["grown_mb"]["worker"]:.1f} MB.
"""
    return text


def seen(_: str, figures: Figures) -> str:
    """What a long run of the tests has counted."""
    return ", ".join(f"{key.replace('_', ' ')} {value:,}" for key, value in figures.items())


# docs/models.md


def family(one: Family) -> Figures:
    """What of a family stands in the table."""
    form = FORMS[one.form] + (", expands and deletes" if one.expand else "")
    for measured in dict.fromkeys(one.measured.values()):
        sizes = " or ".join(str(size) for size, name in one.measured.items() if name == measured)
        form += f"; with a hidden size of {sizes}: {FORMS[measured]}"
    return {
        "types": ", ".join(f"`{kind}`" for kind in sorted(one.model_types)),
        "attention": one.attention.replace("_", " "),
        "shift": "the slot before it" if one.shifted else "the slot itself",
        "form": form,
        "block": one.block_length if one.attention in ("block_causal", "causal_context") else "-",
    }


FAMILY: dict[str, Column] = {
    "family": "{name}",
    "`model_type`": "{types}",
    "attention": "{attention}",
    "a slot's scores come from": "{shift}",
    "the hole is put as": "{form}",
    "block": "{block}",
}


def scores() -> str:
    """Models on the public sets, a row for each and for what it was measured on; what was not measured is left out."""
    rows = load("scores")["rows"]
    columns: dict[str, Column] = {
        "model": "{name}",
        "`dev`, exact / similarity": _of("dev", "all", EXACT),
        "not copyable": _of("dev", "copyable=False", "{exact:.1f}"),
        **{f"HumanEval {name}": _of(name, "all", "{passed:.1f}") for name in ("single", "multi", "span")},
        **{
            f"SantaCoder {lang}": _of("santa", f"lang={lang}", "{exact:.1f}")
            for lang in ("python", "java", "javascript")
        },
        "empty": lambda _, row: f"{_empty(row['sets']):.1f}",
        "p50 / p95 ms": _of("dev", "all", "{p50_ms:.0f} / {p95_ms:.0f}"),
        "memory, GB": lambda _, row: _peak_gb(row["sets"].get("dev", {})),
        "measured on": "{place}",
    }
    counted: dict[str, set[int]] = {}
    for row in rows:
        for name, one in row["sets"].items():
            counted.setdefault(name, set()).add(one["all"]["n"])
    cases = ", ".join(f"{name} {' or '.join(f'{n:,}' for n in sorted(counts))}" for name, counts in counted.items())
    days = sorted(one["date"][:10] for row in rows for one in row["sets"].values())
    named = ((row["model"], row) for row in rows)
    return f"{table(named, columns)}\nCases: {cases}. Measured {days[0]} to {days[-1]}.\n"


REWRITTEN: dict[str, Column] = {
    "model, strength": "{name}",
    "slips": "{cases}",
    "mended": "{mended}",
    "untouched": "{untouched}",
    "changed otherwise": "{otherwise}",
    "right code: left alone": "{right_left_alone}",
    "changed to another right form": "{right_as_right}",
    "changed otherwise ": "{right_otherwise}",
    "a selection, s (median)": "{seconds:.1f}",
}


def rewritten() -> str:
    """Slips mended and right code left alone by rewriting selections: the half that no threshold was chosen by."""
    rows = (
        (f"{model}, {strength}", found["held_out"])
        for model, strengths in load("rewrite")["models"].items()
        for strength, found in strengths.items()
    )
    return table(rows, REWRITTEN)


ORDINARY: dict[str, Column] = {
    "model, preset": "{name}",
    "at a pause": "{reported_pause}",
    "lines": "{reported_pause_line}",
    "middles of lines": "{reported_pause_middle}",
    "bodies": "{reported_pause_block}",
    "after three letters": "{reported_letters}",
    "asked by hand, any of three": "{reported_asked}",
}


def ordinary() -> str:
    """Right / wrong / none at ordinary places, of the half that no preset was calibrated by."""
    rows = (
        (f"{model}, {preset}", figures)
        for model, presets in load("ordinary")["models"].items()
        for preset, figures in presets.items()
        if preset != "curve"
    )
    return table(rows, ORDINARY)


def _of(name: str, group: str, form: str) -> Column:
    """A cell with figures of a group of a set; a dash where the set was not run, or not measured for that."""

    def cell(_: str, row: Figures) -> str:
        try:
            return form.format(**row["sets"][name][group])
        except (KeyError, TypeError):
            return "-"

    return cell


def _empty(sets: Figures) -> float:
    """Percent of all cases that got no answer and should have had one."""
    found = [one["all"] for one in sets.values()]
    return float(sum(one["empty"] * one["n"] for one in found) / sum(one["n"] for one in found))


def _peak_gb(one: Figures) -> str:
    """The most memory that a run took where the weights are."""
    peak_mb = one.get("gpu_peak_mb") or one.get("peak_mb")
    return f"{peak_mb / 1024:.2f}" if peak_mb else "-"


def beside_llama_cpp() -> str:
    """Times of the line at the cursor, ours and llama.cpp's: with nothing kept, and at every key."""
    found = load("llama-cpp")
    cold: dict[str, Column] = {
        "nothing kept": "{name}",
        "line, p50 / p95 ms": "{p50_ms:.0f} / {p95_ms:.0f}",
        "times ours": "{times_ours:.2f}",
        "where both say the same": lambda _, one: f"{one.get('same_line_times_ours', '-')} ({one['same_line']})",
        "prompt, tokens/s": "{prompt_tokens_per_s}",
        "then, tokens/s": "{tokens_per_s:.0f}",
        "exact, %": "{exact:.0f}",
    }
    typed: dict[str, Column] = {
        "typing": "{name}",
        "keys": "{keys}",
        "p50 / p95 ms": "{p50_ms:.0f} / {p95_ms:.0f}",
        "times ours, p50 / p95": "{p50_times_ours:.2f} / {p95_times_ours:.2f}",
        "on arriving at a place, p50 / p95 ms": "{arriving_p50_ms:.0f} / {arriving_p95_ms:.0f}",
    }
    one = found["cold"]["unmask"]
    about = f"{one['holes']} holes of `dev`, {one['prompt_tokens']} tokens of prompt on average; {found['llama_cpp']}; "
    about += f"{found['model']}; {found['threads']} threads of {found['processor']}, {found['date'][:10]}, "
    about += f"load average {found['busy']} before."
    return f"{table(found['cold'], cold)}\n{table(found['typing'], typed)}\n{about}\n"


def precisions() -> str:
    """Memory and time of loading per precision, and what it costs the embedded model."""
    loaded, scores = load("loading")["precisions"], load("precision")["precisions"]
    columns: dict[str, Column] = {
        "precision": "{name}",
        "weights": lambda _, one: f"{one['weights_bytes'] / 1e9:.2f} GB",
        "peak / weights": "{peak_ratio:.2f}",
        "s per GB of file": "{s_per_gb:.2f}",
        "exact / first line / similarity, %": "{exact:.1f} / {first_line:.1f} / {similarity:.1f}",
    }
    return table({name: {**loaded[name], **score} for name, score in scores.items()}, columns)
