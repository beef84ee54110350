"""Ours in short: the denoising half drafts a block, the autoregressive half keeps what it would have said itself.

Two passes a round, and the text of `left_to_right.py` at temperature 0. The engine's own loop, with a KV cache,
copies and lengths that are not known, is `coder_model/decoding/draft_and_verify.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from coder_model.training.literature.interfaces import Predictor
from coder_model.training.literature.noise import positions_of
from coder_model.training.literature.samplers.canvas import Chance, Filled, row_by_row
from coder_model.training.literature.schemes import Seen, causal


@dataclass(frozen=True, slots=True)
class DraftAndCheck:
    """Rows are filled one after the other: each has its own drafts."""

    start_id: int
    mask_id: int

    def __call__(self, predict: Predictor, canvas: Tensor, steps: int, chance: Chance) -> Filled:
        """Returns the filled canvas; `steps` is the length that is drafted at a time, in slots."""
        return row_by_row(lambda row: self._row(predict, row, max(2, steps), chance), canvas)

    def _row(self, predict: Predictor, canvas: Tensor, length: int, chance: Chance) -> Filled:
        filled = Filled(torch.cat([torch.full_like(canvas[:, :1], self.start_id), canvas], dim=1))
        tokens = filled.tokens
        at = int((tokens[0] == self.mask_id).nonzero()[0, 0])
        while at < tokens.shape[1]:
            count = min(length, tokens.shape[1] - at)
            # a slot's scores come from the one before it: the block begins with the last clean token
            drafted = predict(tokens[:, : at + count], positions_of(tokens[:, : at + count]), last_block(at - 1))
            guess = self._chosen(drafted, chance)[:, at - 1 : at - 1 + count]
            tokens[:, at : at + count] = guess
            filled.note()
            said = self._chosen(
                predict(tokens[:, : at + count], positions_of(tokens[:, : at + count]), causal()), chance
            )
            said = said[:, at - 1 : at - 1 + count]
            agrees = int((said == guess)[0].int().cumprod(0).sum())
            right = min(agrees + 1, count)
            tokens[:, at : at + right] = said[:, :right]
            tokens[:, at + right : at + count] = self.mask_id
            at += right
            filled.note()
        filled.tokens, filled.history = tokens[:, 1:], [past[:, 1:] for past in filled.history]
        return filled

    def _chosen(self, logits: Tensor, chance: Chance) -> Tensor:
        return chance.choose(logits.index_fill(2, torch.tensor([self.mask_id]), float("-inf")))


def last_block(begin: int) -> Seen:
    """Clean tokens causally; from `begin` on one block whose slots see each other and all before."""
    return lambda _row, _head, query, key: (key <= query) | (query >= begin)
