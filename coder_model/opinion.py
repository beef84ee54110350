"""How the next token is decided: the model's autoregressive opinion, the copy's proposal, and the text to be healed.

The one place where a token is chosen. Decoding one token at a time asks it after every pass; verify asks it along a
draft; both get the same answers, which is why a draft changes the speed and never the text.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from coder_model.copying import CopySource
from coder_model.errors import BrokenScores
from coder_model.postprocess import Bounds
from coder_model.tokenizer import CodeTokenizer

EMPTY_NEEDS = 0.9
"""An empty middle is the answer only when the model is at least this sure of it."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A decided token, and the one that was nearly chosen instead."""

    token: int
    probability: float
    rival: int = -1
    rival_probability: float = 0.0
    """0 when no other token was possible."""


_CONTROL = {*range(32), 127} - {*b"\t\n"}


class Vocabulary:
    """What each token may do in a middle; made once per tokenizer."""

    def __init__(self, tokenizer: CodeTokenizer) -> None:
        self.bytes = tokenizer.token_bytes
        self.eom, self.mask = tokenizer.marks.eom, tokenizer.marks.mask
        self.never = {i for i, data in enumerate(self.bytes) if not data or _CONTROL.intersection(data)} - {self.eom}
        """Tokens that no middle may hold, though the document may: marks, and characters that no code has."""
        self.forbidden = torch.zeros(tokenizer.vocab_size, dtype=torch.bool)
        self.forbidden[list(self.never)] = True
        ends_line = torch.tensor([b"\n" in data or i == self.eom for i, data in enumerate(self.bytes)])
        self.ends = torch.stack([torch.arange(tokenizer.vocab_size) == self.eom, ends_line])
        """[2, V] bool, the tokens that end a middle of several lines, and those that end one of one line."""
        self._sorted = sorted((data, i) for i, data in enumerate(self.bytes) if data)
        self._longest = max(len(data) for data, _ in self._sorted)

    def healing(self, heal: bytes) -> set[int]:
        """Returns the tokens that go on with `heal`: they begin with it, or it begins with them."""
        at = bisect_left(self._sorted, (heal, -1))
        found = set()
        while at < len(self._sorted) and self._sorted[at][0].startswith(heal):
            found.add(self._sorted[at][1])
            at += 1
        for length in range(1, min(len(heal), self._longest + 1)):
            at = bisect_left(self._sorted, (heal[:length], -1))
            if at < len(self._sorted) and self._sorted[at][0] == heal[:length]:
                found.add(self._sorted[at][1])
        return found


class Opinion:
    """Decides the tokens of one middle, from left to right."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        heal: bytes,
        bounds: Bounds,
        copies: CopySource | None,
        recalled: Sequence[int] = (),
        forced: bool = False,
    ) -> None:
        """Takes the bytes to heal, what ends the middle, and tokens that were suggested here before.

        With `forced` those tokens are chosen whatever the model says; else they are only proposed.
        """
        self.finished = False
        """True once the decided tokens fill the hole."""
        self.kind = int(bounds.hole == "line")
        """Which tokens end the middle, a row of `Vocabulary.ends`."""
        self.mask = vocabulary.mask
        """The token of a slot that is not filled."""
        self._vocabulary = vocabulary
        self._final = vocabulary.ends[self.kind]
        self._bounds = bounds
        self._text = b""
        self._copies = copies
        self._recalled = list(recalled)
        self._forced = forced
        self.heal = heal
        """Bytes that the next tokens must still begin with."""
        self._constrain()

    def choose(self, p: Tensor) -> Choice:
        """Decides the next token.

        Args:
            p: [V] float32, the model's distribution, forbidden tokens at 0.
        """
        if self._allowed:
            p = torch.where(self._allowed_mask, p, 0.0)
            p = p / p.sum().clamp(min=1e-30)
        proposal = self._copies.proposals(1) if self._copies else []
        if (
            proposal
            and proposal[0] not in self._vocabulary.never
            and (not self._allowed or proposal[0] in self._allowed)
        ):
            weight = self._copies.weight if self._copies else 0.0
            p = p * (1 - weight)
            p[proposal[0]] += weight
        if not self._text and float(p[self._ending].sum()) < EMPTY_NEEDS:
            p = p.masked_fill(self._ending, 0.0)
        (first, second), (token, rival) = (part.tolist() for part in p.topk(2))
        if math.isnan(first):
            raise BrokenScores
        if self._forced and self._recalled:
            token, first = self._recalled[0], float(p[self._recalled[0]])
        return Choice(token, first, rival, second)

    def ends(self, token: int) -> bool:
        """Returns True when `token` alone ends the middle: EOM, or a line end in a hole of one line."""
        # a line end inside the text to heal is old text
        return bool(self._final[token]) and not self.heal

    def advance(self, token: int) -> None:
        """Takes note of a decided token."""
        data = self._vocabulary.bytes[token]
        self._text += data[len(self.heal) :]
        self.heal = self.heal[len(data) :]
        text = self._text.decode("utf-8", "ignore")
        self.finished = token == self._vocabulary.eom or self._bounds.end(text) is not None
        if self._copies:
            self._copies.advance(token)
        self._recalled = self._recalled[1:] if self._recalled[:1] == [token] else []
        self._constrain()

    def proposals(self, count: int) -> list[int]:
        """Returns up to `count` tokens to go on with: what was suggested here before, else what the text proposes."""
        if self._recalled:
            return self._recalled[:count]
        return self._copies.proposals(count) if self._copies else []

    def _constrain(self) -> None:
        self._allowed = self._vocabulary.healing(self.heal) if self.heal else set()
        self._ending = self._final
        if self._allowed:
            # a line end is the end of a line hole only behind the text to heal
            behind = [i for i in self._allowed if self._vocabulary.bytes[i][len(self.heal) :].startswith(b"\n")]
            self._ending = torch.zeros_like(self._vocabulary.forbidden)
            self._ending[behind if self.kind else []] = True
            self._allowed_mask = torch.zeros_like(self._vocabulary.forbidden)
            self._allowed_mask[list(self._allowed)] = True
            if self._copies:
                self._copies.prefer(self._allowed)
