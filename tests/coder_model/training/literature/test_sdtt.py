import pytest
import torch
from toy_text import MASK, Oracle, some_distribution, some_network

from coder_model.training.literature.mdlm import MaskedDiffusion
from coder_model.training.literature.sdtt import SelfDistillation, divergence

MDLM = MaskedDiffusion(MASK)


def test_one_step_ahead_is_what_the_teacher_says():
    network, canvas = some_network(), torch.tensor([[1, MASK, MASK, 0]])
    found = SelfDistillation(MDLM, network, ahead=1).targets(canvas, torch.tensor([[4]]), torch.Generator())
    torch.testing.assert_close(found, MDLM.log_p(network, canvas))


def test_further_ahead_a_slot_learns_what_was_said_once_others_were_revealed():
    joint = some_distribution()
    teacher, canvas = Oracle(joint), torch.full((4000, 3), MASK)
    targets = SelfDistillation(MDLM, teacher, steps=2).targets(
        canvas, torch.full((4000, 1), 2), torch.Generator().manual_seed(0)
    )
    first = MDLM.log_p(teacher, canvas[:1])[0]
    same = torch.isclose(targets, first).all(2)
    # half of the slots are revealed in the first step; of the others, those that nothing was revealed beside
    assert float(same.float().mean()) == pytest.approx(0.5 + 0.5 * 0.25, abs=0.03)
    torch.testing.assert_close(targets.exp().mean(0), first.exp(), atol=0.03, rtol=0)


def test_there_is_nothing_to_learn_from_oneself_in_one_step():
    network, canvas = some_network(), torch.tensor([[1, MASK, MASK, 0]])
    log_p = MDLM.log_p(network, canvas)
    assert float(divergence(log_p, log_p, canvas == MASK)) == pytest.approx(0, abs=1e-6)
    assert float(divergence(log_p.roll(1, dims=1), log_p, canvas == MASK)) > 0
