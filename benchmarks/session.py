"""The real server through a whole session, as an editor drives it: `unmask lsp` on a pipe.

    python benchmarks/session.py typing [--keys 400] [--soak-minutes 20]
    python benchmarks/session.py latency
    python benchmarks/session.py quiet
    python benchmarks/session.py exact --cases DEV

typing: a file is written key by key, 150 to 200 ms apart, and each key asks. One client cancels what is still open at
the next key, as VS Code does; the other never does, as Neovim. The soak types without pauses, for the memory.
latency: request to reply, cold and after a key, and what drafts and a kept cache save. Every variant sees the same
documents in one run: the figures to trust are the ratios between them.
quiet: how often a preset speaks where a person wants something, and where not; `quiet_scenarios.toml` has the places.
exact: right or wrong, each case an open document; a case without ghost text counts as empty.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

from editor import Editor, Ghost
from records import BENCHMARKS, RESULTS, Figures, show, write
from rich.progress import track

from coder_model.checkpoints.store import EMBEDDED
from coder_model.evaluation.cases import Case, read_cases
from coder_model.evaluation.metrics import percentile
from coder_model.evaluation.run import Decision, Outcome, difference, groups, run, summary
from coder_model.text.filters import FILTERS
from lsp_server.documents import split_lines
from lsp_server.trigger_policy import PRESETS
from lsp_server.usage_stats import read_records, total

PATIENT = {"deadlineMs": 30_000}
LOADING_S = 120.0

TYPED, SKIPPED_LINES = BENCHMARKS / "demo/inventory.py", 8
"""The file that is typed, and how many of its lines stand there already."""
PAUSE_S = (0.15, 0.2)
SOAK_KEYS = 200
"""Keys typed into a document before it closes."""

CONTEXT_CHARS, DOCUMENTS = 1_500, 40
LATENCY: dict[str, Figures] = {
    "as shipped": {},
    "one token at a time": {"policy": "one_token"},
    "no kept cache": {"reuse": False},
}
EXACT: dict[str, Figures] = {
    "as shipped": {},
    "without filters": {"filtersOff": list(FILTERS)},
    "eager": {"preset": "eager"},
    "eager, without filters": {"preset": "eager", "filtersOff": list(FILTERS)},
}
BY = ("copyable", "mode", "kind", "lang")
CURSOR = "‸"


def started(options: Figures, environment: dict[str, str] | None = None, model: str = EMBEDDED) -> Editor:
    """Returns an editor whose server has its model."""
    editor = Editor({**PATIENT, **options}, environment, ["--model", model])
    editor.wait_until_ready(LOADING_S, "" if model == EMBEDDED else model)
    return editor


def typed_into(editor: Editor, uri: str, start: int, keys: int) -> Iterator[tuple[int, int]]:
    """Opens a document, types the text from some character on, over and over, and yields the cursor after each key."""
    lines = TYPED.read_text("utf-8").splitlines()
    head, text = lines[:SKIPPED_LINES], "\n".join(lines[SKIPPED_LINES:])
    editor.open(uri, "\n".join(head) + "\n")
    row, column = len(head), 0
    for number in range(start, start + keys):
        char = text[number % len(text)]
        editor.type(row, column, char)
        row, column = (row + 1, 0) if char == "\n" else (row, column + 1)
        yield row, column


def typing(arguments: argparse.Namespace) -> Figures:
    """Replays both clients, and soaks when asked to."""
    clients = {"cancels, as VS Code": True, "never cancels, as Neovim": False}
    found = {name: replay(arguments.keys, cancels=cancels) for name, cancels in clients.items()}
    show(found)
    soaked = {"soak": soak(arguments.soak_minutes)} if arguments.soak_minutes else {}
    return {"keys": arguments.keys, "clients": found, **soaked}


def replay(keys: int, *, cancels: bool) -> Figures:
    """Types `keys` characters; returns the latencies, what the model did for them, and the memory."""
    rng, asked = random.Random(11), list[int]()
    with tempfile.TemporaryDirectory() as state:
        editor = started({}, {"XDG_STATE_HOME": state})
        for place in typed_into(editor, "file:///work/inventory.py", 0, keys):
            if cancels and asked and not editor.is_answered(asked[-1]):
                editor.cancel(asked[-1])
            asked.append(editor.start(*place))
            time.sleep(rng.uniform(*PAUSE_S))
        ghosts = [editor.wait(number) for number in asked]
        front, worker = editor.resident_megabytes()
        editor.close()
        counts = total(read_records(Path(state) / "unmask" / "statistics")).counts
    shown = [ghost for ghost in ghosts if ghost.text]
    fills = counts.get("fills", 0)
    return {
        "requests": len(ghosts),
        "shown": len(shown),
        **_percentiles("", ghosts),
        **_percentiles("shown_", shown),
        "remembered": counts.get("remembered", 0),
        "fills": fills,
        "fills_per_shown": round(fills / max(1, len(shown)), 2),
        "fills_not_shown": fills - sum(bool(ghost.tokens) for ghost in shown),
        "of_them_unlikely": counts.get("unlikely", 0),
        "front_mb": round(front, 1),
        "worker_mb": round(worker, 1),
    }


def _percentiles(name: str, ghosts: list[Ghost]) -> dict[str, float]:
    times = [ghost.milliseconds for ghost in ghosts]
    return {f"{name}p{q}_ms": round(percentile(times, q), 1) for q in (50, 95)}


def soak(minutes: float) -> Figures:
    """Types without pauses into documents that open and close; returns the memory at the end, and how it grew."""
    editor = started({})
    began, keys, documents = time.monotonic(), 0, 0
    first: tuple[float, float] | None = None
    while (so_far := (time.monotonic() - began) / 60) < minutes:
        for place in typed_into(editor, f"file:///work/{documents}.py", documents * 37, SOAK_KEYS):
            editor.ask(*place)
            keys += 1
        editor.close_document()
        documents += 1
        if first is None and so_far > minutes / 10:
            first = editor.resident_megabytes()
    last = editor.resident_megabytes()
    editor.close()
    grown = {name: round(b - a, 1) for name, a, b in zip(("front", "worker"), first or last, last, strict=True)}
    return {"minutes": minutes, "keys": keys, "documents": documents, "grown_mb": grown, "front_mb": last[0]}


def latency(_: argparse.Namespace) -> Figures:
    """Measures every variant on the same documents."""
    found = {name: latency_of(options) for name, options in LATENCY.items()}
    show(found)
    return {"context_chars": CONTEXT_CHARS, "documents": DOCUMENTS, "variants": found}


def latency_of(options: Figures) -> Figures:
    """Returns the milliseconds of cold requests, of one more key, and of a block hole, and the memory.

    The first key goes along the suggestion, the second one does not and so asks the model.
    """
    editor = started({"preset": "eager", **options})
    asked: dict[str, list[Ghost]] = {"cold": [], "typed_along": [], "one_more_key": [], "block": []}
    for number in range(DOCUMENTS):
        text, row = document(number)
        column = len(text.split("\n")[row])
        editor.open(f"file:///bench/{number}.py", text)
        asked["cold"].append(editor.ask(row, column))
        if suggested := asked["cold"][-1].text:
            editor.type(row, column, suggested[0])
            column += 1
            asked["typed_along"].append(editor.ask(row, column))
        editor.type(row, column, "q")
        asked["one_more_key"].append(editor.ask(row, column + 1))
        if number % 4 == 0:
            editor.type(row, column + 1, "p(0, file)\n\n\ndef count_all(rows):\n    ")
            asked["block"].append(editor.ask(row + 4, 4))
    front, worker = editor.resident_megabytes()
    editor.close()
    ratios = (b.milliseconds / a.milliseconds for a, b in zip(asked["cold"], asked["one_more_key"], strict=True))
    steps = sum(ghost.steps for ghost in asked["one_more_key"])
    return {
        **{name: figure for kind, ghosts in asked.items() for name, figure in _percentiles(f"{kind}_", ghosts).items()},
        "one_more_key_over_cold": round(statistics.median(ratios), 3),
        "tokens_per_step": round(sum(ghost.tokens for ghost in asked["one_more_key"]) / max(1, steps), 2),
        "front_mb": round(front, 1),
        "worker_mb": round(worker, 1),
    }


def document(number: int) -> tuple[str, int]:
    """Returns a text with about `CONTEXT_CHARS` before an unfinished line, and that line's number."""
    nouns = ["order", "invoice", "customer", "parcel", "ticket", "account", "device", "message"]
    lines = ['"""Records of a shop."""', "", "import json", "from datetime import datetime", "", ""]
    row = 0
    while sum(map(len, lines)) + len(lines) < CONTEXT_CHARS:
        noun = nouns[(number + row) % len(nouns)]
        lines += [
            f"def load_{noun}_{row}(path, limit={row + number}):",
            f'    """Read up to limit {noun}s."""',
            "    with open(path) as file:",
            "        rows = json.load(file)",
            f"    return [{noun} for {noun} in rows[:limit] if {noun}]",
            "",
            "",
        ]
        row += 1
    noun = nouns[number % len(nouns)]
    lines += [f"def save_{noun}(path, {noun}s):", '    with open(path, "w") as file:', "        json.du"]
    after = ["", "", 'if __name__ == "__main__":', "    print(datetime.now())", ""]
    return "\n".join(lines + after), len(lines) - 1


