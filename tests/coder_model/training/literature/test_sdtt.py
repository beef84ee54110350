import pytest
import torch
from torch.nn.functional import kl_div
from toy_text import MASK, SIZE, Oracle, batch_of, some_distribution, some_network

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


def test_the_divergence_is_that_of_the_student_from_the_teacher():
    generator = torch.Generator().manual_seed(0)
    teacher, student = (torch.randn(2, 4, SIZE, generator=generator).log_softmax(2) for _ in range(2))
    masked = torch.tensor([[True, False, True, True], [False, False, False, True]])
    expected = kl_div(student[masked], teacher[masked], reduction="batchmean", log_target=True)
    torch.testing.assert_close(divergence(teacher, student, masked), expected)


def test_a_student_that_is_its_teacher_learns_only_from_what_is_further_ahead():
    network = some_network()
    rows = batch_of(torch.randint(3, (16, 6), generator=torch.Generator().manual_seed(0)))
    here, ahead = (
        SelfDistillation(MDLM, network, steps=4, ahead=ahead).loss(network, rows, torch.Generator().manual_seed(1))
        for ahead in (1, 2)
    )
    assert float(here) == pytest.approx(0, abs=1e-6)
    assert float(ahead) > 1e-3
