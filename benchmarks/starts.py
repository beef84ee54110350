"""How soon the language server is there: hello, and the first suggestion, of servers with a worker of their own.

    python benchmarks/starts.py [--starts 50] [--model embedded]

Files that the start before has read are in the system's cache, and what a suggestion takes is known: the first start of
a day, which measures it, is not counted.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from editor import Editor
from records import RESULTS, Figures, show, write

from coder_model.checkpoints.store import EMBEDDED
from coder_model.evaluation.metrics import percentile

READY_S = 60.0


def started(model: str, state: str) -> tuple[float, float]:
    """Starts one server with a state folder; returns the seconds until hello, and until it has suggested something."""
    with tempfile.TemporaryDirectory() as folder:
        # where no model is installed the embedded one answers
        theirs = {"XDG_DATA_HOME": folder} if model == EMBEDDED else {}
        arguments = [] if model == EMBEDDED else ["--model", model]
        began = time.perf_counter()
        editor = Editor({}, {"XDG_RUNTIME_DIR": folder, "XDG_STATE_HOME": state, **theirs}, arguments)
        hello = time.perf_counter() - began
        editor.wait_until_ready(READY_S, "" if model == EMBEDDED else model)
        ready = time.perf_counter() - began
        editor.close()
    return hello, ready


def figures(seconds: list[float]) -> Figures:
    """Returns the median and the tail, in seconds."""
    return {"p50_s": round(percentile(seconds, 50), 2), "p95_s": round(percentile(seconds, 95), 2)}


def main() -> None:
    """Measures and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=50)
    parser.add_argument("--model", default=EMBEDDED)
    parser.add_argument("--out", type=Path, default=RESULTS / "starts.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as state:
        started(arguments.model, state)
        hellos, ready = zip(*(started(arguments.model, state) for _ in range(arguments.starts)), strict=True)
    found = {"hello": figures(list(hellos)), "first suggestion": figures(list(ready))}
    show(found)
    write(arguments.out, {"starts": arguments.starts, "model": arguments.model, **found})


if __name__ == "__main__":
    main()
