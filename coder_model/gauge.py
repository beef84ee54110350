"""Whether denoising pays: a running account of what verify accepts."""

from __future__ import annotations

import math
from dataclasses import dataclass

AVERAGED, RETRY_AFTER = 4, 64
"""Denoised drafts that the gauge averages over, and drafts that it skips between two tries."""


@dataclass(slots=True)
class DenoiseGauge:
    """Whether denoising has paid for itself lately.

    A denoised draft costs its denoise passes and a longer verify pass. A model whose drafts verify cuts early is faster
    without them, so it only tries again now and then; the text is the same either way.
    """

    min_accepted: float
    """Tokens that verify must accept of a denoised draft, on average."""
    mean_accepted: float = math.inf
    """Running mean; infinite before the first draft."""
    skipped: int = 0

    def wants_denoising(self) -> bool:
        """Returns True when the next draft should be denoised."""
        if self.mean_accepted >= self.min_accepted:
            return True
        self.skipped = (self.skipped + 1) % RETRY_AFTER
        return not self.skipped

    def note(self, accepted: int) -> None:
        """Takes note of a verified draft."""
        mean = min(self.mean_accepted, 2 * self.min_accepted)
        self.mean_accepted = mean + (accepted - mean) / AVERAGED
