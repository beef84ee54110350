"""Samples of a network that knows the distribution follow it, sampler by sampler."""

import pytest
import torch
from toy_text import MASK, SIZE, START, WORDS, Oracle, all_texts

from coder_model.training.literature.bd3 import BlockDiffusion
from coder_model.training.literature.d3pm import DiscreteDiffusion
from coder_model.training.literature.eso import EsotericDiffusion
from coder_model.training.literature.mdlm import MaskedDiffusion
from coder_model.training.literature.samplers.ancestral import Ancestral
from coder_model.training.literature.samplers.blocks import ByBlocks
from coder_model.training.literature.samplers.canvas import Chance
from coder_model.training.literature.samplers.gibbs import Gibbs
from coder_model.training.literature.samplers.left_to_right import LeftToRight
from coder_model.training.literature.samplers.posterior import Posterior
from coder_model.training.literature.samplers.remdm import Remasking
from coder_model.training.literature.samplers.sedd_analytic import Analytic
from coder_model.training.literature.samplers.two_phases import TwoPhases
from coder_model.training.literature.sedd import ScoreEntropy

MDLM, STEPS = MaskedDiffusion(MASK), 24
SAME = 1 + 5 * torch.eye(WORDS, dtype=torch.float64)
JOINT = torch.einsum("a,ab,bc->abc", torch.tensor([1, 2, 3], dtype=torch.float64), SAME, SAME) / 384
"""Neighbours are mostly the same, so that tokens that are drawn apart from each other are noticed."""
SAMPLERS = {
    "MDLM": (Ancestral(MDLM), Oracle(JOINT)),
    "ReMDM": (Remasking(MDLM, cap=0.3), Oracle(JOINT)),
    "Gibbs": (Gibbs(MDLM, Ancestral(MDLM), size=1), Oracle(JOINT)),
    "BD3-LM": (ByBlocks(BlockDiffusion(MASK, 2)), Oracle(JOINT)),
    "Eso-LM A": (TwoPhases(EsotericDiffusion(MASK, 0.5, "a")), Oracle(JOINT)),
    "Eso-LM B": (TwoPhases(EsotericDiffusion(MASK, 0.5, "b")), Oracle(JOINT)),
    "SEDD": (Analytic(ScoreEntropy(MASK, SIZE, eps=1e-4)), Oracle(JOINT, factor=SIZE - 1)),
    "D3PM": (Posterior(DiscreteDiffusion("absorbing", MASK, SIZE, STEPS), MASK), Oracle(JOINT)),
    "autoregressive": (LeftToRight(START, MASK), Oracle(JOINT, shift=1)),
}


def shares(sampler, predict, steps, n=2000):
    """How often each text is sampled, [3, 3, 3]."""
    canvas = torch.full((n, 3), MASK)
    filled = sampler(predict, canvas, steps, Chance(torch.Generator().manual_seed(0), temperature=1.0))
    counts = torch.stack([(filled.tokens == text).all(1).sum() for text in all_texts()])
    assert int(counts.sum()) == n
    return (counts / n).view(3, 3, 3)


@pytest.mark.parametrize("name", SAMPLERS)
def test_samples_follow_the_distribution(name):
    torch.testing.assert_close(shares(*SAMPLERS[name], STEPS), JOINT.float(), atol=0.045, rtol=0)


def test_in_one_step_every_token_is_drawn_by_itself():
    alone = [JOINT.sum([axis for axis in range(3) if axis != own]) for own in range(3)]
    independent = torch.einsum("a,b,c->abc", *alone).float()
    torch.testing.assert_close(shares(Ancestral(MDLM), Oracle(JOINT), 1), independent, atol=0.045, rtol=0)
    # which the test above would notice
    assert float((independent - JOINT).abs().max()) > 0.1
