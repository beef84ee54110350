"""How long passes that verify drafts take on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from coder_kernels.policies import PolicyOptions, Schedule, top_k
from coder_model.runtime.canvas import Canvas
from coder_model.runtime.passes import PassRunner
from coder_model.runtime.sequence import Sequence

TIMED_CONTEXT, TIMES = 128, 3
"""Tokens before the passes that are timed, and how often each is run: the shortest counts."""
AVERAGED = 0.1
"""Weight of the latest pass in the average."""
LENGTH = 8
"""Tokens of a usual pass."""


@dataclass(frozen=True, slots=True)
class PassCosts:
    """What passes take on this machine, in milliseconds."""

    one: float
    """A commit pass over one token."""
    more: float
    """Each further token in it."""
    draft: float
    """All denoise passes of a draft; 0 without a drafter."""

    def after(self, tokens: int, milliseconds: float) -> PassCosts:
        """Returns the costs as they are after another commit pass: a slow average, which no single pass moves far.

        A step of the normalised least mean squares method, for time = one + more * LENGTH * (tokens - 1) / LENGTH.
        """
        expected, length = self.one + self.more * (tokens - 1), (tokens - 1) / LENGTH
        step = AVERAGED * (min(milliseconds, 2 * expected) - expected) / (1 + length**2)
        one = self.one + step
        return PassCosts(one, max(0.0, self.more + step * length / LENGTH), self.draft * one / self.one)

    def after_draft(self, milliseconds: float) -> PassCosts:
        """Returns the costs as they are after another draft was denoised."""
        return replace(self, draft=self.draft + AVERAGED * (min(milliseconds, 2 * self.draft) - self.draft))


def pass_costs(runner: PassRunner, slots: int, steps: int) -> PassCosts:
    """Measures what passes take on this machine, in a quarter of a second or so.

    Args:
        runner: of a model that verifies drafts.
        slots: of a block.
        steps: denoise steps of a draft; 0 where drafts are copies alone.
    """
    sequence = Sequence(runner)
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
    draft = milliseconds(lambda: sequence.denoise_(Canvas.opening([0], slots, 0), schedule, 0, 0)) if steps else 0.0
    return PassCosts(one, max(0.0, block - one) / (slots - 1), steps * draft)
