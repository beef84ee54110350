"""What drafts save a fill: one token at a time, with copies, with the model's drafter, with both; and llama.cpp beside.

    python benchmarks/drafted_passes.py CASES... --model FILE.gguf [--count 24] [--players NAME...] [--out FILE]

Contexts are cut to what a pass reads soon. All are asked in turns, hole by hole, another one first at each. Times are
of what comes after the context was read, as in an editor, where it is read before; `fill` has them with the reading.
How much of a draft is verified follows from what passes cost here; the players of whole drafts verify everything, as
pays where a pass is as long whatever its width. Counts of passes do not depend on the machine's load otherwise. Where
a text is not that of the first player the record names the case and how likely each of the two tokens was that
differ: near-ties are alike. llama.cpp, asked where `llama-server` is found, says its own text: its prompts have no
rules of ours around them.
"""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llama_cpp import CONTEXT, DRAFTS, in_turn
from llama_cpp import NGRAM as LLAMA_NGRAM
from llama_cpp import PLAIN as LLAMA
from llama_players import theirs
from llama_server import LlamaServer, found
from records import Figures, show, write

from coder_model.engine.options import EngineOptions
from coder_model.evaluation.cases import Case, read_cases
from coder_model.evaluation.metrics import percentile
from coder_model.types import FillRequest, Slot
from coder_model.worker.threads import MAX_THREADS, limit_threads

if TYPE_CHECKING:
    from coder_model.engine.engine import Engine

PLAIN, COPIES, DRAFTER, BOTH = "one token at a time", "copies", "drafter", "copies and drafter"
WHOLE, WHOLE_BOTH = "drafter, whole drafts", "copies and drafter, whole drafts"
OURS = {
    PLAIN: EngineOptions(alternatives=0, copy=False, drafter=False),
    COPIES: EngineOptions(alternatives=0, drafter=False),
    DRAFTER: EngineOptions(alternatives=0, copy=False),
    BOTH: EngineOptions(alternatives=0),
    WHOLE: EngineOptions(alternatives=0, copy=False, min_accepted=0),
    WHOLE_BOTH: EngineOptions(alternatives=0, min_accepted=0),
}
THEIRS = {LLAMA: [], LLAMA_NGRAM: DRAFTS}
PREFIX_CHARS, SUFFIX_CHARS = 1200, 500
QUARTERS = 4
"""Of the cases, from those that are filled soonest one token at a time to those that take longest."""


@dataclass(frozen=True, slots=True)
class Fill:
    """What was said at a hole, and what it took."""

    text: str
    tokens: int
    passes: int
    """Of the model itself; a denoise pass is the drafter's."""
    denoise: int
    ms: float
    """After the context was read."""
    whole_ms: float
    """With the reading."""
    decided: tuple[Slot, ...] = ()


Ask = Callable[[FillRequest], Fill]


def ours(engine: Engine) -> Ask:
    """Asks an engine; each request is of a document that it has never seen."""

    def ask(request: FillRequest) -> Fill:
        began = time.perf_counter()
        engine.warm(request)
        reading_ms = (time.perf_counter() - began) * 1000
        drafts = list(engine.fill(request, watch=True))
        kinds, last = [draft.kind for draft in drafts], drafts[-1]
        return Fill(
            last.text,
            last.tokens,
            kinds.count("verify"),
            kinds.count("denoise"),
            last.elapsed_ms,
            reading_ms + last.elapsed_ms,
            last.decided,
        )

    return ask


def llama(server: LlamaServer, engine: Engine) -> Ask:
    """Asks llama.cpp's server with the tokens that the engine gives its model."""
    line = theirs(server, engine)

    def ask(request: FillRequest) -> Fill:
        said = line(request, False)
        return Fill(said.text, said.said, said.passes, 0, said.said_ms, said.ms)

    return ask


def players(names: list[str], model: Path, stack: ExitStack) -> Iterator[tuple[str, Ask]]:
    """Yields who is asked; the servers end with the stack."""
    from coder_model.checkpoints.open import open_single

    for name in names:
        if name in THEIRS:
            server = LlamaServer(found(), model, MAX_THREADS, CONTEXT, THEIRS[name])
            yield name, llama(stack.enter_context(closing(server)), open_single(str(model), OURS[PLAIN]))
            continue
        engine = open_single(str(model), OURS[name])
        if name not in (WHOLE, WHOLE_BOTH):
            # only then is known what passes cost, and with it how much of a draft is worth verifying
            engine.warm_up()
        yield name, ours(engine)


