"""Drafts from the text itself: where the end of the prefix stood before, and how it went on there.

About a quarter of what people type next stands in the document already, and some more in the snippets of other files.
The longest match of the text before the hole proposes the next token; the longer the match, the more weight the
proposal has beside the model's own distribution. As in a pointer-sentinel mixture (arXiv:1609.07843),
p(x) = (1 - w) p_model(x) + w [x is the proposal].
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

LONGEST = 24
"""Tokens of a match that are compared; longer ones count as this long."""
MATCH_LENGTHS = (1, 2, 3, 4, 6, 8, 12, 16)
WEIGHTS = (0.03, 0.08, 0.11, 0.18, 0.25, 0.36, 0.52, 0.59)
"""Weight of a proposal by the length of its match in tokens, for the steps of `MATCH_LENGTHS`: those that left most
held-out holes right (`docs/log.md`); `benchmarks/calibrate_copies.py` of commit 11c3a98 says which are likeliest."""
CHANCES = (0.27, 0.68, 0.8)
"""How likely a proposal is right after a match of one token, two, or more: 155 copies in `dev`, Qwen2.5-Coder-0.5B."""
_END = -1


class PromptLookup:
    """Follows the text as it is decided, and proposes what came next where it stood before."""

    def __init__(
        self, document: list[int], after: list[int], others: Iterable[list[int]] = (), counts: bool = True
    ) -> None:
        """Takes the tokens before the hole, those after it, and those of snippets of other files.

        What does not count has no weight beside the model's distribution: it is only a draft.
        """
        self._counts = counts
        self.match = 0
        """Tokens of the present match; 0 without one."""
        own = [_END, *document, _END, *after, _END]
        self._tokens = np.array([*own, *(token for other in others for token in (*other, _END))], np.int64)
        self._hole = len(document) + 1
        self._tail = document[-LONGEST:]
        # a place is copied once: a copy that ends where it began would go round for ever
        self._taken = np.zeros(len(self._tokens), bool)
        self._next = self._search(self._tail)

    @property
    def weight(self) -> float:
        """How much the proposal counts, in [0, 1)."""
        index = bisect_right(MATCH_LENGTHS, self.match) - 1
        return WEIGHTS[index] if self._counts and index >= 0 and self.proposals(1) else 0.0

    def proposals(self, count: int) -> list[int]:
        """Returns up to `count` tokens that followed the longest match; empty when there is none."""
        run = self._tokens[self._next : self._next + count]
        stop = np.flatnonzero((run == _END) | self._taken[self._next : self._next + count])
        ids: list[int] = run[: stop[0] if len(stop) else count].tolist()
        return ids

    def chances(self, count: int) -> list[float]:
        """Returns how likely each of `count` proposals is right when those before it are, in [0, 1]."""
        return [CHANCES[min(self.match + index, len(CHANCES)) - 1] for index in range(count)]

    def advance(self, token: int) -> None:
        """Moves on by one decided token: along the match when it was the proposed one, else to a new match."""
        self._tail = [*self._tail[1 - LONGEST :], token]
        if self.proposals(1) == [token]:
            self._taken[self._next] = True
            self._next += 1
            self.match += 1
        else:
            self._next = self._search(self._tail)

    def prefer(self, allowed: NDArray[np.bool_]) -> None:
        """Restricts the next proposal to tokens that are `allowed`, [V]: the longest match that goes on with one."""
        proposal = self.proposals(1)
        if not (proposal and allowed[proposal[0]]):
            self._next = self._search(self._tail, allowed)

    def _search(self, tail: list[int], allowed: NDArray[np.bool_] | None = None) -> int:
        """Index after the longest match of the tail's end, the one nearest the hole among equals; sets its length."""
        self.match = 0
        if not tail:
            return len(self._tokens)
        ends = np.flatnonzero(self._tokens == tail[-1]) + 1
        ends = ends[(self._tokens[ends] != _END) & ~self._taken[ends]]
        if allowed is not None:
            ends = ends[allowed[self._tokens[ends]]]
        if not len(ends):
            return len(self._tokens)
        length = 1
        while length < len(tail):
            longer = ends[self._tokens[np.maximum(ends - length - 1, 0)] == tail[-length - 1]]
            if not len(longer):
                break
            ends, length = longer, length + 1
        self.match = length
        return int(ends[np.abs(ends - self._hole).argmin()])
