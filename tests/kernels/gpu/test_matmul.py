"""Matrix products over weights of every precision against their plain reference in float64."""

import pytest
import torch
from kernel_cases import FLOATS, KINDS, NEAR, as_double, assert_near, drawn, exactness, operands

from coder_kernels import reference
from coder_kernels.quantise import Quantised
from coder_kernels.tensor_types import Rows

pytestmark = [
    pytest.mark.usefixtures("poisoned"),
    # both sides of a `where` are computed; numpy speaks of the side that is not taken
    pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning"),
]
SHAPES = [(1, 70, 64), (5, 64, 192), (33, 130, 128), (150, 70, 64)]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n_rows", "height", "width"), SHAPES)
def test_linear(gpu, dtype, kind, n_rows, height, width):
    x, weight = operands(kind, dtype, n_rows, height, width)
    parts = gpu.linear(x, weight)
    assert_near(parts.sum(0), as_double(x) @ as_double(weight).T, exactness(kind, dtype, 3e-3))


def test_many_rows_in_fp8_are_multiplied_as_torch_does_it():
    x, packed = operands("fp8 rows", torch.bfloat16, 200, 96, 64)
    # the CPU of torch for GPUs has one scale for all rows
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    found = reference.fp8_product(Rows(*(part.to(device) for part in x)), Quantised(*(p.to(device) for p in packed)))
    assert found.dtype == torch.bfloat16
    assert_near(found.cpu(), as_double(x) @ as_double(packed).T, NEAR[torch.bfloat16])


def test_linear_cuts_a_long_row_into_parts(gpu):
    x, weight = drawn(3, 2048), drawn(70, 2048, seed=1)
    parts = gpu.linear(x, weight)
    assert len(parts) > 1
    assert_near(parts.sum(0), x.double() @ weight.double().T, 1e-5)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_rows", [5, 140])
def test_swiglu(gpu, dtype, kind, n_rows):
    x, weight = operands(kind, dtype, n_rows, 2 * 70, 128)
    expected = reference.swiglu(as_double(x), as_double(weight), torch.float64)
    assert_near(gpu.swiglu(x, weight, dtype), expected, exactness(kind, dtype, NEAR[torch.bfloat16]))
