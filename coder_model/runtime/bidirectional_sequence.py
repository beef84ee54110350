"""A sequence for a model in which every token sees every other: prefix, canvas, suffix (LLaDA, Dream, DreamOn).

Nothing is ever final there: one revealed token changes what all others wrote. A pass over everything is exact. Between
two of them passes over the canvas alone read the keys and values that prefix and suffix wrote in the last exact one
(Fast-dLLM's dual cache, arXiv:2505.22618, section 3.2), which is an approximation.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  the name everyone uses
from torch import Tensor

from coder_model.model.transformer import Attend, Transformer
from coder_model.runtime.canvas import Canvas


class BidirectionalSequence:
    """Prefix and suffix of one hole, and the denoise passes over the canvas between them."""

    def __init__(
        self,
        model: Transformer,
        forbidden: Tensor,
        refresh_every: int,
        expand: int | None,
        most_expanded: int,
    ) -> None:
        """Takes the weights, and what no slot may hold.

        Args:
            model: attends in both directions.
            forbidden: [V] bool, tokens that no slot may hold.
            refresh_every: every so many passes one is exact, and each first one of a canvas of another length, where
                the suffix has other positions; 1 makes all of them exact.
            expand: the token that makes a slot two; None where there is none.
            most_expanded: slots that may become two; then `expand` is forbidden too.
        """
        self._model = model
        self._device = model.embed_tokens.weight.device
        self._forbidden = forbidden.to(self._device)
        self._refresh_every = refresh_every
        self._expand, self._most_expanded = expand, most_expanded
        self._before: list[int] = []
        self._behind: list[int] = []
        self._written: list[tuple[Tensor, Tensor]] = []
        self._n_slots = 0
        self._since_exact = 0

    def place(self, before: list[int], behind: list[int]) -> None:
        """Takes the tokens on both sides of a hole, `before` at least one; nothing of another hole is kept."""
        self._before, self._behind, self._written = before, behind, []

    def probabilities_(self, canvas: Canvas) -> Tensor:
        """One pass; fills in what it says of the masked slots.

        Returns:
            [V] float32, the distribution of the leftmost masked slot.
        """
        return canvas.read_(self._scores(canvas))

    def _scores(self, canvas: Canvas) -> Tensor:
        start, n_slots = len(self._before), len(canvas.tokens)
        # in the shifted form the token before the canvas speaks of its first slot
        shift = int(self._model.config.shifted)
        tokens = torch.tensor([*self._before, *canvas.tokens.tolist(), *self._behind], device=self._device)
        positions = torch.arange(len(tokens), device=self._device)
        window = slice(start - shift, start + n_slots)
        exact = not self._written or self._n_slots != n_slots or self._since_exact + 1 >= self._refresh_every
        if exact:
            self._written, self._n_slots, self._since_exact = [], n_slots, 0
            hidden = self._model(tokens[None], positions[None], self._attend_to_all())[0, window]
        else:
            self._since_exact += 1
            hidden = self._model(tokens[None, window], positions[None, window], self._attend_from(window))[0]
        scores: Tensor = self._model.logits(hidden[:n_slots]).float()
        scores = scores.masked_fill(self._forbidden, float("-inf"))
        if self._expand is not None and canvas.expanded >= self._most_expanded:
            scores[:, self._expand] = float("-inf")
        return scores

    def _attend_to_all(self) -> Attend:
        def attend(_: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            self._written.append((k, v))
            return F.scaled_dot_product_attention(q, k, v, enable_gqa=True)

        return attend

    def _attend_from(self, window: slice) -> Attend:
        def attend(layer_idx: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            keys, values = self._written[layer_idx]
            keys[:, :, window], values[:, :, window] = k, v
            return F.scaled_dot_product_attention(q, keys, values, enable_gqa=True)

        return attend
