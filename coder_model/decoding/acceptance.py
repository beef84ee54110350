"""Whether drafts pay: what verify accepts, and what passes cost on this machine."""

from __future__ import annotations

import math
from dataclasses import dataclass

from coder_model.runtime.pass_costs import PassCosts

AVERAGED, RETRY_AFTER = 4, 64
"""Drafts that the mean is over, and drafts that are left out between two tries."""
AVERAGED_CHEAP = 24
"""Drafts that the means are over where costs are measured: a drafter pays though most of its drafts are refused."""
USUAL_ACCEPTED, USUAL_VERIFIED = 2.0, 3.0
"""Tokens of a drafter's draft, before its first one here."""


@dataclass(slots=True)
class DraftAcceptance:
    """Whether denoising has paid for itself lately, and how much of a draft is worth verifying.

    A draft costs its denoise passes and a longer verify pass. A model whose drafts verify cuts early is faster
    without them, so it only tries again now and then; the text is the same either way.
    """

    min_accepted: float
    """Tokens that verify must accept of a draft, on average, where no costs are measured."""
    costs: PassCosts | None = None
    """Where drafts are no part of the model; else every draft is verified whole."""
    mean_accepted: float = math.inf
    """Running mean; before the first draft infinite, or `USUAL_ACCEPTED` where costs are measured."""
    mean_verified: float = USUAL_VERIFIED
    """The same of the tokens that are verified."""
    skipped: int = 0

    def measured(self, costs: PassCosts) -> None:
        """Goes by measured costs from now on."""
        self.costs, self.mean_accepted = costs, USUAL_ACCEPTED

    def wants_denoising(self, copied: list[float]) -> bool:
        """Returns True when the next draft should be denoised.

        Args:
            copied: the confidence of each token that could be a draft instead, see `length`.
        """
        if self._pays(copied):
            return True
        self.skipped = (self.skipped + 1) % RETRY_AFTER
        return not self.skipped

    def _pays(self, copied: list[float]) -> bool:
        if not self.costs:
            return self.mean_accepted >= self.min_accepted
        costs = self.costs
        rate = (1 + self.mean_accepted) / (costs.one + costs.more * self.mean_verified + costs.draft)
        return rate > _most_worth(copied, costs)[1]

    def length(self, confidences: list[float]) -> int:
        """Returns how many tokens of a draft are worth verifying: what gives the most expected tokens a millisecond.

        Args:
            confidences: of each token, the chance that it is accepted when all before it were.
        """
        return _most_worth(confidences, self.costs)[0] if self.costs else len(confidences)

    def prefers(self, copied: list[float], denoised: list[float]) -> bool:
        """Returns whether a copied draft is worth more than a denoised one: by confidences, as in `length`.

        Not where nothing is measured: a confidence of a model's own denoising is no chance.
        """
        if not self.costs:
            return False
        return _most_worth(copied, self.costs)[1] > _most_worth(denoised, self.costs)[1]

    def took(self, tokens: int, milliseconds: float) -> None:
        """Takes note of what a commit pass over so many tokens has taken: the machine may be busier than it was."""
        if self.costs:
            self.costs = self.costs.after(tokens, milliseconds)

    def took_draft(self, milliseconds: float) -> None:
        """Takes note of what the denoise passes of a draft have taken."""
        if self.costs:
            self.costs = self.costs.after_draft(milliseconds)

    def note(self, accepted: int, verified: int) -> None:
        """Takes note of a draft that was denoised, or preferred to one that was."""
        share = 1 / (AVERAGED_CHEAP if self.costs else AVERAGED)
        # what is not measured is judged by the latest drafts, however good those before were
        mean = self.mean_accepted if self.costs else min(self.mean_accepted, 2 * self.min_accepted)
        self.mean_accepted = mean + (accepted - mean) * share
        self.mean_verified += (verified - self.mean_verified) * share


def _most_worth(confidences: list[float], costs: PassCosts) -> tuple[int, float]:
    """How many tokens of a draft give the most expected tokens a millisecond, and how many tokens those are."""
    best, chosen, expected, chance = 1 / costs.one, 0, 1.0, 1.0
    for index, confidence in enumerate(confidences, 1):
        chance *= confidence
        expected += chance
        if (rate := expected / (costs.one + costs.more * index)) > best:
            best, chosen = rate, index
    return chosen, best
