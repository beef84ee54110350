"""A worker with an engine of some lines: echoes the end of the prefix.

In the cursor's line `slow` sleeps, `hang` never comes back, `crash` dies, `wrong` and `amiss` raise, `huge` needs more
memory than there is until the engine has been relieved, `silent` finds blanks, `overdue` is cut by the deadline,
`unsure` doubts, and `snippets` says what was shown beside the document. For holes that are filled together the name of
the function counts as the cursor's line, and is returned, with how often something is returned around the hole. A text
that is judged is as likely as its words, of which `bad` alone is unlikely; in its document `good` is drafted from then
on.
"""

import argparse
import os
import random
import re
import time
from pathlib import Path

from coder_model.types import Cancelled, Draft, Slot
from coder_model.worker.main import listener_at, serve

SLOWEST_S = float(os.environ.get("UNMASK_TEST_SLOWEST_S", "0"))
"""A fill takes a random time up to this."""
FILLS = Path(os.environ.get("UNMASK_TEST_FILLS", os.devnull))
"""Gets one line for every fill that was answered: is it speculative, and the cursor's line."""
WARMED = Path(os.environ.get("UNMASK_TEST_WARMED", os.devnull))
"""Gets one line for every warm-up: `begun`, `done` or `stopped`, and the cursor's line."""


class FakeEngine:
    def __init__(self, name, suggestion_ms):
        self.name, self.suggestion_ms = name, suggestion_ms
        self.judged = set()

    parameters = 1
    max_concurrent = 1
    judges = True
    controls = ("policy", "threshold")
    relieved = 0

    def warm_up(self, known_ms):
        if known_ms is not None:
            self.suggestion_ms = known_ms

    def is_intact(self):
        return True

    def reduce_memory(self):
        self.relieved += 1
        return self.relieved < 3

    def warm(self, request, cancelled):
        line = request.prefix.rsplit("\n", 1)[-1]

        def note(what):
            with WARMED.open("a") as file:
                file.write(f"{what} {line}\n")

        note("begun")
        for _ in range(200 if "slow" in line else 1):
            if cancelled():
                note("stopped")
                raise Cancelled
            time.sleep(0.02)
        note("done")

    def fill(self, request, cancelled, watch):
        line = request.prefix.rsplit("\n", 1)[-1]
        together = request.session.endswith("#holes")
        if together:
            line = re.findall(r"def (\w+)", request.prefix)[-1]
        if request.judged is not None:
            line = request.judged
        if "crash" in line:
            os._exit(3)
        if "hang" in line:
            cancelled()
            time.sleep(600)
        if "huge" in line and self.relieved < (9 if "too huge" in line else 2):
            raise MemoryError
        if "wrong" in line:
            raise ValueError("a secret: " + line)
        if "amiss" in line:
            raise KeyError("a secret: " + line)
        pause = 0.02 if "slow" in line else random.uniform(0, SLOWEST_S) / 2
        for step in range(200 if "slow" in line else 2):
            if cancelled():
                raise Cancelled
            time.sleep(pause)
            slots = (Slot("<", 0.9, False), Slot("", 0.5, True)) if watch else ()
            yield Draft(
                "", final=False, confidence=1.0, steps=step, tokens=0, elapsed_ms=0.0, kind="denoise", slots=slots
            )
        if request.judged is not None:
            self.judged.add(request.session)
            yield judgement(request.judged)
            return
        text = f"<{line}|{request.hole}|{request.suffix[:5]}>".replace("\n", "~")
        if "silent" in line:
            text = " \t"
        if "snippets" in line:
            text = " ".join(f"{snippet.path}:{snippet.text[:12]!r}" for snippet in request.snippets) or "none"
        if together:
            text = f"return {line}, {len(re.findall('return', request.prefix + request.suffix))}"
        elif request.session in self.judged:
            text = " good"
        elif request.hole == "block":
            text += "\nmore"
        with FILLS.open("a") as file:
            file.write(f"{request.speculative} {line}\n")
        if "unsure" in line and request.least_right > 0.5:
            yield Draft("", final=True, confidence=0.1, steps=2, tokens=3, elapsed_ms=1.0, unlikely=True)
            return
        sure = 0.01 if together and "unsure" in line else 0.5
        others = tuple(
            Draft(f"{text}{i}", final=True, confidence=0.5, steps=2, tokens=3, elapsed_ms=1.0)
            for i in range(1, request.count)
        )
        finished = "overdue" not in line
        ms = 1.0 if finished else request.deadline_ms
        yield Draft(text, True, sure, steps=2, tokens=3, elapsed_ms=ms, finished=finished, others=others)


def judgement(text):
    words = [*re.findall(r"\s*\S+|\s+", text), ""]
    slots = tuple(Slot(word, *((1e-4, False, 0.99) if word.strip() == "bad" else (0.9, False, 0.05))) for word in words)
    return Draft(text, True, 0.5, 1, len(slots), 1.0, slots=slots)


def make(arguments):
    if arguments.broken:
        raise ValueError("weights.bin must be weights")
    if arguments.no_memory:
        # in torch's words
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
    if arguments.slow_start:
        time.sleep(1.5)
    engine = FakeEngine(arguments.name, arguments.suggestion_ms)
    engine.judges = not arguments.small
    return engine


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--broken", action="store_true")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--slow-start", action="store_true")
    parser.add_argument("--small", action="store_true", help="too small to judge")
    parser.add_argument("--name", default="fake", help="of the engine")
    parser.add_argument("--suggestion-ms", type=float, default=1.0)
    parser.add_argument("--idle-seconds", type=float, default=300)
    parser.add_argument("--known-ms", type=float)
    parser.add_argument("--listener", type=int)
    arguments = parser.parse_args()
    listener = listener_at(arguments.listener)
    os._exit(serve(lambda _: make(arguments), listener, arguments.idle_seconds, arguments.known_ms))


if __name__ == "__main__":
    main()
