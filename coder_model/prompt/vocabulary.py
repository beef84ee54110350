r"""What each token may do in a middle, and which of them go on with text that is typed already.

A tokenizer is free to put a line end behind other text: Qwen's has `):\n` and two line ends behind a quote, the
project's own has nothing of the kind. So what a token is does not count here, but the text that it adds, up to its
first line end.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from coder_model.prompt.tokenizer import CodeTokenizer

_CONTROL = {*range(32), 127} - {*b"\t\n"}
_MOST_TRIED = 2_048
"""Tokens that are tried as the next one, the most usual ones."""
_TRIED_AT_A_TIME = 256
_NO_BLANK = b"\x01"
"""Merges with nothing."""
_KEPT, _KEPT_CONSTRAINTS = 4_096, 64


@dataclass(frozen=True, slots=True)
class Constraint:
    """What may stand in one place of a middle.

    In numpy: over the numbers of one token the threads of torch would mostly wait for each other.
    """

    allowed: NDArray[np.bool_] | None
    """[V], the tokens that go on with the text to heal; None where there is none."""
    spelled: int
    """The token that the text to heal begins with when nothing follows it; -1 where there is none."""
    same: NDArray[np.int64]
    """[N], tokens that mean what another one means: they differ behind the end of the hole alone."""
    meant: NDArray[np.int64]
    """[N], the token that stands for each of `same`, and is not in it."""

    def restrict_(self, p: NDArray[np.float32]) -> None:
        """Makes a distribution [V] one over what is allowed."""
        if self.allowed is None:
            return
        p[~self.allowed] = 0.0
        total = float(p.sum())
        if total == 0:
            # characters that no middle may hold may still stand in the text
            p[self.spelled] = total = 1.0
        p /= total

    def merge_(self, p: NDArray[np.float32]) -> None:
        """Makes a distribution [V] one over what tokens mean here: those that mean the same count as one."""
        np.add.at(p, self.meant, p[self.same])
        p[self.same] = 0.0


class Vocabulary:
    """What each token may do in a middle; made once per tokenizer."""

    def __init__(self, tokenizer: CodeTokenizer, ends: Iterable[int] = ()) -> None:
        """Takes a tokenizer, and tokens besides its end of the middle that a model ends a middle with."""
        self.bytes = tokenizer.token_bytes
        self.eom, self.mask = tokenizer.special_tokens.eom, tokenizer.special_tokens.mask
        self.all_ends = frozenset({self.eom, *ends})
        """Tokens without text that end a middle."""
        self.never = {i for i, data in enumerate(self.bytes) if not data or _CONTROL.intersection(data)} - self.all_ends
        """Tokens that no middle may hold, though the document may: marks, and characters that no code has."""
        self.forbidden = torch.zeros(tokenizer.vocab_size, dtype=torch.bool)
        self.forbidden[list(self.never)] = True
        ends_text = torch.zeros(tokenizer.vocab_size, dtype=torch.bool)
        ends_text[list(self.all_ends)] = True
        ends_line = ends_text | torch.tensor([b"\n" in data for data in self.bytes])
        self.ends = torch.stack([ends_text, ends_line])
        """[2, V] bool, the tokens that end a middle of several lines, and those that end one of one line."""
        self.tokenizer = tokenizer
        by_bytes = sorted((data, i) for i, data in enumerate(self.bytes) if data)
        self._sorted = [data for data, _ in by_bytes]
        self._ids = np.array([i for _, i in by_bytes], dtype=np.int64)
        self._longest = max(map(len, self._sorted))
        self._line_ends = self.ends[1].nonzero()[:, 0].tolist()
        self.constraint = lru_cache(maxsize=_KEPT_CONSTRAINTS)(self._constraint)
        self.beginning = lru_cache(maxsize=8)(self._beginning)
        self._goes_on = lru_cache(maxsize=_KEPT)(self._goes_on_uncached)

    def _constraint(self, heal: bytes, one_line: bool, before: bytes = b"") -> Constraint:
        """Returns what may stand where `heal` is still to be said again.

        Args:
            heal: typed text that the middle begins with.
            one_line: whether a line end behind it is the end of the hole.
            before: the token that said the text to heal before this.
        """
        ids = self._healing(heal, before) if heal else None
        allowed = None
        if ids is not None:
            allowed = np.zeros(len(self.bytes), dtype=np.bool_)
            allowed[ids] = True
        spelled = self.tokenizer.encode_bytes(heal)[0] if heal else -1
        same, meant = self._same(heal, ids, one_line)
        return Constraint(allowed, spelled, np.array(same, dtype=np.int64), np.array(meant, dtype=np.int64))

    def _healing(self, heal: bytes, before: bytes) -> NDArray[np.int64]:
        """The tokens that go on with `heal`: they begin with it, or they are its start, as the tokenizer would cut it.

        Greedy choice cannot look ahead: a start that the tokenizer never makes of any text that begins with `heal` may
        be likelier than all that do go on (one line end, where two were typed), and nothing likely follows it then.
        """
        longer, starts = self._beginning_with(heal), self._starts_of(heal)
        kept = [t for t in starts if self._goes_on(self.bytes[t], heal[len(self.bytes[t]) :])]
        if before and len(longer) <= _MOST_TRIED:
            fitting = self._cut_there(before, [*longer.tolist(), *kept])
            longer = np.array([t for t in longer.tolist() if t in fitting], dtype=np.int64)
            kept = [t for t in kept if t in fitting]
        return np.array([*longer.tolist(), *kept] or starts, dtype=np.int64)

    def _beginning(self, starts: tuple[str, ...]) -> NDArray[np.int64]:
        """Ids of the tokens whose text, but for blanks before it, begins with one of `starts`, [N]."""
        wanted = tuple(start.encode() for start in starts)
        found = [i for i, data in enumerate(self.bytes) if wanted and data.lstrip(b" \t").startswith(wanted)]
        return np.array(found, dtype=np.int64)

    def _beginning_with(self, text: bytes) -> NDArray[np.int64]:
        """Ids of the tokens that begin with a text, [N]."""
        first = bisect_left(self._sorted, text)
        last = bisect_left(self._sorted, text + b"\xff" * self._longest, lo=first)
        return self._ids[first:last]

    def _starts_of(self, text: bytes) -> list[int]:
        """Ids of the tokens that a text begins with and does not end with."""
        found = []
        for length in range(1, min(len(text), self._longest + 1)):
            at = bisect_left(self._sorted, text[:length])
            if at < len(self._sorted) and self._sorted[at] == text[:length]:
                found.append(int(self._ids[at]))
        return found

    def _goes_on_uncached(self, token: bytes, rest: bytes) -> bool:
        """True when some text that goes on with `rest` has the token `token` before it."""
        ids = np.sort(self._beginning_with(rest))[:_MOST_TRIED].tolist()
        for start in range(0, len(ids), _TRIED_AT_A_TIME):
            if self._cut_there(token, ids[start : start + _TRIED_AT_A_TIME]):
                return True
        shorter = self._cut_there(token, self._starts_of(rest))
        return any(self._goes_on(self.bytes[t], rest[len(self.bytes[t]) :]) for t in shorter)

    def _cut_there(self, token: bytes, following: list[int]) -> set[int]:
        """The tokens of which the tokenizer makes what they are behind `token`, and of that too; all, if nobody knows.

        A sequence of a byte-level BPE is what the tokenizer makes of its text where each two neighbours are. Blanks are
        cut by whether anything but a blank follows: both is tried.
        """
        pairs = [token + self.bytes[t] for t in following]
        ended, goes_on = self.tokenizer.cuts(pairs), self.tokenizer.cuts([pair + _NO_BLANK for pair in pairs])
        found = set()
        for t, *cuts in zip(following, ended, goes_on, strict=True):
            pair = [token, self.bytes[t]]
            if any(cut is None or cut[:2] == pair for cut in cuts):
                found.add(t)
        return found

    def _same(self, heal: bytes, ids: NDArray[np.int64] | None, one_line: bool) -> tuple[list[int], list[int]]:
        """The tokens that mean the same as another one, and that other one of each: see `Constraint`."""
        others = sorted(self.all_ends - {self.eom})
        same, meant = list(others), [self.eom] * len(others)
        if not one_line:
            return same, meant
        groups: dict[bytes, list[int]] = defaultdict(list)
        for token in self._line_ends if ids is None or b"\n" not in heal else ids.tolist():
            text, ended, _ = self.bytes[token][len(heal) :].partition(b"\n")
            if ended and (ids is None or self.bytes[token].startswith(heal)):
                groups[text if text.strip() else b""].append(token)
        for text, tokens in groups.items():
            one = min(tokens, key=lambda token: len(self.bytes[token])) if text else self.eom
            others = [token for token in tokens if token != one]
            same += others
            meant += [one] * len(others)
        return same, meant
