"""What a newcomer sees: the first suggestion at 120 ordinary places of ten languages, through the server.

    python benchmarks/ordinary.py --model embedded FILE.gguf... [--presets everything balanced quiet] [--out FILE]

At each place the server is asked when the hand rests there (`pause`), after the first three letters of the answer
(`letters`), and by hand, where one right suggestion of three is enough (`asked`). Every second place is one by which
presets may be calibrated; the others are reported. `everything` shows what presets hide, and `curve` says of it which
share is right among the suggestions that are at least so likely, and how many these are.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from editor import Editor, Ghost
from ordinary_places import Place, is_right, places
from records import RESULTS, show, write

from coder_model.evaluation.metrics import percentile

EVERYTHING = "everything"
LETTERS = 3
WAIT_S = 180.0
UNHURRIED = {"deadlineMs": 60_000, "deadlineInvokedMs": 60_000, "targetMs": 60_000}
"""The answers are asked for, not their times, which the typing sessions have."""
PROBABILITIES = tuple(10.0**-power for power in (6, 5, 4, 3.5, 3, 2.5, 2, 1.75, 1.5, 1.25, 1, 0.75, 0.5, 0.3, 0.2, 0.1))


@dataclass(frozen=True, slots=True)
class Asked:
    """What was suggested at a place, and whether it is right."""

    name: str
    kind: str
    tuned: bool
    """Whether presets may be calibrated by it."""
    pause: str
    letters: str
    asked: tuple[str, ...]
    is_right: dict[str, bool]
    probability: float
    """Of the suggestion at a pause."""
    ms: float


def main() -> int:
    """Asks every model with every preset, and writes what came."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", default=["embedded"])
    parser.add_argument("--presets", nargs="+", default=[EVERYTHING, "eager", "balanced", "quiet"])
    parser.add_argument("--names", nargs="*", default=[], help="only these places, each printed")
    parser.add_argument("--out", type=Path, default=RESULTS / "ordinary.json")
    arguments = parser.parse_args()
    chosen = [place for place in places() if not arguments.names or place.name in arguments.names]
    record: dict[str, Any] = {}
    for model in arguments.model:
        record[Path(model).name] = of_model = {}
        for preset in arguments.presets:
            found = ask_all(model, preset, chosen)
            wrong = {one.name: one.pause for one in found if one.pause and not one.is_right["pause"]}
            of_model[preset] = {**summary(found), "wrong": wrong}
            if preset == EVERYTHING:
                of_model["curve"] = {half: curve(found, half == "tuned") for half in ("tuned", "reported")}
            if arguments.names:
                print(*found, sep="\n")
        show({name: figures for name, figures in of_model.items() if name != "curve"})
    if not arguments.names:
        write(arguments.out, {"models": record})
    return 0


def ask_all(model: str, preset: str, chosen: Sequence[Place]) -> list[Asked]:
    """Returns what a server with one model says at all places."""
    with TemporaryDirectory() as state:
        shown = {"preset": "eager", "leastRight": 0} if preset == EVERYTHING else {"preset": preset}
        options = {**UNHURRIED, **shown}
        editor = Editor(options, {"XDG_STATE_HOME": state}, ["--model", model])
        try:
            editor.wait_until_ready(WAIT_S, "" if model == "embedded" else model)
            return [_asked(editor, place, number) for number, place in enumerate(chosen)]
        finally:
            editor.close()


def _asked(editor: Editor, place: Place, number: int) -> Asked:
    before, after = place.before, place.after
    row, column = before.count("\n"), len(before.rpartition("\n")[2])
    typed = place.answer[:LETTERS].partition("\n")[0]

    def opened(name: str) -> None:
        editor.open(f"file:///ordinary/{number}-{name}/{place.file}", before + after, place.lang)

    opened("pause")
    pause = editor.ask(row, column)
    editor.close_document()
    opened("letters")
    for place_of, letter in enumerate(typed):
        editor.type(row, column + place_of, letter)
    letters = editor.ask(row, column + len(typed))
    editor.close_document()
    opened("asked")
    asked = editor.ask(row, column, invoked=True)
    editor.close_document()
    said = {"pause": (pause.text,), "letters": (letters.text and typed + letters.text,), "asked": _texts(asked)}
    with ThreadPoolExecutor(2) as pool:
        right = pool.map(lambda texts: any(text and is_right(place, text) for text in texts), said.values())
        found = dict(zip(said, right, strict=True))
    tuned = number % 2 == 0
    times = pause.probability, pause.milliseconds
    return Asked(place.name, place.kind, tuned, pause.text, said["letters"][0], said["asked"], found, *times)


def _texts(ghost: Ghost) -> tuple[str, ...]:
    return tuple(text for text in (ghost.text, *ghost.others) if text)


def summary(found: Iterable[Asked]) -> dict[str, Any]:
    """Returns right, wrong and none for each way of asking, of the places that are reported and of all."""
    rows: dict[str, Any] = {}
    everything = list(found)
    for half, chosen in (("reported", [one for one in everything if not one.tuned]), ("all", everything)):
        for way in ("pause", "letters", "asked"):
            rows[f"{half}_{way}"] = _counted(chosen, way)
        for kind in ("line", "middle", "block"):
            rows[f"{half}_pause_{kind}"] = _counted([one for one in chosen if one.kind == kind], "pause")
    times = [one.ms for one in everything]
    return {**rows, "p50_ms": round(percentile(times, 50)), "p95_ms": round(percentile(times, 95))}


def _counted(chosen: list[Asked], way: str) -> str:
    shown = Counter("right" if one.is_right[way] else "wrong" if getattr(one, way) else "none" for one in chosen)
    return " / ".join(str(shown[name]) for name in ("right", "wrong", "none"))


def curve(found: Iterable[Asked], tuned: bool) -> list[dict[str, float]]:
    """Returns, for rising probabilities, how many suggestions are at least so likely, and which share is right."""
    shown = [one for one in found if one.tuned == tuned and one.pause]
    points = []
    for least in PROBABILITIES:
        right = [one.is_right["pause"] for one in shown if one.probability >= least]
        share = sum(right) / len(right) if right else math.nan
        points.append({"probability": float(f"{least:.3g}"), "shown": len(right), "right": round(share, 3)})
    return points


if __name__ == "__main__":
    raise SystemExit(main())
