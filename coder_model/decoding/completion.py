"""The text that fills a hole, token by token, and when it is over."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from coder_model.decoding.token_selector import Choice, TokenSelector

MAX_PERIOD, MIN_REPEATED = 24, 12
"""A run of at most so many tokens that comes three times, and makes up at least so many tokens, is a loop."""


@dataclass(slots=True)
class Completion:
    """What is decided so far."""

    limit: int
    """Most tokens it may have."""
    least_log_probability: float = -math.inf
    """Log-probability of all tokens together, in nats, below which the middle is given up."""
    tokens: list[int] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)
    """How `tokens` were decided, and some that were dropped again after them."""
    steps: int = 0
    """Denoise and verify passes."""
    ended: bool = False
    """True when nothing follows: the hole is full, the limit is reached, it went in circles, or it is unlikely."""
    limited: bool = False
    """True when the limit alone ended it."""
    healed: int = 0
    """Tokens that say typed text again: that may hold what it likes."""

    @property
    def unlikely(self) -> bool:
        """True when it is less likely than wanted."""
        return self.log_probability < self.least_log_probability

    @property
    def log_probability(self) -> float:
        """Log-probability of all tokens together, in nats."""
        return sum(math.log(max(choice.probability, 1e-9)) for choice in self.choices[: len(self.tokens)])

    def decide_(self, choice: Choice, selector: TokenSelector) -> None:
        """Appends a token, and sees whether that ends it."""
        if selector.heal:
            self.healed = len(self.tokens) + 1
        selector.advance(choice.token)
        self.tokens.append(choice.token)
        self.choices.append(choice)
        self.limited = not selector.finished and len(self.tokens) >= self.limit
        repeated = _drop_repetition_(self.tokens, self.healed, selector.bytes_of)
        self.ended = repeated or selector.finished or self.limited or self.unlikely


def _drop_repetition_(tokens: list[int], start: int, bytes_of: Callable[[int], bytes]) -> bool:
    """Cuts tokens whose end, from `start` on, is one run over and over, back to the first time; True when they did.

    A run of lines is noticed wherever in a line it began: what stays of it ends where a line does.
    """
    for period in range(1, MAX_PERIOD + 1):
        repeats = max(3, -(-MIN_REPEATED // period))
        tail = tokens[max(start, len(tokens) - period * repeats) :]
        if len(tail) == period * repeats and tail == tail[:period] * repeats:
            begun = _begun([bytes_of(token).strip(b" \t") for token in tail[:period]])
            del tokens[len(tokens) - period * (repeats - 1) - begun :]
            return True
    return False


def _begun(run: list[bytes]) -> int:
    """How many tokens at the end of a run that comes again are a part of a line; 0 where it is all inside of one."""
    ends = (n for n, said in enumerate(reversed(run)) if said.endswith(b"\n"))
    return 0 if run[0].startswith(b"\n") else next(ends, 0)
