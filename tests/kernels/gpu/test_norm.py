"""Norms with the residual stream, and rows in eight bits, against their plain reference in float64."""

import pytest
import torch
from kernel_cases import FLOATS, NEAR, assert_near, drawn

from coder_kernels import reference

pytestmark = [
    pytest.mark.usefixtures("poisoned"),
    # both sides of a `where` are computed; numpy speaks of the side that is not taken
    pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning"),
]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    ("n_parts", "n_rows", "width", "adds"), [(1, 3, 48, True), (3, 5, 96, True), (1, 1, 257, False)]
)
def test_add_rms_norm(gpu, dtype, n_parts, n_rows, width, adds):
    parts, weight = drawn(n_parts, n_rows, width), drawn(width, seed=1, dtype=dtype)
    residual = drawn(n_rows, width, seed=2) if adds else None
    normal, total = gpu.add_rms_norm(parts, residual, weight, 1e-6)
    expected, sums = reference.add_rms_norm(
        parts.double(), None if residual is None else residual.double(), weight.double(), 1e-6
    )
    assert normal.dtype == dtype
    assert_near(normal, expected, NEAR[dtype])
    assert_near(total, sums, 1e-6)


@pytest.mark.parametrize("activation_dtype", [torch.int8, torch.float8_e4m3fn])
def test_add_rms_norm_in_eight_bits_is_the_norm_quantised(gpu, activation_dtype):
    parts, residual, weight = drawn(2, 4, 80), drawn(4, 80, seed=1), drawn(80, seed=2)
    rows, _ = gpu.add_rms_norm(parts, residual, weight, 1e-6, activation_dtype)
    normal, _ = reference.add_rms_norm(parts.double(), residual.double(), weight.double(), 1e-6)
    expected = reference.quantise_rows(normal, activation_dtype)
    assert_near(rows.scale, expected.scale, 1e-6)
    # the last bit of the norm may round to the next of the few values
    assert float((rows.values.float() != expected.values.float()).float().mean()) < 0.01


@pytest.mark.parametrize("activation_dtype", [torch.int8, torch.float8_e4m3fn])
@pytest.mark.parametrize("dtype", FLOATS)
def test_quantise_rows(gpu, activation_dtype, dtype):
    x = drawn(3, 5000, dtype=dtype, spread=3.0)
    x[1] = 0
    rows, expected = gpu.quantise_rows(x, activation_dtype), reference.quantise_rows(x, activation_dtype)
    assert torch.equal(rows.values.float(), expected.values.float())
    assert torch.equal(rows.scale, expected.scale)


def test_a_long_residual_stream_in_bfloat16_does_not_drift(gpu):
    """48 additions whose parts all have one sign: what truncates instead of rounding loses a tenth of the sum."""
    residual = torch.full((4, 64), 1.0)
    for layer in range(48):
        part = drawn(1, 4, 64, seed=layer, dtype=torch.bfloat16).abs()
        normal, residual = gpu.add_rms_norm(part, residual, torch.ones(64, dtype=torch.bfloat16), 1e-6)
    exact = 1.0 + sum(drawn(1, 4, 64, seed=layer, dtype=torch.bfloat16).abs().double()[0] for layer in range(48))
    expected = exact * exact.square().mean(1, keepdim=True).add(1e-6).rsqrt()
    assert abs(float((normal.double() - expected).mean() / expected.mean())) < 3e-4
    assert abs(float((residual - exact).mean() / exact.mean())) < 1e-6
