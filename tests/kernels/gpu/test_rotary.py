"""The rotation of queries and keys, and what it writes into the cache."""

import pytest
import torch
from kernel_cases import FLOATS, NEAR, assert_near, drawn, spans_of

from coder_kernels import reference

pytestmark = [
    pytest.mark.usefixtures("poisoned"),
    # both sides of a `where` are computed; numpy speaks of the side that is not taken
    pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning"),
]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("extras", [False, True])
def test_rotate_and_write(gpu, dtype, extras):
    groups, n_heads, width, capacity, length = 2, 6, 16, 24, 3
    spans = spans_of((2, 0, 3), (0, 17, 1))
    parts = drawn(2, 2 * length, (n_heads + 2 * groups) * width)
    bias = drawn((n_heads + 2 * groups) * width, seed=1, dtype=dtype) if extras else None
    norms = (drawn(width, seed=2, dtype=dtype), drawn(width, seed=3, dtype=dtype)) if extras else None
    # a token's position need not be its place in the cache
    positions = torch.tensor([0, 1, 9, 17, 18, 19])
    angles = positions[:, None] * 0.3 ** torch.arange(width // 2)
    tables = angles.cos(), angles.sin()
    cache = [drawn(3, groups, capacity, width, seed=4 + i, dtype=dtype) for i in range(2)]
    exact = [part.double() for part in cache]
    q = gpu.rotate_and_write_(parts, bias, norms, 1e-6, tables, *cache, spans)
    expected = reference.rotate_and_write_(
        parts.double(),
        None if bias is None else bias.double(),
        norms and tuple(norm.double() for norm in norms),
        1e-6,
        tuple(table.double() for table in tables),
        *exact,
        spans,
    )
    assert_near(q, expected, NEAR[dtype])
    for found, wanted in zip(cache, exact, strict=True):
        assert_near(found, wanted, NEAR[dtype])
    written = torch.zeros(3, groups, capacity, width, dtype=torch.bool)
    written[2, :, :3], written[0, :, 17:20] = True, True
    before = drawn(3, groups, capacity, width, seed=4, dtype=dtype)
    assert torch.equal(cache[0][~written], before[~written])
