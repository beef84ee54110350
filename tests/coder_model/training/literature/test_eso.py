import torch

from coder_model.training.literature.eso import sorted_order

MASKED = torch.tensor([[True, False, True, False, False, True]]).repeat(40, 1)


def test_clean_tokens_come_first_and_what_is_not_shuffled_stays_from_left_to_right():
    order = sorted_order(MASKED, False, False, torch.Generator().manual_seed(0))
    assert order[0].tolist() == [1, 3, 4, 0, 2, 5]
    assert bool((order == order[0]).all())


def test_each_kind_is_shuffled_by_itself():
    order = sorted_order(MASKED, True, False, torch.Generator().manual_seed(0))
    assert bool((order[:, 3:] == torch.tensor([0, 2, 5])).all())
    assert len(order[:, :3].unique(dim=0)) == 6
    both = sorted_order(MASKED, True, True, torch.Generator().manual_seed(0))
    assert len(both[:, 3:].unique(dim=0)) == 6
    assert bool((both.sort(1).values == torch.arange(6)).all())
