"""How the next token is decided: the model's distribution, the copy's proposal, and the text to be healed.

The one place where a token is chosen. Decoding one token at a time asks it after every pass; verify asks it along a
draft; both get the same answers, which is why a draft changes the speed and never the text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from coder_model.decoding.prompt_lookup import PromptLookup
from coder_model.decoding.sampling import Sampling
from coder_model.errors import BrokenScores
from coder_model.prompt.vocabulary import Vocabulary
from coder_model.text.stop_rules import StopRules

EMPTY_NEEDS = 0.9
"""An empty middle is the answer only when the model is at least this sure of it."""

CODE_NEEDS = 0.1
"""A line is a comment only when no code is as likely as this: nobody needs help to go on after a comment of a model."""

RECALLED_CHANCE = 0.9
"""How likely a token that was decided here before is decided again."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A decided token, and the one that was nearly chosen instead."""

    token: int
    probability: float
    rival: int = -1
    rival_probability: float = 0.0
    """0 when no other token was possible."""

    @property
    def instead(self) -> Choice:
        """The other choice."""
        return Choice(self.rival, self.rival_probability)


class TokenSelector:
    """Decides the tokens of one middle, from left to right."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        heal: bytes,
        stop_rules: StopRules,
        copies: PromptLookup | None,
        recalled: Sequence[int] = (),
        forced: int = 0,
        sampling: Sampling | None = None,
    ) -> None:
        """Takes the bytes to heal, what ends the middle, and tokens that were suggested here before.

        The first `forced` of those tokens are chosen whatever the model says; the others are only proposed. With
        `sampling` new text is drawn, else it is the likeliest; the text to heal is.
        """
        self.finished = False
        """True once the decided tokens fill the hole."""
        self.kind = int(stop_rules.hole == "line")
        """Which tokens end the middle, a row of `Vocabulary.ends`."""
        self.mask = vocabulary.mask
        """The token of a slot that is not filled."""
        self._vocabulary = vocabulary
        self._final = vocabulary.ends[self.kind]
        self._bounds = stop_rules
        self._text = b""
        self._copies = copies
        self._recalled = list(recalled)
        self._forced, self._sampling, self._decided = forced, sampling, 0
        self.heal = heal
        """Bytes that the next tokens must still begin with."""
        self._before = b""
        self._refused: set[int] = set()
        self._constrain()

    def choose(self, p: Tensor) -> Choice:
        """Decides the next token.

        Args:
            p: [V] float32, the model's distribution, forbidden tokens at 0.
        """
        # a copy, in numpy: see `Constraint`
        shares: NDArray[np.float32] = p.numpy().copy()
        shares[list(self._refused)] = 0.0
        self._constraint.restrict_(shares)
        proposal = self._copies.proposals(1) if self._copies else []
        if self._copies and proposal and self._may_stand(proposal[0]):
            weight = self._copies.weight
            shares *= 1 - weight
            shares[proposal[0]] += weight
        self._constraint.merge_(shares)
        if not self._text.strip():
            self._prefer_code_(shares)
        token = int(shares.argmax())
        if math.isnan(shares[token]):
            raise BrokenScores
        if self._forced and self._recalled:
            token = self._recalled[0]
        elif self._sampling and not self.heal:
            token = self._sampling.draw(shares, self._decided)
        first = float(shares[token])
        shares[token] = -1.0
        rival = int(shares.argmax())
        return Choice(token, first, rival, float(shares[rival]))

    def _prefer_code_(self, shares: NDArray[np.float32]) -> None:
        """Takes away that the middle is empty, or a comment, where the model is not sure of that."""
        if float(shares[self._vocabulary.eom]) < EMPTY_NEEDS:
            shares[self._vocabulary.eom] = 0.0
        comments = self._vocabulary.beginning(self._bounds.comments)
        kept = shares[comments]
        shares[comments] = 0.0
        if float(shares.max()) < CODE_NEEDS:
            shares[comments] = kept

    def leaves_text_to_heal(self, token: int) -> bool:
        """Returns True when the text to heal begins with `token` and does not end with it, and nobody forces that."""
        return 0 < len(self._vocabulary.bytes[token]) < len(self.heal) and not (self._forced and self._recalled)

    def share_behind(self, token: int, p: Tensor) -> float:
        """Returns how likely the model goes on with what `token` leaves of the text to heal.

        Args:
            token: the start of that text.
            p: [V] float32, what follows `token`.
        """
        data = self._vocabulary.bytes[token]
        allowed = self._vocabulary.constraint(self.heal[len(data) :], bool(self.kind), data).allowed
        return 1.0 if allowed is None else float(p.numpy()[allowed].sum())

    def refuse(self, token: int) -> None:
        """Takes note that `token` is not to be the next one."""
        self._refused.add(token)

    def was_refused(self, token: int) -> bool:
        """Returns True when `token` was refused here: that it is chosen again means that nothing else is possible."""
        return token in self._refused

    def ends(self, token: int) -> bool:
        """Returns True when `token` alone ends the middle: EOM, or a line end in a hole of one line."""
        # a line end inside the text to heal is old text
        return bool(self._final[token]) and not self.heal

    def bytes_of(self, token: int) -> bytes:
        """Returns what `token` says."""
        return self._vocabulary.bytes[token]

    def advance(self, token: int) -> None:
        """Takes note of a decided token."""
        data = self._vocabulary.bytes[token]
        self._refused.clear()
        self._decided += 1
        self._text += data[len(self.heal) :]
        self._before = data if len(data) < len(self.heal) else b""
        self.heal = self.heal[len(data) :]
        text = self._text.decode("utf-8", "ignore")
        self.finished = token in self._vocabulary.all_ends or self._bounds.end(text) is not None
        if self._copies:
            self._copies.advance(token)
        self._recalled = self._recalled[1:] if self._recalled[:1] == [token] else []
        self._forced = max(0, self._forced - 1)
        self._constrain()

    def proposals(self, count: int) -> list[int]:
        """Returns up to `count` tokens to go on with: what was suggested here before, else what the text proposes.

        Nothing follows what ends the middle.
        """
        found = self._recalled or (self._copies.proposals(count) if self._copies else [])
        said = 0
        for index, token in enumerate(found[:count]):
            data = self._vocabulary.bytes[token]
            if self._final[token] and (not data or b"\n" in data[max(0, len(self.heal) - said) :]):
                return found[: index + 1]
            said += len(data)
        return found[:count]

    def chances(self, count: int) -> list[float]:
        """Returns how likely each of the first `count` proposals is right when those before it are, in [0, 1]."""
        if self._recalled:
            return [RECALLED_CHANCE] * count
        return self._copies.chances(count) if self._copies else []

    def _may_stand(self, token: int) -> bool:
        """True for a token that may be proposed here."""
        allowed = self._constraint.allowed
        barred = token in self._vocabulary.never or token in self._refused
        return not barred and (allowed is None or bool(allowed[token]))

    def _constrain(self) -> None:
        self._constraint = self._vocabulary.constraint(self.heal, bool(self.kind), self._before)
        if self._constraint.allowed is not None and self._copies:
            self._copies.prefer(self._constraint.allowed)
