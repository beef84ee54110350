"""Pieces that kernels share."""

import triton
import triton.language as tl


@triton.jit
def eight_bits(x, most, dtype: tl.constexpr):
    """X in [-most, most] rounded to int8, ties to even, or to fp8."""
    if dtype == tl.int8:
        # adding and taking away 1.5 * 2^23 rounds to the nearest whole number, as there is no bit left for a fraction
        return ((x + 12582912.0) - 12582912.0).to(tl.int8)
    return tl.minimum(tl.maximum(x, -most), most).to(dtype)


@triton.jit
def scale_of(largest, most):
    """The scale of a row whose largest value is given: divided as torch divides, not nearly so."""
    return tl.div_rn(tl.maximum(largest, 1e-8), most)
