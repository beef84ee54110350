"""Published models without their weights: load time and memory, a step beside transformers', caches, refusals.

    .venv/bin/python benchmarks/published.py [--out benchmarks/results/published.json] [--headers 10000]

Checkpoints are random ones in the layout of each family, built by `tests/support/checkpoints.py`. Loading is measured
in a process of its own per precision; what runs side by side runs in turns in one process: the ratio is the figure.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import random
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from coder_model.worker.threads import limit_threads

limit_threads()

import torch  # noqa: E402  after the threads are set
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

from coder_model.checkpoints.families import FAMILIES, Family  # noqa: E402
from coder_model.evaluation.run import facts  # noqa: E402

SUPPORT = str(Path(__file__).parents[1] / "tests" / "support")
LARGE = {"hidden_size": 1536, "num_hidden_layers": 12, "num_attention_heads": 12, "num_key_value_heads": 2,
         "intermediate_size": 8960, "vocab_size": 64_000}  # fmt: skip
"""About 1.7 GB in bfloat16: the width of Qwen2.5-Coder-1.5B, 12 of its 28 layers."""
SMALL = {"hidden_size": 256, "num_hidden_layers": 6, "num_attention_heads": 4, "num_key_value_heads": 2,
         "intermediate_size": 704, "vocab_size": 8192}  # fmt: skip
TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "intermediate_size": 48, "vocab_size": 400}  # fmt: skip
CONTEXT, SLOTS, REPEATS = 256, 16, 30
_LOAD = """
import json, re, sys, time
from pathlib import Path
from coder_model.worker.threads import limit_threads
limit_threads()
import psutil, torch
from coder_model.checkpoints.loading import load_weights
from coder_model.checkpoints.hf_config import read_published
from coder_model.model.quantized_linear import QuantizedLinear

def peak():
    # not ru_maxrss: that of the parent is inherited
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text()).group(1)) * 1024

published = read_published(Path(sys.argv[1]))
torch.nn.functional.linear(torch.ones(8, 8), torch.ones(8, 8))
before = max(peak(), psutil.Process().memory_info().rss)
began = time.perf_counter()
loaded = load_weights(published, sys.argv[2])
seconds = time.perf_counter() - began
n_bytes = sum(t.nbytes for t in loaded.model.state_dict().values())
read = peak() - before
for tensor in loaded.model.state_dict().values():
    # what is mapped is in memory once it has been used
    tensor.flatten().view(torch.uint8)[::4096].sum()
print(json.dumps({"weights_bytes": n_bytes, "load_s": seconds, "peak_bytes": read, "peak_used_bytes": peak() - before}))
"""


def main() -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/published.json"))
    parser.add_argument("--headers", type=int, default=10_000)
    arguments = parser.parse_args()
    sys.path.insert(0, SUPPORT)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        record = {
            **facts(),
            "loading": loading(root),
            "steps": steps(root),
            "second_request": second_requests(root),
            "canvas_passes": canvas_passes(root),
            "fill_ms": precisions(),
            "refusals": refusals(root, arguments.headers),
        }
    arguments.out.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    _print(record)


def _built(root: Path, family: Family, sizes: dict[str, int], dtype: torch.dtype) -> tuple[Path, Any]:
    """A random checkpoint of other sizes than the tests', and the independent model."""
    import checkpoints

    directory = root / f"{family.name}-{sizes['hidden_size']}"
    return directory, checkpoints.build(family, directory, dtype=dtype, **sizes)  # type: ignore[no-untyped-call]


def loading(root: Path) -> dict[str, Any]:
    """Time and peak memory per precision, each in a process of its own."""
    family = next(f for f in FAMILIES if f.name == "dream")
    directory, _ = _built(root, family, LARGE, torch.bfloat16)
    size = sum(path.stat().st_size for path in directory.glob("*.safetensors"))
    found: dict[str, Any] = {"file_bytes": size}
    for precision in ("bfloat16", "float32", "int8", "fp8", "int4"):
        done = subprocess.run(
            [sys.executable, "-c", _LOAD, str(directory), precision], capture_output=True, text=True, check=True
        )
        one = json.loads(done.stdout)
        one["s_per_gb_of_file"] = one["load_s"] / (size / 1e9)
        one["peak_ratio"] = max(one["peak_bytes"], one["peak_used_bytes"]) / one["weights_bytes"]
        found[precision] = one
    for path in directory.iterdir():
        path.unlink()
    return found


