"""Whether drafts pay: what verify accepts, and what passes cost on this machine."""

from __future__ import annotations

import math
from dataclasses import dataclass

from coder_model.runtime.pass_costs import PassCosts

AVERAGED, RETRY_AFTER = 4, 64
"""Drafts that the mean is over, and drafts that it skips between two tries."""
AVERAGED_CHEAP = 24
"""Drafts that the mean is over where costs are measured: by a drafter, which pays though most drafts are refused."""
LEAST_CREDIT = 1.0
"""Accepted tokens that good times are remembered by, where drafts are so cheap that hardly any must be accepted."""


@dataclass(slots=True)
class DraftAcceptance:
    """Whether denoising has paid for itself lately, and how much of a draft is worth verifying.

    A draft costs its denoise passes and a longer verify pass. A model whose drafts verify cuts early is faster
    without them, so it only tries again now and then; the text is the same either way.
    """

    min_accepted: float
    """Tokens that verify must accept of a draft, on average."""
    costs: PassCosts | None = None
    """Measured where a drafter of its own makes the drafts; else every draft is verified whole."""
    mean_accepted: float = math.inf
    """Running mean; infinite before the first draft."""
    skipped: int = 0

    def measured(self, costs: PassCosts) -> None:
        """Goes by measured costs from now on."""
        self.costs, self.min_accepted = costs, costs.min_accepted

    def wants_denoising(self) -> bool:
        """Returns True when the next draft should be denoised."""
        if self.mean_accepted >= self.min_accepted:
            return True
        self.skipped = (self.skipped + 1) % RETRY_AFTER
        return not self.skipped

    def length(self, confidences: list[float]) -> int:
        """Returns how many tokens of a draft are worth verifying: what gives the most expected tokens a millisecond.

        Args:
            confidences: of each token, the chance that it is accepted when all before it were.
        """
        if not self.costs:
            return len(confidences)
        best, chosen, expected, chance = 1 / self.costs.one, 0, 1.0, 1.0
        for index, confidence in enumerate(confidences, 1):
            chance *= confidence
            expected += chance
            if (rate := expected / (self.costs.one + self.costs.more * index)) > best:
                best, chosen = rate, index
        return chosen

    def took(self, tokens: int, milliseconds: float) -> None:
        """Takes note of what a commit pass over so many tokens has taken: the machine may be busier than it was."""
        if self.costs:
            self.costs = self.costs.after(tokens, milliseconds)
            self.min_accepted = self.costs.min_accepted

    def note(self, accepted: int) -> None:
        """Takes note of a verified draft."""
        most = max(2 * self.min_accepted, LEAST_CREDIT) if math.isfinite(self.min_accepted) else 0.0
        mean = min(self.mean_accepted, most)
        self.mean_accepted = mean + (accepted - mean) / (AVERAGED_CHEAP if self.costs else AVERAGED)
