"""A sequence whose passes share the device with those of other documents."""

from __future__ import annotations

import weakref

from torch import Tensor

from coder_kernels.policies import Schedule
from coder_model.canvas import Canvas
from coder_model.decoder import Decoder
from coder_model.passes import SLACK, Passes
from coder_model.steps import Commit, Denoise


class SharedDecoder(Decoder):
    """A sequence in a row of a static cache; the row is given back with the last reference to this."""

    def __init__(self, passes: Passes, look_every: int) -> None:
        """Takes who runs the passes, and denoise steps until the host looks at a block again.

        Raises:
            MemoryError: when the cache has no row left.
        """
        super().__init__()
        self._passes = passes
        self._look_every = look_every
        self._row = passes.cache.lend()
        weakref.finalize(self, passes.cache.take_back, self._row)

    def denoise_(self, canvas: Canvas, schedule: Schedule, index: int, kind: int) -> int:
        """As many passes over the block as the host leaves alone; see `Decoder`."""
        # slots are written behind what is committed, and a kernel writes where it is told to
        self._reserve(len(self.tokens) + len(canvas.tokens))
        count = min(self._look_every, schedule.total - index)
        work = Denoise(self._row, len(self.tokens), canvas, kind, schedule, index, count)
        self._passes.run(work)
        canvas.check()
        return work.index

    def _reserve(self, tokens: int) -> None:
        if tokens > (room := self._passes.cache.capacity):
            raise MemoryError(f"the cache holds {room} tokens of a document, and {tokens} are wanted")

    def _write(self, tokens: list[int], wanted: int) -> Tensor:
        self._reserve(len(self.tokens) + len(tokens) + SLACK)
        work = Commit(self._row, len(self.tokens), tokens, wanted)
        self._passes.run(work)
        self.tokens += tokens
        return work.probabilities
