"""A sequence for a model that attends by blocks: every token sees its own aligned block and all blocks before it.

What a whole block wrote never changes, so its keys and values are kept as they are; the block that the hole begins in
is denoised with the context's last tokens given (SDAR, Fast-dLLM v2, Stable-DiffCoder).
"""

from __future__ import annotations

import torch
from torch import Tensor

from coder_model.runtime.canvas import Canvas
from coder_model.runtime.sequence import COMMIT_TOKENS, Check, LoneSequence, common_length


class BlockSequence(LoneSequence):
    """Committed whole blocks with their keys and values, and the denoise passes over the next one."""

    _last: Tensor
    """[1, D] the state of the last committed token."""

    def read_blocks(self, context: list[int], check: Check) -> list[int]:
        """Commits the whole blocks of `context`, at the cost of those that changed; returns the tokens behind them."""
        size = self._block_length
        whole = len(context) - len(context) % size
        # the last block is read again: in the shifted form its last state speaks of the next block's first slot
        common = common_length(self.tokens, context[: max(0, whole - size)])
        self.truncate(common - common % size)
        self._reserve(len(context) + 2 * size)
        portion = max(COMMIT_TOKENS // size, 1) * size
        while len(self.tokens) < whole:
            check()
            self.commit_block(context[len(self.tokens) : min(len(self.tokens) + portion, whole)])
        return context[whole:]

    def commit_block(self, tokens: list[int]) -> None:
        """Writes the keys and values of whole blocks."""
        self._last = self._commit(tokens)[-1:]

    def probabilities_(self, canvas: Canvas) -> Tensor:
        """One pass over the block; fills in what it says of the masked slots.

        Returns:
            [V] float32, the distribution of the leftmost masked slot.
        """
        hidden = self._denoised(canvas)
        if self._shifted:
            first = self._last if self.tokens else hidden[:1]
            hidden = torch.cat([first, hidden[:-1]])
        return canvas.read_(self._network.scores(hidden, self._forbidden))
