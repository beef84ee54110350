"""A published model in each precision: time and memory of loading it, and milliseconds of its passes on this CPU.

    python benchmarks/loading.py [MODEL] [--rounds 3] [--precisions float32 int8] [--out FILE]

MODEL is a GGUF file or a folder with a causal model; without it a random one of 0.76 B parameters in the layout of
Qwen2.5-Coder, built by `tests/support/checkpoints.py`. Each precision has a process of its own, because the peak of its
memory is one of the figures. They take turns; the least of all rounds counts. `busy` is the load average of the machine
before each turn: other work makes it slower.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from coder_model.worker.threads import limit_threads

limit_threads()

import torch
from records import BENCHMARKS, RESULTS, show, write

from coder_kernels.cpu_dtype import fastest, reads_bfloat16
from coder_model.checkpoints.families import FAMILIES
from coder_model.checkpoints.hf_config import read_published
from coder_model.checkpoints.loading import load_weights
from coder_model.checkpoints.precisions import WEIGHT_PRECISIONS
from coder_model.evaluation.run import peak_memory
from coder_model.model.fused_transformer import fuse
from coder_model.runtime.eager_runner import EagerRunner
from coder_model.runtime.sequence import Sequence

CONTEXT, TURNS = 512, 10
SIZES = {"hidden_size": 2048, "num_hidden_layers": 12, "num_attention_heads": 16, "num_key_value_heads": 4,
         "intermediate_size": 8192, "vocab_size": 8192}  # fmt: skip
FAMILY = "qwen2.5-coder"


def main() -> int:
    """Runs everything, or one turn in a process of its own, and writes what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--out", type=Path, default=RESULTS / "loading.json")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precisions", nargs="+", choices=WEIGHT_PRECISIONS, default=WEIGHT_PRECISIONS)
    parser.add_argument("--turn", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.turn:
        print(json.dumps(turn(arguments.model, arguments.turn)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        model = arguments.model or _random(Path(folder))
        size = sum(file.stat().st_size for file in ([model] if model.is_file() else model.glob("*.safetensors")))
        found, busy = rounds(model, arguments.precisions, arguments.rounds)
    for one in found.values():
        one["s_per_gb"] = round(one["load_s"] / (size / 1e9), 2)
        one["peak_ratio"] = round(one["peak_bytes"] / one["weights_bytes"], 3)
    about = {
        "model": arguments.model.name if arguments.model else f"random, {FAMILY}",
        "file_bytes": size,
        "busy": busy,
    }
    chosen = {"threads": torch.get_num_threads(), "fastest": fastest(), "reads_bfloat16": reads_bfloat16()}
    show(found)
    write(arguments.out, {**about, **chosen, "context_tokens": CONTEXT, "precisions": found})
    return 0


def _random(folder: Path) -> Path:
    sys.path.insert(0, str(BENCHMARKS.parent / "tests/support"))
    import checkpoints

    family = next(family for family in FAMILIES if family.name == FAMILY)
    checkpoints.build(family, folder, dtype=torch.bfloat16, **SIZES)  # type: ignore[no-untyped-call]
    return folder


def rounds(model: Path, precisions: list[str], count: int) -> tuple[dict[str, dict[str, float]], list[float]]:
    """Returns the least figures of each precision, and the load averages before the turns."""
    found: dict[str, dict[str, float]] = {}
    busy = []
    for _ in range(count):
        for precision in precisions:
            busy.append(round(os.getloadavg()[0], 1))
            command = [sys.executable, __file__, str(model), "--turn", precision]
            one = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
            best = found.setdefault(precision, one)
            found[precision] = {name: min(value, best[name]) for name, value in one.items()}
            print(precision, one, file=sys.stderr)
    return found, busy


@torch.inference_mode()
def turn(file: Path, precision: str) -> dict[str, float]:
    """Loads the model and runs passes: seconds, bytes, milliseconds."""
    published = read_published(file, "" if file.is_file() else FAMILY)
    torch.nn.functional.linear(torch.ones(8, 8), torch.ones(8, 8))
    before, began = peak_memory()["peak_mb"], time.perf_counter()
    model = load_weights(published, precision).model  # type: ignore[arg-type]
    found: dict[str, float] = {"load_s": round(time.perf_counter() - began, 2)}
    for tensor in model.state_dict().values():
        # what is mapped is in memory once it has been used
        tensor.flatten().view(torch.uint8)[::4096].sum()
    found["weights_bytes"] = sum(tensor.nbytes for tensor in model.state_dict().values())
    found["peak_bytes"] = round((peak_memory()["peak_mb"] - before) * 2**20)
    network = fuse(model, CONTEXT + 64, precision if precision in ("int8", "float32") else "bfloat16")
    sequence = Sequence(EagerRunner(network, torch.zeros(network.config.vocab_size, dtype=torch.bool)))
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, network.config.vocab_size, (CONTEXT + 16,), generator=generator).tolist()

    def least_ms(turns: int, kept: int, run: Any) -> float:
        times = []
        for _ in range(turns):
            sequence.truncate(kept)
            began = time.perf_counter()
            run()
            times.append((time.perf_counter() - began) * 1e3)
        return round(min(times), 1)

    found["prompt_512_ms"] = least_ms(2, 0, lambda: sequence.read(tokens[:CONTEXT], lambda: None))
    found["one_token_ms"] = least_ms(TURNS, CONTEXT, lambda: sequence.commit(tokens[CONTEXT : CONTEXT + 1]))
    found["four_tokens_ms"] = least_ms(TURNS, CONTEXT, lambda: sequence.commit(tokens[CONTEXT : CONTEXT + 4]))
    found["sixteen_tokens_ms"] = least_ms(TURNS, CONTEXT, lambda: sequence.commit(tokens[CONTEXT:]))
    return found


if __name__ == "__main__":
    sys.exit(main())
