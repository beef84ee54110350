"""What `run.py` checks and measures: operations at the shapes of models, and whole models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import fills
import single
import torch
from shapes import CONTEXT, SHAPES

from coder_kernels.quantise import FIRST_FP8_CAPABILITY

SMALL_CONTEXT, SMALL_BLOCK = 128, 16
PRECISIONS = {"bfloat16": 16.0, "fp8": 8.0, "int8": 8.0, "int4": 4.5}
"""Bits of a weight, scales counted."""
BATCHES = (1, 2, 4, 8, 16)
"""Blocks of rows for which products are compared with torch's."""
PRODUCTS = ("linear qkv", "linear down", "swiglu")


@dataclass(frozen=True, slots=True)
class Model:
    """A shape in a number format, and how many sequences are filled at a time."""

    shape: str
    precision: str
    batch: int

    @property
    def name(self) -> str:
        """As the record has it."""
        return f"{self.shape} {self.precision} batch {self.batch}"

    def bench(self, device: torch.device, small: bool) -> fills.Bench:
        """Draws the weights."""
        context, block = sizes(small)
        return fills.Bench(SHAPES[self.shape], self.precision, self.batch, context, block, device)


def sizes(small: bool) -> tuple[int, int]:
    """Returns tokens of context and slots of a block."""
    return (SMALL_CONTEXT, SMALL_BLOCK) if small else (CONTEXT, single.BLOCK)


def kernels(device: torch.device, small: bool) -> Iterator[single.Named]:
    """Yields operations and what makes their data."""
    kinds = [kind for kind in single.KINDS if kind != "fp8" or has_fp8(device)]
    for name in ("tiny",) if small else ("0.5B", "7B"):
        for batch in (1,) if small else (1, 4):
            for case, make in single.cases(SHAPES[name], device, dtype_of(device), kinds, batch):
                yield f"{name} batch {batch}: {case}", make


def products(device: torch.device, small: bool) -> Iterator[single.Named]:
    """Yields products by how many rows of activations there are, those with few rows first."""
    kinds = [kind for kind in ("bf16", "fp8", "int8") if kind != "fp8" or has_fp8(device)]
    for batch in BATCHES[:1] if small else BATCHES:
        for name in ("tiny",) if small else ("0.5B", "7B"):
            for case, make in single.cases(SHAPES[name], device, dtype_of(device), kinds, batch):
                if case.startswith(PRODUCTS):
                    yield f"{name} {batch * single.BLOCK} rows: {case}", make


def models(device: torch.device, small: bool) -> Iterator[Model]:
    """Yields models, those first that are asked for most."""
    for name in ("tiny", "embedded") if small else ("0.5B", "1.5B", "7B", "embedded"):
        for batch in (1, 2) if small else (1, 8, 32):
            for precision in PRECISIONS:
                if precision != "fp8" or has_fp8(device):
                    yield Model(name, precision, batch)


def checks(device: torch.device, small: bool) -> dict[str, Callable[[], dict[str, Any]]]:
    """Returns, by name, what says whether an operation or a model is right."""
    operations = {name: partial(_check, name, make, device) for name, make in kernels(device, small)}
    # a batch of 8 has other products than a batch of 1; a batch of 32 has those of 8
    whole = [model for model in models(device, small) if model.batch <= 8 and model.shape != "7B"]
    # those that take longest first, as far as they are asked for most
    whole.sort(key=lambda model: (model.batch, model.shape == "embedded"))
    named = {model.name: partial(_check_model, model, device, small) for model in whole}
    first = [model.name for model in whole if model.batch == 1 and model.shape != "embedded"]
    return {**{name: named[name] for name in first}, **operations, **named}


def dtype_of(device: torch.device) -> torch.dtype:
    """Returns the dtype of activations."""
    return torch.bfloat16 if device.type == "cuda" else torch.float32


def has_fp8(device: torch.device) -> bool:
    """Returns whether the device multiplies in fp8; torch on a CPU does."""
    return device.type == "cpu" or torch.cuda.get_device_capability(device) >= FIRST_FP8_CAPABILITY


def tolerance(name: str, device: torch.device) -> float:
    """Returns the relative error that an operation may have, by its name in a record."""
    return single.tolerance_of(name.partition(": ")[2], dtype_of(device))


def _check(name: str, make: Callable[[], single.Case], device: torch.device) -> dict[str, Any]:
    return single.checked(make(), tolerance(name, device))


def _check_model(model: Model, device: torch.device, small: bool) -> dict[str, Any]:
    bench = model.bench(device, small)
    record = bench.checked()
    # what a fill needs is compiled here too, beside other processes
    bench.commit_ms()
    return record
