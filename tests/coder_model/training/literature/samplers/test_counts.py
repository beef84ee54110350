"""How many slots a step reveals, takes back or leaves, sampler by sampler."""

import pytest
import torch
from toy_text import MASK, SIZE, some_network

from coder_model.training.literature.d3pm import DiscreteDiffusion
from coder_model.training.literature.eso import EsotericDiffusion
from coder_model.training.literature.mdlm import MaskedDiffusion
from coder_model.training.literature.samplers.ancestral import Ancestral
from coder_model.training.literature.samplers.canvas import Chance, shares
from coder_model.training.literature.samplers.cosine import Cosine
from coder_model.training.literature.samplers.gibbs import Gibbs
from coder_model.training.literature.samplers.guidance import Guided, GuidedPredictor
from coder_model.training.literature.samplers.low_confidence import LowConfidence
from coder_model.training.literature.samplers.posterior import Posterior
from coder_model.training.literature.samplers.remdm import Remasking
from coder_model.training.literature.samplers.sedd_analytic import Analytic
from coder_model.training.literature.samplers.two_phases import TwoPhases
from coder_model.training.literature.schemes import bidirectional
from coder_model.training.literature.sedd import ScoreEntropy

MDLM = MaskedDiffusion(MASK)
NETWORK = some_network()
CANVAS = torch.cat([torch.tensor([[0, 2, 1, 1]]), torch.full((1, 10), MASK)], dim=1).repeat(2, 1)


def chance(seed=0, temperature=1.0):
    return Chance(torch.Generator().manual_seed(seed), temperature)


def masks(filled):
    return [int((past[0] == MASK).sum()) for past in filled.history]


def test_llada_reveals_the_same_number_in_every_step_the_larger_ones_first():
    assert shares(10, 4) == [3, 3, 2, 2]
    filled = LowConfidence(MDLM)(NETWORK, CANVAS, 4, chance())
    assert masks(filled) == [7, 4, 2, 0]
    assert filled.passes == 4


def test_llada_fills_block_after_block():
    filled = LowConfidence(MDLM, blocks=2)(NETWORK, CANVAS, 4, chance())
    assert masks(filled) == [7, 5, 2, 0]
    assert not bool((filled.history[1][:, 4:9] == MASK).any())
    assert bool((filled.history[1][:, 9:] == MASK).all())


def test_llada_reveals_what_it_is_surest_of():
    log_p = MDLM.log_p(NETWORK, CANVAS)
    surest = log_p.max(2).values.masked_fill(CANVAS != MASK, -torch.inf).topk(3, dim=1).indices.sort(1).values
    first = LowConfidence(MDLM)(NETWORK, CANVAS, 4, chance(temperature=0.0)).history[0]
    assert torch.equal((first[:, 4:] != MASK).nonzero()[:, 1].view(2, 3) + 4, surest)


def test_maskgit_leaves_as_many_masks_as_the_cosine_says():
    filled = Cosine(MDLM)(NETWORK, CANVAS, 5, chance())
    assert masks(filled) == [9, 6, 4, 0]
    assert filled.passes == 4
    assert masks(Cosine(MDLM, choice_temperature=4.5)(NETWORK, CANVAS, 4, chance())) == [8, 4, 0]


@pytest.mark.parametrize("sampler", [LowConfidence(MDLM), Cosine(MDLM)])
def test_rows_must_have_as_many_masks(sampler):
    uneven = torch.tensor([[0, MASK, MASK], [0, 1, MASK]])
    with pytest.raises(ValueError, match="every row must have as many masks, got \\[2, 1\\]"):
        sampler(NETWORK, uneven, 2, chance())


def test_remasking_leaves_as_many_masks_as_the_diffusion_has_then():
    canvas = torch.full((200, 20), MASK)
    filled = Remasking(MDLM, cap=0.3)(NETWORK, canvas, 10, chance())
    for step, past in enumerate(filled.history, 1):
        assert float((past == MASK).float().mean()) == pytest.approx(1 - step / 10, abs=0.03)
    before, after = filled.history[4], filled.history[5]
    assert bool(((before != MASK) & (after == MASK)).any())


@pytest.mark.parametrize(
    "sampler",
    [
        Remasking(MDLM, cap=0.5),
        Gibbs(MDLM, Ancestral(MDLM)),
        Posterior(DiscreteDiffusion("uniform", MASK, SIZE, 8), MASK),
        Posterior(DiscreteDiffusion("absorbing", MASK, SIZE, 8), MASK),
        Analytic(ScoreEntropy(MASK, SIZE)),
        Cosine(MDLM),
        TwoPhases(EsotericDiffusion(MASK, 0.5)),
    ],
)
def test_what_is_given_stays_and_what_is_open_is_filled(sampler):
    filled = sampler(NETWORK, CANVAS, 6, chance())
    assert torch.equal(filled.tokens[:, :4], CANVAS[:, :4])
    if getattr(getattr(sampler, "objective", None), "kind", "") != "uniform":
        assert not bool((filled.tokens == MASK).any())
    assert torch.equal(filled.history[-1], filled.tokens)
    assert not torch.equal(CANVAS, filled.tokens)


def test_gibbs_draws_so_many_again_in_each_pass():
    first = Ancestral(MDLM)
    start = first(NETWORK, CANVAS, 6, chance())
    filled = Gibbs(MDLM, first, rounds=3, size=2)(NETWORK, CANVAS, 6, chance())
    assert filled.passes == start.passes + 3
    changes = [(a != b).sum(1).max() for a, b in zip(filled.history[-4:], filled.history[-3:], strict=False)]
    assert max(changes) <= 2


def test_guidance_of_zero_is_none_and_another_costs_two_passes():
    plain = LowConfidence(MDLM)
    free, without = (sampler(NETWORK, CANVAS, 5, chance()) for sampler in (Guided(plain, 0.0, MASK), plain))
    assert torch.equal(free.tokens, without.tokens)
    assert Guided(plain, 2.0, MASK)(NETWORK, CANVAS, 5, chance()).passes == 2 * without.passes


def test_guidance_leans_away_from_what_is_said_without_the_context():
    positions = torch.arange(14).expand(2, 14)
    guided = GuidedPredictor(NETWORK, CANVAS != MASK, 1.5, MASK)(CANVAS, positions, bidirectional())
    given, without = (
        NETWORK(c, positions, bidirectional()).log_softmax(2) for c in (CANVAS, torch.full_like(CANVAS, MASK))
    )
    torch.testing.assert_close(guided, given + 1.5 * (given - without))


def test_where_diffusion_fills_all_there_is_no_pass_of_a_second_phase():
    assert TwoPhases(EsotericDiffusion(MASK, 1.0))(NETWORK, CANVAS, 1, chance()).passes == 1
