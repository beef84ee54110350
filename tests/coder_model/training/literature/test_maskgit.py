import torch

from coder_model.training.literature.maskgit import cosine_masks, masks_left


def test_the_cosine_schedule_leaves_many_masks_at_first_and_none_at_the_end():
    assert [masks_left(step / 4, 16) for step in range(5)] == [16, 15, 12, 7, 0]


def test_every_row_has_at_least_one_mask():
    masks = cosine_masks(torch.zeros(200, 5, dtype=torch.int64), torch.Generator().manual_seed(0))
    assert int(masks.sum(1).min()) == 1
    assert int(masks.sum(1).max()) == 5
