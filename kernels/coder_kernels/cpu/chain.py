"""Jobs that run one after the other without Python between them, as often as is wanted."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from coder_kernels.cpu.jobs import MachineJob
from coder_kernels.cpu.layout import ARGUMENTS, STEP

if TYPE_CHECKING:
    from coder_kernels.cpu.pool import Pool

_PLACE_OF = {kind: {name: place for place, name in enumerate(names.split())} for kind, names in ARGUMENTS.items()}


class Chain:
    """A list of jobs as the threads read it; whoever changes it holds `Pool.alone`."""

    def __init__(self, pool: Pool, jobs: Sequence[MachineJob]) -> None:
        """Takes the jobs, and keeps what they read and write where it is."""
        self._pool, self._jobs = pool, jobs
        self._arguments = [(ctypes.c_int64 * len(_PLACE_OF[job.kind]))() for job in jobs]
        for index, job in enumerate(jobs):
            self.change(index, **job.arguments)
        steps = [
            number
            for job, packed in zip(jobs, self._arguments, strict=True)
            for number in (job.address, ctypes.addressof(packed), job.items, job.chunk)
        ]
        self._steps = (ctypes.c_int64 * (STEP * len(jobs)))(*steps)
        self._is_shared = any(job.items > job.chunk for job in jobs)

    def change(self, index: int, **arguments: Tensor | float) -> None:
        """Gives a job other arguments; of a tensor the caller sees to it that it stays where it is."""
        packed, place_of = self._arguments[index], _PLACE_OF[self._jobs[index].kind]
        for name, value in arguments.items():
            packed[place_of[name]] = value if isinstance(value, int) else _number(value)

    def run(self) -> None:
        """Runs all jobs, each when the one before has ended."""
        self._pool.run(self._steps, self._is_shared)


def _number(value: Tensor | float) -> int:
    """The address of a tensor, or the bits of a float."""
    return value.data_ptr() if isinstance(value, Tensor) else int.from_bytes(struct.pack("<f", value), "little")
