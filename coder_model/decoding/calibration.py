"""What share of a model's suggestions is right, by how likely the model finds them: a curve for each, measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

NEVER = 1.0
"""Least probability of a model that is never right so often: no suggestion is as sure as that."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Of suggestions that are at least so likely as a whole, such a share was right.

    Raises:
        ValueError: when shares or probabilities do not rise, or are not in [0, 1].
    """

    points: Sequence[tuple[float, float]]
    """(share that is right, least probability of the whole)."""

    def __post_init__(self) -> None:
        for place in (0, 1):
            values = [point[place] for point in self.points]
            if values != sorted(values) or not all(0 <= value <= 1 for value in values):
                raise ValueError(f"points must rise within [0, 1], got {list(self.points)}")

    def least_probability(self, share: float) -> float:
        """Returns how likely a suggestion must be, for that share of those to be right that are shown.

        Args:
            share: in [0, 1), 0 for whatever the model says; between two points the logarithm of the probability is
                interpolated.
        """
        if not share:
            return 0.0
        before: tuple[float, float] | None = None
        for point in self.points:
            if share <= point[0]:
                return _between(before, point, share) if before else point[1]
            before = point
        return NEVER


def _between(low: tuple[float, float], high: tuple[float, float], share: float) -> float:
    part = (share - low[0]) / (high[0] - low[0])
    start, end = (math.log(max(probability, 1e-9)) for probability in (low[1], high[1]))
    return math.exp(start + part * (end - start))


SMALL = Calibration([(0.4, 0.12), (0.6, 0.36), (0.8, 0.72)])
"""The embedded model: 278 single lines of `dev`, word for word, and 60 ordinary places, of which it knows four."""
REAL = Calibration([(0.4, 1e-6), (0.6, 0.002), (0.8, 0.1)])
"""Qwen2.5-Coder 0.5B with its adapter: 90 lines of `dev` (0.51 right of all) and 60 ordinary places (0.87); others of
its size and above are taken to know as well what they know."""
