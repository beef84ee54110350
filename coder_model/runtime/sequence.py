"""One sequence on its way through the model: what is committed, and the passes that go on from there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from coder_kernels.policies import Schedule, Step
from coder_kernels.tensor_types import AttentionMetadata
from coder_model.model.fused_transformer import FusedTransformer
from coder_model.model.kv_cache import KVCache
from coder_model.runtime.canvas import Canvas

Check = Callable[[], None]
"""Called between passes; raises to stop."""

COMMIT_TOKENS = 256
"""Context tokens per commit pass: between two passes a cancel is seen."""
FIRST_CAPACITY = 256
"""Tokens that a cache of one document has room for at first."""
PREFILL_TOKENS = 64
"""A commit pass over so many tokens may run in a lower precision: it reads context, and no draft is so long."""


class Sequence(ABC):
    """One sequence's committed tokens, and the passes that go on from there."""

    def __init__(self) -> None:
        self.tokens: list[int] = []
        """Committed tokens."""

    def read(self, context: list[int], check: Check) -> Tensor:
        """Makes `context` the committed text, at the cost of what differs from the present one.

        The last token is always read again, because its scores are wanted: returns [V] float32, what follows it.
        """
        self.truncate(common_length(self.tokens, context[:-1]))
        self._reserve(len(context) + PREFILL_TOKENS)
        while len(context) - len(self.tokens) > COMMIT_TOKENS:
            check()
            start = len(self.tokens)
            self._write(context[start : start + COMMIT_TOKENS], 0)
        check()
        return self._write(context[len(self.tokens) :], 1)[0]

    def commit(self, tokens: list[int]) -> Tensor:
        """Writes the keys and values of `tokens`; returns [len(tokens), V], what follows each of them."""
        return self._write(tokens, len(tokens))

    def truncate(self, length: int) -> None:
        """Forgets the committed tokens from `length` on."""
        del self.tokens[length:]

    @abstractmethod
    def denoise_(self, canvas: Canvas, schedule: Schedule, index: int, kind: int) -> int:
        """Bidirectional passes over the block, each of which reveals slots.

        Args:
            canvas: the block; its first slot is given.
            schedule: what a pass reveals.
            index: passes over this block so far.
            kind: which tokens end it, a row of `Vocabulary.ends`.

        Returns:
            Passes over this block now; at least one more.
        """

    @abstractmethod
    def _write(self, tokens: list[int], wanted: int) -> Tensor:
        """Commits tokens; returns [wanted, V] float32, what follows the last `wanted` of them."""

    @abstractmethod
    def _reserve(self, tokens: int) -> None:
        """Makes room for so many tokens."""


class LoneSequence(Sequence):
    """A sequence with a cache of its own: nobody else's passes are waited for, and none are shared."""

    def __init__(
        self, network: FusedTransformer, forbidden: Tensor, prefill_dtype: torch.dtype = torch.float32
    ) -> None:
        """Takes the weights, [V] bool of tokens that no middle may hold, and the dtype of long commit passes."""
        super().__init__()
        self._network = network
        self._shifted = network.config.shifted
        self._block_length = network.config.block_length if network.config.attention == "block_causal" else 1
        self._cache = KVCache(network.config, 1, FIRST_CAPACITY, network.dtype, network.device)
        self._forbidden = forbidden.to(network.device)
        self._prefill_dtype = prefill_dtype

    def denoise_(self, canvas: Canvas, schedule: Schedule, index: int, kind: int) -> int:  # noqa: ARG002
        """One bidirectional pass over the block; see `Sequence`."""
        hidden = self._denoised(canvas)
        # slot 0 was decided before; in the shifted form slot j's scores come from slot j - 1
        rows = hidden[:-1] if self._shifted else hidden[1:]
        canvas.note_(self._network.select(rows, self._forbidden), first=1)
        step = Step(canvas.confidence, canvas.entropy, canvas.masked, index, schedule.total)
        is_last = index + 1 >= schedule.total
        canvas.reveal_(canvas.masked if is_last else schedule.policy(step, schedule.options))
        return index + 1

    def _reserve(self, tokens: int) -> None:
        self._cache.grow_(tokens)

    def _write(self, tokens: list[int], wanted: int) -> Tensor:
        hidden = self._commit(tokens)
        if not wanted:
            return hidden[:0]
        return self._network.probabilities(hidden[-wanted:], self._forbidden).cpu()

    def _commit(self, tokens: list[int]) -> Tensor:
        """Writes the keys and values of tokens; returns their hidden states [T, D]."""
        dtype = self._prefill_dtype if len(tokens) >= PREFILL_TOKENS else torch.float32
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            hidden = self._pass(torch.tensor(tokens), self._block_length)
        self.tokens += tokens
        return hidden

    def _denoised(self, canvas: Canvas) -> Tensor:
        """One bidirectional pass over the slots; returns their hidden states [T, D]."""
        return self._pass(canvas.tokens, 0)

    def _pass(self, tokens: Tensor, block_length: int) -> Tensor:
        spans = self._spans(len(tokens))
        return self._network.hidden(tokens[None].to(self._network.device), self._cache, spans, block_length)

    def _spans(self, count: int) -> AttentionMetadata:
        """So many tokens behind those that are committed, for which there is room then."""
        start = len(self.tokens)
        self._reserve(start + count)
        return AttentionMetadata(*torch.tensor([[0], [start], [count]], dtype=torch.int32, device=self._network.device))


def common_length(old: list[int], new: list[int]) -> int:
    """Returns how many tokens two sequences have in common at their start."""
    for index, (a, b) in enumerate(zip(old, new, strict=False)):
        if a != b:
            return index
    return min(len(old), len(new))
