"""One document's committed tokens, and the passes that continue them; who runs the passes is a `PassRunner`."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from coder_kernels.policies import Schedule
from coder_kernels.score_ops import select
from coder_model.runtime.canvas import Canvas
from coder_model.runtime.passes import CacheRow, Commit, Denoise, PassRunner, Predict, commit_mask

Check = Callable[[], None]
"""Called between passes; raises to stop."""

COMMIT_TOKENS = 256
"""Context tokens per commit pass: cancellation is checked between two of them."""
JUDGED_TOKENS = 48
"""Tokens of a pass whose distributions are all wanted: 30 MB of them for a vocabulary of 150,000."""
READ_WITH_DRAFT = 32
"""Context tokens that a draft is read together with, at most: a longer pass may be in another precision."""


class Sequence:
    """Committed tokens, whose keys and values are cached, of a model that attends causally or by blocks.

    A model that attends by blocks (SDAR, Fast-dLLM v2, Stable-DiffCoder) commits whole blocks, counted from the start.
    """

    def __init__(self, runner: PassRunner) -> None:
        """Takes a row of the runner's cache.

        Raises:
            MemoryError: when it has none left.
        """
        self.tokens: list[int] = []
        """Committed tokens."""
        self._runner, self._row = runner, runner.new_row()
        self._unit = commit_mask(runner.config)
        self._read: tuple[int, Tensor] | None = None
        """Length of the context that was read last, while it is committed, and the distribution behind it."""

    @property
    def n_bytes(self) -> int:
        """Memory that is freed with it."""
        return self._runner.bytes_of(self._row)

    def copied(self, length: int) -> Sequence | None:
        """Returns another sequence with the first `length` committed tokens; None where the runner copies no rows."""
        if (row := self._runner.copied_row(self._row, length)) is None:
            return None
        return self._in_row(row, length)

    def branched(self, lengths: list[int]) -> list[Sequence]:
        """Returns sequences for common passes, each with so many committed tokens; none where rows are too few."""
        rows = self._runner.branched_rows(self._row, max(lengths), len(lengths))
        return [self._in_row(row, length) for row, length in zip(rows, lengths, strict=False)]

    def _in_row(self, row: CacheRow, length: int) -> Sequence:
        other = copy.copy(self)
        other.tokens, other._row, other._read = self.tokens[:length], row, None
        return other

    def read(self, context: list[int], check: Check, portion: int = COMMIT_TOKENS) -> Tensor:
        """Makes the whole blocks of `context` the committed tokens; reads only those that differ from the present ones.

        The last token or block is read again, as what follows it is wanted, unless it was the last one read before.

        Args:
            context: of a causal model at least one token, all of which are committed.
            check: called before every pass.
            portion: tokens of a pass, at most, or one block.

        Returns:
            [V] float32, the distribution of the token after the committed ones; empty when there are none.

        Raises:
            MemoryError: when the row has no room for it.
        """
        unit = self._unit
        end = len(context) - len(context) % unit
        common = common_length(self.tokens, context[:end])
        if self._read and self._read[0] == end == common:
            self.truncate(end)
            return self._read[1].clone()
        common = min(common, max(0, end - unit))
        self.truncate(common - common % unit)
        self._runner.reserve(self._row, len(context))
        portion = max(1, portion // unit) * unit
        following = torch.empty(1, 0)
        while len(self.tokens) < end:
            check()
            start = len(self.tokens)
            following = self.commit(context[start : min(start + portion, end)], int(start + portion >= end))
        self._read = end, following[0].clone()
        return following[0]

    def read_with(self, context: list[int], draft: list[int], check: Check) -> Tensor:
        """Reads a context as `read` does, and in the same pass what may follow it, where a pass is needed and is short.

        Args:
            context: of a causal model at least one token.
            draft: tokens that may follow it; committed too if they are read.
            check: called before every pass.

        Returns:
            [1, V] float32, the distribution of the token after the context; or [1 + len(draft), V] with those behind
            the tokens of the draft.

        Raises:
            MemoryError: when the row has no room for it.
        """
        common = common_length(self.tokens, context)
        is_known = self._read is not None and self._read[0] == len(context) == common
        start = min(common, len(context) - 1)
        if not draft or is_known or len(context) - start > READ_WITH_DRAFT:
            return self.read(context, check)[None]
        self.truncate(start)
        self._runner.reserve(self._row, len(context) + len(draft))
        check()
        rows = self.commit([*context[start:], *draft], 1 + len(draft))
        self._read = len(context), rows[0].clone()
        return rows

    def expectations(self, context: list[int], tokens: list[int], check: Check) -> Iterator[Tensor]:
        """Reads a context and tokens behind it.

        Args:
            context: of a causal model at least one token.
            tokens: behind it; committed too.
            check: called before every pass.

        Yields:
            [n, V] float32, distributions in the order of the text: of each of `tokens`, and of what follows the last.

        Raises:
            MemoryError: when the row has no room for it.
        """
        yield self.read(context, check)[None]
        self._runner.reserve(self._row, len(context) + len(tokens))
        for start in range(0, len(tokens), JUDGED_TOKENS):
            check()
            yield self.commit(tokens[start : start + JUDGED_TOKENS])

    def commit(self, tokens: list[int], wanted: int | None = None) -> Tensor:
        """Writes the keys and values of tokens.

        Args:
            tokens: one or more; of a model that attends by blocks, whole blocks.
            wanted: how many of the last ones the distribution of the next token is wanted for; None: all.

        Returns:
            [wanted, V] float32, the distribution of the token after each.
        """
        work = self.committing(tokens, wanted)
        self._runner.run(work)
        return self.committed(work)

    def committing(self, tokens: list[int], wanted: int | None = None) -> Commit:
        """Returns the pass of `commit`, for somebody else to run."""
        return Commit(self._row, len(self.tokens), tokens, len(tokens) if wanted is None else wanted)

    def committed(self, work: Commit) -> Tensor:
        """Takes note that a pass of `committing` was run, and returns its result."""
        self.tokens += work.tokens
        return work.probabilities

    def truncate(self, length: int) -> None:
        """Forgets the committed tokens from `length` on."""
        del self.tokens[length:]
        if self._read and length < self._read[0]:
            self._read = None

    def denoise_(self, canvas: Canvas, schedule: Schedule, index: int, kind: int) -> int:
        """Runs one or more bidirectional passes over a block behind the committed tokens; each reveals slots.

        Args:
            canvas: the block; its first slot is given.
            schedule: which slots a pass reveals.
            index: passes over this block so far.
            kind: which tokens end it, a row of `Vocabulary.ends`.

        Returns:
            Passes over this block now; at least one more.
        """
        count = min(self._runner.sync_interval, schedule.total - index)
        work = Denoise(self._row, len(self.tokens), canvas, kind, schedule, index, count)
        self._runner.run(work)
        return work.index

    def predict_(self, canvas: Canvas, following: Tensor) -> Tensor:
        """Runs one bidirectional pass over a block behind the committed tokens; predicts its slots, reveals none.

        Args:
            canvas: the block.
            following: [V] float32, as `read` or `commit` returned it: in the shifted form it predicts the first slot.

        Returns:
            [V] float32, the distribution of the leftmost masked slot.
        """
        shift = int(self._runner.config.shifted)
        tokens = canvas.tokens.tolist()
        slot = max(0, canvas.leftmost - shift)
        work = Predict(self._row, len(self.tokens), tokens, len(tokens) - shift, slot)
        self._runner.run(work)
        if shift and bool(canvas.masked[0]):
            canvas.note_(select(following.log()[None]))
        canvas.note_(work.selection, first=shift)
        return following if canvas.leftmost < shift else work.probabilities


def common_length(old: list[int], new: list[int]) -> int:
    """Returns how many tokens two sequences have in common at their start."""
    for index, (a, b) in enumerate(zip(old, new, strict=False)):
        if a != b:
            return index
    return min(len(old), len(new))
