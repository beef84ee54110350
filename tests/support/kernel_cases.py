"""Operands of kernels, and how near to float64 a result must be."""

import torch

from coder_kernels import reference
from coder_kernels.quantise import Quantised, dequantise, quantise
from coder_kernels.tensor_types import AttentionMetadata, Rows

FLOATS = [torch.float32, torch.bfloat16]
NEAR = {torch.float32: 1e-5, torch.bfloat16: 8e-3, torch.float16: 2e-3}
"""Norm-relative error that each format allows."""
EIGHT = 1e-3 if torch.cuda.is_available() else 1e-5
"""Of a product in fp8 on both sides: Hopper adds it up in 14 bits."""


def drawn(*shape, seed=0, dtype=torch.float32, spread=1.0):
    return (torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * spread).to(dtype)


def assert_near(found, expected, tolerance):
    found, expected = found.double(), expected.double()
    assert found.shape == expected.shape
    assert not found.isnan().any()
    assert float((found - expected).norm() / expected.norm().clamp(min=1e-12)) <= tolerance


def as_double(x):
    if isinstance(x, Quantised):
        return dequantise(x, torch.float64)
    return x.values.double() * x.scale.double() if isinstance(x, Rows) else x.double()


def operands(kind, dtype, n_rows, height, width):
    x, weight = drawn(n_rows, width, dtype=dtype), drawn(height, width, seed=1, dtype=dtype)
    if kind == "dense":
        return x, weight
    precision, _, how = kind.partition(" ")
    packed = quantise(weight, precision)
    return (reference.quantise_rows(x, packed.values.dtype) if how == "rows" else x), packed


def exactness(kind, dtype, of_bfloat16):
    if dtype == torch.bfloat16:
        return of_bfloat16
    return EIGHT if kind == "fp8 rows" else NEAR[dtype]


KINDS = ["dense", "int8", "fp8", "int4", "int8 rows", "fp8 rows"]


def spans_of(*triples):
    return AttentionMetadata(*(torch.tensor(part, dtype=torch.int32) for part in zip(*triples, strict=True)))
