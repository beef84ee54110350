"""The bounds of the masked models on texts of which everything is known."""

import itertools
import math

import pytest
import torch
from toy_text import MASK, START, Oracle, Table, all_texts, batch_of, integral, some_distribution, some_network

from coder_model.training.literature.ar import Autoregressive
from coder_model.training.literature.bd3 import BlockDiffusion
from coder_model.training.literature.eso import EsotericDiffusion
from coder_model.training.literature.mdlm import MaskedDiffusion

TEXTS = all_texts()
GENERATOR = torch.Generator()


def mdlm_bound(predict, text):
    return integral(lambda *noise: MaskedDiffusion(MASK).cost_at(predict, *noise), text)


def block_bound(predict, text, block_length):
    """All blocks at one time: the bound is a sum over them, and each term sees its own noise alone."""
    objective = BlockDiffusion(MASK, block_length)
    return integral(lambda x0, masked, t: objective.cost_at(predict, x0, masked, t[:, None].expand_as(x0)), text)


def eso_bound(predict, text, alpha0, variant):
    objective = EsotericDiffusion(MASK, alpha0, variant)

    def diffusion(*noise):
        return objective.diffusion_at(predict, *noise, GENERATOR)

    def sequential(x0, masked, _):
        return objective.sequential_costs(predict, x0, masked, GENERATOR).sum(1)

    first = integral(diffusion, text, objective.rate) if alpha0 else 0.0
    return first + integral(sequential, text, lambda _: 1 - alpha0)


