"""The joint loss and its attention."""

from dataclasses import replace

import pytest
import torch
from torch.nn.attention.flex_attention import flex_attention

from coder_model.training.objective import flex_joint_attention, joint_attention, joint_loss
from coder_model.training.sampler import IGNORE


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_flex_attention_equals_plain_attention(sampler):
    batch = sampler.batch(5, range(2), 64)
    generator = torch.Generator().manual_seed(0)
    size = batch.clean.shape[1] + batch.noised.shape[1]
    q, k, v = (torch.randn(2, heads, size, 16, generator=generator) for heads in (4, 2, 2))
    plain = joint_attention(batch, torch.float32)(0, q, k, v)
    flex = flex_joint_attention(batch, flex_attention)(0, q, k, v)
    torch.testing.assert_close(flex, plain, atol=1e-5, rtol=1e-5)


def test_a_middle_counts_as_much_as_its_weight(sampler, model):
    from coder_model.model.transformer import Transformer

    fresh = Transformer(replace(model.config, vocab_size=310))
    fresh.initialise_(0)
    batch = sampler.batch(0, range(4), 64)
    losses = joint_loss(fresh, batch, 0.0, torch.float32, middle_weight=3.0)
    counted = batch.targets != IGNORE
    n_middle, n = int((batch.in_middle & counted).sum()), int(counted.sum())
    expected = (n * losses.autoregressive + 2 * n_middle * losses.middle) / (n + 2 * n_middle)
    assert float(losses.total.detach()) == pytest.approx(expected, rel=1e-4)


def test_the_loss_of_a_model_that_knows_nothing_is_that_of_chance(sampler, model):
    from coder_model.model.transformer import Transformer

    fresh = Transformer(replace(model.config, vocab_size=310))
    fresh.initialise_(0)
    losses = joint_loss(fresh, sampler.batch(0, range(8), 64), 0.5, torch.float32)
    for value in (losses.autoregressive, losses.full, losses.partial):
        assert value == pytest.approx(torch.tensor(310.0).log().item(), abs=0.5)
