"""Muon for matrices, Adam for the rest, and the schedule of the learning rates."""

import pytest
import torch

from coder_model.model.transformer import Transformer
from coder_model.training import optim
from coder_model.training.optim import Muon, make_optimizers, optimizers_for, schedule, schedulers_for


@pytest.mark.parametrize("shape", [(12, 20), (48, 16)])
def test_a_layers_matrix_moves_by_a_near_orthogonal_step_of_its_learning_rate(shape):
    matrix, other = torch.nn.Parameter(torch.ones(shape)), torch.nn.Parameter(torch.ones(1))
    before = matrix.detach().clone()
    matrix.grad = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    make_optimizers([matrix], [other], matrix_lr=0.1, other_lr=1.0)[0].step()
    singular = torch.linalg.svdvals((before - matrix.detach()) / (0.1 * max(1.0, shape[0] / shape[1]) ** 0.5))
    assert singular.min() > 0.5
    assert singular.max() < 1.5


@pytest.mark.parametrize(("dtype", "difference"), [(torch.bfloat16, 0.0), (torch.float32, 0.02)])
@pytest.mark.parametrize("shape", [(12, 20), (48, 16)])
def test_muon_moves_as_that_of_torch_does(monkeypatch, shape, dtype, difference):
    monkeypatch.setattr(optim, "training_dtype", lambda device: dtype)
    draw = torch.Generator().manual_seed(0)
    ours, theirs = (torch.nn.Parameter(torch.ones(shape)) for _ in range(2))
    optimizers = [Muon([ours], 0.1, weight_decay=0.1), torch.optim.Muon([theirs], 0.1, weight_decay=0.1)]
    for _ in range(3):
        ours.grad = torch.randn(shape, generator=draw)
        theirs.grad = ours.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    assert torch.allclose(ours, theirs, rtol=0.0, atol=difference)
    assert optimizers[0].state_dict()["state"].keys() == optimizers[1].state_dict()["state"].keys()


def test_nothing_decays_without_a_gradient(model):
    fresh = Transformer(model.config)
    fresh.initialise_(0)
    before = {name: tensor.clone() for name, tensor in fresh.state_dict().items()}
    for parameter in fresh.parameters():
        parameter.grad = torch.zeros_like(parameter)
    for optimizer in optimizers_for(fresh, matrix_lr=0.1, other_lr=0.1):
        optimizer.step()
    assert all(torch.equal(tensor, before[name]) for name, tensor in fresh.state_dict().items())


def test_a_run_that_goes_on_has_the_learning_rates_of_its_step():
    def rates(start, steps):
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.5)
        (scheduler,) = schedulers_for([optimizer], lambda step: schedule(step, 20, 5, 0.5), start)
        for _ in range(steps):
            yield optimizer.param_groups[0]["lr"]
            optimizer.step()
            scheduler.step()

    assert list(rates(7, 13)) == list(rates(0, 20))[7:]
    assert list(rates(0, 20)) == [0.5 * schedule(step, 20, 5, 0.5) for step in range(20)]


def test_the_schedule_rises_stays_and_falls_to_zero():
    factors = [schedule(step, 100, 10, 0.2) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[50] == 1.0
    assert factors[99] == pytest.approx(0.05)
    assert factors[:10] == sorted(factors[:10])
