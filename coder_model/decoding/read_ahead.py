"""What passes have found out: the distributions behind tokens that are decided, and behind those only proposed."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from coder_model.runtime.passes import Commit
from coder_model.runtime.sequence import Sequence


class ReadAhead:
    """Where the loop stands in the tokens of the last pass, and what follows each of them."""

    def __init__(self, sequence: Sequence, rows: Tensor, proposed: list[int]) -> None:
        """Begins behind a context.

        Args:
            sequence: has committed the context, and what is proposed behind it.
            rows: [1 + P, V] float32, the distributions behind the context and behind each proposed token.
            proposed: P tokens, or more of which none was read where `rows` has one row.
        """
        self.sequence, self._before = sequence, rows[0]
        self._tokens, self._rows = proposed[: len(rows) - 1], rows[1:]
        self._start = len(sequence.tokens) - len(self._tokens)
        self.taken = 0
        """Tokens of the last pass that are decided."""

    @property
    def has_draft(self) -> bool:
        """Whether the last pass has read more than what is decided."""
        return len(self._tokens) > self.taken

    @property
    def following(self) -> Tensor:
        """[V] float32, the distribution of the next token."""
        return self._rows[self.taken - 1] if self.taken else self._before

    def behind(self, token: int) -> Tensor | None:
        """Returns [V] float32, the distribution behind `token` as the next one; None where no pass has read it."""
        return self._rows[self.taken] if self._tokens[self.taken : self.taken + 1] == [token] else None

    def take(self, count: int = 1) -> None:
        """Moves on by tokens of the last pass."""
        self.taken += count

    def read(self, tokens: list[int]) -> Iterator[Commit]:
        """Reads tokens behind those that are taken, by the pass that it yields; what was proposed goes."""
        before = self.following
        self.sequence.truncate(self._start + self.taken)
        yield (work := self.sequence.committing(tokens))
        self._start += self.taken
        self._before, self._rows = before, self.sequence.committed(work)
        self._tokens, self.taken = tokens, 0