def fills(asked: Mapping[str, Ask], cases: list[Case]) -> dict[str, list[Fill]]:
    """Returns what each says at every hole."""
    said: dict[str, list[Fill]] = {name: [] for name in asked}
    for number, case in enumerate(cases):
        request = FillRequest(
            f"{number}", case.prefix[-PREFIX_CHARS:], case.suffix[:SUFFIX_CHARS], case.file_name, hole=case.hole
        )
        for name in in_turn(list(asked), number):
            said[name].append(asked[name](request))
    return said


def figures(fills_of: list[Fill], plain: list[Fill]) -> Figures:
    """Returns what the fills took, and how many times as long those took that are one token at a time."""
    passes, tokens = (sum(getattr(one, name) for one in fills_of) for name in ("passes", "tokens"))
    by_length = sorted(range(len(plain)), key=lambda case: plain[case].ms)
    cuts = [len(plain) * part // QUARTERS for part in range(QUARTERS + 1)]
    quarters = [by_length[one:other] for one, other in itertools.pairwise(cuts)]
    return {
        "holes": len(fills_of),
        "tokens": tokens,
        "passes": passes,
        "denoise": sum(one.denoise for one in fills_of),
        "tokens_per_pass": round(tokens / max(1, passes), 3),
        "passes_per_fill": round(passes / len(fills_of), 2),
        "ms_per_token": round(sum(one.ms for one in fills_of) / max(1, tokens), 1),
        **{f"p{q}_ms": round(percentile([one.ms for one in fills_of], q), 1) for q in (50, 95)},
        **{f"fill_p{q}_ms": round(percentile([one.whole_ms for one in fills_of], q), 1) for q in (50, 95)},
        "times_plain": _ratio(plain, fills_of, by_length),
        "times_plain_by_quarter": [_ratio(plain, fills_of, quarter) for quarter in quarters],
        "same_text": sum(one.text == other.text for one, other in zip(fills_of, plain, strict=True)),
    }


def _ratio(plain: list[Fill], other: list[Fill], cases: Iterable[int]) -> float | None:
    times = [sum(one[case].ms for case in cases) for one in (plain, other)]
    return round(times[0] / times[1], 3) if times[1] else None


def differences(cases: list[Case], plain: list[Fill], other: list[Fill]) -> dict[str, list[float]]:
    """Returns the cases with another text, and the probability of the first token that differs, in both."""
    differing = {}
    for case, *said in zip(cases, plain, other, strict=True):
        if said[0].text != said[1].text:
            pairs = zip(*(one.decided for one in said), strict=False)
            first = next(((one, other) for one, other in pairs if one.text != other.text), ())
            differing[case.id] = [round(slot.confidence, 4) for slot in first]
    return differing


def groups(sets: Mapping[str, list[Case]]) -> Iterator[tuple[str, list[int]]]:
    """Yields the numbers of the cases of each set, and of those in it that cannot be copied where it says so."""
    start = 0
    for name, cases in sets.items():
        numbers = range(start, start := start + len(cases))
        yield name, list(numbers)
        if fresh := [n for n, case in zip(numbers, cases, strict=True) if case.tags.get("copyable") is False]:
            yield f"{name}, not copyable", fresh


def main() -> None:
    """Measures, prints a table for each set, writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=Path, nargs="+")
    parser.add_argument("--model", type=Path, required=True, help="a GGUF file")
    parser.add_argument("--count", type=int, default=24, help="holes of each file, evenly spread")
    parser.add_argument("--players", nargs="+", choices=[*OURS, *THEIRS], default=list(OURS))
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    sets = {path.name.partition(".")[0]: read_cases(path, arguments.count) for path in arguments.cases}
    # what is told to end ends its servers
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    busy = round(os.getloadavg()[0], 1)
    limit_threads()
    with ExitStack() as stack:
        asked = dict(players(arguments.players, arguments.model, stack))
        cases = [case for some in sets.values() for case in some]
        said = fills(asked, cases)
    first = said[arguments.players[0]]
    found_in: dict[str, dict[str, Figures]] = {}
    for group, numbers in groups(sets):
        of = {name: [some[number] for number in numbers] for name, some in said.items()}
        found_in[group] = {name: figures(some, of[arguments.players[0]]) for name, some in of.items()}
        show(found_in[group])
    if arguments.out:
        differing = {name: differences(cases, first, some) for name, some in said.items() if name in OURS}
        about = {"model": arguments.model.name, "threads": MAX_THREADS, "busy": busy}
        write(arguments.out, {**about, "sets": found_in, "differing": differing})


if __name__ == "__main__":
    main()
