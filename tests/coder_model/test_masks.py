import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from coder_model.masks import commit_mask, denoise_mask, noised_mask


@given(st.lists(st.integers(0, 9), min_size=1, max_size=4), st.integers(1, 5))
def test_the_commit_mask_equals_brute_force(cached, n):
    keys = max(cached) + n
    mask = commit_mask(torch.tensor(cached), n, keys)
    for b, s in enumerate(cached):
        for q in range(n):
            for k in range(keys):
                assert mask[b, q, k] == (k <= s + q)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=4), st.integers(1, 5))
def test_the_denoise_mask_equals_brute_force(cached, n):
    keys = max(cached) + n
    mask = denoise_mask(torch.tensor(cached), n, keys)
    for b, s in enumerate(cached):
        for q in range(n):
            for k in range(keys):
                assert mask[b, q, k] == (k < s or k >= keys - n)


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
