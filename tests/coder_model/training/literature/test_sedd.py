import math

import pytest
import torch
from toy_text import MASK, SIZE, Oracle, all_texts, integral, some_distribution, some_network

from coder_model.training.literature.mdlm import MaskedDiffusion
from coder_model.training.literature.sedd import ScoreEntropy

TEXTS = all_texts()
OBJECTIVE = ScoreEntropy(MASK, SIZE, eps=0.0)


def knowing(joint):
    """An oracle whose logits are those that the best scores have."""
    return Oracle(joint, factor=SIZE - 1)


@pytest.mark.parametrize("number", [0, 5, 26])
def test_the_score_entropy_of_the_best_scores_is_the_likelihood(number):
    joint = some_distribution()
    bound = integral(lambda *noise: OBJECTIVE.cost_at(knowing(joint), *noise), TEXTS[number])
    assert bound == pytest.approx(-float(joint.flatten()[number].log()), rel=1e-4)


def test_scores_that_sum_to_what_they_should_cost_what_masked_diffusion_costs():
    joint, time = some_distribution(), torch.tensor([0.4])
    masked = torch.tensor([[True, False, True]])
    score = OBJECTIVE.cost_at(knowing(joint), TEXTS[5:6], masked, time)
    torch.testing.assert_close(score, MaskedDiffusion(MASK).cost_at(Oracle(joint), TEXTS[5:6], masked, time))


def test_any_other_scores_cost_more():
    time, masked = torch.tensor([0.4]), torch.tensor([[True, False, True]])
    joint = some_distribution()
    mean = {}
    for factor in (0.5, 1.0, 2.0):
        predict = Oracle(joint, factor=factor * (SIZE - 1))
        costs = [
            OBJECTIVE.cost_at(predict, text[None], masked, time) * p
            for text, p in zip(TEXTS, joint.flatten(), strict=True)
        ]
        mean[factor] = float(torch.cat(costs).sum())
    assert mean[1.0] < mean[0.5]
    assert mean[1.0] < mean[2.0]


@pytest.mark.parametrize(("time", "earlier"), [(0.9, 0.6), (0.5, 0.25), (0.3, 0.0)])
def test_the_analytic_transition_of_the_best_scores_is_the_posterior_of_masked_diffusion(time, earlier):
    joint = some_distribution()
    canvas = torch.tensor([[2, MASK, MASK]])
    found = OBJECTIVE.transition(knowing(joint), canvas, time, earlier)[0, 1:]
    p0 = MaskedDiffusion(MASK).log_p(Oracle(joint), canvas).exp()[0, 1:]
    expected = p0 * (time - earlier) / time
    expected[:, MASK] = earlier / time
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_scores_that_are_too_large_make_probabilities_all_the_same():
    canvas = torch.full((2, 4), MASK)
    p = ScoreEntropy(MASK, SIZE).transition(some_network(), canvas, 0.8, 0.2)
    assert bool((p >= 0).all())
    torch.testing.assert_close(p.sum(2), torch.ones(2, 4))


def test_the_noise_masks_as_many_as_it_says():
    objective = ScoreEntropy(MASK, SIZE)
    sigma = objective.sigma(torch.tensor([0.25, 1.0]))
    assert 1 - math.exp(-float(sigma[0])) == pytest.approx(0.999 * 0.25, rel=1e-5)
    assert math.exp(-float(sigma[1])) == pytest.approx(1e-3, rel=1e-3)
