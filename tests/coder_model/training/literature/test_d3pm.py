import itertools
import math

import pytest
import torch
from toy_text import MASK, SIZE, WORDS, Oracle, all_texts, batch_of, some_distribution

from coder_model.training.literature.d3pm import DiscreteDiffusion

TEXTS = all_texts()


class Posterior:
    """Says of each token what it was before uniform noise, given the whole noised text."""

    def __init__(self, joint, objective):
        self.joint, self.objective = joint.flatten(), objective

    def __call__(self, tokens, positions, seen, time=None, kept=None):
        kept_share = torch.tensor([self.objective.kept(round(float(t) * self.objective.steps)) for t in time]).double()
        noise = (1 - kept_share) / WORDS
        same = TEXTS[None] == tokens[:, None]
        weight = self.joint * (kept_share[:, None, None] * same + noise[:, None, None]).prod(2)
        found = torch.einsum("bx,xtv->btv", weight, torch.nn.functional.one_hot(TEXTS, WORDS).double())
        return (found / found.sum(2, keepdim=True)).log().float()


def chain(objective, predict, size):
    """The exact distribution of what T steps sample, over all texts of `size` tokens a place."""
    states = torch.tensor(list(itertools.product(range(size), repeat=3)))
    is_start = (states == MASK).all(1) if objective.kind == "absorbing" else torch.ones(len(states), dtype=torch.bool)
    p = is_start.double() / is_start.sum()
    for step in range(objective.steps, 0, -1):
        each = objective.step_back(predict, states, step, step - 1).double()
        onward = torch.stack([each[:, place][:, states[:, place]] for place in range(3)]).prod(0)
        p = p @ onward
    return states, p


def bound(objective, predict, text, size):
    """The paper's sum over t, over all noised texts."""
    states = torch.tensor(list(itertools.product(range(size), repeat=3)))
    total = 0.0
    for step in range(1, objective.steps + 1):
        kept = objective.kept(step)
        noise = (states == MASK) * (1 - kept) if objective.kind == "absorbing" else (1 - kept) / size
        chance = (kept * (states == text) + noise).double().prod(1)
        here = chance > 0
        steps = torch.full((int(here.sum()),), step)
        costs, _ = objective.cost_at(predict, text.expand(len(steps), -1), states[here], steps)
        total += float((costs.double() * chance[here]).sum())
    return total


def case(kind, joint):
    """An objective of four steps, a network that knows the distribution, and how many tokens a place may have."""
    if kind == "absorbing":
        return DiscreteDiffusion(kind, MASK, SIZE, steps=4), Oracle(joint), MASK + 1
    objective = DiscreteDiffusion(kind, MASK, WORDS, steps=4)
    return objective, Posterior(joint, objective), WORDS


@pytest.mark.parametrize("kind", ["absorbing", "uniform"])
@pytest.mark.parametrize("number", [0, 5, 26])
def test_the_bound_is_above_the_exact_likelihood_of_what_is_sampled(kind, number):
    objective, predict, size = case(kind, some_distribution())
    states, p = chain(objective, predict, size)
    text = TEXTS[number]
    exact = -math.log(float(p[(states == text).all(1)]))
    found = bound(objective, predict, text, size)
    assert exact - 1e-4 < found < exact + 1.5
    assert float(p.sum()) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("kind", ["absorbing", "uniform"])
def test_weights_have_the_exact_likelihood_of_what_is_sampled_as_their_mean(kind):
    objective, predict, size = case(kind, some_distribution())
    states, p = chain(objective, predict, size)
    draws = objective.log_weight(predict, TEXTS[5].expand(8000, -1), 4, torch.Generator().manual_seed(0))
    assert float(draws.exp().mean()) == pytest.approx(float(p[(states == TEXTS[5]).all(1)]), rel=0.05)


def test_more_steps_come_nearer_to_the_likelihood_and_independent_tokens_are_exact_at_once():
    joint, text = some_distribution(), TEXTS[5]
    bounds = [bound(DiscreteDiffusion("absorbing", MASK, SIZE, n), Oracle(joint), text, MASK + 1) for n in (2, 16)]
    exact = -float(joint.flatten()[5].log())
    assert abs(bounds[1] - exact) < 0.5 * abs(bounds[0] - exact)
    alone = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
    independent = torch.einsum("a,b,c->abc", alone, alone, alone)
    one = bound(DiscreteDiffusion("absorbing", MASK, SIZE, 2), Oracle(independent), text, MASK + 1)
    assert one == pytest.approx(-float(independent.flatten()[5].log()), rel=1e-4)


@pytest.mark.parametrize("kind", ["absorbing", "uniform"])
def test_the_posterior_is_that_of_bayes(kind):
    objective = DiscreteDiffusion(kind, MASK, SIZE, steps=6)
    x0, canvas = torch.tensor([[1, 1, 2]]), torch.tensor([[1, MASK, MASK]])
    kept = torch.tensor([[objective.kept(4)], [objective.kept(2)]])
    found = objective.posterior(canvas, torch.nn.functional.one_hot(x0, SIZE).float(), *kept)[0]

    def onward(share):
        noise = torch.full((SIZE, SIZE), 1 / SIZE)
        if kind == "absorbing":
            noise = torch.nn.functional.one_hot(torch.full((SIZE,), MASK), SIZE).float()
            return torch.where(
                torch.arange(SIZE)[:, None] == MASK, noise, share * torch.eye(SIZE) + (1 - share) * noise
            )
        return share * torch.eye(SIZE) + (1 - share) * noise

    early, late = onward(kept[1, 0]), onward(kept[0, 0] / kept[1, 0])
    for place in range(3):
        joint = early[x0[0, place]] * late[:, canvas[0, place]]
        torch.testing.assert_close(found[place], joint / joint.sum(), atol=1e-5, rtol=1e-4)


def test_a_draw_of_the_bound_has_its_mean():
    joint, text = some_distribution(), TEXTS[5]
    objective = DiscreteDiffusion("absorbing", MASK, SIZE, 4)
    draws = objective.nelbo(Oracle(joint), text.expand(4000, -1), torch.Generator().manual_seed(0))
    assert float(draws.mean()) == pytest.approx(bound(objective, Oracle(joint), text, MASK + 1), rel=0.05)


def test_training_adds_a_share_of_the_cross_entropy_of_what_is_noised():
    seen = []

    def predict(tokens, *_):
        seen.append(tokens)
        return torch.zeros(*tokens.shape, SIZE)

    def loss(share):
        objective = DiscreteDiffusion("absorbing", MASK, SIZE, 4, cross_entropy_weight=share)
        return float(objective.loss(predict, batch_of(TEXTS), torch.Generator().manual_seed(0)))

    bound = DiscreteDiffusion("absorbing", MASK, SIZE, 4).nelbo(predict, TEXTS, torch.Generator().manual_seed(0))
    assert loss(0.0) == pytest.approx(float(bound.mean()) / 3, rel=1e-5)
    masked = float((seen[0] == MASK).float().mean())
    assert loss(0.5) - loss(0.0) == pytest.approx(0.5 * masked * math.log(SIZE - 1), rel=1e-4)


def test_strides_walk_from_the_last_step_to_the_first():
    assert DiscreteDiffusion("uniform", MASK, SIZE, 10).strides(3) == [(10, 7), (7, 3), (3, 0)]
    assert len(DiscreteDiffusion("uniform", MASK, SIZE, 4).strides(9)) == 4
