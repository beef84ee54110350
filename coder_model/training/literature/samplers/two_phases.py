"""Eso-LM's sampler (arXiv:2506.01928): some slots by diffusion, then the others from left to right, with a KV cache.

Which slots are revealed when is drawn before: a share alpha0 of them by diffusion, in groups, the others one by one.
In B a pass is over the tokens of the group before, clean now, and the masks of this one: all earlier keys are final.
In A that holds from the second phase on; before it every pass is over all that is clean.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from coder_model.training.literature.eso import EsotericDiffusion
from coder_model.training.literature.interfaces import Predictor
from coder_model.training.literature.kept_keys import KeptKeys
from coder_model.training.literature.noise import log_probabilities
from coder_model.training.literature.samplers.canvas import Chance, Filled, row_by_row
from coder_model.training.literature.schemes import causal, prefix_causal


@dataclass(frozen=True, slots=True)
class TwoPhases:
    """Rows with masks in the same places are filled together, in one order for all; others one after the other.

    The paper's code draws an order for each row.
    """

    objective: EsotericDiffusion
    keeps_keys: bool = True

    def __call__(self, predict: Predictor, canvas: Tensor, steps: int, chance: Chance) -> Filled:
        """Returns the filled canvas after at most `steps` passes of diffusion, and one for each other slot."""
        masked = canvas == self.objective.mask_id
        if bool((masked == masked[0]).all()):
            return self._alike(predict, canvas, steps, chance)
        return row_by_row(lambda row: self._alike(predict, row, steps, chance), canvas)

    def _alike(self, predict: Predictor, canvas: Tensor, steps: int, chance: Chance) -> Filled:
        filled = Filled(canvas.clone())
        masked = canvas[0] == self.objective.mask_id
        groups, n_diffused = self.groups(masked.nonzero()[:, 0], steps, chance)
        if not groups:
            filled.note(0)
            return filled
        order, written, cut, kept = (~masked).nonzero()[:, 0], 0, 0, KeptKeys()
        for number, group in enumerate(groups):
            if number <= n_diffused:
                # what the clean tokens of A see of each other: all there are, none that the second phase adds
                cut = len(order)
            keeps = self.keeps_keys and (self.objective.variant == "b" or number >= n_diffused)
            new = order[written:] if keeps else order
            places = torch.cat([new, group]).expand(len(canvas), -1)
            scheme = causal() if self.objective.variant == "b" else prefix_causal(torch.full((len(canvas),), cut))
            now = kept.begin(len(new)) if keeps else None
            logits = predict(filled.tokens.gather(1, places), places, scheme, kept=now)[:, len(new) :]
            filled.tokens[:, group] = chance.choose(log_probabilities(logits, self.objective.mask_id))
            filled.note()
            written = len(order) if keeps else written
            order = torch.cat([order, group])
        return filled

    def groups(self, slots: Tensor, steps: int, chance: Chance) -> tuple[list[Tensor], int]:
        """Returns the slots [M] in groups that are revealed together, and how many groups are of the diffusion phase.

        A group is in random order, as masks are in training; sequential slots are groups of one, from left to right.
        """
        by_diffusion = chance.happens(slots.shape, self.objective.alpha0)
        revealed_at = torch.randint(steps, slots.shape, generator=chance.generator)
        shuffled = torch.randperm(len(slots), generator=chance.generator)
        found = [slots[shuffled][(by_diffusion & (revealed_at == step))[shuffled]] for step in range(steps)]
        diffused = [group for group in found if len(group)]
        # not `split`, which makes one empty part of nothing, and that a pass
        return [*diffused, *(slot[None] for slot in slots[~by_diffusion])], len(diffused)
