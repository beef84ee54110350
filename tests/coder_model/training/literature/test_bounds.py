from itertools import product

import pytest
import torch
from toy_text import MASK, SIZE, START, Oracle, Table, all_texts, some_distribution

from coder_model.training.literature.ar import Autoregressive
from coder_model.training.literature.bd3 import BlockDiffusion
from coder_model.training.literature.bounds import bits_per_byte, importance_weighted, log_weights, single_sample
from coder_model.training.literature.d3pm import DiscreteDiffusion
from coder_model.training.literature.eso import EsotericDiffusion
from coder_model.training.literature.mdlm import MaskedDiffusion
from coder_model.training.literature.sedd import ScoreEntropy

TEXT = all_texts()[13:14]
STEPS, DRAWS = 2, 4000


def by_step(table, revealed_at):
    """log-probability of a text whose tokens are revealed at these steps, those of a step independently."""
    text, total = TEXT[0].tolist(), 0.0
    for place in range(3):
        evidence = {other: text[other] for other in range(3) if revealed_at[other] < revealed_at[place]}
        total += float(table.conditional(place, evidence)[text[place]].log())
    return total


def exact(table, steps=STEPS):
    """Likelihood of what `steps` ancestral steps sample, over all ways to reveal the tokens."""
    ways = torch.tensor([by_step(table, way) for way in product(range(steps), repeat=3)])
    return float(ways.exp().mean())


def weights_of(objective, predict, draws=DRAWS):
    return log_weights(objective, predict, TEXT, STEPS, draws, torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "objective", [MaskedDiffusion(MASK), BlockDiffusion(MASK, 3), EsotericDiffusion(MASK, 1.0, "a")]
)
def test_weights_have_the_likelihood_of_the_sampler_as_their_mean(objective):
    table = Table()
    assert float(weights_of(objective, table).exp().mean()) == pytest.approx(exact(table), rel=0.05)


def test_weights_of_blocks_have_the_likelihood_of_each_given_those_before():
    table = Table()
    # what is in a later block is revealed after all of an earlier one
    ways = [[step + STEPS * (place // 2) for place, step in enumerate(way)] for way in product(range(STEPS), repeat=3)]
    expected = torch.tensor([by_step(table, way) for way in ways]).exp().mean()
    assert float(weights_of(BlockDiffusion(MASK, 2), table).exp().mean()) == pytest.approx(float(expected), rel=0.05)


@pytest.mark.parametrize("variant", ["a", "b"])
def test_weights_of_both_phases_have_the_likelihood_as_their_mean(variant):
    table, alpha0 = Table(), 0.5
    total = 0.0
    for way in product(range(STEPS + 1), repeat=3):
        # what is left for the second phase is revealed from left to right
        in_order = [step if step < STEPS else STEPS + place for place, step in enumerate(way)]
        chance = torch.tensor([alpha0 / STEPS if step < STEPS else 1 - alpha0 for step in way]).prod()
        total += float(chance) * float(torch.tensor(by_step(table, in_order)).exp())
    weights = weights_of(EsotericDiffusion(MASK, alpha0, variant), table)
    assert float(weights.exp().mean()) == pytest.approx(total, rel=0.05)


def test_weights_of_score_entropy_have_that_of_masked_diffusion():
    joint = some_distribution()
    scores = weights_of(ScoreEntropy(MASK, SIZE, eps=1e-4), Oracle(joint, factor=SIZE - 1))
    masked = weights_of(MaskedDiffusion(MASK), Oracle(joint))
    assert float(scores.exp().mean()) == pytest.approx(float(masked.exp().mean()), rel=0.05)


def test_weights_of_discrete_steps_have_that_of_masked_diffusion():
    joint = some_distribution()
    discrete = weights_of(DiscreteDiffusion("absorbing", MASK, SIZE, steps=4), Oracle(joint))
    masked = weights_of(MaskedDiffusion(MASK), Oracle(joint))
    assert float(discrete.exp().mean()) == pytest.approx(float(masked.exp().mean()), rel=0.05)


def test_several_noisings_are_between_the_likelihood_and_one_noising():
    table = Table()
    weights = weights_of(MaskedDiffusion(MASK), table)
    one = float(single_sample(weights))
    means = [
        float(torch.stack([importance_weighted(part) for part in weights.split(size)]).mean()) for size in (1, 4, 40)
    ]
    limit = -torch.tensor(exact(table)).log()
    assert means[0] == pytest.approx(one, rel=1e-4)
    assert means[0] > means[1] > means[2] > float(limit) - 0.02


def test_autoregression_needs_no_noising():
    joint = some_distribution()
    weights = weights_of(Autoregressive(START), Oracle(joint, shift=1), draws=3)
    torch.testing.assert_close(single_sample(weights), importance_weighted(weights))
    assert float(weights[0]) == pytest.approx(float(joint.flatten()[13].log()), rel=1e-4)


def test_a_bit_is_a_bit():
    assert bits_per_byte(float(torch.tensor(256.0).log()), 1) == pytest.approx(8)
