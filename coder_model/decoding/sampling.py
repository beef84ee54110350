"""Draws tokens instead of taking the likeliest, so that a draft still changes nothing but the speed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Sampling:
    """Draws from p ** (1 / temperature) by the Gumbel-max trick (Maddison et al., A* Sampling, arXiv:1411.0030).

    The noise belongs to a place in the middle and not to a pass. So whoever asks there again, along a draft or one
    token at a time, gets the same token: verify accepts a drafted one as often as it is drawn, and what is drawn has
    the model's distribution. That is rejection sampling (Leviathan et al., arXiv:2211.17192) of drafts that are sure.
    """

    temperature: float
    """Positive."""
    seed: int
    """The same one draws the same tokens."""

    def draw(self, shares: NDArray[np.float32], place: int) -> int:
        """Returns a token.

        Args:
            shares: [V], not negative, in proportion to the model's distribution.
            place: tokens of the middle before it.
        """
        possible = np.flatnonzero(shares)
        noise = np.random.default_rng((self.seed, place)).gumbel(size=len(shares))
        scores = np.log(shares[possible], dtype=np.float64) / self.temperature + noise[possible]
        return int(possible[scores.argmax()])
