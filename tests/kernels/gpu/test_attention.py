"""Attention over rows of the cache against its plain reference in float64."""

import pytest
import torch
from kernel_cases import FLOATS, NEAR, as_double, assert_near, drawn, spans_of

from coder_kernels import reference

pytestmark = [
    pytest.mark.usefixtures("poisoned"),
    # both sides of a `where` are computed; numpy speaks of the side that is not taken
    pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning"),
]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("block_length", [0, 1, 4])
@pytest.mark.parametrize(("n_heads", "groups", "length", "capacity"), [(7, 1, 5, 40), (4, 2, 20, 1100)])
def test_block_attention(gpu, dtype, block_length, n_heads, groups, length, capacity):
    spans = spans_of((1, capacity - length, length), (2, 3, length - 2), (0, 0, 1))
    q = drawn(3, length, n_heads, 16, dtype=dtype)
    keys, values = (drawn(4, groups, capacity, 16, seed=i, dtype=dtype) for i in (1, 2))
    # what stands behind a row's end is never read, and no number
    for row, start, count in zip(*(part.tolist() for part in spans), strict=True):
        keys[row, :, start + count :], values[row, :, start + count :] = float("nan"), float("nan")
    out = gpu.block_attention(q, keys, values, spans, block_length)
    expected = reference.block_attention(q.double(), keys.double(), values.double(), spans, block_length)
    real = torch.arange(length)[None] < spans.counts[:, None]
    assert_near(out.view(3, length, -1)[real], expected.view(3, length, -1)[real], NEAR[dtype])


@pytest.mark.parametrize("activation_dtype", [torch.int8, torch.float8_e4m3fn])
def test_block_attention_in_eight_bits_is_its_result_quantised(gpu, activation_dtype):
    spans = spans_of((0, 20, 5))
    q, keys, values = drawn(1, 5, 4, 16), drawn(1, 2, 32, 16, seed=1), drawn(1, 2, 32, 16, seed=2)
    rows = gpu.block_attention(q, keys, values, spans, 1, activation_dtype)
    expected = reference.quantise_rows(reference.block_attention(q, keys, values, spans, 1), activation_dtype)
    assert_near(rows.scale, expected.scale, 1e-5)
    assert_near(as_double(rows), as_double(expected), 1e-2)


def test_a_sequence_without_tokens_changes_nothing(gpu):
    spans = spans_of((0, 20, 0), (1, 20, 2))
    q, keys, values = drawn(2, 2, 4, 16), drawn(2, 2, 32, 16, seed=1), drawn(2, 2, 32, 16, seed=2)
    out = gpu.block_attention(q, keys, values, spans, 0)
    assert_near(out[2:], reference.block_attention(q, keys, values, spans, 0)[2:], 1e-5)
    assert not out.isnan().any()
