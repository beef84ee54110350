"""The tables of `drawn.json` and `first-minute.json`: editors as a person has them."""

from __future__ import annotations

from records import Figures, load, markdown

DRAWN = {"asked": "asked for by a key", "typed": "one key along the ghost text"}


def drawn() -> str:
    """Milliseconds from a key to ghost text on the screen, and those of the server behind it."""
    found = load("drawn")
    editors: Figures = found["editors"]
    heads = ["p50 / p95, ms (drawn)", *editors]
    rows = []
    for kind, name in DRAWN.items():
        rows.append([name, *(f"{_times(figures, kind)} ({figures[f'{kind}, drawn']})" for figures in editors.values())])
        rows.append(
            [
                "the server, from request to answer",
                *(_times(figures, f"{kind}, server") for figures in editors.values()),
            ]
        )
    busy = f"{found['places']} places, the {found['model']} model, {found['processor']}, {found['date'][:10]}.\n"
    return markdown(heads, rows) + "\n" + busy


def _times(figures: Figures, name: str) -> str:
    times = [figures[f"{name}, p{q} ms"] for q in (50, 95)]
    return "not asked before it" if None in times else " / ".join(f"{ms:.0f}" for ms in times)


def first_minute() -> str:
    """The commands from a checkout to ghost text, and what each took."""
    steps: Figures = load("first-minute")["steps"]
    rows = [
        [editor, f"`` {step['command']} ``", f"{step['seconds']:.0f}"]
        for editor, some in steps.items()
        for step in some
    ]
    return markdown(["for", "what is done", "seconds"], rows)