def steps(root: Path) -> dict[str, Any]:
    """Milliseconds of one pass over `CONTEXT` tokens, ours and transformers' own modules in turns."""
    from coder_kernels.reference import visible
    from coder_model.checkpoints.hf_config import read_published
    from coder_model.checkpoints.loading import load_weights
    from coder_model.training.masks import additive

    found = {}
    for family in FAMILIES:
        directory, theirs = _built(root, family, SMALL, torch.float32)
        theirs.set_attn_implementation("sdpa")
        published = read_published(directory, family.name)
        ours = load_weights(published, "float32").model
        tokens, positions = torch.randint(0, 300, (1, CONTEXT)), torch.arange(CONTEXT)[None]
        block = published.config.block_length if family.attention == "block_causal" else 1
        seen = visible(0, CONTEXT, CONTEXT if family.attention == "bidirectional" else block, 0, torch.device("cpu"))[
            None
        ]
        bias = additive(seen, torch.float32)[:, None].clamp(min=torch.finfo(torch.float32).min)

        def attend(_: int, q: Any, k: Any, v: Any, mask: Any = seen[:, None]) -> Any:
            return torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)

        def mine(model: Any = ours, tokens: Any = tokens, positions: Any = positions, attend: Any = attend) -> None:
            model.logits(model(tokens, positions, attend))

        def other(model: Any = theirs, tokens: Any = tokens, bias: Any = bias) -> None:
            model(tokens, attention_mask=bias, use_cache=False)

        ours_ms, theirs_ms = side_by_side(mine, other)
        found[family.name] = {"ms": ours_ms, "transformers_ms": theirs_ms, "ratio": ours_ms / theirs_ms}
    return found


def side_by_side(*functions: Callable[[], None]) -> list[float]:
    """Median milliseconds of functions that are called in turns."""
    times: list[list[float]] = [[] for _ in functions]
    with torch.inference_mode():
        for _ in range(REPEATS):
            for index, function in enumerate(functions):
                began = time.perf_counter()
                function()
                times[index].append((time.perf_counter() - began) * 1000)
    return [statistics.median(column[3:]) for column in times]


def second_requests(root: Path) -> dict[str, Any]:
    """One more key in the same document, with what was kept of the request before and without."""
    from coder_model.checkpoints.hf_config import read_published
    from coder_model.checkpoints.loading import load_weights
    from coder_model.engine.engine import Engine
    from coder_model.engine.options import EngineOptions
    from coder_model.types import FillRequest

    text = "\n".join(f"value_{n} = compute(value_{n - 1}, {n})" for n in range(1, 200))
    found = {}
    for name in ("qwen2.5-coder", "stable-diffcoder", "nemotron-labs-diffusion"):
        family = next(f for f in FAMILIES if f.name == name)
        directory, _ = _built(root, family, SMALL, torch.float32)
        published = read_published(directory, name)
        published = replace(published, config=replace(published.config, context_tokens=512))
        loaded = load_weights(published, "float32")
        row = {}
        for title, options in (("kept", EngineOptions()), ("nothing kept", EngineOptions(reuse=False))):
            engine = Engine(loaded.model, loaded.tokenizer, name, options, loaded.generation)
            times = []
            for number in range(12):
                began = time.perf_counter()
                # only the first pass: what a random model says takes any number of them
                for _ in engine.fill(FillRequest("s", text + "\nx = " + "a" * number, "\ny = 1\n", path="a.py")):
                    break
                times.append((time.perf_counter() - began) * 1000)
            row[title] = {"first_ms": times[0], "next_ms": statistics.median(times[1:])}
        found[name] = row
    return found