def quiet(arguments: argparse.Namespace) -> Figures:
    """Asks at every place with every preset, as an editor asks by itself."""
    scenarios = tomllib.loads((BENCHMARKS / "quiet_scenarios.toml").read_text("utf-8"))["scenario"]
    found: dict[str, Figures] = {preset: quiet_of(preset, scenarios, arguments.model) for preset in PRESETS}
    show(found)
    return {"model": Path(arguments.model).name, "presets": found}


def quiet_of(preset: str, scenarios: list[Figures], model: str) -> Figures:
    """Returns the rates of a preset, and what was said in each scenario."""
    editor = started({"preset": preset}, model=model)
    shown = {scenario["name"]: ghost_of(editor, number, scenario) for number, scenario in enumerate(scenarios)}
    editor.close()
    wanted, unwanted = (
        [bool(shown[scenario["name"]]) for scenario in scenarios if scenario["wanted"] is kind]
        for kind in (True, False)
    )
    return {
        "show_rate": round(100 * statistics.mean(wanted), 1),
        "quiet_rate": round(100 * (1 - statistics.mean(unwanted)), 1),
        "shown": shown,
    }


def ghost_of(editor: Editor, number: int, scenario: Figures) -> str:
    """Opens a scenario's document, types what it says, and returns what is shown."""
    before, after = scenario["text"].split(CURSOR)
    line = before.count("\n")
    column = len(before) - before.rfind("\n") - 1
    editor.open(scenario.get("uri", f"file:///work/{number}"), before + after, scenario.get("language", "python"))
    for char in scenario.get("typed", ""):
        editor.type(line, column, char)
        column += 1
    for _ in range(scenario.get("deleted", 0)):
        editor.type(line, column, "", deleted=1)
        column -= 1
    return editor.ask(line, column).text


