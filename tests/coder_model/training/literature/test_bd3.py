import torch
from toy_text import MASK

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
