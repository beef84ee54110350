import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from coder_kernels.reference import visible
from coder_model.training.masks import noised_mask


@given(st.integers(0, 9), st.integers(1, 6), st.integers(0, 4))
def test_who_sees_whom_in_a_pass_equals_brute_force(start, count, block):
    """Block 0: denoise, all see all; 1: commit, nobody sees a later one; else each sees its own block whole."""
    mask = visible(start, count, block, torch.device("cpu"))
    for query in range(start, start + count):
        for key in range(start + count):
            assert mask[query - start, key] == (block == 0 or key // block <= query // block)


@given(st.data())
def test_the_training_mask_equals_brute_force(data):
    length, block, n_blocks = data.draw(st.integers(4, 12)), data.draw(st.integers(2, 4)), data.draw(st.integers(1, 3))
    starts = data.draw(st.lists(st.integers(0, length - 1), min_size=n_blocks, max_size=n_blocks))
    mask = noised_mask(torch.tensor([starts]), block, length)[0]
    for q in range(n_blocks * block):
        for k in range(length + n_blocks * block):
            expected = k < starts[q // block] if k < length else (k - length) // block == q // block
            assert mask[q, k] == expected


@pytest.mark.parametrize("block", [2, 8])
def test_blocks_do_not_see_each_other(block):
    mask = noised_mask(torch.tensor([[3, 5]]), block, 16)[0, :, 16:]
    assert not mask[:block, block:].any()
    assert not mask[block:, :block].any()
