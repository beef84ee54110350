"""What this machine has that a model needs, read without loading anything slow."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from coder_model.checkpoints.store import Store

_CPU, _CGROUP = Path("/proc/cpuinfo"), Path("/sys/fs/cgroup/memory.max")
_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_MEGABYTE = 10**6
"""Under a megabyte of memory nothing runs: a limit so small is none."""


@dataclass(frozen=True, slots=True)
class GraphicsCard:
    """One of NVIDIA's, which are those that models run on here."""

    name: str
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Hardware:
    """Of this machine, as far as this process may use it."""

    processor: str
    cores: int
    memory_bytes: int
    """All of it, used or not; 0 where the system does not say."""
    free_disk_bytes: int
    models: Path
    """The folder that they are kept in, on the disk that this is about."""
    card: GraphicsCard | None

    def __str__(self) -> str:
        memory = f"{self.memory_bytes / 1e9:.1f} GB of memory" if self.memory_bytes else "memory of unknown size"
        card = f"{self.card.name} with {self.card.memory_bytes / 1e9:.1f} GB" if self.card else "no card of NVIDIA's"
        cores = f"{self.cores} core{'' if self.cores == 1 else 's'} of {self.processor}"
        return f"{cores}, {memory}, {card}; {self.free_disk_bytes / 1e9:.1f} GB are free for {self.models}"


def hardware() -> Hardware:
    """Returns what this machine has."""
    models = Store().folder
    there = next(folder for folder in (models, *models.parents) if folder.exists())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Hardware(_processor(), cores, _memory(), shutil.disk_usage(there).free, models, _card())


def _processor() -> str:
    try:
        named = re.search(r"(?m)^model name\s*:\s*(.+)$", _CPU.read_text("utf-8", "replace"))
    except OSError:
        named = None
    return named.group(1).strip() if named else platform.processor() or platform.machine() or "an unknown kind"


def _memory() -> int:
    """Bytes, of the machine or of the container that this runs in."""
    try:
        found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 0
    try:
        limit = int(_CGROUP.read_text("ascii"))
    except (OSError, ValueError):
        return found
    return min(found, limit) if limit > _MEGABYTE else found


def _card() -> GraphicsCard | None:
    """The first card, asked of NVIDIA's driver itself; None without one."""
    try:
        driver = ctypes.CDLL(_DRIVER)
        device, n_bytes, name = ctypes.c_int(), ctypes.c_size_t(), ctypes.create_string_buffer(100)
        failed = (
            driver.cuInit(0)
            or driver.cuDeviceGet(ctypes.byref(device), 0)
            or driver.cuDeviceTotalMem_v2(ctypes.byref(n_bytes), device)
            or driver.cuDeviceGetName(name, len(name), device)
        )
    except (OSError, AttributeError):
        return None
    return None if failed else GraphicsCard(name.value.decode("utf-8", "replace"), n_bytes.value)
