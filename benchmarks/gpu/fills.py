"""Whole models with random weights: what a pass costs, and a fill at 1 to 8 tokens per step."""

from __future__ import annotations

from typing import Any
from unittest import mock

import torch
from shapes import CONTEXT, Shape
from timing import elapsed, wall

from coder_kernels import dispatch, score_ops
from coder_kernels.policies import PolicyOptions, Schedule, top_k
from coder_kernels.quantise import few_bits
from coder_model.model.fused_transformer import fuse
from coder_model.model.kv_cache import KVCache
from coder_model.model.quantized_linear import pack_
from coder_model.runtime.batched_steps import DenoiseStep, blocks_of
from coder_model.runtime.batcher import SLACK, Batcher
from coder_model.runtime.canvas import Canvas
from coder_model.runtime.passes import DENOISE_MASK, CacheRow, Commit, Denoise, Work
from coder_model.runtime.sequence import COMMIT_TOKENS

FILLED = 64
"""Tokens of a fill: two blocks."""
TOLERANCE = {"bfloat16": 1e-2, "int8": 2e-2, "int4": 6e-2, "fp8": 6e-2}
"""Relative error of hidden states after all layers: torch rounds more often, and rounds unpacked int4 to bfloat16."""
TOLERANCE_OF_FLOAT32 = {"bfloat16": 1e-5, "int8": 2e-2, "int4": 1e-5, "fp8": 1e-5}


