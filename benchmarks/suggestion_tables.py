"""The tables of `docs/server.md` about what is suggested, each a function of the results."""

from __future__ import annotations

from embedded_tables import EXACT
from records import Column, Figures, load, markdown, table

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

ORDINARY: dict[str, Column] = {
    "model, preset": "{name}",
    "at a pause": "{reported_pause}",
    "lines": "{reported_pause_line}",
    "middles of lines": "{reported_pause_middle}",
    "bodies": "{reported_pause_block}",
    "after three letters": "{reported_letters}",
    "asked by hand, any of three": "{reported_asked}",
}


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


def rewritten() -> str:
    """Slips mended and right code left alone by rewriting selections: the half that no threshold was chosen by."""
    rows = (
        (f"{model}, {strength}", found["held_out"])
        for model, strengths in load("rewrite")["models"].items()
        for strength, found in strengths.items()
    )
    return table(rows, REWRITTEN)


def ordinary() -> str:
    """Right / wrong / none at ordinary places, of the half that no preset was calibrated by."""
    rows = (
        (f"{model}, {preset}", figures)
        for model, presets in load("ordinary")["models"].items()
        for preset, figures in presets.items()
        if preset != "curve"
    )
    return table(rows, ORDINARY)
