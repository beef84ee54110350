"""BD3-LM's sampler (arXiv:2503.09573): blocks from left to right, diffusion inside each, keys of what is done kept."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from coder_model.training.literature.bd3 import BlockDiffusion
from coder_model.training.literature.interfaces import Predictor
from coder_model.training.literature.kept_keys import KeptKeys
from coder_model.training.literature.noise import log_probabilities, positions_of
from coder_model.training.literature.samplers.canvas import Chance, Filled
from coder_model.training.literature.schemes import block_causal


@dataclass(frozen=True, slots=True)
class ByBlocks:
    """The blocks lie on multiples of their length; clean tokens in a block stay."""

    objective: BlockDiffusion
    keeps_keys: bool = True
    """Else every pass is over all blocks up to the one that is filled."""

    def __call__(self, predict: Predictor, canvas: Tensor, steps: int, chance: Chance) -> Filled:
        """Returns the filled canvas after `steps` passes for each block of masks, and those that write keys."""
        filled = Filled(canvas.clone())
        size, masked = self.objective.block_length, canvas == self.objective.mask_id
        kept = KeptKeys() if self.keeps_keys else None
        for begin in range(0, canvas.shape[1], size):
            block = slice(begin, begin + size)
            if bool(masked[:, block].any()):
                self._fill_(predict, filled, block, steps, chance, kept)
        return filled

    def _fill_(
        self, predict: Predictor, filled: Filled, block: slice, steps: int, chance: Chance, kept: KeptKeys | None
    ) -> None:
        """Ancestral steps in one block; before them the keys of all blocks that are clean by now are written."""
        tokens, positions = filled.tokens, positions_of(filled.tokens)
        scheme = block_causal(self.objective.block_length)
        if kept is not None and (written := len(kept.begin(0))) < block.start:
            clean = slice(written, block.start)
            predict(tokens[:, clean], positions[:, clean], scheme, kept=kept.begin(block.start - written))
            filled.note()
        begin = block.start if kept is not None else 0
        for left in range(steps, 0, -1):
            seen = slice(begin, block.stop)
            now = kept.begin(0) if kept is not None else None
            logits = predict(tokens[:, seen], positions[:, seen], scheme, kept=now)[:, block.start - begin :]
            here = tokens[:, block]
            revealed = (here == self.objective.mask_id) & chance.happens(here.shape, 1 / left)
            chosen = chance.choose(log_probabilities(logits, self.objective.mask_id))
            here[revealed] = chosen[revealed]
            filled.note()