def exact(arguments: argparse.Namespace) -> Figures:
    """Asks every variant at the end of every case's prefix."""
    cases = read_cases(arguments.cases)
    outcomes: dict[str, list[Outcome]] = {}
    for name, options in EXACT.items():
        editor = started(options)

        def decide(case: Case, editor: Editor = editor) -> Decision:
            lines = split_lines(case.prefix)
            editor.open(f"file:///cases/{case.id}/{case.file_name}", case.prefix + case.suffix, case.lang)
            ghost = editor.ask(len(lines) - 1, len(lines[-1]))
            return Decision(ghost.text, ghost.steps, ghost.tokens)

        outcomes[name] = run(list(track(cases, name)), decide)
        editor.close()
    found = {
        name: {group: _shares(members) for group, members in groups(all_, BY).items()}
        for name, all_ in outcomes.items()
    }
    show({name: figures["all"] for name, figures in found.items()})
    filters = difference(outcomes["eager"], outcomes["eager, without filters"])
    return {"data": arguments.cases.name, "filters_gain_points": filters, "variants": found}


def _shares(outcomes: list[Outcome]) -> dict[str, float]:
    return {**summary(outcomes), "shown": 100 * statistics.mean(bool(outcome.text) for outcome in outcomes)}


MEASURES = {"typing": typing, "latency": latency, "quiet": quiet, "exact": exact}


def main() -> None:
    """Measures, prints a table, writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measure", choices=MEASURES)
    parser.add_argument("--keys", type=int, default=400, help="of typing")
    parser.add_argument("--soak-minutes", type=float, default=0, help="of typing")
    parser.add_argument("--model", default=EMBEDDED, help="of quiet")
    parser.add_argument("--cases", type=Path, help="of exact: a file of infill cases")
    parser.add_argument("--out", type=Path, help="benchmarks/results/MEASURE.json when absent")
    arguments = parser.parse_args()
    if arguments.measure == "exact" and not arguments.cases:
        parser.error("exact must be told its --cases, a file as `unmask eval --data` takes it")
    record = MEASURES[arguments.measure](arguments)
    write(arguments.out or RESULTS / f"{arguments.measure}.json", record)


if __name__ == "__main__":
    main()
