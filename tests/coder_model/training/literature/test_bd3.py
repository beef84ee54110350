import pytest
import torch
from toy_text import MASK, Table, batch_of, integral

from coder_model.training.literature.bd3 import BlockDiffusion


def test_each_block_has_a_noise_level_of_its_own_in_the_clip():
    objective = BlockDiffusion(MASK, 4)
    times = objective.times(torch.zeros(50, 10, dtype=torch.int64), (0.3, 0.8), torch.Generator().manual_seed(0))
    assert times.shape == (50, 10)
    assert bool((times[:, :4] == times[:, :1]).all())
    assert bool((times[:, 8:] == times[:, 8:9]).all())
    assert float(times.min()) >= 0.3
    assert float(times.max()) <= 0.8
    assert len(times[:, 0].unique()) == 50


def test_the_loss_is_the_mean_of_the_bound_over_the_clip():
    table, text, low, high = Table(4, seed=3), torch.tensor([2, 1, 0, 1]), 0.3, 0.8
    objective = BlockDiffusion(MASK, 2, (low, high))

    def level(share):
        return low + (high - low) * share

    def cost_at(x0, masked, share):
        return objective.cost_at(table, x0, masked, level(share)[:, None].expand_as(x0))

    found = objective.loss(table, batch_of(text.expand(3000, -1)), torch.Generator().manual_seed(0))
    assert float(found) == pytest.approx(integral(cost_at, text, level) / 4, rel=0.03)
    everywhere = objective.nelbo(table, text.expand(3000, -1), torch.Generator().manual_seed(0)).mean() / 4
    assert abs(float(found) - float(everywhere)) > 0.03 * float(found)