def test_autoregression_says_the_likelihood_itself():
    joint = some_distribution()
    costs = Autoregressive(START).nelbo(Oracle(joint, shift=1), TEXTS, GENERATOR)
    torch.testing.assert_close(costs, -joint.flatten().log().float(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("number", [0, 5, 13, 26])
def test_the_bound_of_masked_diffusion_is_tight_where_the_network_knows_the_distribution(number):
    joint = some_distribution()
    exact = -float(joint.flatten()[number].log())
    assert mdlm_bound(Oracle(joint), TEXTS[number]) == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize("number", [0, 5, 13, 26])
def test_where_the_network_is_no_distribution_the_bound_is_the_mean_over_orders_and_above_the_exact_one(number):
    table, text = Table(), TEXTS[number]
    by_order = torch.tensor([table.of_order(text.tolist(), order) for order in itertools.permutations(range(3))])
    exact = -float(by_order.logsumexp(0)) + math.log(6)
    bound = mdlm_bound(table, text)
    assert bound == pytest.approx(-float(by_order.mean()), rel=1e-5)
    assert bound > exact


@pytest.mark.parametrize("number", [0, 13])
def test_block_diffusion_with_blocks_of_one_token_is_autoregression(number):
    joint = some_distribution()
    ar = Autoregressive(START).nelbo(Oracle(joint, shift=1), TEXTS[number : number + 1], GENERATOR)
    assert block_bound(Oracle(joint), TEXTS[number], 1) == pytest.approx(float(ar), rel=1e-5)


def test_blocks_of_one_token_say_what_a_network_says_token_by_token():
    network, text = some_network(), torch.tensor([[2, 0, 1, 1, 2]])
    objective = BlockDiffusion(MASK, 1)
    masked = torch.ones_like(text, dtype=torch.bool)
    at_once = objective.cost_at(network, text, masked, torch.ones(text.shape))
    alone = 0.0
    for place in range(5):
        asked = torch.cat([text[:, :place], torch.tensor([[MASK]])], dim=1)
        logits = network(asked, torch.arange(place + 1)[None], lambda _row, _head, query, key: key <= query)
        logits[:, :, MASK] = -torch.inf
        alone -= float(logits[0, -1].log_softmax(0)[text[0, place]])
    assert float(at_once) == pytest.approx(alone, rel=1e-4)


@pytest.mark.parametrize("number", [0, 13])
def test_block_diffusion_with_one_block_is_masked_diffusion(number):
    table, text = Table(), TEXTS[number]
    assert block_bound(table, text, 3) == pytest.approx(mdlm_bound(table, text), rel=1e-6)


def test_the_bound_of_block_diffusion_is_that_of_each_block_given_those_before():
    table, text = Table(4, seed=3), torch.tensor([2, 1, 0, 1])
    orders = [(0, 1, 2, 3), (0, 1, 3, 2), (1, 0, 2, 3), (1, 0, 3, 2)]
    by_order = torch.tensor([table.of_order(text.tolist(), order) for order in orders])
    exact = -float(by_order.logsumexp(0)) + math.log(4)
    bound = block_bound(table, text, 2)
    assert bound == pytest.approx(-float(by_order.mean()), rel=1e-5)
    assert bound > exact


@pytest.mark.parametrize("variant", ["a", "b"])
def test_eso_lm_without_diffusion_is_autoregression(variant):
    network, text = some_network(), torch.tensor([[2, 0, 1, 1, 2]])
    masked = torch.ones_like(text, dtype=torch.bool)
    block = BlockDiffusion(MASK, 1).cost_at(network, text, masked, torch.ones(text.shape))
    eso = EsotericDiffusion(MASK, 0.0, variant).nelbo(network, text, GENERATOR)
    torch.testing.assert_close(eso, block, atol=1e-5, rtol=1e-5)
    joint = some_distribution()
    for alpha0 in (0.0, 1e-6):
        assert eso_bound(Oracle(joint), TEXTS[5], alpha0, variant) == pytest.approx(
            -float(joint.flatten()[5].log()), rel=1e-4
        )


@pytest.mark.parametrize("variant", ["a", "b"])
def test_eso_lm_without_a_sequential_phase_is_masked_diffusion(variant):
    table, text = Table(), TEXTS[13]
    assert eso_bound(table, text, 1.0, variant) == pytest.approx(mdlm_bound(table, text), rel=1e-6)


@pytest.mark.parametrize("variant", ["a", "b"])
@pytest.mark.parametrize("alpha0", [0.25, 0.5])
def test_the_bound_of_eso_lm_is_the_mean_over_what_diffusion_fills_and_in_which_order(variant, alpha0):
    table, text = Table(seed=1), TEXTS[7]
    chances, costs = [], []
    for first in itertools.chain.from_iterable(itertools.combinations(range(3), n) for n in range(4)):
        rest = tuple(place for place in range(3) if place not in first)
        orders = list(itertools.permutations(first))
        for order in orders:
            chances.append(alpha0 ** len(first) * (1 - alpha0) ** len(rest) / len(orders))
            costs.append(table.of_order(text.tolist(), order + rest))
    chance, cost = torch.tensor(chances), torch.tensor(costs)
    bound = eso_bound(table, text, alpha0, variant)
    assert bound == pytest.approx(-float((chance * cost).sum()), rel=1e-5)
    assert bound > -float((cost.exp() * chance).sum().log())


@pytest.mark.parametrize("objective", [MaskedDiffusion(MASK), BlockDiffusion(MASK, 2), EsotericDiffusion(MASK, 0.5)])
def test_draws_of_a_bound_have_the_mean_that_they_should_have(objective):
    table, text = Table(), TEXTS[13]
    expected = {
        MaskedDiffusion: lambda: mdlm_bound(table, text),
        BlockDiffusion: lambda: block_bound(table, text, 2),
        EsotericDiffusion: lambda: eso_bound(table, text, 0.5, "b"),
    }[type(objective)]()
    draws = objective.nelbo(table, text.expand(3000, -1), torch.Generator().manual_seed(0))
    assert float(draws.mean()) == pytest.approx(expected, rel=0.05)


def test_eso_lm_trains_each_phase_on_half_of_the_rows_and_diffusion_alone_without_weights():
    table, rows, asked = Table(seed=1), batch_of(TEXTS[7].expand(4000, -1)), []

    def predict(tokens, *rest):
        asked.append(tuple(tokens.shape))
        return table(tokens, *rest)

    def loss(alpha0):
        return float(EsotericDiffusion(MASK, alpha0).loss(predict, rows, torch.Generator().manual_seed(0)))

    def costs(x0, masked, _):
        return EsotericDiffusion(MASK, 1.0).diffusion_costs(table, x0, masked, GENERATOR).sum(1)

    assert loss(0.5) == pytest.approx(eso_bound(table, TEXTS[7], 0.5, "b") / 3, rel=0.05)
    assert sorted(asked) == [(2000, 3), (2000, 6)]
    assert loss(1.0) == pytest.approx(integral(costs, TEXTS[7]) / 3, rel=0.05)
