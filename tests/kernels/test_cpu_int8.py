"""int8 products of a CPU, held to the plain reference."""

import pytest
import torch

from coder_kernels import cpu_int8, ops, reference, score_ops
from coder_kernels.quantise import quantise

pytestmark = pytest.mark.skipif(not cpu_int8.is_exact(), reason="this processor has no exact int8 products")


def some(*shape, seed=0, spread=1.0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * spread


@pytest.mark.parametrize(
    ("rows", "outputs", "inputs"), [(1, 1, 2), (1, 1152, 896), (7, 33, 65), (16, 300, 4864), (130, 64, 96)]
)
def test_a_packed_product_is_the_plain_one(rows, outputs, inputs):
    weight = quantise(some(outputs, inputs, spread=0.02), "int8")
    x = ops.quantise_rows(some(rows, inputs, seed=1), torch.int8)
    found = ops.linear(x, cpu_int8.pack(weight))[0]
    sums = x.values.double() @ weight.values.double().T
    torch.testing.assert_close(found.double(), sums * x.scale * weight.scale.T, rtol=1e-6, atol=0)


def test_the_largest_numbers_do_not_overflow():
    x = ops.quantise_rows(torch.ones(3, 4864), torch.int8)
    assert (ops.linear(x, cpu_int8.pack(torch.full((64, 4864), -0.5))) == -0.5 * 4864).all()


def test_a_row_does_not_depend_on_those_beside_it():
    x, weight = some(20, 896), cpu_int8.pack(some(300, 896, seed=1))
    whole = ops.linear(ops.quantise_rows(x, torch.int8), weight)[0]
    for row in range(20):
        alone = ops.linear(ops.quantise_rows(x[row : row + 1], torch.int8), weight)[0, 0]
        assert torch.equal(alone, whole[row])


@pytest.mark.parametrize("shape", [(1, 2), (33, 65), (1152, 896)])
def test_unpacking_brings_back_rows_of_what_was_packed(shape):
    weight = quantise(some(*shape), "int8")
    rows = torch.arange(shape[0]).flip(0)[::2]
    found = cpu_int8.unpack(cpu_int8.pack(weight), rows)
    assert torch.equal(found.values, weight.values[rows])
    assert torch.equal(found.scale, weight.scale[rows])


@pytest.mark.parametrize(("rows", "columns"), [(1, 3), (5, 896), (300, 4864)])
def test_rows_are_rounded_as_in_the_reference(rows, columns):
    x = some(rows, columns) * some(rows, 1, seed=1).exp()
    x[0] = 0
    for found, expected in zip(cpu_int8.quantise_rows(x), reference.quantise_rows(x, torch.int8), strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("rows", [1, 5, 300])
def test_a_gate_of_packed_weights_is_the_plain_one_rounded(rows):
    gate_up, hidden = quantise(some(600, 64, spread=0.1), "int8"), ops.quantise_rows(some(rows, 64, seed=1), torch.int8)
    expected = reference.swiglu(hidden, gate_up, torch.float32)
    packed = cpu_int8.pack(gate_up)
    torch.testing.assert_close(ops.swiglu(hidden, packed, torch.float32), expected)
    found = ops.swiglu(hidden, packed, torch.float32, torch.int8)
    assert ((found.values * found.scale - expected).abs() <= 0.51 * found.scale).all()


def test_a_head_takes_packed_weights():
    gate_up, hidden = quantise(some(128, 64, spread=0.1), "int8"), ops.quantise_rows(some(5, 64, seed=1), torch.int8)
    expected = reference.head_select(hidden, gate_up)
    for found, part in zip(score_ops.head_select(hidden, cpu_int8.pack(gate_up)), expected, strict=True):
        torch.testing.assert_close(found, part)


@pytest.mark.parametrize("x", [torch.ones(2, 32), ops.quantise_rows(torch.ones(2, 16), torch.int8)])
def test_activations_that_do_not_fit_are_refused(x):
    with pytest.raises(ValueError, match="x must"):
        ops.linear(x, cpu_int8.pack(torch.ones(8, 32)))
