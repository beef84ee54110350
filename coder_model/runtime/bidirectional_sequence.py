"""Prefix and suffix of one hole and passes over the canvas between them, where all tokens attend to all (LLaDA, Dream).

A revealed token changes the keys and values of all others, so only a pass over everything is exact. Passes between two
exact ones are over the canvas alone, with the keys and values that prefix and suffix had in the last exact one: an
approximation (Fast-dLLM's dual cache, arXiv:2505.22618, section 3.2).

In the cache the canvas stands last, whatever its rotary positions are, so that a pass over it alone is a pass behind
what the row holds, as in every other kind of model.
"""

from __future__ import annotations

from torch import Tensor

from coder_model.runtime.canvas import Canvas
from coder_model.runtime.passes import PassRunner, Predict


class BidirectionalSequence:
    """One hole's context; takes a row of the cache for as long as it lives."""

    def __init__(
        self,
        runner: PassRunner,
        before: list[int],
        behind: list[int],
        refresh_every: int,
        expand: int | None = None,
        most_expanded: int = 0,
    ) -> None:
        """Takes what stands around the canvas.

        Args:
            runner: of a bidirectional model.
            before: tokens of the prefix, at least one.
            behind: tokens of the suffix.
            refresh_every: one in so many passes is exact, and the first over a canvas of another length, where the
                suffix has other positions; 1: all are.
            expand: the token that makes a slot two; None where the model has none.
            most_expanded: slots that may become two; then no slot may hold `expand` any more.

        Raises:
            MemoryError: when the runner has no row left, or no room for so many tokens.
        """
        self._runner, self._row = runner, runner.new_row()
        runner.reserve(self._row, len(before) + len(behind))
        self._shift = int(runner.config.shifted)
        start = len(before) - self._shift
        self._around = before[:start] + behind
        self._joint, self._start = before[start:], start
        """In the shifted form the prefix's last token predicts the first slot, and is passed with the canvas."""
        self._refresh_every = refresh_every
        self._expand, self._most_expanded = expand, most_expanded
        self._n_slots = self._since_exact = 0

    def predict_(self, canvas: Canvas) -> Tensor:
        """Runs one pass; predicts the slots of the canvas and reveals none.

        Returns:
            [V] float32, the distribution of the leftmost masked slot.

        Raises:
            MemoryError: when the row has no room for it.
        """
        n_slots, n_around = len(canvas.tokens), len(self._around)
        tokens = [*self._around, *self._joint, *canvas.tokens.tolist()]
        self._since_exact += 1
        n_kept = n_around
        if n_slots != self._n_slots or self._since_exact >= self._refresh_every:
            n_kept, self._n_slots, self._since_exact = 0, n_slots, 0
        end = self._start + self._shift + n_slots
        positions = [*range(self._start), *range(end, end + n_around - self._start), *range(self._start, end)]
        barred = self._expand if canvas.expanded >= self._most_expanded else None
        work = Predict(self._row, n_kept, tokens[n_kept:], n_slots, canvas.leftmost, positions[n_kept:], barred)
        self._runner.run(work)
        canvas.note_(work.selection)
        return work.probabilities
