"""Beside llama.cpp on this machine: the same GGUF file, the same prompts, the line at the cursor, in turns, in one run.

    python benchmarks/llama_cpp.py DEV --model FILE.gguf [--holes 40] [--keys 200] [--minutes 8] [--out FILE]

Cold: holes of `dev` with about 1,000 tokens around them, nothing kept. Typing: lines of such a file are typed
again, the line is asked for at every key, and each side keeps what it has read: ours through the engine, as the worker
asks it, llama.cpp's server with its prompt cache. Its prompts are our tokens, whose order lets a key append; `/infill`
is what llama.vim asks, prefix first. The suggestion caches in front of the models, ours and theirs, take no part.
`busy` is the load average before: on a machine that does other work threads wait for each other, and times mean little.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path

from llama_players import Ask, Line, infill, ours, theirs
from llama_server import LlamaServer, found
from records import RESULTS, Figures, show, write
from warm_session import document

from coder_model.evaluation.cases import Case, read_cases
from coder_model.evaluation.metrics import mean, percentile
from coder_model.types import FillRequest
from coder_model.worker.threads import MAX_THREADS, limit_threads

PREFIX_CHARS, SUFFIX_CHARS = 3_400, 1_100
"""What of a `dev` case is shown: about 1,000 tokens."""
CONTEXT = 2_048
DRAFTS = ["--spec-type", "ngram-cache"]
"""Those of llama.cpp that do most on code: 40 tokens in 0.55 of the time; `ngram-simple` 0.73, the others no gain."""
NGRAM_HOLES = 2
"""n-gram drafts change what comes after the prompt, which takes seconds to read: every second hole says how much."""
INFILL_KEYS = 24
"""Prefix first, half of the prompt is read at every key: more keys would take minutes."""
COLD_SHARE, TYPING_SHARE = 0.6, 0.93
"""Of the minutes that it may take: after which no other hole is asked, no other key typed."""
LEAST = 2
"""Holes, and requests of a session: the one to arriving and a key."""
OURS, PLAIN, NGRAM, INFILL = "unmask", "llama.cpp", "llama.cpp, n-gram drafts", "llama.cpp, /infill"


def holes(path: Path, count: int) -> list[tuple[Case, FillRequest]]:
    """Returns lines to fill with about as much text around each, evenly spread."""
    cases = [
        case
        for case in read_cases(path)
        if case.mode == "single" and len(case.prefix) > PREFIX_CHARS and len(case.suffix) > SUFFIX_CHARS
    ]
    chosen = (cases[i * len(cases) // count] for i in range(min(count, len(cases))))
    return [
        (one, FillRequest("", one.prefix[-PREFIX_CHARS:], one.suffix[:SUFFIX_CHARS], one.file_name, one.lang))
        for one in chosen
    ]


def cold(
    players: Mapping[str, Ask], asked: list[tuple[Case, FillRequest]], until: float = math.inf
) -> dict[str, dict[int, Line]]:
    """Returns what each says at the holes, by their number, another one first at each, as far as the time goes."""
    lines: dict[str, dict[int, Line]] = {name: {} for name in players}
    for number in _in_time(len(asked), until):
        for name in in_turn(list(players), number):
            if name != NGRAM or number % NGRAM_HOLES == 0:
                lines[name][number] = players[name](asked[number][1], False)
    return lines


def presses(keys: int) -> list[list[FillRequest]]:
    """Returns the requests of a session, place by place: the one to arriving there, then one for each key."""
    text, gaps = document()
    lines, places = text.split("\n"), []
    for gap in gaps:
        typed, keys = gap.text[:keys], keys - len(gap.text[:keys])
        before, after = "\n".join(lines[: gap.row + 1]), "".join(f"\n{line}" for line in lines[gap.row + 1 :])
        places.append(
            [
                FillRequest("typing", before + typed[:count], after, "expenses.py", "python")
                for count in range(len(typed) + 1)
            ]
        )
        lines[gap.row] += typed
        if keys == 0:
            break
    return places


def typing(
    players: Mapping[str, Ask], places: list[list[FillRequest]], until: float = math.inf
) -> dict[str, list[list[Line]]]:
    """Returns what each says at every key, place by place, as far as the time goes, another one first at each key."""
    pressed = [(place, request) for place, requests in enumerate(places) for request in requests]
    lines: dict[str, dict[int, list[Line]]] = {name: defaultdict(list) for name in players}
    for number in _in_time(len(pressed), until):
        place, request = pressed[number]
        for name in in_turn(list(players), number):
            if name != INFILL or number <= INFILL_KEYS:
                lines[name][place].append(players[name](request, True))
    return {name: list(by_place.values()) for name, by_place in lines.items()}


def _in_time(count: int, until: float) -> Iterator[int]:
    """Yields numbers up to a count until a moment of the monotonic clock, 0 and 1 in any case."""
    return itertools.takewhile(lambda number: number < LEAST or time.monotonic() <= until, range(count))


def in_turn(names: list[str], start: int) -> list[str]:
    """Returns the names, another one first at each start."""
    start %= len(names)
    return names[start:] + names[:start]


def cold_figures(lines: dict[str, dict[int, Line]], cases: Iterable[Case]) -> dict[str, Figures]:
    """Returns times and rates of each, how often it is right, and how many times as fast ours is."""
    wanted = [case.reference.strip() for case in cases]
    found = {}
    for name, by_hole in lines.items():
        said, own = list(by_hole.values()), [lines[OURS][hole] for hole in by_hole]
        right = [float(line.text.strip() == wanted[hole]) for hole, line in by_hole.items()]
        n_read, n_said = sum(line.read for line in said), sum(line.said for line in said)
        found[name] = {
            "holes": len(said),
            **_times([line.ms for line in said]),
            "prompt_tokens": round(n_read / len(said)),
            "prompt_tokens_per_s": round(1000 * n_read / sum(line.read_ms for line in said)),
            "tokens": round(n_said / len(said), 1),
            "tokens_per_s": round(1000 * n_said / sum(line.said_ms for line in said), 1),
            "exact": round(100 * mean(right), 1),
            **_beside_ours(own, said),
        }
    return found


def _beside_ours(own: list[Line], said: list[Line]) -> Figures:
    """How many times as long as ours the median takes, over all holes and over those where both say the same."""
    same = [(a.ms, b.ms) for a, b in zip(own, said, strict=True) if a.text.strip() == b.text.strip()]
    ratio = percentile([line.ms for line in said], 50) / percentile([line.ms for line in own], 50)
    figures = {"times_ours": round(ratio, 2), "same_line": len(same)}
    if same:
        own_ms, their_ms = (percentile(list(ms), 50) for ms in zip(*same, strict=True))
        figures["same_line_times_ours"] = round(their_ms / own_ms, 2)
    return figures


def typing_figures(lines: dict[str, list[list[Line]]]) -> dict[str, Figures]:
    """Returns the times of each, at the keys and on arriving at a place, beside those of ours."""
    found = {}
    for name, places in lines.items():
        keys, own = (_keys(some) for some in (places, lines[OURS][: len(places)]))
        found[name] = {
            "keys": len(keys),
            **_times(keys),
            **{f"arriving_{key}": value for key, value in _times([place[0].ms for place in places]).items()},
            **{f"p{q}_times_ours": round(percentile(keys, q) / percentile(own, q), 2) for q in (50, 95)},
        }
    return found


def _keys(places: list[list[Line]]) -> list[float]:
    return [line.ms for place in places for line in place[1:]]


def _times(ms: list[float]) -> Figures:
    return {f"p{q}_ms": round(percentile(ms, q), 1) for q in (50, 95)}


def measured(model: Path, command: str, asked: list[tuple[Case, FillRequest]], keys: int, minutes: float) -> Figures:
    """Returns the figures of all, and the milliseconds that they are made of."""
    began = time.monotonic()
    limit_threads()
    from coder_model.checkpoints.open import open_single

    engine = open_single(str(model))
    engine.warm_up()
    with ExitStack() as stack:

        def server(*more: str) -> LlamaServer:
            return stack.enter_context(closing(LlamaServer(command, model, MAX_THREADS, CONTEXT, more)))

        players = {OURS: ours(engine), PLAIN: theirs(server(), engine), NGRAM: theirs(server(*DRAFTS), engine)}
        lines = cold(players, asked, began + 60 * COLD_SHARE * minutes)
        keyed = typing(players | {INFILL: infill(server())}, presses(keys), began + 60 * TYPING_SHARE * minutes)
    return {
        "model": engine.name,
        "threads": MAX_THREADS,
        "cold": cold_figures(lines, [case for case, _ in asked]),
        "typing": typing_figures(keyed),
        "ms": {
            "cold": {name: [round(line.ms, 1) for line in said.values()] for name, said in lines.items()},
            "typing": {name: [round(ms, 1) for ms in _keys(places)] for name, places in keyed.items()},
        },
    }


def version_of(command: str) -> str:
    """Returns what llama.cpp's server says that it is."""
    told = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    return (told.stderr or told.stdout).strip().splitlines()[0]


def main() -> None:
    """Measures, prints a table, writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=Path, help="a file of infill cases")
    parser.add_argument("--model", type=Path, required=True, help="a GGUF file")
    parser.add_argument("--holes", type=int, default=40)
    parser.add_argument("--keys", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=8, help="that it may take, with fewer holes and keys then")
    parser.add_argument("--out", type=Path, default=RESULTS / "llama-cpp.json")
    arguments = parser.parse_args()
    began, command, busy = time.monotonic(), found(), round(os.getloadavg()[0], 1)
    asked = holes(arguments.cases, arguments.holes)
    # what is told to end ends its servers
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    record = measured(arguments.model, command, asked, arguments.keys, arguments.minutes)
    show(record["cold"])
    show(record["typing"])
    seconds = round(time.monotonic() - began)
    write(arguments.out, {"llama_cpp": version_of(command), "busy": busy, "seconds": seconds, **record})


if __name__ == "__main__":
    main()
