"""A worker with an engine of some lines: echoes the end of the prefix.

In the cursor's line `slow` sleeps, `crash` dies, `wrong` raises, `silent` finds blanks, `unsure` doubts, and
`snippets` says what was shown beside the document.
"""

import os
import random
import sys
import time
from pathlib import Path

from coder_model.types import Cancelled, Draft
from coder_model.worker import serve

SLOWEST_S = float(os.environ.get("UNMASK_TEST_SLOWEST_S", "0"))
"""A fill takes a random time up to this."""
FILLS = Path(os.environ.get("UNMASK_TEST_FILLS", os.devnull))
"""Gets one line for every fill that was answered: is it speculative, and the cursor's line."""


class FakeEngine:
    name = "fake"
    parameters = 1

    def warm_up(self):
        pass

    def fill(self, request, cancelled, watch):
        line = request.prefix.rsplit("\n", 1)[-1]
        if "crash" in line:
            os._exit(3)
        if "wrong" in line:
            raise ValueError("a secret: " + line)
        pause = 0.02 if "slow" in line else random.uniform(0, SLOWEST_S) / 2
        for step in range(200 if "slow" in line else 2):
            if cancelled():
                raise Cancelled
            time.sleep(pause)
            yield Draft("", final=False, confidence=1.0, steps=step, tokens=0, elapsed_ms=0.0, kind="denoise")
        text = f"<{line}|{request.hole}|{request.suffix[:5]}>".replace("\r", "").replace("\n", "~")
        if "silent" in line:
            text = " \t"
        if "snippets" in line:
            text = " ".join(f"{snippet.path}:{snippet.text[:12]!r}" for snippet in request.snippets) or "none"
        if request.hole == "block":
            text += "\nmore"
        with FILLS.open("a") as file:
            file.write(f"{request.speculative} {line}\n")
        confidence = 0.1 if "unsure" in line else 0.5
        others = tuple(
            Draft(f"{text}{i}", final=True, confidence=0.5, steps=2, tokens=3, elapsed_ms=1.0)
            for i in range(1, request.count)
        )
        yield Draft(text, final=True, confidence=confidence, steps=2, tokens=3, elapsed_ms=1.0, others=others)


def make():
    if "--broken" in sys.argv:
        raise ValueError("weights.bin must be weights")
    if "--slow-start" in sys.argv:
        time.sleep(1.5)
    return FakeEngine()


if __name__ == "__main__":
    os._exit(serve(make, sys.stdin.buffer, sys.stdout.buffer))
