"""How many threads of torch a pass gets: all there are, or one while other programs keep the cores busy.

The threads of an operation wait for the last of them, and one whose core somebody else has comes milliseconds late. A
pass has dozens of operations: on two busy cores, two threads take ten times as long as one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

SLOW = 3.0
"""Times the shortest pass of its length from which on a pass counts as held up."""
HELD_UP = 2
"""Such passes in a row after which one thread is taken: a single one happens on a free machine too."""
FIRST_REST_S, LONGEST_REST_S = 1.0, 16.0
"""Seconds until all threads are tried again, doubled each time that they are still slower than one."""


@dataclass(slots=True)
class ThreadChoice:
    """Counts the threads for the passes of one model; to be asked and told by the thread that runs them."""

    clock: Callable[[], float] = time.perf_counter
    """In seconds."""
    all_threads: int = field(default_factory=torch.get_num_threads)
    alone: bool = False
    """Whether passes run on one thread."""
    _shortest: dict[int, float] = field(default_factory=dict)
    """Seconds that a pass took at least with all threads, by the bits of its length."""
    _alone: dict[int, float] = field(default_factory=dict)
    """Seconds that the latest pass on one thread took."""
    _held_up: int = 0
    _rest_s: float = FIRST_REST_S
    _tried: float = 0.0

    def run(self, length: int, work: Callable[[], None]) -> None:
        """Runs a pass over `length` tokens on as many threads as are likely to be the fastest, and learns from it."""
        if self.all_threads == 1:
            work()
            return
        bits = length.bit_length()
        tries = self.alone and bits in self._alone and self.clock() - self._tried >= self._rest_s
        began = self.clock()
        if self.alone and not tries:
            torch.set_num_threads(1)
            try:
                work()
            finally:
                # another model may begin meanwhile, and counts them
                torch.set_num_threads(self.all_threads)
        else:
            work()
        took = self.clock() - began
        if tries:
            self._decide(took < self._alone[bits])
        elif self.alone:
            self._alone[bits] = took
        else:
            self._watch(bits, took)

    def _watch(self, bits: int, took: float) -> None:
        """Looks whether passes with all threads are held up."""
        shortest = self._shortest[bits] = min(took, self._shortest.get(bits, took))
        self._held_up = self._held_up + 1 if took > SLOW * shortest else 0
        if self._held_up >= HELD_UP:
            self.alone, self._held_up = True, 0
            self._alone.clear()
            self._tried = self.clock()

    def _decide(self, all_are_faster: bool) -> None:
        """Goes back to all threads, or waits longer until the next try."""
        self.alone = not all_are_faster
        self._rest_s = FIRST_REST_S if all_are_faster else min(2 * self._rest_s, LONGEST_REST_S)
        self._tried = self.clock()
