"""A sequence whose blocks a small drafter denoises, from the states that the model's own passes leave."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from coder_kernels.policies import PolicyOptions, Schedule, Step, top_k
from coder_model.model.fused_drafter import FusedDrafter
from coder_model.model.fused_transformer import FusedTransformer
from coder_model.runtime.canvas import Canvas
from coder_model.runtime.sequence import FIRST_CAPACITY, LoneSequence

TIMED_CONTEXT, TIMES = 128, 3
"""Tokens before the passes that are timed, and how often each is run: the shortest counts."""


class DraftedSequence(LoneSequence):
    """As `LoneSequence`; every commit pass also feeds the drafter, whose cache is cut where the model's is."""

    def __init__(
        self,
        network: FusedTransformer,
        forbidden: Tensor,
        drafter: FusedDrafter,
        prefill_dtype: torch.dtype = torch.float32,
    ) -> None:
        """Takes the weights of both, [V] bool of tokens that no middle may hold, and the dtype of long passes."""
        super().__init__(network, forbidden, prefill_dtype)
        self._drafter = drafter
        self._drafter_cache = drafter.new_cache(FIRST_CAPACITY)

    def denoise_(self, canvas: Canvas, schedule: Schedule, index: int, kind: int) -> int:  # noqa: ARG002
        """One pass of the drafter over the block; see `Sequence`.

        A slot is spoken of by the one before it, so that the last one need not be in the pass.
        """
        start, count = len(self.tokens), len(canvas.tokens) - 1
        self._drafter_cache.grow_(start + count)
        found = self._drafter.denoise(canvas.tokens[:-1], ~canvas.masked[:-1], self._drafter_cache, start)
        canvas.note_(found, first=1)
        step = Step(canvas.confidence, canvas.entropy, canvas.masked, index, schedule.total)
        is_last = index + 1 >= schedule.total
        canvas.reveal_(canvas.masked if is_last else schedule.policy(step, schedule.options))
        return index + 1

    def _pass(self, tokens: Tensor, block_length: int) -> Tensor:
        start, spans = len(self.tokens), self._spans(len(tokens))
        taps = self._drafter.config.taps
        hidden, states = self._network.states(tokens[None], self._cache, spans, block_length, taps)
        self._drafter_cache.grow_(start + len(tokens))
        self._drafter.read(states, self._drafter_cache, start)
        return hidden


@dataclass(frozen=True, slots=True)
class PassCosts:
    """What passes take on this machine, in milliseconds."""

    one: float
    """A commit pass over one token."""
    more: float
    """Each token more in it."""
    draft: float
    """All denoise passes of a draft."""

    @property
    def min_accepted(self) -> float:
        """Tokens that verify must accept of a draft for it to be no slower than one token at a time."""
        gain = self.one - self.more
        # two tokens more than those accepted, or so, are verified in vain
        return (self.draft + 2 * self.more) / gain if gain > 0 else math.inf


def pass_costs(
    network: FusedTransformer, forbidden: Tensor, drafter: FusedDrafter, slots: int, steps: int
) -> PassCosts:
    """Measures what passes take on this machine, a quarter of a second or so.

    Args:
        network: of the model.
        forbidden: [V] bool.
        drafter: its drafter.
        slots: of a block.
        steps: denoise steps of a draft.
    """
    sequence = DraftedSequence(network, forbidden, drafter)
    sequence.read([0] * TIMED_CONTEXT, lambda: None)

    def milliseconds(run: Callable[[], object]) -> float:
        times = []
        for _ in range(TIMES):
            began = time.perf_counter()
            run()
            times.append(time.perf_counter() - began)
            sequence.truncate(TIMED_CONTEXT)
        return min(times) * 1e3

    one = milliseconds(lambda: sequence.commit([0]))
    block = milliseconds(lambda: sequence.commit([0] * slots))
    schedule = Schedule(top_k, PolicyOptions(), 1)
    draft = milliseconds(lambda: sequence.denoise_(Canvas.opening([0], slots, 0), schedule, 0, 0))
    return PassCosts(one, max(0.0, block - one) / (slots - 1), steps * draft)