class Bench:
    """A model in a number format, and passes over a few sequences."""

    def __init__(
        self, shape: Shape, precision: str, batch: int, context: int, block: int, device: torch.device
    ) -> None:
        """Draws the weights, and reads a context into every row."""
        dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        capacity = context + 4 * FILLED + SLACK
        model = shape.drawn(capacity, block, device, dtype)
        packed = few_bits(precision)
        if packed:
            pack_(model, packed)
        self.shape, self.block, self.context, self.device = shape, block, context, device
        self.precision = precision
        nothing = torch.zeros(shape.vocab_size, dtype=torch.bool)
        network = fuse(model, capacity, "int8" if packed == "int8" else "float32")
        cache = KVCache(model.config, batch + 1, capacity, network.cache_dtype, device)
        self.batcher = Batcher(network, cache, nothing, nothing[None], batch)
        self.rows = [CacheRow(cache) for _ in range(batch)]
        self.read(self.rows[0])
        for row in self.rows[1:]:
            for part in (cache.keys, cache.values):
                part[:, row.index] = part[:, self.rows[0].index]

    def checked(self) -> dict[str, float]:
        """Returns how far the kernels are from torch on the same weights, and whether a captured step says the same.

        What is compared is the last hidden states of a denoise pass, and the tokens of a step.
        """
        schedule = Schedule(top_k, PolicyOptions(k=1), 1 << 20)
        works = self._blocks(schedule, self.context)
        context = self.batcher._context
        network = context.network
        spans = context.spans([(work.row.index, work.start, self.block) for work in works], len(works), self.device)
        blocks = blocks_of(works, len(works), self.block, self.device)

        def hidden() -> torch.Tensor:
            return network.hidden(blocks.tokens, context.cache, spans, DENOISE_MASK)

        ours = hidden()
        same = torch.equal(ours, hidden())
        with mock.patch.object(dispatch, "gpu_kernels", return_value=None):
            plain = hidden()
        read_error = self._read_error()
        score_ops.unmask_(
            blocks, network.select(ours, context.forbidden), network.config.shifted, schedule, context.ends
        )
        self.batcher._step(self.batcher.most, (DenoiseStep, self.block, schedule)).do(works)
        told = torch.stack([work.canvas.candidates for work in works])
        return {
            "error": float((ours.double() - plain.double()).norm() / plain.double().norm()),
            "tolerance": (TOLERANCE if network.dtype == torch.bfloat16 else TOLERANCE_OF_FLOAT32)[self.precision],
            "read_error": read_error,
            "repeats": float(same and torch.equal(told, blocks.candidates.cpu())),
        }

    def _read_error(self) -> float:
        """How far a context that was read in captured portions is from one that was not."""
        parts = self.batcher.cache.keys, self.batcher.cache.values
        row = self.rows[0]
        before = [part[:, row.index, :, : self.context].double() for part in parts]
        with mock.patch.object(self.batcher, "_captures", False):
            self.read(row)
        after = [part[:, row.index, :, : self.context].double() for part in parts]
        return max(float((a - b).norm() / a.norm()) for a, b in zip(after, before, strict=True))

    def read(self, row: CacheRow) -> None:
        """Reads the context of a row, in portions."""
        for start in range(0, self.context, COMMIT_TOKENS):
            self.batcher.run(Commit(row, start, [5] * min(COMMIT_TOKENS, self.context - start), 0))

    def step_ms(self) -> float:
        """Milliseconds of the device for one denoise step of all rows."""
        schedule = Schedule(top_k, PolicyOptions(k=1), 1 << 20)
        step = self.batcher._step(self.batcher.most, (DenoiseStep, self.block, schedule))
        works = self._blocks(schedule, self.context)
        step.do(works)
        return elapsed(step.repeat) if self.device.type == "cuda" else wall(step.repeat, self.device)

    def commit_ms(self) -> float:
        """Milliseconds until a block of every row is committed, distributions included."""
        works: list[Any] = [Commit(row, self.context, [5] * self.block, 1) for row in self.rows]
        return wall(lambda: self._in_batches(works), self.device)

    def prefill_ms(self) -> float:
        """Milliseconds to read one context."""
        return wall(lambda: self.read(self.rows[0]), self.device, 2)

    def fill_ms(self, tokens_per_step: int, sync_interval: int) -> float:
        """Milliseconds to fill `FILLED` tokens in every row, as whoever asked sees it."""
        schedule = Schedule(top_k, PolicyOptions(k=tokens_per_step), -(-self.block // tokens_per_step))

        def fill() -> None:
            for start in range(self.context, self.context + FILLED, self.block):
                works: list[Any] = self._blocks(schedule, start)
                while works[0].index < schedule.total:
                    for work in works:
                        work.count = min(sync_interval, schedule.total - work.index)
                    self._in_batches(works)
                commits: list[Any] = [Commit(work.row, start, work.canvas.tokens.tolist(), 1) for work in works]
                self._in_batches(commits)

        return wall(fill, self.device, 2)

    def _blocks(self, schedule: Schedule, start: int) -> list[Denoise]:
        return [Denoise(row, start, Canvas.opening([7], self.block, 1), 0, schedule, 0, 1) for row in self.rows]

    def _in_batches(self, works: list[Any]) -> None:
        """Does passes of one shape together, as many at a time as one pass takes."""
        waiting: list[Work] = list(works)
        while waiting:
            batch = self.batcher._batch(waiting)
            self.batcher._do(batch)
            waiting = waiting[len(batch) :]


def measured(bench: Bench, bytes_per_second: float, flops: float, bits: float) -> dict[str, Any]:
    """Returns the times of a bench, and the floors beside them."""
    batch = len(bench.rows)
    memory = bench.shape.weight_bytes(bits) + batch * bench.shape.cache_bytes(bench.context)
    floor = max(memory / bytes_per_second, bench.shape.step_flops(batch * bench.block) / flops) * 1e3
    step = bench.step_ms()
    record: dict[str, Any] = {
        "prefill_ms": bench.prefill_ms(),
        "commit_ms": bench.commit_ms(),
        "step_ms": step,
        "floor_ms": floor,
        "share_of_floor": floor / step,
        "fills": [],
    }
    for tokens_per_step in (1, 2, 4, 8) if batch == 1 else (4,):
        for sync_interval in (1, 2, 4) if batch == 1 and tokens_per_step == 4 else (4,):
            ms = bench.fill_ms(tokens_per_step, sync_interval)
            record["fills"].append(
                {
                    "tokens_per_step": tokens_per_step,
                    "sync_interval": sync_interval,
                    "ms": ms,
                    "tokens_per_second": batch * FILLED / ms * 1e3,
                }
            )
    return record


def longer_context(shape: Shape, precision: str, device: torch.device, block: int) -> dict[str, float]:
    """Returns what 1,024 tokens of context more cost a step at batch 1."""
    short, long = (Bench(shape, precision, 1, n, block, device).step_ms() for n in (CONTEXT, CONTEXT + 1024))
    return {"step_ms": short, "with_1024_more_ms": long, "ratio": long / short}
