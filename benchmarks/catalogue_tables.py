"""The tables of `docs/models.md`, each a function of the results."""

from __future__ import annotations

from embedded_tables import EXACT
from records import Column, Figures, load, table

from coder_model.checkpoints.families import Family

FORMS = {
    "between": "prefix, slots, suffix",
    "left_to_right": "prefix alone",
    "prefix_first": "prefix, suffix, then the middle",
    "suffix_first": "suffix, prefix, then the middle",
    "appended": "suffix, then prefix and middle as one text",
}

FAMILY: dict[str, Column] = {
    "family": "{name}",
    "`model_type`": "{types}",
    "attention": "{attention}",
    "a slot's scores come from": "{shift}",
    "the hole is put as": "{form}",
    "block": "{block}",
}


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