def canvas_passes(root: Path) -> dict[str, Any]:
    """A pass over a canvas of `SLOTS` between prefix and suffix: exact, and one of four that share what those wrote."""
    from coder_model.checkpoints.hf_config import read_published
    from coder_model.checkpoints.loading import load_weights
    from coder_model.model.fused_transformer import fuse
    from coder_model.runtime.bidirectional_sequence import BidirectionalSequence
    from coder_model.runtime.canvas import Canvas
    from coder_model.runtime.eager_runner import EagerRunner

    directory, _ = _built(root, next(f for f in FAMILIES if f.name == "dream"), SMALL, torch.float32)
    published = read_published(directory)
    model = load_weights(published, "float32").model
    nothing = torch.zeros(SMALL["vocab_size"], dtype=torch.bool)
    runner = EagerRunner(fuse(model, 2048 + SLOTS, "float32"), nothing)
    found = {}
    for context in (256, 1024, 2048):
        half = context // 2
        decoders = [BidirectionalSequence(runner, [1] * half, [2] * half, every) for every in (1, 4)]

        def passes(sequence: BidirectionalSequence) -> None:
            canvas = Canvas.opening([], SLOTS, published.special_tokens.mask)
            for _ in range(4):
                sequence.predict_(canvas)

        exact, shared = side_by_side(*(partial(passes, sequence) for sequence in decoders))
        found[str(context)] = {"exact_ms": exact / 4, "refreshed_ms": shared / 4, "ratio": shared / exact}
    return found


def precisions() -> dict[str, float]:
    """Milliseconds of a fill by the embedded model in each precision, in turns."""
    from coder_model.checkpoints.loading import WEIGHT_PRECISIONS
    from coder_model.checkpoints.open import open_single
    from coder_model.engine.engine import Engine
    from coder_model.types import FillRequest

    engines: dict[str, Engine] = {name: open_single(quantize=name) for name in WEIGHT_PRECISIONS}
    numbers = itertools.count()

    def fill(name: str) -> None:
        # another document each time: nothing is kept
        request = FillRequest(f"s{next(numbers)}", "import json\n\n\ndef load(path):\n    return ", "\n", path="a.py")
        for _ in engines[name].fill(request):
            pass

    return dict(zip(engines, side_by_side(*(partial(fill, name) for name in engines)), strict=True))


def refusals(root: Path, count: int) -> dict[str, Any]:
    """How long a mutated header takes to be refused."""
    from coder_model.checkpoints.hf_config import read_published
    from coder_model.checkpoints.loading import check
    from coder_model.checkpoints.safetensors_header import read_header
    from coder_model.errors import ModelFileError

    sys.path.insert(0, str(Path(SUPPORT).parent / "coder_model" / "checkpoints"))
    mutated = importlib.import_module("test_bad_files").mutated

    directory, _ = _built(root, next(f for f in FAMILIES if f.name == "dream"), TINY, torch.bfloat16)
    published, path = read_published(directory), directory / "model.safetensors"
    whole = path.read_bytes()
    (length,) = struct.unpack("<Q", whole[:8])
    rng, refused = random.Random(0), 0
    times: list[float] = []
    expected = read_header(path)
    for _ in range(count):
        path.write_bytes(mutated(whole, length, rng))
        began = time.perf_counter()
        try:
            if read_header(path) != expected:
                check(published)
        except ModelFileError:
            refused += 1
        times.append((time.perf_counter() - began) * 1000)
    times.sort()
    return {"headers": count, "refused": refused, "p50_ms": times[count // 2], "slowest_ms": times[-1]}


def _print(record: dict[str, Any]) -> None:
    console = Console()
    table = Table("precision", "weights GB", "s per GB of file", "peak / weights")
    for name, one in record["loading"].items():
        if name != "file_bytes":
            cells = (one["weights_bytes"] / 1e9, one["s_per_gb_of_file"], one["peak_ratio"])
            table.add_row(name, *(f"{cell:.2f}" for cell in cells))
    console.print(table)
    table = Table("family", "ms", "transformers ms", "ratio")
    for name, one in record["steps"].items():
        table.add_row(name, f"{one['ms']:.1f}", f"{one['transformers_ms']:.1f}", f"{one['ratio']:.2f}")
    console.print(table)
    table = Table("family", "first ms", "next, kept", "next, nothing kept")
    for name, row in record["second_request"].items():
        cells = (row["kept"]["first_ms"], *(row[k]["next_ms"] for k in ("kept", "nothing kept")))
        table.add_row(name, *(f"{cell:.1f}" for cell in cells))
    console.print(table)
    console.print(record["canvas_passes"], record["fill_ms"])
    console.print(record["refusals"])


if __name__ == "__main__":
    main()
