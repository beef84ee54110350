"""Tile sizes per device, as static tables: nothing is tuned while a user waits. `benchmarks/gpu` writes them.

A table is for a compute capability; a device without one takes the nearest older. The tile of a kernel may depend on
the shape of the weights and on the number format. It never depends on how many rows a batch has where that would change
the order in which a row is summed up: a row's result must not depend on the rows beside it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import cast

import torch


@dataclass(frozen=True, slots=True)
class Tile:
    """How a kernel is cut and compiled."""

    warps: int = 4
    stages: int = 2
    """Loads under way at a time, of a loop."""
    rows: int = 64
    """Rows of queries, or of the weight, per program; at most."""
    columns: int = 64
    """Keys per step of a loop."""
    depth: int = 128
    """Columns of a weight per step of a loop; at most."""
    chunk: int = 256
    """Keys per program."""


@cache
def tile(kernel: str, **shape: object) -> Tile:
    """Returns the tile of a kernel on this machine's device: the first entry of its table whose `when` agrees."""
    return tile_on(architecture(), kernel, **shape)


def tile_on(capability: int, kernel: str, **shape: object) -> Tile:
    """Returns the tile of a kernel on a device of a compute capability, as 90 for 9.0.

    Raises:
        ValueError: when the device is older than every table.
    """
    for entry in table(capability)[kernel]:
        when = cast(dict[str, object], entry.get("when", {}))
        if all(shape.get(name) == value for name, value in when.items()):
            return Tile(**{name: value for name, value in entry.items() if name != "when"})  # type: ignore[arg-type]
    raise ValueError(f"configs/sm_{nearest(capability)}.json must have a tile of {kernel} for {shape}, found none")


def nearest(capability: int) -> int:
    """Returns the newest capability with a table that is not newer than `capability`.

    Raises:
        ValueError: when the device is older than every table.
    """
    known = sorted(int(path.stem.removeprefix("sm_")) for path in Path(__file__).parent.glob("sm_*.json"))
    older = [one for one in known if one <= capability]
    if not older:
        raise ValueError(f"the GPU must have compute capability {known[0] / 10} or newer, found {capability / 10}")
    return older[-1]


def architecture() -> int:
    """Returns the compute capability of the device, as 90 for 9.0; 90 where there is none, for the interpreter."""
    if not torch.cuda.is_available():
        return 90
    major, minor = torch.cuda.get_device_capability()
    return major * 10 + minor


@cache
def multiprocessors() -> int:
    """Returns how many the device has; those of an H200 where there is none, for the interpreter."""
    return torch.cuda.get_device_properties().multi_processor_count if torch.cuda.is_available() else 132


@cache
def table(capability: int) -> dict[str, list[dict[str, object]]]:
    """Returns the tiles of a device, by kernel: entries of which the first whose `when` agrees is taken.

    Raises:
        ValueError: when the device is older than every table.
    """
    path = Path(__file__).parent / f"sm_{nearest(capability)}.json"
    found: dict[str, list[dict[str, object]]] = json.loads(path.read_text("utf-8"))
    return found
