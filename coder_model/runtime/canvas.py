"""The slots that are being filled: their tokens, and what the last denoise pass predicted for those that are masked."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from coder_kernels.policies import Schedule, Step
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

    def note_(self, found: Selection, first: int = 0) -> None:
        """Takes in what a pass predicts for the slots from `first` on; only those that are masked change.

        Raises:
            BrokenScores: when a score was not a number.
        """
        slots = slice(first, first + len(found.token))
        masked = self.masked[slots]
        for kept, new in (
            (self.candidates, found.token),
            (self.confidence, found.confidence),
            (self.entropy, found.entropy),
        ):
            kept[slots] = torch.where(masked, new.cpu(), kept[slots])
        self.check()

    def chosen(self, schedule: Schedule, index: int) -> Tensor:
        """Returns [B] bool, the masked slots that the policy of a schedule picks in step `index`."""
        step = Step(self.confidence, self.entropy, self.masked, index, schedule.total)
        return schedule.policy(step, schedule.options)

    def step_(self, schedule: Schedule, index: int) -> None:
        """Reveals what a schedule picks in step `index`, in its last one all: `score_ops.unmask_` of one block."""
        self.reveal_(self.masked if index + 1 >= schedule.total else self.chosen(schedule, index))

    def reveal_(self, slots: Tensor) -> None:
        """Writes the candidates into `slots` [B] bool."""
        self.tokens = torch.where(slots, self.candidates, self.tokens)
        self.masked = self.masked & ~slots

    def check(self) -> None:
        """Checks the predictions of the last pass.

        Raises:
            BrokenScores: when a score was not a number.
        """
        if bool(self.confidence.isnan().any()):
            raise BrokenScores

    @property
    def leftmost(self) -> int:
        """Index of the leftmost masked slot; 0 when none is masked."""
        return int(self.masked.int().argmax())

    def leftmost_run(self) -> list[int]:
        """Returns the revealed tokens behind the given ones and before the first mask."""
        masked = self.masked[self.given :].tolist()
        end = masked.index(True) if True in masked else len(masked)
        tokens: list[int] = self.tokens[self.given : self.given + end].tolist()
        return tokens

    def operate_(self, expand: int, delete: int, mask: int, budget: int) -> None:
        """Carries out the operations that were revealed (DreamOn): a slot becomes two, or none.

        `expand` becomes two masked slots, or one once the canvas has grown by `budget`. `delete` is removed together
        with every masked slot to its right: the middle ends there.

        Args:
            expand: the token that makes a slot two.
            delete: the token that removes a slot.
            mask: the mask token.
            budget: slots that may become two.
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
