import math

import pytest
import torch
from toy_text import batch_of

from coder_model.training.literature.diffusion_lm import GaussianDiffusion
from coder_model.training.literature.samplers.canvas import Chance
from coder_model.training.literature.samplers.clamped import Clamped

TABLE = 4 * torch.tensor([[1.0, 0.0], [-0.5, 0.866], [-0.5, -0.866], [0.0, 0.0]])
CHANCES = torch.tensor([0.6, 0.3, 0.1])
MASK = 3


class Knowing:
    """The mean of the embedding given its noised one: the best prediction for texts of one token."""

    def __init__(self, objective):
        self.objective = objective

    def __call__(self, z, positions, seen, time=None, kept=None):
        signal = self.objective.signal(time * self.objective.steps)[:, None, None, None]
        distance = (z[:, :, None] - signal.sqrt() * TABLE[:3]).square().sum(3, keepdim=True)
        weight = (CHANCES[:, None].log() - distance / (2 * (1 - signal))).softmax(2)
        return (weight * TABLE[:3]).sum(2)


def test_with_many_steps_the_mean_bound_comes_near_the_entropy_and_never_falls_below():
    words = torch.multinomial(CHANCES, 20_000, replacement=True, generator=torch.Generator().manual_seed(1))[:, None]
    entropy = -float((CHANCES * CHANCES.log()).sum())
    found = {}
    for steps in (20, 400):
        objective = GaussianDiffusion(TABLE, steps)
        draws = objective.nelbo(Knowing(objective), words, torch.Generator().manual_seed(0))
        found[steps] = float(draws.mean())
        assert found[steps] > entropy - 3 * float(draws.std()) / len(words) ** 0.5
    assert entropy - 0.05 < found[400] < found[20]
    assert found[400] < entropy + 0.1


def test_a_walk_has_the_weight_of_the_likelihood():
    objective = GaussianDiffusion(TABLE, 40)
    for word in range(3):
        x0 = torch.full((20_000, 1), word)
        weights = objective.log_weight(Knowing(objective), x0, 40, torch.Generator().manual_seed(0))
        assert float(weights.exp().mean()) == pytest.approx(float(CHANCES[word]), abs=0.03)


@pytest.mark.parametrize("clamps", [True, False])
def test_clamping_walks_towards_the_nearest_word_and_else_towards_the_prediction(clamps):
    objective, predicted, met = GaussianDiffusion(TABLE, 200), torch.tensor([-1.5, 2.5]), []

    def predict(z, positions, scheme, time=None, kept=None):
        met.append(z)
        return predicted.expand(*z.shape[:2], 2)

    canvas = torch.tensor([[0, MASK, 2]]).repeat(400, 1)
    filled = Clamped(objective, MASK, clamps)(predict, canvas, 200, Chance(torch.Generator().manual_seed(0)))
    assert bool((filled.tokens == torch.tensor([0, 1, 2])).all())
    assert filled.passes == len(met) == len(filled.history) == 200
    towards = TABLE[1] if clamps else predicted
    signal = float(objective.signal(1))
    torch.testing.assert_close(met[-1][:, 1].mean(0), signal**0.5 * towards, atol=0.1, rtol=0)


def test_what_is_given_comes_with_the_noise_of_the_step():
    objective = GaussianDiffusion(TABLE, 10)
    met = []

    def predict(z, positions, scheme, time=None, kept=None):
        met.append((z, time))
        return torch.zeros_like(z)

    canvas = torch.tensor([[0]]).repeat(2000, 1)
    Clamped(objective, MASK)(predict, canvas, 5, Chance(torch.Generator().manual_seed(0)))
    for z, time in met:
        signal = float(objective.signal(float(time[0]) * 10))
        torch.testing.assert_close(z.mean((0, 1)), signal**0.5 * TABLE[0], atol=0.1, rtol=0)
        assert float(z.std(0).mean()) == pytest.approx((1 - signal) ** 0.5, abs=0.05)


def test_training_costs_the_squared_error_of_a_coordinate_and_the_rounding():
    objective, clean = GaussianDiffusion(TABLE / 4, 10), torch.arange(3).repeat(400, 1)

    def loss(off):
        def predict(*_):
            return objective.embedded(clean) + off

        return float(objective.loss(predict, batch_of(clean), torch.Generator().manual_seed(0)))

    # a word's own score is 1, that of two others a half below 0, that of the mask 0; a word begins with little noise
    rounding = math.log(math.e + 2 * math.exp(-0.5) + 1) - 1
    assert loss(0.0) == pytest.approx(rounding, abs=0.03)
    assert loss(2.0) - loss(0.0) == pytest.approx(4.0, rel=1e-4)
