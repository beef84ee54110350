"""A sequence whose passes share the device with those of other documents."""

from __future__ import annotations

import weakref

from torch import Tensor

from coder_kernels.policies import Schedule
from coder_model.runtime.batched_steps import Commit, Denoise
from coder_model.runtime.batcher import SLACK, Batcher
from coder_model.runtime.canvas import Canvas
from coder_model.runtime.sequence import Sequence


class SharedSequence(Sequence):
    """A sequence in a row of a static cache; the row is given back with the last reference to this."""

    def __init__(self, batcher: Batcher, sync_interval: int) -> None:
        """Takes who runs the passes, and denoise steps until the host looks at a block again.

        Raises:
            MemoryError: when the cache has no row left.
        """
        super().__init__()
        self._batcher = batcher
        self._sync_interval = sync_interval
        self._row = batcher.cache.allocate()
        weakref.finalize(self, batcher.cache.release, self._row)

    def denoise_(self, canvas: Canvas, schedule: Schedule, index: int, kind: int) -> int:
        """As many passes over the block as the host leaves alone; see `Sequence`."""
        # slots are written behind what is committed, and a kernel writes where it is told to
        self._reserve(len(self.tokens) + len(canvas.tokens))
        count = min(self._sync_interval, schedule.total - index)
        work = Denoise(self._row, len(self.tokens), canvas, kind, schedule, index, count)
        self._batcher.run(work)
        canvas.check()
        return work.index

    def _reserve(self, tokens: int) -> None:
        if tokens > (room := self._batcher.cache.capacity):
            raise MemoryError(f"the cache holds {room} tokens of a document, and {tokens} are wanted")

    def _write(self, tokens: list[int], wanted: int) -> Tensor:
        self._reserve(len(self.tokens) + len(tokens) + SLACK)
        work = Commit(self._row, len(self.tokens), tokens, wanted)
        self._batcher.run(work)
        self.tokens += tokens
        return work.probabilities
