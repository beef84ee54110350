"""Puts the tables of `docs/models.md` between their marks: catalogue, families, what cannot be used, figures.

.venv/bin/python benchmarks/report_models.py
"""

from __future__ import annotations

from typing import Any

from tables import DOCS, between, load, percent, table

from coder_model.checkpoints.catalogue import as_table
from coder_model.checkpoints.families import FAMILIES, UNSUPPORTED, Family

PAGE = DOCS / "models.md"
FORMS = {
    "between": "prefix, slots, suffix",
    "left_to_right": "prefix alone",
    "prefix_first": "prefix, suffix, then the middle",
    "suffix_first": "suffix, prefix, then the middle",
    "appended": "suffix, then prefix and middle as one text",
}


def main() -> None:
    """Writes the page."""
    published = load("published.json")
    between(
        PAGE,
        {
            "catalogue": "\n".join(as_table()) + "\n",
            "families": families(),
            "unsupported": table(
                ["`model_type`", "why not"], [[f"`{kind}`", why] for kind, why in UNSUPPORTED.items()]
            ),
            "precision": precisions(published, load("precision.json")["precisions"]),
            "speed": speed(published),
        },
    )


def families() -> str:
    """One row per family."""
    heads = ["family", "`model_type`", "who sees whom", "a slot's scores come from", "the hole is put as", "block"]
    return table(heads, [_family(family) for family in FAMILIES])


def _family(family: Family) -> list[str]:
    types = ", ".join(f"`{kind}`" for kind in sorted(family.model_types))
    form = FORMS[family.form] + (", expands and deletes" if family.expand else "")
    for measured in dict.fromkeys(family.measured.values()):
        sizes = " or ".join(str(size) for size, name in family.measured.items() if name == measured)
        form += f"; with a hidden size of {sizes}: {FORMS[measured]}"
    shift = "the slot before it" if family.shifted else "the slot itself"
    block = str(family.block_length) if family.attention in ("block_causal", "causal_context") else "-"
    return [family.name, types, family.attention.replace("_", " "), shift, form, block]


def precisions(published: dict[str, Any], scores: dict[str, Any]) -> str:
    """One row per precision: memory and time of loading, and what it costs the embedded model."""
    rows = []
    times = published["fill_ms"]
    for name, score in scores.items():
        one = published["loading"][name]
        size = f"{one['weights_bytes'] / 1e9:.2f} GB"
        quality = percent(score, "exact", "first_line", "similarity")
        rows.append([name, size, f"{one['peak_ratio']:.2f}", f"{one['s_per_gb_of_file']:.2f}"])
        rows[-1] += [quality, f"{times[name] / times['float32']:.2f}"]
    heads = ["precision", "weights", "peak / weights", "s per GB of file", "exact / first line / similarity, %"]
    heads.append("time of a fill / float32's")
    return table(heads, rows)


def speed(published: dict[str, Any]) -> str:
    """A pass beside transformers' per family, then caches, then refusals."""
    requests = published["second_request"]
    kept = {name: f"{row['kept']['next_ms'] / row['nothing kept']['next_ms']:.2f}" for name, row in requests.items()}
    rows = [[name, f"{one['ratio']:.2f}", kept.get(name, "-")] for name, one in published["steps"].items()]
    passes = ", ".join(f"{one['ratio']:.2f} at {context} tokens" for context, one in published["canvas_passes"].items())
    refused = published["refusals"]
    heads = ["family", "a pass of 256 tokens, ours / transformers'", "a second request, cache kept / not kept"]
    return f"""{table(heads, rows)}
A pass over a bidirectional canvas of 16 slots, every fourth one exact, against all exact: {passes}.
{refused["headers"]:,} mutated headers: the slowest was dealt with in {refused["slowest_ms"]:.1f} ms;
{refused["headers"] - refused["refused"]:,} of them still said the same, or described a right file.
"""


if __name__ == "__main__":
    main()
