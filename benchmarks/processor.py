"""Ways of computing a pass of the embedded model on a CPU, in turns in one process: the ratio is the figure.

    python benchmarks/processor.py [--out benchmarks/results/processor.json]

Compiling needs a C++ compiler; ONNX Runtime is measured where onnxruntime, onnx and onnxscript can be imported. What is
absent is said to be.
"""

from __future__ import annotations

import argparse
import copy
import importlib.util
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from coder_model.worker.threads import limit_threads

limit_threads()

import torch
import torch.nn.functional as F  # noqa: N812  the name everyone uses
from records import RESULTS, write
from torch import Tensor, nn

from coder_kernels.cpu_dtype import fastest
from coder_kernels.tensor_types import AttentionMetadata
from coder_model.model import weights
from coder_model.model.embedded import DEFAULT_MODEL
from coder_model.model.fused_transformer import FusedTransformer, fuse
from coder_model.model.kv_cache import KVCache
from coder_model.model.transformer import Transformer

CONTEXT, TURNS, IN_A_ROW = 600, 8, 8
PASSES = {"one token": 1, "a block of 16": 16, "256 tokens of context": 256}


class Plain(nn.Module):
    """The plain transformer over a context that is there: tokens [1, T] to scores [1, T, V]."""

    def __init__(self, model: Transformer) -> None:
        """Takes the weights."""
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor, positions: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Every token sees the context, [L, 1, G, S, K] keys and values, and all others."""

        def attend(layer_idx: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            seen_keys, seen_values = torch.cat([keys[layer_idx], k], 2), torch.cat([values[layer_idx], v], 2)
            return F.scaled_dot_product_attention(q, seen_keys, seen_values, enable_gqa=True)

        return self.model.logits(self.model(tokens, positions, attend))


Run = Callable[[], object]


class Bench:
    """The embedded model, and passes over as many tokens as asked for."""

    def __init__(self, n_tokens: int) -> None:
        """Loads the weights."""
        self.n_tokens = n_tokens
        self.model, _ = weights.load(DEFAULT_MODEL)
        config = self.model.config
        generator = torch.Generator().manual_seed(0)
        self.tokens = torch.randint(0, config.vocab_size, (1, n_tokens), generator=generator)
        shape = (config.n_layers, 1, config.n_kv_heads, CONTEXT, config.head_dim)
        self.context = torch.randn(2, *shape, generator=generator)

    def plain(self, dtype: torch.dtype = torch.float32, change: Callable[[Any], Any] = lambda module: module) -> Run:
        """A pass of the plain transformer, its module changed by `change`."""
        module = change(Plain(copy.deepcopy(self.model).to(dtype)))
        inputs = self.inputs(dtype)
        return lambda: module(*inputs)

    def inputs(self, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Returns what the plain transformer takes."""
        positions = torch.arange(CONTEXT, CONTEXT + self.n_tokens)[None]
        return self.tokens, positions, *self.context.to(dtype)

    def merged(self, precision: str, dtype: torch.dtype = torch.float32) -> Run:
        """A pass of the network that fills holes."""
        capacity = CONTEXT + self.n_tokens
        network: FusedTransformer = fuse(copy.deepcopy(self.model).to(dtype), capacity, precision)
        cache = KVCache(network.config, 1, capacity, network.cache_dtype)
        cache.keys[:, :, :, :CONTEXT], cache.values[:, :, :, :CONTEXT] = self.context
        spans = AttentionMetadata(*torch.tensor([[0], [CONTEXT], [self.n_tokens]], dtype=torch.int32))
        return lambda: network.scores(network.hidden(self.tokens, cache, spans, 0))


def ways(bench: Bench) -> Iterator[tuple[str, Run | None]]:
    """Yields the name of a way, and a pass; None where something that it needs is absent."""
    yield "plain, float32", bench.plain()
    yield "merged, float32", bench.merged("float32")
    yield "plain, bfloat16", bench.plain(torch.bfloat16)
    yield "merged, bfloat16", bench.merged("bfloat16", torch.bfloat16)
    yield "merged, int8", bench.merged("int8")
    yield "torch's dynamic int8", bench.plain(change=_dynamic)
    try:
        compiled = bench.plain(change=torch.compile)
        compiled()
        yield "compiled, float32", compiled
    except Exception as error:
        yield f"compiled: {type(error).__name__}", None
    if importlib.util.find_spec("onnxruntime") and importlib.util.find_spec("onnxscript"):
        yield from _onnx(bench)
    else:
        yield "ONNX Runtime: absent", None


def _dynamic(module: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ao.quantization.quantize_dynamic(  # type: ignore[no-untyped-call]
            module, {nn.Linear}, dtype=torch.qint8
        )


def _onnx(bench: Bench) -> Iterator[tuple[str, Run]]:
    import onnxruntime  # type: ignore[import-not-found]
    from onnxruntime.quantization import quantize_dynamic  # type: ignore[import-not-found]

    inputs = bench.inputs()
    with tempfile.TemporaryDirectory() as folder:
        path, short = Path(folder) / "pass.onnx", Path(folder) / "int8.onnx"
        names = ["tokens", "positions", "keys", "values"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(Plain(bench.model), inputs, path, input_names=names, dynamo=True, verbose=False)
        quantize_dynamic(path, short)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        for name, file in (("ONNX Runtime, float32", path), ("ONNX Runtime, dynamic int8", short)):
            session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
            feed = {name: part.numpy() for name, part in zip(names, inputs, strict=True)}
            yield name, lambda session=session, feed=feed: session.run(None, feed)  # type: ignore[misc]


def measured(n_tokens: int) -> dict[str, dict[str, float]]:
    """Returns each way's time in milliseconds, and its ratio to the plain pass that ran in turns with it.

    Only two ways are alive at a time: a runtime whose threads wait by spinning would take the cores from all others.
    """
    bench = Bench(n_tokens)
    plain = bench.plain()
    found: dict[str, dict[str, float]] = {}
    for name, run in ways(bench):
        if run is None:
            found[name] = {}
            continue
        times: tuple[list[float], list[float]] = [], []
        for _ in range(TURNS):
            for one, taken in zip((plain, run), times, strict=True):
                for _ in range(IN_A_ROW):
                    began = time.perf_counter()
                    one()
                    taken.append(time.perf_counter() - began)
        of_plain, of_way = (sorted(taken)[len(taken) // 4] for taken in times)
        found[name] = {"ms": of_way * 1e3, "ratio": of_way / of_plain}
    return found


def main() -> None:
    """Prints and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=RESULTS / "processor.json")
    out: Path = parser.parse_args().out
    with torch.inference_mode():
        passes = {name: measured(n_tokens) for name, n_tokens in PASSES.items()}
    for name, ways_of in passes.items():
        for way, one in ways_of.items():
            print(f"{name}: {way}", *(f"{key} {value:.2f}" for key, value in one.items()))
    write(out, {"threads": torch.get_num_threads(), "chosen": fastest(), "passes": passes})


if __name__ == "__main__":
    main()
