import math

import pytest
import torch
from torch.nn.functional import cross_entropy
from toy_text import MASK, SIZE, batch_of, some_network

from coder_model.training.literature.maskgit import CosineMasking, cosine_masks, masks_left
from coder_model.training.literature.noise import positions_of
from coder_model.training.literature.schemes import bidirectional


def test_the_cosine_schedule_leaves_many_masks_at_first_and_none_at_the_end():
    assert [masks_left(step / 4, 16) for step in range(5)] == [16, 15, 12, 7, 0]


def test_every_row_has_at_least_one_mask():
    masks = cosine_masks(torch.zeros(200, 5, dtype=torch.int64), torch.Generator().manual_seed(0))
    assert int(masks.sum(1).min()) == 1
    assert int(masks.sum(1).max()) == 5


def test_the_points_of_the_schedule_are_uniform():
    masks = cosine_masks(torch.zeros(4000, 50, dtype=torch.int64), torch.Generator().manual_seed(0))
    # the mean of the cosine, and half a token for rounding up
    assert float(masks.float().mean()) == pytest.approx(2 / math.pi + 0.5 / 50, abs=0.015)


def test_the_loss_is_the_smoothed_cross_entropy_of_what_is_masked():
    network, clean = some_network(), torch.randint(3, (8, 12), generator=torch.Generator().manual_seed(0))
    found = CosineMasking(MASK).loss(network, batch_of(clean), torch.Generator().manual_seed(1))
    masked = cosine_masks(clean, torch.Generator().manual_seed(1))
    logits = network(clean.masked_fill(masked, MASK), positions_of(clean), bidirectional())[masked]
    # the mask itself is no answer
    words = [token for token in range(SIZE) if token != MASK]
    torch.testing.assert_close(found, cross_entropy(logits[:, words], clean[masked], label_smoothing=0.1))
