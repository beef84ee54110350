"""Builds `docs/server.md` from the files in `benchmarks/results/`; measures nothing itself.

.venv/bin/python benchmarks/report_server.py
"""

from __future__ import annotations

from typing import Any

from tables import DOCS, load, percent, table

HEAD = """# The server measured

Made by `benchmarks/report_server.py` from the files in `benchmarks/results/`, which say when and on what; their README
has the commands. Two cores, no GPU. Timings of different tables are of different moments of one machine.
"""


def through_the_server(found: dict[str, Any]) -> str:
    """Exact match and similarity by cursor kind, with filters and without, and how often something is shown."""
    variants = found["variants"]
    rows = []
    for group in sorted(variants["as shipped"], key=lambda name: (name != "all", name)):
        figures = [variants[name][group] for name in variants]
        rows.append([group, str(figures[0]["n"]), *(percent(f, "exact", "similarity", "shown") for f in figures)])
    gain, half = found["filters_gain_points"]
    times = variants["as shipped"]["all"]
    return f"""{table(["exact / similarity / shown, %", "n", *variants], rows)}
The filters change exact match by {gain:+.1f} ± {half:.1f} points (eager): they take away what stands there already and
what is no code. `balanced`, which is shipped, holds back what is unlikely. Request to reply, each case a new document:
p50 / p95 {times["p50_ms"]:.0f} / {times["p95_ms"]:.0f} ms.
"""


def quiet(found: dict[str, Any]) -> str:
    """Show rate and quiet rate of the presets."""
    rows = [[name, f"{f['show_rate']:.0f}", f"{f['quiet_rate']:.0f}"] for name, f in found["presets"].items()]
    return f"""`benchmarks/quiet_scenarios.toml` holds 20 places where a person wants the next text, and 20 where
nothing is wanted.

{table(["preset", "show rate, %", "quiet rate, %"], rows)}"""


def keystrokes(found: dict[str, Any]) -> str:
    """What a key costs."""
    rows = [
        [name, *(f"{figures[key]:.2f}" for key in ("p50_ms", "p99_ms", "max_ms"))]
        for name, figures in found["figures"].items()
    ]
    return f"""{table(["", "p50, ms", "p99, ms", "largest, ms"], rows)}
*A key*: from the bytes of a change to the changed document (aims: p99 2 ms at 1 MB, 5 ms at 5 MB). *Loop lag*: how late
a heartbeat is while {found["keys_per_s"]} keys a second are typed and asked about (aim: p99 10 ms).
"""


def sessions(found: dict[str, Any]) -> str:
    """Typing replayed."""
    clients = found["clients"]
    wanted = {
        "ghost text shown, of the requests": "{shown} of {requests}",
        "request to reply, p50 / p95 ms": "{p50_ms:.1f} / {p95_ms:.1f}",
        "where something is shown, p50 / p95 ms": "{shown_p50_ms:.1f} / {shown_p95_ms:.1f}",
        "answered without the model": "{remembered}",
        "runs of the model per ghost text": "{fills_per_shown:.2f}",
        "runs that showed nothing (given up as unlikely)": "{fills_not_shown} ({of_them_unlikely})",
        "memory, front / worker, MB": "{front_mb:.0f} / {worker_mb:.0f}",
    }
    rows = [[title, *(form.format(**figures) for figures in clients.values())] for title, form in wanted.items()]
    text = table([f"{found['keys']} keys, 150 to 200 ms apart", *clients], rows)
    if soak := found.get("soak"):
        grown = soak["grown_mb"]
        text += f"""
{soak["minutes"]:g} minutes of typing without pauses, {soak["keys"]:,} keys in {soak["documents"]} documents: the
front grew by {grown["front"]:.1f} MB to {soak["front_mb"]:.0f} MB, the worker by {grown["worker"]:.1f} MB.
"""
    return text


def reliability(found: dict[str, Any]) -> str:
    """What a long run of the tests has seen."""
    rows = [
        [name, ", ".join(f"{key.replace('_', ' ')} {value:,}" for key, value in figures.items())]
        for name, figures in found.items()
    ]
    return table(["test", "seen"], rows)


def report() -> str:
    """Returns the whole page."""
    parts = {
        "Right or wrong, through the server": through_the_server(load("server-dev.json")),
        "Quiet": quiet(load("quiet.json")),
        "A key": keystrokes(load("keystrokes.json")),
        "Typing sessions": sessions(load("sessions.json")),
        "What must not happen": reliability(load("reliability.json")),
    }
    return HEAD + "".join(f"\n## {title}\n{text}" for title, text in parts.items())


def main() -> None:
    """Writes the page."""
    (DOCS / "server.md").write_text(report(), "utf-8")


if __name__ == "__main__":
    main()
