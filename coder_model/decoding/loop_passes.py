"""Runs the commit passes that decoding loops yield: those of one loop, or of several at the same time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from coder_model.decoding.draft_and_verify import DecodingStep, Loop
from coder_model.runtime.passes import Commit, PassRunner


def run_alone(loop: Loop, runner: PassRunner) -> Iterator[DecodingStep]:
    """Runs each pass by itself; yields the loop's steps."""
    for found in loop:
        if isinstance(found, Commit):
            runner.run(found)
        else:
            yield found


def run_together(loops: Sequence[Loop], runner: PassRunner) -> Iterator[None]:
    """Runs in each pass what all loops want that are not done; yields after every pass.

    Args:
        loops: over sequences of `Sequence.branched`.
        runner: of these sequences.
    """
    while wanted := [(loop, work) for loop in loops if (work := _wanted(loop))]:
        runner.run_together([work for _, work in wanted])
        yield
        loops = [loop for loop, _ in wanted]


def _wanted(loop: Loop) -> Commit | None:
    """Goes on with a loop until it wants a pass; None when it is done."""
    return next((found for found in loop if isinstance(found, Commit)), None)
