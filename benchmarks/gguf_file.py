"""A GGUF file in each precision of a CPU: seconds to load, memory, and milliseconds of passes.

    .venv/bin/python benchmarks/gguf_file.py FILE.gguf [--out benchmarks/results/gguf-file.json] [--rounds 3]

Each precision has a process of its own, because the peak of the memory is one of its figures. They take turns; the
least time of all rounds counts. `busy` is the machine's load average before each turn: other work makes it slower.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from coder_model.worker.threads import limit_threads

limit_threads()

import psutil
import torch

from coder_kernels.cpu_dtype import fastest, reads_bfloat16
from coder_model.checkpoints.hf_config import read_published
from coder_model.checkpoints.loading import load_weights
from coder_model.model.fused_transformer import fuse
from coder_model.runtime.eager_runner import EagerRunner
from coder_model.runtime.sequence import Sequence

PRECISIONS = ("bfloat16", "int8", "int4", "float32")
CONTEXT, TURNS = 512, 10
ROOT = Path(__file__).parents[1]


def main() -> int:
    """Runs everything, or one turn in a process of its own, and writes what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/gguf-file.json")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precisions", nargs="+", default=PRECISIONS)
    parser.add_argument("--turn", default="", help="a precision: measure it here and print it")
    arguments = parser.parse_args()
    if arguments.turn:
        print(json.dumps(turn(arguments.file, arguments.turn)))
        return 0
    found: dict[str, dict[str, float]] = {}
    busy = []
    for _ in range(arguments.rounds):
        for precision in arguments.precisions:
            busy.append(round(os.getloadavg()[0], 1))
            command = [sys.executable, __file__, str(arguments.file), "--turn", precision]
            one = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
            best = found.setdefault(precision, one)
            found[precision] = {name: min(value, best[name]) for name, value in one.items()}
            print(precision, one, file=sys.stderr)
    arguments.out.write_text(json.dumps(report(arguments.file, found, busy), indent=1) + "\n", "utf-8")
    return 0


def report(file: Path, found: dict[str, dict[str, float]], busy: list[float]) -> dict[str, Any]:
    """What was found, on what and with what."""
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "file": file.name,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "processor": torch.backends.cpu.get_cpu_capability(),
        "fastest": fastest(),
        "reads_bfloat16": reads_bfloat16(),
        "busy": busy,
        "context_tokens": CONTEXT,
        "precisions": found,
    }


@torch.inference_mode()
def turn(file: Path, precision: str) -> dict[str, float]:
    """Loads the file and runs passes: seconds, megabytes, milliseconds."""
    began = time.perf_counter()
    model = load_weights(read_published(file), precision).model  # type: ignore[arg-type]
    loaded = time.perf_counter() - began
    multiplies = precision if precision in ("int8", "float32") else "bfloat16"
    network = fuse(model, CONTEXT + 64, multiplies)
    sequence = Sequence(EagerRunner(network, torch.zeros(network.config.vocab_size, dtype=torch.bool)))
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, network.config.vocab_size, (CONTEXT + 16,), generator=generator).tolist()
    found = {"load_s": round(loaded, 2)}
    prompts = []
    for _ in range(2):
        sequence.truncate(0)
        began = time.perf_counter()
        sequence.read(tokens[:CONTEXT], lambda: None)
        prompts.append((time.perf_counter() - began) * 1e3)
    found["prompt_512_ms"] = round(min(prompts), 1)
    for count, name in ((1, "one_token_ms"), (16, "sixteen_tokens_ms")):
        times = []
        for _ in range(TURNS):
            sequence.truncate(CONTEXT)
            began = time.perf_counter()
            sequence.commit(tokens[CONTEXT : CONTEXT + count])
            times.append((time.perf_counter() - began) * 1e3)
        found[name] = round(min(times), 1)
    found["process_mb"] = round(psutil.Process().memory_full_info().uss / 1e6)
    found["peak_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)
    return found


if __name__ == "__main__":
    sys.exit(main())
