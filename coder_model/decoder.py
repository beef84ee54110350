"""One sequence on its way through the model: what is committed, and the passes that go on from there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from coder_kernels.ops import select
from coder_model.cache import KVCache
from coder_model.model import Attend, Transformer
from coder_model.tokenizer import MASK

Check = Callable[[], None]
"""Called between passes; raises to stop."""

COMMIT_TOKENS = 256
"""Context tokens per commit pass: between two passes a cancel is seen."""
PREFILL_TOKENS = 64
"""A commit pass over so many tokens may run in a lower precision: it reads context, and no draft is so long."""


@dataclass(slots=True)
class Canvas:
    """The block being denoised, slot 0 decided."""

    tokens: Tensor
    """[B] int64, MASK where masked."""
    masked: Tensor
    """[B] bool."""
    confidence: Tensor
    """[B] float32 in (0, 1]; of the likeliest token where masked."""
    entropy: Tensor
    """[B] float32, in nats."""
    candidates: Tensor
    """[B] int64, the likeliest token of each slot."""

    @classmethod
    def opening(cls, first: int, probability: float, block_length: int) -> Canvas:
        """A block of masks after a decided first slot."""
        tokens = torch.full((block_length,), MASK)
        tokens[0] = first
        masked = tokens == MASK
        confidence = torch.zeros(block_length)
        confidence[0] = probability
        return cls(tokens, masked, confidence, torch.zeros(block_length), tokens.clone())

    def reveal_(self, slots: Tensor) -> None:
        """Writes the candidates into `slots` [B] bool."""
        self.tokens = torch.where(slots, self.candidates, self.tokens)
        self.masked = self.masked & ~slots


class Decoder:
    """One sequence's committed tokens with their keys and values, and the passes that go on from there."""

    def __init__(self, model: Transformer, forbidden: Tensor, prefill_dtype: torch.dtype = torch.float32) -> None:
        """Takes the weights, [V] bool of tokens that no middle may hold, and the dtype of long commit passes."""
        self.tokens: list[int] = []
        """Committed tokens."""
        self._model = model
        self._cache = KVCache(model.config)
        self._forbidden = forbidden
        self._prefill_dtype = prefill_dtype

    def read(self, context: list[int], check: Check) -> Tensor:
        """Makes `context` the committed text, at the cost of what differs from the present one.

        The last token is always read again, because its scores are wanted: returns [V] float32, what follows it.
        """
        common = 0
        for common, (old, new) in enumerate(zip(self.tokens, context[:-1], strict=False)):  # noqa: B007
            if old != new:
                break
        else:
            common = min(len(self.tokens), len(context) - 1)
        self.truncate(common)
        self._cache.reserve(len(context) + PREFILL_TOKENS)
        while len(context) - len(self.tokens) > COMMIT_TOKENS:
            check()
            start = len(self.tokens)
            self._commit(context[start : start + COMMIT_TOKENS])
        check()
        return self._following(self._commit(context[len(self.tokens) :])[-1:])[0]

    def commit(self, tokens: list[int]) -> Tensor:
        """Writes the keys and values of `tokens`; returns [len(tokens), V], what follows each of them."""
        return self._following(self._commit(tokens))

    def truncate(self, length: int) -> None:
        """Forgets the committed tokens from `length` on."""
        del self.tokens[length:]
        self._cache.truncate(length)

    def denoise_(self, canvas: Canvas) -> None:
        """One bidirectional pass over the block; fills in candidates, confidence and entropy of the masked slots."""
        length = len(canvas.tokens)
        hidden = self._pass(canvas.tokens, self._cache.denoise_attention(length))
        # shifted form: slot j's scores come from slot j - 1; slot 0 was decided before
        found = select(self._scores(hidden[:-1]))
        masked = canvas.masked[1:]
        canvas.candidates[1:] = torch.where(masked, found.token, canvas.tokens[1:])
        canvas.confidence[1:] = torch.where(masked, found.confidence, canvas.confidence[1:])
        canvas.entropy[1:] = found.entropy

    def _commit(self, tokens: list[int]) -> Tensor:
        dtype = self._prefill_dtype if len(tokens) >= PREFILL_TOKENS else torch.float32
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            hidden = self._pass(torch.tensor(tokens), self._cache.commit_attention([len(tokens)], dtype))
        self.tokens += tokens
        return hidden

    def _pass(self, tokens: Tensor, attend: Attend) -> Tensor:
        positions = torch.arange(len(self.tokens), len(self.tokens) + len(tokens))
        hidden: Tensor = self._model(tokens[None], positions[None], attend)
        return hidden[0]

    def _scores(self, hidden: Tensor) -> Tensor:
        return self._model.logits(hidden).float().masked_fill(self._forbidden, float("-inf"))

    def _following(self, hidden: Tensor) -> Tensor:
        return self._scores(hidden).softmax(dim=1)
