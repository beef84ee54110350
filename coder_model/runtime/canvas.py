"""The slots that are being filled: what each holds, and what the last denoise pass says of those that are masked."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from coder_kernels.ops import select
from coder_kernels.tensor_types import Selection
from coder_model.errors import BrokenScores


@dataclass(slots=True)
class Canvas:
    """A run of B slots; those before `given` are decided and stay."""

    tokens: Tensor
    """[B] int64, the mask token where masked."""
    masked: Tensor
    """[B] bool."""
    confidence: Tensor
    """[B] float32 in (0, 1]; of the likeliest token where masked."""
    entropy: Tensor
    """[B] float32, in nats."""
    candidates: Tensor
    """[B] int64, the likeliest token of each slot."""
    given: int
    """Slots at the start that are not the loop's to fill."""
    expanded: int = 0
    """Slots that became two."""

    @classmethod
    def opening(cls, given: list[int], n_slots: int, mask: int, probability: float = 1.0) -> Canvas:
        """Returns `n_slots` slots, masked behind the given tokens, whose probability is known."""
        tokens = torch.tensor([*given, *[mask] * (n_slots - len(given))])
        masked = torch.arange(n_slots) >= len(given)
        confidence = torch.where(masked, 0.0, probability)
        return cls(tokens, masked, confidence, torch.zeros(n_slots), tokens.clone(), len(given))

    def reveal_(self, slots: Tensor) -> None:
        """Writes the candidates into `slots` [B] bool."""
        self.tokens = torch.where(slots, self.candidates, self.tokens)
        self.masked = self.masked & ~slots

    def note_(self, found: Selection, first: int = 0) -> None:
        """Takes in what a pass says of the slots from `first` on; only those that are masked change."""
        masked = self.masked[first:]
        self.candidates[first:] = torch.where(masked, found.token.cpu(), self.tokens[first:])
        self.confidence[first:] = torch.where(masked, found.confidence.cpu(), self.confidence[first:])
        self.entropy[first:] = found.entropy.cpu()
        self.check()

    def check(self) -> None:
        """Looks whether what a pass said can be believed.

        Raises:
            BrokenScores: when it was no number.
        """
        if bool(self.confidence.isnan().any()):
            raise BrokenScores

    def read_(self, scores: Tensor) -> Tensor:
        """Takes in the scores [B, V] of a pass; returns [V] float32, the distribution of the leftmost masked slot."""
        self.note_(select(scores))
        return scores[int(self.masked.int().argmax())].softmax(dim=0).cpu()

    def leftmost_run(self) -> list[int]:
        """Returns the revealed tokens behind the given ones and before the first mask."""
        masked = self.masked[self.given :].tolist()
        end = masked.index(True) if True in masked else len(masked)
        tokens: list[int] = self.tokens[self.given : self.given + end].tolist()
        return tokens

    def operate_(self, expand: int, delete: int, mask: int, budget: int) -> None:
        """Carries out the operations that were revealed (DreamOn): a slot becomes two, or none.

        `expand` becomes two masked slots, as long as the canvas has not grown by `budget`; then one. `delete` goes, and
        with it every masked slot to its right: what ends the middle there ends it for all of them.
        """
        tokens, masked = self.tokens.tolist(), self.masked.tolist()
        deleted = tokens.index(delete) if delete in tokens else len(tokens)
        kept: list[int] = []
        for slot, token in enumerate(tokens):
            if token == expand:
                grows = self.expanded < budget
                self.expanded += grows
                kept += [-1, -1] if grows else [-1]
            elif token != delete and not (slot > deleted and masked[slot]):
                kept.append(slot)
        source = torch.tensor(kept, dtype=torch.int64)
        fresh = source < 0
        source = source.clamp(min=0)
        self.tokens = self.tokens[source].masked_fill(fresh, mask)
        self.masked = self.masked[source] | fresh
        self.confidence = self.confidence[source].masked_fill(fresh, 0.0)
        self.entropy = self.entropy[source].masked_fill(fresh, 0.0)
        self.candidates = self.candidates[source].masked_fill(fresh, mask)
