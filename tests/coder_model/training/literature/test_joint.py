import pytest
import torch
from toy_text import some_network

from coder_model.prompt.tokenizer import SpecialTokens
from coder_model.training.literature.ar import Autoregressive
from coder_model.training.literature.joint import Joint
from coder_model.training.sampler import IGNORE

START, MASK = SpecialTokens().pad, SpecialTokens().mask


@pytest.fixture
def rows(sampler):
    return sampler.batch(0, range(8), 56)


def test_without_its_diffusion_our_loss_is_that_of_autoregression(rows):
    network = some_network(size=310)
    losses = [
        objective.loss(network, rows, torch.Generator())
        for objective in (Joint(START, diffusion_weight=0.0), Autoregressive(START))
    ]
    torch.testing.assert_close(*losses, atol=1e-4, rtol=1e-4)


def test_noised_blocks_stand_behind_the_start_where_their_tokens_do(rows):
    begun = Joint(START).begun(rows)
    text = torch.cat([begun.clean, begun.targets[:, -1:]], dim=1)
    assert torch.equal(text[:, 1:], rows.clean)
    place = (begun.starts[:, :, None] + torch.arange(begun.block_length)).flatten(1)
    shown, asked = begun.noised != MASK, begun.noised_targets != IGNORE
    assert bool(shown.any())
    assert bool(asked.any())
    assert torch.equal(begun.noised[shown], text.gather(1, place)[shown])
    # a slot says the token that follows it
    following = text.gather(1, (place + 1).clamp(max=text.shape[1] - 1))
    assert torch.equal(begun.noised_targets[asked], following[asked])
