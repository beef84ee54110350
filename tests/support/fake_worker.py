"""A worker with an engine of ten lines: echoes the end of the prefix; `slow` sleeps, `crash` dies, `wrong` raises."""

import os
import sys
import time

from coder_model.types import Cancelled, Draft
from coder_model.worker import serve


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
        for step in range(200 if "slow" in line else 2):
            if cancelled():
                raise Cancelled
            time.sleep(0.02 if "slow" in line else 0)
            yield Draft("", final=False, confidence=1.0, steps=step, tokens=0, elapsed_ms=0.0, kind="denoise")
        text = f"<{line}|{request.hole}|{request.suffix[:5]}>".replace("\r", "").replace("\n", "~")
        if "silent" in line:
            text = " \t"
        if request.hole == "block":
            text += "\nmore"
        yield Draft(text, final=True, confidence=0.5, steps=2, tokens=3, elapsed_ms=1.0)


def make():
    if "--broken" in sys.argv:
        raise ValueError("weights.bin must be weights")
    if "--slow-start" in sys.argv:
        time.sleep(1.5)
    return FakeEngine()


if __name__ == "__main__":
    os._exit(serve(make, sys.stdin.buffer, sys.stdout.buffer))
