"""Runs each pass at once and alone, in its exact shape: for CPUs, and the reference of `batcher.py`.

The batcher at width 1 is as fast on a CPU (0.4 % slower over 60 pairs of fills), but its cache has all rows at full
length from the start: the embedded model takes 93 instead of 43 MB, and the caches of one of 0.5B alone 520 MB.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from coder_model.model.fused_drafter import FusedDrafter
from coder_model.model.fused_transformer import FusedTransformer
from coder_model.model.kv_cache import KVCache
from coder_model.runtime.passes import (
    DENOISE_MASK,
    CacheRow,
    Commit,
    Denoise,
    Predict,
    Work,
    barring,
    commit_mask,
    spans_of,
)
from coder_model.runtime.thread_choice import ThreadChoice

FIRST_CAPACITY = 256
"""Tokens that the cache of a document has room for at first."""
LONG_PASS = 64
"""Tokens from which on a pass may run in a lower precision: it reads context, and no draft is so long."""


class EagerRunner:
    """Runs passes of a model, and of the drafter that denoises its blocks if there is one; see `PassRunner`."""

    sync_interval = most = 1

    def __init__(
        self,
        network: FusedTransformer,
        forbidden: Tensor,
        long_pass_dtype: torch.dtype = torch.float32,
        drafter: FusedDrafter | None = None,
    ) -> None:
        """Takes the weights.

        Args:
            network: of the model.
            forbidden: [V] bool, tokens that no middle may hold.
            long_pass_dtype: of products in passes over `LONG_PASS` tokens or more, on a CPU.
            drafter: denoises blocks in place of the model; its cache is fed by the model's commit passes.
        """
        self.network, self.config = network, network.config
        self._forbidden = forbidden.to(network.device)
        self._long_pass_dtype, self._drafter = long_pass_dtype, drafter
        self._commit_mask = commit_mask(network.config)
        self._threads = ThreadChoice()

    @property
    def drafted_slots(self) -> int:
        """See `PassRunner.drafted_slots`."""
        return self._drafter.config.block_length + 1 if self._drafter else 0

    def warm_up(self, *_: object) -> None:
        """Does nothing: every shape is run as it comes."""

    def new_row(self) -> CacheRow:
        """Returns a row in a cache of its own, which grows."""
        network = self.network
        cache = KVCache(network.config, 1, FIRST_CAPACITY, network.cache_dtype, network.device)
        return CacheRow(cache, self._drafter.new_cache(FIRST_CAPACITY) if self._drafter else None)

    def copied_row(self, row: CacheRow, tokens: int) -> CacheRow:
        """Returns another row, in a cache of its own too."""
        return CacheRow(row.cache.copied(tokens), row.drafter_cache and row.drafter_cache.copied(tokens))

    def branched_rows(self, row: CacheRow, tokens: int, count: int) -> list[CacheRow]:
        """Returns rows of a cache of their own; nothing is drafted behind them."""
        cache = row.cache.copied(tokens, count)
        return [CacheRow(cache) for _ in range(count)]

    def bytes_of(self, row: CacheRow) -> int:
        """Returns the bytes of its caches."""
        return row.cache.n_bytes + (row.drafter_cache.n_bytes if row.drafter_cache else 0)

    def reserve(self, row: CacheRow, tokens: int) -> None:
        """Makes room for so many tokens, and some more."""
        row.cache.grow_(tokens + LONG_PASS)
        if row.drafter_cache:
            row.drafter_cache.grow_(tokens + LONG_PASS)

    def run(self, work: Work) -> None:
        """Runs a pass; see `PassRunner.run`."""
        match work:
            case Commit():
                self._threads.run(len(work.tokens), partial(self._commit, [work], len(work.tokens)))
            case Predict():
                self._threads.run(len(work.tokens), partial(self._predict, work))
            case Denoise():
                for _ in range(work.count):
                    self._threads.run(len(work.canvas.tokens), partial(self._denoise, work))

    def run_together(self, works: list[Commit]) -> None:
        """Runs one pass over rows of the same cache; see `PassRunner.run_together`."""
        longest = max(len(work.tokens) for work in works)
        # few lengths: each number of rows and tokens has buffers of its own
        length = 1 << (longest - 1).bit_length()
        self._threads.run(length * len(works), partial(self._commit, works, length))

    def _commit(self, works: list[Commit], length: int) -> None:
        """Commits tokens to rows of one cache, padded to a length; only a row that is alone has a drafter's cache."""
        row, start = works[0].row, works[0].start
        drafter = self._drafter if row.drafter_cache else None
        tokens = torch.tensor([work.tokens + [0] * (length - len(work.tokens)) for work in works])
        places = [(work.row.index, work.start, len(work.tokens)) for work in works]
        hidden, states = self._pass(row, places, tokens, self._commit_mask, drafter.config.taps if drafter else ())
        if drafter and row.drafter_cache:
            row.drafter_cache.grow_(start + length)
            drafter.read(states, row.drafter_cache, start)
        ends = [length * index + len(work.tokens) for index, work in enumerate(works)]
        last = torch.cat([hidden[end - work.wanted : end] for work, end in zip(works, ends, strict=True)])
        rows = self.network.probabilities(last, self._forbidden).cpu() if len(last) else last
        for work, own in zip(works, torch.split(rows, [work.wanted for work in works]), strict=True):
            work.probabilities = own

    def _denoise(self, work: Denoise) -> None:
        canvas, start = work.canvas, work.start
        if self._drafter and work.row.drafter_cache:
            # it predicts the slot after each token, so that the last one need not be in the pass
            work.row.drafter_cache.grow_(start + len(canvas.tokens))
            known = ~canvas.masked[:-1]
            found = self._drafter.denoise(canvas.tokens[:-1], known, work.row.drafter_cache, start)
        else:
            places = [(work.row.index, start, len(canvas.tokens))]
            hidden, _ = self._pass(work.row, places, canvas.tokens[None], DENOISE_MASK)
            found = self.network.select(hidden[:-1] if self.config.shifted else hidden[1:], self._forbidden)
        canvas.note_(found, first=1)
        canvas.step_(work.schedule, work.index)
        work.index += 1

    def _predict(self, work: Predict) -> None:
        positions = None if work.positions is None else torch.tensor([work.positions], device=self.network.device)
        places = [(work.row.index, work.start, len(work.tokens))]
        hidden, _ = self._pass(work.row, places, torch.tensor([work.tokens]), DENOISE_MASK, (), positions)
        hidden = hidden[work.predicting(self.config.shifted)]
        forbidden = barring(self._forbidden, work.barred)
        work.selection = self.network.select(hidden, forbidden)
        work.probabilities = self.network.probabilities(hidden[work.slot : work.slot + 1], forbidden)[0].cpu()

    def _pass(
        self,
        row: CacheRow,
        places: list[tuple[int, int, int]],
        tokens: Tensor,
        mask: int,
        taps: tuple[int, ...] = (),
        positions: Tensor | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """Runs the network over tokens [B, T] in a row's cache; see `FusedTransformer.states`, and `spans_of`."""
        network, length = self.network, tokens.shape[1]
        end = max(start for _, start, _ in places) + length
        if end > row.cache.capacity:
            row.cache.grow_(end)
        spans = spans_of(places, network.device)
        dtype = self._long_pass_dtype if length >= LONG_PASS else torch.float32
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            return network.states(tokens.to(network.device), row.cache, spans, mask, taps, positions)
